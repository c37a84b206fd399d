import itertools
from collections.abc import Sequence

import pytest

from core.llm.contract import CallChunk, Chunk, Finished, ModelRequest, ReasoningChunk, TextChunk
from core.llm.tokens import estimate_tokens
from core.llm.wellformed import MOST_TOKENS, ReplyChecker
from core.messages import FinishReason, Message, Reply, SystemMessage, ToolCall, Usage

COUNTED = Usage(input=1, output=1)


def checked(*chunks: Chunk, messages: Sequence[Message] = ()) -> list[Chunk]:
    numbers = itertools.count(1)
    checker = ReplyChecker(
        ModelRequest(messages=messages), count_tokens=estimate_tokens, new_call_id=lambda: f"new_{next(numbers)}"
    )
    passed: list[Chunk] = []
    for chunk in chunks:
        found = checker.finish(chunk) if isinstance(chunk, Finished) else checker.check(chunk)
        passed += [found] if found is not None else []
    return passed


def test_chunks_without_content_are_left_out() -> None:
    assert checked(TextChunk(text=""), ReasoningChunk(text=""), TextChunk(text="a")) == [TextChunk(text="a")]


@pytest.mark.parametrize(
    ("text", "valid"),
    [("plain", "plain"), ("ü😀", "ü😀"), ("a\ud83d", "a�"), ("\ude00b", "�b"), ("\ud83d\ude00", "😀"), ("\x01", "\x01")],
)
def test_lone_surrogates_are_replaced_everywhere(text: str, valid: str) -> None:
    assert checked(
        TextChunk(text=text),
        ReasoningChunk(text=text),
        CallChunk(index=0, id=text, name=text, arguments=text),
        CallChunk(index=0, arguments=text),
    ) == [
        TextChunk(text=valid),
        ReasoningChunk(text=valid),
        CallChunk(index=0, id=valid, name=valid, arguments=valid),
        CallChunk(index=0, arguments=valid),
    ]


def test_calls_without_an_id_or_with_one_that_is_taken_or_endless_get_their_own() -> None:
    earlier = Reply(tool_calls=(ToolCall(id="call_0", name="f", arguments="{}"),))
    ids = [chunk.id for chunk in checked(
        CallChunk(index=0, id="call_0", name="f"),
        CallChunk(index=1, id="", name="f"),
        CallChunk(index=2, id="call_1", name="f"),
        CallChunk(index=3, id="call_1", name="f"),
        CallChunk(index=4, id="x" * 257, name="f"),
        CallChunk(index=5, id="a\ufffd", name="f"),
        CallChunk(index=6, id="a\x00", name="f"),  # the same, where the ledger writes it
        messages=[earlier],
    ) if isinstance(chunk, CallChunk)]  # fmt: skip
    assert ids == ["new_1", "new_2", "call_1", "new_3", "new_4", "a\ufffd", "new_5"]


def test_later_pieces_of_a_call_carry_arguments_only() -> None:
    assert checked(
        CallChunk(index=0, id="a", name="f"),
        CallChunk(index=0, id="a", name="f", arguments="{}"),
        CallChunk(index=0, id="a", name="f"),
    ) == [CallChunk(index=0, id="a", name="f"), CallChunk(index=0, arguments="{}")]


@pytest.mark.parametrize(
    ("told", "called", "reason"),
    [
        (FinishReason.STOP, True, FinishReason.TOOL_CALLS),
        (FinishReason.TOOL_CALLS, False, FinishReason.STOP),
        (FinishReason.LENGTH, True, FinishReason.LENGTH),
        (FinishReason.CONTENT_FILTER, False, FinishReason.CONTENT_FILTER),
    ],
)
def test_the_finish_reason_says_whether_there_were_calls(told: FinishReason, called: bool, reason: FinishReason) -> None:
    calls = [CallChunk(index=0, id="a", name="f")] if called else []
    assert checked(*calls, Finished(reason=told, usage=COUNTED))[-1] == Finished(reason=reason, usage=COUNTED)


def test_tokens_that_nobody_counted_are_estimated() -> None:
    said = [TextChunk(text="x" * 300), CallChunk(index=0, id="a", name="f" * 3, arguments="y" * 27)]
    finished = checked(*said, Finished(reason=FinishReason.STOP, usage=Usage()), messages=[SystemMessage(text="z" * 30)])[-1]
    assert finished == Finished(reason=FinishReason.TOOL_CALLS, usage=Usage(input=18, output=110))


def test_a_part_of_the_tokens_is_never_more_than_the_whole() -> None:
    told = Usage(input=5, output=3, cached=9, reasoning=8)
    finished = checked(Finished(reason=FinishReason.STOP, usage=told))[-1]
    assert finished == Finished(reason=FinishReason.STOP, usage=Usage(input=5, output=3, cached=5, reasoning=3))


def test_more_tokens_than_a_database_counts_are_not_believed() -> None:
    told = Usage(input=10**30, output=2**63, cached=10**30, reasoning=10**30)
    finished = checked(Finished(reason=FinishReason.STOP, usage=told))[-1]
    assert isinstance(finished, Finished)
    assert max(finished.usage.input, finished.usage.output, finished.usage.cached, finished.usage.reasoning) == MOST_TOKENS
