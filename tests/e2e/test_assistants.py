"""An assistant as its administrator makes it, and as the stock SDK uses it: by a model's name."""

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from tests.e2e.conftest import Gateway
from tests.e2e.test_bad_requests import refusal

ASSISTANTS = "/admin/v1/assistants"
CODE = {"type": "code_interpreter", "container": {"type": "auto"}}
TOOL = {
    "name": "weather",
    "description": "The weather in a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "runtime": {"kind": "python", "code": "def main(city): return f'fine in {city}'"},
    "effect": "pure",
}


@pytest.fixture
def http(gateway: Gateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.url, headers={"authorization": f"Bearer {gateway.key}"}, timeout=60) as client:
        yield client


@pytest.fixture
def member(gateway: Gateway, http: httpx.Client) -> Iterator[OpenAI]:
    """A client whose key may chat, and nothing else."""
    secret = http.post("/admin/v1/keys", json={"name": "member", "scopes": ["chat"]}).json()["secret"]
    with OpenAI(base_url=gateway.base_url, api_key=secret, max_retries=0) as client:
        yield client


@pytest.fixture
def helper(http: httpx.Client) -> Iterator[dict[str, Any]]:
    """An assistant with code, and with a tool that nobody may use but through it."""
    tool = http.post("/admin/v1/tools", json=TOOL)
    assert tool.status_code == 200, tool.text
    tools = [CODE, {"type": "mcp", "server_label": "registry", "allowed_tools": ["weather"]}]
    made = http.post(ASSISTANTS, json={"name": "helper", "model": "scripted", "tools": tools, "description": "Helps."})
    assert made.status_code == 200, made.text
    yield made.json()
    http.delete(f"{ASSISTANTS}/helper")
    http.delete("/admin/v1/tools/weather")


def ask(text: str) -> Any:
    return [{"role": "user", "content": text}]


