"""A model's reply while it streams: chunks in; events and, at its end, whole items out. Pure."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

from core.events import CallDelta, CallStarted, ReasoningDelta, Replied, TextDelta, TurnEvent, item_id
from core.llm.contract import CallChunk, Chunk, Finished, ReasoningChunk, TextChunk
from core.messages import (
    FinishReason,
    Item,
    MessageItem,
    Offer,
    ReasoningItem,
    Reply,
    Role,
    Text,
    ToolCall,
    ToolCallItem,
    Usage,
    text_of,
)

OfferOf = Callable[[str], Offer]
PREFIX_OF_CALL = {
    Offer.FUNCTION: "fc",
    Offer.CODE_INTERPRETER: "ci",
    Offer.REGISTRY: "mcp",
    Offer.APPROVAL: "mcpr",
    Offer.UNKNOWN: "fc",
}

REPLY_WEIGHT = 8_000_000
PIECE_WEIGHT = 16
"""What a reply may weigh in characters, each of its pieces counted with what it costs to keep beside its text."""


class StreamedReply:
    """first_item: the ordinal of the reply's first output item in its turn. taken: ids that calls of other replies have.

    Some models number their calls anew in each reply, and nobody tells them of replies that no longer fit their context; but in
    the ledger a call has its id for ever, and a tool takes two requests with one key for one.

    one_call: the request's wish, which not every model's server heeds: a second call is left out, and the model asks again.

    An item is open until a chunk of another kind comes: text after a call is a new message, and so is a refusal after text.
    """

    def __init__(
        self, turn_id: str, first_item: int, offer_of: OfferOf, *, taken: Collection[str] = (), one_call: bool = False
    ) -> None:
        self._turn_id = turn_id
        self._first_item = first_item
        self._offer_of = offer_of
        self._taken = taken
        self._one_call = one_call
        self._items: list[Item] = []
        self._open: TextChunk | ReasoningChunk | CallChunk | None = None
        self._pieces: list[str] = []
        self._characters = self._weight = 0
        self.finish = FinishReason.STOP
        self.usage = Usage()

    def take(self, chunk: Chunk) -> Iterator[TurnEvent]:
        match chunk:
            case TextChunk(text=text, refusal=refusal):
                if not isinstance(self._open, TextChunk) or self._open.refusal is not refusal:
                    self._start(chunk)
                self._add(text)
                yield TextDelta(item=self._ordinal, text=text, refusal=refusal)
            case ReasoningChunk(text=text):
                if not isinstance(self._open, ReasoningChunk):
                    self._start(chunk)
                self._add(text)
                yield ReasoningDelta(item=self._ordinal, text=text)
            case CallChunk():
                yield from self._take_call(chunk)
            case Finished(reason=reason, usage=usage):
                self.finish, self.usage = reason, usage

    def _take_call(self, chunk: CallChunk) -> Iterator[TurnEvent]:
        if not isinstance(self._open, CallChunk) or self._open.index != chunk.index:
            if self._one_call and self._has_call:
                return
            self._start(chunk)
            if chunk.id in self._taken:
                self._open = chunk = replace(chunk, id=self._id("call"))
            offer = self._offer_of(chunk.name)
            yield CallStarted(item=self._ordinal, call_id=chunk.id, name=chunk.name, offer=offer)
        if chunk.arguments:
            self._add(chunk.arguments)
            yield CallDelta(item=self._ordinal, arguments=chunk.arguments)

    def _add(self, piece: str) -> None:
        self._pieces.append(piece)
        self._characters += len(piece)
        self._weight += len(piece) + PIECE_WEIGHT
        if self.overflows:
            self.finish, self.usage = FinishReason.LENGTH, Usage(output=self._characters // 4)  # nobody will tell how many

    @property
    def overflows(self) -> bool:
        """No model that is well says so much: what would follow is not waited for."""
        return self._weight > REPLY_WEIGHT

    @property
    def _has_call(self) -> bool:
        return isinstance(self._open, CallChunk) or any(isinstance(item, ToolCallItem) for item in self._items)

    @property
    def _ordinal(self) -> int:
        return self._first_item + len(self._items)

    def _start(self, chunk: TextChunk | ReasoningChunk | CallChunk) -> None:
        self._close(complete=True)
        self._open = chunk

    def _close(self, *, complete: bool) -> None:
        text = "".join(self._pieces)
        match self._open:
            case None:
                return
            case TextChunk(refusal=refusal):
                parts = (Text(text=text, refusal=refusal),)
                self._items.append(MessageItem(id=self._id("msg"), role=Role.ASSISTANT, parts=parts, complete=complete))
            case ReasoningChunk():
                self._items.append(ReasoningItem(id=self._id("rs"), text=text, complete=complete))
            case CallChunk(id=call_id, name=name):
                offer = self._offer_of(name)
                call = ToolCall(id=call_id, name=name, arguments=text)
                item = self._id(PREFIX_OF_CALL[offer])
                said_with = self._first_item
                self._items.append(ToolCallItem(id=item, call=call, offer=offer, reply=said_with, complete=complete))
        self._open = None
        self._pieces = []

    def _id(self, prefix: str) -> str:
        return item_id(self._turn_id, self._ordinal, prefix)

    def whole(self, *, step: int, seconds: float) -> Replied:
        """The reply ends. An item that the token limit or the filter cut off is incomplete."""
        self._close(complete=self.finish in (FinishReason.STOP, FinishReason.TOOL_CALLS))
        return Replied(
            step=step,
            first_item=self._first_item,
            items=tuple(self._items),
            usage=self.usage,
            finish=self.finish,
            seconds=seconds,
        )


def as_message(replied: Replied) -> Reply:
    """The reply as the model reads it back."""
    parts = [part for item in replied.items if isinstance(item, MessageItem) for part in item.parts]
    reasoning = "".join(item.text for item in replied.items if isinstance(item, ReasoningItem))
    calls = tuple(item.call for item in replied.items if isinstance(item, ToolCallItem))
    return Reply(text=text_of(parts), refusal=text_of(parts, refusal=True), reasoning=reasoning, tool_calls=calls)
