"""`tool_choice: allowed_tools`: of the request's tools the listed ones are offered, and no others."""

from typing import Any

import pytest

from core.conversations.kept import REQUEST
from core.conversations.request import TurnRequest
from core.errors import InvalidRequest
from core.llm.contract import ToolChoice, ToolMode
from core.tools.approval import Asking
from core.tools.catalog import Caller, Selection
from tests.unit.test_wire_requests import chat, response

INTERPRETER = {"type": "code_interpreter", "container": {"type": "auto"}}
REGISTRY: dict[str, Any] = {"type": "mcp", "server_label": "registry"}
FUNCTIONS = [{"type": "function", "name": name} for name in ("f", "g", "h")]
ALL = [*FUNCTIONS, INTERPRETER, REGISTRY]


def allowing(*entries: Any, mode: str = "auto") -> dict[str, Any]:
    return {"type": "allowed_tools", "mode": mode, "tools": list(entries)}


def offered(request: TurnRequest) -> tuple[list[str], tuple[str, ...], tuple[str, ...] | str | None]:
    registered = "nothing" if request.registry is None else request.registry.names
    return [function.name for function in request.functions], request.builtins, registered


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([FUNCTIONS[2], FUNCTIONS[0]], (["f", "h"], (), "nothing")),
        ([{"type": "code_interpreter"}], ([], ("code_interpreter",), "nothing")),
        ([REGISTRY], ([], (), None)),
        ([{**REGISTRY, "name": "b"}, {**REGISTRY, "name": "a"}], ([], (), ("a", "b"))),
        ([{**REGISTRY, "name": "b"}, REGISTRY, FUNCTIONS[1]], (["g"], (), None)),
        ([], ([], (), "nothing")),
    ],
)
def test_only_what_is_listed_is_offered(entries: list[Any], expected: Any) -> None:
    request = response(tools=ALL, tool_choice=allowing(*entries))
    assert offered(request) == expected
    assert request.tool_choice == ToolChoice()
    assert offered(REQUEST.validate_json(REQUEST.dump_json(request))) == expected  # whoever goes on with the turn
    assert request.echo["fields"]["tool_choice"] == allowing(*entries)
    assert [tool["type"] for tool in request.echo["fields"]["tools"]] == [tool["type"] for tool in ALL]


def test_one_of_the_listed_may_be_demanded() -> None:
    request = response(tools=ALL, tool_choice=allowing(FUNCTIONS[0], mode="required"))
    assert request.tool_choice == ToolChoice(mode=ToolMode.REQUIRED)
    everything = response(tools=[REGISTRY], tool_choice=allowing(REGISTRY, mode="required"))
    assert everything.tool_choice == ToolChoice(mode=ToolMode.REQUIRED)
    with pytest.raises(InvalidRequest) as refused:
        response(tools=ALL, tool_choice=allowing(mode="required"))
    assert refused.value.param == "tool_choice"


def test_of_named_tools_of_the_registry_some_are_left_with_their_approvals() -> None:
    named = {**REGISTRY, "allowed_tools": ["c", "a", "b"], "require_approval": {"always": {"tool_names": ["a"]}}}
    request = response(tools=[named], tool_choice=allowing({**REGISTRY, "name": "a"}, {**REGISTRY, "name": "c"}))
    assert request.registry == Selection(names=("c", "a"), asking=(Asking(always=("a",)),))


@pytest.mark.parametrize(
    ("callers", "entries", "left"),
    [
        (["direct", "programmatic"], [REGISTRY], (Caller.DIRECT,)),
        (["direct", "programmatic"], [REGISTRY, {"type": "code_interpreter"}], (Caller.DIRECT, Caller.PROGRAMMATIC)),
        (["programmatic"], [REGISTRY, {"type": "code_interpreter"}], (Caller.PROGRAMMATIC,)),
        (["programmatic"], [REGISTRY], (Caller.PROGRAMMATIC,)),  # told when the turn begins: nobody is left who may call
    ],
)
def test_code_that_may_not_be_written_calls_nothing(callers: list[str], entries: list[Any], left: Any) -> None:
    request = response(tools=[INTERPRETER, {**REGISTRY, "allowed_callers": callers}], tool_choice=allowing(*entries))
    assert request.registry is not None
    assert request.registry.callers == left


