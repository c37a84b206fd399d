"""Items as OpenAI writes them. Pure: core's items in, plain dictionaries out."""

from typing import Any, assert_never

from api.wire.code_argument import code_of
from core.messages import (
    FunctionOutputItem,
    Image,
    Item,
    MessageItem,
    Offer,
    Part,
    ReasoningItem,
    Role,
    ToolCallItem,
    ToolResult,
)

Json = dict[str, Any]


def encode_item(item: Item, *, outputs: bool = False) -> Json:
    """outputs: show what code printed (OpenAI does only when `code_interpreter_call.outputs` is asked for)."""
    match item:
        case MessageItem():
            return message(item.id, item.role, [_part(part, item.role) for part in item.parts], _status(item.complete))
        case ReasoningItem():
            return reasoning(item.id, item.text, _status(item.complete))
        case ToolCallItem(offer=Offer.FUNCTION):
            return function_call(item.id, item.call.id, item.call.name, item.call.arguments, _status(item.complete))
        case ToolCallItem():
            status = "completed" if item.result is not None else "incomplete"
            status = "failed" if item.result is not None and item.result.failed else status
            return code_interpreter_call(
                item.id, code_of(item.call.arguments), status, logs_of(item.result) if outputs else None
            )
        case FunctionOutputItem():
            return {
                "id": item.id,
                "type": "function_call_output",
                "call_id": item.call_id,
                "output": item.output,
                "status": "completed",
            }
        case _:
            assert_never(item)


def message(item_id: str, role: Role, content: list[Json], status: str) -> Json:
    return {"id": item_id, "type": "message", "role": role.value, "content": content, "status": status}


def output_text(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def reasoning(item_id: str, text: str, status: str) -> Json:
    content = [reasoning_text(text)] if text else []
    return {"id": item_id, "type": "reasoning", "summary": [], "content": content, "encrypted_content": None, "status": status}


def reasoning_text(text: str) -> Json:
    return {"type": "reasoning_text", "text": text}


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


def logs_of(result: ToolResult | None) -> list[Json]:
    return [{"type": "logs", "logs": result.content}] if result is not None and result.content else []


def _status(complete: bool) -> str:
    return "completed" if complete else "incomplete"


def _part(part: Part, role: Role) -> Json:
    if isinstance(part, Image):
        return {"type": "input_image", "image_url": part.url, "detail": part.detail, "file_id": None}
    if role is Role.ASSISTANT:
        return output_text(part.text)
    return {"type": "input_text", "text": part.text}
