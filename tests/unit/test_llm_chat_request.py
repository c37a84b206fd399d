import json
from typing import Any

import pytest

from core.llm.chat_request import MOST_NESTED, request_body
from core.llm.contract import JsonFormat, Labels, ModelRequest, Sampling, ToolChoice, ToolMode, ToolSpec
from core.messages import Image, Message, Reply, SystemMessage, Text, ToolCall, ToolResult, UserMessage

TOOL = ToolSpec(name="f", description="d", parameters={"type": "object"})
HELLO = UserMessage(parts=(Text(text="Hello"),))


def body_of(**fields: Any) -> dict[str, Any]:
    return request_body(ModelRequest(**{"messages": [HELLO], **fields}), max_tokens_parameter="max_tokens")


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        (SystemMessage(text="Be brief."), {"role": "system", "content": "Be brief."}),
        (HELLO, {"role": "user", "content": "Hello"}),
        (
            UserMessage(parts=(Text(text="What is it?"), Image(url="data:image/png;base64,AA==", detail="low"))),
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is it?"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
                ],
            },
        ),
        (UserMessage(parts=()), {"role": "user", "content": []}),
        (Reply(text="Hi", reasoning="never sent back"), {"role": "assistant", "content": "Hi"}),
        (
            Reply(tool_calls=(ToolCall(id="a", name="f", arguments='{"x": 1}'),)),
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}],
            },
        ),
        (ToolResult(call_id="a", content="42"), {"role": "tool", "tool_call_id": "a", "content": "42"}),
        (ToolResult(call_id="a", content="boom", failed=True), {"role": "tool", "tool_call_id": "a", "content": "boom"}),
    ],
)
def test_each_kind_of_message_has_its_wire_form(message: Message, wire: dict[str, Any]) -> None:
    assert body_of(messages=[message]) == {"messages": [wire]}


REFUSED = [Reply(refusal="No.", name="a"), Reply(text="Well,", refusal="no.")]


def test_a_refusal_goes_back_to_openai_as_one_and_to_others_as_text() -> None:
    request = ModelRequest(messages=REFUSED)
    assert request_body(request, max_tokens_parameter="max_tokens", of_openai=True)["messages"] == [
        {"role": "assistant", "content": None, "refusal": "No.", "name": "a"},
        {"role": "assistant", "content": "Well,", "refusal": "no."},
    ]
    assert body_of(messages=REFUSED)["messages"] == [
        {"role": "assistant", "content": "No.", "name": "a"},
        {"role": "assistant", "content": "Well,\n\nno."},
    ]


def test_openai_is_told_what_is_meant_for_it_and_others_are_not() -> None:
    request = ModelRequest(
        messages=[HELLO], labels=Labels(user="u", prompt_cache_key="k", prompt_cache_retention="24h", verbosity="low")
    )
    told = request_body(request, max_tokens_parameter="max_tokens", of_openai=True)
    assert (told.pop("user"), told.pop("prompt_cache_key")) == ("u", "k")
    assert (told.pop("prompt_cache_retention"), told.pop("verbosity")) == ("24h", "low")
    assert told == request_body(request, max_tokens_parameter="max_tokens") == body_of()


def function_of(**fields: Any) -> dict[str, Any]:
    call = ToolCall(**{"id": "a", "name": "f", "arguments": "{}", **fields})
    function: dict[str, Any] = body_of(messages=[Reply(tool_calls=(call,))])["messages"][0]["tool_calls"][0]["function"]
    return function


def nested(depth: int) -> str:
    return '{"x": ' + (depth - 1) * "[" + (depth - 1) * "]" + "}"


@pytest.mark.parametrize("written", ["{}", ' {"x":1.50}\n', '{"x": "\\ud83d\\ude00 ü", "x": null}', nested(MOST_NESTED)])
def test_a_past_calls_arguments_go_back_as_they_were_written(written: str) -> None:
    assert function_of(arguments=written)["arguments"] == written


@pytest.mark.parametrize("written", ["", " \n"])
def test_no_arguments_are_an_empty_object(written: str) -> None:
    assert function_of(arguments=written)["arguments"] == "{}"


@pytest.mark.parametrize(
    "written",
    [
        '{"x":',
        "not json",
        "[1]",
        "null",
        '"{}"',
        "{},{}",
        "{}],[{}",
        "]" * 200 + "[" * 200,
        '{"x": NaN}',
        '{"x": 1e999}',
        '{"x": %s}' % ("1" * 5000),
        '{"x": "\\ud800"}',
        '{"x": "\ud800"}',
        '{"x": "\n"}',
        nested(MOST_NESTED + 1),
        nested(100_000),
        "{" * 1_000_000,
    ],
    ids=lambda written: ascii(written[:20]),
)
def test_a_past_call_whose_arguments_are_no_object_goes_back_as_one(written: str) -> None:
    assert json.loads(function_of(arguments=written)["arguments"]) == {"malformed": written}


@pytest.mark.parametrize(
    ("written", "told"),
    [("f-1_A", "f-1_A"), ("functions.python", "functions_python"), ("ü <x>", "___x_"), ("", "unknown"), ("x" * 70, "x" * 64)],
)
def test_a_past_call_goes_back_under_a_legal_name(written: str, told: str) -> None:
    assert function_of(name=written)["name"] == told


def test_what_is_left_at_its_default_is_left_out() -> None:
    function = {"name": "f", "description": "d", "parameters": {"type": "object"}}
    assert body_of(tools=[TOOL]) == {
        "messages": [{"role": "user", "content": "Hello"}],
        "tools": [{"type": "function", "function": function}],
    }


@pytest.mark.parametrize(
    ("choice", "wire"),
    [
        (ToolChoice(mode=ToolMode.NONE), "none"),
        (ToolChoice(mode=ToolMode.REQUIRED), "required"),
        (ToolChoice(mode=ToolMode.REQUIRED, name="f"), {"type": "function", "function": {"name": "f"}}),
    ],
)
def test_tool_choice_has_its_wire_form(choice: ToolChoice, wire: Any) -> None:
    assert body_of(tools=[TOOL], tool_choice=choice)["tool_choice"] == wire


def test_nothing_is_said_about_tools_where_there_are_none() -> None:
    body = body_of(tool_choice=ToolChoice(mode=ToolMode.NONE), parallel_tool_calls=False)
    assert body.keys() == {"messages"}


def test_strict_tools_and_single_calls_are_asked_for() -> None:
    strict = ToolSpec(name="f", description="d", parameters={}, strict=True)
    body = body_of(tools=[strict], parallel_tool_calls=False)
    assert body["tools"][0]["function"]["strict"] is True
    assert body["parallel_tool_calls"] is False


def test_formats_have_their_wire_form() -> None:
    assert body_of(format=JsonFormat())["response_format"] == {"type": "json_object"}
    wanted = JsonFormat(schema={"type": "object"}, name="n", description="d", strict=True)
    assert body_of(format=wanted)["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "n", "description": "d", "schema": {"type": "object"}, "strict": True},
    }


def test_sampling_is_passed_on_zero_included() -> None:
    sampling = Sampling(
        temperature=0.0,
        top_p=0.5,
        max_output_tokens=7,
        stop=("END",),
        seed=0,
        presence_penalty=0.0,
        frequency_penalty=1.0,
        reasoning_effort="low",
    )
    body = body_of(sampling=sampling)
    del body["messages"]
    assert body == {
        "temperature": 0.0,
        "top_p": 0.5,
        "max_tokens": 7,
        "stop": ["END"],
        "seed": 0,
        "presence_penalty": 0.0,
        "frequency_penalty": 1.0,
        "reasoning_effort": "low",
    }
