"""Bearer tokens that were seen, when people, settings or names change: each means what it would mean if it came today."""

import asyncio
import time

import pytest
import sqlalchemy as sa

from core.storage.database import Database
from tests.doubles.issuer import Issuer
from tests.integration.conftest import Tenant, told
from tests.integration.test_bearer_tokens import Doors, code, doors, issuer
from tests.integration.test_people import TOOL

__all__ = ["doors", "issuer"]


async def test_a_subject_that_changes_hands_takes_its_tokens_along(
    doors: Doors, issuer: Issuer, tenant: Tenant, database: Database
) -> None:
    async with doors.open(scopes=["chat", "admin"]) as (office, operator):
        boss = await operator.made("/admin/v1/users", {"name": "Boss", "role": "admin", "subject": "alice"})
        alice = office.caller(issuer.token())
        running = await alice.made("/v1/responses", {"model": "scripted", "input": "slow", "background": True})
        [token] = (await operator("GET", "/admin/v1/keys", params={"kind": "token"})).json()["data"]
        permissions = {"keys": [token["id"], tenant.principal.key_id]}
        await operator.made("/admin/v1/tools", {**TOOL, "name": "lookup", "permissions": permissions})
        await operator.made(f"/admin/v1/users/{boss['id']}", {"name": "The boss"})
        assert (await operator("GET", f"/admin/v1/keys/{token['id']}")).status_code == 200
        await operator.made(f"/admin/v1/users/{boss['id']}", {"subject": "boss"})
        assert (await operator("GET", f"/admin/v1/keys/{token['id']}")).status_code == 404
        assert code(await alice("GET", "/v1/models")) == (401, "unknown_user")
        await operator.made("/admin/v1/users", {"name": "Alice", "role": "member", "subject": "alice"})
        assert (await alice("GET", "/v1/models")).status_code == 200
        assert code(await alice("POST", "/admin/v1/users", {"name": "x"})) == (403, "permission_denied")
        async with asyncio.timeout(10):
            while (ended := (await operator("GET", f"/v1/responses/{running['id']}")).json())["status"] == "in_progress":
                await asyncio.sleep(0.1)
        assert (ended["status"], ended["error"]["code"]) == ("failed", "key_revoked")
    (record,) = await told(database, tenant.principal.organization_id, "tool.changed")
    assert (record["object"], record["details"]) == ("lookup", {"grants": f"key:{tenant.principal.key_id}"})


async def test_a_revoked_token_stays_so_when_its_subject_changes_hands(doors: Doors, issuer: Issuer) -> None:
    async with doors.open() as (office, operator):
        user = await operator.made("/admin/v1/users", {"name": "Alice", "subject": "alice"})
        alice = office.caller(issuer.token())
        assert (await alice("GET", "/v1/models")).status_code == 200
        [token] = (await operator("GET", "/admin/v1/keys", params={"kind": "token"})).json()["data"]
        await operator("DELETE", f"/admin/v1/keys/{token['id']}")
        await operator.made(f"/admin/v1/users/{user['id']}", {"subject": "before"})
        await operator.made("/admin/v1/users", {"name": "Another Alice", "subject": "alice"})
        assert code(await alice("GET", "/v1/models")) == (401, "key_revoked")


async def test_settings_that_were_hardened_hold_for_tokens_that_were_seen(
    doors: Doors, issuer: Issuer, tenant: Tenant, database: Database
) -> None:
    token, which = issuer.token(role="owner"), {"kind": "token"}
    async with doors.open(scopes=["chat", "admin"], role_claim="role", create_users=True) as (office, operator):
        assert (await office.caller(token)("GET", "/admin/v1/users")).status_code == 200
        [before] = (await operator("GET", "/admin/v1/keys", params=which)).json()["data"]
    async with doors.open(scopes=["chat"], create_users=True) as (office, operator):
        alice = office.caller(token)
        for _ in range(2):
            assert code(await alice("GET", "/admin/v1/users")) == (403, "permission_denied")
        assert (await alice("GET", "/v1/models")).status_code == 200
        [now] = (await operator("GET", "/admin/v1/keys", params=which)).json()["data"]
        assert (before["scopes"], now) == (["chat", "admin"], {**before, "scopes": ["chat"]})
        records = await told(database, tenant.principal.organization_id, "user.signed_in")
        assert [(one["object"], one["details"]["role"], one["details"]["scopes"]) for one in records] == [
            (now["id"], "owner", "chat admin"),
            (now["id"], "member", "chat"),
        ]
        await operator("DELETE", f"/admin/v1/keys/{now['id']}")
    async with doors.open(scopes=["chat", "admin"], role_claim="role", create_users=True) as (office, _):
        assert code(await office.caller(token)("GET", "/v1/models")) == (401, "key_revoked")


