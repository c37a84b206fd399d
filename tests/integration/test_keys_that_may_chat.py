"""Whoever may not talk to models any more has no turn that goes on, and no line of a batch that begins."""

import asyncio
import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.bootstrap import Addresses
from core.identity.principals import ALLOWED, Role, Scope
from core.identity.secret import digest
from core.storage.database import Database
from core.storage.directory import Directory
from core.storage.people import NewKey
from tests.doubles.office import open_office
from tests.integration.conftest import Tenant
from tests.integration.test_people import somebody

SLOW = {"pace_seconds": 0.1, "piece_characters": 1, "reply": {"text": "x" * 600}}


@pytest.mark.parametrize("issued", [None, *Role])
@pytest.mark.parametrize("role", Role)
async def test_the_database_knows_which_roles_may_chat(
    database: Database, tenant: Tenant, role: Role, issued: Role | None
) -> None:
    directory, home = Directory(database), tenant.principal.organization_id
    made = {}
    async with directory.people.change(home) as change:
        user = await change.add_user(name="somebody", role=role.value, subject=None)
        for scope in Scope:
            secret = digest(f"{user.id} {scope}")
            new = NewKey(user_id=user.id, name="k", prefix="", secret_sha256=secret, scopes=[scope.value], expires_at=None)
            key = await change.add_key(new)
            assert key is not None
            made[scope] = key.id
    if issued is not None:
        async with database.everyone() as connection:
            query = sa.text("UPDATE api_keys SET role = :role WHERE user_id = :user")
            await connection.execute(query, {"role": issued.value, "user": user.id})
    live = await directory.identities.valid_keys(made.values())
    assert list(live) == [made[Scope.CHAT] for _ in {Scope.CHAT} & ALLOWED[issued or role]]


@pytest.mark.parametrize("how", ["role", "scopes"])
async def test_who_may_not_chat_any_more_has_turns_and_batches_ended(
    server_url: str, redis_url: str, tmp_path: Path, tenant: Tenant, database: Database, how: str
) -> None:
    objects = f"file://{tmp_path / 'objects'}"
    addresses = Addresses(database=server_url, redis=redis_url, objects=objects, sandbox=tmp_path / "none")
    model = {"name": "scripted", "backend": "scripted", "script": [SLOW]}
    async with open_office(addresses, tmp_path, {"models": [model], "limits": {"background_turns": 1}}) as office:
        operator = office.caller(tenant.secret)
        user, bob = await somebody(operator, "admin", "chat")
        (key,) = (await operator("GET", "/admin/v1/keys", params={"user_id": user["id"]})).json()["data"]
        asked = {"model": "scripted", "input": "go", "background": True}
        turns = [(await bob.made("/v1/responses", asked))["id"] for _ in range(2)]  # one runs, one waits
        line = {"custom_id": "1", "method": "POST", "url": "/v1/responses", "body": {"model": "scripted", "input": "go"}}
        form = {"data": {"purpose": "batch"}, "files": {"file": ("a.jsonl", json.dumps(line).encode())}}
        headers = {"authorization": f"Bearer {bob.secret}"}
        file = (await office.client.post("/v1/files", headers=headers, **form)).json()
        wanted = {"input_file_id": file["id"], "endpoint": "/v1/responses", "completion_window": "24h"}
        batch = await bob.made("/v1/batches", wanted)
        if how == "role":
            await operator.made(f"/admin/v1/users/{user['id']}", {"role": "auditor"})
        else:
            await operator.made(f"/admin/v1/keys/{key['id']}", {"scopes": ["audit"]})
        async with asyncio.timeout(30):
            while (ended := (await operator("GET", f"/v1/batches/{batch['id']}")).json())["status"] != "completed":
                await asyncio.sleep(0.2)
        for turn in turns:
            response = (await operator("GET", f"/v1/responses/{turn}")).json()
            assert (response["status"], response["error"]["code"]) == ("failed", "key_revoked")
        assert ended["request_counts"] == {"total": 1, "completed": 0, "failed": 1}
        told = (await operator("GET", f"/v1/files/{ended['error_file_id']}/content")).text
        assert "key_revoked" in told
