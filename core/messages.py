"""What a conversation is made of: items as they are kept, and messages as a model reads them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from operator import not_
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, TypeAdapter

Seldom = Annotated[bool, Field(exclude_if=not_)]
"""Written where it is true: what was kept before there was such a flag keeps its bytes, and so its digests."""


class Role(StrEnum):
    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"
    DEVELOPER = "developer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """refusal: what the model said instead of an answer."""

    text: str
    refusal: Seldom = False
    kind: Literal["text"] = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """url: an https: or data: address."""

    url: str
    detail: str = "auto"
    kind: Literal["image"] = "image"


Part = Annotated[Text | Image, Discriminator("kind")]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """What the model asked for, verbatim. Nothing in it has been checked."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """What the model is told of a call."""

    call_id: str
    content: str
    failed: bool = False


# What is kept: items, owned by a turn or a conversation.


class Offer(StrEnum):
    """How the request offered the tool, which decides who runs it and what its calls look like."""

    FUNCTION = "function"  # the client's: a call ends the turn
    CODE_INTERPRETER = "code_interpreter"  # ours, built in
    REGISTRY = "registry"  # a tool of the registry, run by us
    APPROVAL = "approval"  # another one of these, which a human must approve first: a call ends the turn
    UNKNOWN = "unknown"  # the model made the name up: it is told so, and clients are not shown the call


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageItem:
    """name: of who says it, among several of the same role."""

    id: str
    role: Role
    parts: tuple[Part, ...]
    name: str | None = None
    complete: bool = True
    kind: Literal["message"] = "message"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasoningItem:
    id: str
    text: str
    complete: bool = True
    kind: Literal["reasoning"] = "reasoning"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallItem:
    """A call and, for a tool that we ran, its result. A function's result is an item of its own.

    approval: the id of the request that a human has approved or denied, where there was one. reply: the ordinal of the first
    item of the reply that asked, of a turn of ours: a turn's calls with the same one were asked for at once.
    """

    id: str
    call: ToolCall
    offer: Offer
    result: ToolResult | None = None
    approval: str | None = None
    reply: Annotated[int | None, Field(exclude_if=lambda reply: reply is None)] = None
    complete: bool = True
    kind: Literal["tool_call"] = "tool_call"


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionOutputItem:
    """What the client says its function returned. images: beside the text, which may be empty."""

    id: str
    call_id: str
    output: str
    images: Annotated[tuple[Image, ...], Field(exclude_if=not_)] = ()
    kind: Literal["function_output"] = "function_output"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalResponseItem:
    """What a human says to a call that waits. request_id: of the item that asked."""

    id: str
    request_id: str
    approve: bool
    reason: str | None = None
    kind: Literal["approval_response"] = "approval_response"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedTool:
    """parameters: a JSON Schema."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolListItem:
    """The tools of the registry that a turn offered. It is told once in a conversation, until others are offered."""

    id: str
    tools: tuple[ListedTool, ...]
    kind: Literal["tool_list"] = "tool_list"


Item = Annotated[
    MessageItem | ReasoningItem | ToolCallItem | FunctionOutputItem | ApprovalResponseItem | ToolListItem,
    Discriminator("kind"),
]
ITEM: TypeAdapter[Item] = TypeAdapter(Item)


# What a model reads: messages, assembled from items.


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemMessage:
    text: str
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UserMessage:
    """answers: what a call returned, and a result cannot hold; it follows the results."""

    parts: tuple[Part, ...]
    name: str | None = None
    answers: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer of a model, or its refusal to give one. `reasoning` is kept, and sent back only where a model wants it with
    the results of its calls.
    """

    text: str = ""
    refusal: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    name: str | None = None


Message = SystemMessage | UserMessage | Reply | ToolResult


def text_of(parts: Iterable[Part], *, refusal: bool = False, between: str = "") -> str:
    """What was said, or what was refused."""
    return between.join(part.text for part in parts if isinstance(part, Text) and part.refusal is refusal)


@dataclass(slots=True)
class Transcript:
    messages: list[Message] = field(default_factory=list)

    def add(self, message: Message) -> None:
        self.messages.append(message)


class FinishReason(StrEnum):
    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens. `cached` is part of `input`, `reasoning` of `output`."""

    input: int = 0
    output: int = 0
    cached: int = 0
    reasoning: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            input=self.input + other.input,
            output=self.output + other.output,
            cached=self.cached + other.cached,
            reasoning=self.reasoning + other.reasoning,
        )