async def test_another_claim_for_the_subject_holds_for_tokens_that_were_seen(doors: Doors, issuer: Issuer) -> None:
    token = issuer.token(email="bob@example.com")
    async with doors.open() as (office, operator):
        await operator.made("/admin/v1/users", {"name": "Alice", "subject": "alice"})
        assert (await office.caller(token)("GET", "/v1/models")).status_code == 200
    async with doors.open(subject_claim="email") as (office, operator):
        assert code(await office.caller(token)("GET", "/v1/models")) == (401, "unknown_user")
        bob = await operator.made("/admin/v1/users", {"name": "Bob", "subject": "bob@example.com"})
        assert (await office.caller(token)("GET", "/v1/models")).status_code == 200
        [seen] = (await operator("GET", "/admin/v1/keys", params={"kind": "token"})).json()["data"]
        assert seen["user_id"] == bob["id"]


async def test_an_organisations_name_that_changes_hands_takes_its_tokens_along(doors: Doors, issuer: Issuer) -> None:
    async with doors.open(organization=None, organization_claim="org", create_users=True) as (office, operator):
        name = f"acme-{time.time_ns()}"
        old, new = [(await operator.made("/admin/v1/organizations", {"name": n}))["id"] for n in ("old", "new")]
        await operator.made(f"/admin/v1/organizations/{old}", {"external_id": name})
        alice = office.caller(issuer.token(org=name))
        for home, other in ((old, new), (new, old)):
            await operator.made(f"/admin/v1/organizations/{other}", {"external_id": f"not-{other}"})
            await operator.made(f"/admin/v1/organizations/{home}", {"external_id": name})
            assert (await alice("GET", "/v1/models")).status_code == 200
            for where, count in ((home, 1), (other, 0)):
                which = {"kind": "token", "organization_id": where}
                assert len((await operator("GET", "/admin/v1/keys", params=which)).json()["data"]) == count


async def test_a_revoked_token_outlives_its_user_and_is_forgotten_when_it_is_over(
    doors: Doors, issuer: Issuer, tenant: Tenant, database: Database
) -> None:
    home = tenant.principal.organization_id
    async with doors.open(create_users=True) as (office, operator):
        alice = office.caller(issuer.token())
        assert (await alice("GET", "/v1/models")).status_code == 200
        [token] = (await operator("GET", "/admin/v1/keys", params={"kind": "token"})).json()["data"]
        await operator("DELETE", f"/admin/v1/keys/{token['id']}")
        await operator("DELETE", f"/admin/v1/users/{token['user_id']}")
        assert code(await alice("GET", "/v1/models")) == (401, "key_revoked")
        subjects = [user["subject"] for user in (await operator("GET", "/admin/v1/users")).json()["data"]]
        assert subjects == [None], "nobody was made for it"
        again = office.caller(issuer.token(jti="another"))
        assert (await again("GET", "/v1/models")).status_code == 200
        assert code(await alice("GET", "/v1/models")) == (401, "key_revoked")
        async with database.tenant(home) as connection:
            count = sa.text("SELECT count(*) FROM revoked_tokens")
            assert await connection.scalar(count) == 1
        async with database.everyone() as connection:
            with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
                await connection.execute(sa.text("UPDATE revoked_tokens SET expires_at = now()"))
        async with database.tenant(home) as connection:
            await connection.execute(sa.text("DELETE FROM revoked_tokens"))
            old = "INSERT INTO revoked_tokens VALUES ('x', :home, now() - interval '31 days'), ('y', :home, now())"
            await connection.execute(sa.text(old), {"home": home})
        assert (await office.caller(issuer.token(jti="third"))("GET", "/v1/models")).status_code == 200
        async with database.tenant(home) as connection:
            assert await connection.scalar(count) == 1
    refused = await told(database, home, "sign_in.refused")
    assert {one["details"]["code"] for one in refused} == {"key_revoked"}
