"""The sandbox host as a process: what hostile, clumsy and vanished clients do to it, and what its own end does to others."""

import asyncio
import errno
import os
import select
import signal
import socket
import stat
import struct
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
import uvloop
from wasmtime import wat2wasm

from sandbox import (
    Answer,
    Capabilities,
    GuestCrashed,
    HostGone,
    Invocation,
    LimitExceeded,
    OnCall,
    OnOutput,
    Outcome,
    ProgramRefused,
    RuntimeUnavailable,
    SandboxBusy,
    SandboxClient,
    Stream,
    dispatcher,
    open_client,
    protocol,
    refuse_calls,
)
from sandbox import client as client_module
from sandbox.capture import Capture
from sandbox.client import CANCEL_SECONDS, Connection
from sandbox.dispatcher import Sandbox, open_sandbox
from sandbox.host import open_host
from sandbox.process import open_nursery
from sandbox.protocol import Kind
from tests.sandboxing import OPTIONS, guest, host_process, nowhere, program

pytestmark = pytest.mark.asyncio(loop_scope="module")

FOUND = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})"  # a nursery has no environment


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def host(folder: Path) -> AsyncIterator[Path]:
    async with host_process(folder / "shared", "--permits", "2", "--workers", "4") as (path, _):
        yield path


async def still_serves(path: Path) -> bool:
    async with open_client(path) as client:
        return (await client.run(program("print(6 * 7)"), nowhere)).stdout == b"42\n"


def children(pid: int) -> list[int]:
    """Descendants, nearest first. What ends while one looks has none."""
    found: list[int] = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):
                found += [int(child) for child in (task / "children").read_text().split()]
    return found + [grandchild for child in found for grandchild in children(child)]


async def gone(*pids: int) -> bool:
    async with asyncio.timeout(10):
        while any(map(runs, pids)):
            await asyncio.sleep(0.02)
    return True


def runs(pid: int) -> bool:
    """Also while only threads of it do: they end after their leader, and the kernel tells of the end when all have."""
    try:
        threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
        return threads > 1 or "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):  # it may end while one looks
        return False


# An honest client


async def test_output_and_outcome_come_through_the_host(client: SandboxClient) -> None:
    seen: list[tuple[Stream, bytes]] = []
    outcome = await client.run(program("import sys\nprint(1)\nsys.exit('no')"), lambda *piece: seen.append(piece))

    assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (1, b"1\n", b"no\n")
    assert seen == [(Stream.STDOUT, b"1\n"), (Stream.STDERR, b"no\n")]
    assert 0 < outcome.cpu_seconds <= outcome.wall_seconds + 0.1


async def test_a_limit_that_was_hit_comes_through_the_host_with_the_output_so_far(client: SandboxClient) -> None:
    with pytest.raises(LimitExceeded) as error:
        await client.run(program("print('before')\nwhile True: pass", cpu_seconds=0.2), nowhere)

    assert (error.value.limit, error.value.allowed, error.value.stdout) == ("cpu_seconds", "0.2 s", b"before\n")


async def test_a_crash_comes_through_the_host_with_the_output_so_far(client: SandboxClient) -> None:
    with pytest.raises(GuestCrashed) as error:
        await client.run(program("print('before')\nimport os\nos.abort()"), nowhere)

    assert error.value.stdout == b"before\n"


async def test_a_hundred_programs_at_once_are_all_served(client: SandboxClient) -> None:
    outcomes = await asyncio.gather(*(client.run(program(f"print({n})"), nowhere) for n in range(100)))

    assert [outcome.stdout for outcome in outcomes] == [b"%d\n" % n for n in range(100)]


async def test_a_hundred_clients_at_once_are_all_served(host: Path) -> None:
    async def visit(n: int) -> bytes:
        async with open_client(host) as own:
            return (await own.run(program(f"print({n})"), nowhere)).stdout

    assert await asyncio.gather(*map(visit, range(100))) == [b"%d\n" % n for n in range(100)]


