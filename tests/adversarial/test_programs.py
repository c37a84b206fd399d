"""Programs that were made to hurt: what they do to the compiler, to the engine and to whoever reads their names."""

import asyncio
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from wasmtime import wat2wasm

from sandbox import GuestCrashed, LimitExceeded, Outcome, ProgramRefused, SandboxClient, SandboxError, WasmProgram
from sandbox.protocol import MAX_PROGRAM_BYTES, Installation, Kind, frame, hello, install, parse_failed, read_frame
from tests.adversarial.test_sandbox_host import children, still_serves
from tests.sandboxing import host_process, nowhere, program

pytestmark = pytest.mark.asyncio(loop_scope="module")

COMMAND = '(memory (export "memory") 1) (func (export "_start"))'
RUN = '"wasi:cli/run@0.2.0"'


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def host() -> AsyncIterator[Path]:
    with tempfile.TemporaryDirectory(prefix="paddock-") as folder:  # short: a socket's path may have 107 characters
        async with host_process(Path(folder), "--permits", "2") as (path, _):
            yield path


def wat(text: str) -> bytes:
    return bytes(wat2wasm(text))


async def run(client: SandboxClient, content: bytes) -> Outcome:
    sha256 = await client.install("wasmtime", content)
    limits = program("", cpu_seconds=0.5, wall_seconds=10)
    return await client.run(replace(limits, program=WasmProgram(sha256=sha256, stdin="")), nowhere)


def exporting(run: str, before: str = "") -> bytes:
    """A component whose wasi:cli/run is this."""
    return wat(f"(component {before} (instance $i {run}) (export {RUN} (instance $i)))")


LOOP = "(func $f (loop (br 0)))"
HOSTILE = {
    "a module that traps before it starts": (wat(f"(module (func $f unreachable) (start $f) {COMMAND})"), "unreachable"),
    "a module that loops before it starts": (wat(f"(module {LOOP} (start $f) {COMMAND})"), "cpu_seconds"),
    "a component that traps before it starts": (
        exporting("", "(core module $m (func $f unreachable) (start $f)) (core instance (instantiate $m))"),
        "unreachable",
    ),
    "a component that loops before it starts": (
        exporting("", f"(core module $m {LOOP} (start $f)) (core instance (instantiate $m))"),
        "cpu_seconds",
    ),
    "a component whose run is not there": (exporting(""), "no function 'run'"),
    "a component of hundreds of instances": (
        exporting("", '(core module $m (memory (export "m") 1))' + "(core instance (instantiate $m))" * 300),
        "could not be run",
    ),
    "a module that fills a memory as it is made": (
        wat(f'(module {COMMAND} (data (i32.const 65530) "{"x" * 100}"))'),
        "out of bounds",
    ),
}


@pytest.mark.parametrize(("content", "told"), HOSTILE.values(), ids=HOSTILE)
async def test_a_program_that_hurts_as_it_begins_hurts_itself(client: SandboxClient, content: bytes, told: str) -> None:
    with pytest.raises((GuestCrashed, LimitExceeded), match=told):
        await run(client, content)
    assert (await client.run(program("print(6 * 7)"), nowhere)).stdout == b"42\n"


LIST = """
    (core module $m (memory (export "m") 16)
      (func (export "r") (result i32) (i32.store (i32.const 4) (i32.const 1000000)) (i32.const 0)))
    (core instance $c (instantiate $m))
    (func $f (result (list u8)) (canon lift (core func $c "r") (memory (core memory $c "m"))))"""
NUMBER = '(core module $m (func (export "r") (param i32))) (core instance $c (instantiate $m))'


@pytest.mark.parametrize(
    "content",
    [
        exporting('(export "run" (func $f))', LIST),
        exporting('(export "run" (func $f))', NUMBER + '(func $f (param "x" u32) (canon lift (core func $c "r")))'),
    ],
    ids=["a list", "an argument"],
)
async def test_a_run_of_another_type_is_no_success(client: SandboxClient, content: bytes) -> None:
    with suppress(GuestCrashed, LimitExceeded):
        assert (await run(client, content)).exit_code == 1
    assert (await client.run(program("print(6 * 7)"), nowhere)).stdout == b"42\n"


EXPORTS = "".join(f'(export "e{n}" (func 0))' for n in range(1000))
IMPORTS = '(import "env" "f" (func))' * 10_000
LONG = f'(import "env" "{"n" * 90_000}" (func))'


def section(number: int, content: bytes) -> bytes:
    """Its size is unsigned LEB128."""
    size = b"".join(bytes([len(content) >> 7 * n & 0x7F | 0x80]) for n in range(4)) + bytes([len(content) >> 28])
    return bytes([number]) + size + content


def nested(depth: int) -> bytes:
    """A component in a component ..."""
    empty = inner = b"\0asm\x0d\0\x01\0"
    for _ in range(depth):
        inner = empty + section(4, inner)
    return inner