def test_a_plain_chat_client_gets_tools_that_run_on_the_server(member: OpenAI, helper: dict[str, Any]) -> None:
    assert [model.id for model in member.models.list()] == ["scripted", "other", "helper"]
    assert member.models.retrieve("helper").id == "helper"
    raw = member.chat.completions.with_raw_response.create(model="helper", messages=ask("What is 1234 * 5678?"))
    answer = raw.parse()
    assert raw.headers["x-paddock-assistant"] == "helper; version=1"
    assert raw.headers["x-paddock-tool-calls"] == "1"
    assert float(raw.headers["x-paddock-cost-estimate"]) > 0
    assert answer.model == "helper"
    assert answer.choices[0].message.content == "Let me see.\n\nIt is 7006652."
    assert answer.choices[0].message.tool_calls is None
    assert answer.choices[0].finish_reason == "stop"
    chunks = list(member.chat.completions.create(model="helper", messages=ask("What is 1234 * 5678?"), stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Let me see.\n\nIt is 7006652."
    assert not any(chunk.choices[0].delta.tool_calls for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_a_response_shows_what_its_assistant_ran_and_which_it_was(member: OpenAI, helper: dict[str, Any]) -> None:
    response = member.responses.create(model="helper", input="weather", include=["paddock.report"])  # type: ignore[list-item]
    assert response.model == "helper"
    assert [item.type for item in response.output] == ["mcp_list_tools", "mcp_call", "mcp_call", "message"]
    assert "fine in" in response.output_text
    report = response.to_dict()["paddock"]
    assert (report["assistant"], report["model"]) == ({"id": helper["id"], "name": "helper", "version": 1}, "scripted")
    again = member.responses.create(model="helper", input="hello", previous_response_id=response.id)
    assert again.output_text == "You said: hello"


def test_a_tool_is_granted_through_the_assistant_alone_and_off_for_everybody_once_it_is_off(
    member: OpenAI, http: httpx.Client, helper: dict[str, Any]
) -> None:
    registry: Any = {"type": "mcp", "server_label": "registry", "allowed_tools": ["weather"]}
    with pytest.raises(openai.BadRequestError, match="weather"):
        member.responses.create(model="scripted", input="weather", tools=[registry])
    http.post("/admin/v1/tools/weather/disable")
    answer = member.chat.completions.create(model="helper", messages=ask("weather"))
    assert "fine in" not in str(answer.choices[0].message.content)


def test_versions_are_kept_and_read(http: httpx.Client, helper: dict[str, Any]) -> None:
    at = f"{ASSISTANTS}/helper"
    changed = http.post(at, json={"instructions": "Be brief.", "parameters": {"temperature": 0.5}}).json()
    assert (changed["version"], changed["tools"], changed["description"]) == (2, helper["tools"], "Helps.")
    assert changed["parameters"]["temperature"] == 0.5
    assert http.post(at, json={}).json() == changed
    listed = http.get(f"{at}/versions?limit=1").json()
    assert ([row["version"] for row in listed["data"]], listed["has_more"]) == ([2], True)
    older = http.get(f"{at}/versions?after={listed['last_id']}").json()["data"]
    assert older == [http.get(f"{at}/versions/1").json()]
    assert (older[0]["instructions"], older[0]["digest"]) == (None, helper["digest"])
    assert http.get(f"{ASSISTANTS}/{helper['id']}").json() == changed
    assert changed in http.get(ASSISTANTS).json()["data"]


BAD: dict[str, tuple[dict[str, Any], int, str | None, str]] = {
    "no name": ({"model": "scripted"}, 400, "name", "missing_required_parameter"),
    "a name with a blank": ({"name": "a b", "model": "scripted"}, 400, "name", "invalid_value"),
    "an endless name": ({"name": "x" * 300, "model": "scripted"}, 400, "name", "invalid_value"),
    "a reserved name": ({"name": "default", "model": "scripted"}, 400, "name", "reserved_name"),
    "a name like an id": ({"name": "asst_1", "model": "scripted"}, 400, "name", "reserved_name"),
    "a model's name": ({"name": "other", "model": "scripted"}, 409, "name", "name_taken"),
    "a taken name": ({"name": "helper", "model": "scripted"}, 409, "name", "name_taken"),
    "no model": ({"name": "a"}, 400, "model", "missing_required_parameter"),
    "a model that is none": ({"name": "a", "model": "gpt-9"}, 400, "model", "model_not_found"),
    "an assistant for a model": ({"name": "a", "model": "helper"}, 400, "model", "assistant_as_model"),
    "itself for a model": ({"name": "a", "model": "a"}, 400, "model", "assistant_as_model"),
    "a function": (
        {"name": "a", "model": "scripted", "tools": [{"type": "function", "name": "f"}]},
        400,
        "tools[0].type",
        "unsupported_value",
    ),
    "a tool that is not there": (
        {"name": "a", "model": "scripted", "tools": [{"type": "mcp", "server_label": "registry", "allowed_tools": ["nope"]}]},
        400,
        "tools",
        "unknown_tool",
    ),
    "a tool twice": ({"name": "a", "model": "scripted", "tools": [CODE, CODE]}, 400, "tools[1].name", "invalid_value"),
    "too hot": (
        {"name": "a", "model": "scripted", "parameters": {"temperature": 3}},
        400,
        "parameters.temperature",
        "invalid_value",
    ),
    "an unknown parameter": (
        {"name": "a", "model": "scripted", "parameters": {"warmth": 3}},
        400,
        "parameters.warmth",
        "unknown_parameter",
    ),
}


@pytest.mark.parametrize(("body", "status", "param", "code"), BAD.values(), ids=BAD)
def test_what_is_wrong_with_an_assistant_is_named(
    http: httpx.Client, helper: dict[str, Any], body: dict[str, Any], status: int, param: str | None, code: str
) -> None:
    error = refusal(http.post(ASSISTANTS, json=body), status)
    assert (error["param"], error["code"]) == (param, code)
    assert http.get(f"{ASSISTANTS}/a").status_code == 404


def test_a_key_that_may_chat_changes_no_assistant(gateway: Gateway, member: OpenAI, helper: dict[str, Any]) -> None:
    with httpx.Client(base_url=gateway.url, headers={"authorization": f"Bearer {member.api_key}"}) as chat:
        for response in (
            chat.post(ASSISTANTS, json={"name": "a", "model": "scripted"}),
            chat.post(f"{ASSISTANTS}/helper", json={"instructions": "x"}),
            chat.delete(f"{ASSISTANTS}/helper"),
            chat.get(ASSISTANTS),
        ):
            refusal(response, 403)
