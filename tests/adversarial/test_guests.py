"""Hostile programs: whatever one does, it ends, it gains nothing, and the next one finds the sandbox as it was."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from sandbox import GuestCrashed, LimitExceeded, Outcome
from sandbox.dispatcher import Sandbox, open_sandbox
from tests.sandboxing import OPTIONS, nowhere, program

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    async with open_sandbox({"wasmtime": OPTIONS["wasmtime"]()}, permits=2, queue=64) as opened:
        yield opened


async def end(sandbox: Sandbox, source: str, *, wall_seconds: float = 20) -> Outcome | LimitExceeded | GuestCrashed:
    """How it ended; then another program runs as if nothing had been."""
    hostile = program(source, cpu_seconds=0.7, wall_seconds=wall_seconds, memory_bytes=128 * 2**20, output_bytes=2**16)
    try:
        ended: Outcome | LimitExceeded | GuestCrashed = await sandbox.run(hostile, nowhere)
    except (LimitExceeded, GuestCrashed) as error:
        ended = error
    after = await sandbox.run(program("import json, re, random\nprint(json.dumps([6 * 7]))"), nowhere)
    assert (after.exit_code, after.stdout, after.stderr) == (0, b"[42]\n", b"")
    return ended


REACHING_OUT = {
    "walks the file system": "import os\nprint(list(os.walk('/')))\nos.listdir('/')",
    "writes a file": "open('/tmp/x', 'w')",
    "makes a folder": "import os\nos.mkdir('/x')",
    "follows a link": "import os\nos.symlink('/etc/passwd', '/x')",
    "uses a file descriptor": "import os\nprint(any(os.read(fd, 9) for fd in (0, 1, 2)))\nos.read(3, 9)",
    "starts a process": "import subprocess\nsubprocess.run(['/bin/ls'])",
    "uses a shell": "import os\nos.system('ls')",
    "forks": "import os\nos.fork()",
    "sends a signal": "import os\nos.kill(1, 9)",
    "starts a thread": "import threading\nthreading.Thread(target=print).start()",
    "starts a pool": "from concurrent.futures import ProcessPoolExecutor\nProcessPoolExecutor().submit(print).result()",
    "loads native code": "import ctypes",
    "loads a shared library": "import importlib.machinery as m\nm.ExtensionFileLoader('x', '/lib/libc.so').create_module(None)",
    "maps memory": "import mmap",
    "listens": "import socket\ns = socket.socket()\ns.bind(('0.0.0.0', 8080))\ns.listen()",
    "makes a socket pair": "import socket\nsocket.socketpair()",
    "asks who it is": "import os\nos.getuid()",
    "reads what the build left": "print(open('/python/os.py').read())",
    "calls the border wrongly": "import wit_world\nwit_world.write('x', 1)",
    "calls itself again": "import wit_world, sys\nsys.modules['app'].WitWorld().run(3)",
}


@pytest.mark.parametrize("source", REACHING_OUT.values(), ids=REACHING_OUT)
async def test_a_program_that_reaches_out_gets_an_exception(sandbox: Sandbox, source: str) -> None:
    ended = await end(sandbox, source)

    assert isinstance(ended, GuestCrashed) or (ended.stdout in (b"", b"[]\n", b"False\n") and b"rror" in ended.stderr)


UNWRITABLE = {"to no stream": "write(7, 'x')", "no byte": "write(0, chr(256))", "too much at once": "write(0, 'x' * 2**17)"}


@pytest.mark.parametrize("call", UNWRITABLE.values(), ids=UNWRITABLE)
async def test_what_cannot_be_written_traps_and_gives_the_engine_no_pointer_to_follow(sandbox: Sandbox, call: str) -> None:
    ended = await end(sandbox, f"import wit_world\nwit_world.{call}")

    assert isinstance(ended, GuestCrashed)
    assert "the program crashed the interpreter" in str(ended)


STUBBORN = {
    "catches everything": "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    "hoards and catches": "x = []\nwhile True:\n    try: x.append(bytes(10**6))\n    except MemoryError: pass",
    "hoards in a handler": """
def f():
    try: return bytes(10**12)
    except MemoryError: return f()
while True:
    try: f()
    except BaseException: pass
