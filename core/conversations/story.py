"""The output items of a turn, told by its events; also of a turn that was cut off amid one. Pure."""

from collections.abc import Iterable
from dataclasses import replace

from core.conversations.reply import PREFIX_OF_CALL
from core.events import (
    ApprovalRequested,
    CallDelta,
    CallStarted,
    ReasoningDelta,
    Recorded,
    Replied,
    ReplyCut,
    TextDelta,
    ToolReturned,
    ToolsListed,
    TurnEvent,
    item_id,
)
from core.messages import Item, MessageItem, Offer, ReasoningItem, Role, Text, ToolCall, ToolCallItem, ToolListItem


class Story:
    """Fed with a turn's events in order."""

    def __init__(self, turn_id: str) -> None:
        self._turn_id = turn_id
        self._whole: dict[int, Item] = {}
        self._partial: dict[int, tuple[TextDelta | ReasoningDelta | CallStarted, list[str]]] = {}
        self._waiting: set[int] = set()

    @classmethod
    def of(cls, turn_id: str, events: Iterable[Recorded]) -> "Story":
        story = cls(turn_id)
        for recorded in events:
            story.take(recorded.event)
        return story

    def take(self, event: TurnEvent) -> None:
        match event:
            case ToolsListed(item=n, tools=tools):
                self._whole[n] = ToolListItem(id=item_id(self._turn_id, n, "mcpl"), tools=tools)
            case TextDelta(item=n, text=piece) | ReasoningDelta(item=n, text=piece):
                self._partial.setdefault(n, (event, []))[1].append(piece)
            case CallStarted(item=n):
                self._partial[n] = (event, [])
            case CallDelta(item=n, arguments=piece):
                self._partial[n][1].append(piece)
            case Replied(first_item=first, items=items):
                self._whole.update(enumerate(items, start=first))
                self._partial.clear()
            case ReplyCut():
                self._whole.update({n: self._cut(n) for n in self._partial})
                self._partial.clear()
            case ToolReturned(item=n, result=result):
                called = self._whole[n]
                assert isinstance(called, ToolCallItem)
                self._whole[n] = replace(called, result=result)
            case ApprovalRequested(item=n):
                self._waiting.add(n)
            case _:
                pass

    @property
    def items(self) -> tuple[Item, ...]:
        """All so far; the one that was cut off amid its stream is incomplete. Calls that nobody offered are left out."""
        told = {**self._whole, **{n: self._cut(n) for n in self._partial}}
        return tuple(self._settled(n, told[n]) for n in sorted(told) if not _made_up(told[n]))

    def _settled(self, n: int, item: Item) -> Item:
        """A call that nobody was asked to approve is like any other: it was not valid, or the turn ended before."""
        if not isinstance(item, ToolCallItem) or item.offer is not Offer.APPROVAL or n in self._waiting:
            return item
        return replace(item, id=item_id(self._turn_id, n, PREFIX_OF_CALL[Offer.REGISTRY]), offer=Offer.REGISTRY)

    def _cut(self, n: int) -> Item:
        """What was streamed of an item. Only a later item tells that a text was whole; no call of such a reply is run."""
        start, pieces = self._partial[n]
        whole = n < max(self._partial) and not isinstance(start, CallStarted)
        return self._streamed(n, start, "".join(pieces), complete=whole)

    def _streamed(self, n: int, start: TextDelta | ReasoningDelta | CallStarted, text: str, *, complete: bool) -> Item:
        match start:
            case TextDelta(refusal=refusal):
                parts = (Text(text=text, refusal=refusal),)
                return MessageItem(id=item_id(self._turn_id, n, "msg"), role=Role.ASSISTANT, parts=parts, complete=complete)
            case ReasoningDelta():
                return ReasoningItem(id=item_id(self._turn_id, n, "rs"), text=text, complete=complete)
            case CallStarted(call_id=call_id, name=name, offer=offer):
                call = ToolCall(id=call_id, name=name, arguments=text)
                return ToolCallItem(
                    id=item_id(self._turn_id, n, PREFIX_OF_CALL[offer]), call=call, offer=offer, complete=complete
                )


def _made_up(item: Item) -> bool:
    return isinstance(item, ToolCallItem) and item.offer is Offer.UNKNOWN
