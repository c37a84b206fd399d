"""Calls that wait for humans: asked on the wire, decided there or by administrators, carried out once and as approved."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import asyncpg
import pytest
import sqlalchemy as sa

from core.approvals.approvals import NOT_THE_SAME
from core.bootstrap import Platform
from core.conversations import continuing
from core.conversations.loop import CALLS_AT_ONCE, TOO_MANY_CALLS
from core.conversations.retention import StreamRetention
from core.errors import NotFound
from core.events import ToolDispatched, TurnStarted
from core.identity.keys import Keys
from core.identity.principals import Role, Scope
from core.identity.sign_in import Identity
from core.identity.users import Users
from core.llm.router import ModelRouter
from core.storage import conversations
from core.storage.approvals import ApprovalStore, Decision
from core.storage.audit import AuditRecord, insert
from core.storage.database import Database
from core.storage.directory import Directory
from core.storage.embedded.postgres import EmbeddedPostgres
from core.storage.records import ApprovalStatus
from core.storage.streams import StreamStore
from core.storage.tables import audit_personal, audit_subjects, items
from core.storage.turns import TurnStore
from core.tools.approval import DAY_SECONDS
from core.tools.telling import UNKNOWN
from tests.integration.conftest import Stage, Tenant
from tests.integration.test_long_queues import nodes
from tests.integration.test_recovery import Control, cut
from tests.integration.test_tool_registry import ANSWER, OFFERED, Client, audited, call_of, calls, client_of, manifest

APPROVALS = "/admin/v1/approvals"
ASKING = {**OFFERED, "require_approval": "always"}
STORY = (calls("double"), ANSWER)


@asynccontextmanager
async def opened(
    stage: Stage, tenant: Tenant, *rules: Mapping[str, Any], approval: Any = "always"
) -> AsyncIterator[tuple[Platform, Client]]:
    async with stage.open_with(*(rules or STORY)) as platform, client_of(platform, tenant) as client:
        await client.create(approval=approval)
        yield platform, client


def requests_of(response: Any) -> list[Any]:
    return [item for item in response["output"] if item["type"] == "mcp_approval_request"]


def said(request: Any, approve: bool = True, **fields: Any) -> dict[str, Any]:
    return {"type": "mcp_approval_response", "approval_request_id": request["id"], "approve": approve, **fields}


async def answered(client: Client, response: Any, *items: Any, **fields: Any) -> Any:
    return await client.respond(input=list(items), previous_response_id=response["id"], **fields)


def text_of(response: Any) -> str:
    [message] = [item for item in response["output"] if item["type"] == "message"]
    text: str = message["content"][0]["text"]
    return text


async def colleague(database: Database, tenant: Tenant) -> Tenant:
    """Another user of the same organisation, who administers too."""
    directory = Directory(database)
    user = await Users(directory).create(tenant.principal, name="another", role=Role.ADMIN)
    _, secret = await Keys(directory).create(tenant.principal, name="other", scopes=list(Scope), user_id=user.id)
    return Tenant(principal=await Identity(directory).authenticate(secret), secret=secret)


async def kinds_of_audit(platform: Platform, tenant: Tenant) -> list[str]:
    return [record["kind"] for record in await audited(platform, tenant)]


async def refusals(platform: Platform, tenant: Tenant) -> list[tuple[str, str]]:
    """What of whose approval the audit log has."""
    records = [record for record in await audited(platform, tenant) if record["kind"] == "approval.refused"]
    return [(record["object"], record["details"]["code"]) for record in records]


async def test_a_call_waits_for_a_human_and_runs_in_the_next_response(stage: Stage, tenant: Tenant) -> None:
    async with opened(stage, tenant) as (platform, client):
        response = await client.respond()
        assert [item["type"] for item in response["output"]] == ["mcp_list_tools", "mcp_approval_request"]
        assert response["status"] == "completed"
        [asked] = requests_of(response)
        assert asked.keys() == {"id", "type", "server_label", "name", "arguments"}
        assert (asked["name"], asked["server_label"], json.loads(asked["arguments"])) == ("double", "registry", {"x": 21})
        assert await client.get(f"/v1/responses/{response['id']}") == response
        assert "tool.dispatched" not in await kinds_of_audit(platform, tenant)
        after = await answered(client, response, said(asked))
        assert [item["type"] for item in after["output"]] == ["mcp_call", "message"]
        call = call_of(after)
        assert (call["approval_request_id"], call["output"], call["status"]) == (asked["id"], "42", "completed")
        assert text_of(after) == "It is 42."
        assert await client.get(f"/v1/responses/{after['id']}") == after
        records = await audited(platform, tenant)
        of_approval = [record for record in records if record["kind"].startswith("approval.")]
        assert [record["kind"] for record in of_approval] == ["approval.requested", "approval.approved"]
        assert len({record["digest"] for record in of_approval}) == 1, "what was approved is what was asked"
        [dispatched] = [record for record in records if record["kind"] == "tool.dispatched"]
        assert dispatched["details"]["approval"] == asked["id"]


async def test_a_denied_call_is_told_to_the_model_as_a_failure_with_the_reason(stage: Stage, tenant: Tenant) -> None:
    async with opened(stage, tenant) as (platform, client):
        response = await client.respond()
        after = await answered(client, response, said(requests_of(response)[0], False, reason="too dear"))
        call = call_of(after)
        assert (call["status"], call["error"]["content"]) == ("failed", "denied by a human: too dear")
        assert "denied by a human: too dear" in text_of(after)
        assert "tool.dispatched" not in await kinds_of_audit(platform, tenant)


async def test_an_approval_is_used_once(stage: Stage, tenant: Tenant) -> None:
    async with opened(stage, tenant) as (platform, client):
        response = await client.respond()
        [asked] = requests_of(response)
        body = {"input": [said(asked)], "previous_response_id": response["id"], "tools": [OFFERED]}
        answers = await asyncio.gather(*(client.raw("POST", "/v1/responses", body) for _ in range(4)))
        assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
        code, _, message = await client.refused("/v1/responses", body, status=409)
        assert code == "approval_used"
        assert asked["id"] in message
        code, _, _ = await client.refused(f"{APPROVALS}/{asked['id']}/deny", {}, status=409)
        assert code == "approval_used"
        kinds = await kinds_of_audit(platform, tenant)
        assert kinds.count("tool.dispatched") == 1
        assert kinds.count("approval.approved") == 1
        assert kinds.count("approval.refused") >= 2


async def test_an_approval_stays_open_where_the_response_that_decides_it_is_refused(stage: Stage, tenant: Tenant) -> None:
    nobody = {"background_turns": 0, "queued_turns_of_organization": 1}
    async with stage.open_with(*STORY, **nobody) as platform, client_of(platform, tenant) as client:
        await client.create(approval="always")
        response = await client.respond()
        [asked] = requests_of(response)
        await client.respond(background=True)
        body = {"input": [said(asked)], "previous_response_id": response["id"], "tools": [OFFERED]}
        code, _, _ = await client.refused("/v1/responses", {**body, "background": True}, status=429)
        assert code == "queue_full"
        assert (await client.get(f"{APPROVALS}/{asked['id']}"))["status"] == "pending"
        assert "approval.approved" not in await kinds_of_audit(platform, tenant)
        assert call_of(await answered(client, response, said(asked)))["output"] == "42"


async def test_the_reason_that_a_response_gives_is_kept_apart_from_the_audit_log(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    async with opened(stage, tenant) as (platform, client):
        response = await client.respond()
        await answered(client, response, said(requests_of(response)[0], False, reason="too dear"))
        [record] = [one for one in await audited(platform, tenant) if one["kind"] == "approval.denied"]
        assert record["personal"].keys() == {"subject", "hmac"}
        async with database.tenant(tenant.principal.organization_id) as connection:
            apart = sa.select(audit_personal.c.text).where(audit_personal.c.record_id == record["id"])
            assert (await connection.execute(apart)).scalar_one() == '{"reason":"too dear"}'


async def test_a_reason_about_somebody_who_is_erased_as_it_is_written_is_not_kept(
    stage: Stage, tenant: Tenant, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    organization_id, begun, for_journal = tenant.principal.organization_id, asyncio.Event(), ApprovalStore.for_journal

    async def erase() -> None:
        async with database.everyone() as connection:
            for table in (audit_subjects, audit_personal):
                await connection.execute(sa.delete(table).where(table.c.organization_id == organization_id))
            begun.set()
            await asyncio.sleep(1)

    async def late(self: ApprovalStore, *given: Any) -> Any:
        decided = await for_journal(self, *given)
        erasing.append(asyncio.create_task(erase()))
        await begun.wait()
        return decided

    erasing: list[asyncio.Task[None]] = []
    async with opened(stage, tenant) as (platform, client):
        response = await client.respond()
        monkeypatch.setattr(ApprovalStore, "for_journal", late)
        await answered(client, response, said(requests_of(response)[0], False, reason="too dear"))
        await asyncio.gather(*erasing)
        assert "approval.denied" in await kinds_of_audit(platform, tenant)
        async with database.tenant(organization_id) as connection:
            assert (await connection.execute(sa.select(audit_personal.c.text))).scalars().all() == []


async def test_a_reason_put_under_a_key_that_is_erased_is_not_kept_under_the_next_one(
    stage: Stage, tenant: Tenant, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    organization_id, for_journal = tenant.principal.organization_id, ApprovalStore.for_journal

    async def late(self: ApprovalStore, *given: Any) -> Any:
        decided = await for_journal(self, *given)
        async with database.everyone() as connection:
            for table in (audit_subjects, audit_personal):
                await connection.execute(sa.delete(table).where(table.c.organization_id == organization_id))
        async with database.tenant(organization_id) as connection:
            who = tenant.principal.user_id
            renamed = AuditRecord.by(tenant.principal, "user.updated", who, subject=who, personal={"name": "new"})
            await insert(connection, renamed)
        return decided

    async with opened(stage, tenant) as (_, client):
        response = await client.respond()
        monkeypatch.setattr(ApprovalStore, "for_journal", late)
        await answered(client, response, said(requests_of(response)[0], False, reason="too dear"))
        async with database.tenant(organization_id) as connection:
            assert (await connection.execute(sa.select(audit_personal.c.text))).scalars().all() == ['{"name":"new"}']


async def test_an_approval_in_a_conversation_goes_on_by_itself(stage: Stage, tenant: Tenant) -> None:
    async with opened(stage, tenant) as (platform, client):
        conversation = (await client.post("/v1/conversations"))["id"]
        response = await client.respond(conversation=conversation)
        [waiting] = (await client.get(f"{APPROVALS}?status=pending"))["data"]
        assert (waiting["tool"], waiting["arguments"], waiting["status"]) == ("double", {"x": 21}, "pending")
        assert (waiting["response_id"], waiting["conversation_id"]) == (response["id"], conversation)
        approved = await client.post(f"{APPROVALS}/{waiting['id']}/approve")
        assert (approved["status"], approved["decided_by"]) == ("approved", tenant.principal.user_id)
        after = approved["next_response_id"]
        await platform.turns.wait(tenant.principal, after)
        assert text_of(await client.get(f"/v1/responses/{after}")) == "It is 42."
        items = (await client.get(f"/v1/conversations/{conversation}/items?order=asc"))["data"]
        assert [item["type"] for item in items] == [
            "message",
            "mcp_list_tools",
            "mcp_approval_request",
            "mcp_approval_response",
            "mcp_call",
            "message",
        ]
        assert (await client.get(f"{APPROVALS}?status=pending"))["data"] == []


async def test_what_an_administrator_decided_is_taken_up_by_the_next_request(stage: Stage, tenant: Tenant) -> None:
    async with opened(stage, tenant) as (_, client):
        response = await client.respond()
        [asked] = requests_of(response)
        assert (await client.post(f"{APPROVALS}/{asked['id']}/approve"))["next_response_id"] is None
        body = {"input": [said(asked, False)], "previous_response_id": response["id"], "tools": [OFFERED]}
        assert (await client.refused("/v1/responses", body, status=409))[0] == "approval_decided"
        after = await answered(client, response, said(asked))
        assert call_of(after)["output"] == "42"
        assert (await client.get(f"{APPROVALS}/{asked['id']}"))["next_response_id"] == after["id"]


async def test_edited_arguments_are_checked_and_have_a_digest_of_their_own(stage: Stage, tenant: Tenant) -> None:
    async with opened(stage, tenant) as (platform, client):
        conversation = (await client.post("/v1/conversations"))["id"]
        await client.respond(conversation=conversation)
        [waiting] = (await client.get(APPROVALS))["data"]
        path = f"{APPROVALS}/{waiting['id']}"
        code, param, _ = await client.refused(f"{path}/approve", {"arguments": {"x": "many"}})
        assert (code, param) == ("invalid_arguments", "arguments")
        approved = await client.post(f"{path}/approve", {"arguments": {"x": 4}, "reason": "less"})
        assert (approved["arguments"], approved["edited"]) == ({"x": 4}, True)
        assert approved["digest"] != waiting["digest"]
        await platform.turns.wait(tenant.principal, approved["next_response_id"])
        call = call_of(await client.get(f"/v1/responses/{approved['next_response_id']}"))
        assert (json.loads(call["arguments"]), call["output"]) == ({"x": 4}, "8")
        [record] = [one for one in await audited(platform, tenant) if one["kind"] == "approval.approved"]
        assert (record["digest"], record["details"]["asked"]) == (approved["digest"], waiting["digest"])
        assert "less" not in json.dumps(record)


async def test_with_four_eyes_whoever_asked_may_deny_and_not_approve(stage: Stage, tenant: Tenant, database: Database) -> None:
    async with opened(stage, tenant, approval={"four_eyes": True}) as (platform, client):
        other = await colleague(database, tenant)
        response = await client.respond()
        [asked] = requests_of(response)
        body = {"input": [said(asked)], "previous_response_id": response["id"], "tools": [OFFERED]}
        assert (await client.refused("/v1/responses", body, status=403))[0] == "four_eyes"
        assert (await client.refused(f"{APPROVALS}/{asked['id']}/approve", {}, status=403))[0] == "four_eyes"
        async with client_of(platform, other) as somebody_else:
            assert (await somebody_else.post(f"{APPROVALS}/{asked['id']}/approve"))["status"] == "approved"
        assert call_of(await answered(client, response, said(asked)))["output"] == "42"


async def test_with_four_eyes_whoever_edits_the_arguments_does_not_approve_them(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    async with opened(stage, tenant, approval={"four_eyes": True}) as (platform, client):
        second, third = await colleague(database, tenant), await colleague(database, tenant)
        response = await client.respond()
        [asked] = requests_of(response)
        path = f"{APPROVALS}/{asked['id']}"
        before = await client.get(path)
        async with client_of(platform, second) as editor, client_of(platform, third) as approver:
            edited = await editor.post(f"{path}/approve", {"arguments": {"x": 4}})
            assert (edited["status"], edited["arguments"], edited["edited"]) == ("pending", {"x": 4}, True)
            assert (edited["edited_by"], edited["digest"] != before["digest"]) == (second.principal.user_id, True)
            whole = {"digest": edited["digest"]}
            for who in (editor, client):
                for body in (whole, {**whole, "arguments": {"x": 4}}, {**whole, "arguments": {"x": 5}}):
                    assert (await who.refused(f"{path}/approve", body, status=403))[0] == "four_eyes"
            assert (await approver.refused(f"{path}/approve", {}))[0] == "approval_edited"
            unseen = {"digest": before["digest"]}
            assert (await approver.refused(f"{path}/approve", unseen, status=409))[0] == "approval_changed"
            approved = await approver.post(f"{path}/approve", whole)
            assert (approved["status"], approved["edited"]) == ("approved", True)
        assert call_of(await answered(client, response, said(asked)))["output"] == "8"
        kinds = [kind for kind in await kinds_of_audit(platform, tenant) if kind.startswith("approval.")]
        assert [kind for kind in kinds if kind != "approval.refused"] == [
            "approval.requested",
            "approval.edited",
            "approval.approved",
        ]


async def test_with_four_eyes_what_a_call_led_to_is_approved_by_neither_of_the_two(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    """The one wrote the text that the model still goes by, the other's response goes on with it."""
    more = {"when": {"tool_results": 1}, "reply": {"tool_calls": [{"name": "double", "arguments": {"x": 1_000_000}}]}}
    story = (calls("double"), more, {"when": {"tool_results": 2}, "reply": {"text": "Done."}})
    async with opened(stage, tenant, *story, approval={"four_eyes": True}) as (platform, client):
        second, third = await colleague(database, tenant), await colleague(database, tenant)
        async with client_of(platform, second) as approver, client_of(platform, third) as somebody_else:
            response = await client.respond()
            after = await answered(approver, response, said(requests_of(response)[0]))
            [asked] = requests_of(after)
            for who in (client, approver):
                assert (await who.refused(f"{APPROVALS}/{asked['id']}/approve", {}, status=403))[0] == "four_eyes"
            assert (await somebody_else.post(f"{APPROVALS}/{asked['id']}/approve"))["status"] == "approved"


