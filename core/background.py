"""What goes on beside the requests for as long as the platform is open: started, ended, and missed when it stops. It knows no
work.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Protocol

from core.errors import Unavailable

log = logging.getLogger(__name__)


class Endless(Protocol):
    async def run(self) -> None:
        """Until cancelled."""
        ...


class Background:
    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def running(self, work: Endless) -> AsyncGenerator[None, None]:
        task = asyncio.create_task(work.run(), name=type(work).__name__)
        task.add_done_callback(_say_why)
        self._tasks.append(task)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def check(self) -> None:
        """Raises Unavailable when something has stopped."""
        for task in self._tasks:
            if task.done():
                raise Unavailable(f"{task.get_name()} has stopped; the server must be started again", code="background_stopped")


def _say_why(task: "asyncio.Task[None]") -> None:
    """It ends with the platform. Any other end is a bug that nobody would notice for long."""
    if not task.cancelled():
        log.critical("%s has stopped; the server must be started again", task.get_name(), exc_info=task.exception())
