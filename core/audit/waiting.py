"""How long the oldest record has waited to be sealed: looked up now and then, for whoever asks in between."""

import asyncio
import logging
from collections.abc import Mapping

from core.errors import PaddockError
from core.storage.audit_seals import SealStore

EVERY_SECONDS = 5.0
ANSWER_SECONDS = 5.0
log = logging.getLogger(__name__)


class SealDelay:
    """seconds: 0 where all records are sealed; empty while nobody knows."""

    def __init__(self, store: SealStore) -> None:
        self._store = store
        self.seconds: Mapping[str, float] | float = {}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(EVERY_SECONDS)

    async def look(self) -> None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                waiting = await self._store.unsealed()
        except (PaddockError, TimeoutError) as exc:
            why = exc.message if isinstance(exc, PaddockError) else f"no answer in {ANSWER_SECONDS:g} s"
            log.warning("nobody knows how long records of the audit log wait to be sealed: %s", why)
            self.seconds = {}
        else:
            self.seconds = waiting.seconds if waiting else 0.0
