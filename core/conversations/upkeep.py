"""Keeps the leases of the turns that run here, and goes on with the turns of processes that are gone."""

import asyncio
import logging
from collections.abc import Mapping

from core.conversations.adoption import Adoption
from core.conversations.running import RunningTurn, StopReason
from core.errors import PaddockError
from core.storage.identities import IdentityStore
from core.storage.leases import Leases

log = logging.getLogger(__name__)
AT_ONCE = 20


class Upkeep:
    def __init__(
        self,
        *,
        leases: Leases,
        adoption: Adoption,
        identities: IdentityStore,
        running: Mapping[str, RunningTurn],
    ) -> None:
        self._leases = leases
        self._adoption = adoption
        self._identities = identities
        self._running = running

    async def run(self) -> None:
        """Until cancelled, three times a lease. A database that is away is asked again at the next time."""
        while True:
            try:
                await self.keep_leases()
                await self.stop_revoked()
                if await self.adopt_orphans() == AT_ONCE:
                    continue
            except PaddockError as exc:
                log.warning("upkeep of turns has to wait: %s", exc.message)
            await asyncio.sleep(self._leases.seconds / 3)

    async def keep_leases(self) -> None:
        """Renew the leases of the turns that run here; stop those that were lost or that somebody cancelled elsewhere."""
        held = [turn_id for turn_id, running in self._running.items() if running.holds_lease]
        if not held:
            return
        renewed = await self._leases.renew(held)
        for turn_id in renewed.lost | renewed.cancelled:
            if running := self._running.get(turn_id):
                running.stop(StopReason.LEASE_LOST if turn_id in renewed.lost else StopReason.CANCELLED)

    async def stop_revoked(self) -> None:
        """Stop unstored turns whose key was revoked. The journal stops all others, at their next event."""
        unstored = [running for running in self._running.values() if not running.turn.stored]
        if not unstored:
            return
        valid = await self._identities.valid_keys({running.turn.key_id for running in unstored})
        for running in unstored:
            if running.turn.key_id not in valid:
                running.stop(StopReason.KEY_REVOKED)

    async def adopt_orphans(self) -> int:
        """Go on with turns whose process is gone, AT_ONCE at most. Returns how many there were."""
        orphans = await self._leases.take_orphans(limit=AT_ONCE)
        for orphan in orphans:
            try:
                await self._adoption.take(orphan)
            except PaddockError as exc:
                log.warning("turn %s cannot go on here yet: %s", orphan.turn.id, exc.message)
        return len(orphans)
