"""A request in OpenAI's chat-completions shape."""

import json
import re
from dataclasses import asdict, replace
from typing import Any

from pydantic_core import from_json

from core.llm.contract import JsonFormat, ModelRequest, Sampling, ToolChoice, ToolMode, ToolSpec
from core.messages import Image, Message, Part, Reply, SystemMessage, Text, ToolCall, ToolResult, UserMessage

_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]")
MOST_NESTED = 64
"""Objects and lists in a call's arguments. Providers' parsers, which count what is around them too, take about a hundred."""
_MORE_THAN_PARSED = (201 - MOST_NESTED) * "["
"""In front of what is nested deeper, more than pydantic's parser takes."""


def request_body(
    request: ModelRequest, *, max_tokens_parameter: str, reasoning_back: bool = False, of_openai: bool = False
) -> dict[str, Any]:
    """Without `model` and `stream`. What is left at its default is left out: many servers know fewer fields than OpenAI's.

    reasoning_back: calls go back with the reasoning before them. of_openai: the provider is OpenAI itself, and knows them all.
    """
    messages = [_named(message if of_openai else _all_text(message)) for message in request.messages]
    if reasoning_back:
        for message, told in zip(request.messages, messages, strict=True):
            if isinstance(message, Reply) and message.tool_calls:
                told["reasoning_content"] = message.reasoning or " "  # an empty one counts as none
    body: dict[str, Any] = {"messages": messages}
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
        if request.tool_choice != ToolChoice():
            body["tool_choice"] = _tool_choice(request.tool_choice)
        if not request.parallel_tool_calls:
            body["parallel_tool_calls"] = False
    if request.format is not None:
        body["response_format"] = _format(request.format)
    body.update(_sampling(request.sampling, max_tokens_parameter))
    if of_openai:
        body.update({name: value for name, value in asdict(request.labels).items() if value is not None})
    return body


def _all_text(message: Message) -> Message:
    """A field that a server does not know would be lost on its model, and the message empty."""
    if not isinstance(message, Reply) or not message.refusal:
        return message
    return replace(message, text="\n\n".join(filter(None, (message.text, message.refusal))), refusal="")


def _named(message: Message) -> dict[str, Any]:
    name = None if isinstance(message, ToolResult) else message.name
    return _message(message) | ({"name": name} if name else {})


def _message(message: Message) -> dict[str, Any]:
    match message:
        case SystemMessage(text=text):
            return {"role": "system", "content": text}
        case UserMessage(parts=(Text(text=text),)):
            return {"role": "user", "content": text}
        case UserMessage(parts=parts):
            return {"role": "user", "content": [_part(part) for part in parts]}
        case Reply(text=text, refusal="", tool_calls=()):
            return {"role": "assistant", "content": text}
        case Reply(refusal=refusal) if refusal:
            return {**_message(replace(message, refusal="")), "content": message.text or None, "refusal": refusal}
        case Reply(text=text, tool_calls=calls):
            return {"role": "assistant", "content": text or None, "tool_calls": [_call(call) for call in calls]}
        case ToolResult(call_id=call_id, content=content):
            return {"role": "tool", "tool_call_id": call_id, "content": content}


def _part(part: Part) -> dict[str, Any]:
    match part:
        case Text(text=text):
            return {"type": "text", "text": text}
        case Image(url=url, detail=detail):
            return {"type": "image_url", "image_url": {"url": url, "detail": detail}}


def _call(call: ToolCall) -> dict[str, Any]:
    """A JSON object under a legal name, whatever was called: a provider refuses the whole conversation for one that is not."""
    name = _NOT_IN_NAMES.sub("_", call.name)[:64] or "unknown"
    return {"id": call.id, "type": "function", "function": {"name": name, "arguments": _arguments(call.arguments)}}


def _arguments(written: str) -> str:
    """As they were written where that can be, or a provider could not use what it keeps of the conversation's beginning."""
    written = written if written.strip() else "{}"
    try:
        nested = f"{_MORE_THAN_PARSED}{written}{len(_MORE_THAN_PARSED) * ']'}".encode()
        told = from_json(nested, allow_inf_nan=False)
        for _ in _MORE_THAN_PARSED:
            (told,) = told  # or what was written closes our brackets: `],[`
        json.dumps(told, allow_nan=False)  # 1e999 is read as infinite, and then nobody can write it
    except ValueError:
        told = None
    return written if isinstance(told, dict) else json.dumps({"malformed": written}, ensure_ascii=False)


def _tool(tool: ToolSpec) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    if tool.strict:
        function["strict"] = True
    return {"type": "function", "function": function}


def _tool_choice(choice: ToolChoice) -> str | dict[str, Any]:
    if choice.name is not None and choice.mode is ToolMode.REQUIRED:
        return {"type": "function", "function": {"name": choice.name}}
    return choice.mode.value


def _format(wanted: JsonFormat) -> dict[str, Any]:
    if wanted.schema is None:
        return {"type": "json_object"}
    described: dict[str, Any] = {"name": wanted.name, "schema": wanted.schema, "strict": wanted.strict}
    if wanted.description is not None:
        described["description"] = wanted.description
    return {"type": "json_schema", "json_schema": described}


def _sampling(sampling: Sampling, max_tokens_parameter: str) -> dict[str, Any]:
    named = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        max_tokens_parameter: sampling.max_output_tokens,
        "stop": list(sampling.stop) or None,
        "seed": sampling.seed,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "reasoning_effort": sampling.reasoning_effort,
    }
    return {key: value for key, value in named.items() if value is not None}
