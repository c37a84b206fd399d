"""One turn while this process runs it: its loop is driven, each event is recorded before anyone sees it, and it always ends."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum

from core.conversations.budget import Budget
from core.conversations.feed import Feed
from core.conversations.record import Recorder, usage_told
from core.conversations.states import moved, pause_before_next_try
from core.errors import PaddockError, RateLimited
from core.events import TurnDeferred, TurnEnded, TurnEvent, TurnStatus
from core.llm.contract import ModelError
from core.llm.wellformed import made_valid
from core.messages import Usage
from core.storage.connection import DatabaseUnavailable
from core.storage.journal import KeyRevoked, TurnJournal
from core.storage.records import Turn

log = logging.getLogger(__name__)


class StopReason(StrEnum):
    CANCELLED = "cancelled"
    CLIENT_LEFT = "client_left"
    SHUTDOWN = "server_shutdown"
    REFUSED = "refused"  # its acceptance failed; there is nothing to end
    LEASE_LOST = "lease_lost"
    KEY_REVOKED = "key_revoked"


TOLD = {StopReason.KEY_REVOKED: "the API key was revoked or has expired"}
SHUTDOWN_TOLD = "the server stopped while the turn was running"
NOT_WRITTEN = "journal_refused"
"""PostgreSQL has said no: nothing was written, nor will be. Of one that has not answered, nobody knows."""


async def _keep() -> None:
    """It was not taken from another process."""


class RunningTurn:
    """The journal is given after the feed exists, since it publishes into it. deferrals: how often it was put off before.

    put_back: for a turn that was taken over, and of which nothing could be written here.
    """

    def __init__(
        self,
        turn: Turn,
        feed: Feed,
        journal: TurnJournal,
        recorder: Recorder,
        *,
        deferrals: int = 0,
        put_back: Callable[[], Awaitable[None]] = _keep,
    ) -> None:
        self.turn = turn
        self.feed = feed
        self._journal = journal
        self._recorder = recorder
        self._deferrals = deferrals
        self._put_back = put_back
        self._told_before = len(feed.events)
        self._taken_before = usage_told(recorded.event for recorded in feed.events)
        self._told_early: list[tuple[TurnEvent, asyncio.Future[None]]] = []  # of an unstored turn: before they were written
        self._last: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._stop_reason: StopReason | None = None
        self._playing = False
        self._ending = False  # from here on nothing stops it: its end is being recorded
        self.was_read = False  # by somebody who has left

    @property
    def holds_lease(self) -> bool:
        """Its row is in the database and it has not ended."""
        return self._journal.accepted and not self.turn.status.ended

    @property
    def over(self) -> bool:
        """Nothing of it runs any more."""
        return self._task is None or self._task.done()

    def record(self, event: TurnEvent) -> "asyncio.Future[None]":
        """Raises what an earlier record failed with."""
        entry = self._recorder.entry(event)
        recorded = self._journal.record(entry, soon=entry.urgent or self.feed.watchers > 0)
        if not recorded.done():  # of an unstored turn most is written nowhere; what is, still has to be waited for
            self._last = recorded
            if not self.turn.stored:
                self._told_early.append((event, recorded))
        return recorded

    async def durable(self) -> None:
        """Return when all that was recorded so far is durable."""
        if self._last is not None:
            self._journal.hurry()
            await asyncio.shield(self._last)

    def hurry(self) -> None:
        """What was recorded so far becomes durable without waiting for more."""
        self._journal.hurry()

    def begin(
        self,
        first: Sequence[TurnEvent],
        events: AsyncGenerator[TurnEvent, None],
        budget: Budget,
        *,
        on_over: Callable[[], None],
        on_end: Callable[[], None],
    ) -> None:
        """Record the first events (their acceptance is `durable`) and play the others in a task of the turn's own.

        on_over: nothing more is asked or run, and nobody was told the end yet. on_end: called last, however it ends.
        """
        for event in first:
            self.record(event)
        self._task = asyncio.create_task(self._run(events, budget, on_over), name=self.turn.id)
        self._task.add_done_callback(lambda _: on_end())

    def stop(self, reason: StopReason) -> None:
        """Stops the model and kills the guests; `ended` tells when. The first reason holds."""
        if self._task is None or self._task.done() or self._ending or self._stop_reason is not None:
            return
        self._stop_reason = reason
        if self._playing:  # a task that is cancelled before its first step takes none, and the turn would have no end
            self._task.cancel()

    async def ended(self) -> Turn:
        """Wait until the turn has ended, however it does."""
        if self._task is not None:
            await asyncio.wait([self._task])
        return self.turn

    async def _run(self, events: AsyncGenerator[TurnEvent, None], budget: Budget, on_over: Callable[[], None]) -> None:
        try:
            end = await self._play(events, budget)
            on_over()
            if end is not None:
                usage = _most(budget.usage, self._taken_before)  # its last reply is no more than told until the loop is entered
                await self._finish_played(replace(end, usage=usage, cut=budget.untold))
        except PaddockError as exc:
            # Not ours any more, or PostgreSQL is away: whoever reads goes on from the journal, and the lease runs out.
            if self._stop_reason is not StopReason.REFUSED:
                log.warning("turn %s stopped without an end of its own: %s", self.turn.id, exc.code)
            if exc.code == NOT_WRITTEN and len(self.feed.events) == self._told_before:
                await self._put_back()
        finally:
            self.feed.close()

    async def _play(self, events: AsyncGenerator[TurnEvent, None], budget: Budget) -> TurnEnded | None:
        """Every way in which a turn can end, as an event; None for one that is to go on, here or elsewhere, when its lease ran
        out (the server stops, or PostgreSQL is away) or when it is tried again.
        """
        if self._stop_reason is not None:
            return self._stopped()
        self._playing = True
        try:
            async with asyncio.timeout(budget.seconds) as limit, aclosing(events):
                async for event in events:
                    if isinstance(event, TurnEnded):
                        return event
                    self.record(event)
        except TimeoutError:
            if limit.expired():
                return TurnEnded(status=TurnStatus.INCOMPLETE, reason="time_limit")
            return self._bug()
        except asyncio.CancelledError:
            return self._stopped()
        except PaddockError as exc:
            return await self._failed(exc, budget)
        except Exception:
            return self._bug()
        return self._bug()

    async def _failed(self, failure: PaddockError, budget: Budget) -> TurnEnded | None:
        if isinstance(failure, DatabaseUnavailable) and self.turn.stored:
            return None
        pause = pause_before_next_try(self.turn, failure, deferrals=self._deferrals, pauses=budget.pauses)
        if pause is None:
            wait = failure.retry_after if isinstance(failure, ModelError | RateLimited) else None
            return TurnEnded(status=TurnStatus.FAILED, reason=failure.code, message=failure.message, retry_after=wait)
        self._ending, waiting = True, moved(self.turn, TurnStatus.PENDING)
        self.record(TurnDeferred(reason=failure.code, seconds=pause, usage=budget.untold or Usage()))
        await self.durable()
        self.turn = waiting
        return None

    def _stopped(self) -> TurnEnded | None:
        task = asyncio.current_task()
        assert task is not None
        task.uncancel()
        reason = self._stop_reason or StopReason.SHUTDOWN
        if reason is StopReason.SHUTDOWN and self.turn.stored:
            return None
        if reason in (StopReason.CANCELLED, StopReason.CLIENT_LEFT):
            return TurnEnded(status=TurnStatus.CANCELLED, reason=reason)
        return TurnEnded(status=TurnStatus.FAILED, reason=reason, message=TOLD.get(reason, SHUTDOWN_TOLD))

    def _bug(self) -> TurnEnded:
        log.exception("turn %s failed", self.turn.id)
        return TurnEnded(status=TurnStatus.FAILED, reason="internal_error", message=f"internal error in {self.turn.id}")

    async def _finish_played(self, end: TurnEnded) -> None:
        try:
            await self.finish(end)
        except KeyRevoked as exc:  # it was in line behind what was refused for that
            await self.finish(replace(end, status=TurnStatus.FAILED, reason=exc.code, message=exc.message))

    async def finish(self, end: TurnEnded) -> None:
        """Record the end and wait for it. Raises when it cannot be recorded."""
        self._ending, ended = True, moved(self.turn, end.status)
        now = max(datetime.now(UTC), self.turn.created_at)  # the clock of who accepted it may be ahead
        end = replace(end, message=None if end.message is None else made_valid(end.message), at=now.timestamp())
        if _refused(self._last):
            end = self._rewound(end)
        self.record(end)
        await self.durable()
        self.turn = replace(ended, reason=end.reason, message=end.message, usage=end.usage, ended_at=now)

    def _rewound(self, end: TurnEnded) -> TurnEnded:
        """The end of what was written. What the rest of it took is told as a call of the model that failed."""
        lost = [event for event, written in self._told_early if _refused(written)]
        events = [recorded.event for recorded in self.feed.events if recorded.event not in lost]
        self._recorder = self._recorder.rewound(self.turn.id, events)
        told = usage_told(events)
        return end if end.usage == told else replace(end, cut=_less(end.usage, told))


def _refused(record: "asyncio.Future[None] | None") -> bool:
    return record is not None and record.done() and record.exception() is not None


def _most(one: Usage, other: Usage) -> Usage:
    return Usage(
        input=max(one.input, other.input),
        output=max(one.output, other.output),
        cached=max(one.cached, other.cached),
        reasoning=max(one.reasoning, other.reasoning),
    )


def _less(usage: Usage, told: Usage) -> Usage:
    return Usage(
        input=usage.input - told.input,
        output=usage.output - told.output,
        cached=usage.cached - told.cached,
        reasoning=usage.reasoning - told.reasoning,
    )
