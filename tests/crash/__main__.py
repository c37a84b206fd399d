"""`python -m tests.crash POINTS SEED`: as many points, from that seed on. The first that fails ends it, and is named."""

import asyncio
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.crash.plan import draw
from tests.crash.point import play
from tests.crash.stand import open_stand


async def main(points: int, first: int) -> int:
    home, began = Path(tempfile.mkdtemp(prefix="paddock-crash-")), time.monotonic()
    died = resumed = 0
    async with open_stand(home) as stand:
        for seed in range(first, first + points):
            plan = draw(seed)
            try:
                outcome = await play(stand, plan)
            except (AssertionError, TimeoutError, ExceptionGroup):
                traceback.print_exc()
                print(f"FAILED: make crash N=1 {plan}; logs are in {home / 'logs'}")
                return 1
            died, resumed = died + outcome.died, resumed + outcome.resumed
            print(f"{time.monotonic() - began:7.1f} s  {plan}: {outcome.died} died, {outcome.resumed} came back", flush=True)
    print(f"{points} points, {died} deaths, {resumed} streams resumed: nothing lost, nothing done twice, no turn stuck")
    shutil.rmtree(home)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]))))
