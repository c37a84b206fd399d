"""The provider's side of OpenAI's chat-completions shapes: what a script needs of a request, and its events encoded. No I/O."""

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

from core.llm.contract import CallChunk, Chunk, Finished, ReasoningChunk, TextChunk
from core.llm.script import ScriptedError, Situation
from core.messages import Usage


def situation_of(messages: Iterable[Mapping[str, Any]]) -> Situation:
    """Raises LookupError, TypeError or AttributeError for messages of another shape."""
    user_text = ""
    results: list[str] = []
    after_tool: str | None = None
    names: dict[str, str] = {}
    for message in messages:
        after_tool = None
        match message["role"]:
            case "user":
                user_text, results = _text(message["content"]), []
            case "assistant":
                names |= {call["id"]: call["function"]["name"] for call in message.get("tool_calls") or ()}
            case "tool":
                results.append(_text(message["content"]))
                after_tool = names.get(message["tool_call_id"], "")
    return Situation(
        last_user_text=user_text,
        last_tool_result=results[-1] if results else "",
        after_tool=after_tool,
        tool_results=len(results),
    )


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


class Encoder:
    """Of one answer. What all its objects have in common is encoded once."""

    def __init__(self, answer_id: str, body: Mapping[str, Any]) -> None:
        self._base = {"id": answer_id, "created": int(time.time()), "model": body.get("model")}
        self._chunk = f"data: {json.dumps({'object': 'chat.completion.chunk', **self._base})[:-1]}, "
        self._with_usage = bool((body.get("stream_options") or {}).get("include_usage"))

    def opening(self) -> str:
        return self._event('{"role": "assistant", "content": ""}')

    def event(self, chunk: Chunk) -> str:
        match chunk:
            case TextChunk(text=text, refusal=True):
                return self._event(f'{{"refusal": {json.dumps(text)}}}')
            case TextChunk(text=text):
                return self._event(f'{{"content": {json.dumps(text)}}}')
            case ReasoningChunk(text=text):
                return self._event(f'{{"reasoning_content": {json.dumps(text)}}}')
            case CallChunk():
                return self._event(json.dumps({"tool_calls": [{"index": chunk.index, **_call(chunk)}]}))
            case Finished(reason=reason, usage=usage):
                counted = f'{self._chunk}"choices": [], "usage": {json.dumps(_usage(usage))}}}\n\n' if self._with_usage else ""
                return f"{self._event('{}', reason.value)}{counted}data: [DONE]\n\n"

    def _event(self, delta: str, reason: str | None = None) -> str:
        return f'{self._chunk}"choices": [{{"index": 0, "delta": {delta}, "finish_reason": {json.dumps(reason)}}}]}}\n\n'

    def whole(self, chunks: Iterable[Chunk]) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": None}
        answer: dict[str, Any] = {"object": "chat.completion", **self._base}
        for chunk in chunks:
            match chunk:
                case TextChunk(text=text, refusal=True):
                    message["refusal"] = message.get("refusal", "") + text
                case TextChunk(text=text):
                    message["content"] = (message["content"] or "") + text
                case ReasoningChunk(text=text):
                    message["reasoning_content"] = message.get("reasoning_content", "") + text
                case CallChunk(name=name) if name:
                    message.setdefault("tool_calls", []).append(_call(chunk))
                case CallChunk(index=index, arguments=arguments):
                    message["tool_calls"][index]["function"]["arguments"] += arguments
                case Finished(reason=reason, usage=usage):
                    answer["choices"] = [{"index": 0, "message": message, "finish_reason": reason.value}]
                    answer["usage"] = _usage(usage)
        return answer


def error_body(error: ScriptedError) -> dict[str, Any]:
    return {"error": {"message": error.message, "type": "scripted_error", "code": error.code or None, "param": None}}


def _call(chunk: CallChunk) -> dict[str, Any]:
    if not chunk.name:
        return {"function": {"arguments": chunk.arguments}}
    return {"id": chunk.id, "type": "function", "function": {"name": chunk.name, "arguments": chunk.arguments}}


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }
