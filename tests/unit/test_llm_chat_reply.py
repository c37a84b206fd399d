import random
from collections.abc import Iterable
from typing import Any

import pytest

from core.llm.chat_reply import ALIVE, ReplyReader, parse_object
from core.llm.contract import (
    CallChunk,
    Chunk,
    ContextExceeded,
    Finished,
    ModelBusy,
    ModelError,
    ModelRefused,
    ModelUnavailable,
    ReasoningChunk,
    TextChunk,
)
from core.messages import FinishReason, Usage
from tests.doubles.raw_peer import delta, ending


def read(*objects: Any) -> list[Chunk]:
    reader = ReplyReader("m")
    return [chunk for wire in objects for chunk in reader.read(wire)] + list(reader.finish(cut_short=True))


def calls_of(chunks: Iterable[Chunk]) -> list[tuple[int, str, str, str]]:
    """Index, id, name and whole arguments of each call; fails where calls interleave."""
    calls: list[tuple[int, str, str, str]] = []
    for chunk in chunks:
        if isinstance(chunk, CallChunk) and (not calls or calls[-1][0] != chunk.index):
            assert chunk.index == len(calls)
            calls.append((chunk.index, chunk.id, chunk.name, chunk.arguments))
        elif isinstance(chunk, CallChunk):
            index, call_id, name, arguments = calls[-1]
            assert not chunk.id
            calls[-1] = (index, call_id, name, arguments + chunk.arguments)
    return calls


def call(index: int | None, arguments: Any = None, **fields: Any) -> dict[str, Any]:
    function = {"arguments": arguments} | ({"name": fields.pop("name")} if "name" in fields else {})
    return fields | {"function": function} | ({} if index is None else {"index": index})


def test_text_reasoning_and_usage_are_read() -> None:
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    assert read(
        delta(role="assistant", content=""),
        delta(reasoning_content="hm"),
        delta(reasoning="well"),
        delta(content="Yes"),
        ending("length"),
        {"choices": [], "usage": usage},
    ) == [
        ReasoningChunk(text="hm"),
        ReasoningChunk(text="well"),
        TextChunk(text="Yes"),
        Finished(reason=FinishReason.LENGTH, usage=Usage(input=9, output=7, cached=4, reasoning=3)),
    ]


def test_the_first_call_is_passed_on_as_it_comes() -> None:
    reader = ReplyReader("m")
    first = list(reader.read(delta(tool_calls=[call(0, "", id="a", name="f")])))
    second = list(reader.read(delta(tool_calls=[call(0, '{"x"')])))
    assert first == [CallChunk(index=0, id="a", name="f")]
    assert second == [CallChunk(index=0, arguments='{"x"')]


def test_calls_that_interleave_on_the_wire_do_not_in_the_reply() -> None:
    chunks = read(
        delta(tool_calls=[call(0, "{", id="a", name="f"), call(1, "[", id="b", name="g")]),
        delta(tool_calls=[call(1, "]")]),
        delta(tool_calls=[call(0, "}"), call(2, "", id="c", name="h")]),
        ending("tool_calls"),
    )
    assert calls_of(chunks) == [(0, "a", "f", "{}"), (1, "b", "g", "[]"), (2, "c", "h", "")]


def test_calls_without_index_are_told_apart_by_their_ids() -> None:
    chunks = read(delta(tool_calls=[call(None, "{}", id="a", name="f"), call(None, "[]", id="b", name="f")]), ending())
    assert calls_of(chunks) == [(0, "a", "f", "{}"), (1, "b", "f", "[]")]


def test_calls_that_all_have_index_0_are_told_apart_by_their_ids() -> None:
    chunks = read(
        delta(tool_calls=[call(0, "{", id="a", name="f")]),
        delta(tool_calls=[call(0, "}")]),
        delta(tool_calls=[call(0, "[]", id="b", name="g")]),
        ending(),
    )
    assert calls_of(chunks) == [(0, "a", "f", "{}"), (1, "b", "g", "[]")]


def test_a_name_that_is_repeated_or_comes_late_is_taken_once() -> None:
    chunks = read(
        delta(tool_calls=[call(0, "{", id="a")]),
        delta(tool_calls=[call(0, "", id="a", name="f")]),
        delta(tool_calls=[call(0, "}", id="a", name="f")]),
        ending(),
    )
    assert calls_of(chunks) == [(0, "a", "f", "{}")]


def test_calls_without_ids_are_told_apart_by_names_behind_whole_arguments() -> None:
    pieces = [call(0, '{"a":', name="f"), call(0, "1}", name="f"), call(0, "[]", name="g"), call(0, "", name="h")]
    chunks = read(*(delta(tool_calls=[piece]) for piece in pieces), ending())
    assert calls_of(chunks) == [(0, "", "f", '{"a":1}'), (1, "", "g", "[]"), (2, "", "h", "")]


