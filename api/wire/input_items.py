"""Input items as clients send them, in all the forms of OpenAI's API, and the way to our items."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, assert_never

from pydantic import Discriminator, Field, Tag

from api.wire.body import Array, Body, JsonObject, only
from core.compact import dump
from core.errors import InvalidRequest, NotFound
from core.ids import new_id
from core.messages import (
    ApprovalResponseItem,
    FunctionOutputItem,
    Image,
    Item,
    ListedTool,
    MessageItem,
    Offer,
    Part,
    ReasoningItem,
    Role,
    Text,
    ToolCall,
    ToolCallItem,
    ToolListItem,
    ToolResult,
)

Status = Literal["in_progress", "completed", "incomplete"] | None
KEPT_ID = r"^[A-Za-z0-9_-]{1,256}$"
NOT_KEPT = "(the output was not kept)"


class InputText(Body):
    type: Literal["input_text"]
    text: str


class InputImage(Body):
    """image_url: an https: or data: address."""

    type: Literal["input_image"]
    image_url: str = Field(pattern=r"^(https?://|data:image/)")
    detail: Literal["auto", "low", "high", "original"] | None = None
    file_id: only(None) = None  # type: ignore[valid-type]


class OutputText(Body):
    """annotations, logprobs: as our own answers carry them, empty. parsed: the text again, as the SDK's helpers keep it."""

    type: Literal["output_text"]
    text: str
    annotations: Array[dict[str, Any]] | None = None
    logprobs: Array[dict[str, Any]] | None = None
    parsed: Any = None


class Refusal(Body):
    type: Literal["refusal"]
    refusal: str


Content = Annotated[InputText | InputImage | OutputText | Refusal, Discriminator("type")]


class Message(Body):
    """phase: what models that think aloud say of it; ours are not told."""

    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: str | Array[Content]
    id: str | None = None
    status: Status = None
    phase: Literal["commentary", "final_answer"] | None = None


class FunctionCall(Body):
    """parsed_arguments: the arguments again, as the SDK's helpers keep them."""

    type: Literal["function_call"]
    call_id: str = Field(min_length=1, max_length=256)
    name: str = Field(min_length=1, max_length=256)
    arguments: str
    id: str | None = None
    status: Status = None
    parsed_arguments: Any = None


class FunctionCallOutput(Body):
    type: Literal["function_call_output"]
    call_id: str = Field(min_length=1, max_length=256)
    output: str | Array[Annotated[InputText | InputImage, Discriminator("type")]]
    id: str | None = None
    status: Status = None


class Logs(Body):
    type: Literal["logs"]
    logs: str


class CodeInterpreterCall(Body):
    """A call of history. outputs: without them, what we keep of the item with this id."""

    type: Literal["code_interpreter_call"]
    id: str | None = Field(None, min_length=1, max_length=256)
    code: str | None
    container_id: str | None = None
    outputs: Array[Logs] | None = None
    status: Literal["in_progress", "completed", "incomplete", "interpreting", "failed"] | None = None


class McpToolError(Body):
    """As our own answers carry it."""

    type: Literal["mcp_tool_execution_error"]
    content: str


class McpCall(Body):
    """A call of history. output: what it gave back; without it, what we keep of the item with this id."""

    type: Literal["mcp_call"]
    id: str | None = Field(None, min_length=1, max_length=256)
    server_label: Literal["registry"]
    name: str = Field(min_length=1, max_length=256)
    arguments: str
    output: str | None = None
    error: str | McpToolError | None = None
    approval_request_id: str | None = Field(None, max_length=256)
    status: Literal["in_progress", "completed", "incomplete", "calling", "failed"] | None = None


class McpApprovalRequest(Body):
    """A call of history that waits, or waited, for a human."""

    type: Literal["mcp_approval_request"]
    id: str = Field(min_length=1, max_length=256)
    server_label: Literal["registry"]
    name: str = Field(min_length=1, max_length=256)
    arguments: str


class McpApprovalResponse(Body):
    """What a human says to it."""

    type: Literal["mcp_approval_response"]
    approval_request_id: str = Field(min_length=1, max_length=256)
    approve: bool
    id: str | None = None
    reason: str | None = Field(None, max_length=2_000)


