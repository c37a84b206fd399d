"""What has to become durable with an event: the ledger's rows, audit records and, at the end, the turn's items. Pure."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from core.audit.turns import TurnAudit
from core.conversations.story import Story
from core.events import (
    ApprovalRequested,
    Replied,
    ToolDispatched,
    ToolReturned,
    TurnDeferred,
    TurnEnded,
    TurnEvent,
    TurnQueued,
    TurnStarted,
)
from core.storage.journal import CallState, Entry, LedgerRow

PURE = "pure"  # what is not durable of such a call is done again


class Recorder:
    """One turn's. Fed with its events in order. lost: calls that an earlier process left open, where no event tells of them."""

    def __init__(self, story: Story, audit: TurnAudit, *, lost: Sequence[LedgerRow] = ()) -> None:
        self._story = story
        self._audit = audit
        self._lost = lost
        self._dispatched: dict[int, ToolDispatched] = {}

    def entry(self, event: TurnEvent) -> Entry:
        self._story.take(event)
        match event:
            case TurnQueued():
                return Entry(event=event, audit=(self._audit.queued(),))
            case TurnStarted():
                return Entry(event=event, audit=(self._audit.started(),))
            case Replied(restated=False):
                return Entry(event=event, audit=(self._audit.replied(event),))
            case ApprovalRequested():
                return Entry(event=event, approvals=(event,), audit=(self._audit.asked(event),))
            case ToolDispatched():
                self._dispatched[event.item] = event
                return Entry(event=event, ledger=(_row(event, CallState.DISPATCHED),), audit=(self._audit.dispatched(event),))
            case ToolReturned(item=item) if item in self._dispatched:
                dispatched = self._dispatched.pop(item)
                if event.unknown:
                    unknown = (_row(dispatched, CallState.OUTCOME_UNKNOWN),)
                    return Entry(event=event, ledger=unknown, audit=(self._audit.unknown(dispatched),))
                row = _row(dispatched, CallState.COMPLETED, event)
                told = (self._audit.returned(dispatched, event, row.result_digest),)
                return Entry(event=event, urgent=dispatched.effect != PURE, ledger=(row,), audit=told)
            case ToolReturned():
                return Entry(event=event, audit=(self._audit.refused(event),))
            case TurnDeferred():
                return Entry(event=event, audit=(self._audit.deferred(event),))
            case TurnEnded():
                lost = tuple(self._audit.unknown(dispatched) for dispatched in self._dispatched.values())
                audit = (*lost, self._audit.ended(event))
                return Entry(event=event, ledger=self._unknown(), audit=audit, outputs=self._story.items)
            case _:
                return Entry(event=event)

    def _unknown(self) -> tuple[LedgerRow, ...]:
        """The turn ends while calls run (cancelled, out of time): nobody will learn how they ended."""
        rows = [_row(dispatched, CallState.OUTCOME_UNKNOWN) for dispatched in self._dispatched.values()]
        return (*rows, *(replace(row, state=CallState.OUTCOME_UNKNOWN) for row in self._lost))


def _row(dispatched: ToolDispatched, state: CallState, returned: ToolReturned | None = None) -> LedgerRow:
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
