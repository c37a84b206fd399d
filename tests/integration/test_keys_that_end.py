"""A key that is revoked, or opens less, while its request is under way: what it asks for then is not done."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from api import streaming
from core.events import TurnStatus
from core.identity.keys import Keys
from core.identity.principals import Role, Scope
from core.identity.users import Users
from core.storage.database import Database
from core.storage.directory import Directory
from core.storage.tables import tool_ledger
from tests.integration.conftest import Stage, Tenant, told
from tests.integration.test_background import client
from tests.integration.test_turns import HELLO, asking

KEYS = "/admin/v1/keys"
SLOW = {"pace_seconds": 0.1, "piece_characters": 1, "reply": {"text": "slow " * 20}}


async def of_another(database: Database, tenant: Tenant) -> tuple[Any, str, str]:
    """A colleague who administers; his key's id and secret."""
    directory = Directory(database)
    user = await Users(directory).create(tenant.principal, name="another", role=Role.ADMIN)
    key, secret = await Keys(directory).create(
        tenant.principal, name="other", scopes=[Scope.CHAT, Scope.ADMIN], user_id=user.id
    )
    return user, key.id, secret


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(
    ("change", "refused"), [("revoked", (401, "key_revoked")), ("demoted", (403, "key_changed")), ("slow", None)]
)
async def test_who_holds_a_body_back_is_asked_again(
    stage: Stage, tenant: Tenant, database: Database, whole: bool, change: str, refused: tuple[int, str] | None
) -> None:
    """whole: nothing of it comes before."""
    async with stage.open_with(HELLO) as platform, client(platform, tenant) as http:
        user, key_id, secret = await of_another(database, tenant)
        authenticated, held_back = asyncio.Event(), asyncio.Event()

        async def body() -> AsyncGenerator[bytes, None]:
            text = json.dumps({"name": "mine", "scopes": ["chat"]}).encode()
            if not whole:
                yield text[:5]
            authenticated.set()
            await held_back.wait()
            yield text if whole else text[5:]

        headers = {"authorization": f"Bearer {secret}", "content-type": "application/json"}
        asked = asyncio.create_task(http.post(KEYS, content=body(), headers=headers))
        await authenticated.wait()
        await asyncio.sleep(0.1)
        if change == "revoked":
            assert (await http.delete(f"{KEYS}/{key_id}")).status_code == 200
        elif change == "demoted":
            assert (await http.post(f"/admin/v1/users/{user.id}", json={"role": "member"})).status_code == 200
        held_back.set()
        answer = await asked
        made = [key["name"] for key in (await http.get(KEYS)).json()["data"]]
        assert ("mine" in made) == (refused is None)
        if refused is not None:
            assert (answer.status_code, answer.json()["error"]["code"]) == refused