@pytest.mark.parametrize(
    ("entry", "param"),
    [
        ({"type": "function", "name": "nobody"}, "tool_choice.tools[1]"),
        ({"type": "code_interpreter"}, "tool_choice.tools[1]"),
        ({**REGISTRY, "name": "nobody"}, "tool_choice.tools[1]"),
        ({"type": "function"}, "tool_choice.tools[1].name"),
        ({"type": "image_generation"}, "tool_choice.tools[1].type"),
        ({**REGISTRY, "server_label": "deepwiki"}, "tool_choice.tools[1].server_label"),
        ({"type": "function", "name": "f", "mood": "good"}, "tool_choice.tools[1].mood"),
    ],
)
def test_an_entry_that_names_no_tool_of_the_request_is_refused_where_it_is(entry: Any, param: str) -> None:
    tools = [*FUNCTIONS, {**REGISTRY, "allowed_tools": ["a"]}]
    with pytest.raises(InvalidRequest) as refused:
        response(tools=tools, tool_choice=allowing(FUNCTIONS[0], entry))
    assert refused.value.param == param


def test_the_registry_is_in_no_request_that_does_not_name_it() -> None:
    for entry in (REGISTRY, {**REGISTRY, "name": "a"}):
        with pytest.raises(InvalidRequest) as refused:
            response(tools=FUNCTIONS, tool_choice=allowing(entry))
        assert refused.value.param == "tool_choice.tools[0]"


CHAT_FUNCTIONS = [{"type": "function", "function": {"name": name}} for name in ("f", "g", "h")]


def allowing_in_chat(*entries: Any, mode: str = "auto") -> dict[str, Any]:
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": list(entries)}}


def test_of_a_chats_functions_only_the_listed_are_offered() -> None:
    some = allowing_in_chat(CHAT_FUNCTIONS[2], CHAT_FUNCTIONS[0])
    assert offered(chat(tools=CHAT_FUNCTIONS, tool_choice=some)) == (["f", "h"], (), "nothing")
    required = chat(tools=CHAT_FUNCTIONS, tool_choice=allowing_in_chat(CHAT_FUNCTIONS[1], mode="required"))
    assert (offered(required)[0], required.tool_choice) == (["g"], ToolChoice(mode=ToolMode.REQUIRED))


@pytest.mark.parametrize(
    ("choice", "param"),
    [
        (
            allowing_in_chat(CHAT_FUNCTIONS[0], {"type": "function", "function": {"name": "nobody"}}),
            "tool_choice.allowed_tools.tools[1]",
        ),
        (allowing_in_chat({"type": "function"}), "tool_choice.allowed_tools.tools[0].function"),
        (allowing_in_chat(CHAT_FUNCTIONS[0], mode="none"), "tool_choice.allowed_tools.mode"),
        (allowing(CHAT_FUNCTIONS[0]), "tool_choice.allowed_tools"),
        (allowing_in_chat(mode="required"), "tool_choice"),
    ],
)
def test_a_chat_that_lists_what_is_not_there_is_refused(choice: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        chat(tools=CHAT_FUNCTIONS, tool_choice=choice)
    assert refused.value.param == param


def test_a_request_says_that_its_tools_were_narrowed() -> None:
    assert response(tools=ALL, tool_choice=allowing(FUNCTIONS[0])).narrowed
    assert not response(tools=ALL, tool_choice="auto").narrowed


@pytest.mark.parametrize("name", ["", "a" * 65, "a b", "\x00"])
def test_what_is_no_name_of_a_tool_is_refused_before_anybody_looks_for_it(name: str) -> None:
    for choice in (allowing({**REGISTRY, "name": name}), {**REGISTRY, "name": name}):
        with pytest.raises(InvalidRequest) as refused:
            response(tools=ALL, tool_choice=choice)
        assert (refused.value.param or "").endswith("name")