LARGE = {
    "ten thousand functions": wat(f"(module {COMMAND} {'(func)' * 10_000})"),
    "a thousand exports": wat(f"(module {COMMAND} {EXPORTS})"),
    "a section of its own with megabytes": wat(f"(module {COMMAND})") + section(0, b"\1x" + bytes(2**23)),
}


@pytest.mark.parametrize("content", LARGE.values(), ids=LARGE)
async def test_a_program_that_is_only_large_runs(client: SandboxClient, content: bytes) -> None:
    assert (await run(client, content)).exit_code == 0


REFUSED = {
    "ten thousand imports": wat(f"(module {IMPORTS} {COMMAND})"),
    "an import with a name of 90 kB": wat(f"(module {LONG} {COMMAND})"),
    "a component in a component, a thousand deep": nested(1000),
    "a function of sixty thousand locals": wat(f"(module {COMMAND} (func (local {'i64 ' * 60_000})))"),
}


@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED)
async def test_a_program_that_would_hurt_its_readers_is_refused_in_few_words(client: SandboxClient, content: bytes) -> None:
    with pytest.raises(ProgramRefused) as refused:
        await client.install("wasmtime", content)
    assert len(str(refused.value)) < 500


def heavy() -> bytes:
    """Takes the compiler many seconds."""
    step = "(if (local.get {0}) (then (local.set {1} (i32.load (local.get {2})))))"
    steps = "".join(step.format(n % 1000, n * 7 % 1000, n * 3 % 1000) for n in range(20_000))
    return wat(f"(module {COMMAND} (func (local {'i32 ' * 1000}) {steps}))")


def niceness(pid: int) -> int | None:
    with suppress(ProcessLookupError):  # it may end while one looks
        return os.getpriority(os.PRIO_PROCESS, pid)
    return None


async def test_a_compilation_gives_way_to_what_runs_and_ends_with_who_waits_for_it(client: SandboxClient) -> None:
    waiting = asyncio.create_task(client.install("wasmtime", heavy()))
    async with asyncio.timeout(10):
        while 10 not in map(niceness, children(os.getpid())):
            await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with asyncio.timeout(10):  # one is compiled at a time
        assert (await run(client, wat(f"(module {COMMAND})"))).exit_code == 0


# A hostile or clumsy client


def installation(content: bytes, **other: object) -> bytes:
    said = {"runtime": "wasmtime", "sha256": hashlib.sha256(content).hexdigest(), "size": len(content), **other}
    return install(Installation(**said))  # type: ignore[arg-type]


EMPTY = wat(f"(module {COMMAND})")
PIECE = frame(Kind.PIECE, EMPTY)
CLUMSY = {
    "other bytes than were said": (installation(EMPTY, sha256="0" * 64) + PIECE, "another SHA-256"),
    "more bytes than were said": (installation(EMPTY, size=5, sha256="0" * 64) + PIECE, "another SHA-256"),
    "a digest that is a path": (installation(EMPTY, sha256="../../etc/passwd") + PIECE, "another SHA-256"),
    "no such runtime": (installation(EMPTY, runtime="os") + PIECE, "not configured"),
    "an endless program": (installation(EMPTY, size=MAX_PROGRAM_BYTES + 1), "at most"),
    "a program of less than nothing": (installation(EMPTY, size=-1), "at most"),
    "a size that is none": (installation(EMPTY, size="9"), "at most"),
    "a piece of nothing": (installation(EMPTY) + frame(Kind.PIECE), "PIECE"),
    "something else than a piece": (installation(EMPTY) + hello(), "PIECE"),
    "a piece without an installation": (PIECE, "RUN or INSTALL"),
}


@pytest.mark.parametrize(("sent", "told"), CLUMSY.values(), ids=CLUMSY)
async def test_a_clumsy_installation_is_refused_and_harms_nobody(host: Path, sent: bytes, told: str) -> None:
    reader, writer = await asyncio.open_unix_connection(str(host))
    writer.write(hello() + sent)
    assert (await read_frame(reader) or ("",))[0] is Kind.HELLO
    said = await read_frame(reader)
    writer.close()
    assert said is not None
    assert said[0] is Kind.FAILED
    assert told in str(parse_failed(said[1]))
    assert await still_serves(host)


async def test_a_client_that_leaves_in_the_middle_of_an_installation_leaves_nothing(host: Path, client: SandboxClient) -> None:
    _, writer = await asyncio.open_unix_connection(str(host))
    writer.write(hello() + installation(EMPTY + b"\0\2\1x", size=1000) + PIECE)
    writer.close()
    missing = WasmProgram(sha256=hashlib.sha256(EMPTY + b"\0\2\1x").hexdigest(), stdin="")
    with pytest.raises(SandboxError, match="no program"):
        await client.run(replace(program(""), program=missing), nowhere)