""",
    "sleeps in small pieces": "import time\nwhile True: time.sleep(0.001)",
    "prints for ever": "while True: print('x' * 1000)",
    "writes to stderr for ever": "import sys\nwhile True: sys.stderr.write('x')",
    "collects garbage for ever": "import gc\ngc.set_threshold(1)\nx = [[] for _ in range(10**5)]\nwhile True: gc.collect()",
    "has a finaliser for ever": "class A:\n    def __del__(self): A()\nA()\nwhile True: pass",
    "compares in C for ever": "class A:\n    def __eq__(self, other):\n        while True: pass\n[A()].index(A())",
    "works for ever in an exit handler": "import atexit\n@atexit.register\ndef f():\n    while True: pass",
    "works for ever in a repr": "class A:\n    def __repr__(self):\n        while True: pass\nA()",
    "works for ever in an error": "class E(Exception):\n    def __str__(self):\n        while True: pass\nraise E",
    "multiplies": "x = 7\nwhile True: x = x * x",
    "a regular expression": "import re\nre.fullmatch('(a|aa)+', 'a' * 60 + 'b')",
    "sorts": "import random\nwhile True: sorted(range(10**6), key=lambda _: random.random())",
    "a generator within generators": "def g():\n    while True: yield\nimport collections\ncollections.deque(g(), 0)",
    "spins in the kernel's name": "import os\nwhile True: os.urandom(10**6)",
}


@pytest.mark.parametrize("source", STUBBORN.values(), ids=STUBBORN)
async def test_a_program_that_does_not_end_is_ended(sandbox: Sandbox, source: str) -> None:
    ended = await end(sandbox, source, wall_seconds=2)

    assert isinstance(ended, LimitExceeded | GuestCrashed) or b"Error" in ended.stderr
    assert len(ended.stdout) + len(ended.stderr) <= 2**16


GREEDY = {
    "bytes": "bytes(10**11)",
    "a list": "[0] * 10**10",
    "a string": "'x' * 10**10",
    "an integer": "1 << 10**10",
    "a power": "10 ** 10 ** 10",
    "many objects": "x = [object() for _ in range(10**8)]",
    "a dictionary": "x = {i: i for i in range(10**8)}",
    "a bomb of zeros": """
import zlib
d = zlib.compressobj()
z = b''.join(d.compress(bytes(10**7)) for _ in range(20)) + d.flush()
zlib.decompress(z)
""",
    "entities": """
import xml.etree.ElementTree as E
d = '<!DOCTYPE a [<!ENTITY a0 "' + 'x' * 1000 + '">'
d += ''.join(f'<!ENTITY a{i} "' + f'&a{i-1};' * 10 + '">' for i in range(1, 9))
E.fromstring(d + ']><a>&a8;</a>')
""",
    "a format": "'{:>9999999999}'.format(1)",
    "a database": """
