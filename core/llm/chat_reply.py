"""A reply in OpenAI's chat-completions shape, streamed or whole, into our chunks. Nothing here trusts the provider."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json

from core.llm.contract import CallChunk, Chunk, Finished, ModelError, ReasoningChunk, TextChunk
from core.llm.failures import QUOTA, malformed, provider_error
from core.messages import FinishReason, Usage

_FINISH = {
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "model_length": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
    "sensitive": FinishReason.CONTENT_FILTER,
}
_BROKEN_OFF = frozenset({"error", "network_error", "abort", "aborted", "insufficient_system_resource", "function_call_filter"})
"""What servers say of an answer that they did not finish."""
MOST_HELD = 8_000_000
"""Characters that wait for their place in the reply, with PIECE_WEIGHT for each piece."""
PIECE_WEIGHT = 100
ALIVE = TextChunk(text="")
"""Something came, and has to wait: no caller sees it, and nobody takes the provider for silent."""

_SAID_IN = ("reasoning_content", "reasoning", "content", "refusal", "tool_calls")
_STATUSES = frozenset(map(str, range(400, 600)))
_TOO_MANY = frozenset({"rate_limit_exceeded", "rate_limit_error"})
"""What is said inside a stream, where there is no status any more."""


def parse_object(model: str, data: bytes) -> dict[str, Any]:
    """A JSON object from the provider. Raises ModelError."""
    try:
        parsed = from_json(data)
    except ValueError:
        parsed = _parse_leniently(model, data)
    if not isinstance(parsed, dict):
        raise malformed(model, "JSON that is not an object")
    return parsed


def _parse_leniently(model: str, data: bytes) -> Any:
    """The fast parser refuses lone surrogates and broken UTF-8, which do occur."""
    try:
        return json.loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError) as exc:
        raise malformed(model, "something that is not JSON") from exc


@dataclass(slots=True)
class _Call:
    index: int
    id: str
    name: str = ""
    opened: bool = False
    held: list[str] = field(default_factory=list)
    unnamed: str = ""  # its arguments so far, where it has no id

    def is_whole(self) -> bool:
        try:
            from_json(self.unnamed.encode(errors="replace"))  # it takes no string with a lone surrogate
        except ValueError:
            return False
        return bool(self.name)


class ReplyReader:
    """Turns a provider's stream objects (or its one whole answer) into our chunks.

    Calls may interleave on the wire, with each other and with text, and must not in ours: the first is passed on as it comes,
    what is said after its beginning and the other calls at the end.
    """

    def __init__(self, model: str, *, secrets: Sequence[str] = ()) -> None:
        self._model = model
        self._secrets = secrets
        self._calls: list[_Call] = []
        self._by_wire_index: dict[Any, _Call] = {}
        self._usage = Usage()
        self._reason: FinishReason | None = None
        self._said_later: list[Chunk] = []
        self._said = False
        self._in_pieces: set[str] = set()  # which of _SAID_IN came in deltas
        self._weight = 0

    def read(self, wire: Mapping[str, Any]) -> Iterator[Chunk]:
        """Raises ModelError for an error object in the stream."""
        if wire.get("error"):
            raise error_from(self._model, 500, wire, secrets=self._secrets)
        if isinstance(usage := wire.get("usage"), dict):
            self._usage = _usage(usage)
        choices = wire.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choice := choices[0], dict):
            return
        whole = "delta" not in choice
        delta = choice.get("message" if whole else "delta")
        if isinstance(delta, dict):
            if whole:  # some say everything once more at the end of a stream
                delta = {key: value for key, value in delta.items() if key not in self._in_pieces}
            else:
                self._in_pieces.update(key for key in _SAID_IN if delta.get(key))
            yield from self._delta(delta, whole=whole)
        if reason := choice.get("finish_reason"):
            self._reason = self._finish_reason(str(reason))

    def finish(self, *, cut_short: bool) -> Iterator[Chunk]:
        """cut_short: the connection ended without the protocol's own end. That is well where the reply had ended before."""
        if cut_short and self._reason is None:
            raise malformed(self._model, "an answer that ends before it is finished")
        if self._reason is None and not self._calls and not self._said:
            raise malformed(self._model, "an answer that says nothing")
        for call in self._calls:
            if call.held or not call.opened:
                yield self._piece(call)
            if call.index == 0:
                yield from self._said_later
        yield Finished(reason=self._reason or FinishReason.STOP, usage=self._usage)

    def _finish_reason(self, told: str) -> FinishReason:
        """Some say more than the word, behind a colon. One that nobody knows is an end. Raises ModelError."""
        word = told.partition(":")[0].strip()
        if word in _BROKEN_OFF:
            raise malformed(self._model, f"an answer that it broke off ({told[:100]})")
        return _FINISH.get(word, FinishReason.STOP)

    def _delta(self, delta: Mapping[str, Any], *, whole: bool) -> Iterator[Chunk]:
        if reasoning := delta.get("reasoning_content") or delta.get("reasoning"):
            yield self._in_place(ReasoningChunk(text=_text(reasoning)))
        if content := delta.get("content"):
            yield self._in_place(TextChunk(text=_text(content)))
        if refusal := delta.get("refusal"):
            yield self._in_place(TextChunk(text=_text(refusal), refusal=True))
        pieces = delta.get("tool_calls")
        for piece in pieces if isinstance(pieces, list) else ():
            if isinstance(piece, dict) and isinstance(function := piece.get("function"), dict):
                call = self._call(piece.get("index"), _text(piece.get("id")), _text(function.get("name")), whole=whole)
                arguments = _arguments(function.get("arguments"))
                call.held.append(arguments)
                if not call.id:
                    call.unnamed += arguments
                if call.index == 0 and call.name:
                    yield self._piece(call)
                else:
                    self._hold(arguments)
                    yield ALIVE

    def _in_place(self, chunk: TextChunk | ReasoningChunk) -> Chunk:
        self._said = self._said or bool(chunk.text)
        if not self._calls or not chunk.text:
            return chunk
        self._said_later.append(chunk)
        self._hold(chunk.text)
        return ALIVE

    def _hold(self, text: str) -> None:
        """Raises ModelError."""
        self._weight += len(text) + PIECE_WEIGHT
        if self._weight > MOST_HELD:
            raise malformed(self._model, "an answer that is too long")

    def _call(self, wire_index: Any, call_id: str, name: str, *, whole: bool) -> _Call:
        """The call that a piece belongs to. Some servers number every call 0, or none: then another id begins another call.

        Some give no ids either: then a name does behind arguments that are whole.
        """
        key = wire_index if isinstance(wire_index, int) else None
        call = self._by_wire_index.get(key)
        if call is None or whole or (call_id and name and call_id != call.id) or (not call_id and name and call.is_whole()):
            call = _Call(len(self._calls), call_id)
            self._calls.append(call)
            self._by_wire_index[key] = call
        call.name = call.name or name
        return call

    def _piece(self, call: _Call) -> CallChunk:
        arguments = "".join(call.held)
        call.held.clear()
        if call.opened:
            return CallChunk(index=call.index, arguments=arguments)
        call.opened = True
        return CallChunk(index=call.index, id=call.id, name=call.name, arguments=arguments)


