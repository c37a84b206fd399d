"""Turns in the background: accepted now, taken by any server that has room, fairly, and followed or ended from anywhere."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from api.app import create_app
from core.bootstrap import Platform
from core.conversations.request import Queue
from core.errors import Conflict, InvalidRequest, RateLimited
from core.events import Recorded, TurnEnded, TurnStarted, TurnStatus
from core.storage import wakeups
from core.storage.connection import LOST
from core.storage.database import Database
from core.storage.journal import LOCK_QUEUE, SESSION, Entry, open_journal
from core.storage.tables import audit_records, turns
from core.storage.turns import TurnStore
from core.storage.wakeups import open_wakeups
from tests.integration.conftest import Stage, Tenant
from tests.integration.test_journal import a_turn, opened
from tests.integration.test_turns import asking, text

ECHO = {"reply": {"text": "You said: {last_user_text}"}}
SLOW = {"when": {"contains": "slow"}, "pace_seconds": 0.05, "piece_characters": 1, "reply": {"text": "slow " * 200}}
BRIEF = {"pace_seconds": 0.02, "piece_characters": 1, "reply": {"text": "slow " * 4}}
NOBODY: Mapping[str, float] = {"background_turns": 0}
PATIENCE_SECONDS = 60


@asynccontextmanager
async def client(platform: Platform, tenant: Tenant) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {tenant.secret}"}
    transport = httpx.ASGITransport(create_app(platform), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://paddock", headers=headers, timeout=60) as opened:
        yield opened


@asynccontextmanager
async def two(
    stage: Stage, first: Mapping[str, float], second: Mapping[str, float]
) -> AsyncIterator[tuple[Platform, Platform]]:
    """Two servers on the same stores."""
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(stage.open_with(SLOW, ECHO, **first))
        yield one, await stack.enter_async_context(stage.open_with(SLOW, ECHO, **second))


async def ended(http: httpx.AsyncClient, response_id: str) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            body: dict[str, Any] = (await http.get(f"/v1/responses/{response_id}")).json()
            if body["status"] not in ("queued", "in_progress"):
                return body
            await asyncio.sleep(0.05)


async def test_a_response_in_the_background_is_queued_at_once_and_polled_until_it_is_there(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    async with stage.open_with(ECHO) as platform, client(platform, tenant) as http:
        made = (await http.post("/v1/responses", json={"input": "hi", "background": True})).json()
        assert (made["status"], made["background"], made["output"]) == ("queued", True, [])
        done = await ended(http, made["id"])
        assert (done["status"], done["background"]) == ("completed", True)
        assert done["output"][0]["content"][0]["text"] == "You said: hi"
        async with database.tenant(tenant.principal.organization_id) as connection:
            query = sa.select(audit_records.c.kind).where(audit_records.c.object == made["id"]).order_by(audit_records.c.id)
            kinds = (await connection.execute(query)).scalars().all()
        assert kinds[0] == "turn.queued"
        assert {"turn.started", "turn.ended"} <= set(kinds)


async def test_its_stream_tells_the_wait_too_and_is_the_same_for_whoever_comes_later(stage: Stage, tenant: Tenant) -> None:
    async with two(stage, NOBODY, {}) as (gateway, runner), client(gateway, tenant) as http, client(runner, tenant) as other:
        live = await http.post("/v1/responses", json={"input": "hi", "background": True, "stream": True})
        names = [line.removeprefix("event: ") for line in live.text.splitlines() if line.startswith("event: ")]
        assert names[:3] == ["response.created", "response.queued", "response.in_progress"]
        assert names[-1] == "response.completed"
        turn_id = live.headers["x-paddock-turn-id"]
        again = await other.get(f"/v1/responses/{turn_id}", params={"stream": "true"})
        assert again.content == live.content
        rest = await other.get(f"/v1/responses/{turn_id}", params={"stream": "true", "starting_after": "1"})
        assert live.content.endswith(rest.content)
        assert b"response.queued" not in rest.content


async def test_a_browser_that_comes_back_to_the_address_of_a_resumed_stream_goes_on_where_it_was(
    stage: Stage, tenant: Tenant
) -> None:
    """Its EventSource knows one address, and tells in a header what it has seen since."""
    async with stage.open_with(ECHO) as platform, client(platform, tenant) as http:
        made = (await http.post("/v1/responses", json={"input": "hi"})).json()
        address, whole = f"/v1/responses/{made['id']}", {"stream": "true", "starting_after": "-1"}
        every = (await http.get(address, params=whole)).text.split("\n\n")
        for after, seen in ((1, 4), (4, 1), (-1, 0)):
            asked = {"stream": "true", "starting_after": str(after)}
            rest = await http.get(address, params=asked, headers={"last-event-id": str(seen)})
            assert rest.text.split("\n\n") == every[max(after, seen) + 1 :]
        odd = await http.get(address, params=whole, headers={"last-event-id": "-1"})
        assert (odd.status_code, odd.json()["error"]["param"]) == (400, "last-event-id")


async def test_no_redis_no_matter(stage: Stage, tenant: Tenant) -> None:
    """A hint that never comes is replaced by a look now and then."""
    async with two(stage, NOBODY, {}) as (gateway, _), asyncio.timeout(PATIENCE_SECONDS):
        gateway.wakeups.publish = lambda _ids: None  # type: ignore[method-assign]
        turn = await gateway.turns.start(tenant.principal, asking("hi", queue=Queue.BACKGROUND))
        assert (await gateway.turns.wait(tenant.principal, turn.id)).status is TurnStatus.COMPLETED


async def test_an_end_that_comes_while_another_server_looks_for_it_is_told_at_once(
    stage: Stage, tenant: Tenant, database: Database, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends, read = [TurnEnded(status=TurnStatus.COMPLETED)], TurnStore.events

    async def events(store: TurnStore, who: str, turn_id: str, *, after: int) -> Sequence[Recorded]:
        found = await read(store, who, turn_id, after=after)
        if turn_id == turn.id and not found and ends:
            hint = asyncio.create_task(gateway.wakeups.wait(turn.id))
            await writer.record(Entry(event=ends.pop()))
            await hint
        return found

    monkeypatch.setattr(TurnStore, "events", events)
    monkeypatch.setattr(wakeups, "POLL_SECONDS", 60.0)
    async with (
        asyncio.timeout(PATIENCE_SECONDS / 2),
        stage.open_with(ECHO) as gateway,
        open_wakeups(redis_url) as hints,
        open_journal(database, on_commit=hints.publish) as journal,
    ):
        turn = a_turn(tenant)
        subscribed = asyncio.create_task(gateway.wakeups.wait("resp_x"))
        while not subscribed.done():
            hints.publish(["resp_x"])
            await asyncio.sleep(0.01)
        writer, _ = opened(journal, turn)
        await writer.record(Entry(event=TurnStarted()))
        await asyncio.sleep(0.3)  # for its hint to be past
        assert (await gateway.turns.wait(tenant.principal, turn.id)).status is TurnStatus.COMPLETED


async def test_what_waits_is_cancelled_at_once_though_no_server_has_room(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(ECHO, **NOBODY) as platform, client(platform, tenant) as http:
        made = (await http.post("/v1/responses", json={"input": "hi", "background": True})).json()
        cancelled = await http.post(f"/v1/responses/{made['id']}/cancel")
        assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
        assert (await http.post(f"/v1/responses/{made['id']}/cancel")).json() == cancelled.json()


async def test_what_runs_is_cancelled_from_another_server(stage: Stage, tenant: Tenant) -> None:
    async with two(stage, NOBODY, {}) as (gateway, runner), client(gateway, tenant) as http:
        made = (await http.post("/v1/responses", json={"input": "slow", "background": True})).json()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not runner.turns.running:
                await asyncio.sleep(0.02)
            assert (await http.post(f"/v1/responses/{made['id']}/cancel")).json()["status"] == "cancelled"
            while runner.turns.running:
                await asyncio.sleep(0.02)


async def test_a_response_that_is_not_in_the_background_cannot_be_cancelled_nor_one_in_it_unstored(
    stage: Stage, tenant: Tenant, other_tenant: Tenant
) -> None:
    async with stage.open_with(ECHO) as platform, client(platform, tenant) as http, client(platform, other_tenant) as foreign:
        made = (await http.post("/v1/responses", json={"input": "hi"})).json()
        refused = await http.post(f"/v1/responses/{made['id']}/cancel")
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "response_not_background")
        unstored = await http.post("/v1/responses", json={"input": "hi", "background": True, "store": False})
        assert (unstored.status_code, unstored.json()["error"]["param"]) == (400, "store")
        queued = (await http.post("/v1/responses", json={"input": "hi", "background": True})).json()
        assert (await foreign.post(f"/v1/responses/{queued['id']}/cancel")).status_code == 404


async def test_a_full_queue_says_when_to_come_again(stage: Stage, tenant: Tenant, other_tenant: Tenant) -> None:
    async with stage.open_with(ECHO, **NOBODY, queued_turns_of_organization=2) as platform, client(platform, tenant) as http:
        answers = [await http.post("/v1/responses", json={"input": "hi", "background": True}) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[-1].json()["error"]["code"] == "queue_full"
        assert int(answers[-1].headers["retry-after"]) > 0
        await platform.turns.start(other_tenant.principal, asking("hi", queue=Queue.BACKGROUND))  # others have room
    async with stage.open_with(ECHO, **NOBODY, queued_turns=3) as platform:
        with pytest.raises(RateLimited):
            await platform.turns.start(other_tenant.principal, asking("hi", queue=Queue.BACKGROUND))


async def test_of_many_that_come_at_the_same_moment_to_several_servers_no_more_wait_than_may(
    stage: Stage, tenant: Tenant, other_tenant: Tenant
) -> None:
    one, two = (stage.open_with(ECHO, **NOBODY, queued_turns_of_organization=5) for _ in range(2))
    async with one as first, two as second:

        async def ask(platform: Platform, caller: Tenant) -> str:
            try:
                await platform.turns.start(caller.principal, asking("hi", queue=Queue.BACKGROUND))
            except RateLimited as exc:
                return exc.code
            return "accepted"

        callers = [(platform, caller) for platform in (first, second) for caller in (tenant, other_tenant) for _ in range(10)]
        answers = await asyncio.gather(*(ask(*caller) for caller in callers))
        for caller in (tenant, other_tenant):
            its = [answer for answer, (_, asker) in zip(answers, callers, strict=True) if asker is caller]
            assert sorted(its) == ["accepted"] * 5 + ["queue_full"] * 15


async def test_a_server_that_freezes_while_it_counts_the_queue_keeps_others_waiting_for_seconds_alone(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    frozen = await database.connect(SESSION)
    await frozen.execute(LOCK_QUEUE)
    async with stage.open_with(ECHO) as platform, asyncio.timeout(PATIENCE_SECONDS):
        turn = await platform.turns.start(tenant.principal, asking("hi", queue=Queue.BACKGROUND))
        assert (await platform.turns.wait(tenant.principal, turn.id)).status is TurnStatus.COMPLETED
    with pytest.raises(LOST):
        await frozen.execute("COMMIT")


async def test_batches_leave_room_in_the_queue_for_who_asks_now(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(ECHO, **NOBODY, queued_turns_of_organization=2) as platform:
        await platform.turns.start(tenant.principal, asking("hi", queue=Queue.BATCH))
        with pytest.raises(RateLimited):
            await platform.turns.start(tenant.principal, asking("hi", queue=Queue.BATCH))
        await platform.turns.start(tenant.principal, asking("hi", queue=Queue.BACKGROUND))


async def test_who_queues_much_does_not_keep_others_waiting_and_a_batch_comes_last(
    stage: Stage, tenant: Tenant, other_tenant: Tenant, database: Database
) -> None:
    async with stage.open_with(ECHO, **NOBODY) as platform:
        batch = await platform.turns.start(tenant.principal, asking("batch", queue=Queue.BATCH))
        many = [await platform.turns.start(tenant.principal, asking(f"{n}", queue=Queue.BACKGROUND)) for n in range(4)]
        one = await platform.turns.start(other_tenant.principal, asking("one", queue=Queue.BACKGROUND))
    async with stage.open_with(ECHO, background_turns=1) as platform, asyncio.timeout(PATIENCE_SECONDS):
        for turn, caller in ((batch, tenant), (one, other_tenant)):
            await platform.turns.wait(caller.principal, turn.id)
    async with database.everyone() as connection:
        query = sa.select(turns.c.id).where(turns.c.id.in_([turn.id for turn in (batch, *many, one)]))
        order = (await connection.execute(query.order_by(turns.c.started_at))).scalars().all()
    assert order[0] == many[0].id
    assert order.index(one.id) <= 2
    assert order[-1] == batch.id


async def test_a_queued_turn_holds_its_conversation_and_is_no_previous_response_yet(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(ECHO, **NOBODY) as platform:
        conversation = await platform.conversations.create(tenant.principal.organization_id, metadata={}, items=[])
        queued = asking("hi", queue=Queue.BACKGROUND, conversation_id=conversation.id)
        turn = await platform.turns.start(tenant.principal, queued)
        with pytest.raises(Conflict):
            await platform.turns.start(tenant.principal, asking("me too", conversation_id=conversation.id))
        with pytest.raises(InvalidRequest):
            await platform.turns.start(tenant.principal, asking("and then?", previous_turn_id=turn.id))
        with pytest.raises(Conflict):
            await platform.turns.delete(tenant.principal, turn.id)


async def test_a_turn_whose_runner_died_before_it_began_is_begun_by_another(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    async with stage.open_with(ECHO, **NOBODY) as platform:
        turn = await platform.turns.start(tenant.principal, asking("hi", queue=Queue.BACKGROUND))
        await lose(database, turn.id)
    async with stage.open_with(ECHO) as platform, asyncio.timeout(PATIENCE_SECONDS):
        assert (await platform.turns.wait(tenant.principal, turn.id)).status is TurnStatus.COMPLETED
        assert text(await platform.turns.events(tenant.principal, turn.id)) == "You said: hi"


async def lose(database: Database, *turn_ids: str) -> None:
    """As a process leaves turns that it has taken, and nothing more, when it dies."""
    taken = {"status": "running", "lease_owner": "gone", "lease_epoch": 2, "started_at": sa.func.now()}
    expired = {"lease_expires_at": sa.text("'-infinity'")}
    async with database.everyone() as connection:
        await connection.execute(sa.update(turns).where(turns.c.id.in_(turn_ids)).values(**taken, **expired))


async def test_what_dead_processes_left_counts_beside_what_is_new(stage: Stage, tenant: Tenant, database: Database) -> None:
    async with stage.open_with(BRIEF, **NOBODY) as platform:
        asked = [await platform.turns.start(tenant.principal, asking(f"{n}", queue=Queue.BACKGROUND)) for n in range(6)]
    await lose(database, *(turn.id for turn in asked[:4]))
    async with stage.open_with(BRIEF, background_turns=2) as platform, asyncio.timeout(PATIENCE_SECONDS):
        at_once = [0]
        while not all([(await platform.turns.get(tenant.principal, turn.id)).status.ended for turn in asked]):
            at_once.append(sum(running.turn.queue is not None for running in platform.turns.running.values()))
        assert max(at_once) == 2


async def test_what_a_dead_process_left_is_cancelled_though_no_server_has_room(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    async with stage.open_with(ECHO, **NOBODY) as platform, client(platform, tenant) as http, asyncio.timeout(PATIENCE_SECONDS):
        turn = await platform.turns.start(tenant.principal, asking("hi", queue=Queue.BACKGROUND))
        await lose(database, turn.id)
        assert (await http.post(f"/v1/responses/{turn.id}/cancel")).json()["status"] == "cancelled"


async def test_a_background_turn_whose_key_is_revoked_while_it_waits_asks_no_model(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    async with stage.open_with(ECHO, **NOBODY) as platform:
        turn = await platform.turns.start(tenant.principal, asking("hi", queue=Queue.BACKGROUND))
        await platform.keys.revoke(tenant.principal, tenant.principal.key_id)
    async with stage.open_with(ECHO) as platform, asyncio.timeout(PATIENCE_SECONDS):
        ended = await platform.turns.wait(tenant.principal, turn.id)
        assert (ended.status, ended.reason) == (TurnStatus.FAILED, "key_revoked")
        assert text(await platform.turns.events(tenant.principal, turn.id)) == ""
