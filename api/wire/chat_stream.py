"""Encoder `chat/1`: from a turn's events to the chunks of OpenAI's Chat Completions, and to the whole completion.

Reasoning is not part of that wire. Only functions of the client are offered through it, so no event of a tool of ours comes.
"""

from typing import Any

from api.wire.compact import dump, quote
from api.wire.report import Report
from api.wire.response_body import unix
from core.events import CallDelta, CallStarted, Recorded, Replied, TextDelta, TurnEnded, TurnStatus
from core.messages import FinishReason, MessageItem, Offer, Text, ToolCallItem, Usage
from core.storage.records import Turn

WIRE = "chat/1"


def completion_id(turn_id: str) -> str:
    return "chatcmpl-" + turn_id.removeprefix("resp_")


def turn_id_of(completion: str) -> str:
    return "resp_" + completion.removeprefix("chatcmpl-")


class ChatEncoder:
    """Feed it every event of the turn from the first. One instance gives chunks or the completion, or both."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._shows_usage = bool(turn.echo.get("usage"))
        self._opened = False
        self._texts: list[str] = []
        self._calls: dict[int, _Call] = {}
        self._streamed: dict[int, int] = {}  # characters of each item that were streamed
        self._finish = FinishReason.STOP
        self.ended: TurnEnded | None = None
        self.report = Report(turn)
        head = {"id": completion_id(turn.id), "object": "chat.completion.chunk", "created": unix(turn.created_at)}
        rest = {"model": turn.model, "service_tier": "default", "system_fingerprint": None}
        self._head = dump({**head, **rest})[:-1]
        self._tail = ',"usage":null}' if self._shows_usage else "}"
        self._text_head = f'{self._head},"choices":[{{"index":0,"delta":{{"content":'
        self._text_tail = f'}},"logprobs":null,"finish_reason":null}}]{self._tail}'

    def feed(self, recorded: Recorded) -> list[str]:
        """Chunks as JSON text."""
        event = recorded.event
        match event:
            case TextDelta():
                return self._text(event.item, event.text)
            case CallStarted(offer=Offer.UNKNOWN):
                return []
            case CallStarted():
                return self._start_call(event.item, event.call_id, event.name)
            case CallDelta():
                return self._arguments(event.item, event.arguments)
            case Replied():
                return self._reply(event)
            case TurnEnded():
                self.ended = event
                return self._last() if self.is_whole else []
            case _:
                return []

    def completion(self) -> dict[str, Any]:
        """The whole completion, once the turn has ended."""
        content = "".join(self._texts)
        calls = [call.body() for call in self._calls.values()]
        message: dict[str, Any] = {
            "role": "assistant",
            "content": content if content or not calls else None,
            "refusal": None,
            "annotations": [],
        }
        if calls:
            message["tool_calls"] = calls
        return {
            "id": completion_id(self._turn.id),
            "object": "chat.completion",
            "created": unix(self._turn.created_at),
            "model": self._turn.model,
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": self._finish_reason()}],
            "usage": usage_body(self._usage),
            "service_tier": "default",
            "system_fingerprint": None,
        }

    @property
    def is_whole(self) -> bool:
        """There is an answer, were it cut short by a limit."""
        return self.ended is not None and self.ended.status in (TurnStatus.COMPLETED, TurnStatus.INCOMPLETE)

    @property
    def _usage(self) -> Usage:
        return self.ended.usage if self.ended is not None else Usage()

    def _text(self, item: int, text: str) -> list[str]:
        self._texts.append(text)
        self._streamed[item] = self._streamed.get(item, 0) + len(text)
        chunk = f"{self._text_head}{quote(text)}{self._text_tail}"
        return [chunk] if self._opened else [self._first(), chunk]

    def _start_call(self, item: int, call_id: str, name: str) -> list[str]:
        call = self._calls[item] = _Call(len(self._calls), call_id, name)
        return [*self._open(), self._chunk({"tool_calls": [call.first_delta()]})]

    def _arguments(self, item: int, arguments: str) -> list[str]:
        if (call := self._calls.get(item)) is None:  # of a function that nobody offered
            return []
        call.arguments.append(arguments)
        self._streamed[item] = self._streamed.get(item, 0) + len(arguments)
        return [self._chunk({"tool_calls": [{"index": call.index, "function": {"arguments": arguments}}]})]

    def _reply(self, reply: Replied) -> list[str]:
        """What was not streamed of it is sent now."""
        self._finish = reply.finish
        self.report.add_step(reply)
        chunks: list[str] = []
        for place, item in enumerate(reply.items, reply.first_item):
            streamed = self._streamed.get(place, 0)
            if isinstance(item, MessageItem):
                text = "".join(part.text for part in item.parts if isinstance(part, Text))
                chunks += self._text(place, text[streamed:]) if text[streamed:] else []
            elif isinstance(item, ToolCallItem) and item.offer is Offer.FUNCTION:
                chunks += self._start_call(place, item.call.id, item.call.name) if place not in self._calls else []
                rest = item.call.arguments[streamed:]
                chunks += self._arguments(place, rest) if rest else []
        return chunks

    def _last(self) -> list[str]:
        chunks = [*self._open(), self._chunk({}, finish_reason=self._finish_reason())]
        if self._shows_usage:
            chunks.append(f'{self._head},"choices":[],"usage":{dump(usage_body(self._usage))}}}')
        return chunks

    def _finish_reason(self) -> str:
        """A turn that a limit of ours stopped was cut short, whatever its last reply said."""
        if self.ended is not None and self.ended.status is TurnStatus.INCOMPLETE:
            return "content_filter" if self.ended.reason == "content_filter" else "length"
        return "tool_calls" if self._calls and self._finish is FinishReason.STOP else self._finish.value

    def _open(self) -> list[str]:
        return [] if self._opened else [self._first()]

    def _first(self) -> str:
        self._opened = True
        return self._chunk({"role": "assistant", "content": "", "refusal": None})

    def _chunk(self, delta: dict[str, Any], *, finish_reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return f'{self._head},"choices":[{dump(choice)}]{self._tail}'


class _Call:
    def __init__(self, index: int, call_id: str, name: str) -> None:
        self.index = index
        self.arguments: list[str] = []
        self._id = call_id
        self._name = name

    def first_delta(self) -> dict[str, Any]:
        function = {"name": self._name, "arguments": ""}
        return {"index": self.index, "id": self._id, "type": "function", "function": function}

    def body(self) -> dict[str, Any]:
        function = {"name": self._name, "arguments": "".join(self.arguments)}
        return {"id": self._id, "type": "function", "function": function}


def usage_body(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