async def test_a_dry_run_is_no_way_around_the_second_pair_of_eyes(stage: Stage, tenant: Tenant) -> None:
    async with opened(stage, tenant, approval={"four_eyes": True}) as (_, client):
        tried = await client.post("/admin/v1/tools/double/dry-run", {"arguments": {"x": 1}})
        assert (tried["failed"], "somebody else" in tried["output"]) == (True, True)
        await client.create(name="triple", code="def main(x):\n    return x * 3", approval="always")
        tried = await client.post("/admin/v1/tools/triple/dry-run", {"arguments": {"x": 1}})
        assert (tried["failed"], tried["output"]) == (False, "3")


async def test_what_was_approved_runs_once_wherever_its_process_dies(stage: Stage, tenant: Tenant, database: Database) -> None:
    async with stage.open_with(*STORY, lease_seconds=1) as platform, client_of(platform, tenant) as client:
        await client.create(approval="always", effect="effectful")
        response = await client.respond()
        after = await answered(client, response, said(requests_of(response)[0]))
        turn = await platform.turns.get(tenant.principal, after["id"])
        whole = Control(turn, await platform.turns.events(tenant.principal, turn.id))
        copies = [await cut(database, whole, last) for last in range(1, len(whole.events))]
        for last, copy in enumerate(copies, start=1):
            await platform.turns.wait(tenant.principal, copy)
            events = await platform.turns.events(tenant.principal, copy)
            told = await client.get(f"/v1/responses/{copy}")
            assert sum(isinstance(one.event, ToolDispatched) for one in events) <= 1
            in_flight = isinstance(whole.events[last - 1].event, ToolDispatched)
            if isinstance(whole.events[last - 1].event, TurnStarted):
                continue  # it was never recorded without what follows it
            assert call_of(told)["status"] == ("failed" if in_flight else "completed")
            assert (UNKNOWN in json.dumps(told["output"])) == in_flight
            assert told["status"] == "completed"


