"""Output items of a response while they stream: each knows the events that open it, fill it and close it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from api.wire import items
from api.wire.code_argument import CodeArgument
from api.wire.event_writer import EventWriter
from core.compact import quote
from core.events import ITEM_PREFIXES, item_id
from core.messages import (
    Item,
    ListedTool,
    MessageItem,
    Offer,
    ReasoningItem,
    Role,
    Text,
    ToolCall,
    ToolCallItem,
    ToolResult,
    text_of,
)

Json = dict[str, Any]
IN_PROGRESS, COMPLETED, INCOMPLETE, FAILED = "in_progress", "completed", "incomplete", "failed"


@dataclass(frozen=True, slots=True)
class Place:
    """ordinal: among all items of the turn, gives the id. index: among those that a client is shown."""

    turn_id: str
    ordinal: int
    index: int
    writer: EventWriter


class StreamedItem(ABC):
    """Opened, added to, sealed (its content is whole), closed (its last event is out). Twice is as good as once."""

    def __init__(self, place: Place, prefix: str) -> None:
        self.id = item_id(place.turn_id, place.ordinal, ITEM_PREFIXES[prefix])
        self.index = place.index
        self.closed = False
        self._sealed = False
        self._status = IN_PROGRESS
        self._pieces: list[str] = []
        self._writer = place.writer
        self._head = f',"item_id":{quote(self.id)},"output_index":{place.index}'

    @abstractmethod
    def body(self) -> Json: ...

    @abstractmethod
    def open(self) -> None: ...

    @abstractmethod
    def add(self, text: str) -> None: ...

    @abstractmethod
    def _finish(self) -> None:
        """Send what follows the last delta."""

    def seal(self, whole: str = "") -> None:
        """whole: the text as the model's reply has it; what was not streamed of it is sent first."""
        if self._sealed:
            return
        text = self._text
        if len(whole) > len(text) and whole.startswith(text):
            self.add(whole[len(text) :])
        self._sealed = True
        self._finish()

    def close(self, status: str) -> None:
        if self.closed:
            return
        self.seal()
        self.closed, self._status = True, status
        self._writer.emit("response.output_item.done", output_index=self.index, item=self.body())

    @property
    def _text(self) -> str:
        return "".join(self._pieces)

    def _announce(self) -> None:
        self._writer.emit("response.output_item.added", output_index=self.index, item=self.body())

    def _emit(self, kind: str, **fields: Any) -> None:
        self._writer.emit(kind, item_id=self.id, output_index=self.index, **fields)


class StreamedMessage(StreamedItem):
    def __init__(self, place: Place) -> None:
        super().__init__(place, "message")
        self._head += ',"content_index":0'

    def body(self) -> Json:
        content = [self._part(self._text)] if self._pieces or self._status != IN_PROGRESS else []
        return items.message(self.id, Role.ASSISTANT, content, self._status)

    def open(self) -> None:
        self._announce()
        self._emit("response.content_part.added", content_index=0, part=self._part(""))

    def add(self, text: str) -> None:
        self._pieces.append(text)
        self._writer.emit_delta("response.output_text.delta", self._head, text, ',"logprobs":[]')

    def _finish(self) -> None:
        self._emit("response.output_text.done", content_index=0, text=self._text, logprobs=[])
        self._emit("response.content_part.done", content_index=0, part=self._part(self._text))

    def _part(self, text: str) -> Json:
        return items.output_text(text)


class StreamedRefusal(StreamedMessage):
    """What the model says instead of an answer."""

    def add(self, text: str) -> None:
        self._pieces.append(text)
        self._writer.emit_delta("response.refusal.delta", self._head, text)

    def _finish(self) -> None:
        self._emit("response.refusal.done", content_index=0, refusal=self._text)
        self._emit("response.content_part.done", content_index=0, part=self._part(self._text))

    def _part(self, text: str) -> Json:
        return items.refusal(text)


class StreamedReasoning(StreamedItem):
    _part_number = "content_index"

    def __init__(self, place: Place) -> None:
        super().__init__(place, "reasoning")
        self._head += f',"{self._part_number}":0'

    def body(self) -> Json:
        return items.reasoning(self.id, self._text, self._status)

    def open(self) -> None:
        self._announce()
        self._emit("response.content_part.added", content_index=0, part=items.reasoning_text(""))

    def add(self, text: str) -> None:
        self._pieces.append(text)
        self._writer.emit_delta("response.reasoning_text.delta", self._head, text)

    def _finish(self) -> None:
        self._emit("response.reasoning_text.done", content_index=0, text=self._text)
        self._emit("response.content_part.done", content_index=0, part=items.reasoning_text(self._text))


class StreamedSummary(StreamedReasoning):
    """For who asked for `reasoning.summary`: the same thoughts, whole, in the form in which OpenAI tells a summary of them."""

    _part_number = "summary_index"

    def body(self) -> Json:
        return items.reasoning(self.id, self._text, self._status, summarized=True)

    def open(self) -> None:
        self._announce()
        self._emit("response.reasoning_summary_part.added", summary_index=0, part=items.summary_text(""))

    def add(self, text: str) -> None:
        self._pieces.append(text)
        self._writer.emit_delta("response.reasoning_summary_text.delta", self._head, text)

    def _finish(self) -> None:
        self._emit("response.reasoning_summary_text.done", summary_index=0, text=self._text)
        self._emit("response.reasoning_summary_part.done", summary_index=0, part=items.summary_text(self._text))


