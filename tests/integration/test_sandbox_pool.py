"""How many workers a pool keeps, and what becomes of them when one ends at a bad moment."""

import asyncio
import errno
import os
import select
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from sandbox import Capabilities, GuestCrashed, Outcome, Stream, protocol
from sandbox.contract import Runtime
from sandbox.nursery import Errand
from sandbox.pool import PoolOptions, open_pool
from sandbox.process import Nursery, Worker
from sandbox.runtimes.wasmtime import open_runtime
from tests.e2e.paddock import descendants
from tests.sandboxing import guest, nowhere, program

ROOT = Path(__file__).parents[2]
PYTHON = [sys.executable, "-I", "-m", "sandbox.runtimes.wasmtime"]
SPARE = PoolOptions(command=(), workers=1).spare


@asynccontextmanager
async def pool(**options: float) -> AsyncIterator[tuple[Runtime, Callable[[], int]]]:
    """And how many workers it has: the processes that began since, but for their nursery."""
    before = descendants(os.getpid())

    def workers() -> int:
        now = descendants(os.getpid()).items()
        return sum("sandbox.runtimes.wasmtime" in name for pid, name in now if pid not in before) - 1

    async with open_runtime({"guest": guest(), **options}) as runtime:
        yield runtime, workers


async def until(workers: Callable[[], int], count: int) -> None:
    async with asyncio.timeout(60):
        while workers() != count:
            await asyncio.sleep(0.05)


async def need(runtime: Runtime, enough: asyncio.Event) -> set[int]:
    """A worker, for one program after another. Gives their exit codes."""
    codes: set[int] = set()
    while not enough.is_set():
        codes.add((await runtime.run(program("import time; time.sleep(0.2)"), nowhere)).exit_code)
    return codes


async def test_the_workers_of_a_burst_end_when_nobody_needed_them_for_a_while_and_come_back_when_somebody_does() -> None:
    async with pool(workers=6, burst_seconds=1) as (runtime, workers):
        for _ in range(2):
            enough = asyncio.Event()
            burst = [asyncio.create_task(need(runtime, enough)) for _ in range(6)]
            await until(workers, 6)
            enough.set()
            assert [await one for one in burst] == [{0}] * 6
            await until(workers, SPARE)


async def test_workers_that_are_needed_again_and_again_stay() -> None:
    async with pool(workers=6, burst_seconds=2) as (runtime, workers):
        enough = asyncio.Event()
        needing = [asyncio.create_task(need(runtime, enough)) for _ in range(4)]
        await until(workers, 4 + SPARE)
        enough.set()
        await asyncio.wait(needing)
        for _ in range(10):  # three times as long as one stays that nobody needs
            await asyncio.gather(*(runtime.run(program("import time; time.sleep(0.2)"), nowhere) for _ in range(4)))
            for _ in range(4):
                assert workers() >= 4
                await asyncio.sleep(0.1)


async def test_a_program_that_may_call_tools_ends_no_more_workers_than_it_needs_room() -> None:
    async with open_pool(PoolOptions(command=[*PYTHON, str(guest())], workers=5)) as runtime:
        burst = [asyncio.create_task(runtime.run(program("import time; time.sleep(1)"), nowhere)) for _ in range(5)]
        await asyncio.gather(*burst)
        used = [worker for worker in runtime._workers if worker.programs]
        assert len(used) == 5
        granted = replace(program("print(1)"), capabilities=Capabilities(tools=("pay",)))
        assert (await runtime.run(granted, nowhere)).exit_code == 0
        assert len([worker for worker in used if worker in runtime._workers]) == 4


def megabytes(worker: Worker, line: str) -> int:
    status = Path(f"/proc/{worker._pid}/status").read_text()
    [kilobytes] = [said.split()[1] for said in status.splitlines() if said.startswith(line)]
    return int(kilobytes) // 1024


async def test_what_a_program_had_in_memory_is_gone_with_it_also_where_it_left_at_once() -> None:
    leaving = "x = bytearray(100 * 2**20)\nx[::4096] = b'1' * len(x[::4096])\nimport os\nos._exit(0)"
    async with open_pool(PoolOptions(command=[*PYTHON, str(guest())], workers=1)) as runtime:
        [worker] = runtime._workers
        for _ in range(4):
            assert (await runtime.run(program(leaving), nowhere)).exit_code == 0
        assert runtime._workers == [worker]
        assert megabytes(worker, "VmRSS") < 100


async def test_a_call_that_nobody_would_take_is_not_copied_again_and_again_outside_the_guests_memory() -> None:
    """Two copies are the guest's, and two are made before anybody can look."""
    calling = "import wit_world\ntry: wit_world.call_tool('x', 'a' * (100 * 2**20))\nexcept BaseException as e: print(e.value)"
    async with open_pool(PoolOptions(command=[*PYTHON, str(guest())], workers=1)) as runtime:
        [worker] = runtime._workers
        said: list[bytes] = []
        await runtime.run(program(calling), lambda _stream, data: said.append(data))
        assert said == [b"the arguments are too long\n"]
        assert megabytes(worker, "VmHWM") < 550


