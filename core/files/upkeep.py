"""Removes files whose time is over and objects that nobody has. Any number of processes may do it at once."""

import asyncio
import logging

from core.errors import Unavailable
from core.files.files import Files

EVERY_SECONDS = 60.0
log = logging.getLogger(__name__)


class FileUpkeep:
    def __init__(self, files: Files) -> None:
        self._files = files

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self._files.sweep()
            except Unavailable as exc:
                log.warning("upkeep of files has to wait: %s", exc.code)
            await asyncio.sleep(EVERY_SECONDS)
