"""The second wall: the engine is broken and hostile code runs natively in the worker. What it can still do is this."""

import os
import re
import resource
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from sandbox import Answer, Capabilities, GuestCrashed, LimitExceeded, Outcome, RuntimeUnavailable, protocol, walls
from sandbox.dispatcher import Sandbox
from sandbox.nursery import Errand
from sandbox.pool import PoolOptions, open_pool
from sandbox.protocol import Kind
from tests.sandboxing import nowhere, program

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOT = Path(__file__).parents[2]
BROKEN = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); import runpy; "]
BROKEN[-1] += "runpy.run_module('tests.doubles.broken_engine', run_name='__main__')"
PRESENT = {wall.name: wall.present for wall in walls.report()}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def broken() -> AsyncIterator[Sandbox]:
    async with open_pool(PoolOptions(command=BROKEN, workers=2)) as pool:
        yield Sandbox({"wasmtime": pool}, permits=1, queue=8)


async def attack(broken: Sandbox, source: str, wall_seconds: float = 30) -> Outcome:
    return await broken.run(program(source, cpu_seconds=0.5, wall_seconds=wall_seconds), nowhere)


async def test_hostile_code_does_run_natively_in_the_worker(broken: Sandbox) -> None:
    outcome = await attack(broken, "tell(sys.version)")

    assert (outcome.exit_code, outcome.stdout.decode()) == (0, f"{sys.version}\n")


ATTACKS = {
    "reads a file": "tell(open('/etc/passwd').read())",
    "reads the host's environment": "tell(open(f'/proc/{os.getppid()}/environ', 'rb').read())",
    "reads its own memory map": "tell(open('/proc/self/maps').read())",
    "writes a file": "open('/tmp/paddock-broken', 'w').write('x')",
    "lists a folder": "tell(os.listdir('/'))",
    "opens the sandbox's own source": "tell(open(os.__file__).read(10))",
    "opens a connection": "socket.create_connection(('127.0.0.1', 22), 1)",
    "makes a TCP socket": "socket.socket()",
    "makes a UDP socket": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
    "makes a Unix socket": "socket.socket(socket.AF_UNIX).connect('/run/x')",
    "makes a netlink socket": "socket.socket(16, 3, 0)",
    "starts a program": "subprocess.run(['/bin/true'])",
    "executes a program": "os.execv('/bin/true', ['true'])",
    "forks": "os.fork()",
    "kills the host": "os.kill(os.getppid(), 9)",
    "kills everything": "os.kill(-1, 9)",
    "traces the host": "tell(libc.ptrace(16, os.getppid(), 0, 0))",
    "maps executable memory": "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)",
    "becomes root": "os.setuid(0)",
    "joins the host's network": "os.pidfd_open(1)",
    "leaves by chroot": "os.chroot('/tmp')",
    "mounts": "assert libc.mount(b'x', b'/tmp', b'tmpfs', 0, 0) == 0",
    "loads a library": "ctypes.CDLL('libcrypt.so.1')",
    "makes a namespace": "assert libc.unshare(0x10000000) == 0",
    "makes an anonymous file": "os.memfd_create('x')",
    "raises its limits": "assert libc.setrlimit(7, (ctypes.c_ulong * 2)(9999, 9999)) == 0",
    "asks for a user's key": "assert libc.syscall(250, 0, -3, 0, 0, 0) >= 0",
    "uses io_uring": "assert libc.syscall(425, 8, (ctypes.c_char * 120)()) >= 0",
    "loads a BPF program": "assert libc.syscall(321, 0, 0, 0) >= 0",
    "survives its parent": "assert libc.prctl(1, 0, 0, 0, 0) == 0",
    "becomes debuggable": "assert libc.prctl(4, 1, 0, 0, 0) == 0",
}


CHOSEN = ("reads a file", "writes a file", "makes a TCP socket", "makes a Unix socket", "executes a program", "forks")
CHOSEN += ("kills the host", "mounts", "makes an anonymous file", "raises its limits")


@pytest.mark.parametrize("source", ATTACKS.values(), ids=ATTACKS)
async def test_a_broken_engine_cannot(broken: Sandbox, source: str) -> None:
    try:
        outcome = await attack(broken, source)
    except GuestCrashed:
        return
    assert outcome.exit_code == 1 or outcome.stdout == b"-1\n"
    assert not outcome.stdout.strip(b"-1\n")


@pytest.mark.parametrize("errand", [Errand.COMPILE, Errand.PROGRAM], ids=["compiler", "program"])
@pytest.mark.parametrize("source", [ATTACKS[name] for name in CHOSEN], ids=CHOSEN)
async def test_a_worker_of_one_errand_is_behind_the_same_walls(source: str, errand: Errand) -> None:
    with tempfile.TemporaryFile("rb") as file:
        async with open_pool(PoolOptions(command=BROKEN, workers=2)) as pool:
            said = bytearray()
            for code in ("tell(6 * 7)", source):
                asked = program(code, cpu_seconds=0.5)
                with suppress(GuestCrashed):
                    await pool.run_apart(errand, asked, lambda _, data: said.extend(data), file.fileno())
    assert said == b"42\n" or re.fullmatch(rb"42\n(-1\n)?\w*Error: .*\n", said)


