"""Bearer tokens of an identity provider at a running application: whom they stand for, and until when."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from core.bootstrap import Addresses
from core.storage.audit import PLATFORM
from core.storage.database import Database
from tests.doubles.issuer import AUDIENCE, NAME, Issuer, open_issuer
from tests.doubles.office import Caller, Office, open_office
from tests.integration.conftest import Tenant, told

SLOW = {"when": {"contains": "slow"}, "pace_seconds": 0.1, "piece_characters": 1, "reply": {"text": "x" * 600}}


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with open_issuer() as opened:
        yield opened


class Doors:
    def __init__(self, addresses: Addresses, home: Path, issuer: Issuer, tenant: Tenant) -> None:
        self._addresses, self._home, self._issuer, self._tenant = addresses, home, issuer, tenant

    @asynccontextmanager
    async def open(self, **settings: Any) -> AsyncIterator[tuple[Office, Caller]]:
        """An application that takes the issuer's tokens for the tenant's organisation, and its operator."""
        good = {"issuer": NAME, "audience": AUDIENCE, "jwks_url": self._issuer.url, "clock_skew_seconds": 0}
        where = {"organization": self._tenant.principal.organization_id}
        model = {"name": "scripted", "backend": "scripted", "script": [SLOW, {"reply": "hello"}]}
        chosen = {"tokens": {**good, **where, **settings}, "models": [model]}
        async with open_office(self._addresses, self._home, chosen) as office:
            yield office, office.caller(self._tenant.secret)


@pytest.fixture
def doors(server_url: str, redis_url: str, tmp_path: Path, issuer: Issuer, tenant: Tenant) -> Doors:
    objects = f"file://{tmp_path / 'objects'}"
    addresses = Addresses(database=server_url, redis=redis_url, objects=objects, sandbox=tmp_path / "none")
    return Doors(addresses, tmp_path, issuer, tenant)


def code(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


async def test_a_token_stands_for_the_user_of_its_subject_and_opens_what_is_set(doors: Doors, issuer: Issuer) -> None:
    async with doors.open(scopes=["chat"]) as (office, operator):
        user = await operator.made("/admin/v1/users", {"name": "Alice", "role": "admin", "subject": "alice"})
        alice = office.caller(issuer.token())
        said = await alice.made("/v1/responses", {"model": "scripted", "input": "hi"})
        assert said["output"][0]["content"][0]["text"] == "hello"
        assert code(await alice("GET", "/admin/v1/users")) == (403, "permission_denied")
        [token] = (await operator("GET", "/admin/v1/keys", params={"kind": "token"})).json()["data"]
        assert (token["user_id"], token["scopes"], token["kind"]) == (user["id"], ["chat"], "token")
        assert code(await office.caller(issuer.token(sub="bob"))("GET", "/v1/models")) == (401, "unknown_user")
        assert code(await office.caller("a.b.c")("GET", "/v1/models")) == (401, "invalid_token")


async def test_a_token_is_signed_in_once_and_can_be_revoked(doors: Doors, issuer: Issuer) -> None:
    async with doors.open(create_users=True) as (office, operator):
        alice = office.caller(issuer.token())
        answers = await asyncio.gather(*(alice("GET", "/v1/models") for _ in range(5)))
        assert {answer.status_code for answer in answers} == {200}
        [token] = (await operator("GET", "/admin/v1/keys", params={"kind": "token"})).json()["data"]
        assert (await operator("DELETE", f"/admin/v1/keys/{token['id']}")).status_code == 200
        assert code(await alice("GET", "/v1/models")) == (401, "key_revoked")
        assert (await office.caller(issuer.token(jti="another"))("GET", "/v1/models")).status_code == 200
        assert code(await operator("POST", f"/admin/v1/keys/{token['id']}/rotate", {})) == (409, "not_an_api_key")


async def test_whom_the_issuer_knows_becomes_a_user_only_where_that_is_set(doors: Doors, issuer: Issuer) -> None:
    async with doors.open(create_users=True, default_role="auditor", scopes=["chat", "audit"]) as (office, operator):
        alice = office.caller(issuer.token(name="Alice A."))
        assert (await alice("GET", "/admin/v1/users")).status_code == 200
        assert code(await alice("GET", "/v1/models")) == (403, "permission_denied")
        [user] = [row for row in (await operator("GET", "/admin/v1/users")).json()["data"] if row["subject"] == "alice"]
        assert (user["name"], user["role"]) == ("Alice A.", "auditor")
        await operator.made(f"/admin/v1/users/{user['id']}", {"active": False})
        assert code(await alice("GET", "/admin/v1/users")) == (401, "deactivated")
        assert code(await office.caller(issuer.token(jti="new"))("GET", "/admin/v1/users")) == (401, "deactivated")


async def test_the_role_that_a_token_names_holds_for_the_token_alone(doors: Doors, issuer: Issuer) -> None:
    async with doors.open(role_claim="role", scopes=["chat", "admin"], create_users=True) as (office, _):
        member, admin = (office.caller(issuer.token(role=role)) for role in ("member", "admin"))
        for _ in range(2):
            assert code(await member("GET", "/admin/v1/users")) == (403, "permission_denied")
            assert (await admin("GET", "/admin/v1/users")).status_code == 200
        assert code(await office.caller(issuer.token(role="god"))("GET", "/v1/models")) == (401, "invalid_token")


async def test_a_role_that_a_token_named_is_not_kept_for_the_next_one(doors: Doors, issuer: Issuer) -> None:
    async with doors.open(role_claim="role", scopes=["chat", "admin"], create_users=True) as (office, operator):
        owner, plain = office.caller(issuer.token(role="owner")), office.caller(issuer.token())
        assert (await owner("GET", "/admin/v1/users")).status_code == 200
        assert code(await plain("GET", "/admin/v1/users")) == (403, "permission_denied")
        [user] = [row for row in (await operator("GET", "/admin/v1/users")).json()["data"] if row["subject"] == "alice"]
        assert user["role"] == "member"
        wanted = {"name": "for later", "scopes": ["admin"], "user_id": user["id"]}
        assert code(await owner("POST", "/admin/v1/keys", wanted)) == (400, "invalid_request")


async def test_who_is_deactivated_signs_in_nowhere_and_leaves_a_refusal_alone(
    doors: Doors, issuer: Issuer, database: Database
) -> None:
    async with doors.open(organization=None, organization_claim="org", create_users=True) as (office, operator):
        there = await operator.made("/admin/v1/organizations", {"name": "theirs"})
        where = {"organization_id": there["id"]}
        user = await operator.made("/admin/v1/users", {"name": "Alice", "subject": "alice", **where})
        await operator.made(f"/admin/v1/users/{user['id']}", {"active": False})
        for jti in ("one", "two"):
            token = issuer.token(org=there["id"], jti=jti)
            assert code(await office.caller(token)("GET", "/v1/models")) == (401, "deactivated")
        await operator.made(f"/admin/v1/organizations/{there['id']}", {"active": False})
        bob = office.caller(issuer.token(org=there["id"], sub="bob"))
        assert code(await bob("GET", "/v1/models")) == (401, "deactivated")
        assert (await operator("GET", "/admin/v1/keys", params={"kind": "token", **where})).json()["data"] == []
        users = (await operator("GET", "/admin/v1/users", params=where)).json()["data"]
        assert [row["subject"] for row in users] == ["alice", None]
    assert await told(database, there["id"], "user.signed_in") == []
    records = await told(database, there["id"], "sign_in.refused")
    assert {(record["actor"], record["details"]["code"]) for record in records} == {
        (user["id"], "deactivated"),
        ("unknown", "deactivated"),
    }
    assert sum(record["details"]["count"] for record in records) == 3


async def test_a_token_belongs_to_the_organisation_that_it_names(doors: Doors, issuer: Issuer) -> None:
    async with doors.open(organization=None, organization_claim="org", create_users=True) as (office, operator):
        name = f"acme-{time.time_ns()}"
        there = await operator.made("/admin/v1/organizations", {"name": "Acme", "external_id": name})
        assert (await office.caller(issuer.token(org=name))("GET", "/v1/models")).status_code == 200
        users = (await operator("GET", "/admin/v1/users", params={"organization_id": there["id"]})).json()["data"]
        assert [user["subject"] for user in users] == ["alice", None]
        unknown = office.caller(issuer.token(org="nowhere"))
        assert code(await unknown("GET", "/v1/models")) == (401, "unknown_organization")


async def test_an_expiring_token_ends_its_running_turn(doors: Doors, issuer: Issuer) -> None:
    async with doors.open(create_users=True) as (office, _):
        assert (await office.caller(issuer.token())("GET", "/v1/models")).status_code == 200  # whom and by whom is known then
        alice = office.caller(issuer.token(exp=int(time.time()) + 5))
        assert code(await alice("POST", "/v1/responses", {"model": "scripted", "input": "slow"})) == (401, "key_revoked")
        assert code(await alice("GET", "/v1/models")) == (401, "token_expired")


async def test_another_token_of_the_same_user_brings_no_other_quota(doors: Doors, issuer: Issuer) -> None:
    tool = {
        "name": "lookup",
        "description": "Looks it up.",
        "parameters": {"type": "object", "properties": {}},
        "runtime": {"kind": "http", "method": "GET", "url": "http://localhost:1/"},
        "capabilities": {"network": [{"host": "localhost", "ports": [1]}]},
        "permissions": {"organization": True},
        "quotas": [{"per": "key", "period": "day", "calls": 1}],
    }
    async with doors.open(scopes=["chat", "admin"], create_users=True, default_role="admin") as (office, operator):
        await operator.made("/admin/v1/tools", tool)
        told = [
            (await office.caller(issuer.token(jti=jti)).made("/admin/v1/tools/lookup/dry-run", {}))["output"]
            for jti in ("one", "another")
        ]
        assert ["1 times in a day" in output for output in told] == [False, True], told


async def test_a_refreshed_token_gets_the_answer_of_the_one_before_it_and_another_user_does_not(
    doors: Doors, issuer: Issuer
) -> None:
    async with doors.open(create_users=True, scopes=["chat"]) as (office, _):
        tokens = [issuer.token(), issuer.token(jti="another"), issuer.token(sub="bob")]
        assert len(set(tokens)) == 3
        answers = []
        for token in tokens:
            headers = {"authorization": f"Bearer {token}", "idempotency-key": "once"}
            body = {"model": "scripted", "input": "hi", "store": False}
            answers.append(await office.client.post("/v1/responses", json=body, headers=headers))
        assert [answer.status_code for answer in answers] == [200, 200, 200]
        assert answers[1].content == answers[0].content != answers[2].content
        assert ["idempotent-replayed" in answer.headers for answer in answers] == [False, True, False]


async def test_without_the_provider_keys_go_on_and_tokens_wait(doors: Doors, issuer: Issuer, database: Database) -> None:
    issuer.down = True
    before = len(await told(database, PLATFORM, "sign_in.refused"))
    async with doors.open(create_users=True) as (office, operator):
        assert (await operator("GET", "/v1/models")).status_code == 200
        assert code(await office.caller(issuer.token())("GET", "/v1/models")) == (503, "identity_provider_unavailable")
    (record,) = (await told(database, PLATFORM, "sign_in.refused"))[before:]
    assert (record["actor"], record["details"]) == ("unknown", {"code": "identity_provider_unavailable", "count": 1})