async def test_cancelling_kills_the_guest_and_leaves_the_client_usable(client: SandboxClient) -> None:
    started = asyncio.Event()
    endless = program("print(1)\nwhile True: pass", cpu_seconds=60, wall_seconds=60)
    running = asyncio.create_task(client.run(endless, lambda *_: started.set()))
    await started.wait()
    running.cancel()

    async with asyncio.timeout(CANCEL_SECONDS - 1):  # then it would leave the host alone with a guest that lives
        with pytest.raises(asyncio.CancelledError):
            await running
    assert (await client.run(program("print(2)"), nowhere)).stdout == b"2\n"


async def test_a_program_that_waits_in_the_queue_can_be_cancelled(client: SandboxClient) -> None:
    taken = [asyncio.create_task(client.run(program("import time\ntime.sleep(60)"), nowhere)) for _ in range(4)]
    await asyncio.sleep(0.2)
    for task in taken:
        task.cancel()

    async with asyncio.timeout(CANCEL_SECONDS - 1):
        await asyncio.gather(*taken, return_exceptions=True)
        assert (await client.run(program("print(2)"), nowhere)).stdout == b"2\n"


async def test_what_the_host_would_not_take_is_refused_before_it_is_sent(client: SandboxClient) -> None:
    with pytest.raises(ProgramRefused, match="too long"):
        await client.run(program("#" * 2**21), nowhere)
    with pytest.raises(ProgramRefused, match="memory_bytes"):
        await client.run(program("print(1)", memory_bytes=2**50), nowhere)
    with pytest.raises(ProgramRefused, match="cpu_seconds"):
        await client.run(program("print(1)", cpu_seconds=float("nan")), nowhere)
    with pytest.raises(RuntimeUnavailable, match="network"):
        await client.run(replace(program("print(1)"), capabilities=Capabilities(network=({"host": "x"},))), nowhere)
    assert (await client.run(program("print(2)"), nowhere)).stdout == b"2\n"


async def test_programs_beyond_the_queue_are_refused_as_busy(folder: Path) -> None:
    async with (
        host_process(folder / "busy", "--permits", "1", "--workers", "2", "--queue", "1") as (path, _),
        open_client(path) as client,
    ):
        asked = [asyncio.create_task(client.run(program("import time\ntime.sleep(60)"), nowhere)) for _ in range(3)]
        (refused,), taken = await asyncio.wait(asked, timeout=30, return_when=asyncio.FIRST_COMPLETED)
        with pytest.raises(SandboxBusy):
            await refused
        for task in taken:
            task.cancel()
        await asyncio.gather(*taken, return_exceptions=True)


# A hostile or clumsy client

HELLO = protocol.hello()
RUN = protocol.run(program("print('x' * 10)\nimport time\ntime.sleep(0.3)"))
GARBAGE = {
    "nothing": b"",
    "noise": os.urandom(4096),
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "half a header": b"\0\0",
    "half a frame": struct.pack(">IB", 1000, Kind.HELLO) + b"{",
    "a giant frame": struct.pack(">IB", 2**32 - 1, Kind.RUN) + b"x" * 1000,
    "a giant frame after HELLO": HELLO + struct.pack(">IB", 2**31, Kind.RUN) + b"x" * 1000,
    "another version": protocol.frame(Kind.HELLO, b'{"version": 99}'),
    "no version": protocol.frame(Kind.HELLO, b"{}"),
    "HELLO that is no JSON": protocol.frame(Kind.HELLO, b"\xff\xfe"),
    "HELLO that is a list": protocol.frame(Kind.HELLO, b"[1]"),
    "deep JSON": HELLO + protocol.frame(Kind.RUN, b"[" * 10**6),
    "RUN before HELLO": RUN,
    "HELLO twice": HELLO + HELLO,
    "an unknown kind": HELLO + struct.pack(">IB", 0, 200),
    "CANCEL of nothing": HELLO + protocol.frame(Kind.CANCEL),
    "what only a host says": HELLO + protocol.frame(Kind.DONE, b"{}"),
    "RUN of nothing": HELLO + protocol.frame(Kind.RUN, b"{}"),
    "RUN twice at once": HELLO + RUN + RUN,
    "RUN, then noise": HELLO + RUN + os.urandom(100),
    "RUN, then half a frame": HELLO + RUN + b"\0\0",
    "limits of the wrong type": HELLO + RUN.replace(b"5.0", b'"5"'),
    "limits below nothing": HELLO + RUN.replace(b"5.0", b"-50"),
    "source of the wrong type": HELLO
    + protocol.frame(Kind.RUN, b'{"id": "x", "runtime": "wasmtime", "program": {"kind": "python", "source": 3}}'),
}


