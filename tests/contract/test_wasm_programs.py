"""What a runtime promises of installed programs: the same as of Python, for a module and for a component alike."""

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from wasmtime import wat2wasm

from sandbox import (
    Capabilities,
    GuestCrashed,
    Invocation,
    LimitExceeded,
    Outcome,
    ProgramMissing,
    ProgramRefused,
    RuntimeUnavailable,
    Stream,
    WasmProgram,
    pool,
)
from sandbox.artifacts import Artifacts
from sandbox.dispatcher import Sandbox, open_sandbox
from sandbox.runtimes import wasmtime
from tests.sandboxing import OPTIONS, guest, nowhere, program

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROGRAMS = Path(__file__).parents[1] / "doubles" / "programs"
FORMS = {"module": "probe.wasm", "component": "probe.component.wasm"}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    async with open_sandbox({"wasmtime": OPTIONS["wasmtime"]()}, permits=4, queue=64) as opened:
        yield opened


@contextmanager
def file(content: bytes) -> Iterator[tuple[str, int]]:
    descriptor = os.memfd_create("program")
    os.write(descriptor, content)
    try:
        yield hashlib.sha256(content).hexdigest(), descriptor
    finally:
        os.close(descriptor)


async def install(sandbox: Sandbox, content: bytes) -> str:
    with file(content) as (sha256, descriptor):
        await sandbox.install("wasmtime", sha256, descriptor)
    return sha256


class Runner:
    def __init__(self, sandbox: Sandbox, sha256: str) -> None:
        self.sandbox = sandbox
        self.sha256 = sha256
        self.seen: list[tuple[Stream, bytes]] = []

    def invocation(self, stdin: str, **limits: float) -> Invocation:
        return replace(program("", **limits), program=WasmProgram(sha256=self.sha256, stdin=stdin))

    async def __call__(self, stdin: str, **limits: float) -> Outcome:
        return await self.sandbox.run(self.invocation(stdin, **limits), lambda *piece: self.seen.append(piece))

    async def prints(self, stdin: str) -> str:
        outcome = await self(stdin)
        assert (outcome.exit_code, outcome.stderr) == (0, b"")
        return outcome.stdout.decode()

    async def still_works(self) -> bool:
        return await self.prints("echo 42") == "echo 42"


@pytest_asyncio.fixture(loop_scope="module", params=FORMS.values(), ids=FORMS)
async def run(sandbox: Sandbox, request: pytest.FixtureRequest) -> Runner:
    return Runner(sandbox, await install(sandbox, (PROGRAMS / request.param).read_bytes()))


# Input, output and exit codes


async def test_what_it_reads_and_writes_goes_through_whole(run: Runner) -> None:
    text = "echo " + 'äß☃😀\0"\\' * 1000
    outcome = await run(text)

    assert (outcome.exit_code, outcome.stdout, outcome.stderr, outcome.truncated) == (0, text.encode(), b"", False)
    assert 0 < outcome.cpu_seconds <= outcome.wall_seconds + 0.1
    assert (await run("bytes")).stdout == bytes(range(256))


async def test_output_comes_in_the_order_in_which_it_was_written_and_while_it_runs(run: Runner) -> None:
    outcome = await run("both")
    assert (outcome.stdout, outcome.stderr) == (b"a\nc", b"bd\n")
    assert b"".join(data for _, data in run.seen) == b"a\nbcd\n"

    run.seen.clear()
    running = asyncio.create_task(run("sleep"))
    while b"".join(data for _, data in run.seen) != b"before\n":
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_its_exit_code_is_the_outcomes(run: Runner) -> None:
    assert (await run("exit 0")).exit_code == 0
    assert (await run("exit 3")).exit_code in (3, 1)  # a component of WASI 0.2 says only whether it went well


async def test_a_program_larger_than_its_memory_is_loaded_beside_that(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "HEADROOM_BYTES", 16 * 2**20)  # the engine's, which needs less, but not 16 MB more
    large = f'(module (memory (export "memory") 1) (func (export "_start")) (data "{"x" * 2**24}"))'
    run = Runner(sandbox, await install(sandbox, bytes(wat2wasm(large))))
    assert (await run("", memory_bytes=2**20)).exit_code == 0


@pytest.mark.parametrize(("status", "told"), [(125, 125), (126, 255), (255, 255), (-1, 255)])
async def test_an_exit_code_that_the_engine_does_not_tell_is_the_highest(sandbox: Sandbox, status: int, told: int) -> None:
    leaving = f"""
    (module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (memory (export "memory") 1) (func (export "_start") (call $exit (i32.const {status}))))"""
    assert (await Runner(sandbox, await install(sandbox, wat(leaving)))("")).exit_code == told