async def test_an_upload_that_is_sent_again_under_a_key_that_ends_meanwhile_is_not_answered_again(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    part = "--x\r\nContent-Disposition: form-data; name="
    form = f'{part}"purpose"\r\n\r\nuser_data\r\n{part}"file"; filename="a"\r\n\r\nhello\r\n--x--\r\n'.encode()
    async with stage.open_with(HELLO) as platform, client(platform, tenant) as http:
        _, key_id, secret = await of_another(database, tenant)
        headers = {"authorization": f"Bearer {secret}", "content-type": "multipart/form-data; boundary=x"}
        headers |= {"idempotency-key": "one"}
        assert (await http.post("/v1/files", content=form, headers=headers)).status_code == 200

        async def held_back() -> AsyncGenerator[bytes, None]:
            yield form[:20]
            await asyncio.sleep(0.1)
            assert (await http.delete(f"{KEYS}/{key_id}")).status_code == 200
            yield form[20:]

        again = await http.post("/v1/files", content=held_back(), headers=headers)
        assert (again.status_code, again.json()["error"]["code"]) == (401, "key_revoked")


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions"])
@pytest.mark.parametrize("revoked", [True, False])
async def test_a_stream_ends_soon_after_its_readers_key(
    stage: Stage, tenant: Tenant, database: Database, monkeypatch: pytest.MonkeyPatch, path: str, revoked: bool
) -> None:
    monkeypatch.setattr(streaming, "HEARTBEAT_SECONDS", 0.3)
    async with stage.open_with(SLOW) as platform, client(platform, tenant) as http:
        _, key_id, secret = await of_another(database, tenant)
        theirs = {"authorization": f"Bearer {secret}"}
        if path == "/v1/responses":
            turn = (await http.post(path, json={"input": "hi", "background": True})).json()["id"]
            reading = http.get(f"{path}/{turn}", params={"stream": "true"}, headers=theirs)
        else:
            body = {"model": "scripted", "messages": [{"role": "user", "content": "hi"}], "stream": True}
            reading = http.post(path, json=body, headers=theirs)
        read = asyncio.create_task(_told(reading))
        await asyncio.sleep(1)
        if revoked:
            await http.delete(f"{KEYS}/{key_id}")
        told = await read
        ended = "response.completed" in told or '"finish_reason":"stop"' in told
        assert (ended, "key_revoked" in told) == (not revoked, revoked)


CALL = {"name": "code_interpreter", "arguments": {"code": "print(1)"}}


@pytest.mark.parametrize("stored", [True, False])
async def test_a_call_that_was_not_sent_for_a_revoked_key_is_in_no_book_and_the_reply_that_asked_for_it_is(
    stage: Stage, tenant: Tenant, database: Database, stored: bool
) -> None:
    who = tenant.principal.organization_id
    async with (
        stage.open_with({"reply": [{"pause_seconds": 0.5, "tool_calls": [CALL]}]}) as platform,
        client(platform, tenant) as http,
    ):
        _, key_id, secret = await of_another(database, tenant)
        where = (await http.post("/v1/conversations", json={})).json()["id"]
        body: dict[str, Any] = {"input": "hi", "tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}
        body |= {"conversation": where} if stored else {"store": False}
        headers = {"authorization": f"Bearer {secret}"}
        asked = asyncio.create_task(http.post("/v1/responses", json=body, headers=headers))
        while not platform.turns.running:
            await asyncio.sleep(0.01)
        [running] = platform.turns.running.values()
        await running.durable()
        await http.delete(f"{KEYS}/{key_id}")
        answer = await asked
        await running.ended()
        assert (running.turn.status, running.turn.reason) == (TurnStatus.FAILED, "key_revoked")
        if stored:
            said = (await http.get(f"/v1/responses/{answer.headers['x-paddock-turn-id']}")).json()["output"]
            kept = (await http.get(f"/v1/conversations/{where}/items")).json()["data"]
            assert ([item["type"] for item in said], [item["type"] for item in kept]) == ([], ["message"])
    async with database.everyone() as connection:
        assert await connection.scalar(sa.select(sa.func.count()).where(tool_ledger.c.organization_id == who)) == 0
    kinds = ("tool.dispatched", "tool.returned", "model.replied", "model.failed")
    records = [record for kind in kinds for record in await told(database, who, kind)]
    [ended] = await told(database, who, "turn.ended")
    assert [record["kind"] for record in records] == ["model.failed" if stored else "model.replied"]
    assert records[0]["details"]["output_tokens"] == ended["details"]["output_tokens"] > 0


async def test_a_conversation_keeps_what_its_response_says_where_the_key_ends_amid_it(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    fast = {"pace_seconds": 0.003, "piece_characters": 1, "reply": {"text": "abcdefghij" * 200}}
    async with stage.open_with(fast) as platform, client(platform, tenant) as http:
        _, key_id, secret = await of_another(database, tenant)
        where = (await http.post("/v1/conversations", json={})).json()["id"]
        body = {"input": "hi", "conversation": where, "stream": True}
        headers = {"authorization": f"Bearer {secret}"}
        asked = asyncio.create_task(http.post("/v1/responses", json=body, headers=headers))
        while not any(len(running.feed.events) > 5 for running in platform.turns.running.values()):
            await asyncio.sleep(0.01)
        await http.delete(f"{KEYS}/{key_id}")
        response = (await http.get(f"/v1/responses/{(await asked).headers['x-paddock-turn-id']}")).json()
        items = (await http.get(f"/v1/conversations/{where}/items")).json()["data"]
    [said], [kept] = response["output"], [item for item in items if item["role"] == "assistant"]
    assert response["status"] == "failed"
    assert 0 < len(said["content"][0]["text"]) < 2000
    assert said["content"][0]["text"] == kept["content"][0]["text"]


async def test_a_reply_that_ends_in_line_behind_what_was_refused_for_a_revoked_key_is_counted(
    stage: Stage, tenant: Tenant, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(*arguments: Any, **options: Any) -> Any:
        await gate.wait()
        return await commit(*arguments, **options)

    gate, brief = asyncio.Event(), {"pace_seconds": 0.05, "piece_characters": 1, "reply": {"text": "brief words"}}
    async with stage.open_with(brief) as platform, asyncio.timeout(20):
        turn = await platform.turns.start(tenant.principal, asking("go"))
        running = platform.turns.running[turn.id]
        commit = platform.journal._commit
        monkeypatch.setattr(platform.journal, "_commit", slow)
        while not platform.journal._writing:
            await asyncio.sleep(0.01)
        await platform.keys.revoke(tenant.principal, tenant.principal.key_id)
        while not platform.journal.waiting or not running._ending:
            await asyncio.sleep(0.01)
        gate.set()
        ended = await running.ended()
        assert (ended.status, ended.reason) == (TurnStatus.FAILED, "key_revoked")
    [failed] = await told(database, turn.organization_id, "model.failed")
    assert failed["details"]["output_tokens"] == ended.usage.output > 0


async def _told(answer: Any) -> str:
    response: httpx.Response = await answer
    assert response.status_code == 200
    return response.text
