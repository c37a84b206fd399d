"""How many workers a pool keeps."""

import asyncio
import os

from sandbox.pool import PoolOptions
from sandbox.runtimes.wasmtime import open_runtime
from tests.e2e.paddock import descendants
from tests.sandboxing import guest, nowhere, program

NURSERY = 1
SPARE = PoolOptions(command=(), workers=1).spare


def workers() -> int:
    return sum("sandbox.runtimes.wasmtime" in name for name in descendants(os.getpid()).values()) - NURSERY


async def until(count: int) -> None:
    async with asyncio.timeout(60):
        while workers() != count:
            await asyncio.sleep(0.05)


async def test_the_workers_of_a_burst_end_when_nobody_needed_them_for_a_while_and_come_back_when_somebody_does() -> None:
    async with open_runtime({"guest": guest(), "workers": 6, "burst_seconds": 1}) as runtime:
        for _ in range(2):
            burst = [asyncio.create_task(runtime.run(program("import time; time.sleep(1)"), nowhere)) for _ in range(6)]
            await until(6)
            assert [(await one).exit_code for one in burst] == [0] * 6
            await until(SPARE)


async def test_workers_that_are_needed_again_and_again_stay() -> None:
    async with open_runtime({"guest": guest(), "workers": 6, "burst_seconds": 0.5}) as runtime:
        for _ in range(6):
            await asyncio.gather(*(runtime.run(program("import time; time.sleep(0.2)"), nowhere) for _ in range(4)))
            assert workers() >= 4