# What is not there


async def test_nothing_of_the_host_is_there(run: Runner) -> None:
    assert await run.prints("around") == "before\n1 tool nothing"
    for path in ("/etc/passwd", "/proc/self/environ", "../../etc/hostname", "."):
        assert "opened" not in await run.prints(f"open {path}")
    assert await run.prints("write") == "before\nrefused\n"


async def test_each_run_is_a_fresh_one_with_a_clock_and_randomness_of_its_own(run: Runner) -> None:
    assert [await run.prints("count") for _ in range(3)] == ["before\n1\n"] * 3
    (first, noise), (_, other) = [(await run.prints("time")).split()[1:] for _ in range(2)]
    assert abs(int(first) - time.time()) < 60
    assert noise != other
    assert await run.prints("nap") == "before\nafter\n"


# Limits: each has a program that hits it


async def test_cpu_seconds_stop_one_that_computes(run: Runner) -> None:
    with pytest.raises(LimitExceeded) as error:
        await run("loop", cpu_seconds=0.3)
    assert (error.value.limit, error.value.stdout) == ("cpu_seconds", b"before\n")
    assert await run.still_works()


async def test_wall_seconds_stop_one_that_sleeps(run: Runner) -> None:
    with pytest.raises(LimitExceeded) as error:
        await run("sleep", wall_seconds=3)  # a busy machine begins late
    assert (error.value.limit, error.value.stdout) == ("wall_seconds", b"before\n")


async def test_memory_bytes_stop_one_that_hoards(run: Runner) -> None:
    outcome = await run("hoard", memory_bytes=64 * 2**20)
    assert outcome.stdout == b"before\nno more\n"
    assert outcome.exit_code in (3, 1)
    assert (await run("use 100")).exit_code == 0
    assert (await run("use 300")).exit_code != 0
    with pytest.raises(LimitExceeded, match="memory_bytes"):
        await run("echo", memory_bytes=2**16)
    assert await run.still_works()


async def test_output_bytes_cut_what_never_ends_and_are_shared_by_both_streams(run: Runner) -> None:
    with pytest.raises(LimitExceeded, match="cpu_seconds") as error:
        await run("flood", output_bytes=1000, cpu_seconds=0.3)
    assert error.value.stdout == b"x" * 1000

    outcome = await run("errors 600", output_bytes=1000)
    assert (outcome.stderr, outcome.stdout, outcome.truncated) == (b"e" * 600, b"0" * 400, True)


@pytest.mark.parametrize(
    ("stdin", "told"),
    [("recurse", "call stack exhausted"), ("abort", "unreachable"), ("null", "out of bounds memory access")],
)
async def test_a_trap_ends_the_program_with_its_reason_and_the_output_so_far(run: Runner, stdin: str, told: str) -> None:
    with pytest.raises(GuestCrashed, match=told) as error:
        await run(stdin)
    assert error.value.stdout == b"before\n"
    assert await run.still_works()


@pytest.mark.parametrize("stdin", ["loop", "sleep", "flood"])
async def test_cancelling_kills_it_within_a_second(run: Runner, stdin: str) -> None:
    running = asyncio.create_task(run(stdin))
    while not run.seen:
        await asyncio.sleep(0.01)
    started = time.monotonic()
    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running
    assert time.monotonic() - started < 1
    assert await run.still_works()


async def test_programs_beside_each_other_do_not_mix_their_output(run: Runner) -> None:
    outcomes = await asyncio.gather(*(run(f"echo {n}") for n in range(20)))

    assert [outcome.stdout for outcome in outcomes] == [b"echo %d" % n for n in range(20)]


async def test_a_capability_is_refused_by_name(run: Runner) -> None:
    granted = replace(run.invocation("echo"), capabilities=Capabilities(network=({"host": "x"},)))
    with pytest.raises(RuntimeUnavailable, match="network"):
        await run.sandbox.run(granted, nowhere)


# Hostile programs


def wat(text: str) -> bytes:
    return bytes(wat2wasm(text))


COMMAND = '(memory (export "memory") 1) (func (export "_start"))'
GREEDY = {
    "a memory that is larger than its limit": '(module (memory (export "memory") 60000) (func (export "_start")))',
    "two memories": f"(module {COMMAND} (memory 1))",
    "many tables": f"(module {COMMAND} {'(table 1 funcref)' * 50})",
    "a large table": f"(module {COMMAND} (table 10000000 funcref))",
}


@pytest.mark.parametrize("text", GREEDY.values(), ids=GREEDY)
async def test_more_than_its_limits_is_not_given(sandbox: Sandbox, text: str) -> None:
    run = Runner(sandbox, await install(sandbox, wat(text)))
    with pytest.raises((LimitExceeded, GuestCrashed)):
        await run("")


