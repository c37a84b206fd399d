"""A key that is revoked, or opens less, while its request is under way: what it asks for then is not done."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from api import streaming
from core.identity.keys import Keys
from core.identity.principals import Role, Scope
from core.identity.users import Users
from core.storage.database import Database
from core.storage.directory import Directory
from tests.integration.conftest import Stage, Tenant
from tests.integration.test_background import client
from tests.integration.test_turns import HELLO

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


async def _told(answer: Any) -> str:
    response: httpx.Response = await answer
    assert response.status_code == 200
    return response.text