async def test_an_approved_call_whose_code_calls_goes_on_wherever_its_process_died(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    """And what it calls is what was approved with it, whatever became of that since."""
    code = "from paddock import call\ndef main(x):\n    return call('double', x=x) + call('double', x=1)\n"
    plan = {"name": "plan", "effect": "idempotent", "runtime": {"kind": "python", "code": code}, "approval": "always"}
    async with stage.open_with(calls("plan"), ANSWER, lease_seconds=1) as platform, client_of(platform, tenant) as client:
        await client.create(effect="idempotent", permissions={})
        await client.create(**plan, capabilities={"tools": ["double"]})
        response = await client.respond()
        newer = {"kind": "python", "code": "def main(x):\n    return -x\n"}
        await client.post("/admin/v1/tools/double/versions", manifest(effect="idempotent", runtime=newer))
        after = await answered(client, response, said(requests_of(response)[0]))
        assert call_of(after)["output"] == "44"
        turn = await platform.turns.get(tenant.principal, after["id"])
        whole = Control(turn, await platform.turns.events(tenant.principal, turn.id))
        begun = next(recorded.seq for recorded in whole.events if isinstance(recorded.event, ToolDispatched))
        for copy in [await cut(database, whole, last) for last in range(begun, len(whole.events))]:
            await platform.turns.wait(tenant.principal, copy)
            assert call_of(await client.get(f"/v1/responses/{copy}"))["output"] == "44"


async def test_what_cannot_be_carried_out_any_more_is_void(stage: Stage, tenant: Tenant, database: Database) -> None:
    async with opened(stage, tenant) as (platform, client):
        other = await colleague(database, tenant)
        conversation = (await client.post("/v1/conversations"))["id"]
        async with client_of(platform, other) as leaver:
            await leaver.respond(conversation=conversation)
        await client.ask("DELETE", f"/admin/v1/keys/{other.principal.key_id}")
        [waiting] = (await client.get(APPROVALS))["data"]
        approved = await client.post(f"{APPROVALS}/{waiting['id']}/approve")
        assert (approved["status"], approved["next_response_id"]) == ("void", None)
        [voided] = [record for record in await audited(platform, tenant) if record["kind"] == "approval.voided"]
        assert (voided["object"], voided["details"]["code"]) == (waiting["response_id"], "key_revoked")


async def test_another_version_is_not_what_was_approved(stage: Stage, tenant: Tenant) -> None:
    async with opened(stage, tenant) as (platform, client):
        response = await client.respond()
        [asked] = requests_of(response)
        version = manifest_of(await client.get("/admin/v1/tools/double"), "def main(x):\n    return x * 200")
        await client.post("/admin/v1/tools/double/versions", version)
        assert (await client.refused(f"{APPROVALS}/{asked['id']}/approve", {}, status=409))[0] == "approval_void"
        body = {"input": [said(asked)], "previous_response_id": response["id"], "tools": [OFFERED]}
        assert (await client.refused("/v1/responses", body, status=409))[0] == "approval_void"
        assert await refusals(platform, tenant) == [(asked["id"], "approval_void")] * 2
        assert "tool.dispatched" not in await kinds_of_audit(platform, tenant)
        assert call_of(await answered(client, response, said(asked, False)))["status"] == "failed"


async def test_another_version_is_not_what_was_approved_before_it_came(stage: Stage, tenant: Tenant) -> None:
    """Where the response goes on by itself, and where a client takes it up."""
    story = (calls("double", "triple"), {"when": {"after_tool": True}, "reply": {"text": "Done."}})
    async with opened(stage, tenant, *story) as (platform, client):
        await client.create(name="triple", code="def main(x):\n    return x * 3", approval="always")
        for in_conversation in (True, False):
            where = {"conversation": (await client.post("/v1/conversations"))["id"]} if in_conversation else {}
            response = await client.respond(**where)
            first, second = requests_of(response)
            await client.post(f"{APPROVALS}/{first['id']}/approve")
            newer = manifest_of(await client.get("/admin/v1/tools/double"), f"def main(x):\n    return x * 200 + {len(where)}")
            await client.post("/admin/v1/tools/double/versions", newer)
            if in_conversation:
                after_id = (await client.post(f"{APPROVALS}/{second['id']}/approve"))["next_response_id"]
                await platform.turns.wait(tenant.principal, after_id)
            else:
                after_id = (await answered(client, response, said(first), said(second)))["id"]
            after = await client.get(f"/v1/responses/{after_id}")
            one, two = [item for item in after["output"] if item["type"] == "mcp_call"]
            assert (one["status"], one["error"]["content"]) == ("failed", NOT_THE_SAME)
            assert two["output"] == "66"


def manifest_of(tool: Any, code: str) -> dict[str, Any]:
    return {**tool["manifest"], "runtime": {"kind": "python", "code": code}}


async def test_an_approval_expires(stage: Stage, tenant: Tenant, database: Database) -> None:
    async with opened(stage, tenant, approval={"expires_seconds": 60}) as (_, client):
        response = await client.respond()
        [asked] = requests_of(response)
        async with database.everyone() as connection:
            query = "UPDATE approvals SET expires_at = now() - interval '1 second' WHERE id = :id"
            await connection.execute(sa.text(query), {"id": asked["id"]})
        assert (await client.get(f"{APPROVALS}/{asked['id']}"))["status"] == "expired"
        assert [one["id"] for one in (await client.get(f"{APPROVALS}?status=expired"))["data"]] == [asked["id"]]
        assert (await client.refused(f"{APPROVALS}/{asked['id']}/approve", {}, status=409))[0] == "approval_expired"
        body = {"input": [said(asked)], "previous_response_id": response["id"], "tools": [OFFERED]}
        assert (await client.refused("/v1/responses", body, status=409))[0] == "approval_expired"
        assert len(requests_of(await answered(client, response, {"role": "user", "content": "well?"}))) == 1, "asked anew"


async def test_what_was_approved_and_not_carried_out_expires_too(stage: Stage, tenant: Tenant, database: Database) -> None:
    async with opened(stage, tenant, approval={"expires_seconds": 60}) as (_, client):
        response = await client.respond()
        [asked] = requests_of(response)
        await client.post(f"{APPROVALS}/{asked['id']}/approve")
        for hours, status in ((23, "approved"), (24, "expired")):
            async with database.everyone() as connection:
                query = "UPDATE approvals SET decided_at = now() - make_interval(hours => :hours) WHERE id = :id"
                await connection.execute(sa.text(query), {"id": asked["id"], "hours": hours})
            assert (await client.get(f"{APPROVALS}/{asked['id']}"))["status"] == status
        body = {"input": [said(asked)], "previous_response_id": response["id"], "tools": [OFFERED]}
        assert (await client.refused("/v1/responses", body, status=409))[0] == "approval_expired"
        assert len(requests_of(await answered(client, response, {"role": "user", "content": "well?"}))) == 1, "asked anew"


async def test_of_two_approvers_at_once_one_wins(stage: Stage, tenant: Tenant) -> None:
    async with opened(stage, tenant) as (platform, client):
        conversation = (await client.post("/v1/conversations"))["id"]
        await client.respond(conversation=conversation)
        [waiting] = (await client.get(APPROVALS))["data"]
        answers = await asyncio.gather(
            *(client.raw("POST", f"{APPROVALS}/{waiting['id']}/{verb}", {}) for verb in ("approve", "deny", "approve", "deny"))
        )
        assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
        kinds = await kinds_of_audit(platform, tenant)
        assert kinds.count("approval.approved") + kinds.count("approval.denied") == 1
        assert kinds.count("approval.refused") == 3


async def test_all_calls_that_wait_are_answered_together(stage: Stage, tenant: Tenant) -> None:
    story = (calls("double", "double", "triple"), {"when": {"after_tool": True}, "reply": {"text": "Done."}})
    async with opened(stage, tenant, *story) as (_, client):
        await client.create(name="triple", code="def main(x):\n    return x * 3")
        response = await client.respond()
        assert [item["type"] for item in response["output"]] == [
            "mcp_list_tools",
            "mcp_call",
            "mcp_approval_request",
            "mcp_approval_request",
        ], "what needs nobody runs at once"
        first, second = requests_of(response)
        body = {"input": [said(first)], "previous_response_id": response["id"], "tools": [OFFERED]}
        assert (await client.refused("/v1/responses", body))[0] == "approval_missing"
        after = await answered(client, response, said(second, False), said(first))
        made = {item["approval_request_id"]: item["status"] for item in after["output"] if item["type"] == "mcp_call"}
        assert made == {first["id"]: "completed", second["id"]: "failed"}


async def test_one_reply_asks_for_as_many_approvals_as_one_response_carries_out(stage: Stage, tenant: Tenant) -> None:
    story = (calls(*["double"] * (CALLS_AT_ONCE + 1)), {"when": {"after_tool": True}, "reply": {"text": "Done."}})
    async with opened(stage, tenant, *story) as (_, client):
        response = await client.respond()
        asked = requests_of(response)
        assert len(asked) == CALLS_AT_ONCE
        assert call_of(response)["error"]["content"] == TOO_MANY_CALLS
        after = await answered(client, response, *(said(one) for one in asked))
        assert {item["status"] for item in after["output"]} == {"completed"}


async def test_what_humans_have_allowed_is_no_loop_of_the_model(stage: Stage, tenant: Tenant) -> None:
    story = (calls("double", "double", "double"), {"when": {"after_tool": True}, "reply": {"text": "Done."}})
    async with opened(stage, tenant, *story) as (_, client):
        response = await client.respond()
        asked = requests_of(response)
        for one in asked:
            await client.post(f"{APPROVALS}/{one['id']}/approve", {"arguments": {"x": 5}})
        after = await answered(client, response, *(said(one) for one in asked))
        assert [item.get("output") for item in after["output"]] == ["10", "10", "10", None]
        assert (after["status"], text_of(after)) == ("completed", "Done.")


async def test_what_was_approved_runs_where_the_request_that_takes_it_up_wants_no_calls(stage: Stage, tenant: Tenant) -> None:
    async with opened(stage, tenant) as (_, client):
        response = await client.respond()
        after = await answered(client, response, said(requests_of(response)[0]), tool_choice="none")
        assert call_of(after)["output"] == "42"


async def test_a_fork_between_two_requests_answers_those_that_are_in_it(stage: Stage, tenant: Tenant) -> None:
    story = (calls("double", "triple"), {"when": {"after_tool": True}, "reply": {"text": "Done."}})
    async with opened(stage, tenant, *story) as (_, client):
        await client.create(name="triple", code="def main(x):\n    return x * 3", approval="always")
        whole = (await client.post("/v1/conversations"))["id"]
        first, second = requests_of(await client.respond(conversation=whole))
        fork = (await client.post(f"/v1/conversations/{whole}/fork", {"item_id": first["id"]}))["id"]
        body = {"conversation": fork, "input": [said(first), said(second)], "tools": [OFFERED]}
        assert (await client.refused("/v1/responses", body))[0] == "approval_not_here"
        after = await client.respond(conversation=fork, input=[said(first)])
        made = [(item["approval_request_id"], item["status"]) for item in after["output"] if item["type"] == "mcp_call"]
        assert made == [(first["id"], "completed")], "the fork knows of no other"
        assert (await client.get(f"{APPROVALS}/{second['id']}"))["status"] == "void"
        code = (await client.refused(f"{APPROVALS}/{second['id']}/approve", {}, status=409))[0]
        assert code == "approval_used", "what was asked together is carried out once, in the one conversation or the other"


@pytest.mark.parametrize(
    ("policy", "wanted", "waits"),
    [
        ("never", "always", True),
        ("never", "never", False),
        ("never", None, False),
        ("always", "never", True),
        ("never", {"always": {"tool_names": ["double"]}}, True),
        ("never", {"never": {"tool_names": ["double"]}}, False),
        ("never", {"never": {"tool_names": ["triple"]}}, True),
        ("always", {"never": {"tool_names": ["double"]}}, True),
    ],
)
async def test_a_request_may_ask_for_more_and_never_for_less_than_the_tool(
    stage: Stage, tenant: Tenant, policy: str, wanted: Any, waits: bool
) -> None:
    async with opened(stage, tenant, approval=policy) as (_, client):
        response = await client.respond(tools=[{**OFFERED, "require_approval": wanted}])
        assert bool(requests_of(response)) == waits


async def test_a_call_that_is_not_valid_is_told_to_the_model_and_to_no_human(stage: Stage, tenant: Tenant) -> None:
    wrong = {"when": {"tool_results": 0}, "reply": {"tool_calls": [{"name": "double", "arguments": {"x": "many"}}]}}
    async with opened(stage, tenant, wrong, ANSWER) as (_, client):
        response = await client.respond()
        call = call_of(response)
        assert call["status"] == "failed"
        assert "do not fit the schema" in call["error"]["content"]
        assert (await client.get(APPROVALS))["data"] == []
        assert await client.get(f"/v1/responses/{response['id']}") == response


async def test_what_cannot_wait_is_refused(stage: Stage, tenant: Tenant) -> None:
    async with opened(stage, tenant) as (_, client):
        call = call_of(await client.respond(store=False))
        assert call["status"] == "failed"
        assert "cannot wait" in call["error"]["content"]


async def test_what_a_stranger_or_a_clumsy_client_sends_approves_nothing(
    stage: Stage, tenant: Tenant, other_tenant: Tenant
) -> None:
    async with opened(stage, tenant) as (platform, client):
        response = await client.respond()
        [asked] = requests_of(response)
        here = {"previous_response_id": response["id"], "tools": [OFFERED]}
        elsewhere = await client.respond(tools=[])
        for body, status, code in (
            ({**here, "input": [{**said(asked), "approval_request_id": "mcpr_unknown"}]}, 404, "approval_not_found"),
            ({**here, "input": [said(asked), said(asked, False)]}, 400, "invalid_value"),
            ({**here, "input": [said(asked)], "tools": []}, 400, "approval_tool_missing"),
            ({**here, "input": [said(asked)], "previous_response_id": elsewhere["id"]}, 400, "approval_not_here"),
            ({**here, "input": [said(asked)], "previous_response_id": None}, 400, "approval_not_here"),
            ({**here, "input": [{**said(asked), "approve": "yes"}]}, 400, "invalid_type"),
            ({**here, "input": [{**said(asked), "arguments": "{}"}]}, 400, "unknown_parameter"),
        ):
            assert (await client.refused("/v1/responses", body, status=status))[0] == code
        told = ("approval_tool_missing", "approval_not_here", "approval_not_here")
        assert await refusals(platform, tenant) == [(asked["id"], code) for code in told]
        async with client_of(platform, other_tenant) as stranger:
            assert (await stranger.get(APPROVALS))["data"] == []
            for path, method in ((asked["id"], "GET"), (f"{asked['id']}/approve", "POST"), (f"{asked['id']}/deny", "POST")):
                code, _, _ = await stranger.refused(f"{APPROVALS}/{path}", {}, method=method, status=404)
                assert code == "approval_not_found"
            code, _, _ = await stranger.refused("/v1/responses", {"input": [said(asked)]}, status=404)
            assert code == "approval_not_found"
        for reason, code in (("a\x00b", "invalid_text"), ("x" * 2_001, "invalid_value"), (4, "invalid_type")):
            assert (await client.refused(f"{APPROVALS}/{asked['id']}/deny", {"reason": reason}))[0] == code
            body = {**here, "input": [said(asked, False, reason=reason)]}
            assert (await client.refused("/v1/responses", body))[0] == code
        for query in ("?limit=0", "?status=open", "?after=mcpr_x", "?after=%00"):
            await client.get(APPROVALS + query, status=400)
        assert (await client.get(f"{APPROVALS}/{asked['id']}"))["status"] == "pending"


async def test_the_approvals_of_a_deleted_response_are_void_and_their_text_is_gone(stage: Stage, tenant: Tenant) -> None:
    async with opened(stage, tenant) as (_, client):
        response = await client.respond()
        [asked] = requests_of(response)
        await client.ask("DELETE", f"/v1/responses/{response['id']}")
        gone = await client.get(f"{APPROVALS}/{asked['id']}")
        assert (gone["status"], gone["arguments"]) == ("void", {})
        assert (await client.refused(f"{APPROVALS}/{asked['id']}/approve", {}, status=409))[0] == "approval_void"


async def test_what_was_asked_for_after_the_conversation_was_deleted_goes_with_its_stream(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    asks = calls("double")
    slow = {**asks, "reply": {"pause_seconds": 2, **asks["reply"]}}  # deleted after that, it is deleted all the same
    async with opened(stage, tenant, slow) as (_, client):
        conversation = (await client.post("/v1/conversations"))["id"]
        response = await client.respond(conversation=conversation, background=True)
        address = f"/v1/responses/{response['id']}"
        async with asyncio.timeout(60):
            while (response := await client.get(address))["status"] == "queued":
                await asyncio.sleep(0.05)
            await client.ask("DELETE", f"/v1/conversations/{conversation}")
            while (response := await client.get(address))["status"] == "in_progress":
                await asyncio.sleep(0.1)
        [asked] = requests_of(response)
        await StreamRetention(StreamStore(database), TurnStore(database), days=None).run()
        gone = await client.get(f"{APPROVALS}/{asked['id']}")
        assert (gone["status"], gone["arguments"]) == ("void", {})
        async with database.everyone() as connection:
            kept = await connection.scalar(sa.select(sa.func.count()).where(items.c.conversation_id == conversation))
        assert kept == 0


async def test_who_decides_while_the_response_is_deleted_does_not_bring_its_text_back(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    who, store = tenant.principal, ApprovalStore(database)
    async with opened(stage, tenant) as (_, client):
        response = await client.respond()
        asked = await store.get(who.organization_id, requests_of(response)[0]["id"])
        await client.ask("DELETE", f"/v1/responses/{response['id']}")
        record = AuditRecord.by(who, "approval.approved", asked.id)
        decision = Decision(
            approval=asked,
            status=ApprovalStatus.APPROVED,
            arguments=asked.arguments,
            digest=asked.digest,
            reason="because",
            record=record,
        )
        assert await store.decide(who.organization_id, [decision]) == asked
        gone = await client.get(f"{APPROVALS}/{asked.id}")
        assert (gone["status"], gone["arguments"], gone["reason"]) == ("void", {}, None)


async def test_a_client_that_keeps_the_history_itself_gives_the_request_back_with_its_answer(
    stage: Stage, tenant: Tenant
) -> None:
    async with opened(stage, tenant) as (_, client):
        response = await client.respond()
        history: Sequence[Any] = [{"role": "user", "content": "go"}, *response["output"]]
        after = await client.respond(input=[*history, said(requests_of(response)[0])])
        assert call_of(after)["output"] == "42"
        history = [*history, said(requests_of(response)[0]), *after["output"], {"role": "user", "content": "and now?"}]
        assert len(requests_of(await client.respond(input=history))) == 1, "what was carried out is history"


async def test_what_was_decided_while_the_conversation_was_busy_goes_on_later(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    async with opened(stage, tenant) as (platform, client):
        conversation = (await client.post("/v1/conversations"))["id"]
        await client.respond(conversation=conversation)
        [waiting] = (await client.get(APPROVALS))["data"]
        async with database.everyone() as connection:  # as the decision leaves it when its process dies right after
            query = "UPDATE approvals SET status = 'approved', decided_at = now() WHERE id = :id"
            await connection.execute(sa.text(query), {"id": waiting["id"]})
        async with asyncio.timeout(30):
            while (after := (await client.get(f"{APPROVALS}/{waiting['id']}"))["next_response_id"]) is None:
                await asyncio.sleep(0.1)
            await platform.turns.wait(tenant.principal, after)
        assert text_of(await client.get(f"/v1/responses/{after}")) == "It is 42."


@pytest.mark.parametrize("unknown", ["its model", "its request"])
async def test_what_was_approved_at_a_server_that_does_not_know_the_turns_model_yet_waits_for_one_that_does(
    stage: Stage, tenant: Tenant, monkeypatch: pytest.MonkeyPatch, unknown: str
) -> None:
    """Nor how a newer release keeps a request."""

    def no_model(*_: object) -> NoReturn:
        raise NotFound("unknown model", code="model_not_found")

    def no_request(*_: object) -> NoReturn:
        raise ValueError

    async with opened(stage, tenant) as (platform, client), asyncio.timeout(30):
        await client.respond(conversation=(await client.post("/v1/conversations"))["id"])
        [waiting] = (await client.get(APPROVALS))["data"]
        with monkeypatch.context() as patched:
            if unknown == "its model":
                patched.setattr(ModelRouter, "get", no_model)
            else:
                patched.setattr(continuing, "recall", no_request)
            approved = await client.post(f"{APPROVALS}/{waiting['id']}/approve")
            assert (approved["status"], approved["next_response_id"]) == ("approved", None)
        while (after := (await client.get(f"{APPROVALS}/{waiting['id']}"))["next_response_id"]) is None:
            await platform.continuing.begin_due(days=1)
        await platform.turns.wait(tenant.principal, after)
        assert text_of(await client.get(f"/v1/responses/{after}")) == "It is 42."


async def test_what_was_approved_days_ago_goes_on_for_as_long_as_it_is_good(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    async with opened(stage, tenant, approval={"expires_seconds": 10 * DAY_SECONDS}) as (_, client):
        response = await client.respond(conversation=(await client.post("/v1/conversations"))["id"])
    [asked] = requests_of(response)
    for days, due in ((9, [response["id"]]), (11, [])):
        async with database.everyone() as connection:
            query = "UPDATE approvals SET status = 'approved', decided_at = now() - make_interval(days => :days) WHERE id = :id"
            await connection.execute(sa.text(query), {"id": asked["id"], "days": days})
        found = await ApprovalStore(database).due(turn_id=response["id"], limit=1)
        assert [one.turn_id for one in found] == due


async def test_an_approval_waits_for_its_siblings_and_is_good_from_then(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    story = (calls("double", "triple"), {"when": {"after_tool": True}, "reply": {"text": "Done."}})
    async with opened(stage, tenant, *story, approval={"expires_seconds": 60}) as (_, client):
        month = {"expires_seconds": 30 * DAY_SECONDS}
        await client.create(name="triple", code="def main(x):\n    return x * 3", approval=month)
        response = await client.respond(conversation=(await client.post("/v1/conversations"))["id"])
    first, second = requests_of(response)
    store, home = ApprovalStore(database), tenant.principal.organization_id
    for hours, status, due in ((-1, "approved", []), (25, "expired", []), (1, "approved", [response["id"]])):
        async with database.everyone() as connection:
            decided = "UPDATE approvals SET status = 'approved', decided_at = now() - interval '20 days' WHERE id = :id"
            await connection.execute(sa.text(decided), {"id": first["id"]})
            expired = "UPDATE approvals SET expires_at = now() - make_interval(hours => :hours) WHERE id = :id"
            await connection.execute(sa.text(expired), {"id": second["id"], "hours": hours})
        assert [one.turn_id for one in await store.due(turn_id=response["id"], limit=1)] == due
        assert (await store.get(home, first["id"])).status == status
    async with stage.open_with(*story) as platform, client_of(platform, tenant) as client:
        async with asyncio.timeout(30):
            while (after := (await client.get(f"{APPROVALS}/{first['id']}"))["next_response_id"]) is None:
                await asyncio.sleep(0.1)
            await platform.turns.wait(tenant.principal, after)
        made = [item["status"] for item in (await client.get(f"/v1/responses/{after}"))["output"] if item["type"] == "mcp_call"]
        assert made == ["completed", "failed"]


async def test_what_cannot_go_on_yet_keeps_no_other_waiting(stage: Stage, tenant: Tenant, database: Database) -> None:
    async with opened(stage, tenant) as (_, client):
        response = await client.respond(conversation=(await client.post("/v1/conversations"))["id"])
    copies = """
        INSERT INTO turns SELECT (jsonb_populate_record(t, jsonb_build_object('id', t.id || n))).*
            FROM turns t, generate_series(1, 20) n WHERE t.id = :id;
        INSERT INTO approvals SELECT (jsonb_populate_record(
            a, jsonb_build_object('id', a.id || n, 'turn_id', a.turn_id || n, 'status', 'approved', 'decided_at', now())
        )).* FROM approvals a, generate_series(1, 20) n WHERE a.turn_id = :id
    """
    async with database.everyone() as connection:
        for copy in copies.split(";"):
            await connection.execute(sa.text(copy), {"id": response["id"]})
    found = [due.turn_id for _ in range(50) for due in await ApprovalStore(database).due(turn_id=None, limit=1)]
    async with database.everyone() as connection:  # no other test's server goes on with them
        await connection.execute(
            sa.text("UPDATE approvals SET status = 'void' WHERE turn_id LIKE :ids"), {"ids": f"{response['id']}%"}
        )
    assert len(set(found)) > 1, "each has a chance each time"


@pytest.mark.parametrize(
    "wanted",
    ["always", {"always": {"tool_names": ["double"]}}, {"never": {"tool_names": ["triple"]}}, {"never": {"tool_names": []}}],
)
async def test_an_assistant_asks_as_it_says(stage: Stage, tenant: Tenant, wanted: Any) -> None:
    async with opened(stage, tenant, approval="never") as (_, client):
        tools = [{**OFFERED, "allowed_tools": ["double"], "require_approval": wanted}]
        made = await client.post("/admin/v1/assistants", {"name": "careful", "model": "scripted", "tools": tools})
        again = {"name": "again", "model": "scripted", "tools": made["tools"]}
        assert (await client.post("/admin/v1/assistants", again))["tools"] == made["tools"]
        for name in ("careful", "again"):
            assert len(requests_of(await client.respond(model=name, tools=[]))) == 1
        message = {"role": "user", "content": "go"}
        chat = await client.post("/v1/chat/completions", {"model": "careful", "messages": [message]})
        assert "cannot wait" in chat["choices"][0]["message"]["content"]


ADD_APPROVED = sa.text("""
    INSERT INTO approvals (id, organization_id, turn_id, conversation_id, user_id, key_id, tool, version_digest, arguments,
        digest, four_eyes, expires_seconds, status, decided_at, expires_at)
    SELECT 'mcpr_' || :who || n, :who, 'resp_' || n, 'conv_' || n, 'u', 'k', 't', 'd', '{}', 'g', false, 60, 'approved',
        now(), now()
    FROM generate_series(1, 100) n
""")


async def test_what_the_approvals_of_one_kind_or_conversation_are_looked_for_among(
    tenant: Tenant, database: Database, postgres: EmbeddedPostgres
) -> None:
    who, asked = tenant.principal.organization_id, list[Any]()
    async with database.everyone() as connection:
        await connection.execute(ADD_APPROVED, {"who": who})
        await connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
        explain = sa.text("EXPLAIN " + conversations._VOID_APPROVALS.text)
        plan = await connection.execute(explain, {"ids": ["x"], "organization_id": who})
        assert "Index Scan using approvals_of_conversation on approvals" in "".join(plan.scalars())
    sa.event.listen(database.app.sync_engine, "before_cursor_execute", lambda *event: asked.append(event[2:4]))
    page = await ApprovalStore(database).page(who, ApprovalStatus.DENIED, after=None, limit=20, descending=True)
    assert page.rows == []
    statement, values = asked[-1]
    owner = await asyncpg.connect(postgres.owner_url, server_settings={"search_path": "paddock"})
    [told] = json.loads(await owner.fetchval("EXPLAIN (ANALYZE, FORMAT JSON) " + statement, *values))
    await owner.close()
    found = [node["Actual Rows"] for node in nodes(told["Plan"]) if node.get("Relation Name") == "approvals"]
    assert sum(found) == 0
