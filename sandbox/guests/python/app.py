"""The program inside the sandbox: runs one source text in a CPython that was frozen with its library imported.

It runs on the guest's CPython 3.14, not on ours. It enforces nothing: the walls are around it.
"""

import ast
import asyncio
import atexit
import builtins
import gc
import importlib
import inspect
import io
import json
import linecache
import os
import pkgutil
import random
import selectors
import sys
import time
import traceback
import types
import weakref
import zoneinfo

import tzdata.zoneinfo
import wit_world
from componentize_py_types import Err

NAME = "<code>"
STDOUT, STDERR, RESULT = 0, 1, 2
EAGER_BYTES = 64 * 1024  # until then every line is sent at once; later in blocks
BLOCK_BYTES = 8 * 1024
REHEARSAL = "print(1)\n1"  # more would cost more than it saves
# What opens a window, prints or starts something when it is imported, and what is only there to test CPython.
NOT_IMPORTED = {"antigravity", "ensurepip", "idlelib", "test", "this", "tkinter", "turtle", "turtledemo", "venv"}


class Output(io.BufferedIOBase):
    """The bytes below sys.stdout or sys.stderr. Whatever the other one holds back goes first, so that they keep their order."""

    def __init__(self, stream):
        self.stream = stream
        self.other = self
        self.pending = bytearray()
        self.sent = 0

    def writable(self):
        return True

    def write(self, data):
        if self.other.pending:
            self.other.drain()
        with memoryview(data) as view:
            self.pending += view
            size = view.nbytes
        if len(self.pending) >= BLOCK_BYTES:
            self.drain()
        return size

    def flush(self):
        if self.sent < EAGER_BYTES:
            self.drain()

    def drain(self, send=wit_world.write, block=BLOCK_BYTES):
        pending, self.pending = self.pending, bytearray()
        self.sent += len(pending)
        for start in range(0, len(pending), block):
            send(self.stream, pending[start : start + block].decode("latin-1"))