def test_calls_without_ids_may_have_lone_surrogates_in_their_arguments() -> None:
    pieces = [call(0, '{"a":"\ud800"}', name="f"), call(0, "", name="g")]
    chunks = read(*(delta(tool_calls=[piece]) for piece in pieces), ending())
    assert calls_of(chunks) == [(0, "", "f", '{"a":"\ud800"}'), (1, "", "g", "")]


def test_every_call_of_a_whole_answer_is_a_call_of_its_own() -> None:
    message = {"tool_calls": [call(index, "", name=name) for index, name in ((None, "f"), (None, "f"), (0, "g"), (0, "g"))]}
    chunks = read({"choices": [{"message": message, "finish_reason": "stop"}]})
    assert [name for _, _, name, _ in calls_of(chunks)] == ["f", "f", "g", "g"]


def test_what_is_said_amid_a_call_comes_behind_it() -> None:
    chunks = read(
        delta(tool_calls=[call(0, '{"a":', id="a", name="f")]),
        delta(content="so"),
        delta(reasoning_content="hm", tool_calls=[call(0, "1}")]),
        delta(tool_calls=[call(1, "{}", id="b", name="g")]),
        ending("tool_calls"),
    )
    assert calls_of(chunks) == [(0, "a", "f", '{"a":1}'), (1, "b", "g", "{}")]
    told = [chunk for chunk in chunks if chunk != ALIVE]
    assert told[2:4] == [TextChunk(text="so"), ReasoningChunk(text="hm")]


def test_every_piece_is_a_sign_of_life_and_what_waits_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = ReplyReader("m")
    begun = [delta(tool_calls=[call(n, "", id=f"{n}", name="f")]) for n in (0, 1)]
    assert [list(reader.read(wire)) != [] for wire in begun] == [True, True]
    later = [delta(tool_calls=[call(1, "x")]), delta(content="x"), delta(reasoning="x")]
    assert [list(reader.read(wire)) for wire in later] == [[ALIVE]] * 3
    monkeypatch.setattr("core.llm.chat_reply.MOST_HELD", 1_000)
    with pytest.raises(ModelUnavailable, match="too long"):
        list(reader.read(delta(tool_calls=[call(1, "x")] * 10)))


@pytest.mark.parametrize(
    "reason", ["insufficient_system_resource", "abort", "error", "network_error", "function_call_filter: MALFORMED"]
)
def test_an_answer_that_its_provider_broke_off_is_an_error(reason: str) -> None:
    with pytest.raises(ModelUnavailable, match="broke off"):
        read(delta(content="half"), ending(reason))


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("model_length", FinishReason.LENGTH),
        ("model_context_window_exceeded", FinishReason.LENGTH),
        ("sensitive", FinishReason.CONTENT_FILTER),
    ],
)
def test_other_providers_words_for_an_answer_that_is_not_all_of_it_are_known(told: str, reason: FinishReason) -> None:
    assert read(delta(content="x"), ending(told))[-1] == Finished(reason=reason, usage=Usage())


def test_a_reason_with_more_behind_it_is_that_reason_and_an_unknown_one_an_end() -> None:
    told = [read(delta(content="x"), ending(reason))[-1] for reason in ("content_filter: X", "eos")]
    assert told == [Finished(reason=reason, usage=Usage()) for reason in (FinishReason.CONTENT_FILTER, FinishReason.STOP)]


@pytest.mark.parametrize("wire", [{"choices": None, "base_resp": {"status_code": 1008}}, {"choices": []}, {}])
def test_an_answer_that_says_nothing_and_has_no_end_is_an_error(wire: dict[str, Any]) -> None:
    reader = ReplyReader("m")
    assert list(reader.read(wire)) == []
    with pytest.raises(ModelUnavailable):
        list(reader.finish(cut_short=False))


def test_arguments_given_as_an_object_become_text() -> None:
    assert calls_of(read(delta(tool_calls=[call(0, {"x": 1}, id="a", name="f")]), ending())) == [(0, "a", "f", '{"x": 1}')]


def test_a_whole_answer_is_read_like_a_stream() -> None:
    message = {"role": "assistant", "content": "Hi", "tool_calls": [call(None, "{}", id="a", name="f")]}
    chunks = read({"choices": [{"message": message, "finish_reason": "tool_calls"}], "usage": {"prompt_tokens": 1}})
    assert chunks == [
        TextChunk(text="Hi"),
        CallChunk(index=0, id="a", name="f", arguments="{}"),
        Finished(reason=FinishReason.TOOL_CALLS, usage=Usage(input=1)),
    ]


def test_a_summary_beside_the_last_delta_is_not_read_twice() -> None:
    last = {"choices": [{"delta": {}, "message": {"content": "Hi"}, "finish_reason": "stop"}]}
    assert read(delta(content="Hi"), last) == [TextChunk(text="Hi"), Finished(reason=FinishReason.STOP, usage=Usage())]


