"""How many workers a pool keeps."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from sandbox.contract import Runtime
from sandbox.pool import PoolOptions
from sandbox.runtimes.wasmtime import open_runtime
from tests.e2e.paddock import descendants
from tests.sandboxing import guest, nowhere, program

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
