"""The registry through its admin API and in turns: real stores, real sandbox, a scripted model."""

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import httpx
import pytest
import rfc8785
import sqlalchemy as sa
from starlette.types import Message

from api.app import create_app
from core.bootstrap import Platform
from core.events import ToolDispatched, TurnStatus
from core.llm.backends.scripted import ScriptedModel, situation_of
from core.llm.contract import Chunk, ModelRequest
from core.storage.audit import AuditRecord
from core.storage.database import Database
from core.storage.tools import NewVersion, ToolStore
from core.tools.definition import parse_manifest, stored_version
from core.tools.executor import NO_CALLS_WANTED
from core.tools.permissions import Permissions
from core.tools.registry import Conditions
from core.tools.telling import UNKNOWN
from tests.integration.conftest import Stage, Tenant
from tests.integration.test_recovery import Control, cut

TOOLS = "/admin/v1/tools"
EVERYBODY = {"organization": True}
OFFERED = {"type": "mcp", "server_label": "registry"}
HELLO = {"reply": "hello"}
ANSWER = {"when": {"after_tool": True}, "reply": {"text": "It is {last_tool_result}."}}


def manifest(name: str = "double", code: str = "def main(x):\n    return x * 2", **fields: Any) -> dict[str, Any]:
    return {
        "name": name,
        "description": "Doubles a number",
        "parameters": {
            "type": "object",
            "properties": {"x": {"type": "number"}},
            "required": ["x"],
            "additionalProperties": False,
        },
        "runtime": {"kind": "python", "code": code},
        "effect": "pure",
        **fields,
    }


def calls(*names: str, **when: Any) -> dict[str, Any]:
    asked = [{"name": name, "arguments": {"x": place + 21}} for place, name in enumerate(names)]
    return {"when": when or {"tool_results": 0}, "reply": {"tool_calls": asked}}


