"""Goes on with turns whose process is gone, from where their journal leaves them, and begins those that none has begun.

Knows no client: they read the journal.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from functools import partial

from core.audit.turns import TurnAudit
from core.conversations import loop
from core.conversations.budget import Budget
from core.conversations.feed import Feed
from core.conversations.kept import recall
from core.conversations.record import Recorder, usage_told
from core.conversations.recovery import Past
from core.conversations.running import TOLD, RunningTurn, StopReason
from core.conversations.staging import Staging
from core.conversations.story import Story
from core.errors import PaddockError, Unavailable
from core.events import Recorded, TurnDeferred, TurnEnded, TurnEvent, TurnStarted, TurnStatus
from core.limits.limiter import Grant, Limiter
from core.storage.journal import Acceptance, Journal
from core.storage.leases import Leases, Orphan
from core.storage.records import Turn
from core.storage.turns import TurnStore

log = logging.getLogger(__name__)
MOST_EPOCHS = 10
"""A turn that so many processes did not survive is not given to another one."""
LET_GO_SECONDS = 5.0
"""How long a server that stops waits for PostgreSQL to give what it has not begun to others."""
LOST = TurnEnded(status=TurnStatus.FAILED, reason="server_lost", message="the server process that ran the turn is gone")
REVOKED = TurnEnded(status=TurnStatus.FAILED, reason=StopReason.KEY_REVOKED, message=TOLD[StopReason.KEY_REVOKED])
CANCELLED = TurnEnded(status=TurnStatus.CANCELLED, reason=StopReason.CANCELLED)
OUT_OF_TIME = TurnEnded(status=TurnStatus.INCOMPLETE, reason="time_limit")

Play = Callable[[RunningTurn, Grant, Sequence[TurnEvent], AsyncGenerator[TurnEvent, None], Budget], None]
"""Record these events and play the others, in a task of the turn's own."""


