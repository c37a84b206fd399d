"""Items as OpenAI writes them. Pure: core's items in, plain dictionaries out."""

from collections.abc import Sequence
from typing import Any, assert_never

from api.wire.code_argument import code_of
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
    ToolCallItem,
    ToolListItem,
    ToolResult,
)

Json = dict[str, Any]
REGISTRY = "registry"
"""What the tool registry is called among MCP servers."""


def encode_item(item: Item, *, outputs: bool = False) -> Json:
    """outputs: show what code printed (OpenAI does only when `code_interpreter_call.outputs` is asked for)."""
    match item:
        case MessageItem():
            return message(item.id, item.role, [_part(part, item.role) for part in item.parts], _status(item.complete))
        case ReasoningItem():
            return reasoning(item.id, item.text, _status(item.complete))
        case ToolCallItem(offer=Offer.FUNCTION):
            return function_call(item.id, item.call.id, item.call.name, item.call.arguments, _status(item.complete))
        case ToolCallItem(offer=Offer.REGISTRY):
            called = (item.call.name, item.call.arguments, call_status(item.result), item.result)
            return mcp_call(item.id, *called, approval=item.approval)
        case ToolCallItem(offer=Offer.APPROVAL):
            return mcp_approval_request(item.id, item.call.name, item.call.arguments)
        case ApprovalResponseItem():
            return {
                "id": item.id,
                "type": "mcp_approval_response",
                "approval_request_id": item.request_id,
                "approve": item.approve,
                "reason": item.reason,
            }
        case ToolListItem():
            return mcp_list_tools(item.id, item.tools)
        case ToolCallItem():
            code, status = code_of(item.call.arguments), call_status(item.result)
            return code_interpreter_call(item.id, code, status, logs_of(item.result) if outputs else None)
        case FunctionOutputItem():
            return {
                "id": item.id,
                "type": "function_call_output",
                "call_id": item.call_id,
                "output": _output(item),
                "status": "completed",
            }
        case _:
            assert_never(item)


def message(item_id: str, role: Role, content: list[Json], status: str) -> Json:
    return {"id": item_id, "type": "message", "role": role.value, "content": content, "status": status}


def output_text(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def refusal(text: str) -> Json:
    return {"type": "refusal", "refusal": text}


def reasoning(item_id: str, text: str, status: str, *, summarized: bool = False) -> Json:
    """summarized: told as OpenAI tells thoughts. Then it is all there is: many clients would show the content beside it."""
    return {
        "id": item_id,
        "type": "reasoning",
        "summary": [summary_text(text)] if text and summarized else [],
        "content": [reasoning_text(text)] if text and not summarized else [],
        "encrypted_content": None,
        "status": status,
    }


def reasoning_text(text: str) -> Json:
    return {"type": "reasoning_text", "text": text}


def summary_text(text: str) -> Json:
    return {"type": "summary_text", "text": text}


def function_call(item_id: str, call_id: str, name: str, arguments: str, status: str) -> Json:
    return {
        "id": item_id,
        "type": "function_call",
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
        "status": status,
    }


def code_interpreter_call(item_id: str, code: str, status: str, outputs: list[Json] | None) -> Json:
    """container_id: OpenAI's clients require one; each of our calls has a container of its own, gone when it ends."""
    container_id = "cntr_" + item_id.partition("_")[2]
    return {
        "id": item_id,
        "type": "code_interpreter_call",
        "code": code,
        "container_id": container_id,
        "outputs": outputs,
        "status": status,
    }


def mcp_approval_request(item_id: str, name: str, arguments: str) -> Json:
    return {"id": item_id, "type": "mcp_approval_request", "server_label": REGISTRY, "name": name, "arguments": arguments}


def mcp_call(
    item_id: str, name: str, arguments: str, status: str, result: ToolResult | None, *, approval: str | None = None
) -> Json:
    failed = result is not None and result.failed
    return {
        "id": item_id,
        "type": "mcp_call",
        "server_label": REGISTRY,
        "name": name,
        "arguments": arguments,
        "approval_request_id": approval,
        "output": result.content if result is not None and not failed else None,
        "error": {"type": "mcp_tool_execution_error", "content": result.content} if result is not None and failed else None,
        "status": status,
    }


def mcp_list_tools(item_id: str, tools: Sequence[ListedTool]) -> Json:
    """Without `error` and the tools' `annotations`: clients that check what they read let them be absent, not null."""
    listed = [{"name": tool.name, "description": tool.description, "input_schema": tool.parameters} for tool in tools]
    return {"id": item_id, "type": "mcp_list_tools", "server_label": REGISTRY, "tools": listed}


def call_status(result: ToolResult | None) -> str:
    """Of a tool of ours: without a result it was cut off."""
    if result is None:
        return "incomplete"
    return "failed" if result.failed else "completed"


def logs_of(result: ToolResult | None) -> list[Json]:
    return [{"type": "logs", "logs": result.content}] if result is not None and result.content else []


def _status(complete: bool) -> str:
    return "completed" if complete else "incomplete"


def _output(item: FunctionOutputItem) -> str | list[Json]:
    if not item.images:
        return item.output
    parts: list[Part] = [Text(text=item.output)] if item.output else []
    return [_part(part, Role.USER) for part in [*parts, *item.images]]


def _part(part: Part, role: Role) -> Json:
    if isinstance(part, Image):
        return {"type": "input_image", "image_url": part.url, "detail": part.detail, "file_id": None}
    if role is Role.ASSISTANT:
        return refusal(part.text) if part.refusal else output_text(part.text)
    return {"type": "input_text", "text": part.text}
