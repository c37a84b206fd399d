"""CPython in Wasmtime: a fresh instance of a pre-initialised component for every program. Knows no process but its own."""

import ctypes
from pathlib import Path
from typing import Any

from wasmtime import Engine, ExitTrap, Store, WasiConfig, WasmtimeError, _bindings, _ffi
from wasmtime.component import Component, Linker

from sandbox.contract import Answer, Limits, Program, PythonFunction, PythonProgram, Stream, WasmProgram
from sandbox.errors import GuestCrashed, LimitExceeded, ProgramRefused
from sandbox.protocol import MAX_TEXT_BYTES
from sandbox.worker import TOO_LONG, Call, Write

# What CPython in one component takes (memories, tables, their elements, instances), and little more.
MEMORIES, TABLES, TABLE_ELEMENTS, INSTANCES = 1, 2, 10_000, 16
WARM_MEMORY_BYTES = 64 * 2**20  # more than a CPython that was only prepared takes
# Of one text at the border, where every byte above 127 takes two: copies of it are in no limit of the guest's memory.
WRITTEN_BYTES = 64 * 2**10  # four times what a guest that is whole writes at once
CALLED_BYTES = 8 * MAX_TEXT_BYTES  # the most that a text takes which may be sent

STREAMS = (Stream.STDOUT, Stream.STDERR, Stream.RESULT)  # as the guest numbers them
NO_FINALIZER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)()


def compile_component(component: bytes) -> bytes:
    """Native code for this machine's CPU, for `PythonGuest`. Takes some ten seconds of every core."""
    return bytes(Component(Engine(), component).serialize())


class PythonGuest:
    """artifact: what `compile_component` made. It is native code and is trusted as such.

    The instance for the next program is made and warmed while nobody waits. No instance sees a second program.
    """

    def __init__(self, artifact: Path) -> None:
        self._engine = Engine()
        self._component = Component.deserialize_file(self._engine, str(artifact))
        self._linker = Linker(self._engine)
        self._linker.add_wasip2()
        self._define_imports()
        self._write: Write = _nowhere
        self._call: Call = _nobody
        self._next: Instance | None = None

    def _define_imports(self) -> None:
        """By the C interface: the binding's way copies a text of any length, and asks each time for the function's type."""
        callback_of = _bindings.wasmtime_component_func_callback_t
        self._imports = {b"write": callback_of(self._written), b"call-tool": callback_of(self._called)}  # kept alive here alone
        with self._linker.root() as root:
            for name, callback in self._imports.items():
                error = _bindings.wasmtime_component_linker_instance_add_func(
                    root.ptr(), ctypes.create_string_buffer(name), len(name), callback, None, NO_FINALIZER
                )
                if error:
                    raise WasmtimeError._from_ptr(error)

    def _written(self, _data: object, _context: object, _type: object, arguments: Any, *_more: object) -> int:
        """A pointer to an error, which traps, or 0. An exception must not leave it: C takes any word for the pointer."""
        try:
            if (text := _taken(arguments[1].of.string, WRITTEN_BYTES)) is None:
                return _trap("too much at once")
            self._write(STREAMS[arguments[0].of.u8], text.encode("latin-1"))
        except Exception:
            return _trap("not to be written")
        return 0

    def _called(
        self, _data: object, _context: object, _type: object, arguments: Any, _count: int, results: Any, _results: int
    ) -> int:
        """As `_written`."""
        try:
            name, given = (_taken(arguments[n].of.string, CALLED_BYTES) for n in (0, 1))
            answer = TOO_LONG if name is None or given is None else self._call(_text(name), _text(given))
            text = _ffi.wasmtime_component_val_t(kind=_ffi.WASMTIME_COMPONENT_STRING)
            text.of.string = _ffi.str_to_capi(_bytewise(answer.text))
            results[0].kind = _ffi.WASMTIME_COMPONENT_RESULT
            results[0].of.result.is_ok = not answer.failed
            results[0].of.result.val = _ffi.wasmtime_component_val_new(ctypes.byref(text))
        except Exception:
            return _trap("not to be called")
        return 0

    def exercise(self) -> None:
        self.prepare()
        self.run(PythonProgram(source="import time; time.sleep(0.0001)"), Limits(), _nowhere, _nobody)
        self.prepare()

    def prepare(self) -> None:
        self._next = self._instantiate(WARM_MEMORY_BYTES)

    def run(self, program: Program, limits: Limits, write: Write, call: Call) -> int:
        try:
            instance = self._take(limits)
            self._write, self._call = write, call
            return instance.run(program)
        except ExitTrap as exc:
            return exc.with_traceback(None).code  # its frames hold the instance, and wasmtime makes a circle of them
        except WasmtimeError as exc:
            raise _translated(str(exc), limits) from exc
        finally:
            self._write, self._call = _nowhere, _nobody

    def _take(self, limits: Limits) -> "Instance":
        instance, self._next = self._next, None
        if instance is None or limits.memory_bytes < WARM_MEMORY_BYTES:  # it may be larger already than it is allowed to be
            return self._instantiate(limits.memory_bytes)
        instance.limit_memory(limits.memory_bytes)
        return instance

    def _instantiate(self, memory_bytes: int) -> "Instance":
        instance = Instance(Store(self._engine), memory_bytes)
        instance.start(self._linker, self._component)
        return instance