class Client:
    """Speaks JSON to the application, as one tenant."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def raw(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return await self._http.request(method, path, json=body)

    async def ask(self, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
        answer = await self.raw(method, path, body)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def post(self, path: str, body: Any = None, *, status: int = 200) -> Any:
        return await self.ask("POST", path, {} if body is None else body, status=status)

    async def get(self, path: str, *, status: int = 200) -> Any:
        return await self.ask("GET", path, status=status)

    async def create(self, *, status: int = 200, **fields: Any) -> Any:
        permissions = fields.pop("permissions", EVERYBODY)
        return await self.post(TOOLS, manifest(**fields) | {"permissions": permissions}, status=status)

    async def respond(self, *, status: int = 200, tools: Any = (OFFERED,), **fields: Any) -> Any:
        return await self.post("/v1/responses", {"input": "go", "tools": list(tools), **fields}, status=status)

    async def refused(self, path: str, body: Any, *, method: str = "POST", status: int = 400) -> tuple[str, str | None, str]:
        error = (await self.ask(method, path, body, status=status))["error"]
        return error["code"], error["param"], error["message"]


@asynccontextmanager
async def client_of(platform: Platform, tenant: Tenant) -> AsyncIterator[Client]:
    transport = httpx.ASGITransport(create_app(platform))
    headers = {"authorization": f"Bearer {tenant.secret}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://paddock", headers=headers) as http:
        yield Client(http)


async def audited(platform: Platform, tenant: Tenant) -> list[dict[str, Any]]:
    async with platform.database.tenant(tenant.principal.organization_id) as connection:
        rows = (await connection.exec_driver_sql("SELECT record FROM audit_records ORDER BY id")).scalars()
        return [json.loads(row) if isinstance(row, str) else row for row in rows]


def call_of(response: Any) -> Any:
    [call] = [item for item in response["output"] if item["type"] == "mcp_call"]
    return call


async def test_a_tool_is_created_called_in_a_turn_turned_off_and_refused(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(calls("double"), ANSWER) as platform, client_of(platform, tenant) as client:
        tool = await client.create()
        assert (tool["version"], tool["enabled"], tool["permissions"]["organization"]) == (1, True, True)
        response = await client.respond()
        assert [item["type"] for item in response["output"]] == ["mcp_list_tools", "mcp_call", "message"]
        assert [listed["name"] for listed in response["output"][0]["tools"]] == ["double"]
        call = call_of(response)
        assert (call["output"], call["error"], call["status"], call["server_label"]) == ("42", None, "completed", "registry")
        assert response["output"][2]["content"][0]["text"] == "It is 42."
        await client.post(f"{TOOLS}/double/disable")
        assert (await client.refused("/v1/responses", {"input": "go", "tools": [{**OFFERED, "allowed_tools": ["double"]}]}))[
            0
        ] == "unknown_tool"
        assert [item["type"] for item in (await client.respond())["output"]] == ["message"]


async def test_nobody_may_call_a_tool_until_somebody_is_let_in(stage: Stage, tenant: Tenant) -> None:
    only_it = {**OFFERED, "allowed_tools": ["double"]}
    async with stage.open_with(calls("double"), ANSWER) as platform, client_of(platform, tenant) as client:
        await client.create(permissions={})
        code, param, message = await client.refused("/v1/responses", {"input": "go", "tools": [only_it]})
        assert (code, param) == ("unknown_tool", "tools")
        assert "'double'" in message
        for let_in in ({"organization": True}, {"roles": [tenant.principal.role.value]}, {"keys": [tenant.principal.key_id]}):
            await client.post(f"{TOOLS}/double", {"permissions": let_in})
            assert call_of(await client.respond(tools=[only_it]))["output"] == "42"
        await client.post(f"{TOOLS}/double", {"permissions": {"roles": ["auditor"]}})
        assert (await client.refused("/v1/responses", {"input": "go", "tools": [only_it]}))[0] == "unknown_tool"
        refused = [record for record in await audited(platform, tenant) if record["kind"] == "tool.refused"]
        assert [(record["object"], record["outcome"]) for record in refused] == [("double", "refused")] * 2


async def disabled(client: Client, _: Tenant) -> None:
    await client.post(f"{TOOLS}/double/disable")


async def locked(client: Client, _: Tenant) -> None:
    await client.post(f"{TOOLS}/double", {"permissions": {"roles": ["auditor"]}})


async def deleted(client: Client, _: Tenant) -> None:
    await client.ask("DELETE", f"{TOOLS}/double")


async def demoted(client: Client, tenant: Tenant) -> None:
    await client.post("/admin/v1/users", {"name": "another owner", "role": "owner"})
    await client.post(f"/admin/v1/users/{tenant.principal.user_id}", {"role": "member"})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (disabled, "not run: tool 'double' is turned off"),
        (locked, "not run: this key may not use tool 'double'"),
        (deleted, "not run: the tool was deleted"),
        (demoted, "not run: this key may not use tool 'double'"),
    ],
)
async def test_what_an_administrator_takes_away_holds_for_the_next_call_of_a_turn_that_runs_in_another_process(
    stage: Stage,
    tenant: Tenant,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Client, Tenant], Awaitable[None]],
    told: str,
) -> None:
    changed, stream = asyncio.Event(), ScriptedModel.stream

    async def held_back(model: ScriptedModel, request: ModelRequest) -> AsyncGenerator[Chunk, None]:
        """What it says next comes when the change has been made."""
        if situation_of(request.messages).tool_results:
            await changed.wait()
        async with aclosing(stream(model, request)) as chunks:
            async for chunk in chunks:
                yield chunk

    monkeypatch.setattr(ScriptedModel, "stream", held_back)
    rules = (calls("double"), calls("double", tool_results=1), {"when": {"tool_results": 2}, "reply": "done"})
    async with (
        stage.open_with(*rules) as one,
        stage.open_with(HELLO) as other,
        client_of(one, tenant) as client,
        client_of(other, tenant) as elsewhere,
    ):
        await client.create(permissions={"roles": ["owner"]})
        running = asyncio.create_task(client.respond())
        usage: Any = {"data": []}
        while not usage["data"] or not usage["data"][0]["completed"]:
            usage = await elsewhere.get(f"{TOOLS}/double/usage")
        await change(elsewhere, tenant)
        changed.set()
        first, second = [item for item in (await running)["output"] if item["type"] == "mcp_call"]
    assert (first["output"], second["output"], second["status"]) == ("42", None, "failed")
    assert second["error"]["content"] == told


async def test_who_goes_on_with_a_turn_offers_the_versions_that_it_began_with(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    async with stage.open_with(calls("double"), ANSWER, lease_seconds=1) as platform, client_of(platform, tenant) as client:
        await client.create()
        turn = await platform.turns.get(tenant.principal, (await client.respond())["id"])
        whole = Control(turn, await platform.turns.events(tenant.principal, turn.id))
        await client.post(f"{TOOLS}/double/versions", manifest(code="def main(x):\n    return x * 200"))
        orphan = await cut(database, whole, 2)
        await platform.turns.wait(tenant.principal, orphan)
        assert call_of(await client.get(f"/v1/responses/{orphan}"))["output"] == "42"
        await client.ask("DELETE", f"{TOOLS}/double")
        orphan = await cut(database, whole, 2)
        assert (await platform.turns.wait(tenant.principal, orphan)).status is TurnStatus.COMPLETED
        assert call_of(await client.get(f"/v1/responses/{orphan}"))["error"]["content"] == "not run: the tool was deleted"


async def test_a_huge_result_is_not_read_in_the_servers_own_process(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(calls("double"), ANSWER) as platform, client_of(platform, tenant) as client:
        code, limits = "def main(x):\n    return 'y' * 5_000_000", {"output_bytes": 2**26}
        await client.create(code=code, limits=limits, returns={"type": "string"})
        call = call_of(await client.respond())
        told = "the tool's result does not fit its schema: it has 5000002 bytes; at most 4194304 are read"
        assert (call["status"], call["error"]["content"]) == ("failed", told)


async def test_calls_of_one_reply_run_at_the_same_time_and_are_told_in_the_order_of_asking(
    stage: Stage, tenant: Tenant
) -> None:
    slow = "import time\ndef main(x):\n    time.sleep(4 if x == 21 else 0)\n    return x"
    rules = (calls("first", "second"), {"when": {"tool_results": 2}, "reply": "{last_tool_result}"})
    async with stage.open_with(*rules) as platform, client_of(platform, tenant) as client:
        for name in ("first", "second"):
            await client.create(name=name, code=slow)
        response = await client.respond()
        outputs = [item["output"] for item in response["output"] if item["type"] == "mcp_call"]
        assert outputs == ["21", "22"]
        assert response["output"][-1]["content"][0]["text"] == "22"
        events = await platform.turns.events(tenant.principal, response["id"])
    told = [event.event.kind for event in events]
    assert told.index("returned") > max(place for place, kind in enumerate(told) if kind == "dispatched")
    assert [e.event.result.content for e in events if e.event.kind == "returned"] == ["22", "21"]


async def test_a_quota_counts_every_call_once_and_refuses_the_one_that_is_too_many(stage: Stage, tenant: Tenant) -> None:
    rules = (calls("double", "double", "double"), {"when": {"after_tool": True}, "reply": "done"})
    quotas = [{"per": "key", "period": "day", "calls": 2}, {"per": "organization", "period": "day", "calls": 100}]
    async with stage.open_with(*rules) as platform, client_of(platform, tenant) as client:
        await client.create()
        await client.post(f"{TOOLS}/double", {"quotas": quotas})
        called = [item for item in (await client.respond())["output"] if item["type"] == "mcp_call"]
        assert sorted(item["status"] for item in called) == ["completed", "completed", "failed"]
        [refused] = [item["error"]["content"] for item in called if item["error"]]
        assert refused == "not run: tool 'double' may be called 2 times in a day, and was: try again in the next one"
        assert (await client.post(f"{TOOLS}/double/dry-run", {"arguments": {"x": 1}}))["failed"] is True
        await client.post(f"{TOOLS}/double", {"quotas": [{"per": "organization", "period": "day", "calls": 3}]})
        assert (await client.post(f"{TOOLS}/double/dry-run", {"arguments": {"x": 1}}))["output"] == "2"
        assert (await client.post(f"{TOOLS}/double/dry-run", {"arguments": {"x": 1}}))["failed"] is True


async def test_a_quota_holds_for_calls_that_come_at_once_in_two_processes(stage: Stage, tenant: Tenant) -> None:
    async with (
        stage.open_with(HELLO) as one,
        stage.open_with(HELLO) as other,
        client_of(one, tenant) as client,
        client_of(other, tenant) as elsewhere,
    ):
        await client.create()
        await client.post(f"{TOOLS}/double", {"quotas": [{"per": "organization", "period": "day", "calls": 5}]})
        body = {"arguments": {"x": 1}}
        tried = await asyncio.gather(*(c.post(f"{TOOLS}/double/dry-run", body) for c in (client, elsewhere) for _ in range(8)))
    assert sorted(answer["failed"] for answer in tried) == [False] * 5 + [True] * 11


async def test_of_two_tools_with_one_name_at_once_one_is_made(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(HELLO) as platform, client_of(platform, tenant) as client:
        made = await asyncio.gather(*(client.create() for _ in range(4)), return_exceptions=True)
        assert sorted("tool_exists" in str(answer) for answer in made) == [False, True, True, True]
        assert len((await client.get(TOOLS))["data"]) == 1


async def test_versions_are_immutable_and_known_by_number_and_by_digest(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(calls("double"), ANSWER) as platform, client_of(platform, tenant) as client:
        first = await client.create()
        second = await client.post(f"{TOOLS}/double/versions", manifest(code="def main(x):\n    return x * 200"))
        assert second["version"] == 2
        assert second["digest"] != first["digest"]
        assert call_of(await client.respond())["output"] == "4200"
        same = await client.post(f"{TOOLS}/double/versions", manifest(code="def main(x):\n    return x * 200"))
        assert same == second
        old = await client.get(f"{TOOLS}/double/versions/1")
        assert (old["digest"], old["version"]) == (first["digest"], 1)
        assert hashlib.sha256(rfc8785.dumps(old["manifest"])).hexdigest() == first["digest"]
        assert old["manifest"]["limits"]["wall_seconds"] == 60
        assert await client.get(f"{TOOLS}/sha256:{first['digest']}") == old
        listed = await client.get(f"{TOOLS}/double/versions?limit=1")
        assert ([row["version"] for row in listed["data"]], listed["has_more"]) == ([2], True)
        rest = await client.get(f"{TOOLS}/double/versions?after={listed['last_id']}")
        assert ([row["version"] for row in rest["data"]], rest["has_more"]) == ([1], False)
        await client.ask("DELETE", f"{TOOLS}/double")
        assert await client.get(f"{TOOLS}/sha256:{first['digest']}") == old
        await client.get(f"{TOOLS}/double", status=404)
        assert (await client.create())["version"] == 1


async def test_a_version_and_who_may_call_it_change_together_or_not_at_all(stage: Stage, tenant: Tenant) -> None:
    versions = f"{TOOLS}/double/versions"
    newer = manifest(code="def main(x):\n    return x * 200")
    async with stage.open_with(HELLO) as platform, client_of(platform, tenant) as client:
        first = await client.create()
        refused = await client.refused(versions, {**newer, "permissions": {"keys": ["key_of_nobody"]}})
        assert refused[:2] == ("key_not_found", "permissions.keys[0]")
        twice = [{"per": "key", "period": "day", "calls": 1}] * 2
        assert (await client.refused(versions, {**newer, "quotas": twice}))[1] == "quotas[1]"
        assert (await client.refused(versions, {**newer, "permissions": {"roles": ["root"]}}))[1] == "permissions.roles[0]"
        kept = await client.get(f"{TOOLS}/double")
        assert {name: kept[name] for name in first} == first
        given = {"permissions": {"roles": ["owner"]}, "quotas": twice[:1], "enabled": False}
        second = await client.post(versions, {**newer, **given})
        assert (second["version"], second["enabled"], second["quotas"]) == (2, False, twice[:1])
        assert second["permissions"] == {"organization": False, "roles": ["owner"], "keys": []}
        third = await client.post(versions, {**newer, "replaces": 2, "enabled": True})
        assert third == {**second, "enabled": True}
        assert await client.post(versions, newer) == third
        assert (await client.refused(versions, {**newer, "replaces": 1, "enabled": False}, status=409))[0] == "version_conflict"
        told = [record for record in await audited(platform, tenant) if record["kind"].startswith("tool.")]
    kinds = [record["kind"] for record in told]
    assert sorted(kinds) == ["tool.changed", "tool.changed", "tool.created", "tool.version_added"]
    assert [record["details"]["enabled"] for record in told if record["kind"] == "tool.changed"] == [False, True]


async def test_of_two_versions_at_once_one_wins(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(HELLO) as platform, client_of(platform, tenant) as client:
        await client.create()
        bodies = [manifest(code=f"def main(x):\n    return {n}") | {"replaces": 1} for n in range(2)]
        made = await asyncio.gather(
            *(client.ask("POST", f"{TOOLS}/double/versions", body) for body in bodies), return_exceptions=True
        )
        [lost] = [answer for answer in made if isinstance(answer, AssertionError)]
        assert "version_conflict" in str(lost)
        assert (await client.get(f"{TOOLS}/double"))["version"] == 2
        await client.refused(f"{TOOLS}/double/versions", bodies[0], status=409)


async def test_history_with_registry_calls_goes_back_to_the_model_and_tools_are_listed_once(
    stage: Stage, tenant: Tenant
) -> None:
    rules = (calls("double", contains="double it", tool_results=0), ANSWER, {"reply": "{message_count} messages"})
    async with stage.open_with(*rules) as platform, client_of(platform, tenant) as client:
        await client.create()
        first = await client.respond(input="double it")
        second = await client.respond(input="and now?", previous_response_id=first["id"])
        assert [item["type"] for item in second["output"]] == ["message"]
        sent_back = [{"role": "user", "content": "double it"}, *first["output"], {"role": "user", "content": "and now?"}]
        third = await client.respond(input=sent_back)
        assert third["output"][-1]["content"] == second["output"][-1]["content"]
        assert [item["type"] for item in third["output"]] == ["message"]
        await client.create(name="treble")
        fourth = await client.respond(input="and now?", previous_response_id=second["id"])
        assert [tool["name"] for tool in fourth["output"][0]["tools"]] == ["double", "treble"]
        items = (await client.get(f"/v1/responses/{third['id']}/input_items?order=asc"))["data"]
        assert [item["type"] for item in items] == ["message", "mcp_list_tools", "mcp_call", "message", "message"]
        assert items[2]["output"] == "42"


async def test_a_tool_of_another_organisation_is_not_there(stage: Stage, tenant: Tenant, other_tenant: Tenant) -> None:
    async with stage.open_with(calls("double"), ANSWER) as platform, client_of(platform, tenant) as client:
        tool = await client.create()
        async with client_of(platform, other_tenant) as other:
            for method, path, body in (
                ("GET", "/double", None),
                ("POST", "/double", {"enabled": False}),
                ("DELETE", "/double", None),
                ("POST", "/double/disable", {}),
                ("GET", "/double/versions", None),
                ("POST", "/double/versions", manifest()),
                ("GET", "/double/versions/1", None),
                ("GET", f"/sha256:{tool['digest']}", None),
                ("POST", "/double/dry-run", {"arguments": {"x": 1}}),
                ("GET", "/double/usage", None),
            ):
                await other.ask(method, TOOLS + path, body, status=404)
            assert (await other.get(TOOLS))["data"] == []
            await other.get(f"{TOOLS}?after={tool['id']}", status=400)
            code, param, _ = await other.refused(TOOLS, manifest() | {"permissions": {"keys": [tenant.principal.key_id]}})
            assert (code, param) == ("key_not_found", "permissions.keys[0]")
            assert (await other.respond())["output"][0]["type"] == "message"
            await other.create()  # the name is free there
        assert (await client.get(f"{TOOLS}/double"))["enabled"] is True


async def test_a_dry_run_whose_client_left_is_not_run_again_for_its_key(stage: Stage, tenant: Tenant) -> None:
    async def started() -> int:
        return sum(record["kind"] == "tool.dry_run_started" for record in await audited(platform, tenant))

    async def receive() -> Message:
        if not heard:
            heard.append("body")
            return {"type": "http.request", "body": b'{"arguments": {"x": 1}}'}
        while not await started():
            await asyncio.sleep(0.05)
        return {"type": "http.disconnect"}

    async def send(_: Message) -> None:
        """Nobody is there."""

    heard: list[str] = []
    async with stage.open_with(HELLO) as platform, client_of(platform, tenant) as client:
        await client.create(code="import time\ndef main(x):\n    time.sleep(40)", effect="effectful")
        path = f"{TOOLS}/double/dry-run"
        told = {"authorization": f"Bearer {tenant.secret}", "idempotency-key": "once", "content-type": "application/json"}
        headers = [(name.encode(), value.encode()) for name, value in told.items()]
        scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers, "http_version": "1.1"}
        await create_app(platform)(scope | {"client": None, "scheme": "http", "server": None}, receive, send)
        again = await client._http.post(path, content=b'{"arguments": {"x": 1}}', headers=told)
        assert (again.status_code, again.json()["error"]["code"]) == (409, "idempotency_answer_lost")
        assert await started() == 1


async def test_a_dry_run_goes_the_way_of_a_call_and_is_audited(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(HELLO) as platform, client_of(platform, tenant) as client:
        await client.create(permissions={})
        refused = await client.post(f"{TOOLS}/double/dry-run", {"arguments": {"x": 1}})
        assert (refused["failed"], refused["output"]) == (True, "not run: this key may not use tool 'double'")
        await client.post(f"{TOOLS}/double", {"permissions": {"keys": [tenant.principal.key_id]}})
        assert (await client.post(f"{TOOLS}/double/dry-run", {"arguments": {"x": 2**60}}))["output"] == str(2**61)
        wrong = await client.post(f"{TOOLS}/double/dry-run", {"arguments": {"x": "1"}})
        assert wrong["output"].startswith("arguments do not fit the schema of 'double': x: ")
        await client.post(f"{TOOLS}/double/versions", manifest(code="def main(x):\n    raise ValueError('no')"))
        failed = await client.post(f"{TOOLS}/double/dry-run", {"arguments": {"x": 1}})
        assert failed["failed"] is True
        assert "ValueError: no" in failed["output"]
        assert (await client.post(f"{TOOLS}/double/dry-run", {"arguments": {"x": 1}, "version": 1}))["output"] == "2"
        await client.ask("POST", f"{TOOLS}/double/dry-run", {"version": 3}, status=404)
        await client.post(f"{TOOLS}/double/disable")
        assert (await client.post(f"{TOOLS}/double/dry-run", {"arguments": {"x": 1}}))["output"].endswith("is turned off")
        assert (await client.get(f"{TOOLS}/double/usage"))["data"] == []
        records = await audited(platform, tenant)
    kinds = [record["kind"] for record in records if record["kind"].startswith("tool.")]
    ended = ["tool.dry_run_ended"]
    ran = ["tool.dry_run_started", *ended]
    assert kinds == [
        "tool.created", *ended, "tool.changed", *ran, *ended, "tool.version_added", *ran, *ran, "tool.changed", *ended
    ]  # fmt: skip
    assert [r["outcome"] for r in records if r["kind"] in ended] == [
        "failure",
        "success",
        "failure",
        "failure",
        "success",
        "failure",
    ]


@pytest.mark.parametrize("runtime", [{}, {"code": "def main(x):\n    return x"}], ids=["unchanged", "other code"])
async def test_a_schema_beyond_a_bound_of_today_is_no_matter_where_nothing_changes(
    stage: Stage, tenant: Tenant, runtime: dict[str, Any]
) -> None:
    schema = {"type": "object", "properties": {"x": {"allOf": [{"pattern": f"^{n}$"} for n in range(201)]}}}
    whole, own = manifest() | {"parameters": schema}, {"permissions": EVERYBODY, "replaces": 1}
    text = rfc8785.dumps(
        json.loads(parse_manifest(manifest()).manifest) | {name: whole[name] for name in ("parameters", "runtime")}
    )
    first = NewVersion(digest=hashlib.sha256(text).hexdigest(), manifest=text.decode(), created_by=tenant.principal.key_id)
    terms = Conditions(enabled=True, permissions=Permissions(), quotas=()).terms
    async with stage.open_with(HELLO) as platform, client_of(platform, tenant) as client:
        created = AuditRecord.by(tenant.principal, "tool.created", "double")
        await ToolStore(platform.database).create(tenant.principal.organization_id, "double", first, terms, created)
        if runtime:
            changed = whole | own | {"runtime": {**whole["runtime"], **runtime}}
            assert (await client.refused(f"{TOOLS}/double/versions", changed))[0] == "invalid_manifest"
        else:
            told = await client.post(f"{TOOLS}/double/versions", whole | own)
            assert (told["version"], told["permissions"]["organization"]) == (1, True)


async def test_a_tool_that_was_registered_by_rules_of_before_is_read_and_its_calls_are_answered(
    stage: Stage, tenant: Tenant
) -> None:
    """Its kind and its schema's dialect are refused today."""
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": {"x": {}}}
    runtime = {"kind": "code", "language": "python", "argument": "zzz"}
    whole = manifest() | {"parameters": schema, "runtime": runtime}
    today = parse_manifest(whole | {"parameters": {"type": "object"}})
    text = json.dumps(json.loads(today.manifest) | {"parameters": schema})
    first = NewVersion(digest=hashlib.sha256(text.encode()).hexdigest(), manifest=text, created_by=tenant.principal.key_id)
    async with stage.open_with(HELLO) as platform, client_of(platform, tenant) as client:
        await ToolStore(platform.database).create(
            tenant.principal.organization_id,
            "double",
            first,
            Conditions(enabled=True, permissions=Permissions(organization=True), quotas=()).terms,
            AuditRecord.by(tenant.principal, "tool.created", "double"),
        )
        assert (await client.get(f"{TOOLS}/double"))["version"] == 1
        for arguments in ({}, {"x": 1}, {"zzz": 1}):
            told = await client.post(f"{TOOLS}/double/dry-run", {"arguments": arguments})
            assert (told["failed"], "'zzz' must be the program's text" in told["output"]) == (True, True), told
        refused = await client.refused(f"{TOOLS}/double/versions", whole)
        assert refused[:2] == ("invalid_manifest", "runtime.kind")


