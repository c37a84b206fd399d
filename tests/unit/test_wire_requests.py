"""From request bodies to what is asked of a turn: every parameter arrives, and harmless ones change nothing."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from openai.types.responses.tool import Mcp
from pydantic import BaseModel, Field

from api.wire import chat_request, responses_request
from api.wire.body import parse
from api.wire.items import encode_item
from core.conversations.context import assemble
from core.conversations.kept import REQUEST
from core.conversations.request import TurnRequest
from core.errors import InvalidRequest
from core.llm.chat_request import request_body
from core.llm.contract import JsonFormat, Labels, ModelRequest, Sampling, ToolChoice, ToolMode, ToolSpec
from core.messages import (
    ITEM,
    FunctionOutputItem,
    Image,
    Item,
    MessageItem,
    ReasoningItem,
    Reply,
    Role,
    Text,
    ToolCall,
    ToolCallItem,
)

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = ToolSpec(name="weather", description="The weather", parameters=SCHEMA, strict=True)
FUNCTION = {"name": "weather", "description": "The weather", "parameters": SCHEMA, "strict": True}


def response(**body: Any) -> TurnRequest:
    parsed = parse(responses_request.CreateResponse, json.dumps({"input": "hi", **body}).encode())
    return responses_request.to_turn_request(parsed, origin={}, known={})


def chat(*messages: Any, **body: Any) -> TurnRequest:
    asked = {"messages": messages or [{"role": "user", "content": "hi"}], **body}
    parsed = parse(chat_request.CreateChatCompletion, json.dumps(asked).encode())
    return chat_request.to_turn_request(parsed, origin={})


def told(items: tuple[Item, ...]) -> list[Any]:
    """Items without their ids, which are made up."""
    shown: list[Any] = []
    for item in items:
        match item:
            case MessageItem(role=role, parts=parts):
                shown.append((role, *[part.text if isinstance(part, Text) else part for part in parts]))
            case ReasoningItem(text=text):
                shown.append(("reasoning", text))
            case ToolCallItem(call=call, result=result):
                shown.append((call, result.content if result else None))
            case FunctionOutputItem(call_id=call_id, output=output):
                shown.append((call_id, output))
    return shown


def test_a_response_asks_for_all_that_its_body_says() -> None:
    request = response(
        model="m",
        instructions="be brief",
        previous_response_id="resp_1",
        max_output_tokens=7,
        max_tool_calls=3,
        temperature=0,
        top_p=0.5,
        presence_penalty=1,
        frequency_penalty=-1,
        reasoning={"effort": "high"},
        parallel_tool_calls=False,
        store=False,
        metadata={"a": "b"},
        truncation="auto",
        tools=[{"type": "function", **FUNCTION}, {"type": "code_interpreter", "container": {"type": "auto"}}],
        tool_choice={"type": "function", "name": "weather"},
        text={"format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True}},
    )
    assert (request.model, request.instructions, request.previous_turn_id) == ("m", "be brief", "resp_1")
    assert request.sampling == Sampling(
        temperature=0,
        top_p=0.5,
        max_output_tokens=7,
        presence_penalty=1,
        frequency_penalty=-1,
        reasoning_effort="high",
    )
    assert (request.max_tool_calls, request.parallel_tool_calls, request.store, request.truncate) == (3, False, False, True)
    assert (request.functions, request.builtins) == ((WEATHER,), ("code_interpreter",))
    assert request.tool_choice == ToolChoice(mode=ToolMode.REQUIRED, name="weather")
    assert request.format == JsonFormat(schema=SCHEMA, name="n", strict=True)
    assert (request.metadata, request.wire) == ({"a": "b"}, "responses/2")


def test_a_chat_asks_for_all_that_its_body_says() -> None:
    request = chat(
        model="m",
        max_tokens=5,
        max_completion_tokens=7,
        temperature=1.5,
        top_p=1,
        seed=-3,
        stop=["a", "b"],
        presence_penalty=0.5,
        frequency_penalty=0.25,
        reasoning_effort="low",
        parallel_tool_calls=False,
        tools=[{"type": "function", "function": FUNCTION}],
        tool_choice="required",
        response_format={"type": "json_object"},
        store=True,
        stream=True,
        stream_options={"include_usage": True},
    )
    assert request.sampling == Sampling(
        temperature=1.5,
        top_p=1,
        max_output_tokens=7,
        stop=("a", "b"),
        seed=-3,
        presence_penalty=0.5,
        frequency_penalty=0.25,
        reasoning_effort="low",
    )
    assert (request.functions, request.builtins, request.parallel_tool_calls) == ((WEATHER,), (), False)
    assert request.tool_choice == ToolChoice(mode=ToolMode.REQUIRED)
    assert (request.format, request.store, request.wire) == (JsonFormat(), True, "chat/1")
    assert request.echo == {"usage": True}


@pytest.mark.parametrize("asked", [{"summary": "concise"}, {"generate_summary": "concise"}])
def test_a_summary_of_thoughts_is_for_who_asks_and_is_echoed_under_its_present_name(asked: dict[str, str]) -> None:
    echo = response(reasoning={"effort": "low", **asked}).echo
    assert (echo["fields"]["reasoning"], echo["summary"]) == ({"effort": "low", "summary": "concise"}, True)
    unasked = response(reasoning={"effort": "low", "summary": None, "generate_summary": None}).echo
    assert unasked == {"fields": {"reasoning": {"effort": "low", "summary": None}}}
    assert "reasoning" not in response().echo["fields"]


def test_what_is_left_out_is_left_to_the_platform() -> None:
    plain = response()
    assert (plain.model, plain.sampling, plain.format, plain.store) == (None, Sampling(), None, True)
    assert (plain.functions, plain.builtins, plain.tool_choice) == ((), (), ToolChoice())
    assert (chat().store, chat().sampling, chat(stop="x").sampling.stop) == (False, Sampling(), ("x",))


def test_what_is_meant_for_openai_is_kept_for_it_and_printed_nowhere() -> None:
    labels = {"user": "ann@example.org", "safety_identifier": "s-1", "prompt_cache_key": "k-1"}
    for ask in (response, chat):
        assert ask(**labels).labels == Labels(**labels)
        assert not [value for value in labels.values() if value in repr(replace(ask(**labels), echo={}))]
        assert ask().labels == Labels()
        assert REQUEST.validate_json(REQUEST.dump_json(ask(**labels))).labels == Labels(**labels)  # of a turn in the background


@pytest.mark.parametrize(
    "habit",
    [
        {"service_tier": "auto"},
        {"service_tier": "default", "store": None, "metadata": None, "temperature": None},
    ],
)
def test_what_clients_send_by_habit_changes_nothing(habit: dict[str, Any]) -> None:
    for ask in (response, chat):
        plain, habitual = ask(), ask(**habit)
        assert (plain.sampling, plain.tool_choice, plain.metadata) == (
            habitual.sampling,
            habitual.tool_choice,
            habitual.metadata,
        )
    assert chat(n=1, logprobs=False, modalities=["text"]).sampling == Sampling()
    assert response(background=False, top_logprobs=0, include=["reasoning.encrypted_content"]).sampling == Sampling()


def test_all_forms_of_input_become_items_in_order() -> None:
    request = response(
        input=[
            {"role": "developer", "content": "rules"},
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}],
            },
            {"role": "user", "content": [{"type": "input_image", "image_url": "https://example.com/a.png", "detail": "low"}]},
            {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "rain"},
            {
                "type": "code_interpreter_call",
                "id": "ci_1",
                "code": "1",
                "container_id": "cntr_1",
                "outputs": [{"type": "logs", "logs": "1"}],
                "status": "completed",
            },
            {"type": "message", "id": "m", "role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
        ]
    )
    assert told(request.input) == [
        (Role.DEVELOPER, "rules"),
        (Role.USER, "a", "b"),
        (Role.USER, Image(url="https://example.com/a.png", detail="low")),
        ("reasoning", "hm"),
        (ToolCall(id="c1", name="f", arguments="{}"), None),
        ("c1", "rain"),
        (ToolCall(id="ci_1", name="code_interpreter", arguments='{"code":"1"}'), "1"),
        (Role.ASSISTANT, "no"),
    ]
    assert len({item.id for item in request.input}) == len(request.input)


def test_what_a_function_returned_may_be_texts_and_images_and_is_told_as_it_came() -> None:
    call = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
    output = [
        {"type": "input_text", "text": "a map"},
        {"type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "low", "file_id": None},
    ]
    request = response(input=[call, {"type": "function_call_output", "call_id": "c1", "output": output}])
    assert encode_item(request.input[1])["output"] == output
    assert ITEM.validate_json(ITEM.dump_json(request.input[1])) == request.input[1]
    [text] = response(input=[{"type": "function_call_output", "call_id": "c1", "output": output[:1]}]).input
    assert encode_item(text)["output"] == "a map"
    assert b"images" not in ITEM.dump_json(text)


def test_all_forms_of_messages_become_items_in_order() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    request = chat(
        {"role": "system", "content": "rules"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}],
        },
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "ra"}, {"type": "text", "text": "in"}]},
        {"role": "assistant", "content": "wet", "refusal": None, "annotations": []},
    )
    assert told(request.input) == [
        (Role.SYSTEM, "rules"),
        (Role.USER, "a", Image(url="data:image/png;base64,AA")),
        (ToolCall(id="c1", name="f", arguments="{}"), None),
        ("c1", "ra\nin"),
        (Role.ASSISTANT, "wet"),
    ]


def test_a_refusal_that_is_sent_back_stays_one() -> None:
    part = {"type": "refusal", "refusal": "no"}
    forms = [
        chat({"role": "assistant", "content": None, "refusal": "no"}),
        chat({"role": "assistant", "content": [part]}),
        response(input=[{"type": "message", "id": "m", "role": "assistant", "content": [part]}]),
    ]
    for request in forms:
        assert [item.parts for item in request.input if isinstance(item, MessageItem)] == [(Text(text="no", refusal=True),)]
        assert encode_item(request.input[0])["content"] == [part]
    both = chat({"role": "assistant", "content": "well", "refusal": "no"})
    assert assemble(both.input, None) == [Reply(text="well", refusal="no")]


def test_the_model_hears_who_says_what() -> None:
    said = [
        {"role": "system", "name": "house", "content": "be brief"},
        {"role": "user", "name": "alice", "content": "I like red"},
        {"role": "assistant", "name": "planner", "content": "so be it"},
        {"role": "user", "name": "bob", "content": "I like blue"},
        {"role": "assistant", "content": "noted"},
    ]
    request = chat(*said)
    asked = ModelRequest(messages=assemble(request.input, None))
    assert request_body(asked, max_tokens_parameter="max_tokens")["messages"] == said


def test_tools_of_a_response_are_sent_back_with_their_nulls() -> None:
    tool = Mcp(type="mcp", server_label="registry", allowed_tools=["area"]).model_dump()
    assert "server_description" in tool
    assert (
        response(tools=[tool]).registry
        == response(tools=[{"type": "mcp", "server_label": "registry", "allowed_tools": ["area"]}]).registry
    )


class Line(BaseModel):
    sku: Annotated[str, Field(pattern=r"^[A-Z]{3}-\d{4,8}$")]
    price: Decimal
    kind: Literal["goods", "service"]
    note: str | None = None


class Order(BaseModel):
    """With references, patterns, alternatives and recursion, as pydantic writes them."""

    lines: list[Line]
    total: Decimal
    tags: dict[str, str | int | None] = {}
    before: "Order | None" = None


def test_schemas_of_ordinary_programs_are_taken_as_they_are() -> None:
    schema = {**Order.model_json_schema(), "type": "object", "$schema": "http://json-schema.org/draft-07/schema#"}
    functions = [{"name": f"f{n}", "parameters": schema} for n in range(128)]
    form = {"type": "json_schema", "name": "order", "schema": Order.model_json_schema()}
    asked = response(tools=[{"type": "function", **function} for function in functions], text={"format": form})
    assert [spec.parameters for spec in asked.functions] == [schema] * 128
    assert asked.format is not None
    assert asked.format.schema == Order.model_json_schema()
    assert chat(tools=[{"type": "function", "function": function} for function in functions]).functions == asked.functions


@pytest.mark.parametrize(
    "schema",
    [
        {"allOf": [{"pattern": rf"(?=\pL{{99}}){n}"} for n in range(100)]},
        {"patternProperties": {f"{n}": {} for n in range(201)}},
        {"description": "x" * 1_100_000},
        {"allOf": [{}] * 20_001},
    ],
    ids=range(4),
)
def test_schemas_that_would_take_long_to_compile_are_refused_by_name(schema: dict[str, Any]) -> None:
    function = {"name": "f", "parameters": {"type": "object", **schema}}
    form = {"name": "x", "schema": schema}
    for ask, param in (
        (lambda: response(tools=[{"type": "function", **function}]), "tools[0].parameters"),
        (lambda: response(text={"format": {"type": "json_schema", **form}}), "text.format.schema"),
        (lambda: chat(tools=[{"type": "function", "function": function}]), "tools[0].function.parameters"),
        (
            lambda: chat(response_format={"type": "json_schema", "json_schema": form}),
            "response_format.json_schema.schema",
        ),
    ):
        with pytest.raises(InvalidRequest) as refused:
            ask()
        assert (refused.value.param, refused.value.code) == (param, "invalid_json_schema")


def test_the_schemas_of_a_request_are_counted_together() -> None:
    def function(name: int) -> dict[str, Any]:
        patterns = [{"pattern": f"{name}.{number}"} for number in range(90)]
        return {"type": "function", "name": f"f{name}", "parameters": {"type": "object", "allOf": patterns}}

    assert len(response(tools=[function(0), function(1)]).functions) == 2
    with pytest.raises(InvalidRequest) as refused:
        response(tools=[function(name) for name in range(3)])
    assert (refused.value.param, refused.value.code) == ("tools[2].parameters", "invalid_json_schema")
