"""A call of a model that came to no whole reply is in the books and in the audit log, once, wherever its turn ends."""

import asyncio
from contextlib import aclosing
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from api.app import create_app
from core.bootstrap import Platform
from core.conversations.request import Queue
from core.conversations.running import StopReason
from core.events import Replied, ReplyCut, TextDelta, TurnDeferred, TurnEnded, TurnStatus
from core.llm.contract import Sampling
from core.messages import Usage
from core.storage.database import Database
from core.storage.records import Turn
from tests.integration.conftest import Stage, Tenant
from tests.integration.test_tool_registry import audited
from tests.integration.test_trying_again import HALF, SOON, WHOLE
from tests.integration.test_turns import HELLO, SLOW, asking, end, read

PATIENCE_SECONDS = 30
FENCED = "lease_epoch = lease_epoch + 1"  # who had the turn writes no end of its own any more
LEASE_SECONDS = 300  # a third of it later a server looks for orphans again: one that has lost a turn here does not take it back


async def begun(platform: Platform, tenant: Tenant, **options: Any) -> Turn:
    """A turn whose model has said a little."""
    turn = await platform.turns.start(tenant.principal, asking("go", **options))
    async for recorded in platform.turns.follow(tenant.principal, turn.id):
        if isinstance(recorded.event, TextDelta):
            break
    return turn


async def tokens_told(platform: Platform, tenant: Tenant, kind: str) -> list[tuple[str, int, int]]:
    records = [record for record in await audited(platform, tenant) if record["kind"] == kind]
    return [(one["outcome"], one["details"]["input_tokens"], one["details"]["output_tokens"]) for one in records]


@pytest.mark.parametrize("reason", [StopReason.CANCELLED, StopReason.KEY_REVOKED])
async def test_a_turn_that_is_stopped_amid_its_reply_has_cost_what_was_said(
    stage: Stage, tenant: Tenant, reason: StopReason
) -> None:
    async with stage.open_with(SLOW) as platform, asyncio.timeout(PATIENCE_SECONDS):
        turn = await begun(platform, tenant)
        running = platform.turns.running[turn.id]
        running.stop(reason)
        usage = (await running.ended()).usage
        assert min(usage.input, usage.output) > 0
        assert end(await read(platform, tenant, turn.id)).usage == usage
        assert await tokens_told(platform, tenant, "model.failed") == [("failure", usage.input, usage.output)]
        assert await tokens_told(platform, tenant, "turn.ended") == [("failure", usage.input, usage.output)]
        assert await tokens_told(platform, tenant, "model.replied") == []


async def test_who_reads_and_hangs_up_is_in_the_report_and_in_the_month_as_the_limiter_has_it(
    stage: Stage, tenant: Tenant
) -> None:
    headers = {"authorization": f"Bearer {tenant.secret}"}
    async with stage.open_with(SLOW) as platform, asyncio.timeout(PATIENCE_SECONDS):
        transport = httpx.ASGITransport(create_app(platform))
        async with httpx.AsyncClient(transport=transport, base_url="http://paddock", headers=headers) as client:
            body = {"model": "scripted", "messages": [{"role": "user", "content": "go"}], "stream": True}
            asked = asyncio.create_task(client.post("/v1/chat/completions", json=body))
            while not any(len(running.feed.events) > 10 for running in platform.turns.running.values()):
                await asyncio.sleep(0.01)
            [running] = platform.turns.running.values()
            asked.cancel()
            await running.ended()
            [row] = (await client.get("/admin/v1/usage")).json()["data"]
            limits = (await client.get(f"/admin/v1/limits/{tenant.principal.organization_id}")).json()
        assert min(row["input_tokens"], row["output_tokens"]) > 0
        assert limits["used"]["tokens_this_month"] == row["input_tokens"] + row["output_tokens"]
        [told] = await tokens_told(platform, tenant, "model.failed")
        assert told == ("failure", row["input_tokens"], row["output_tokens"])


