"""What real clients send and cannot leave out: hints, neutral values, and fields of our own answers sent back."""

from typing import Any

import pytest

from api.wire.response_body import response_body
from core.conversations.context import assemble
from core.conversations.kept import REQUEST
from core.conversations.request import TurnRequest
from core.errors import InvalidRequest
from core.events import TurnStatus
from core.llm.contract import Labels
from core.messages import FunctionOutputItem, MessageItem, Text, ToolCallItem
from tests.unit.test_wire_requests import chat, response
from tests.unit.wire_stories import turn

INTERPRETER = {"type": "code_interpreter", "container": {"type": "auto"}}
REGISTRY = {"type": "mcp", "server_label": "registry"}


def told_of(request: TurnRequest) -> dict[str, Any]:
    """The response object that repeats the request."""
    return response_body(turn(echo=request.echo), status=TurnStatus.COMPLETED)


@pytest.mark.parametrize("verbosity", ["low", "medium", "high"])
def test_how_much_to_say_is_kept_for_openai_and_repeated(verbosity: str) -> None:
    asked = response(text={"verbosity": verbosity})
    assert asked.labels == Labels(verbosity=verbosity)
    assert told_of(asked)["text"] == {"format": {"type": "text"}, "verbosity": verbosity}
    formatted = response(text={"format": {"type": "json_object"}, "verbosity": verbosity})
    assert told_of(formatted)["text"] == {"format": {"type": "json_object"}, "verbosity": verbosity}
    assert chat(verbosity=verbosity).labels == Labels(verbosity=verbosity)
    assert REQUEST.validate_json(REQUEST.dump_json(asked)).labels == asked.labels  # of a turn in the background


def test_who_says_nothing_of_it_is_told_medium() -> None:
    for asked in (response(), response(text={}), response(text={"verbosity": None})):
        assert asked.labels == Labels()
        assert "text" not in asked.echo["fields"]
        assert told_of(asked)["text"] == {"format": {"type": "text"}, "verbosity": "medium"}
    formatted = response(text={"format": {"type": "json_object"}})
    assert told_of(formatted)["text"] == {"format": {"type": "json_object"}, "verbosity": "medium"}


@pytest.mark.parametrize("kept", ["in_memory", "24h"])
def test_how_long_to_cache_is_kept_for_openai(kept: str) -> None:
    for ask in (response, chat):
        assert ask(prompt_cache_retention=kept).labels == Labels(prompt_cache_retention=kept)


@pytest.mark.parametrize("tier", ["auto", "default", "fast", "flex", "priority", "scale", "ultrafast", None])
def test_every_tier_is_taken_and_the_one_that_serves_is_told(tier: str | None) -> None:
    assert told_of(response(service_tier=tier))["service_tier"] == "default"
    assert chat(service_tier=tier).labels == Labels()


@pytest.mark.parametrize("bias", [{}, None])
def test_a_bias_for_nothing_is_none(bias: Any) -> None:
    assert chat(logit_bias=bias).sampling == chat().sampling


@pytest.mark.parametrize("obfuscated", [True, False, None])
def test_a_chat_stream_is_asked_for_with_obfuscation_or_without(obfuscated: bool | None) -> None:
    assert chat(stream=True, stream_options={"include_obfuscation": obfuscated}).echo == {"usage": False}


def test_a_container_with_nothing_in_it_is_an_automatic_one() -> None:
    container = {"type": "auto", "file_ids": [], "memory_limit": None}
    asked = response(tools=[{**INTERPRETER, "container": container}])
    assert asked.builtins == ("code_interpreter",)
    assert told_of(asked)["tools"] == [{**INTERPRETER, "container": {"type": "auto", "file_ids": []}}]
    assert told_of(response(tools=[INTERPRETER]))["tools"] == [INTERPRETER]
    with pytest.raises(InvalidRequest) as refused:
        response(tools=[{**INTERPRETER, "container": {"type": "auto", "file_ids": ["file-1"]}}])
    assert (refused.value.param, refused.value.code) == ("tools[0].container.file_ids", "unsupported_parameter")


