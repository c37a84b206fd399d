"""Keeps the leases of the turns that run here, and ends the turns of processes that are gone."""

import asyncio
import logging
from collections.abc import Mapping

from core.audit.turns import TurnAudit
from core.conversations.feed import Feed
from core.conversations.record import Recorder
from core.conversations.running import RunningTurn, StopReason
from core.conversations.story import Story
from core.errors import PaddockError
from core.events import TurnEnded, TurnStatus
from core.storage.identities import IdentityStore
from core.storage.journal import Acceptance, Journal
from core.storage.leases import Leases, Orphan
from core.storage.records import Turn
from core.storage.turns import TurnStore

log = logging.getLogger(__name__)
ORPHANED = TurnEnded(status=TurnStatus.FAILED, reason="server_lost", message="the server process that ran the turn is gone")


class Upkeep:
    def __init__(
        self,
        *,
        journal: Journal,
        leases: Leases,
        turns: TurnStore,
        identities: IdentityStore,
        running: Mapping[str, RunningTurn],
    ) -> None:
        self._journal = journal
        self._leases = leases
        self._turns = turns
        self._identities = identities
        self._running = running

    async def run(self) -> None:
        """Until cancelled, three times a lease. A database that is away is asked again at the next time."""
        while True:
            try:
                await self.keep_leases()
                await self.stop_revoked()
                await self.end_orphans()
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

    async def end_orphans(self) -> int:
        """End the turns whose process is gone as failed, with what they had produced. Returns how many."""
        orphans = await self._leases.take_orphans()
        for orphan in orphans:
            await self._end_orphan(orphan)
        return len(orphans)

    async def _end_orphan(self, orphan: Orphan) -> None:
        turn = orphan.turn
        acceptance = Acceptance(
            turn=turn,
            request="{}",
            metadata="{}",
            inputs=(),
            lease_owner=self._leases.owner,
            lease_seconds=self._leases.seconds,
        )
        feed = Feed()
        journal = self._journal.continue_turn(acceptance, epoch=orphan.epoch, last_seq=orphan.last_seq, publish=feed.publish)
        await RunningTurn(turn, feed, journal, await self._told(turn)).finish(ORPHANED)

    async def _told(self, turn: Turn) -> Recorder:
        """What the turn's events say so far. One whose events this version cannot read has to end all the same."""
        recorder, after = Recorder(Story(turn.id), TurnAudit(turn)), 0
        try:
            while events := await self._turns.events(turn.organization_id, turn.id, after=after):
                for recorded in events:
                    recorder.entry(recorded.event)
                after = events[-1].seq
        except (ValueError, LookupError, AssertionError) as exc:
            log.error("the journal of turn %s cannot be read (%s): it ends without its output", turn.id, type(exc).__name__)
            return Recorder(Story(turn.id), TurnAudit(turn))
        return recorder