async def test_a_table_that_grows_is_stopped(sandbox: Sandbox) -> None:
    grow = """
    (module (memory (export "memory") 1) (table $t 1 externref)
      (func (export "_start")
        (loop $again (br_if $again (i32.ne (i32.const -1) (table.grow $t (ref.null extern) (i32.const 10000)))))))"""
    assert (await Runner(sandbox, await install(sandbox, wat(grow)))("")).exit_code == 0


RUN = '(instance $i) (export "wasi:cli/run@0.2.0" (instance $i))'
OPEN = '(import "wasi_snapshot_preview1" "sock_open" (func (param i32) (result i32)))'
REFUSED = {
    "nothing": (b"", "neither a WASI"),
    "text": (b"(module)", "neither a WASI"),
    "an ELF": (b"\x7fELF" + bytes(100), "neither a WASI"),
    "noise behind the header": (b"\0asm\x01\0\0\0" + bytes(range(256)), "not valid WebAssembly"),
    "a header of another version": (b"\0asm\x02\0\0\0", "neither a WASI"),
    "a module that is cut off": ((PROGRAMS / "probe.wasm").read_bytes()[:-100], "not valid WebAssembly"),
    "a component that is cut off": ((PROGRAMS / "probe.component.wasm").read_bytes()[:-100], "not valid WebAssembly"),
    "no command": (wat("(module)"), "must export a function '_start', .* and 'memory'"),
    "a start that is no function": (wat('(module (memory (export "memory") (export "_start") 1))'), "function '_start'"),
    "a start that wants to be told": (wat(f"(module {COMMAND.replace('))', ') (param i32))')})"), "takes and gives nothing"),
    "a memory that is none": (wat('(module (func (export "memory") (export "_start")))'), "and 'memory'"),
    "a component without run": (wat("(component)"), "must export 'wasi:cli/run@0.2'"),
    "sockets": (wat(f"(module {OPEN} {COMMAND})"), "imports 'wasi_snapshot_preview1.sock_open', which is not offered"),
    "a function of its own": (wat(f'(module (import "env" "secret" (func)) {COMMAND})'), "imports 'env.secret'"),
    "an odd name": (wat(f'(module (import "wasi_snapshot_preview1.x" "\\00\\n" (func)) {COMMAND})'), "is not offered"),
    "sockets in a component": (
        wat('(component (import "wasi:sockets/tcp@0.2.0" (instance)))'),
        "imports 'wasi:sockets/tcp@0.2.0', which is not offered",
    ),
    "HTTP in a component": (wat('(component (import "wasi:http/outgoing-handler@0.2.0" (instance)))'), "'wasi:http/outgoing"),
    "another WASI": (wat('(component (import "wasi:cli/stdin@0.3.0" (instance)))'), "imports 'wasi:cli/stdin@0.3.0'"),
    "a function that WASI has not": (wat(f'(module (import "wasi_snapshot_preview1" "nope" (func)) {COMMAND})'), "::nope`"),
    "a function of another type": (
        wat(f'(module (import "wasi_snapshot_preview1" "fd_write" (func)) {COMMAND})'),
        "imports what is not offered: incompatible import type for `wasi_snapshot_preview1::fd_write`",
    ),
    "an interface with a function that it has not": (
        wat(f'(component (import "wasi:cli/stdin@0.2.0" (instance (export "nope" (func)))) {RUN})'),
        "imports what is not offered: .*`wasi:cli/stdin@0.2.0`.*`nope`",
    ),
    "shared memory": (wat('(module (memory (export "memory") 1 1 shared) (func (export "_start")))'), "not valid WebAssembly"),
    "a memory of 64 bits": (wat('(module (memory (export "memory") i64 1) (func (export "_start")))'), "not valid WebAssembly"),
}


@pytest.mark.parametrize(("content", "told"), REFUSED.values(), ids=REFUSED)
async def test_what_cannot_be_a_program_is_refused_with_the_reason(sandbox: Sandbox, content: bytes, told: str) -> None:
    with pytest.raises(ProgramRefused, match=told):
        await install(sandbox, content)
    with pytest.raises(ProgramMissing):
        await Runner(sandbox, hashlib.sha256(content).hexdigest())("")


def heavy(steps: int) -> bytes:
    """Ten thousand of them are hundreds of kilobytes whose compilation takes seconds and hundreds of megabytes."""
    step = "(if (local.get {0}) (then (local.set {1} (i32.load (local.get {2})))))"
    body = "".join(step.format(n % 1000, n * 7 % 1000, n * 3 % 1000) for n in range(steps))
    return wat(f"(module {COMMAND} (func (local {'i32 ' * 1000}) {body}))")