class Missing:
    """The last finder: says what there is, instead of only what there is not."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        # importlib.util.find_spec asks whether a module exists and must get None; an import statement gets the message.
        if "." in name or sys._getframe(2).f_code.co_name != "_find_and_load_unlocked":
            return
        there = "this part of the standard library is not in the sandbox"
        if name not in sys.stdlib_module_names:
            there = "this sandbox has the Python standard library only"
        raise ModuleNotFoundError(f"No module named {name!r}: {there}", name=name)


def import_library():
    for name in sorted(sys.stdlib_module_names - NOT_IMPORTED):
        module = import_or_none(name)
        for part in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{name}."):
            if not part.name.endswith("__main__"):
                import_or_none(part.name)


def import_or_none(name):
    try:
        return importlib.import_module(name)
    except (ImportError, AttributeError):  # needs what WASI does not have: native libraries, processes
        return None


def open_streams():
    out, err = Output(STDOUT), Output(STDERR)
    out.other, err.other = err, out
    for name, output in (("stdout", out), ("stderr", err)):
        text = io.TextIOWrapper(
            output, "utf-8", errors="backslashreplace", newline="\n", line_buffering=True, write_through=True
        )
        text.mode = "w"
        setattr(sys, name, text)
        setattr(sys, f"__{name}__", text)
    return out, err


def let_asyncio_run():
    """Its loop wakes itself through a socket, for other threads; here are neither, and timers are all that it waits for."""
    loop = asyncio.selector_events.BaseSelectorEventLoop
    loop._ssock = loop._csock = None
    loop._make_self_pipe = loop._close_self_pipe = lambda self: None
    selectors.SelectSelector.select = lambda self, timeout=None: time.sleep(max(timeout or 0, 0)) or []
    selectors.DefaultSelector = selectors.SelectSelector


def let_zones_be_found():
    """They are files elsewhere; here is no file, so they are kept."""
    folder = tzdata.zoneinfo.__path__[0]
    zones = {}
    for where, _, names in os.walk(folder):
        for name in names:
            path = f"{where}/{name}"
            with open(path, "rb") as file:
                if file.read(4) == b"TZif":
                    file.seek(0)
                    zones[path[len(folder) + 1 :]] = file.read()

    def load_tzdata(key):
        if key not in zones:
            raise zoneinfo.ZoneInfoNotFoundError(f"No time zone found with key {key}")
        return io.BytesIO(zones[key])

    zoneinfo._common.load_tzdata = load_tzdata
    zoneinfo.available_timezones = lambda: set(zones)
    zoneinfo.reset_tzpath(())


def let_tools_be_called():
    """As `from paddock import call`. What is told comes as Python where it is JSON, else as text."""

    class ToolError(Exception):
        """The tool was not run, or failed; the message says why."""

    ask = wit_world.call_tool

    def call(name, /, **arguments):
        try:
            given = json.dumps(arguments, ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(f"the arguments of {name!r} are no JSON: {error}") from None
        OUT.drain()
        ERR.drain()
        try:
            told = text(ask(bytewise(str(name)), bytewise(given)))
        except Err as refused:
            raise ToolError(text(refused.value)) from None
        try:
            return json.loads(told)
        except ValueError:
            return told

    module = types.ModuleType("paddock", "The tools that this code may call.")
    for name, value in (("call", call), ("ToolError", ToolError)):
        value.__module__, value.__qualname__ = "paddock", name
        setattr(module, name, value)
    sys.modules["paddock"] = module


def execute(source, namespace):
    """Like a notebook cell: the value of a final expression is printed by repr unless it is None."""
    tree = ast.parse(source, NAME)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, NAME, "exec", dont_inherit=True), namespace)
    if last is not None:
        exec(compile(ast.Interactive([last]), NAME, "single", dont_inherit=True), namespace)


def call_main(source, arguments):
    """As a tool is written: a module with a `main`, which may be a coroutine function."""
    MAIN.__name__ = "tool"
    sys.modules["tool"] = MAIN
    exec(compile(source, NAME, "exec", dont_inherit=True), MAIN.__dict__)
    value = MAIN.main(**json.loads(arguments))
    if inspect.iscoroutine(value):
        value = asyncio.run(value)
    return value


def give_back(value, send=wit_world.write, block=BLOCK_BYTES, dumps=json.dumps):
    try:
        told = dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace").decode("latin-1")
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"what main returned is no JSON: {error}") from None
    for start in range(0, len(told), block):
        send(RESULT, told[start : start + block])


def exit_code(code):
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    tell(f"{code}\n")
    return 1


def tell(text):
    """On the real stderr, whatever the program made of sys.stderr."""
    ERR.write(text.encode("utf-8", "backslashreplace"))


def report(error):
    """The traceback with the frames of the user's code only: the library's source is not here to be shown."""
    if isinstance(error, MemoryError):
        MAIN.__dict__.clear()  # room to say so
        error.add_note("the sandbox's memory limit was reached")
    summary = traceback.TracebackException(type(error), error, error.__traceback__)
    compact(summary)
    for line in summary.format():
        tell(line)


def compact(summary):
    if summary is None:
        return
    frames = [(frame.filename, frame.lineno, frame.name, frame.line) for frame in summary.stack if frame.filename == NAME]
    summary.stack = traceback.StackSummary.from_list(frames)
    for inner in (summary.__cause__, summary.__context__, *(summary.exceptions or ())):
        compact(inner)


def guarded(act, *arguments):
    try:
        act(*arguments)
    except SystemExit as error:
        return exit_code(error.code)
    except BaseException as error:  # whatever it is, it is the user's, and this is the top
        report(error)
        return 1
    return 0


def text(bytes_as_text):
    return bytes_as_text.encode("latin-1").decode("utf-8", "surrogatepass")


def bytewise(text):
    return text.encode("utf-8", "surrogatepass").decode("latin-1")


def finished(act, source, *more):
    linecache.cache[NAME] = (len(source), None, source.splitlines(keepends=True), NAME)
    code = guarded(act, source, *more)
    code = guarded(atexit._run_exitfuncs) or code
    OUT.drain()
    ERR.drain()
    return code


class WitWorld(wit_world.WitWorld):
    def prepare(self):
        sys.argv[:] = [""]  # the runtime around us empties it at the first call
        random.seed()  # its state is in the snapshot: without this every guest would draw the same numbers
        guarded(execute, REHEARSAL, {"__name__": "__main__"})
        OUT.drain()
        OUT.sent = 0
        vars(builtins).pop("_", None)

    def run(self, source):
        return finished(execute, text(source), MAIN.__dict__)

    def call(self, source, arguments):
        return finished(lambda source: give_back(call_main(source, text(arguments))), text(source))


import_library()
let_asyncio_run()
let_zones_be_found()
let_tools_be_called()
MAIN = sys.modules["__main__"] = types.ModuleType("__main__")
OUT, ERR = open_streams()
os.environ.clear()
sys.path.clear()
sys.path_importer_cache.clear()
sys.meta_path.append(Missing)
atexit._clear()  # the library's own: there is nothing that they would still have to put in order
weakref.finalize._registered_with_atexit = False
gc.collect()
gc.freeze()