def test_a_whole_message_behind_the_deltas_says_nothing_twice() -> None:
    said = {"content": "Hi", "reasoning_content": "hm", "tool_calls": [call(0, "{}", id="a", name="f")]}
    summary = {"choices": [{"message": {"role": "assistant", **said}, "finish_reason": "tool_calls"}]}
    told = read(delta(reasoning_content="hm"), delta(content="Hi"), delta(tool_calls=said["tool_calls"]), summary, summary)
    assert told == [
        ReasoningChunk(text="hm"),
        TextChunk(text="Hi"),
        CallChunk(index=0, id="a", name="f", arguments="{}"),
        Finished(reason=FinishReason.TOOL_CALLS, usage=Usage()),
    ]


def test_what_only_the_whole_message_behind_the_deltas_says_is_read() -> None:
    message = {"content": "Hi", "tool_calls": [call(0, "{}", id="a", name="f")]}
    summary = {"choices": [{"message": message, "finish_reason": "tool_calls"}]}
    assert calls_of(read(delta(role="assistant", content="Hi", tool_calls=[]), summary)) == [(0, "a", "f", "{}")]
    assert read(delta(role="assistant", content=""), summary)[0] == TextChunk(text="Hi")


def test_parts_inside_parts_are_no_text() -> None:
    nested: Any = "x"
    for _ in range(2_000):
        nested = [{"text": nested}]
    assert read(delta(content=nested), ending()) == [TextChunk(text=""), Finished(reason=FinishReason.STOP, usage=Usage())]


def test_content_in_parts_is_text() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "other"}, {"text": "b"}, "c"]
    assert read(delta(content=parts), ending())[0] == TextChunk(text="ab")


def test_a_refusal_is_told_apart_from_text_streamed_or_whole() -> None:
    told = [TextChunk(text="Well, "), TextChunk(text="no.", refusal=True)]
    assert read(delta(content="Well, ", refusal=None), delta(refusal="no."), ending())[:2] == told
    assert read({"choices": [{"message": {"content": "Well, ", "refusal": "no."}, "finish_reason": "stop"}]})[:2] == told


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "overloaded", "code": 503}, ModelUnavailable),
        ({"message": "slow down", "code": "429"}, ModelBusy),
        ({"message": "slow down", "code": "rate_limit_exceeded"}, ModelBusy),
        ({"message": "slow down", "type": "rate_limit_error"}, ModelBusy),
        ({"message": "pay first", "type": "insufficient_quota"}, ModelUnavailable),
        ({"message": "bad schema", "type": "invalid_request_error"}, ModelRefused),
        ({"message": "This model's maximum context length is 10 tokens", "code": 400}, ContextExceeded),
        ("something broke", ModelUnavailable),
        ({"strange": True}, ModelUnavailable),
    ],
)
def test_an_error_inside_the_stream_is_an_error(error: Any, kind: type[ModelError]) -> None:
    with pytest.raises(kind):
        read(delta(content="a"), {"error": error})


def test_an_answer_without_an_end_is_an_error() -> None:
    with pytest.raises(ModelUnavailable, match="ends before it is finished"):
        read(delta(content="a"))


@pytest.mark.parametrize("data", [b"", b"nonsense", b"[]", b"7", b"null", b"[" * 100_000, b'{"a":'])
def test_what_is_no_json_object_is_an_error(data: bytes) -> None:
    with pytest.raises(ModelUnavailable):
        parse_object("m", data)


def test_lone_surrogates_and_broken_utf8_are_read() -> None:
    assert parse_object("m", b'{"a": "\\ud83d", "b": "\xff"}') == {"a": "\ud83d", "b": "�"}


NONSENSE: list[Any] = [None, True, -1, 1e308, "", "x", [], {}, [None], [[]], {"x": None}, [{"function": 1}], {"message": {}}]


def spoiled(value: Any, chance: random.Random) -> Any:
    if chance.random() < 0.15:
        return chance.choice(NONSENSE)
    if isinstance(value, dict):
        return {key: spoiled(inner, chance) for key, inner in value.items() if chance.random() > 0.1}
    return [spoiled(inner, chance) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("seed", range(100))
def test_nonsense_from_a_provider_gives_chunks_or_a_model_error_and_nothing_else(seed: int) -> None:
    chance = random.Random(seed)
    objects = [
        delta(content="a", reasoning="b", tool_calls=[call(0, "{}", id="a", name="f"), call(1, "{}", id="b", name="f")]),
        delta(tool_calls=[call(0, "x"), call(1, "y", id="z", name="g")]),
        ending("tool_calls"),
        {"choices": [], "usage": {"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 1}}},
    ]
    spoilt = [{key: spoiled(value, chance) for key, value in wire.items()} for wire in objects]
    try:
        chunks = read(*spoilt)
    except ModelError:
        return
    calls_of(chunks)
    assert [isinstance(chunk, Finished) for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