@pytest.mark.parametrize(
    ("steps", "limits", "told"),
    [
        (10_000, {"cpu_seconds": 0.2}, "limit exceeded: cpu_seconds"),
        (10_000, {"memory_bytes": 2**24}, "with 16777216 bytes of memory"),
        (10, {"output_bytes": 10}, "native code"),
    ],
    ids=["time", "memory", "what it becomes"],
)
async def test_what_takes_the_compiler_too_much_is_refused(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, steps: int, limits: dict[str, float], told: str
) -> None:
    monkeypatch.setattr(wasmtime, "COMPILE_LIMITS", replace(wasmtime.COMPILE_LIMITS, **limits))  # type: ignore[arg-type]
    with pytest.raises(ProgramRefused, match=f"cannot be compiled.*{told}"):
        await install(sandbox, heavy(steps))
    monkeypatch.undo()
    assert await Runner(sandbox, await install(sandbox, (PROGRAMS / "probe.wasm").read_bytes())).still_works()


async def test_a_program_that_is_not_installed_or_no_digest_is_not_run(sandbox: Sandbox) -> None:
    with pytest.raises(ProgramMissing, match="no program 000"):
        await Runner(sandbox, "0" * 64)("")
    for nonsense in ("../../etc/passwd", "", "A" * 64, "0" * 63 + "/"):
        with pytest.raises(ProgramRefused, match="not a SHA-256"):
            await Runner(sandbox, nonsense)("")


def kept(runner: Runner) -> Path:
    runtime = runner.sandbox._runtimes["wasmtime"]
    assert isinstance(runtime, wasmtime.Wasmtime)
    return runtime._artifacts._path(runner.sha256)


async def test_one_that_lost_its_bytes_with_the_power_is_missing_and_is_made_again(sandbox: Sandbox) -> None:
    content = wat(f'(module {COMMAND} (func (export "loses its bytes")))')
    runner = Runner(sandbox, await install(sandbox, content))
    native = kept(runner)
    native.write_bytes(b"")
    with pytest.raises(ProgramMissing):
        await runner("")
    await install(sandbox, content)
    assert (await runner("")).exit_code == 0


@pytest.mark.parametrize("found", ["half of it", "another form"])
async def test_one_whose_native_code_cannot_be_loaded_is_missing_and_is_made_again(sandbox: Sandbox, found: str) -> None:
    content = wat(f'(module {COMMAND} (func (export "{found}")))')
    runner = Runner(sandbox, await install(sandbox, content))
    native = kept(runner)
    whole = native.read_bytes()
    native.write_bytes(whole[: len(whole) // 2] if found == "half of it" else b"\0asm\x0d\0\x01\0" + whole[8:])
    with pytest.raises(ProgramMissing):
        await runner("")
    await install(sandbox, content)
    assert (await runner("")).exit_code == 0


async def test_native_code_for_an_engine_with_other_settings_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def made_for() -> str:
        async with wasmtime.open_runtime({"guest": guest(), "workers": 1}) as runtime:
            assert isinstance(runtime, wasmtime.Wasmtime)
            return runtime._artifacts._made_for

    monkeypatch.setattr(wasmtime, "open_pool", nullcontext)
    before = await made_for()
    assert await made_for() == before
    monkeypatch.setitem(wasmtime.CONFIGURATION, "wasm_threads", True)
    assert await made_for() != before


# What is kept of them


async def test_what_was_used_least_recently_is_forgotten_beyond_the_limit(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path / "programs", made_for="here", limit_bytes=25)
    digests = [f"{n:064x}" for n in range(3)]
    for n, digest in enumerate(digests[:2]):
        with artifacts.writing(digest) as native:
            native.write(b"x" * 10)
        os.utime(next((tmp_path / "programs").glob(f"{digest}*")), (n, n))
    with artifacts.opened(digests[0]):
        pass
    with artifacts.writing(digests[2]) as native:
        native.write(b"x" * 10)

    assert [artifacts.has(digest) for digest in digests] == [True, False, True]
    assert not Artifacts(tmp_path / "programs", made_for="elsewhere", limit_bytes=25).has(digests[0])


async def test_what_was_not_written_whole_or_could_be_anybodys_is_not_there(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path / "programs", made_for="here", limit_bytes=25)
    with pytest.raises(ZeroDivisionError), artifacts.writing("0" * 64):
        _ = 1 / 0
    assert list((tmp_path / "programs").iterdir()) == []

    with artifacts.writing("0" * 64) as native:
        native.write(b"x")
    next((tmp_path / "programs").iterdir()).chmod(0o666)
    with pytest.raises(RuntimeUnavailable, match="closed to others"), artifacts.opened("0" * 64):
        pass
