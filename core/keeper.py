"""What is done by one process at a time, for all: sealing, exports, retention. It knows no job, only when each is due."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from core.errors import PaddockError
from core.storage.database import Database
from core.storage.election import candidate

WATCH_SECONDS = 2.0
"""How often the office is sought, and checked."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """run: cancelled when the office is lost, and begun again elsewhere. every_seconds: from its end to its next start."""

    name: str
    every_seconds: float
    run: Callable[[], Awaitable[object]]


class Keeper:
    """Every server has one; PostgreSQL elects which of them works."""

    def __init__(self, database: Database, jobs: Sequence[Job]) -> None:
        self._database = database
        self._jobs = jobs

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                async with candidate(self._database) as elected:
                    while True:
                        if await elected():
                            await self._work(elected)
                        await asyncio.sleep(WATCH_SECONDS)
            except* PaddockError as group:
                log.warning("the keeper has to wait: %s", group.exceptions[0])
            await asyncio.sleep(WATCH_SECONDS)

    async def _work(self, elected: Callable[[], Awaitable[bool]]) -> None:
        """Ends when the office is lost, by what `elected` raises."""
        async with asyncio.TaskGroup() as group:
            for job in self._jobs:
                group.create_task(_repeat(job), name=f"keeper: {job.name}")
            while True:
                await elected()
                await asyncio.sleep(WATCH_SECONDS)


async def _repeat(job: Job) -> None:
    while True:
        try:
            await job.run()
        except PaddockError as exc:
            log.warning("%s has to wait: %s", job.name, exc.message)
        except Exception:  # a defect of one job is not to end the others
            log.exception("%s failed", job.name)
        await asyncio.sleep(job.every_seconds)