def error_from(
    model: str, status: int, wire: Mapping[str, Any], *, retry_after: float | None = None, secrets: Sequence[str] = ()
) -> ModelError:
    """status: used where the error object names no HTTP status of its own."""
    error = wire.get("error", wire)
    if not isinstance(error, dict):
        error = {"message": str(error)}
    code, kind = str(error.get("code") or ""), str(error.get("type") or "")
    if kind == QUOTA:
        code = QUOTA
    if code in _STATUSES:
        status = int(code)
    elif status >= 500 and _TOO_MANY & {code, kind}:
        status = 429
    elif status >= 500 and kind == "invalid_request_error":
        status = 400
    detail = str(error.get("message") or error.get("detail") or error.get("type") or "")
    for secret in secrets:
        detail = detail.replace(secret, "[redacted]")
    return provider_error(model, status, detail, code=code, retry_after=retry_after)


def _text(value: Any) -> str:
    """A string, or (Mistral) a list of parts."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        texts = (part.get("text") for part in value if isinstance(part, dict))
        return "".join(text for text in texts if isinstance(text, str))
    return ""


def _arguments(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value)


def _usage(wire: Mapping[str, Any]) -> Usage:
    return Usage(
        input=_count(wire, "prompt_tokens"),
        output=_count(wire, "completion_tokens"),
        cached=_count(wire.get("prompt_tokens_details"), "cached_tokens"),
        reasoning=_count(wire.get("completion_tokens_details"), "reasoning_tokens"),
    )


def _count(wire: Any, key: str) -> int:
    value = wire.get(key) if isinstance(wire, dict) else None
    return value if isinstance(value, int) and value >= 0 else 0
