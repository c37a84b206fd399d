"""What is sent twice with one Idempotency-Key is done once, whatever happens between."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from api.app import create_app
from core.bootstrap import Platform
from core.events import TurnStatus
from core.identity.seal import seal, unseal
from core.storage import idempotency
from core.storage.database import Database
from core.storage.tables import api_keys, files, idempotency_keys, turns
from tests.integration.conftest import Stage, Tenant

ECHO = {"reply": {"text": "You said: {last_user_text}"}}
SLOW = {"pace_seconds": 0.02, "piece_characters": 1, "reply": {"text": "slow " * 20}}
DOWN = {"reply": {"error": {"status": 500}}}
RESPONSES, CHAT = "/v1/responses", "/v1/chat/completions"


@asynccontextmanager
async def client(platform: Platform, tenant: Tenant) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {tenant.secret}"}
    transport = httpx.ASGITransport(create_app(platform), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://paddock", headers=headers, timeout=60) as opened:
        yield opened


def body_of(path: str, *, text: str = "hi", stream: bool = False, store: bool = True) -> dict[str, Any]:
    asked = {"input": text} if path == RESPONSES else {"messages": [{"role": "user", "content": text}]}
    return {**asked, "stream": stream, "store": store}


def key(name: str = "once") -> dict[str, str]:
    return {"idempotency-key": name}


async def count(database: Database, table: sa.Table, tenant: Tenant) -> int:
    async with database.tenant(tenant.principal.organization_id) as connection:
        return int((await connection.execute(sa.select(sa.func.count()).select_from(table))).scalar_one())


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("store", [False, True], ids=["unstored", "stored"])
@pytest.mark.parametrize("path", [RESPONSES, CHAT])
async def test_the_second_request_gets_the_bytes_of_the_first_and_begins_no_turn(
    stage: Stage, tenant: Tenant, database: Database, path: str, store: bool, stream: bool
) -> None:
    async with stage.open_with(ECHO) as platform, client(platform, tenant) as http:
        asked = body_of(path, stream=stream, store=store)
        first = await http.post(path, json=asked, headers=key())
        again = await http.post(path, json=asked, headers=key())
        assert "said" in first.text
        assert (again.status_code, again.content) == (first.status_code, first.content) == (200, first.content)
        assert again.headers["content-type"] == first.headers["content-type"]
        assert "idempotent-replayed" not in first.headers
        assert again.headers["idempotent-replayed"] == "true"
        await platform.journal.drain()  # the row of an unstored turn is written behind its answer
        assert await count(database, turns, tenant) == 1


async def test_an_answer_is_told_again_though_what_its_request_referred_to_is_gone(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(ECHO) as platform, client(platform, tenant) as http:
        one = (await http.post(RESPONSES, json=body_of(RESPONSES))).json()
        pointing = [{"type": "item_reference", "id": one["output"][0]["id"]}, {"role": "user", "content": "and?"}]
        asked = {**body_of(RESPONSES), "input": pointing}
        first = await http.post(RESPONSES, json=asked, headers=key())
        assert (await http.delete(f"{RESPONSES}/{one['id']}")).status_code == 200
        again = await http.post(RESPONSES, json=asked, headers=key())
    assert (again.status_code, again.content) == (200, first.content)


async def test_another_body_or_another_route_under_the_same_key_is_refused(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(ECHO) as platform, client(platform, tenant) as http:
        await http.post(RESPONSES, json=body_of(RESPONSES), headers=key())
        for path, asked in ((RESPONSES, body_of(RESPONSES, text="ho")), ("/v1/conversations", {})):
            other = await http.post(path, json=asked, headers=key())
            assert other.status_code == 422
            assert (other.json()["error"]["code"], other.json()["error"]["type"]) == (
                "idempotency_key_reused",
                "idempotency_error",
            )


@pytest.mark.parametrize("bad", ["", "x" * 256, "x" * 10_000], ids=["empty", "256", "10 kB"])
async def test_what_is_no_key_is_refused_and_nothing_is_done(
    stage: Stage, tenant: Tenant, database: Database, bad: str
) -> None:
    async with stage.open_with(ECHO) as platform, client(platform, tenant) as http:
        answer = await http.post(RESPONSES, json=body_of(RESPONSES), headers=key(bad))
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_idempotency_key")
        two = await http.post(RESPONSES, json=body_of(RESPONSES), headers=[("idempotency-key", "a"), ("idempotency-key", "b")])
        assert two.status_code == 400
        assert await count(database, turns, tenant) == 0


async def test_a_request_that_was_refused_leaves_its_key_free(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(ECHO) as platform, client(platform, tenant) as http:
        refused = await http.post(RESPONSES, json={"input": "hi", "colour": "blue"}, headers=key())
        assert refused.status_code == 400
        assert (await http.post(RESPONSES, json=body_of(RESPONSES), headers=key())).status_code == 200


async def test_a_duplicate_of_a_stored_turn_that_runs_waits_for_the_same_answer(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    async with stage.open_with(SLOW) as platform, client(platform, tenant) as http:
        asked = body_of(RESPONSES)
        first = asyncio.create_task(http.post(RESPONSES, json=asked, headers=key()))
        while await count(database, turns, tenant) == 0:
            await asyncio.sleep(0.01)
        second = await http.post(RESPONSES, json=asked, headers=key())
        assert second.content == (await first).content
        assert await count(database, turns, tenant) == 1


async def test_duplicates_that_come_together_are_done_once_and_the_late_ones_told_to_come_again(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    async with stage.open_with(SLOW) as platform, client(platform, tenant) as http:
        asked = body_of(CHAT, store=False)
        answers = await asyncio.gather(*(http.post(CHAT, json=asked, headers=key()) for _ in range(5)))
        assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409]
        told = next(answer for answer in answers if answer.status_code == 409)
        assert told.json()["error"]["code"] == "idempotency_in_progress"
        assert told.headers.get("x-should-retry") != "false"  # the SDKs come again at a 409
        done = next(answer for answer in answers if answer.status_code == 200)
        assert (await http.post(CHAT, json=asked, headers=key())).content == done.content
        await platform.journal.drain()
        assert await count(database, turns, tenant) == 1


async def test_a_failure_after_the_acceptance_is_the_answer_and_is_not_to_be_retried(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(DOWN) as platform, client(platform, tenant) as http:
        asked = body_of(CHAT, store=False)
        first = await http.post(CHAT, json=asked, headers=key())
        again = await http.post(CHAT, json=asked, headers=key())
        assert first.status_code == again.status_code >= 500
        assert first.content == again.content
        assert first.headers["x-should-retry"] == again.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("path", [RESPONSES, CHAT])
async def test_a_stored_failure_is_told_again_for_its_key_and_is_not_to_be_retried(
    stage: Stage, tenant: Tenant, path: str
) -> None:
    async with stage.open_with(DOWN) as platform, client(platform, tenant) as http:
        asked = body_of(path)
        first, again = [await http.post(path, json=asked, headers=key()) for _ in range(2)]
        assert (again.status_code, again.content) == (first.status_code, first.content)
        assert first.headers["x-should-retry"] == again.headers["x-should-retry"] == "false"


async def test_a_request_in_the_background_is_answered_again_as_it_was_when_it_was_queued(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(ECHO) as platform, client(platform, tenant) as http:
        asked = {**body_of(RESPONSES), "background": True, "include": ["paddock.report"]}
        first = await http.post(RESPONSES, json=asked, headers=key())
        assert first.json()["status"] == "queued"
        done = await platform.turns.wait(tenant.principal, first.json()["id"])
        assert done.status is TurnStatus.COMPLETED
        again = await http.post(RESPONSES, json=asked, headers=key())
        assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_the_key_of_an_answer_that_was_deleted_says_at_once_that_there_is_none(
    stage: Stage, tenant: Tenant, stream: bool
) -> None:
    async with stage.open_with(ECHO) as platform, client(platform, tenant) as http:
        asked = body_of(RESPONSES, stream=stream)
        made = await http.post(RESPONSES, json=asked, headers=key())
        assert (await http.delete(f"{RESPONSES}/{made.headers['x-paddock-turn-id']}")).status_code == 200
        again = await http.post(RESPONSES, json=asked, headers=key())
        assert (again.status_code, again.json()["error"]["code"]) == (409, "idempotency_answer_lost")
        assert again.headers["x-should-retry"] == "false"


async def left_by_a_process_that_died(
    platform: Platform, http: httpx.AsyncClient, path: str, asked: Any, table: Database
) -> None:
    """Its claim has run out, and no turn and no answer tell what it did."""
    await http.post(path, json=asked, headers=key())
    async with table.everyone() as connection:
        await connection.execute(sa.update(turns).values(idempotency=None))
        await connection.execute(sa.update(idempotency_keys).values(answer=None, claimed_until=sa.text("'-infinity'")))


async def test_what_a_dead_process_had_not_accepted_is_done_now(stage: Stage, tenant: Tenant, database: Database) -> None:
    async with stage.open_with(ECHO) as platform, client(platform, tenant) as http:
        asked = body_of(RESPONSES)
        await left_by_a_process_that_died(platform, http, RESPONSES, asked, database)
        assert (await http.post(RESPONSES, json=asked, headers=key())).status_code == 200
        assert await count(database, turns, tenant) == 2


async def test_what_a_dead_process_may_have_done_is_not_done_again(stage: Stage, tenant: Tenant, database: Database) -> None:
    async with stage.open_with(ECHO) as platform, client(platform, tenant) as http:
        await left_by_a_process_that_died(platform, http, "/v1/conversations", {}, database)
        answer = await http.post("/v1/conversations", json={}, headers=key())
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "idempotency_answer_lost")
        assert answer.headers["x-should-retry"] == "false"


async def test_an_unstored_turn_whose_answer_was_lost_is_not_run_again(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    async with stage.open_with(ECHO) as platform, client(platform, tenant) as http:
        asked = body_of(CHAT, store=False)
        await http.post(CHAT, json=asked, headers=key())
        await platform.journal.drain()
        async with database.everyone() as connection:
            await connection.execute(sa.update(idempotency_keys).values(answer=None))
        answer = await http.post(CHAT, json=asked, headers=key())
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "idempotency_answer_lost")
        assert await count(database, turns, tenant) == 1


async def test_an_attempt_that_was_told_wrongly_that_its_turn_was_not_accepted_leaves_the_key_to_the_turn(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    async with stage.open_with(ECHO) as platform, client(platform, tenant) as http:
        first = await http.post(RESPONSES, json=body_of(RESPONSES), headers=key())
        async with database.everyone() as connection:
            mine = idempotency_keys.c.organization_id == tenant.principal.organization_id
            row = (await connection.execute(sa.select(idempotency_keys).where(mine))).one()
        await platform.idempotency.forget(row.organization_id, row.id, row.claim)
        assert (await http.post(RESPONSES, json=body_of(RESPONSES), headers=key())).content == first.content


async def test_a_key_that_was_made_is_shown_again_to_who_made_it_and_stands_in_no_table(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    async with stage.open_with(ECHO) as platform, client(platform, tenant) as http:
        made = await http.post("/admin/v1/keys", json={"name": "n"}, headers=key())
        again = await http.post("/admin/v1/keys", json={"name": "n"}, headers=key())
        assert made.json()["secret"] == again.json()["secret"]
        assert await count(database, api_keys, tenant) == 2  # the tenant's own, and this one
        async with database.everyone() as connection:
            rows = (await connection.execute(sa.select(idempotency_keys))).all()
        assert made.json()["secret"] not in repr(rows)
        assert made.json()["secret"].encode().hex() not in repr(rows)


async def test_a_form_is_the_same_under_another_boundary_and_another_with_another_file(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    async with stage.open_with(ECHO) as platform, client(platform, tenant) as http:

        async def upload(content: bytes) -> httpx.Response:
            form = {"file": ("a.txt", content)}
            return await http.post("/v1/files", data={"purpose": "user_data"}, files=form, headers=key())

        first, again, other = await upload(b"one" * 50_000), await upload(b"one" * 50_000), await upload(b"two" * 50_000)
        assert first.status_code == 200, first.text
        assert first.request.headers["content-type"] != again.request.headers["content-type"]
        assert again.content == first.content
        assert other.status_code == 422
        assert await count(database, files, tenant) == 1


async def test_a_key_is_the_callers_own(stage: Stage, tenant: Tenant, other_tenant: Tenant) -> None:
    async with stage.open_with(ECHO) as platform:
        answers = []
        for caller in (tenant, other_tenant):
            async with client(platform, caller) as http:
                answers.append(await http.post(RESPONSES, json=body_of(RESPONSES), headers=key()))
        assert [answer.status_code for answer in answers] == [200, 200]
        assert answers[0].json()["id"] != answers[1].json()["id"]


async def test_an_organisation_has_so_many_bytes_of_answers_and_no_more(
    stage: Stage, tenant: Tenant, other_tenant: Tenant, database: Database
) -> None:
    async with stage.open_with(ECHO, idempotency_bytes=1) as platform, client(platform, tenant) as http:
        first = await http.post("/v1/conversations", json={}, headers=key("one"))
        assert first.status_code == 200
        refused = await http.post("/v1/conversations", json={}, headers=key("two"))
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "idempotency_storage_full")
        assert int(refused.headers["retry-after"]) > 0
        assert (await http.post("/v1/conversations", json={}, headers=key("one"))).content == first.content
        assert (await http.post("/v1/conversations", json={})).status_code == 200
        async with client(platform, other_tenant) as other:
            assert (await other.post("/v1/conversations", json={}, headers=key("one"))).status_code == 200
        async with database.everyone() as connection:
            old = sa.text("UPDATE idempotency_keys SET created_at = now() - interval '31 days'")
            await connection.execute(old)
        await platform.idempotency.sweep()
        assert (await http.post("/v1/conversations", json={}, headers=key("two"))).status_code == 200


async def test_a_month_later_the_key_is_free(
    stage: Stage, tenant: Tenant, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "AT_ONCE", 2)  # of the five that are old
    async with stage.open_with(ECHO) as platform, client(platform, tenant) as http:
        first = await http.post(RESPONSES, json=body_of(RESPONSES), headers=key())
        await platform.idempotency.sweep()
        assert (await http.post(RESPONSES, json=body_of(RESPONSES), headers=key())).json()["id"] == first.json()["id"]
        for name in "abcd":
            await http.post(RESPONSES, json=body_of(RESPONSES), headers=key(name))
        async with database.everyone() as connection:
            old = sa.func.now() - sa.text("interval '31 days'")
            await connection.execute(sa.update(idempotency_keys).values(created_at=old))
        await platform.idempotency.sweep()
        assert await count(database, idempotency_keys, tenant) == 0
        for name in "abcd":
            assert (await http.post(RESPONSES, json=body_of(RESPONSES), headers=key(name))).status_code == 200
        later = await http.post(RESPONSES, json=body_of(RESPONSES, text="other"), headers=key())
        assert later.status_code == 200
        assert later.json()["id"] != first.json()["id"]


def test_a_seal_opens_for_its_secret_and_its_context_alone() -> None:
    sealed = seal("pk_one", "context", b"plain")
    assert unseal("pk_one", "context", sealed) == b"plain"
    assert unseal("pk_two", "context", sealed) is None
    assert unseal("pk_one", "other", sealed) is None
    assert unseal("pk_one", "context", sealed[:-1]) is None