async def test_a_broken_engine_sees_no_environment_and_no_descriptor_of_the_host(broken: Sandbox) -> None:
    seen = """
tell(sorted(set(os.environ) - {"LC_CTYPE"}))
for fd in range(64):
    try: tell((fd < 3, os.lseek(fd, 0, 1)))
    except OSError as e: e.errno == 9 or tell(e.errno)
"""
    outcome = await attack(broken, seen)

    streams, nothing, connection = "(True, 0)\n" * 3, "(False, 0)\n", "29\n"
    assert outcome.stdout.decode() == f"[]\n{streams}{nothing}{connection}"


async def test_a_broken_engine_is_stopped_when_it_computes_sleeps_or_floods(broken: Sandbox) -> None:
    with pytest.raises(LimitExceeded, match="cpu_seconds"):
        await attack(broken, "while True: pass")
    with pytest.raises(LimitExceeded, match="wall_seconds"):
        await attack(broken, "time.sleep(60)", wall_seconds=1)
    flood = """
while True:
    for fd in range(3, 9):
        try: os.write(fd, bytes([0, 0, 0, 4, 3]) + b'xxxx')
        except OSError: pass
"""
    with pytest.raises((LimitExceeded, GuestCrashed)):
        await attack(broken, flood)
    assert (await attack(broken, "tell(1)")).stdout == b"1\n"


async def test_a_broken_engine_that_calls_and_calls_and_hears_no_answer_does_not_fill_the_memory_of_the_host(
    broken: Sandbox,
) -> None:
    call = protocol.frame(Kind.CALL, f'{{"name": "{"☃" * 100}", "arguments": ""}}'.encode())
    flood = f"""
while True:
    for fd in range(3, 9):
        try: os.write(fd, {call!r} * 200)
        except OSError: pass
"""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises((LimitExceeded, GuestCrashed)):
        await broken.run(program(flood, wall_seconds=3), nowhere)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024, "kilobytes"
    assert (await attack(broken, "tell(1)")).stdout == b"1\n"


TAKEN_OVER = """
worker = sys.modules['sandbox.worker']
def run(payload, outgoing, guest):
    outgoing.call('pay', '{"to": "mallory"}')
    return worker.protocol.done(worker.Outcome(exit_code=0))
worker._run = run
"""


async def test_a_worker_that_was_taken_over_calls_no_tool_in_the_name_of_another_program() -> None:
    async def pay(name: str, arguments: str) -> Answer:
        asked.append(arguments)
        return Answer(text="1")

    asked: list[str] = []
    async with open_pool(PoolOptions(command=BROKEN, workers=2)) as pool:
        sandbox = Sandbox({"wasmtime": pool}, permits=2, queue=8)
        for _ in range(4):
            await attack(sandbox, TAKEN_OVER)
        granted = replace(program("tell(1)"), capabilities=Capabilities(tools=("pay",)))
        outcomes = [await sandbox.run(granted, nowhere, pay) for _ in range(4)]
    assert [outcome.stdout for outcome in outcomes] == [b"1\n"] * 4
    assert asked == []


@pytest.mark.parametrize(
    "frame",
    [
        b"\\xff\\xff\\xff\\xff\\x03",
        b"\\0\\0\\0\\x02\\x05{}",
        b"\\0\\0\\0\\x05\\x06[1,2]",
        b"\\0\\0\\0\\0\\x02",
        b"\\0\\0\\0\\0\\x63",
        b"\\0\\0\\0\\x01\\x05{",
        b'\\0\\0\\0\\x0e\\x06{"error": [1]}',
        b'\\0\\0\\0\\x42\\x05{"exit_code":1e999,"truncated":0,"cpu_seconds":0,"wall_seconds":0}',
    ],
    ids=[
        "giant",
        "empty outcome",
        "error that is a list",
        "RUN",
        "unknown kind",
        "no JSON",
        "error of a list",
        "endless exit code",
    ],
)
async def test_a_worker_that_speaks_nonsense_is_killed_and_the_next_one_works(broken: Sandbox, frame: bytes) -> None:
    source = f"for fd in range(3, 64):\n    try: os.write(fd, b'{frame.decode()}')\n    except OSError: pass\ntime.sleep(60)"
    with pytest.raises(GuestCrashed):
        await attack(broken, source)
    assert (await attack(broken, "tell(1)")).stdout == b"1\n"


async def test_a_wall_that_is_missing_comes_with_what_to_do_about_it() -> None:
    assert all(wall.present or wall.advice for wall in walls.report())


async def test_every_wall_is_there_when_root_starts_the_sandbox() -> None:
    missing = {name for name, present in PRESENT.items() if not present}

    assert missing <= (set() if os.geteuid() == 0 else {"another user"})


async def test_a_pool_that_requires_walls_does_not_start_without_them() -> None:
    unknown_machine = "from sandbox import seccomp; seccomp.MACHINES.clear(); import runpy; "
    lacking = [*BROKEN[:2], BROKEN[2].replace("import runpy; ", unknown_machine)]
    async with open_pool(PoolOptions(command=lacking, workers=1)):
        pass
    with pytest.raises(RuntimeUnavailable, match="few system calls"):
        async with open_pool(PoolOptions(command=lacking, workers=1, require_walls=True)):
            pass
