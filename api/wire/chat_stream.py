"""Encoder `chat/1`: from a turn's events to the chunks of OpenAI's Chat Completions."""

from typing import Any

from api.wire.chat_answer import ChatAnswer, completion_id
from api.wire.response_body import model_of, unix
from core.compact import dump, quote
from core.errors import Unavailable
from core.events import Recorded, ReplyCut


class ChatEncoder:
    """Feeds an answer and tells what became of it, chunk by chunk."""

    def __init__(self, answer: ChatAnswer) -> None:
        turn = answer.turn
        self._answer = answer
        self._shows_usage = bool(turn.echo.get("usage"))
        self._opened = False
        head = {"id": completion_id(turn.id), "object": "chat.completion.chunk", "created": unix(turn.created_at)}
        rest = {"model": model_of(turn), "service_tier": "default", "system_fingerprint": None}
        self._head = dump({**head, **rest})[:-1]
        self._tail = ',"usage":null}' if self._shows_usage else "}"
        self._text_head = f'{self._head},"choices":[{{"index":0,"delta":{{"content":'
        self._text_tail = f'}},"logprobs":null,"finish_reason":null}}]{self._tail}'

    def feed(self, recorded: Recorded) -> list[str]:
        """Chunks as JSON text. Raises Unavailable where what was sent is taken back: this wire has no word for that."""
        if self._opened and isinstance(recorded.event, ReplyCut):
            raise Unavailable("the server that streamed this answer is gone; another begins it again", code="reply_cut")
        chunks = [
            f"{self._text_head}{quote(delta)}{self._text_tail}" if isinstance(delta, str) else self._chunk(delta)
            for delta in self._answer.take(recorded)
        ]
        if self._answer.is_whole:
            chunks += self._last()
        if not chunks or self._opened:
            return chunks
        self._opened = True
        refuses = self._answer.refuses
        return [
            self._chunk({"role": "assistant", "content": None if refuses else "", "refusal": "" if refuses else None}),
            *chunks,
        ]

    def _last(self) -> list[str]:
        chunks = [self._chunk({}, finish_reason=self._answer.finish_reason)]
        if self._shows_usage:
            chunks.append(f'{self._head},"choices":[],"usage":{dump(self._answer.usage)}}}')
        return chunks

    def _chunk(self, delta: dict[str, Any], *, finish_reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return f'{self._head},"choices":[{dump(choice)}]{self._tail}'
