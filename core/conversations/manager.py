"""Turns from the outside: started, followed, waited for, cancelled, deleted. What goes on in one is in `running.py`."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from datetime import UTC, datetime

from core.audit.turns import TurnAudit
from core.conversations import loop
from core.conversations.budget import Budget
from core.conversations.feed import Feed
from core.conversations.kept import keep
from core.conversations.record import Recorder
from core.conversations.referring import copied
from core.conversations.request import TurnRequest
from core.conversations.runner import WaitingRoom
from core.conversations.running import RunningTurn, StopReason
from core.conversations.staging import Scene, Staging
from core.conversations.story import Story
from core.errors import Conflict, NoLongerKept, NotFound, PaddockError, Unavailable
from core.events import Recorded, TurnEvent, TurnQueued, TurnStarted, TurnStatus
from core.identity.principals import Principal, Scope
from core.ids import new_id
from core.limits.limiter import TOKENS_HELD, Grant, Limiter
from core.llm.contract import ContextExceeded, ModelRefused
from core.messages import Item
from core.storage.approvals import Decision
from core.storage.audit import AuditRecord
from core.storage.journal import Acceptance, Journal
from core.storage.leases import Leases
from core.storage.records import Page, Turn
from core.storage.turns import TurnStore
from core.storage.wakeups import CANCELLATIONS, QUEUE, Wakeups
from core.telemetry.telemetry import Telemetry

REFUSED = {ContextExceeded.code, ModelRefused.code, "insufficient_quota", TOKENS_HELD, StopReason.KEY_REVOKED}
"""Failures that the caller's input, limits or key are to blame for: metrics tell them from ours."""
RELEASE_SECONDS = 5.0
"""How long a server that stops waits for PostgreSQL to give its turns to others."""
UNREAD_SECONDS = 30.0
"""How long an unstored turn waits for its first reader before it is given up."""


