"""A turn run again from its record: what its pure tools return now, and what another model would have said."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import sqlalchemy as sa

from core.bootstrap import Platform, open_platform
from core.config import Settings
from core.storage.database import Database
from core.storage.tables import turn_events
from core.tools.catalog import shipped
from tests.integration.conftest import Stage, Tenant
from tests.integration.test_tool_registry import ANSWER, Client, audited, calls, client_of

CODE = {"type": "code_interpreter", "container": {"type": "auto"}}
REGISTRY = {"type": "mcp", "server_label": "registry"}
CLOCK = "import time\ndef main(x):\n    return time.time_ns()"


def runs(code: str) -> Mapping[str, Any]:
    asked = [{"name": "code_interpreter", "arguments": {"code": code}}]
    return {"when": {"tool_results": 0}, "reply": {"tool_calls": asked}}


@asynccontextmanager
async def opened(stage: Stage, tenant: Tenant, *rules: Mapping[str, Any]) -> AsyncIterator[tuple[Platform, Client]]:
    """With a second model, `other`, that only talks."""
    models = [
        {"name": "scripted", "backend": "scripted", "script": list(rules)},
        {"name": "other", "backend": "scripted", "script": [ANSWER, {"reply": "No."}]},
    ]
    settings = Settings.model_validate({"home": stage.home, "config": stage.home / "paddock.yaml", "models": models})
    async with open_platform(settings, stage.addresses) as platform, client_of(platform, tenant) as client:
        yield platform, client


async def replayed(client: Client, response: Any, **body: Any) -> Any:
    return await client.post(f"/admin/v1/turns/{response['id']}/replay", body)


async def test_what_pure_tools_returned_they_return_again(stage: Stage, tenant: Tenant) -> None:
    async with opened(stage, tenant, calls("double"), ANSWER) as (platform, client):
        await client.create()
        conversation = (await client.post("/v1/conversations"))["id"]
        response = await client.respond(conversation=conversation)
        items = await client.get(f"/v1/conversations/{conversation}/items")
        again = await replayed(client, response)
        assert (again["differences"], again["model"], len(again["steps"])) == (0, None, 2)
        [call] = again["steps"][0]["calls"]
        assert (call["tool"], call["result"], call["differs"]) == ("double", {"output": "42", "failed": False}, False)
        assert call["result_now"] == call["result"]
        assert again["steps"][1]["reply"]["text"] == "It is 42."
        assert await client.get(f"/v1/conversations/{conversation}/items") == items, "nothing is written"
        records = [record for record in await audited(platform, tenant) if record["kind"].startswith("turn.replay")]
        assert [(one["kind"], one["object"], one["outcome"]) for one in records] == [
            ("turn.replay_started", response["id"], "success"),
            ("turn.replay_ended", response["id"], "success"),
        ]
        assert [one["kind"] for one in await audited(platform, tenant)].count("tool.dispatched") == 1


async def test_the_version_that_ran_is_what_runs_again_though_the_tool_is_gone(stage: Stage, tenant: Tenant) -> None:
    async with opened(stage, tenant, calls("double"), ANSWER) as (_, client):
        await client.create()
        response = await client.respond()
        tool = await client.get("/admin/v1/tools/double")
        await client.post("/admin/v1/tools/double/versions", {**tool["manifest"], "description": "another"})
        await client.ask("DELETE", "/admin/v1/tools/double")
        again = await replayed(client, response)
        assert (again["differences"], again["steps"][0]["calls"][0]["result_now"]["output"]) == (0, "42")


async def test_every_difference_is_told(stage: Stage, tenant: Tenant) -> None:
    async with opened(stage, tenant, calls("clock", "double"), ANSWER) as (_, client):
        await client.create(name="clock", code=CLOCK)
        await client.create()
        again = await replayed(client, await client.respond())
        assert again["differences"] == 1
        clock, double = again["steps"][0]["calls"]
        assert (clock["differs"], double["differs"]) == (True, False)
        assert int(clock["result_now"]["output"]) > int(clock["result"]["output"])


async def test_code_is_run_again_and_so_is_code_that_fails(stage: Stage, tenant: Tenant) -> None:
    for code, outcome in (("print(6 * 7)", "42"), ("1/0", "ZeroDivisionError"), ("print(id", "SyntaxError")):
        async with opened(stage, tenant, runs(code), ANSWER) as (_, client):
            again = await replayed(client, await client.respond(tools=[CODE]))
            [call] = again["steps"][0]["calls"]
            assert (again["differences"], call["not_run"]) == (0, None)
            assert outcome in call["result_now"]["output"]


async def test_what_has_an_effect_is_not_run_again(stage: Stage, tenant: Tenant) -> None:
    async with opened(stage, tenant, calls("clock", "nothing"), ANSWER) as (_, client):
        await client.create(name="clock", code=CLOCK, effect="effectful")
        again = await replayed(client, await client.respond())
        effectful, unknown = again["steps"][0]["calls"]
        assert (again["differences"], effectful["result_now"], unknown["result_now"]) == (0, None, None)
        assert effectful["not_run"] == "it is not pure: it was not run again"
        assert unknown["not_run"] == "it was not run then"


async def test_code_that_calls_tools_is_run_again_with_those_that_it_called(stage: Stage, tenant: Tenant) -> None:
    by_code = {**REGISTRY, "allowed_callers": ["programmatic"]}
    code = runs("from paddock import call\nprint(call('double', x=4) + call('clock', x=1) * 0)")
    async with opened(stage, tenant, code, ANSWER) as (platform, client):
        await client.create()
        await client.create(name="clock", code=CLOCK)
        response = await client.respond(tools=[CODE, by_code])
        await client.post("/admin/v1/tools/clock/disable")
        await client.ask("DELETE", "/admin/v1/tools/double")
        again = await replayed(client, response)
        [call] = again["steps"][0]["calls"]
        assert (again["differences"], again["unverified"], call["not_run"]) == (0, 0, None)
        assert call["result_now"] == call["result"] == {"output": "8", "failed": False}
        dispatched = [one["details"] for one in await audited(platform, tenant) if one["kind"] == "tool.dispatched"]
        assert len(dispatched) == 3, "what runs again is no call of the turn"


async def test_code_is_told_to_differ_where_what_it_calls_does(stage: Stage, tenant: Tenant) -> None:
    by_code = {**REGISTRY, "allowed_callers": ["programmatic"]}
    code = runs("from paddock import call\nprint(call('clock', x=1))")
    async with opened(stage, tenant, code, ANSWER) as (_, client):
        await client.create(name="clock", code=CLOCK)
        again = await replayed(client, await client.respond(tools=[CODE, by_code]))
        assert (again["differences"], again["unverified"]) == (1, 0)


async def test_a_pure_call_whose_version_is_gone_is_not_passed_over(stage: Stage, tenant: Tenant, database: Database) -> None:
    async with opened(stage, tenant, runs("print(6 * 7)"), ANSWER) as (platform, client):
        response = await client.respond(tools=[CODE])
        digest = shipped()["code_interpreter"].digest
        async with database.everyone() as connection:
            older = sa.update(turn_events).values(payload=sa.func.replace(turn_events.c.payload, digest, "0" * 64))
            await connection.execute(older.where(turn_events.c.turn_id == response["id"]))
        again = await replayed(client, response)
        [call] = again["steps"][0]["calls"]
        assert (again["differences"], again["unverified"], call["result_now"]) == (0, 1, None)
        assert call["not_run"] == "its version is not there any more"
        ended = (await audited(platform, tenant))[-1]
        assert (ended["outcome"], ended["details"]) == ("failure", {"differences": 0, "unverified": 1})


async def test_another_model_is_asked_at_each_step_with_what_was_said_before_it(stage: Stage, tenant: Tenant) -> None:
    async with opened(stage, tenant, calls("double"), ANSWER) as (_, client):
        await client.create()
        response = await client.respond()
        same = await replayed(client, response, model="scripted")
        assert (same["differences"], same["steps"][1]["reply_now"]["text"]) == (0, "It is 42.")
        other = await replayed(client, response, model="other")
        assert [step["differs"] for step in other["steps"]] == [True, False]
        assert other["steps"][0]["reply_now"] == {"text": "No.", "calls": []}
        assert other["steps"][1]["reply_now"]["text"] == "It is 42."


async def test_each_call_of_the_other_model_is_on_record_also_one_that_fails(stage: Stage, tenant: Tenant) -> None:
    half = {"reply": [{"text": "half of"}, {"error": {"status": 503}}]}
    async with opened(stage, tenant, {"reply": "hello", "times": 1}, half) as (platform, client):
        response = await client.respond(tools=[])
        await replayed(client, response, model="other")
        code, _, _ = await client.refused(f"/admin/v1/turns/{response['id']}/replay", {"model": "scripted"}, status=503)
        assert code == "model_unavailable"
        records = [record for record in await audited(platform, tenant) if record["object"] == response["id"]]
        told = [(one["kind"], one["outcome"], one["details"].get("model")) for one in records[-6:]]
        assert told == [
            ("turn.replay_started", "success", "other"),
            ("model.replied", "success", "other"),
            ("turn.replay_ended", "failure", None),
            ("turn.replay_started", "success", "scripted"),
            ("model.failed", "failure", "scripted"),
            ("turn.replay_ended", "unknown", None),
        ]
        assert min(records[-2]["details"][name] for name in ("input_tokens", "output_tokens")) > 0
        assert len({one["request"] for one in records[-6:]}) == 2


async def test_an_approved_call_is_run_again_with_the_arguments_that_were_approved(stage: Stage, tenant: Tenant) -> None:
    async with opened(stage, tenant, calls("double"), ANSWER) as (platform, client):
        await client.create(approval="always")
        conversation = (await client.post("/v1/conversations"))["id"]
        await client.respond(conversation=conversation)
        [waiting] = (await client.get("/admin/v1/approvals"))["data"]
        approved = await client.post(f"/admin/v1/approvals/{waiting['id']}/approve", {"arguments": {"x": 4}})
        await platform.turns.wait(tenant.principal, approved["next_response_id"])
        again = await replayed(client, {"id": approved["next_response_id"]}, model="scripted")
        assert again["differences"] == 0
        assert again["steps"][0]["calls"][0]["result_now"]["output"] == "8"
        assert again["steps"][1]["reply_now"]["text"] == "It is 8."


async def test_what_cannot_be_replayed_is_said(stage: Stage, tenant: Tenant, other_tenant: Tenant) -> None:
    async with opened(stage, tenant, {"reply": "hello"}) as (platform, client):
        response = await client.respond(tools=[])
        path = f"/admin/v1/turns/{response['id']}/replay"
        assert (await client.refused(path, {"model": "nobody"}, status=404))[0] == "model_not_found"
        assert (await client.refused(path, {"models": []}))[1] == "models"
        unstored = await client.respond(tools=[], store=False)
        for gone in (unstored["id"], "resp_unknown"):
            code, _, _ = await client.refused(f"/admin/v1/turns/{gone}/replay", {}, status=404)
            assert code == "response_not_found"
        async with client_of(platform, other_tenant) as stranger:
            assert (await stranger.refused(path, {}, status=404))[0] == "response_not_found"
        await client.ask("DELETE", f"/v1/responses/{response['id']}")
        assert (await client.refused(path, {}, status=404))[0] == "response_not_found"