async def test_a_tool_that_may_say_nothing_is_refused_and_read_where_it_was_taken_before(stage: Stage, tenant: Tenant) -> None:
    mute = manifest(limits={"output_bytes": 0})
    async with stage.open_with(HELLO) as platform, client_of(platform, tenant) as client:
        assert (await client.refused(TOOLS, mute))[:2] == ("invalid_manifest", "limits.output_bytes")
    assert stored_version(json.dumps(mute)).limits.output_bytes == 0


@pytest.mark.parametrize("tools", [[OFFERED], [{"type": "code_interpreter", "container": {"type": "auto"}}]])
async def test_a_request_for_no_calls_has_none_whatever_the_model_asks_for(
    stage: Stage, tenant: Tenant, tools: list[Any]
) -> None:
    """Servers of models are known to take no notice of it."""
    code = {"when": {"tool_results": 0}, "reply": {"tool_calls": [{"name": "code_interpreter", "arguments": {"code": "1"}}]}}
    story = calls("double") if tools == [OFFERED] else code
    async with stage.open_with(story, ANSWER) as platform, client_of(platform, tenant) as client:
        await client.create()
        response = await client.respond(tools=tools, tool_choice="none")
        called = next(item for item in response["output"] if item["type"] in ("mcp_call", "code_interpreter_call"))
        assert called["status"] == "failed"
        assert NO_CALLS_WANTED in response["output"][-1]["content"][0]["text"]
        assert "tool.dispatched" not in [record["kind"] for record in await audited(platform, tenant)]