class TurnManager:
    def __init__(
        self,
        *,
        journal: Journal,
        leases: Leases,
        turns: TurnStore,
        staging: Staging,
        waiting_room: WaitingRoom,
        wakeups: Wakeups,
        limiter: Limiter,
        telemetry: Telemetry,
    ) -> None:
        self._journal = journal
        self._leases = leases
        self._turns = turns
        self._staging = staging
        self._waiting_room = waiting_room
        self._wakeups = wakeups
        self._limiter = limiter
        self._telemetry = telemetry
        self._running: dict[str, RunningTurn] = {}
        self._stopping = False

    @property
    def running(self) -> Mapping[str, RunningTurn]:
        """The turns that run in this process, and unstored ones that nobody has read to their end."""
        return self._running

    async def start(
        self,
        principal: Principal,
        request: TurnRequest,
        *,
        idempotency: str | None = None,
        on_offer: Callable[[str], None] = lambda _: None,
    ) -> Turn:
        """Returns when the turn is accepted: durable, when it is stored. The model has been asked by then.

        idempotency: names what it answers; no second turn is accepted for it. on_offer: told the turn's id when its acceptance
        is in the journal's hands: Unavailable, or a cancellation, does not say from then on that it was not accepted.

        Raises InvalidRequest, NotFound, Conflict (`conversation_locked`), RateLimited, Unavailable; then nothing is stored.
        """
        request = await self._staging.assisted(principal, request)
        before = await self._staging.before(principal, request)
        request = replace(request, input=copied(request.input, request.referred, before), referred=frozenset())
        request, decisions = await self._staging.taken_up(principal, request, before)
        turn = _new_turn(principal, request, self._staging.model_of(request)[0])
        running = self._open(turn, principal, request, before, idempotency, decisions)
        scene = await self._staging.scene(turn, principal, request, before, durable=running.durable)
        grant = await self._limiter.admit(turn, tokens=scene.demand)
        try:
            if request.queue is not None:
                grant.end()  # it counts as a request now, and for what it takes when it runs
                running.record(TurnQueued())
            else:
                self._begin(running, grant, scene)
            on_offer(turn.id)
            await self._accepted(running)
        except Conflict as exc:
            await self._staging.came_late(principal, decisions, exc)
            raise
        return turn

    def _begin(self, running: RunningTurn, grant: Grant, scene: Scene) -> None:
        events = loop.run(
            running.turn.id,
            scene.transcript,
            ask=scene.metered(grant),
            tools=scene.tools,
            budget=scene.budget,
            entrance=scene.entrance,
        )
        self.play(running, grant, [TurnStarted(), *scene.opening], events, scene.budget)

    def play(
        self,
        running: RunningTurn,
        grant: Grant,
        first: Sequence[TurnEvent],
        events: AsyncGenerator[TurnEvent, None],
        budget: Budget,
    ) -> None:
        """Record these events and play the others, in a task of the turn's own. Raises PaddockError; then nothing runs."""
        watch = self._telemetry.turn(running.turn, first)

        def over() -> None:
            grant.end()
            watch.end(_outcome(running.turn), budget.usage, ended=running.turn.status.ended)
            self._forget(running)
            if running.turn.queue is not None:
                self._wakeups.publish([QUEUE])  # there is room for another one

        try:
            if self._stopping:
                raise Unavailable("the server is stopping", code="server_shutdown")
            running.begin(first, watch.over(events), budget, on_over=grant.end, on_end=over)
        except PaddockError:
            grant.end()
            raise
        self._running[running.turn.id] = running

    def count(self, turn: Turn) -> None:
        """In the metrics: one that ended without having been played here."""
        self._telemetry.turn_ended(turn.model, _outcome(turn))

    def _open(
        self,
        turn: Turn,
        principal: Principal,
        request: TurnRequest,
        before: Sequence[Item],
        idempotency: str | None,
        decisions: tuple[Decision, ...],
    ) -> RunningTurn:
        acceptance = Acceptance(
            turn=turn,
            request=keep(request, principal) if turn.stored else "{}",
            metadata=json.dumps(dict(turn.metadata)),
            inputs=request.input if turn.stored else (),
            lease_owner=self._leases.owner,
            lease_seconds=self._leases.seconds,
            idempotency=idempotency,
            continues=request.continues,
            decisions=decisions,
            places=None if request.queue is None else self._waiting_room.places(request.queue),
            seen=_last_seen(turn, before),
        )
        feed = Feed()
        journal = self._journal.open_turn(acceptance, publish=feed.publish)
        return RunningTurn(turn, feed, journal, Recorder(Story(turn.id), TurnAudit(turn, principal.request_id)))

    async def _accepted(self, running: RunningTurn) -> None:
        turn = running.turn
        try:
            await running.durable()
        except PaddockError:
            running.stop(StopReason.REFUSED)
            raise
        except asyncio.CancelledError:
            if not turn.stored:
                running.stop(StopReason.CLIENT_LEFT)
            raise
        if turn.queue is not None:
            self._wakeups.publish([QUEUE])
        if not turn.stored:
            asyncio.get_running_loop().call_later(UNREAD_SECONDS, self._give_up_unread, turn.id)

    def _forget(self, running: RunningTurn) -> None:
        """A stored turn is read from the journal from now on; an unstored one stays until somebody has read it."""
        if (running.turn.stored or running.was_read) and self._running.get(running.turn.id) is running:
            del self._running[running.turn.id]

    def _give_up_unread(self, turn_id: str) -> None:
        running = self._running.get(turn_id)
        if running is not None and not running.was_read and not running.feed.readers:
            self._leave(running)

    def _leave(self, running: RunningTurn) -> None:
        """An unstored turn that nobody reads any more: it is forgotten when it has ended."""
        running.was_read = True
        running.stop(StopReason.CLIENT_LEFT)
        if running.over:
            self._forget(running)

    def _local(self, organization_id: str, turn_id: str) -> RunningTurn | None:
        running = self._running.get(turn_id)
        return running if running is not None and running.turn.organization_id == organization_id else None

    async def follow(
        self, principal: Principal, turn_id: str, *, after: int = 0, live: bool = True
    ) -> AsyncGenerator[Recorded, None]:
        """The turn's events with seq > after, until its end; from whichever process runs it.

        live: as they happen; else some may wait for others to be written with them.
        When the last reader of an unstored turn leaves, the turn is cancelled. Raises NotFound, and NoLongerKept where live.
        """
        running = self._local(principal.organization_id, turn_id)
        if running is not None:
            try:
                if live:
                    running.hurry()
                async with aclosing(running.feed.read(after, live=live)) as events:
                    async for recorded in events:
                        after = recorded.seq
                        yield recorded
            finally:
                self._reader_left(running)
            if running.feed.ended or not running.turn.stored:
                return
        async with aclosing(self._tail(principal.organization_id, turn_id, after, live=live)) as events:
            async for recorded in events:
                yield recorded

    def _reader_left(self, running: RunningTurn) -> None:
        running.was_read = True
        if not running.turn.stored and not running.feed.readers:
            self._leave(running)

    async def _tail(
        self, organization_id: str, turn_id: str, after: int, *, live: bool = False
    ) -> AsyncGenerator[Recorded, None]:
        with self._wakeups.heard(turn_id) as news:
            while True:
                turn = await self._turns.get(organization_id, turn_id)
                if live and not turn.followable:
                    raise stream_removed(turn_id)
                while events := await self._turns.events(organization_id, turn_id, after=after):
                    for recorded in events:
                        if live and recorded.seq != after + 1:  # it is being removed
                            raise stream_removed(turn_id)
                        yield recorded
                        after = recorded.seq
                if turn.status.ended:
                    return
                await news()

    async def wait(self, principal: Principal, turn_id: str) -> Turn:
        """The turn when it has ended. Raises NotFound."""
        running = self._local(principal.organization_id, turn_id)
        if running is not None:
            turn = await running.ended()
            if turn.status.ended:
                return turn
        async with aclosing(self._tail(principal.organization_id, turn_id, after=0)) as events:
            async for _ in events:
                pass
        return await self._turns.get(principal.organization_id, turn_id)

    async def get(self, principal: Principal, turn_id: str) -> Turn:
        """A stored turn as it stands. Raises NotFound."""
        return await self._turns.get(principal.organization_id, turn_id)

    async def events(self, principal: Principal, turn_id: str) -> Sequence[Recorded]:
        """All events of a stored turn so far. Raises NotFound."""
        await self._turns.get(principal.organization_id, turn_id)
        found: list[Recorded] = []
        while page := await self._turns.events(principal.organization_id, turn_id, after=found[-1].seq if found else 0):
            found += page
        return found

    async def cancel(self, principal: Principal, turn_id: str) -> Turn:
        """Stops the model, kills the guests, and returns the ended turn; one that has ended stays as it is. Raises NotFound."""
        home = principal.organization_id
        return await self._cancel(home, turn_id, AuditRecord.by(principal, "turn.cancelled", turn_id))

    async def cancel_any(self, principal: Principal, turn_id: str) -> Turn:
        """An administrator's: any turn of the own organisation, stored or not; an operator's: any. Raises NotFound."""
        principal.require(Scope.ADMIN)
        running = self._running.get(turn_id)
        owner = running.turn.organization_id if running is not None else await self._turns.organization_of(turn_id)
        if owner != principal.organization_id and Scope.OPERATOR not in principal.scopes:
            raise NotFound(f"no response {turn_id!r}", code="response_not_found")
        return await self._cancel(owner, turn_id, AuditRecord.by(principal, "turn.cancelled", turn_id, organization_id=owner))

    async def abandon(self, organization_id: str, turn_id: str) -> Turn:
        """As `cancel`, where nobody has asked for that of this turn in particular. Raises NotFound."""
        return await self._cancel(organization_id, turn_id, None)

    async def _cancel(self, organization_id: str, turn_id: str, record: AuditRecord | None) -> Turn:
        """record: of who did it; the turn's own records tell only whose it was."""
        running = self._local(organization_id, turn_id)
        if running is not None:
            ran = not running.turn.status.ended
            running.stop(StopReason.CANCELLED)
            if ran and record is not None:
                await self._turns.note(record)
                record = None
            turn = await running.ended()
            if turn.status.ended:
                return turn
        with self._wakeups.heard(turn_id) as news:
            turn = await self._turns.any(organization_id, turn_id)
            if not turn.status.ended:
                await self._turns.request_cancel(organization_id, turn_id, record)
                self._wakeups.publish([CANCELLATIONS, QUEUE])  # one that waits is taken at once, to be ended
            while not turn.status.ended:
                await news()
                turn = await self._turns.any(organization_id, turn_id)
        return turn

    async def delete(self, principal: Principal, turn_id: str) -> None:
        """Raises NotFound, and Conflict while the turn runs."""
        await self._turns.delete(turn_id, AuditRecord.by(principal, "turn.deleted", turn_id))

    async def clear(self, organization_id: str, turn_id: str, **why: str) -> None:
        """As `delete`, where nobody has asked for that: upkeep does it."""
        record = AuditRecord(kind="turn.deleted", organization_id=organization_id, actor="system", object=turn_id, details=why)
        await self._turns.delete(turn_id, record)

    async def input_items(
        self, principal: Principal, turn_id: str, *, after: str | None, limit: int, descending: bool
    ) -> Page[Item]:
        return await self._turns.input_items(
            principal.organization_id, turn_id, after=after, limit=limit, descending=descending
        )

    async def stop(self) -> None:
        """Stop every turn that runs here, and begin no other; returns when none does. Stored ones go on in another process."""
        self._stopping = True
        running = list(self._running.values())
        for turn in running:
            turn.stop(StopReason.SHUTDOWN)
        await asyncio.gather(*(turn.ended() for turn in running))
        await self._journal.drain()  # whoever goes on with them reads all that happened
        with suppress(Unavailable, TimeoutError):  # then their leases run out
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._leases.release([turn.turn.id for turn in running if turn.holds_lease])


def stream_removed(turn_id: str) -> NoLongerKept:
    message = f"the stream of response {turn_id!r} is not kept any more; the response itself is: ask for it without a stream"
    return NoLongerKept(message, param="stream", code="stream_removed")


def _outcome(turn: Turn) -> str:
    return "refused" if turn.reason in REFUSED else turn.status


def _last_seen(turn: Turn, before: Sequence[Item]) -> str | None:
    """Of its conversation; a turn in the queue sees that when it begins."""
    if turn.conversation_id is None or turn.queue is not None:
        return None
    return before[-1].id if before else ""


def _new_turn(principal: Principal, request: TurnRequest, model: str) -> Turn:
    return Turn(
        id=new_id("resp"),
        organization_id=principal.organization_id,
        user_id=principal.user_id,
        key_id=principal.key_id,
        conversation_id=request.conversation_id if request.store else None,
        previous_turn_id=request.previous_turn_id if request.store else None,
        model=model,
        status=TurnStatus.RUNNING if request.queue is None else TurnStatus.PENDING,
        stored=request.store,
        wire=request.wire,
        echo=request.echo,
        metadata=request.metadata if request.store else {},
        created_at=datetime.now(UTC),
        queue=request.queue,
    )