class McpListedTool(Body):
    name: str
    input_schema: JsonObject
    description: str | None = None
    annotations: JsonObject | None = None


class McpListTools(Body):
    type: Literal["mcp_list_tools"]
    server_label: Literal["registry"]
    tools: Array[McpListedTool]
    id: str | None = None
    error: str | None = None


class ReasoningText(Body):
    type: Literal["reasoning_text"]
    text: str


class SummaryText(Body):
    type: Literal["summary_text"]
    text: str


class Reasoning(Body):
    type: Literal["reasoning"]
    id: str | None = None
    summary: Array[SummaryText] | None = None
    content: Array[ReasoningText] | None = None
    encrypted_content: only(None) = None  # type: ignore[valid-type]
    status: Status = None


class ItemReference(Body):
    """An item that is kept here, as our answers write it."""

    type: Literal["item_reference"] | None = None
    id: str = Field(pattern=KEPT_ID)


def by_type(item: Any) -> str | None:
    """Of an item: a message may leave its type out, and so may a reference, which is an id and nothing else."""
    if not isinstance(item, dict):
        return getattr(item, "type", None)
    if "id" in item and item.keys() <= {"type", "id"} and item.get("type") is None:
        return "item_reference"
    kind = item.get("type", "message" if "role" in item else None)
    return kind if isinstance(kind, str) else None


WholeItem = (
    Annotated[Message, Tag("message")]
    | Annotated[FunctionCall, Tag("function_call")]
    | Annotated[FunctionCallOutput, Tag("function_call_output")]
    | Annotated[CodeInterpreterCall, Tag("code_interpreter_call")]
    | Annotated[McpCall, Tag("mcp_call")]
    | Annotated[McpApprovalRequest, Tag("mcp_approval_request")]
    | Annotated[McpApprovalResponse, Tag("mcp_approval_response")]
    | Annotated[McpListTools, Tag("mcp_list_tools")]
    | Annotated[Reasoning, Tag("reasoning")]
)
InputItem = Annotated[WholeItem | Annotated[ItemReference, Tag("item_reference")], Discriminator(by_type)]


def references(value: str | Sequence[InputItem] | None) -> Sequence[str]:
    """The ids of items that it points to."""
    return [item.id for item in value or () if isinstance(item, ItemReference)]


def bare_calls(value: str | Sequence[InputItem] | None) -> Sequence[str]:
    """The ids of calls that come without what they gave back, as several SDKs send them."""
    calls = (item for item in value or () if isinstance(item, CodeInterpreterCall | McpCall) and not _told(item))
    return sorted({call.id for call in calls if call.id is not None and re.fullmatch(KEPT_ID, call.id)})


def _told(call: CodeInterpreterCall | McpCall) -> bool:
    return bool(call.outputs) if isinstance(call, CodeInterpreterCall) else (call.output, call.error) != (None, None)


def to_items(value: str | list[InputItem], param: str, known: Mapping[str, Item]) -> tuple[Item, ...]:
    """Our items, with new ids, and those that it points to with theirs. param: where the list is in the request, for what is
    refused here. known: what was looked up. Raises NotFound for a reference to another.
    """
    if isinstance(value, str):
        return (MessageItem(id=new_id("msg"), role=Role.USER, parts=(Text(text=value),)),)
    return tuple(
        _known(item, f"{param}[{place}]", known) if isinstance(item, ItemReference) else _item(item, f"{param}[{place}]", known)
        for place, item in enumerate(value)
    )


def _known(item: ItemReference, param: str, known: Mapping[str, Item]) -> Item:
    if item.id not in known:
        message = f"no item {item.id!r}: one of a response that was not stored, or was deleted, has to be sent whole"
        raise NotFound(message, param=f"{param}.id", code="item_not_found")
    return known[item.id]