async def test_a_request_for_no_calls_gives_its_client_none(stage: Stage, tenant: Tenant) -> None:
    function = {"type": "function", "name": "double", "parameters": {"type": "object"}}
    async with stage.open_with(calls("double"), ANSWER) as platform, client_of(platform, tenant) as client:
        response = await client.respond(tools=[function], tool_choice="none")
        assert [item["type"] for item in response["output"]] == ["message"]
        assert NO_CALLS_WANTED in response["output"][-1]["content"][0]["text"]


async def test_a_request_for_one_call_at_a_time_has_one_whatever_the_model_asks_for(stage: Stage, tenant: Tenant) -> None:
    ours, mine = {"name": "double", "arguments": {"x": 21}}, {"name": "look", "arguments": {}}
    asked = ([ours, ours], [mine, mine], [ours, mine], [mine, ours])
    function = {"type": "function", "name": "look", "parameters": {"type": "object"}}
    for calls_at_once in asked:
        both = {"when": {"tool_results": 0}, "reply": {"tool_calls": calls_at_once}}
        async with stage.open_with(both, HELLO) as platform, client_of(platform, tenant) as client:
            if calls_at_once is asked[0]:
                await client.create()
            for parallel in (False, True):
                response = await client.respond(parallel_tool_calls=parallel, tools=[OFFERED, function])
                made = [item["name"] for item in response["output"] if item["type"] in ("mcp_call", "function_call")]
                assert made == [call["name"] for call in calls_at_once][: 2 if parallel else 1]
                assert all(item["status"] == "completed" for item in response["output"] if item["type"] == "mcp_call")