def test_the_registry_has_an_address_for_clients_that_demand_one() -> None:
    more = {"server_url": "paddock:registry", "headers": None, "authorization": None, "server_description": "Ours"}
    asked = response(tools=[{**REGISTRY, **more}])
    assert asked.registry == response(tools=[REGISTRY]).registry
    [told] = told_of(asked)["tools"]
    assert (told["server_url"], told["server_description"]) == ("paddock:registry", "Ours")


@pytest.mark.parametrize("field", [{"server_url": "https://a.example/mcp"}, {"headers": {"a": "b"}}, {"authorization": "t"}])
def test_no_other_server_is_called(field: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        response(tools=[{**REGISTRY, **field}])
    assert (refused.value.param, refused.value.code) == (f"tools[0].{next(iter(field))}", "unsupported_parameter")
    assert "server_url" not in field or '"paddock:registry"' in refused.value.message


CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
ANSWERED = {"audio": None, "function_call": None, "annotations": [{"type": "url_citation"}], "parsed": {"a": 1}}
"""What an answer holds beside its text and calls."""


def test_an_answer_is_taken_back_with_all_that_it_holds() -> None:
    said = {"role": "assistant", "id": "chatcmpl-1", "content": "well", "refusal": None, **ANSWERED}
    request = chat({**said, "reasoning": "hm", "reasoning_content": None, "tool_calls": [{**CALL, "index": 0}]})
    message, call = request.input
    assert isinstance(message, MessageItem)
    assert message.parts == (Text(text="well"),)
    assert isinstance(call, ToolCallItem)


def test_an_answer_is_taken_back_from_clients_that_put_it_into_its_own_parts() -> None:
    """As @openai/agents does with Chat Completions: https://github.com/openai/openai-agents-js"""
    rest = {"role": "assistant", **ANSWERED, "tool_calls": [CALL]}
    text = {"type": "text", "text": "Let me see.", "refusal": None, **rest}
    refusal = {"type": "refusal", "refusal": "No.", "content": None, **rest}
    request = chat(
        {"role": "assistant", "content": [text], "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "1"},
        {"role": "assistant", "content": [refusal]},
        {"role": "assistant", "content": [{**text, "refusal": "But no."}]},
    )
    first, call, output, second, third = request.input
    assert isinstance(first, MessageItem)
    assert isinstance(call, ToolCallItem)
    assert isinstance(output, FunctionOutputItem)
    assert isinstance(second, MessageItem)
    assert isinstance(third, MessageItem)
    assert first.parts == (Text(text="Let me see."),)
    assert second.parts == (Text(text="No.", refusal=True),)
    assert third.parts == (Text(text="Let me see."), Text(text="But no.", refusal=True))


def test_messages_have_ids_where_a_client_gives_them_some() -> None:
    messages = [
        {"role": "system", "content": "s", "id": "1"},
        {"role": "user", "content": "u", "id": "2"},
        {"role": "assistant", "tool_calls": [CALL], "id": "3"},
        {"role": "tool", "tool_call_id": "c1", "content": "1", "id": "4"},
    ]
    plain = [{name: value for name, value in message.items() if name != "id"} for message in messages]
    assert assemble(chat(*messages).input, None) == assemble(chat(*plain).input, None)


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "assistant", "content": "a", "mood": "good"}, "messages[0].mood"),
        ({"role": "assistant", "content": [{"type": "text", "text": "a", "mood": 1}]}, "messages[0].content[0].mood"),
        ({"role": "assistant", "content": [{"type": "text", "text": "a", "role": "user"}]}, "messages[0].content[0].role"),
        ({"role": "assistant", "content": "a", "reasoning": {"text": "hm"}}, "messages[0].reasoning"),
        ({"role": "assistant", "content": "a", "audio": {"id": "a"}}, "messages[0].audio"),
        ({"role": "user", "content": [{"type": "text", "text": "a", "role": "user"}]}, "messages[0].content[0].role"),
        ({"role": "user", "content": "a", "annotations": []}, "messages[0].annotations"),
    ],
)
def test_what_no_answer_holds_is_refused_where_it_is(message: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        chat(message)
    assert refused.value.param == param
