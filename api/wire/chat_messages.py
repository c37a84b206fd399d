"""Messages of a chat as clients send them, and the way to our items."""

from typing import Annotated, Any, Literal, assert_never

from pydantic import Discriminator, Field

from api.wire.body import Array, Body, JsonObject, only
from core.ids import new_id
from core.messages import FunctionOutputItem, Image, Item, MessageItem, Offer, Part, Role, Text, ToolCall, ToolCallItem


class TextPart(Body):
    type: Literal["text"]
    text: str


class AnswerRest(Body):
    """What an answer may hold beside its text and calls, as it is sent back: taken, and not read. parsed: the content again, of
    the SDK's helpers. reasoning, reasoning_content: of servers that tell it.
    """

    annotations: Array[JsonObject] | None = None
    audio: only(None) = None  # type: ignore[valid-type]
    function_call: only(None) = None  # type: ignore[valid-type]
    parsed: Any = None
    reasoning: str | None = None
    reasoning_content: str | None = None


class AnswerPart(AnswerRest):
    """Some clients put the whole answer into its one part, beside the message that has it too (@openai/agents, for one)."""

    role: Literal["assistant"] | None = None
    tool_calls: Any = None


class AnswerText(AnswerPart):
    type: Literal["text"]
    text: str
    refusal: str | None = None


class AnswerRefusal(AnswerPart):
    type: Literal["refusal"]
    refusal: str
    content: only(None) = None  # type: ignore[valid-type]


class ImageUrl(Body):
    url: str = Field(pattern=r"^(https?://|data:image/)")
    detail: Literal["auto", "low", "high", "original"] | None = None


class ImagePart(Body):
    type: Literal["image_url"]
    image_url: ImageUrl


UserPart = Annotated[TextPart | ImagePart, Discriminator("type")]
AssistantPart = Annotated[AnswerText | AnswerRefusal, Discriminator("type")]
Name = Annotated[str, Field(max_length=256)]


class SystemMessage(Body):
    role: Literal["system", "developer"]
    content: str | Array[TextPart]
    id: Name | None = None
    name: Name | None = None


class UserMessage(Body):
    role: Literal["user"]
    content: str | Array[UserPart]
    id: Name | None = None
    name: Name | None = None


class CalledFunction(Body):
    """parsed_arguments: the arguments again, as the SDK's helpers keep them."""

    name: str = Field(min_length=1, max_length=256)
    arguments: str
    parsed_arguments: Any = None


class MessageToolCall(Body):
    """index: what a client that keeps whole stream deltas sends back."""

    id: str = Field(min_length=1, max_length=256)
    type: Literal["function"]
    function: CalledFunction
    index: int | None = None


class AssistantMessage(AnswerRest):
    """What an answer of ours holds, so that it can be sent back as it is."""

    role: Literal["assistant"]
    content: str | Array[AssistantPart] | None = None
    id: Name | None = None
    refusal: str | None = None
    tool_calls: Array[MessageToolCall] | None = None
    name: Name | None = None


class ToolMessage(Body):
    role: Literal["tool"]
    content: str | Array[TextPart]
    id: Name | None = None
    tool_call_id: str = Field(min_length=1, max_length=256)
    name: str | None = None


Message = Annotated[SystemMessage | UserMessage | AssistantMessage | ToolMessage, Discriminator("role")]


def first_image(messages: list[Message]) -> str | None:
    """Where the first image is, for a model that can take none."""
    for place, message in enumerate(messages):
        if isinstance(message, UserMessage) and not isinstance(message.content, str):
            for part_place, part in enumerate(message.content):
                if isinstance(part, ImagePart):
                    return f"messages[{place}].content[{part_place}]"
    return None


def items_of(message: Message) -> list[Item]:
    match message:
        case SystemMessage():
            return [MessageItem(id=new_id("msg"), role=Role(message.role), parts=_parts(message.content), name=message.name)]
        case UserMessage():
            return [MessageItem(id=new_id("msg"), role=Role.USER, parts=_parts(message.content), name=message.name)]
        case ToolMessage():
            output = message.content if isinstance(message.content, str) else "\n".join(part.text for part in message.content)
            return [FunctionOutputItem(id=new_id("fco"), call_id=message.tool_call_id, output=output)]
        case AssistantMessage():
            return _said(message)
        case _:
            assert_never(message)


def _said(message: AssistantMessage) -> list[Item]:
    items: list[Item] = []
    content = message.content or []
    parts = _parts(content)
    refusals = [message.refusal] if message.refusal else [part.refusal for part in content if isinstance(part, AnswerText)]
    parts += tuple(Text(text=refusal, refusal=True) for refusal in refusals if refusal)
    if parts:
        items.append(MessageItem(id=new_id("msg"), role=Role.ASSISTANT, parts=parts, name=message.name))
    for call in message.tool_calls or []:
        asked = ToolCall(id=call.id, name=call.function.name, arguments=call.function.arguments)
        items.append(ToolCallItem(id=new_id("fc"), call=asked, offer=Offer.FUNCTION))
    return items


def _parts(content: "str | list[TextPart] | list[UserPart] | list[AssistantPart]") -> tuple[Part, ...]:
    if isinstance(content, str):
        return (Text(text=content),)
    return tuple(_part(part) for part in content)


def _part(part: TextPart | ImagePart | AnswerText | AnswerRefusal) -> Part:
    match part:
        case TextPart() | AnswerText():
            return Text(text=part.text)
        case ImagePart():
            return Image(url=part.image_url.url, detail=part.image_url.detail or "auto")
        case AnswerRefusal():
            return Text(text=part.refusal, refusal=True)
        case _:
            assert_never(part)