async def test_a_call_that_was_sent_before_its_server_died_counts_once_and_is_unknown_where_it_is_refused(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    async def ended(told: str) -> Any:
        copy = await cut(database, whole, begun)
        await platform.turns.wait(tenant.principal, copy)
        call = call_of(await client.get(f"/v1/responses/{copy}"))
        assert told in (call["output"] or call["error"]["content"])
        async with database.everyone() as connection:
            query = sa.text("SELECT state FROM tool_ledger WHERE turn_id = :id")
            return (await connection.execute(query, {"id": copy})).scalar()

    async with stage.open_with(calls("double"), ANSWER, lease_seconds=1) as platform, client_of(platform, tenant) as client:
        await client.create(effect="idempotent")
        once = {"per": "organization", "period": "day", "calls": 1}
        await client.post(f"{TOOLS}/double", {"quotas": [once]})
        turn = await platform.turns.get(tenant.principal, (await client.respond())["id"])
        whole = Control(turn, await platform.turns.events(tenant.principal, turn.id))
        begun = next(recorded.seq for recorded in whole.events if isinstance(recorded.event, ToolDispatched))
        assert await ended("42") == "completed"
        await client.post(f"{TOOLS}/double/disable")
        assert await ended(UNKNOWN) == "outcome_unknown"
        begun -= 1
        assert await ended("not run: tool 'double' is turned off") is None


async def test_tools_are_listed_in_pages(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(HELLO) as platform, client_of(platform, tenant) as client:
        for n in range(3):
            await client.create(name=f"tool_{n}")
        page = await client.get(f"{TOOLS}?limit=2&order=asc")
        assert ([row["name"] for row in page["data"]], page["has_more"]) == (["tool_0", "tool_1"], True)
        rest = await client.get(f"{TOOLS}?limit=2&order=asc&after={page['last_id']}")
        assert ([row["name"] for row in rest["data"]], rest["has_more"]) == (["tool_2"], False)
        newest = await client.get(f"{TOOLS}?limit=1")
        assert [row["name"] for row in newest["data"]] == ["tool_2"]


async def test_more_tools_than_a_turn_can_offer_have_to_be_named(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(HELLO) as platform, client_of(platform, tenant) as client:
        await asyncio.gather(*(client.create(name=f"tool_{n}") for n in range(129)))
        code, _, message = await client.refused("/v1/responses", {"input": "go", "tools": [OFFERED]})
        assert (code, "allowed_tools" in message) == ("too_many_tools", True)
        few = await client.respond(tools=[{**OFFERED, "allowed_tools": {"tool_names": ["tool_7", "tool_3"]}}])
        assert [tool["name"] for tool in few["output"][0]["tools"]] == ["tool_7", "tool_3"]
