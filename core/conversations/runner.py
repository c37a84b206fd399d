"""Takes turns that wait for a process, as many as may run at once in this one, and says when no more may wait."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from math import ceil

from core.conversations.adoption import Adoption
from core.conversations.request import Queue
from core.conversations.running import RunningTurn
from core.errors import PaddockError
from core.storage.journal import Places
from core.storage.leases import Leases, Orphan
from core.storage.wakeups import POLL_SECONDS, QUEUE, Wakeups

log = logging.getLogger(__name__)
ENDED_AT_ONCE = 20
BATCHES_SHARE = 0.5
"""Of the room: batches wait for hours, and who asks now is not to be sent away for them."""


class WaitingRoom:
    """most: in all; most_of_one: of one organisation."""

    def __init__(self, *, most: int, most_of_one: int) -> None:
        self._most = most
        self._most_of_one = most_of_one

    def places(self, queue: Queue) -> Places:
        share = BATCHES_SHARE if queue is Queue.BATCH else 1.0
        return Places(of_one=ceil(share * self._most_of_one), of_all=ceil(share * self._most))


class Runner:
    """PostgreSQL knows what waits. A hint through Redis makes it quick; without one it looks every POLL_SECONDS."""

    def __init__(
        self, *, leases: Leases, adoption: Adoption, running: Mapping[str, RunningTurn], wakeups: Wakeups, at_once: int
    ) -> None:
        self._leases = leases
        self._adoption = adoption
        self._running = running
        self._wakeups = wakeups
        self._at_once = at_once

    async def run(self) -> None:
        """Until cancelled. A database that is away is asked again."""
        while True:
            try:
                if await self.take():
                    continue
            except PaddockError as exc:
                log.warning("turns in the queue have to wait: %s", exc.message)
                await asyncio.sleep(POLL_SECONDS)
            await self._wakeups.wait(QUEUE)

    async def take(self) -> int:
        """Go on with what other processes have left, begin what there is room for, and end what was cancelled meanwhile.
        Returns how many there were.

        One that fails to begin is leased to us all the same: it is begun when the lease has run out.
        """
        left, full = self._room()
        orphans = await self._leases.take_orphans(limit=left, queued=True, cancelled=full)
        await self._begin(orphans)
        left, full = self._room()
        waiting = await self._leases.take_queued(limit=left, cancelled=full)
        await self._begin(waiting)
        return len(orphans) + len(waiting)

    def _room(self) -> tuple[int, bool]:
        """How many to take, and whether only to end them."""
        room = self._at_once - sum(running.turn.queue is not None for running in self._running.values())
        return (room, False) if room > 0 else (ENDED_AT_ONCE, True)

    async def _begin(self, taken: Sequence[Orphan]) -> None:
        try:
            for turn in taken:
                try:
                    await self._adoption.take(turn)
                except PaddockError as exc:
                    log.warning("turn %s cannot begin here yet: %s", turn.turn.id, exc.message)
        except asyncio.CancelledError:
            await self._adoption.let_go(taken)
            raise
