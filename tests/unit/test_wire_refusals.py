"""Bodies that are wrong in twenty thousand places: what it takes to refuse them does not grow with them."""

import json
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.requests import Request

from api.dependencies import Listing, query_of
from api.wire.body import MOST_ELEMENTS, MOST_MISTAKES, _shape, parse
from api.wire.chat_request import CreateChatCompletion, to_turn_request
from api.wire.registry import NewTool
from api.wire.responses_request import CreateResponse
from core.bounded import MOST_NAMES
from core.errors import InvalidRequest
from core.tools import kinds
from core.tools.definition import parse_manifest
from core.tools.work import ManifestRefused

MANY = 20_000
NAMES = {str(n): 0 for n in range(MANY)}


def said(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


USER = said("a")
TOOL = {"name": "f", "description": "f", "parameters": {"type": "object"}, "runtime": {"kind": "python", "code": "a"}}


def tool(**fields: Any) -> dict[str, Any]:
    return {"input": "a", "tools": [{"type": "function", "name": "f", **fields}]}


WRONG: dict[str, tuple[type[BaseModel], Any, str | None, str]] = {
    "items": (CreateResponse, {"input": [0] * MANY}, "input[0]", "invalid_type"),
    "parameters": (CreateResponse, {"input": "a", **NAMES}, None, "invalid_value"),
    "parameters of an item": (CreateResponse, {"input": [{**USER, **NAMES}]}, "input[0]", "invalid_value"),
    "parts of an item": (
        CreateResponse,
        {"input": [said([{"type": "input_text"}] * MANY)]},
        "input[0].content[0].text",
        "missing_required_parameter",
    ),
    "metadata": (CreateResponse, {"input": "a", "metadata": NAMES}, "metadata", "invalid_value"),
    "names to include": (CreateResponse, {"input": "a", "include": [0] * MANY}, "include[0]", "unsupported_value"),
    "numbers of a list": (
        CreateResponse,
        tool(parameters={"a": [float("inf")] * MANY}),
        "tools[0].parameters.a[0]",
        "invalid_value",
    ),
    "numbers of an object": (
        CreateResponse,
        tool(parameters=dict.fromkeys(NAMES, float("inf"))),
        "tools[0].parameters.0",
        "invalid_value",
    ),
    "messages": (CreateChatCompletion, {"messages": [USER] + [0] * MANY}, "messages[1]", "invalid_type"),
    "calls of a message": (
        CreateChatCompletion,
        {"messages": [{"role": "assistant", "tool_calls": [0] * MANY}]},
        "messages[0].tool_calls[0]",
        "invalid_type",
    ),
    "parameters of a tool": (NewTool, {**TOOL, **NAMES}, None, "invalid_value"),
    "secrets of a tool": (
        NewTool,
        {**TOOL, "capabilities": {"secrets": [1] * MANY}},
        "capabilities.secrets[0]",
        "invalid_type",
    ),
    "rules of a tool": (
        NewTool,
        {**TOOL, "capabilities": {"network": [{}] * MANY}},
        "capabilities.network[0].host",
        "missing_required_parameter",
    ),
}
HTTP = {"kind": "http", "url": "https://a.example"}
RUNTIMES: dict[str, tuple[dict[str, Any], str]] = {
    "parameters": ({"kind": "python", "code": "a", **NAMES}, "runtime"),
    "versions": ({"kind": "python", "code": "a", "tools": NAMES}, "runtime.tools"),
    "headers": ({**HTTP, "headers": NAMES}, "runtime.headers"),
    "query": ({**HTTP, "query": NAMES}, "runtime.query"),
    "statuses": (
        {**HTTP, "result": {"statuses": [0] * MANY}},
        "runtime.result.statuses[0]",
    ),
}


@pytest.mark.parametrize(("runtime", "param"), RUNTIMES.values(), ids=RUNTIMES)
def test_of_a_runtime_too(runtime: dict[str, Any], param: str) -> None:
    with pytest.raises(ValidationError) as found:
        kinds.load(runtime["kind"]).Options.model_validate(runtime)
    assert found.value.error_count() == 1
    with pytest.raises(ManifestRefused) as told:
        parse_manifest({**TOOL, "runtime": runtime})
    assert told.value.path == param


@pytest.mark.parametrize(
    ("model", "body", "param"),
    [
        (
            CreateResponse,
            {"input": [{"message": [], "type": "message", **said([{"type": "input_text"}])}]},
            "input[0].content[0].text",
        ),
        (
            CreateResponse,
            {"tools": [{"type": "mcp", "server_label": "a", "mcp": [], "allowed_tools": [1]}]},
            "tools[0].allowed_tools[0]",
        ),
        (CreateResponse, {"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools[0].name"),
        (CreateResponse, {"tools": [{"type": "function", "function": {}, "name": 1}]}, "tools[0].function"),
        (CreateChatCompletion, {"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
    ],
)
def test_a_parameter_may_be_named_like_a_kind(model: type[BaseModel], body: Any, param: str) -> None:
    rest = {"messages": [USER]} if model is CreateChatCompletion else {"input": "a"}
    with pytest.raises(InvalidRequest) as told:
        parse(model, written({**rest, **body}))
    assert told.value.param == param


def test_what_is_not_served_is_named_where_what_is_missing_stands_in_its_place() -> None:
    with pytest.raises(InvalidRequest) as told:
        parse(CreateResponse, written({"input": [said([{"type": "input_image", "file_id": "file_1", "detail": "auto"}])]}))
    assert (told.value.param, told.value.code) == ("input[0].content[0].file_id", "unsupported_parameter")


def test_nulls_of_what_is_not_served_cost_nothing_where_there_are_too_many_names() -> None:
    """Counted, not timed: the object is refused before any of its names is looked at."""
    looked_at: list[object] = []

    class Counted(dict[str, Any]):
        def items(self) -> Any:
            looked_at.append(self)
            return super().items()

    with pytest.raises(ValidationError):
        CreateResponse.model_validate(Counted({"input": "a", "prompt": None, **NAMES}))
    assert not looked_at


def test_a_parameter_named_like_a_kind_all_the_way_down_is_refused_soon() -> None:
    deep: Any = 1e999
    for _ in range(100):
        deep = {"type": "a", "a": deep}
    with pytest.raises(InvalidRequest):
        parse(CreateResponse, written(tool(parameters=deep)))


def written(body: Any) -> bytes:
    return json.dumps(body).replace("Infinity", "1e999").encode()


@pytest.mark.parametrize(("model", "body", "param", "code"), WRONG.values(), ids=WRONG)
def test_of_twenty_thousand_mistakes_the_first_is_told_and_the_others_are_not_looked_for(
    model: type[BaseModel], body: Any, param: str | None, code: str
) -> None:
    with pytest.raises(ValidationError) as found:
        model.model_validate(from_json(written(body)))
    assert found.value.error_count() <= MOST_MISTAKES
    with pytest.raises(InvalidRequest) as told:
        parse(model, written(body))
    assert (told.value.param, told.value.code) == (param, code), told.value.message


def test_an_object_of_too_many_parameters_is_told_how_many_it_may_have() -> None:
    with pytest.raises(InvalidRequest, match=f"at most {MOST_NAMES} parameters"):
        parse(CreateResponse, written({"input": "a", **NAMES}))


CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}
LONG: dict[str, tuple[type[BaseModel], Any, str, int]] = {
    "input": (CreateResponse, lambda n: {"input": [USER] * n}, "input", MOST_ELEMENTS),
    "parts": (
        CreateResponse,
        lambda n: {"input": [said([{"type": "input_text", "text": ""}] * n)]},
        "input[0].content",
        MOST_ELEMENTS,
    ),
    "tools": (CreateResponse, lambda n: {"input": "a", "tools": [{"type": "function", "name": "f"}] * n}, "tools", 128),
    "messages": (CreateChatCompletion, lambda n: {"messages": [USER] * n}, "messages", MOST_ELEMENTS),
    "parts of a message": (
        CreateChatCompletion,
        lambda n: {"messages": [said([{"type": "text", "text": ""}] * n)]},
        "messages[0].content",
        MOST_ELEMENTS,
    ),
    "calls": (
        CreateChatCompletion,
        lambda n: {"messages": [{"role": "assistant", "tool_calls": [CALL] * n}]},
        "messages[0].tool_calls",
        MOST_ELEMENTS,
    ),
    "stops": (CreateChatCompletion, lambda n: {"messages": [USER], "stop": ["a"] * n}, "stop", 4),
}


@pytest.mark.parametrize(("model", "body", "param", "most"), LONG.values(), ids=LONG)
def test_an_array_that_is_too_long_is_refused_with_its_limit(model: type[BaseModel], body: Any, param: str, most: int) -> None:
    parse(model, written(body(most)))
    with pytest.raises(InvalidRequest, match=f"at most {most} elements, got one of {most + 1}") as told:
        parse(model, written(body(most + 1)))
    assert (told.value.param, told.value.code) == (param, "array_above_max_length")


def test_the_calls_of_a_chats_messages_count_as_items() -> None:
    def chat(calls: int) -> int:
        asks = {"role": "assistant", "content": "I look", "tool_calls": [CALL] * calls}
        parsed = parse(CreateChatCompletion, written({"messages": [asks, asks]}))
        return len(to_turn_request(parsed, origin={}).input)

    assert chat(MOST_ELEMENTS // 2 - 1) == MOST_ELEMENTS
    with pytest.raises(InvalidRequest, match=f"at most {MOST_ELEMENTS} messages and tool calls") as told:
        chat(MOST_ELEMENTS // 2)
    assert (told.value.param, told.value.code) == ("messages", "array_above_max_length")


PART = {"type": "input_text", "text": ""}
TOO_MANY: dict[str, tuple[type[BaseModel], Any]] = {
    "parts": (CreateResponse, {"input": [{"role": "user", "content": [PART] * 9_000}] * 3}),
    "chat parts": (
        CreateChatCompletion,
        {"messages": [{"role": "user", "content": [{"type": "text", "text": ""}] * 9_000}] * 3},
    ),
    "listed tools": (
        CreateResponse,
        {
            "input": [
                {"type": "mcp_list_tools", "server_label": "registry", "tools": [{"name": "a", "input_schema": {}}] * 7_000}
            ]
            * 2
        },
    ),
    "numbers of a schema": (
        CreateResponse,
        {"input": "a", "tools": [{"type": "function", "name": "a", "parameters": {"type": "object", "const": [0] * 100_000}}]},
    ),
    "empty arrays": (CreateResponse, {"input": "a", "x": [[]] * 60_000}),
    "names": (CreateResponse, {"input": "a", **{str(number): 0 for number in range(100_000)}}),
}


@pytest.mark.parametrize(("model", "body"), TOO_MANY.values(), ids=TOO_MANY)
def test_a_body_of_too_many_elements_all_together_is_refused_before_anything_is_made_of_them(
    model: type[BaseModel], body: Any
) -> None:
    for shown in (written(body), json.dumps(body, indent=1).encode()):
        with pytest.raises(InvalidRequest, match="at most 25000 objects, and 100000 elements and entries") as told:
            parse(model, shown)
        assert (told.value.param, told.value.code) == (None, "too_many_elements")


TEXTS = [
    '{"a": [1, {}]}, ' * 100_000,
    '\\"\\\\{,',
    '"',
    "\\",
    '\\",',
    '"{,[' * 60_000,
    "\\" * 200_001 + ",",
    '","' * 200_000,
    '\n\t\\"',
]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_what_stands_in_a_text_is_no_element(text: str) -> None:
    def body(text: str) -> dict[str, Any]:
        return {"input": [said(text), said([{"type": "input_text", "text": text}])]}

    parse(CreateResponse, written(body(text)))
    for shown in (body(text), {text: [text, "", text, {text: 1}], "b": text}):
        plain = json.loads(json.dumps(shown).replace(json.dumps(text), '""'))
        assert _shape(written(shown)) == _shape(written(plain))
    assert _shape(written({"a": ["", {}, text], text: [[], text, 1.5, None]})) == b"{[,{,,[[,,,"


def test_a_long_history_with_many_tools_is_no_body_of_too_many_elements() -> None:
    schema = {"type": "object", "properties": {f"p{n}": {"type": "string", "enum": ["a", "b", "c"]} for n in range(25)}}
    tools = [{"type": "function", "function": {"name": f"t{n}", "parameters": schema}} for n in range(128)]
    pair = [{"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": CALL["id"], "content": "{}"}]
    parse(CreateChatCompletion, written({"messages": [USER, *pair * 1_000], "tools": tools}))


class Numbers(BaseModel):
    numbers: list[int]


def test_more_mistakes_than_are_read_are_told_by_their_limit() -> None:
    with pytest.raises(InvalidRequest, match=f"more than {MOST_MISTAKES} mistakes") as told:
        parse(Numbers, written({"numbers": ["a"] * (MOST_MISTAKES + 1)}))
    assert told.value.code == "too_many_mistakes"
    with pytest.raises(InvalidRequest, match=r"numbers\[0\]"):
        parse(Numbers, written({"numbers": ["a"] * MOST_MISTAKES}))


def test_a_query_of_many_mistakes_is_told_by_the_same_limit() -> None:
    query = "&".join(f"p{n}=1" for n in range(MOST_MISTAKES + 1)).encode()
    with pytest.raises(InvalidRequest, match=f"more than {MOST_MISTAKES} mistakes"):
        query_of(Request({"type": "http", "query_string": query, "headers": []}), Listing)