@pytest.mark.parametrize("sent", GARBAGE.values(), ids=GARBAGE)
async def test_a_client_that_speaks_nonsense_loses_its_connection_and_harms_nobody(host: Path, sent: bytes) -> None:
    reader, writer = await asyncio.open_unix_connection(str(host))
    writer.write(sent)
    with suppress(OSError):
        await writer.drain()
        writer.write_eof()
    async with asyncio.timeout(10):
        with suppress(ConnectionResetError):
            heard = await reader.read()
    writer.close()

    assert len(heard) < 10_000
    assert await still_serves(host)


async def test_nonsense_is_answered_by_what_was_wrong(host: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(str(host))
    writer.write(struct.pack(">IB", 2**32 - 1, Kind.HELLO))
    said = await protocol.read_frame(reader)
    writer.close()

    assert said is not None
    assert "a frame of 4294967295 bytes; at most" in str(protocol.parse_failed(said[1]))


async def test_a_client_that_speaks_another_version_is_told_so(host: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(str(host))
    writer.write(protocol.frame(Kind.HELLO, b'{"version": 99}'))
    said = await protocol.read_frame(reader)
    writer.close()

    assert said is not None
    assert "protocol version 99; this side speaks 3" in str(protocol.parse_failed(said[1]))


async def test_a_client_that_vanishes_takes_its_guest_with_it(folder: Path) -> None:
    async with host_process(folder / "vanish", "--permits", "1", "--workers", "2") as (path, process):
        for _ in range(4):
            reader, writer = await asyncio.open_unix_connection(str(path))
            endless = program("print(1)\nwhile True: pass", cpu_seconds=60, wall_seconds=120)
            writer.write(HELLO + protocol.run(endless))
            await protocol.read_frame(reader)
            assert await protocol.read_frame(reader) == (Kind.STDOUT, b"1\n")
            writer.transport.abort()
        async with asyncio.timeout(10):  # the one permit is free again each time
            assert await still_serves(path)
        assert len(children(process.pid)) <= 3


async def test_a_client_that_does_not_read_stops_nobody_else(host: Path) -> None:
    _, writer = await asyncio.open_unix_connection(str(host))
    writer.write(HELLO + protocol.run(program("for _ in range(100): print('x' * 10**5)", output_bytes=10**7)))
    await asyncio.sleep(0.2)

    assert await still_serves(host)
    writer.transport.abort()


# The end of a process


async def test_the_socket_and_its_folder_are_for_the_owner_alone(host: Path) -> None:
    assert stat.S_IMODE(host.stat().st_mode) == 0o600
    assert stat.S_IMODE(host.parent.stat().st_mode) == 0o700


async def test_a_worker_that_is_killed_fails_its_program_and_is_replaced(folder: Path) -> None:
    async with (
        host_process(folder / "killed", "--permits", "1", "--workers", "2") as (path, process),
        open_client(path) as client,
    ):
        started = asyncio.Event()
        running = asyncio.create_task(client.run(program("print(1)\nwhile True: pass"), lambda *_: started.set()))
        await started.wait()
        nursery, *workers = children(process.pid)
        for pid in workers:
            os.kill(pid, signal.SIGKILL)

        with pytest.raises(GuestCrashed):
            await running
        assert await gone(*workers)
        assert (await client.run(program("print(2)"), nowhere)).stdout == b"2\n"
        assert children(process.pid)[0] == nursery


async def test_a_nursery_that_is_killed_is_replaced_with_its_workers(folder: Path) -> None:
    async with host_process(folder / "nursery", "--workers", "2") as (path, process), open_client(path) as client:
        before = children(process.pid)
        os.kill(before[0], signal.SIGKILL)

        assert await gone(*before)
        assert (await client.run(program("print(2)"), nowhere)).stdout == b"2\n"


async def test_a_worker_whose_nursery_ends_before_it_has_walls_ends_too() -> None:
    late = f"""{FOUND}
import os, socket, time
from sandbox import nursery
from tests.doubles.broken_engine import BrokenEngine

def engine(_file):
    while os.getppid() == parent:
        time.sleep(0.01)
    return BrokenEngine()

parent = os.getpid()
nursery.serve(socket.socket(fileno=0), lambda: dict.fromkeys(nursery.Errand, engine))
"""
    async with open_nursery([sys.executable, "-c", late]) as nursery:
        worker = await nursery.fork(lambda _worker: None)
        _, parent, *_ = Path(f"/proc/{worker._pid}/stat").read_text().rpartition(")")[2].split()
        os.kill(int(parent), signal.SIGKILL)
        with pytest.raises(RuntimeUnavailable, match="ended before it was ready"):
            await worker.ready()
        await worker.end()


async def test_a_worker_that_says_that_it_is_ready_and_ends_is_not_used() -> None:
    slow = f"""{FOUND}
import socket, time
from sandbox import nursery
from tests.doubles.broken_engine import BrokenEngine

class Engine(BrokenEngine):
    def exercise(self):
        time.sleep(0.3)

nursery.serve(socket.socket(fileno=0), lambda: dict.fromkeys(nursery.Errand, lambda _file: Engine()))
"""
    async with open_nursery([sys.executable, "-c", slow]) as nursery:
        worker = await nursery.fork(lambda _worker: None)
        ready, *_ = select.select([worker._writer.get_extra_info("socket").fileno()], [], [], 30)  # unheard by the loop
        os.kill(worker._pid, signal.SIGKILL)
        while runs(worker._pid):
            time.sleep(0.01)
        assert ready
        with pytest.raises(RuntimeUnavailable, match="ended before it was ready"):
            await worker.ready()
        await worker.end()


async def test_a_host_that_stands_still_is_told_as_such_before_it_has_greeted(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "HELLO_SECONDS", 0.2)
    path = folder / "still.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        async with asyncio.timeout(10), open_client(path) as client:
            with pytest.raises(RuntimeUnavailable, match="does not answer"):
                await client.run(program("print(1)"), nowhere)


async def test_a_host_that_comes_to_a_standstill_does_not_answer_by_a_connection_it_had_opened_before(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with host_process(folder / "halted") as (path, process), open_client(path) as client:
        assert (await client.run(program("print(1)"), nowhere)).stdout == b"1\n"
        monkeypatch.setattr(client_module, "HELLO_SECONDS", 0.2)
        os.kill(process.pid, signal.SIGSTOP)
        try:
            with pytest.raises(RuntimeUnavailable, match="does not answer"):
                await client.check()
        finally:
            os.kill(process.pid, signal.SIGCONT)


async def test_a_full_disk_refuses_an_installation_and_nothing_else(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = folder / "full" / "host.sock"
    content = bytes(wat2wasm(f'(module (memory (export "memory") 1) (func (export "_start")) (data "{os.urandom(8).hex()}"))'))
    async with (
        open_sandbox({"wasmtime": OPTIONS["wasmtime"]()}, permits=1, queue=1) as sandbox,
        open_host(sandbox, path),
        open_client(path) as client,
    ):
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(RuntimeUnavailable, match="No space left") as refused:
            await client.install("wasmtime", content)
        assert not isinstance(refused.value, HostGone)
        [connection] = client._idle
        assert (await client.run(program("print(2)"), nowhere)).stdout == b"2\n"
        assert client._idle == [connection]


@pytest.mark.parametrize(("number", "told"), [(errno.EMFILE, RuntimeUnavailable), (errno.EPIPE, HostGone)])
async def test_what_the_machine_lacks_is_told_and_a_connection_that_broke_ends(
    folder: Path, number: int, told: type[RuntimeUnavailable]
) -> None:
    class Lacking(Sandbox):
        async def run(self, *_: object) -> Outcome:
            raise OSError(number, os.strerror(number))

    path = folder / "lacking" / "host.sock"
    async with open_host(Lacking({}, permits=1, queue=1), path), open_client(path) as client:
        with pytest.raises(RuntimeUnavailable) as refused:
            await client.run(program("print(1)"), nowhere)
    assert type(refused.value) is told


async def test_a_program_that_waits_too_long_for_its_turn_is_told_so_while_its_client_still_listens(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Endless:
        async def run(self, *_: object) -> Outcome:
            began.set()
            await asyncio.sleep(60)
            raise AssertionError("it was cancelled")

    assert dispatcher.QUEUE_SECONDS + dispatcher.WAITING_SECONDS + CANCEL_SECONDS < client_module.PATIENCE_SECONDS
    monkeypatch.setattr(dispatcher, "QUEUE_SECONDS", 0.2)
    began, path = asyncio.Event(), folder / "patience" / "host.sock"
    async with open_host(Sandbox({"wasmtime": Endless()}, permits=1, queue=1), path), open_client(path) as client:
        running = asyncio.create_task(client.run(program(""), nowhere))
        await began.wait()
        async with asyncio.timeout(10):
            with pytest.raises(SandboxBusy, match="none became free in time"):
                await client.run(program(""), nowhere)
        running.cancel()
        await asyncio.wait([running])


async def test_a_program_that_waits_for_others_after_its_call_uses_none_of_its_own_time() -> None:
    class Calling:
        async def run(self, invocation: Invocation, on_output: OnOutput, on_call: OnCall = refuse_calls) -> Outcome:
            if invocation.capabilities.tools:
                await on_call("pay", "")
                await asyncio.sleep(30 if invocation.id == "spends" else 0)
            else:
                began.set()
                await asyncio.sleep(1.5)
            return Outcome(exit_code=0)

    async def pay(_name: str, _arguments: str) -> Answer:
        running.append(asyncio.create_task(sandbox.run(program("other"), nowhere)))
        await began.wait()
        return Answer(text="paid")

    sandbox, began = Sandbox({"wasmtime": Calling()}, permits=1, queue=8), asyncio.Event()
    running: list[asyncio.Task[Outcome]] = []
    paying = replace(program("", wall_seconds=1), capabilities=Capabilities(tools=("pay",)))
    assert (await sandbox.run(paying, nowhere, pay)).exit_code == 0
    with pytest.raises(LimitExceeded, match="wall_seconds"):
        async with asyncio.timeout(10):
            await sandbox.run(replace(paying, id="spends"), nowhere, pay)
    await asyncio.gather(*running)


async def test_what_nobody_foresaw_in_the_host_is_told_at_once_and_ends_that_connection_alone(folder: Path) -> None:
    class Broken(Sandbox):
        async def run(self, *_: object) -> Outcome:
            raise RuntimeError("a defect")

    path = folder / "defect" / "host.sock"
    async with open_host(Broken({}, permits=1, queue=1), path), open_client(path) as client:
        for _ in range(2):
            async with asyncio.timeout(10):
                with pytest.raises(HostGone):
                    await client.run(program("print(1)"), nowhere)


async def test_a_host_that_is_killed_takes_every_worker_with_it_and_the_client_finds_the_next_one(folder: Path) -> None:
    async with host_process(folder / "first", "--workers", "3") as (path, process), open_client(path) as client:
        started = asyncio.Event()
        running = asyncio.create_task(client.run(program("print(1)\nwhile True: pass"), lambda *_: started.set()))
        await started.wait()
        await client.run(program("print(1)"), nowhere)
        async with asyncio.timeout(60):
            while len(others := children(process.pid)) != 4:  # the nursery and its workers, the last of which is still coming
                await asyncio.sleep(0.01)
        process.kill()

        with pytest.raises(RuntimeUnavailable, match="went away"):
            await running
        assert await gone(*others)
        await process.wait()
        with pytest.raises(RuntimeUnavailable, match="no sandbox host answers"):
            await client.run(program("print(1)"), nowhere)
        async with host_process(folder / "first") as (again, _):  # over the socket that the first one left behind
            assert again == path
            assert (await client.run(program("print(3)"), nowhere)).stdout == b"3\n"


async def test_a_host_that_is_gone_is_told_as_such_on_the_gateways_loop_too(folder: Path) -> None:
    """There a closed transport refuses to be written to, where asyncio's own lets it pass."""

    async def ask_after_its_end(path: Path, pid: int) -> None:
        connection = await Connection.open(path)
        os.kill(pid, signal.SIGKILL)
        while connection.usable:
            await asyncio.sleep(0.01)
        with pytest.raises(RuntimeUnavailable, match="went away"):
            await connection.ask([protocol.run(program("print(1)"))], Capture(0, nowhere), refuse_calls)
        await connection.cancel()

    async with host_process(folder / "gone") as (path, process):
        await asyncio.to_thread(uvloop.run, ask_after_its_end(path, process.pid))


async def test_a_host_that_is_asked_to_stop_ends_its_programs_and_its_socket(folder: Path) -> None:
    async with host_process(folder / "stop", "--workers", "2") as (path, process), open_client(path) as client:
        running = asyncio.create_task(client.run(program("import time\ntime.sleep(60)"), nowhere))
        await asyncio.sleep(0.2)
        others = children(process.pid)
        process.terminate()

        with pytest.raises(RuntimeUnavailable):
            await running
        assert await process.wait() == 0
        assert await gone(*others)
        assert not path.exists()


async def start(folder: Path, *options: str) -> tuple[int, str]:
    command = ["-m", "sandbox.host", "--socket", str(folder / "host.sock"), *options]
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stderr=asyncio.subprocess.PIPE)
    _, said = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


async def test_a_second_host_on_the_same_socket_says_so_and_leaves_the_first_alone(host: Path) -> None:
    code, said = await start(host.parent, "--guest", str(guest()))

    assert (code, "another sandbox host serves" in said) == (1, True)
    assert await still_serves(host)


async def test_a_folder_that_others_can_open_is_refused(folder: Path) -> None:
    (folder / "open").mkdir()
    (folder / "open").chmod(0o755)
    code, said = await start(folder / "open", "--guest", str(guest()))

    assert (code, "must belong to this user and be closed to others" in said) == (1, True)


async def test_a_guest_that_others_could_have_written_is_refused(folder: Path) -> None:
    forged = folder / "forged.cwasm"
    forged.write_bytes(b"native code")
    forged.chmod(0o666)
    code, said = await start(folder / "forged", "--guest", str(forged))

    assert (code, "must belong to this user" in said) == (1, True)


async def test_a_guest_that_is_damaged_or_missing_ends_the_host_with_a_message(folder: Path) -> None:
    damaged = folder / "damaged.cwasm"
    damaged.write_bytes(b"not native code")
    damaged.chmod(0o600)
    for path, message in ((damaged, "did not load"), (folder / "nowhere", "does not exist")):
        code, said = await start(folder / "damaged", "--guest", str(path))
        assert (code, message in said) == (1, True)