async def test_a_turn_that_is_out_of_time_has_cost_what_was_said(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(SLOW, turn_seconds=3) as platform, asyncio.timeout(PATIENCE_SECONDS):
        turn = await begun(platform, tenant)
        last = end(await read(platform, tenant, turn.id))
        assert (last.status, last.reason) == (TurnStatus.INCOMPLETE, "time_limit")
        assert last.usage.output > 0
        assert await tokens_told(platform, tenant, "model.failed") == [("failure", last.usage.input, last.usage.output)]


async def test_a_model_that_fails_amid_its_reply_has_cost_what_was_said_and_one_that_never_answers_nothing(
    stage: Stage, tenant: Tenant
) -> None:
    async with stage.open_with(HALF, {"reply": {"error": {"status": 400}}}) as platform, asyncio.timeout(PATIENCE_SECONDS):
        half = await platform.turns.start(tenant.principal, asking("go"))
        usage = end(await read(platform, tenant, half.id)).usage
        never = await platform.turns.start(tenant.principal, asking("say nothing"))
        assert end(await read(platform, tenant, never.id)).usage == Usage()
        assert min(usage.input, usage.output) > 0
        told = await tokens_told(platform, tenant, "model.failed")
        assert told == [("failure", usage.input, usage.output), ("failure", 0, 0)]


async def test_a_turn_that_is_tried_again_has_cost_each_try_once(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with({**HALF, "times": 2}, WHOLE, **SOON) as platform, asyncio.timeout(PATIENCE_SECONDS):
        turn = await platform.turns.start(tenant.principal, asking("go", queue=Queue.BACKGROUND))
        ended = await platform.turns.wait(tenant.principal, turn.id)
        events = [recorded.event for recorded in await platform.turns.events(tenant.principal, turn.id)]
        tries = [event.usage for event in events if isinstance(event, TurnDeferred)]
        [reply] = [event.usage for event in events if isinstance(event, Replied)]
        assert all(one.output > 0 for one in tries)
        assert ended.usage == tries[0] + tries[1] + reply
        told = await tokens_told(platform, tenant, "model.failed")
        assert told == [("failure", one.input, one.output) for one in tries]
        assert [event.usage for event in events if isinstance(event, ReplyCut)] == [None, None], "they were told before"


async def test_one_that_is_cancelled_while_it_waits_for_its_next_try_has_cost_the_first(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(HALF, background_retries=[3600]) as platform, asyncio.timeout(PATIENCE_SECONDS):
        turn = await platform.turns.start(tenant.principal, asking("go", queue=Queue.BACKGROUND))
        async with aclosing(platform.turns.follow(tenant.principal, turn.id)) as events:
            async for recorded in events:
                if isinstance(recorded.event, TurnDeferred):
                    spent = recorded.event.usage
                    break
        assert (await platform.turns.cancel(tenant.principal, turn.id)).usage == spent
        assert spent.output > 0
        assert len(await tokens_told(platform, tenant, "model.failed")) == 1


@pytest.mark.parametrize("leaves", ["in order", "killed"])
async def test_a_reply_that_another_process_begins_again_has_cost_what_both_said(
    stage: Stage, tenant: Tenant, database: Database, leaves: str
) -> None:
    """And takes nothing of the tokens that the client allows the answer."""
    async with stage.open_with(SLOW, lease_seconds=LEASE_SECONDS) as first, asyncio.timeout(PATIENCE_SECONDS):
        turn = await begun(first, tenant, sampling=Sampling(max_output_tokens=12))
        if leaves == "in order":
            await first.turns.stop()
        async with database.everyone() as connection:
            lost = "UPDATE turns SET lease_owner = 'gone', lease_expires_at = '-infinity'"
            await connection.execute(sa.text(f"{lost}, {FENCED} WHERE id = :id"), {"id": turn.id})
        async with stage.open_with(HELLO) as heir:
            ended = await heir.turns.wait(tenant.principal, turn.id)
            events = [recorded.event for recorded in await heir.turns.events(tenant.principal, turn.id)]
            [cut] = [event.usage for event in events if isinstance(event, ReplyCut)]
            [reply] = [event.usage for event in events if isinstance(event, Replied)]
            assert cut is not None
            assert min(cut.input, cut.output) > 0
            assert ended.status is TurnStatus.COMPLETED
            assert ended.usage == cut + reply
            assert await tokens_told(heir, tenant, "model.failed") == [("unknown", cut.input, cut.output)]
            assert len(await tokens_told(heir, tenant, "model.replied")) == 1


async def test_an_orphan_that_is_ended_amid_a_reply_has_a_record_of_that_call(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    async with stage.open_with(SLOW, lease_seconds=LEASE_SECONDS) as first, asyncio.timeout(PATIENCE_SECONDS):
        turn = await begun(first, tenant)
        async with database.everyone() as connection:
            lost = "UPDATE turns SET lease_owner = 'gone', lease_expires_at = '-infinity', cancel_requested_at = now()"
            await connection.execute(sa.text(f"{lost}, {FENCED} WHERE id = :id"), {"id": turn.id})
        async with stage.open_with(HELLO) as heir:
            assert (await heir.turns.wait(tenant.principal, turn.id)).status is TurnStatus.CANCELLED
            records = [one for one in await audited(heir, tenant) if one["kind"] in ("model.failed", "turn.ended")]
            assert [(one["kind"], one["outcome"]) for one in records] == [
                ("model.failed", "unknown"),
                ("turn.ended", "failure"),
            ]


async def test_the_end_of_a_whole_turn_tells_of_no_call_that_was_cut(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(HELLO) as platform:
        turn = await platform.turns.start(tenant.principal, asking("go"))
        events = await read(platform, tenant, turn.id)
        [reply] = [recorded.event for recorded in events if isinstance(recorded.event, Replied)]
        last = events[-1].event
        assert isinstance(last, TurnEnded)
        assert (last.usage, last.cut) == (reply.usage, None)
        assert await tokens_told(platform, tenant, "model.failed") == []
