"""A chat completion as it grows from a turn's events. How it is streamed is told in `chat_stream.py`.

Reasoning is not part of that wire, nor are tools of ours, which an assistant may bring: what the model says before and after
their calls is one text, in paragraphs.
"""

from typing import Any

from api.wire.report import Report
from api.wire.response_body import model_of, unix
from core.events import (
    CallDelta,
    CallStarted,
    Recorded,
    Replied,
    ReplyCut,
    TextDelta,
    ToolDispatched,
    ToolReturned,
    TurnEnded,
    TurnStatus,
)
from core.messages import FinishReason, MessageItem, Offer, ToolCallItem, Usage, text_of
from core.storage.records import Turn

WIRE = "chat/1"
PARAGRAPH = "\n\n"
Delta = str | dict[str, Any]
"""What an event adds to the message: a piece of its text, or fields as OpenAI's `delta` has them."""


def completion_id(turn_id: str) -> str:
    return "chatcmpl-" + turn_id.removeprefix("resp_")


def turn_id_of(completion: str) -> str:
    return "resp_" + completion.removeprefix("chatcmpl-")


class ChatAnswer:
    """Give it every event of the turn from the first."""

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.ended: TurnEnded | None = None
        self.report = Report(turn)
        self._texts: list[str] = []
        self._refusals: list[str] = []
        self._whole = (0, 0)  # how many of both are of replies that are whole
        self._calls: dict[int, _Call] = {}
        self._taken: dict[int, int] = {}  # characters of each item that came in deltas
        self._finish = FinishReason.STOP

    def take(self, recorded: Recorded) -> list[Delta]:
        match recorded.event:
            case TextDelta(item=item, text=text, refusal=refusal):
                return self._text(item, text, refusal=refusal)
            case CallStarted(item=item, call_id=call_id, name=name, offer=Offer.FUNCTION):
                return self._start_call(item, call_id, name)
            case CallDelta(item=item, arguments=arguments):
                return self._arguments(item, arguments)
            case Replied() as reply:
                return self._reply(reply)
            case ReplyCut(first_item=first):
                self._forget(first)
            case ToolDispatched():
                self.report.add_dispatch()
            case ToolReturned(seconds=seconds):
                self.report.add_tool(seconds)
            case TurnEnded() as end:
                self.ended = end
                self.report.add_end(end)
        return []

    @property
    def is_whole(self) -> bool:
        """There is an answer, were it cut short by a limit."""
        return self.ended is not None and self.ended.status in (TurnStatus.COMPLETED, TurnStatus.INCOMPLETE)

    @property
    def refuses(self) -> bool:
        """It has said nothing else so far."""
        return bool(self._refusals) and not self._texts

    @property
    def finish_reason(self) -> str:
        """A turn that a limit of ours stopped was cut short, whatever its last reply said."""
        if self.ended is not None and self.ended.status is TurnStatus.INCOMPLETE:
            return "content_filter" if self.ended.reason == "content_filter" else "length"
        return "tool_calls" if self._calls and self._finish is FinishReason.STOP else self._finish.value

    @property
    def usage(self) -> dict[str, Any]:
        return _usage_body(self.ended.usage if self.ended is not None else Usage())

    def completion(self) -> dict[str, Any]:
        """The whole completion, once the turn has ended."""
        content, refusal = "".join(self._texts), "".join(self._refusals) or None
        message: dict[str, Any] = {"role": "assistant", "content": content, "refusal": refusal, "annotations": []}
        if refusal:
            message["content"] = content or None
        if self._calls:
            message |= {"content": content or None, "tool_calls": [call.body() for call in self._calls.values()]}
        return {
            "id": completion_id(self.turn.id),
            "object": "chat.completion",
            "created": unix(self.turn.created_at),
            "model": model_of(self.turn),
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": self.finish_reason}],
            "usage": self.usage,
            "service_tier": "default",
            "system_fingerprint": None,
        }

    def _text(self, item: int, text: str, *, refusal: bool = False) -> list[Delta]:
        begins, before = item not in self._taken, self._refusals if refusal else self._texts
        self._taken[item] = self._taken.get(item, 0) + len(text)
        if begins and before:
            text = PARAGRAPH + text
        before.append(text)
        return [{"refusal": text}] if refusal else [text]

    def _start_call(self, item: int, call_id: str, name: str) -> list[Delta]:
        call = self._calls[item] = _Call(len(self._calls), call_id, name)
        return [{"tool_calls": [call.first_delta()]}]

    def _arguments(self, item: int, arguments: str) -> list[Delta]:
        if (call := self._calls.get(item)) is None:  # of a tool of ours, or one that nobody offered
            return []
        call.arguments.append(arguments)
        self._taken[item] = self._taken.get(item, 0) + len(arguments)
        return [{"tool_calls": [{"index": call.index, "function": {"arguments": arguments}}]}]

    def _forget(self, first: int) -> None:
        """What was said from this item on: the model begins again."""
        texts, refusals = self._whole
        del self._texts[texts:], self._refusals[refusals:]
        for ordinal in [ordinal for ordinal in self._calls if ordinal >= first]:
            del self._calls[ordinal]

    def _reply(self, reply: Replied) -> list[Delta]:
        """What did not come in deltas comes now."""
        self._finish = reply.finish
        self.report.add_step(reply)
        deltas: list[Delta] = []
        for place, item in enumerate(reply.items, reply.first_item):
            taken = self._taken.get(place, 0)
            if isinstance(item, MessageItem):
                refused = text_of(item.parts, refusal=True)
                text = (refused or text_of(item.parts))[taken:]
                deltas += self._text(place, text, refusal=bool(refused)) if text else []
            elif isinstance(item, ToolCallItem) and item.offer is Offer.FUNCTION:
                deltas += self._start_call(place, item.call.id, item.call.name) if place not in self._calls else []
                rest = item.call.arguments[taken:]
                deltas += self._arguments(place, rest) if rest else []
        self._whole = (len(self._texts), len(self._refusals))
        return deltas


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


def _usage_body(usage: Usage) -> dict[str, Any]:
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