def _item(item: WholeItem, param: str, known: Mapping[str, Item]) -> Item:
    match item:
        case Message():
            parts = _parts(item, param)
            return MessageItem(id=new_id("msg"), role=Role(item.role), parts=parts, complete=_complete(item.status))
        case FunctionCall():
            call = ToolCall(id=item.call_id, name=item.name, arguments=item.arguments)
            return ToolCallItem(id=new_id("fc"), call=call, offer=Offer.FUNCTION, complete=_complete(item.status))
        case FunctionCallOutput():
            return _function_output(item)
        case CodeInterpreterCall():
            return _code_call(item, known)
        case McpCall():
            return _registry_call(item, known)
        case McpApprovalRequest():
            asked = ToolCall(id=item.id, name=item.name, arguments=item.arguments)
            return ToolCallItem(id=new_id("mcpr"), call=asked, offer=Offer.APPROVAL)
        case McpApprovalResponse():
            asked_as = item.approval_request_id
            return ApprovalResponseItem(id=new_id("mcpa"), request_id=asked_as, approve=item.approve, reason=item.reason)
        case McpListTools():
            listed = [ListedTool(name=t.name, description=t.description or "", parameters=t.input_schema) for t in item.tools]
            return ToolListItem(id=new_id("mcpl"), tools=tuple(listed))
        case Reasoning():
            texts = [part.text for part in item.content or item.summary or ()]
            return ReasoningItem(id=new_id("rs"), text="".join(texts), complete=_complete(item.status))
        case _:
            assert_never(item)


def _parts(message: Message, param: str) -> tuple[Part, ...]:
    if isinstance(message.content, str):
        return (Text(text=message.content),)
    return tuple(_part(part, message.role, f"{param}.content[{place}]") for place, part in enumerate(message.content))


def _part(part: Content, role: str, param: str) -> Part:
    match part:
        case InputImage():
            if role != "user":
                raise InvalidRequest(
                    f"images are for messages of the user, not of {role!r}", param=param, code="unsupported_value"
                )
            return _image(part)
        case Refusal():
            return Text(text=part.refusal, refusal=role == "assistant")
        case InputText() | OutputText():
            return Text(text=part.text)
        case _:
            assert_never(part)


def _image(part: InputImage) -> Image:
    return Image(url=part.image_url, detail=part.detail or "auto")


def _function_output(item: FunctionCallOutput) -> FunctionOutputItem:
    parts = [InputText(type="input_text", text=item.output)] if isinstance(item.output, str) else item.output
    return FunctionOutputItem(
        id=new_id("fco"),
        call_id=item.call_id,
        output="\n".join(part.text for part in parts if isinstance(part, InputText)),
        images=tuple(_image(part) for part in parts if isinstance(part, InputImage)),
    )


def _code_call(item: CodeInterpreterCall, known: Mapping[str, Item]) -> ToolCallItem:
    """On the wire it has no call id of its own."""
    new = new_id("ci")
    call_id = item.id or new
    unknown = item.outputs is None or (not item.outputs and item.id is None)  # OpenAI's Agents SDK writes the one as the other
    logs = NOT_KEPT if unknown else "".join(output.logs for output in item.outputs or ())
    told = ToolResult(call_id=call_id, content=logs, failed=item.status == "failed")
    return ToolCallItem(
        id=new,
        call=ToolCall(id=call_id, name=Offer.CODE_INTERPRETER.value, arguments=dump({"code": item.code or ""})),
        offer=Offer.CODE_INTERPRETER,
        result=told if item.outputs else _kept(call_id, Offer.CODE_INTERPRETER, known) or told,
    )


def _registry_call(item: McpCall, known: Mapping[str, Item]) -> ToolCallItem:
    new = new_id("mcp")
    call_id = item.id or new
    error = item.error.content if isinstance(item.error, McpToolError) else item.error
    result: ToolResult | None = ToolResult(call_id=call_id, content=item.output or error or "", failed=error is not None)
    if not _told(item):
        done = ToolResult(call_id=call_id, content=NOT_KEPT) if item.status in (None, "completed") else None
        result = _kept(call_id, Offer.REGISTRY, known) or done
    return ToolCallItem(
        id=new,
        call=ToolCall(id=call_id, name=item.name, arguments=item.arguments),
        offer=Offer.REGISTRY,
        result=result,
        approval=item.approval_request_id,
    )


def _kept(call_id: str, offer: Offer, known: Mapping[str, Item]) -> ToolResult | None:
    """What the call gave back that a client sends again without it."""
    item = known.get(call_id)
    if not isinstance(item, ToolCallItem) or item.offer is not offer or item.result is None:
        return None
    return replace(item.result, call_id=call_id)


def _complete(status: str | None) -> bool:
    return status != "incomplete"