class StreamedFunctionCall(StreamedItem):
    """Its output_item.done comes when the turn goes on or ends."""

    def __init__(self, place: Place, *, call_id: str, name: str) -> None:
        super().__init__(place, "function")
        self._call_id = call_id
        self._name = name

    def body(self) -> Json:
        return items.function_call(self.id, self._call_id, self._name, self._text, self._status)

    def open(self) -> None:
        self._announce()

    def add(self, text: str) -> None:
        self._pieces.append(text)
        self._writer.emit_delta("response.function_call_arguments.delta", self._head, text)

    def _finish(self) -> None:
        self._emit("response.function_call_arguments.done", name=self._name, arguments=self._text)


class StreamedOwnCall(StreamedItem):
    """A call of a tool of ours: it is dispatched, and given its result, after the reply that asked for it."""

    _result: ToolResult | None = None

    def dispatch(self) -> None:
        """Send what tells that it runs, where there is such an event."""

    @abstractmethod
    def _returned(self, failed: bool) -> None: ...

    def give(self, result: ToolResult) -> None:
        self.seal()
        self._result = result
        self._returned(result.failed)
        self.close(FAILED if result.failed else COMPLETED)


class StreamedCodeCall(StreamedOwnCall):
    """outputs: show what the code printed. The code is what can be read of the arguments, were they malformed."""

    def __init__(self, place: Place, *, outputs: bool) -> None:
        super().__init__(place, "code_interpreter")
        self._outputs = outputs
        self._argument = CodeArgument()
        self._code: list[str] = []

    def body(self) -> Json:
        outputs = items.logs_of(self._result) if self._outputs and self.closed else None
        return items.code_interpreter_call(self.id, "".join(self._code), self._status, outputs)

    def open(self) -> None:
        self._announce()
        self._emit("response.code_interpreter_call.in_progress")

    def add(self, text: str) -> None:
        self._pieces.append(text)
        if code := self._argument.feed(text):
            self._code.append(code)
            self._writer.emit_delta("response.code_interpreter_call_code.delta", self._head, code)

    def dispatch(self) -> None:
        self._emit("response.code_interpreter_call.interpreting")

    def _returned(self, failed: bool) -> None:
        self._emit("response.code_interpreter_call.completed")

    def _finish(self) -> None:
        self._emit("response.code_interpreter_call_code.done", code="".join(self._code))


class StreamedRegistryCall(StreamedOwnCall):
    def __init__(self, place: Place, *, name: str, approval: str | None = None) -> None:
        super().__init__(place, "registry")
        self._name = name
        self._approval = approval

    def body(self) -> Json:
        result = self._result if self.closed else None
        return items.mcp_call(self.id, self._name, self._text, self._status, result, approval=self._approval)

    def open(self) -> None:
        self._announce()
        self._emit("response.mcp_call.in_progress")

    def add(self, text: str) -> None:
        self._pieces.append(text)
        self._writer.emit_delta("response.mcp_call_arguments.delta", self._head, text)

    def _returned(self, failed: bool) -> None:
        self._emit("response.mcp_call.failed" if failed else "response.mcp_call.completed")

    def _finish(self) -> None:
        self._emit("response.mcp_call_arguments.done", arguments=self._text)


class StreamedApprovalRequest(StreamedItem):
    """It has no deltas: nobody knows that a human will be asked before the call is whole and was found to be valid."""

    def __init__(self, place: Place, call: ToolCall) -> None:
        super().__init__(place, "approval")
        self._call = call

    def body(self) -> Json:
        return items.mcp_approval_request(self.id, self._call.name, self._call.arguments)

    def open(self) -> None:
        self._announce()

    def add(self, text: str) -> None:
        raise TypeError("a request for approval is whole as soon as it is there")

    def _finish(self) -> None: ...


class StreamedToolList(StreamedItem):
    """It has no deltas: it is whole as soon as it is there."""

    def __init__(self, place: Place, tools: Sequence[ListedTool]) -> None:
        super().__init__(place, "tool_list")
        self._tools = tools

    def body(self) -> Json:
        return items.mcp_list_tools(self.id, self._tools if self.closed else ())

    def open(self) -> None:
        self._announce()
        self._emit("response.mcp_list_tools.in_progress")

    def add(self, text: str) -> None:
        raise TypeError("a list of tools has no text")

    def _finish(self) -> None:
        self._emit("response.mcp_list_tools.completed")


class StreamedToolListOfNulls(StreamedToolList):
    """As `responses/1` tells it."""

    def body(self) -> Json:
        body = super().body()
        return {**body, "tools": [{**tool, "annotations": None} for tool in body["tools"]], "error": None}


def whole_text(item: Item) -> str:
    """The text that the deltas of an output item add up to."""
    match item:
        case MessageItem():
            return "".join(part.text for part in item.parts if isinstance(part, Text))
        case ReasoningItem():
            return item.text
        case ToolCallItem():
            return item.call.arguments
        case _:
            raise TypeError(f"a model does not reply with a {item.kind}")


def streamed(item: Item, place: Place, *, outputs: bool, summary: bool) -> StreamedItem | None:
    """The form in which such an item streams, not opened yet. None for what clients are not shown."""
    match item:
        case MessageItem():
            return StreamedRefusal(place) if text_of(item.parts, refusal=True) else StreamedMessage(place)
        case ReasoningItem():
            return StreamedSummary(place) if summary else StreamedReasoning(place)
        case ToolCallItem(offer=Offer.FUNCTION, call=call):
            return StreamedFunctionCall(place, call_id=call.id, name=call.name)
        case ToolCallItem(offer=Offer.CODE_INTERPRETER):
            return StreamedCodeCall(place, outputs=outputs)
        case ToolCallItem(offer=Offer.REGISTRY, call=call, approval=approval):
            return StreamedRegistryCall(place, name=call.name, approval=approval)
        case ToolCallItem():  # made up; or not known yet to be a request for approval
            return None
        case _:
            raise TypeError(f"a model does not reply with a {item.kind}")