class Adoption:
    def __init__(
        self,
        *,
        journal: Journal,
        leases: Leases,
        turns: TurnStore,
        staging: Staging,
        limiter: Limiter,
        running: Mapping[str, RunningTurn],
        play: Play,
        on_end: Callable[[Turn], None],
    ) -> None:
        """on_end: told of a turn that ended here and was never played here."""
        self._journal = journal
        self._leases = leases
        self._turns = turns
        self._staging = staging
        self._limiter = limiter
        self._running = running
        self._play = play
        self._on_end = on_end

    async def take(self, orphan: Orphan) -> None:
        """Returns when the turn runs here, has ended, or is left to whoever takes it when its lease has run out. Raises
        PaddockError; then it is left, too.
        """
        try:
            await self._take(orphan)
        except PaddockError:
            raise
        except Exception as exc:
            await self._leave(orphan, exc)

    async def let_go(self, taken: Sequence[Orphan]) -> None:
        """This server stops: those of them that do not run here are free at once."""
        left = [orphan.turn.id for orphan in taken if orphan.turn.id not in self._running]
        with suppress(Unavailable, TimeoutError):  # then their leases run out
            async with asyncio.timeout(LET_GO_SECONDS):
                await self._leases.release(left)

    async def _leave(self, orphan: Orphan, why: Exception) -> None:
        """Amid an upgrade a newer server knows what this one does not. What none can read ends when its epochs are used up."""
        ours = None if isinstance(why, ValueError) else why  # whose words may be the turn's
        log.error("turn %s cannot go on here: %s", orphan.turn.id, type(why).__name__, exc_info=ours)
        if (end := self._verdict(orphan, deferrals=0)) is not None:
            await self._finish(self._open(orphan, [], unread=await self._last_seq(orphan)), end)

    async def _take(self, orphan: Orphan) -> None:
        if before := self._running.get(orphan.turn.id):  # of this process, which was too slow for its lease
            before.stop(StopReason.LEASE_LOST)
            await before.ended()
        if not orphan.turn.stored:
            return await self._end_unstored(orphan)
        async with self._untouched(orphan):
            events = await self._events(orphan)
        running = self._open(orphan, events)
        end = self._verdict(orphan, _deferrals(events))
        if end is None:
            end = await self._go_on(orphan, running, events)
        if end is not None:
            await self._finish(running, replace(end, usage=usage_told(recorded.event for recorded in events)))
        return None

    async def _finish(self, running: RunningTurn, end: TurnEnded) -> None:
        await running.finish(end)
        self._on_end(running.turn)

    @asynccontextmanager
    async def _untouched(self, orphan: Orphan) -> AsyncGenerator[None, None]:
        """Nothing of it was written here yet. That it could not be read is no process that it did not survive."""
        try:
            yield
        except Unavailable:
            await self._put_back(orphan)
            raise

    async def _put_back(self, orphan: Orphan) -> None:
        with suppress(Unavailable):
            await self._leases.put_back(orphan)

    def _verdict(self, orphan: Orphan, deferrals: int) -> TurnEnded | None:
        if orphan.cancelled:
            return CANCELLED
        if orphan.revoked:
            return REVOKED
        if orphan.epoch - deferrals > MOST_EPOCHS:
            return LOST
        return OUT_OF_TIME if orphan.seconds >= self._staging.seconds else None

    async def _go_on(self, orphan: Orphan, running: RunningTurn, events: Sequence[Recorded]) -> TurnEnded | None:
        """How it ends, where it cannot go on."""
        turn = orphan.turn
        try:
            async with self._untouched(orphan):
                request, principal = recall(orphan.request, await self._turns.input(turn.organization_id, turn.id))
                before = await self._staging.before(principal, request, turn_id=turn.id)
                scene = await self._staging.scene(
                    turn, principal, request, before, durable=running.durable, seconds_gone=orphan.seconds
                )
        except Unavailable:
            raise
        except PaddockError as exc:
            return TurnEnded(status=TurnStatus.FAILED, reason=exc.code, message=exc.message)
        past, told = Past(scene.transcript, scene.budget), [recorded.event for recorded in events]
        beginning = [] if any(isinstance(event, TurnStarted) for event in told) else [TurnStarted(), *scene.opening]
        for event in (*told, *beginning):
            past.take(event)
        back = past.back(scene.tools.digest_of, scene.lost)
        async with self._untouched(orphan):
            grant = await self._limiter.resume(turn, tokens=scene.demand)
            rest = loop.run(
                turn.id,
                scene.transcript,
                ask=scene.metered(grant),
                tools=scene.tools,
                budget=scene.budget,
                entrance=back.entrance,
            )
            self._play(running, grant, [*beginning, *back.first], _once_written(running, rest), scene.budget)
        log.info("turn %s goes on here, after %d events", turn.id, len(events))
        return None

    async def _events(self, orphan: Orphan) -> list[Recorded]:
        turn, found = orphan.turn, list[Recorded]()
        while page := await self._turns.events(turn.organization_id, turn.id, after=found[-1].seq if found else 0):
            found += page
        return found

    async def _last_seq(self, orphan: Orphan) -> int:
        return await self._turns.last_seq(orphan.turn.organization_id, orphan.turn.id)

    def _open(self, orphan: Orphan, events: Sequence[Recorded], *, unread: int = 0) -> RunningTurn:
        """A turn whose readers here see all of it. unread: the number of its last event, where they cannot be read."""
        feed, recorder = Feed(), Recorder(Story(orphan.turn.id), TurnAudit(orphan.turn))
        for recorded in events:
            recorder.entry(recorded.event)
        feed.publish(events)
        last_seq = events[-1].seq if events else unread
        return self._running_turn(orphan, feed, recorder, last_seq, deferrals=_deferrals(events))

    def _running_turn(
        self, orphan: Orphan, feed: Feed, recorder: Recorder, last_seq: int, *, deferrals: int = 0
    ) -> RunningTurn:
        acceptance = Acceptance(
            turn=orphan.turn,
            request=orphan.request,
            metadata="{}",
            inputs=(),
            lease_owner=self._leases.owner,
            lease_seconds=self._leases.seconds,
        )
        journal = self._journal.continue_turn(acceptance, epoch=orphan.epoch, last_seq=last_seq, publish=feed.publish)
        put_back = partial(self._put_back, orphan)
        return RunningTurn(orphan.turn, feed, journal, recorder, deferrals=deferrals, put_back=put_back)

    async def _end_unstored(self, orphan: Orphan) -> None:
        """Nobody knows what it said: it is ended in the books, and so are its calls."""
        turn = orphan.turn
        recorder = Recorder(Story(turn.id), TurnAudit(turn), lost=await self._turns.open_calls(turn.id))
        await self._finish(self._running_turn(orphan, Feed(), recorder, 0), CANCELLED if orphan.cancelled else LOST)


async def _once_written(running: RunningTurn, events: AsyncGenerator[TurnEvent, None]) -> AsyncGenerator[TurnEvent, None]:
    """No model is asked for a turn of which nothing can be written: each take-over would pay for it again."""
    async with aclosing(events):
        await running.durable()
        async for event in events:
            yield event


def _deferrals(events: Sequence[Recorded]) -> int:
    """Each ended an epoch that its process survived."""
    return sum(isinstance(recorded.event, TurnDeferred) for recorded in events)