class Instance:
    """One CPython, for one program. It is freed with the last reference to it."""

    def __init__(self, store: Store, memory_bytes: int) -> None:
        self._store = store
        store.set_wasi(WasiConfig())
        self.limit_memory(memory_bytes)

    def limit_memory(self, size: int) -> None:
        self._store.set_limits(size, TABLE_ELEMENTS, INSTANCES, TABLES, MEMORIES)

    def start(self, linker: Linker, component: Component) -> None:
        self._exports = linker.instantiate(self._store, component)
        self._call("prepare")

    def run(self, program: Program) -> int:
        match program:
            case PythonProgram():
                return int(self._call("run", _bytewise(program.source)))
            case PythonFunction():
                return int(self._call("call", _bytewise(program.source), _bytewise(program.arguments)))
            case WasmProgram():
                raise ProgramRefused("this worker runs Python")

    def _call(self, name: str, *arguments: str) -> Any:
        function = self._exports.get_func(self._store, name)
        if function is None:
            raise WasmtimeError(f"the guest exports no function {name!r}")
        return function(self._store, *arguments)


def _taken(text: Any, most: int) -> str | None:
    """Frees it. None for what is longer: there is no further copy of it."""
    try:
        return ctypes.string_at(text.data, text.size).decode() if text.size <= most else None
    finally:
        _bindings.wasm_byte_vec_delete(ctypes.byref(text))


def _trap(message: str) -> int:
    """The address of an error, which wasmtime frees."""
    return ctypes.cast(WasmtimeError(message)._consume(), ctypes.c_void_p).value or 0


def _bytewise(text: str) -> str:
    return text.encode("utf-8", "surrogatepass").decode("latin-1")


def _text(bytewise: str) -> str:
    """Raises UnicodeError, which traps: a guest that is whole sends nothing else."""
    return bytewise.encode("latin-1").decode("utf-8", "replace")


def _nowhere(_stream: Stream, _data: bytes) -> None:
    """Output before there is a program."""


def _nobody(_name: str, _arguments: str) -> Answer:
    """Calls before there is a program."""
    return Answer(text="nothing can be called yet", failed=True)


def _translated(message: str, limits: Limits) -> GuestCrashed | LimitExceeded:
    if "call stack exhausted" in message:
        return GuestCrashed("the program overflowed the stack")
    if "exceeds memory limits" in message:
        return LimitExceeded("memory_bytes", f"{limits.memory_bytes} bytes")
    return GuestCrashed("the program crashed the interpreter")
