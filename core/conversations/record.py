"""What has to become durable with an event: the ledger's rows and, at the end, the turn's items. Pure."""

import hashlib

from core.conversations.story import Story
from core.events import ToolDispatched, ToolReturned, TurnEnded, TurnEvent
from core.storage.journal import CallState, Entry, LedgerRow


class Recorder:
    """One turn's. Fed with its events in order."""

    def __init__(self, story: Story) -> None:
        self._story = story
        self._dispatched: dict[int, ToolDispatched] = {}

    def entry(self, event: TurnEvent) -> Entry:
        self._story.take(event)
        match event:
            case ToolDispatched():
                self._dispatched[event.item] = event
                return Entry(event=event, ledger=(_row(event, CallState.DISPATCHED),))
            case ToolReturned(item=item) if item in self._dispatched:
                return Entry(event=event, ledger=(_row(self._dispatched.pop(item), CallState.COMPLETED, event),))
            case TurnEnded():
                return Entry(event=event, ledger=self._unknown(), outputs=self._story.items)
            case _:
                return Entry(event=event)

    def _unknown(self) -> tuple[LedgerRow, ...]:
        """The turn ends while calls run (cancelled, out of time): nobody will learn how they ended."""
        return tuple(_row(dispatched, CallState.OUTCOME_UNKNOWN) for dispatched in self._dispatched.values())


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
