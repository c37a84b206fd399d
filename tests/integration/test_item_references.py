"""Items that a request refers to: the model hears what it would have heard had they come before."""

from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from core.errors import InvalidRequest
from core.ids import new_id
from core.llm.backends import scripted
from core.llm.script import Situation
from core.messages import Message, MessageItem, Role, Text, ToolResult
from core.storage.conversations import ConversationStore
from core.storage.database import Database
from tests.integration.conftest import Stage, Tenant
from tests.integration.test_approvals import call_of, opened, requests_of, said
from tests.integration.test_idempotency import RESPONSES, client
from tests.integration.test_turns import code

WEATHER = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}
CODE = {"type": "code_interpreter", "container": {"type": "auto"}}
STEPS = (
    {"when": {"tool_results": 0}, **code("print(1)")},
    {"when": {"tool_results": 1}, "reply": {"tool_calls": [code("print(2)")["reply"]["tool_calls"][0]] * 2}},
    {
        "when": {"tool_results": 3},
        "reply": [{"text": "let me see"}, {"tool_calls": [{"name": "weather"}, {"name": "weather"}]}],
    },
    {"reply": "done"},
)


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[Message]]:
    """What the model was asked, request by request."""
    requests: list[Sequence[Message]] = []
    situation_of = scripted.situation_of

    def hear(messages: Sequence[Message]) -> Situation:
        requests.append(list(messages))
        return situation_of(messages)

    monkeypatch.setattr(scripted, "situation_of", hear)
    return requests


async def asked(http: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    response = await http.post(RESPONSES, json={"tools": [WEATHER, CODE], **body})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def pointing(items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"type": "item_reference", "id": item["id"]} for item in items]


def outputs_of(answer: dict[str, Any]) -> list[dict[str, Any]]:
    calls = [item["call_id"] for item in answer["output"] if item["type"] == "function_call"]
    return [{"type": "function_call_output", "call_id": call_id, "output": "rain"} for call_id in calls]


async def test_a_history_that_is_referred_to_is_heard_as_the_one_of_a_previous_response(
    stage: Stage, tenant: Tenant, heard: list[Sequence[Message]]
) -> None:
    async with stage.open_with(*STEPS) as platform, client(platform, tenant) as http:
        first = await asked(http, input="go")
        inputs = (await http.get(f"{RESPONSES}/{first['id']}/input_items")).json()["data"]
        await asked(http, previous_response_id=first["id"], input=outputs_of(first))
        by_response = heard[-1]
        again = await asked(http, input=[*pointing([*inputs, *first["output"]]), *outputs_of(first)])
        assert heard[-1] == by_response
        copies = (await http.get(f"{RESPONSES}/{again['id']}/input_items?limit=100&order=asc")).json()["data"]
        heard.clear()
        await asked(http, input=[*pointing(copies), {"role": "user", "content": "and?"}])
        assert heard[0][:-1] == by_response


@pytest.mark.parametrize("history", ["previous_response_id", "conversation"])
async def test_what_was_said_before_is_not_said_again_because_it_is_referred_to(
    stage: Stage, tenant: Tenant, heard: list[Sequence[Message]], history: str
) -> None:
    async with stage.open_with(*STEPS) as platform, client(platform, tenant) as http:
        where = (await http.post("/v1/conversations", json={})).json()["id"]
        first = await asked(http, input="go", **({"conversation": where} if history == "conversation" else {}))
        before = {history: where if history == "conversation" else first["id"]}
        await asked(http, **before, input=[*pointing(first["output"]), *outputs_of(first)])
        results = [getattr(message, "content", None) for message in heard[-1]]
        assert results.count("rain") == 2
        assert not any("interrupted" in content for content in results if content)
        if history == "conversation":
            kept = (await http.get(f"/v1/conversations/{where}/items?limit=100")).json()["data"]
            assert len(kept) == 1 + len(first["output"]) + 2 + 1


async def test_items_of_too_many_parts_are_not_referred_to_together(database: Database, tenant: Tenant) -> None:
    who, store = tenant.principal.organization_id, ConversationStore(database)
    said = [MessageItem(id=new_id("msg"), role=Role.USER, parts=(Text(text="a"),) * 10) for _ in range(3)]
    await store.create(who, metadata={}, items=said)
    ids = [item.id for item in said]
    assert await store.items_by_id(who, ids, most_bytes=100_000, most_parts=30) == {item.id: item for item in said}
    for bound in ({"most_bytes": 100_000, "most_parts": 29}, {"most_bytes": 100, "most_parts": 30}):
        with pytest.raises(InvalidRequest) as refused:
            await store.items_by_id(who, ids, **bound)
        assert refused.value.code == "context_length_exceeded"