def engine(before_serving: str) -> list[str]:
    """The command of a nursery whose workers run what they are given natively. before_serving: code, with `fork` at hand."""
    return [
        sys.executable,
        "-c",
        f"""import sys; sys.path.insert(0, {str(ROOT)!r})
import errno, itertools, os, socket, time
from sandbox import nursery
from tests.doubles.broken_engine import BrokenEngine

fork, forks, parent = os.fork, itertools.count(1), os.getpid()
{before_serving}
nursery.serve(socket.socket(fileno=0), lambda: dict.fromkeys(nursery.Errand, lambda _file: BrokenEngine()))
""",
    ]


async def test_a_machine_without_room_for_another_process_ends_no_program_that_runs() -> None:
    full = """
def refused():
    if next(forks) in (2, 3):
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
    return fork()

os.fork = refused
"""
    async with open_pool(PoolOptions(command=engine(full), workers=3)) as runtime:
        first = asyncio.create_task(runtime.run(program("time.sleep(3)"), nowhere))
        second = await runtime.run(program("tell(2)"), nowhere)  # by the fourth, which comes after all
        assert (second.exit_code, (await first).exit_code) == (0, 0)


async def test_a_worker_that_ends_before_it_is_one_of_the_pools_leaves_its_place_to_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    short = """
def forked():
    number, pid = next(forks), fork()
    if pid == 0 and number == 2:
        time.sleep(0.2)
        os._exit(0)
    return pid

os.fork = forked
"""
    watched = count()

    def watch(worker: Worker, on_exit: Callable[[Worker], None]) -> None:
        begin(worker, on_exit)
        if next(watched) == 1:  # the loop hears of its end before anybody has heard of the worker
            assert select.select([worker._pidfd], [], [], 30)[0]

    begin = Worker.watch
    monkeypatch.setattr(Worker, "watch", watch)
    async with open_pool(PoolOptions(command=engine(short), workers=1)) as runtime:
        with pytest.raises(GuestCrashed):
            await runtime.run(program("os._exit(0)"), nowhere)
        assert (await runtime.run(program("tell(2)"), nowhere)).exit_code == 0


async def test_what_a_program_said_at_its_end_stands_also_if_its_worker_is_killed_just_then() -> None:
    killed = f"""
tell(1)
time.sleep(0.1)
for fd in range(3, 9):
    try: os.write(fd, {protocol.done(Outcome(exit_code=3))!r})
    except OSError: pass
os._exit(0)
"""

    def busy(_stream: Stream, _data: bytes) -> None:
        """The loop hears of both in one go."""
        [worker] = runtime._workers
        assert select.select([worker._pidfd], [], [], 30)[0]

    async with open_pool(PoolOptions(command=engine(""), workers=1)) as runtime:
        assert (await runtime.run(program(killed), busy)).exit_code == 3
        assert (await runtime.run(program("tell(2)"), nowhere)).exit_code == 0


async def test_a_pool_that_is_left_while_its_fork_breaks_off_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(nursery: Nursery, *_: object) -> Worker:
        asked.set()
        await left.wait()
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    asked, left = asyncio.Event(), asyncio.Event()
    async with AsyncExitStack() as stack:
        runtime = await stack.enter_async_context(open_pool(PoolOptions(command=engine(""), workers=2)))
        await runtime.run(program("tell(1)"), nowhere)
        monkeypatch.setattr(Nursery, "_forked", broken)
        with pytest.raises(GuestCrashed):
            await runtime.run(program("os._exit(0)"), nowhere)
        await asked.wait()
        leaving = asyncio.create_task(stack.aclose())
        asyncio.get_running_loop().call_later(0.1, left.set)
        ended, _ = await asyncio.wait([leaving], timeout=20)
        assert ended


async def test_who_waits_for_the_next_nursery_gets_the_one_after_a_start_that_failed(tmp_path: Path) -> None:
    failing = f"""
starts = open({str(tmp_path / "starts")!r}, "a+")
starts.write("x")
starts.seek(0)
if starts.read() == "xx":
    sys.exit(1)
starts.close()
"""
    async with open_pool(PoolOptions(command=engine(failing), workers=1)) as runtime:
        started, [worker] = runtime._nursery.result(), runtime._workers
        _, parent, *_ = Path(f"/proc/{worker._pid}/stat").read_text().rpartition(")")[2].split()
        with pytest.raises(GuestCrashed):
            await runtime.run(program("os._exit(0)"), nowhere)
        os.kill(int(parent), signal.SIGKILL)
        while runtime._nursery.done():
            await asyncio.sleep(0.01)
        with open(os.devnull, "rb") as file:
            async with asyncio.timeout(20):
                outcome = await runtime.run_apart(Errand.PROGRAM, program("tell(2)"), nowhere, file.fileno())
        assert outcome.exit_code == 0
        assert runtime._nursery.result() is not started
        assert (tmp_path / "starts").read_text() == "xxx"


async def test_who_waits_for_a_worker_that_ends_at_its_start_gets_another_one() -> None:
    short = """
def forked():
    number, pid = next(forks), fork()
    if pid == 0 and number == 3:
        time.sleep(2)
        os._exit(0)
    return pid

os.fork = forked
"""
    granted = replace(program("tell(3)"), capabilities=Capabilities(tools=("pay",)))  # it needs a worker that nobody used
    async with open_pool(PoolOptions(command=engine(short), workers=3, spare=1)) as runtime:
        running = [asyncio.create_task(runtime.run(program("time.sleep(0.5)"), nowhere)) for _ in range(2)]
        await asyncio.sleep(1)
        async with asyncio.timeout(20):
            assert (await runtime.run(granted, nowhere)).exit_code == 0
        await asyncio.gather(*running)
