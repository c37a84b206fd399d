"""Keeps the leases of the turns that run here, and goes on with the turns of processes that are gone.

Turns in the background are the runner's, who counts them.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping

from core.conversations.adoption import Adoption
from core.conversations.running import RunningTurn, StopReason
from core.errors import PaddockError
from core.storage.identities import IdentityStore
from core.storage.leases import Leases
from core.storage.wakeups import CANCELLATIONS, Wakeups

log = logging.getLogger(__name__)


class Upkeep:
    def __init__(
        self,
        *,
        leases: Leases,
        adoption: Adoption,
        identities: IdentityStore,
        wakeups: Wakeups,
        running: Mapping[str, RunningTurn],
    ) -> None:
        self._leases = leases
        self._adoption = adoption
        self._identities = identities
        self._wakeups = wakeups
        self._running = running

    async def run(self) -> None:
        """Until cancelled. A database that is away is asked again at the next time."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._again_and_again(self._keep_up))
            tasks.create_task(self._again_and_again(self.adopt_orphans))  # which may take longer than a lease
            tasks.create_task(self._heed())

    async def _heed(self) -> None:
        """Stop turns that were cancelled elsewhere: at a hint, or soon after where there is no Redis to bring one."""
        while True:
            await self._wakeups.wait(CANCELLATIONS)
            try:
                await self.stop_cancelled()
            except PaddockError as exc:
                log.warning("turns that were cancelled elsewhere run on: %s", exc.message)

    async def _again_and_again(self, work: Callable[[], Awaitable[None]]) -> None:
        """Three times a lease."""
        while True:
            try:
                await work()
            except PaddockError as exc:
                log.warning("upkeep of turns has to wait: %s", exc.message)
            await asyncio.sleep(self._leases.seconds / 3)

    async def _keep_up(self) -> None:
        await self.keep_leases()
        await self.stop_revoked()

    async def keep_leases(self) -> None:
        """Renew the leases of the turns that run here; stop those that were lost."""
        if held := self._held():
            self._stop(held, await self._leases.renew(list(held)), StopReason.LEASE_LOST)

    async def stop_cancelled(self) -> None:
        if held := self._held():
            self._stop(held, await self._leases.cancelled(list(held)), StopReason.CANCELLED)

    def _held(self) -> Mapping[str, RunningTurn]:
        return {turn_id: running for turn_id, running in self._running.items() if running.holds_lease}

    def _stop(self, held: Mapping[str, RunningTurn], turn_ids: Iterable[str], reason: StopReason) -> None:
        """Those that were asked about: one may have been taken anew meanwhile, under another lease."""
        for turn_id in turn_ids:
            held[turn_id].stop(reason)

    async def stop_revoked(self) -> None:
        """Stop unstored turns whose key was revoked. The journal stops all others, at their next event."""
        unstored = [running for running in self._running.values() if not running.turn.stored]
        if not unstored:
            return
        valid = await self._identities.valid_keys({running.turn.key_id for running in unstored})
        for running in unstored:
            if running.turn.key_id not in valid:
                running.stop(StopReason.KEY_REVOKED)

    async def adopt_orphans(self) -> None:
        """Go on with turns whose process is gone and whose clients wait. One at a time: no lease runs out in a line."""
        while orphans := await self._leases.take_orphans(limit=1):
            for orphan in orphans:
                try:
                    await self._adoption.take(orphan)
                except PaddockError as exc:
                    log.warning("turn %s cannot go on here yet: %s", orphan.turn.id, exc.message)
                except asyncio.CancelledError:
                    await self._adoption.let_go(orphans)
                    raise
