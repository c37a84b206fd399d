"""How many turns wait in each queue, of all servers together: looked up now and then, for whoever asks in between."""

import asyncio
import logging
from collections.abc import Mapping

from core.conversations.request import Queue
from core.errors import PaddockError
from core.storage.turns import TurnStore

EVERY_SECONDS = 5.0
ANSWER_SECONDS = 5.0
log = logging.getLogger(__name__)


class QueueDepth:
    """waiting: by the queue's name; empty while nobody knows, by which Prometheus sees that PostgreSQL is away."""

    def __init__(self, turns: TurnStore) -> None:
        self._turns = turns
        self.waiting: Mapping[str, float] = {}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(EVERY_SECONDS)

    async def look(self) -> None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                found = await self._turns.waiting_by_queue()
        except (PaddockError, TimeoutError) as exc:
            why = exc.message if isinstance(exc, PaddockError) else f"no answer in {ANSWER_SECONDS:g} s"
            log.warning("nobody knows how many turns wait: %s", why)
            self.waiting = {}
        else:
            self.waiting = {queue.name.lower(): found.get(queue, 0) for queue in Queue}
