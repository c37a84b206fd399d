"""What has to become durable with an event: the ledger's rows, audit records and, at the end, the turn's items. Pure."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace

from core.audit.turns import TurnAudit
from core.conversations.story import Story
from core.events import (
    ApprovalRequested,
    CallStarted,
    NestedDispatched,
    NestedReturned,
    ReasoningDelta,
    Replied,
    ReplyCut,
    TextDelta,
    ToolDispatched,
    ToolReturned,
    TurnDeferred,
    TurnEnded,
    TurnEvent,
    TurnQueued,
    TurnStarted,
)
from core.messages import Usage
from core.storage.audit import AuditRecord, Outcome
from core.storage.journal import CallState, Entry, LedgerRow

Dispatched = ToolDispatched | NestedDispatched
PURE = "pure"  # what is not durable of such a call is done again


class Recorder:
    """One turn's. Fed with its events in order. lost: calls that an earlier process left open, where no event tells of them."""

    def __init__(self, story: Story, audit: TurnAudit, *, lost: Sequence[LedgerRow] = ()) -> None:
        self._story = story
        self._audit = audit
        self._lost = lost
        self._dispatched: dict[int, ToolDispatched] = {}
        self._nested: dict[tuple[int, tuple[int, ...]], NestedDispatched] = {}
        self._step = 0  # of the next reply
        self._replying = False  # some of it is told

    def entry(self, event: TurnEvent) -> Entry:
        self._story.take(event)
        match event:
            case TurnQueued():
                return Entry(event=event, audit=(self._audit.queued(),))
            case TurnStarted():
                return Entry(event=event, audit=(self._audit.started(),))
            case Replied():
                self._step, self._replying = event.step + 1, False
                return Entry(event=event, audit=() if event.restated else (self._audit.replied(event),))
            case ReplyCut(usage=usage):
                return Entry(event=event, audit=self._lost_reply(usage))
            case ApprovalRequested():
                return Entry(event=event, approvals=(event,), audit=(self._audit.asked(event),))
            case ToolDispatched():
                self._dispatched[event.item] = event
                return Entry(event=event, ledger=(_row(event, CallState.DISPATCHED),), audit=(self._audit.dispatched(event),))
            case NestedDispatched():
                self._nested[event.item, event.path] = event
                return Entry(event=event, ledger=(_row(event, CallState.DISPATCHED),), audit=(self._audit.dispatched(event),))
            case NestedReturned(item=item, path=path):
                return self._returned(event, done=self._nested.pop((item, path)))
            case ToolReturned(item=item) if item in self._dispatched:
                dispatched, nested = self._dispatched.pop(item), self._open_nested(item)
                if event.unknown:
                    return self._returned(event, lost=[dispatched, *nested])
                return self._returned(event, done=dispatched, lost=nested)
            case ToolReturned():
                return Entry(event=event, audit=(self._audit.refused(event),))
            case TurnDeferred():
                self._replying = False
                failed = self._audit.failed(self._step, event.usage)
                return Entry(event=event, audit=(failed, self._audit.deferred(event)))
            case TurnEnded():
                return self._ended(event)
            case TextDelta() | ReasoningDelta() | CallStarted():
                self._replying = True
                return Entry(event=event)
            case _:
                return Entry(event=event)

    def rewound(self, turn_id: str, written: Iterable[TurnEvent]) -> "Recorder":
        """Another one of the turn, fed with these alone: what else this one was fed with was refused, and never happened."""
        again = Recorder(Story(turn_id), self._audit, lost=self._lost)
        for event in written:
            again.entry(event)
        return again

    def _lost_reply(self, usage: Usage | None) -> tuple[AuditRecord, ...]:
        """Where its process did not live to tell of it."""
        lost, self._replying = self._replying, False
        return (self._audit.failed(self._step, usage, outcome=Outcome.UNKNOWN),) if lost else ()

    def _open_nested(self, item: int) -> list[NestedDispatched]:
        return [self._nested.pop(key) for key in list(self._nested) if key[0] == item]

    def _returned(
        self, event: ToolReturned | NestedReturned, *, done: Dispatched | None = None, lost: Sequence[Dispatched] = ()
    ) -> Entry:
        """lost: calls of which nobody will learn how they ended."""
        rows = [_row(call, CallState.OUTCOME_UNKNOWN) for call in lost]
        audit = [self._audit.unknown(call) for call in lost]
        if done is not None:
            row = _row(done, CallState.COMPLETED, event)
            rows.append(row)
            audit.append(self._audit.returned(done, event, row.result_digest))
        urgent = done is not None and done.effect != PURE
        return Entry(event=event, urgent=urgent, ledger=tuple(rows), audit=tuple(audit))

    def _ended(self, event: TurnEnded) -> Entry:
        """Perhaps while calls run: it was cancelled, or is out of time."""
        lost: list[Dispatched] = [*self._dispatched.values(), *self._nested.values()]
        rows = [_row(call, CallState.OUTCOME_UNKNOWN) for call in lost]
        rows += [replace(row, state=CallState.OUTCOME_UNKNOWN) for row in self._lost]
        cut = (self._audit.failed(self._step, event.cut),) if event.cut is not None else self._lost_reply(None)
        audit = (*(self._audit.unknown(call) for call in lost), *cut, self._audit.ended(event))
        return Entry(event=event, ledger=tuple(rows), audit=audit, outputs=self._story.items)


def usage_told(events: Iterable[TurnEvent]) -> Usage:
    """What calls of the model took, as far as these tell."""
    calls = (event for event in events if isinstance(event, Replied | ReplyCut | TurnDeferred))
    return sum((call.usage or Usage() for call in calls), Usage())


def _row(dispatched: Dispatched, state: CallState, returned: ToolReturned | NestedReturned | None = None) -> LedgerRow:
    return LedgerRow(
        call_path=dispatched.call_id,
        tool=dispatched.tool,
        version_digest=dispatched.version_digest,
        effect=dispatched.effect,
        state=state,
        arguments_digest=dispatched.arguments_digest,
        result_digest=None if returned is None else hashlib.sha256(returned.result.content.encode()).hexdigest(),
        seconds=None if returned is None else returned.seconds,
    )
