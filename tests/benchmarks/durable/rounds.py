"""What every side does with its turn: a line says how many turns, and how many at once; a line of JSON tells what they took."""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable


async def serve(turn: Callable[[], Awaitable[None]]) -> None:
    """Until the input ends."""
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        turns, at_once = map(int, line.split())
        took: list[float] = []
        left = iter(range(turns))

        async def one_after_another(left=left, took=took) -> None:  # type: ignore[no-untyped-def]
            for _ in left:
                began = time.perf_counter()
                await turn()
                took.append(time.perf_counter() - began)

        began = time.perf_counter()
        await asyncio.gather(*(one_after_another() for _ in range(at_once)))
        print(json.dumps({"turns": took, "seconds": time.perf_counter() - began}), flush=True)