async def test_an_approval_is_given_by_its_id_also_in_a_copy_of_a_copy(
    stage: Stage, tenant: Tenant, heard: list[Sequence[Message]]
) -> None:
    async with opened(stage, tenant) as (_, http):
        first = await http.respond()
        [asking] = requests_of(first)
        kept = await http.post("/v1/conversations", {"items": [{"role": "user", "content": "go"}, *pointing(first["output"])]})
        copies = (await http.get(f"/v1/conversations/{kept['id']}/items?order=asc"))["data"]
        approved = await http.respond(input=[*pointing(copies), said(asking)])
        assert call_of(approved)["output"] == "42"
        inputs = (await http.get(f"/v1/responses/{approved['id']}/input_items?order=asc"))["data"]
        await http.respond(input=[*pointing([*inputs, *approved["output"]]), {"role": "user", "content": "and?"}])
        assert not any("nobody has approved" in str(message) for message in heard[-1])


def bare(items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without what calls gave back, as OpenAI's Agents SDK, its JavaScript client and pydantic-ai send history."""
    return [{**item, "outputs": None} if item["type"] == "code_interpreter_call" else item for item in items]


async def test_calls_that_are_sent_again_without_what_they_gave_back_keep_it(
    stage: Stage, tenant: Tenant, heard: list[Sequence[Message]]
) -> None:
    async with stage.open_with(*STEPS) as platform, client(platform, tenant) as http:
        first = await asked(http, input="go", include=["code_interpreter_call.outputs"])
        assert [item["type"] for item in first["output"]].count("code_interpreter_call") == 3
        history = [{"role": "user", "content": "go"}, *bare(first["output"]), *outputs_of(first)]
        for outputs in (None, []):
            again = [{**item, "outputs": outputs} if "outputs" in item else item for item in history]
            heard.clear()
            await asked(http, input=again)
            assert results_of(heard[0]) == ["1", "2", "2", "rain", "rain"]
        kept = (await http.post("/v1/conversations", json={"items": history})).json()["id"]
        copies = (await http.get(f"/v1/conversations/{kept}/items?limit=100&order=asc")).json()["data"]
        assert {item["id"] for item in copies}.isdisjoint(item["id"] for item in first["output"])
        assert [item["outputs"] for item in copies if item["type"] == "code_interpreter_call"] == [None] * 3
        heard.clear()
        await asked(http, input=copies)
        assert results_of(heard[0]) == ["1", "2", "2", "rain", "rain"]


async def test_what_a_call_of_others_gave_back_is_not_told_and_an_id_may_be_missing(
    stage: Stage, tenant: Tenant, other_tenant: Tenant, heard: list[Sequence[Message]]
) -> None:
    async with stage.open_with(*STEPS) as platform, client(platform, tenant) as http, client(platform, other_tenant) as others:
        first = await asked(http, input="go")
        history = [{"role": "user", "content": "go"}, *bare(first["output"][:1])]
        registry = {"type": "mcp_call", "server_label": "registry", "name": "double", "arguments": "{}", "error": None}
        for call in (
            history[1],
            {**history[1], "id": "odd\0id"},
            {**history[1], "id": None},
            {**history[1], "id": None, "outputs": []},
            {**registry, "id": history[1]["id"]},
        ):
            sent = {name: value for name, value in call.items() if value is not None}
            heard.clear()
            await asked(others, input=[history[0], sent], tools=[])
            assert results_of(heard[0]) == ["(the output was not kept)"]
        made = await others.post("/v1/conversations", json={"items": [history[0], registry]})
        assert made.status_code == 200, made.text
        unfinished = {**registry, "id": "mcp_1", "status": "incomplete"}
        heard.clear()
        await asked(others, input=[history[0], unfinished], tools=[])
        assert results_of(heard[0]) == ["no result: the call was interrupted"]


def results_of(messages: Sequence[Message]) -> list[str]:
    return [message.content for message in messages if isinstance(message, ToolResult)]


async def test_history_without_what_its_calls_gave_back_is_taken_also_where_that_was_more_than_a_request_may_have(
    stage: Stage, tenant: Tenant, heard: list[Sequence[Message]]
) -> None:
    steps = ({"when": {"tool_results": 0}, **code("print('x' * 6000)")}, {"reply": "done"})
    async with stage.open_with(*steps, request_body_bytes=4_000) as platform, client(platform, tenant) as http:
        first = await asked(http, input="go")
        await asked(
            http, input=[{"role": "user", "content": "go"}, *bare(first["output"]), {"role": "user", "content": "and?"}]
        )
        assert results_of(heard[-1])[0] == "(the output was not kept)"