import sqlite3
select = sqlite3.connect(':memory:').execute
select('select zeroblob(900000000) from (select 1 union select 2)').fetchall()
""",
    "its own source": "s = 'x'\nwhile True: s += s",
}


@pytest.mark.parametrize("source", GREEDY.values(), ids=GREEDY)
async def test_a_program_that_wants_too_much_memory_does_not_get_it(sandbox: Sandbox, source: str) -> None:
    ended = await end(sandbox, source)

    assert isinstance(ended, LimitExceeded | GuestCrashed) or ended.exit_code == 1


DEEP = {
    "lists in a repr": "x = []\nfor _ in range(10**6): x = [x]\nrepr(x)",
    "lists that die": "x = []\nfor _ in range(10**6): x = [x]\ndel x",
    "tuples in a hash": "x = ()\nfor _ in range(10**5): x = (x,)\nhash(x)",
    "a comparison": "x, y = [], []\nfor _ in range(10**5): x, y = [x], [y]\nx == y",
    "a copy": "import copy\nx = []\nfor _ in range(10**5): x = [x]\ncopy.deepcopy(x)",
    "json": "import json\njson.loads('[' * 10**6)",
    "pickle": "import pickle\npickle.loads(b'(' * 10**6 + b'.')",
    "marshal": "import marshal\nmarshal.loads(b'[\\x01\\x00\\x00\\x00' * 10**5)",
    "xml": "import xml.etree.ElementTree as E\nE.tostring(E.fromstring('<a>' * 10**5 + '</a>' * 10**5))",
    "an expression": "eval('-' * 10**6 + '1')",
    "a regular expression": "import re\nre.compile('(' * 10**5 + ')' * 10**5)",
    "attributes": "class A:\n    def __getattr__(self, name): return getattr(self, name)\nA().x",
    "super classes": "c = object\nfor i in range(10**5): c = type('C', (c,), {})",
    "exceptions": "e = None\nfor i in range(10**5):\n    n = ValueError(i)\n    n.__cause__ = e\n    e = n\nraise e",
    "no limit": "import sys\nsys.setrecursionlimit(2**31 - 1)\ndef f(): f()\nf()",
}


@pytest.mark.parametrize("source", DEEP.values(), ids=DEEP)
async def test_a_program_that_recurses_deeply_ends_itself_only(sandbox: Sandbox, source: str) -> None:
    ended = await end(sandbox, f"print('before')\n{source}")

    assert ended.stdout.startswith(b"before\n")


VANDALISM = {
    "leaves at once": ("import os\nos._exit(7)", 1),  # WASI 0.2 knows success and failure, and no other code
    "leaves well at once": ("import os\nos._exit(0)", 0),
    "replaces print": ("import builtins\nbuiltins.print = None", 0),
    "forgets every builtin": ("import builtins\nvars(builtins).clear()", None),
    "closes its streams": ("import sys\nsys.stdout.close()\nsys.stderr.close()\nprint('x')", 1),
    "loses its streams": ("import sys\nsys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = None\nraise ValueError", 1),
    "closes the descriptors": (
        "import os\nfor fd in range(100):\n    try: os.close(fd)\n    except OSError: pass\nprint('x')",
        0,
    ),
    "forgets every module": ("import sys\nsys.modules.clear()", None),
    "forgets its main module": ("import sys\ndel sys.modules['__main__']\nraise MemoryError", 1),
    "breaks the traceback": ("import traceback\ntraceback.TracebackException = None\n1 / 0", None),
    "breaks the hook": ("import sys\nsys.displayhook = sys.excepthook = None\n1", 1),
    "raises what cannot be shown": (
        "class E(BaseException):\n    def __str__(self): raise E\n    __repr__ = __str__\nraise E",
        1,
    ),
    "exits with what cannot be shown": ("class A:\n    def __str__(self): 1 / 0\nraise SystemExit(A())", None),
    "raises a cycle": ("a, b = ValueError(1), ValueError(2)\na.__cause__, b.__cause__ = b, a\nraise a", 1),
    "changes the type of numbers": (
        "import gc\n[d for d in gc.get_referents(int.__dict__) if isinstance(d, dict)][0].clear()",
        None,
    ),
    "traces itself": ("import sys\nsys.settrace(lambda *a: 1 / 0)\nlen([])", None),
    "profiles itself": ("import sys\nsys.setprofile(lambda *a: 1 / 0)\nlen([])", None),
    "forges byte code": ("f = lambda: 0\nf.__code__ = f.__code__.replace(co_code=b'\\xff' * 1000)\nf()", None),
    "crashes the interpreter": ("import faulthandler\nfaulthandler._sigsegv()", None),
    "aborts": ("import os\nos.abort()", None),
}


@pytest.mark.parametrize(("source", "exit_code"), VANDALISM.values(), ids=VANDALISM)
async def test_a_program_that_breaks_its_own_python_breaks_nothing_else(
    sandbox: Sandbox, source: str, exit_code: int | None
) -> None:
    ended = await end(sandbox, source)

    if exit_code is not None:
        assert isinstance(ended, Outcome)
        assert ended.exit_code == exit_code


async def test_what_was_printed_before_a_crash_is_kept(sandbox: Sandbox) -> None:
    lines = "".join(f"{n}\n" for n in range(100))
    ended = await end(sandbox, "for n in range(100): print(n)\nimport os\nos.abort()")

    assert isinstance(ended, GuestCrashed)
    assert ended.stdout.decode() == lines


async def test_a_crowd_of_hostile_programs_does_not_starve_an_honest_one(sandbox: Sandbox) -> None:
    hostile = [asyncio.create_task(sandbox.run(program("while True: pass", cpu_seconds=0.2), nowhere)) for _ in range(10)]
    honest = await sandbox.run(program("print('served')"), nowhere)
    ends = await asyncio.gather(*hostile, return_exceptions=True)

    assert honest.stdout == b"served\n"
    assert all(isinstance(ended, LimitExceeded) for ended in ends)
