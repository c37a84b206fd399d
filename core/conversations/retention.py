"""Streams go with their conversation, or earlier, where the operator says when; the answers stay. It knows no reader."""

import logging
from collections.abc import Iterable, Sequence

from core.events import (
    CallDelta,
    CallStarted,
    NestedDispatched,
    NestedReturned,
    ReasoningDelta,
    Recorded,
    Replied,
    ReplyCut,
    TextDelta,
    ToolOutput,
)
from core.storage.streams import StreamStore
from core.storage.turns import TurnStore

AT_ONCE = 50
log = logging.getLogger(__name__)


class StreamRetention:
    """days: from a turn's end; None: as long as its conversation, and without one as long as its response."""

    def __init__(self, streams: StreamStore, turns: TurnStore, *, days: float | None) -> None:
        self._streams = streams
        self._turns = turns
        self._days = days

    async def run(self) -> None:
        """Remove all that are due, a turn in a transaction."""
        while found := await self._streams.due(self._days, limit=AT_ONCE):
            for organization_id, turn_id in found:
                await self._streams.remove(turn_id, await self._pieces(organization_id, turn_id))

    async def _pieces(self, organization_id: str, turn_id: str) -> Sequence[int]:
        events: list[Recorded] = []
        try:
            while page := await self._turns.events(organization_id, turn_id, after=events[-1].seq if events else 0):
                events += page
        except ValueError:
            log.error("the events of turn %s cannot be read: they stay", turn_id)
            return ()
        return pieces(events)


def pieces(events: Iterable[Recorded]) -> Sequence[int]:
    """The numbers of those that tell piece by piece what a later one tells whole, and of what code was given, which only code
    that goes on needs: without them, the rest is the same answer.

    Of a reply that was cut off there are pieces alone, and they stay.
    """
    found: list[int] = []
    partial: dict[int, list[int]] = {}
    for recorded in events:
        match recorded.event:
            case TextDelta(item=n) | ReasoningDelta(item=n) | CallStarted(item=n) | CallDelta(item=n):
                partial.setdefault(n, []).append(recorded.seq)
            case Replied(first_item=first, items=items):
                for n in range(first, first + len(items)):
                    found += partial.pop(n, [])
            case ReplyCut():
                partial.clear()
            case ToolOutput() | NestedDispatched() | NestedReturned():
                found.append(recorded.seq)
            case _:
                pass
    return found
