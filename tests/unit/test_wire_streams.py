"""The encoders are pure: golden files hold their bytes, OpenAI's own types and helpers their meaning."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from openai import omit
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from api.wire import chat_answer, encoders, responses_stream
from api.wire.chat_answer import ChatAnswer
from api.wire.chat_stream import ChatEncoder
from api.wire.items import encode_item
from api.wire.responses_stream import ResponsesEncoder
from api.wire.sse import WireEvent
from core.errors import Unavailable
from core.events import Recorded, TurnEnded, TurnStatus
from core.messages import ToolListItem, Usage
from tests.unit.wire_stories import CHATS, FX, GOLDEN, STORIES, golden_files, recorded, turn, turn_of

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def events_of(name: str, **options: bool) -> list[WireEvent]:
    encoder = ResponsesEncoder(turn_of(name), **options)
    return [event for one in recorded(STORIES[name]) for event in encoder.feed(one)]


def response_of(name: str, **options: bool) -> dict[str, Any]:
    encoder = ResponsesEncoder(turn_of(name), **options)
    for one in recorded(STORIES[name]):
        encoder.feed(one)
    return encoder.response()


@pytest.mark.parametrize(
    ("path", "content"), list(golden_files()), ids=lambda value: value.name if isinstance(value, Path) else ""
)
def test_the_bytes_of_a_stream_never_change(path: Path, content: bytes) -> None:
    assert content == path.read_bytes()


def test_what_new_turns_are_written_as_can_be_read() -> None:
    assert responses_stream.WIRE in encoders.RESPONSES
    assert chat_answer.WIRE in encoders.CHATS


@pytest.mark.parametrize("wire", ["responses/3", "responses/", "chat/1", ""])
def test_a_version_that_this_server_does_not_know_is_told_and_not_guessed(wire: str) -> None:
    with pytest.raises(Unavailable, match=f"as '{wire}'; this one reads: responses/1, responses/2") as told:
        encoders.responses_encoder(turn(wire=wire))
    assert told.value.code == "unknown_wire_version"


def test_there_is_a_story_to_every_golden_file() -> None:
    assert {path for path, _ in golden_files()} == set(GOLDEN.iterdir())


@pytest.mark.parametrize("name", STORIES)
def test_every_event_is_of_openais_types_and_numbers_have_no_gap(name: str) -> None:
    events = events_of(name)
    assert [event.number for event in events] == list(range(len(events)))
    for event in events:
        assert (parsed := EVENT.validate_json(event.data)).type == event.type
        assert parsed.sequence_number == event.number
    Response.model_validate(response_of(name))


@pytest.mark.parametrize("name", STORIES)
def test_openais_helper_rebuilds_the_response_from_the_stream(name: str) -> None:
    state = ResponseStreamState[Any](input_tools=[], text_format=omit)
    events = [EVENT.validate_json(event.data) for event in events_of(name)]
    for event in events:
        state.handle_event(event)
    assert events[-1].response.to_dict() == Response.model_validate(response_of(name)).to_dict()
    done = [event.item.to_dict() for event in events if event.type == "response.output_item.done"]
    by_place = sorted(done, key=lambda item: [shown["id"] for shown in response_of(name)["output"]].index(item["id"]))
    assert by_place == [item.to_dict() for item in events[-1].response.output]


@pytest.mark.parametrize("name", STORIES)
def test_deltas_add_up_to_what_is_done(name: str) -> None:
    texts: dict[str, str] = {}
    whole = {"output_text": "text", "reasoning_text": "text", "function_call_arguments": "arguments"}
    whole["reasoning_summary_text"] = "text"
    whole["code_interpreter_call_code"] = "code"
    whole["mcp_call_arguments"] = "arguments"
    whole["refusal"] = "refusal"
    for event in events_of(name):
        data = json.loads(event.data)
        kind, _, moment = event.type.removeprefix("response.").rpartition(".")
        if moment == "delta":
            texts[data["item_id"]] = texts.get(data["item_id"], "") + data["delta"]
        elif kind in whole:
            assert data[whole[kind]] == texts.get(data["item_id"], "")


@pytest.mark.parametrize("name", STORIES)
def test_a_reader_who_comes_after_the_end_gets_the_bytes_of_the_one_who_was_there(name: str) -> None:
    ended = turn_of(name, status=TurnStatus.FAILED, reason="elsewhere", message="told by the row")
    late = ResponsesEncoder(ended)
    assert [event for one in recorded(STORIES[name]) for event in late.feed(one)] == events_of(name)


def test_thoughts_are_told_as_a_summary_to_who_asks_for_one_and_in_no_other_form_beside_it() -> None:
    thought, said = response_of("reasoning_as_summary")["output"]
    assert (thought["summary"], thought["content"]) == ([{"type": "summary_text", "text": "Let me think."}], [])
    kinds = [event.type.removeprefix("response.") for event in events_of("reasoning_as_summary") if "reasoning" in event.type]
    assert kinds == [
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
    ]
    (plain, also_said) = response_of("reasoning")["output"]
    assert (plain["summary"], plain["content"], also_said) == ([], [{"type": "reasoning_text", "text": "Let me think."}], said)
    assert not [event.type for event in events_of("reasoning") if "summary" in event.type]


def test_a_list_of_tools_leaves_out_what_it_has_not_where_an_earlier_version_wrote_null() -> None:
    listed = {"name": FX.name, "description": FX.description, "input_schema": FX.parameters}
    head = {"type": "mcp_list_tools", "server_label": "registry"}
    told = response_of("two_registry_calls_at_once")["output"][0]
    assert told == {**head, "id": told["id"], "tools": [listed]}
    assert encode_item(ToolListItem(id="mcpl_1", tools=(FX,))) == {**head, "id": "mcpl_1", "tools": [listed]}
    earlier = encoders.responses_encoder(turn(wire="responses/1"))
    for one in recorded(STORIES["two_registry_calls_at_once"]):
        earlier.feed(one)
    assert earlier.response()["output"][0] == {**told, "tools": [{**listed, "annotations": None}], "error": None}


def test_what_code_printed_is_shown_to_who_asks_alone() -> None:
    assert response_of("code_interpreter")["output"][1]["outputs"] == [{"type": "logs", "logs": "6 * 7 = ✓\n42\n"}]
    quiet = ResponsesEncoder(turn(echo={}))
    for one in recorded(STORIES["code_interpreter"]):
        quiet.feed(one)
    assert quiet.response()["output"][1]["outputs"] is None


def test_the_report_counts_steps_calls_tokens_and_cost() -> None:
    encoder = ResponsesEncoder(turn(echo={"prices": {"input": 1.0, "output": 2.0}, "trace_id": "t"}), report=True)
    *before, end = recorded(STORIES["code_interpreter"])
    assert isinstance(end.event, TurnEnded)
    for one in (*before, Recorded(end.seq, replace(end.event, usage=Usage(input=20, output=10)))):
        encoder.feed(one)
    report = encoder.response()["paddock"]
    assert (report["steps"], report["tool_calls"], report["input_tokens"], report["output_tokens"]) == (2, 1, 20, 10)
    assert (report["model_seconds"], report["tool_seconds"], report["trace_id"]) == (1.0, 0.25, "t")
    assert report["cost_estimate"] == pytest.approx(40 / 1_000_000)
    assert encoder.report.headers()["x-paddock-seconds"] == "1.250"


def test_deltas_are_padded_to_a_common_length_when_asked() -> None:
    padded = [json.loads(event.data) for event in events_of("text", obfuscate=True) if event.type.endswith(".delta")]
    assert all((len(data["delta"]) + len(data["obfuscation"])) % 16 == 0 for data in padded)


def test_a_connection_that_cannot_go_on_says_so_in_an_event_of_its_own() -> None:
    encoder = ResponsesEncoder(turn())
    sent = [event for one in recorded(STORIES["text"][:2]) for event in encoder.feed(one)]
    last = encoder.failure(Unavailable("the database is away"), after=sent[-1].number)
    parsed = EVENT.validate_json(last.data)
    assert (parsed.type, parsed.code, parsed.message) == ("error", "unavailable", "the database is away")
    assert last.number == parsed.sequence_number == sent[-1].number
    following = [event for one in recorded(STORIES["text"][:3])[2:] for event in encoder.feed(one)]
    assert following[0].number == last.number + 1, "it takes no number from the turn's own events"


def test_a_turn_that_is_running_shows_what_there_is_so_far() -> None:
    encoder = ResponsesEncoder(turn())
    for one in recorded(STORIES["text"][:2]):
        encoder.feed(one)
    body = encoder.response()
    assert (body["status"], body["usage"], body["completed_at"]) == ("in_progress", None, None)
    assert body["output"][0]["content"][0]["text"] == "Grüße, "


@pytest.mark.parametrize("name", CHATS)
def test_a_chat_stream_adds_up_to_the_plain_completion(name: str) -> None:
    answer, state = ChatAnswer(turn(echo={"usage": True})), ChatCompletionStreamState[Any]()
    encoder = ChatEncoder(answer)
    for one in recorded(STORIES[name]):
        for chunk in encoder.feed(one):
            state.handle_chunk(ChatCompletionChunk.model_validate_json(chunk))
    whole = ChatCompletion.model_validate(answer.completion())
    rebuilt = state.current_completion_snapshot
    assert (rebuilt.choices[0].message.content or None) == (whole.choices[0].message.content or None)
    assert rebuilt.choices[0].finish_reason == whole.choices[0].finish_reason
    assert rebuilt.usage == whole.usage
    calls, expected = rebuilt.choices[0].message.tool_calls or [], whole.choices[0].message.tool_calls or []
    assert [(call.id, call.function.name, call.function.arguments) for call in calls if call.type == "function"] == [
        (call.id, call.function.name, call.function.arguments) for call in expected if call.type == "function"
    ]


@pytest.mark.parametrize("name", ["failed_amid_text", "cancelled_amid_arguments"])
def test_a_chat_that_failed_has_no_finish_and_no_answer(name: str) -> None:
    answer = ChatAnswer(turn(echo={}))
    encoder = ChatEncoder(answer)
    chunks = [json.loads(chunk) for one in recorded(STORIES[name]) for chunk in encoder.feed(one)]
    assert not answer.is_whole
    assert all(chunk["choices"][0]["finish_reason"] is None for chunk in chunks)


def test_a_refusal_is_no_text_on_either_wire() -> None:
    message = {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "I cannot do that."}]}
    (told,) = response_of("refusal")["output"]
    assert {**told, **message} == told
    kinds = [event.type for event in events_of("refusal")]
    assert [kind for kind in kinds if "refusal" in kind or "text" in kind] == [
        "response.refusal.delta",
        "response.refusal.delta",
        "response.refusal.done",
    ]
    for name, said in (("refusal", (None, "I cannot do that.")), ("refusal_after_text", ("Well, ", "no."))):
        answer = ChatAnswer(turn(wire="chat/1"))
        for one in recorded(STORIES[name]):
            answer.take(one)
        whole = answer.completion()["choices"][0]["message"]
        assert (whole["content"], whole["refusal"]) == said
