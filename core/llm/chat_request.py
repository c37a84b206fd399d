"""A request in OpenAI's chat-completions shape."""

from typing import Any

from core.llm.contract import JsonFormat, ModelRequest, Sampling, ToolChoice, ToolMode, ToolSpec
from core.messages import Image, Message, Part, Reply, SystemMessage, Text, ToolCall, ToolResult, UserMessage


def request_body(request: ModelRequest, *, max_tokens_parameter: str) -> dict[str, Any]:
    """Without `model` and `stream`. What is left at its default is left out: many servers know fewer fields than OpenAI's."""
    body: dict[str, Any] = {"messages": [_message(message) for message in request.messages]}
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
        if request.tool_choice != ToolChoice():
            body["tool_choice"] = _tool_choice(request.tool_choice)
        if not request.parallel_tool_calls:
            body["parallel_tool_calls"] = False
    if request.format is not None:
        body["response_format"] = _format(request.format)
    body.update(_sampling(request.sampling, max_tokens_parameter))
    return body


def _message(message: Message) -> dict[str, Any]:
    match message:
        case SystemMessage(text=text):
            return {"role": "system", "content": text}
        case UserMessage(parts=(Text(text=text),)):
            return {"role": "user", "content": text}
        case UserMessage(parts=parts):
            return {"role": "user", "content": [_part(part) for part in parts]}
        case Reply(text=text, tool_calls=()):
            return {"role": "assistant", "content": text}
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
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


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
