"""What every caller may rely on, whatever a provider sent. Knows the contract; knows no provider."""

from collections.abc import Callable
from dataclasses import replace

from core.llm.contract import CallChunk, Finished, ModelRequest, ReasoningChunk, TextChunk
from core.llm.tokens import count_request
from core.messages import FinishReason, Reply, Usage

CALL_ID_CHARACTERS = 256
"""A longer one is replaced: it is in every event, ledger row and header of its call. One with a slash too, which in the ledger
leads to calls that the call's own code made, and one with a NUL, which is no text there."""
MOST_TOKENS = 10**9
"""More than any model reads or says; what is beyond a database's numbers would keep its turn from ever ending."""


class ReplyChecker:
    """Of one reply: strings are valid Unicode, no chunk is empty, a call's id is unlike every other in the conversation,
    the finish reason says whether there were calls, and tokens are counted, if need be by estimate.
    """

    def __init__(self, request: ModelRequest, *, count_tokens: Callable[[str], int], new_call_id: Callable[[], str]) -> None:
        self._request = request
        self._count_tokens = count_tokens
        self._new_call_id = new_call_id
        self._ids: set[str] = set()
        self._opened: set[int] = set()
        self._said: list[str] = []

    def check(self, chunk: TextChunk | ReasoningChunk | CallChunk) -> TextChunk | ReasoningChunk | CallChunk | None:
        """The chunk as it should be; None when nothing is left of it."""
        match chunk:
            case TextChunk(text=text) | ReasoningChunk(text=text):
                if not text:
                    return None
                self._said.append(text)
                return chunk if is_valid(text) else replace(chunk, text=made_valid(text))
            case CallChunk():
                return self._call(chunk)

    def finish(self, chunk: Finished) -> Finished:
        reason = chunk.reason
        if self._opened and reason is FinishReason.STOP:
            reason = FinishReason.TOOL_CALLS
        elif not self._opened and reason is FinishReason.TOOL_CALLS:
            reason = FinishReason.STOP
        return Finished(reason=reason, usage=self._usage(chunk.usage))

    def _call(self, chunk: CallChunk) -> CallChunk | None:
        arguments = made_valid(chunk.arguments)
        self._said.append(arguments)
        if chunk.index in self._opened:
            return CallChunk(index=chunk.index, arguments=arguments) if arguments else None
        if not self._opened:
            replies = (message for message in self._request.messages if isinstance(message, Reply))
            self._ids = {call.id for reply in replies for call in reply.tool_calls}
        self._opened.add(chunk.index)
        call_id = made_valid(chunk.id)
        if not call_id or len(call_id) > CALL_ID_CHARACTERS or "/" in call_id or "\x00" in call_id or call_id in self._ids:
            call_id = self._new_call_id()
        self._ids.add(call_id)
        self._said.append(chunk.name)
        return CallChunk(index=chunk.index, id=call_id, name=made_valid(chunk.name), arguments=arguments)

    def _usage(self, told: Usage) -> Usage:
        """A budget counts on it, so a provider that tells nothing is estimated; a part is never more than its whole."""
        input_tokens = min(told.input, MOST_TOKENS) or count_request(self._request, self._count_tokens)
        output_tokens = min(told.output, MOST_TOKENS) or (self._count_tokens("".join(self._said)) if self._said else 0)
        return Usage(
            input=input_tokens,
            output=output_tokens,
            cached=min(told.cached, input_tokens),
            reasoning=min(told.reasoning, output_tokens),
        )


def is_valid(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def made_valid(text: str) -> str:
    """Pairs of surrogates joined, lone ones replaced."""
    return text if is_valid(text) else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
