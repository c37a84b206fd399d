"""A change that waits behind the end of its own key is not made, wherever its maker belongs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from core.bootstrap import Addresses
from core.storage.database import Database
from core.storage.people import LOCKED
from core.tools.definition import ToolVersion
from core.tools.registry import Registry
from tests.doubles.office import Caller, Office, open_office
from tests.integration.conftest import Tenant, told
from tests.integration.test_people import code, somebody

LOCK = sa.text("SELECT pg_advisory_xact_lock(:people, hashtext(:organization_id))")
WAITING = sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = :people AND NOT granted")


@pytest.fixture
async def office(server_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Office]:
    objects = f"file://{tmp_path / 'objects'}"
    addresses = Addresses(database=server_url, redis=redis_url, objects=objects, sandbox=tmp_path / "none")
    async with open_office(addresses, tmp_path) as opened:
        yield opened


@pytest.fixture
def operator(office: Office, tenant: Tenant) -> Caller:
    return office.caller(tenant.secret)


@asynccontextmanager
async def held(database: Database, organization_id: str) -> AsyncIterator[None]:
    """As by a change of the organisation that takes its time."""
    async with database.everyone() as connection:
        await connection.execute(LOCK, {"people": LOCKED, "organization_id": organization_id})
        yield


async def in_line(database: Database, request: Any, *, place: int) -> "asyncio.Task[httpx.Response]":
    """Returns when the request waits, as the one of that place."""
    asked: asyncio.Task[httpx.Response] = asyncio.create_task(request)
    async with asyncio.timeout(10):
        while not asked.done():
            async with database.everyone() as connection:
                if await connection.scalar(WAITING, {"people": LOCKED}) >= place:
                    return asked
            await asyncio.sleep(0.02)
    return asked


async def one_after_the_other(
    database: Database, organization_id: str, first: Any, second: Any
) -> tuple[httpx.Response, httpx.Response]:
    async with held(database, organization_id):
        ending = await in_line(database, first, place=1)
        change = await in_line(database, second, place=2)
    return await ending, await change


async def key_of(operator: Caller, user: dict[str, Any]) -> str:
    (key,) = (await operator("GET", "/admin/v1/keys", params={"user_id": user["id"]})).json()["data"]
    return f"/admin/v1/keys/{key['id']}"


CHANGES: dict[str, tuple[str, str, Any]] = {
    "a new user": ("POST", "/admin/v1/users", {"name": "back door", "role": "owner"}),
    "another role": ("POST", "/admin/v1/users/{user}", {"role": "owner"}),
    "a user less": ("DELETE", "/admin/v1/users/{user}", None),
    "a new key": ("POST", "/admin/v1/keys", {"name": "back door", "scopes": ["admin"], "user_id": "{user}"}),
    "another key": ("POST", "/admin/v1/keys/{key}", {"name": "back door"}),
    "a key again": ("POST", "/admin/v1/keys/{key}/rotate", {}),
    "a key less": ("DELETE", "/admin/v1/keys/{key}", None),
    "another name": ("POST", "/admin/v1/organizations/{home}", {"name": "back door"}),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_key_that_is_revoked_while_its_change_waits_changes_nothing(
    operator: Caller, tenant: Tenant, database: Database, change: str
) -> None:
    home = tenant.principal.organization_id
    leaving, theirs = await somebody(operator, "owner", "chat", "admin")
    other, _ = await somebody(operator, "admin", "admin")
    method, path, body = CHANGES[change]
    ids = {"user": other["id"], "key": (await key_of(operator, other)).rpartition("/")[2], "home": home}
    asked = {name: value.format(**ids) if isinstance(value, str) else value for name, value in body.items()} if body else body
    revocation = operator("DELETE", await key_of(operator, leaving))
    before = await records(database, home)
    ended, refused = await one_after_the_other(database, home, revocation, theirs(method, path.format(**ids), asked))
    assert ended.status_code == 200
    assert code(refused) == (401, "key_revoked")
    assert await records(database, home) == [*before, "key.revoked"]


async def records(database: Database, organization_id: str) -> list[str]:
    query = sa.text("SELECT kind FROM audit_records WHERE organization_id = :who AND outcome = 'success' ORDER BY moment, id")
    async with database.everyone() as connection:
        return list((await connection.execute(query, {"who": organization_id})).scalars())


ENDS: dict[str, tuple[tuple[str, Any], tuple[int, str]]] = {
    "deactivated": (("POST", {"active": False}), (401, "deactivated")),
    "deleted": (("DELETE", None), (401, "invalid_api_key")),
    "demoted": (("POST", {"role": "member"}), (403, "key_changed")),
    "promoted": (("POST", {"role": "owner"}), (403, "key_changed")),
}


@pytest.mark.parametrize("end", ENDS)
async def test_whose_standing_changes_while_the_change_waits_is_refused_as_at_the_door(
    operator: Caller, tenant: Tenant, database: Database, end: str
) -> None:
    home = tenant.principal.organization_id
    leaving, theirs = await somebody(operator, "admin", "admin")
    (method, body), refusal = ENDS[end]
    ending, back_door = operator(method, f"/admin/v1/users/{leaving['id']}", body), {"name": "back door"}
    ended, refused = await one_after_the_other(database, home, ending, theirs("POST", "/admin/v1/users", back_door))
    assert (ended.status_code, code(refused)) == (200, refusal)
    assert [one["object"] for one in await told(database, home, "user.created")] == [leaving["id"]]


async def test_a_key_that_loses_the_scope_while_its_change_waits_changes_nothing(
    operator: Caller, tenant: Tenant, database: Database
) -> None:
    leaving, theirs = await somebody(operator, "admin", "admin", "chat")
    ending = operator("POST", await key_of(operator, leaving), {"scopes": ["chat"]})
    change = theirs("POST", "/admin/v1/users", {"name": "back door"})
    ended, refused = await one_after_the_other(database, tenant.principal.organization_id, ending, change)
    assert (ended.status_code, code(refused)) == (200, (403, "key_changed"))


@pytest.mark.parametrize("change", ["keys", "users", "organizations", "organizations/{there}"])
async def test_an_operator_who_is_revoked_meanwhile_changes_nothing_in_another_organisation_either(
    operator: Caller, tenant: Tenant, database: Database, change: str
) -> None:
    home = tenant.principal.organization_id
    there = (await operator.made("/admin/v1/organizations", {"name": "theirs"}))["id"]
    leaving, theirs = await somebody(operator, "admin", "admin", "operator")
    body = {"active": False} if "{" in change else {"name": "back door"}
    if change in ("keys", "users"):
        body["organization_id"] = there
    ending = operator("DELETE", await key_of(operator, leaving))
    asked = theirs("POST", f"/admin/v1/{change.format(there=there)}", body)
    ended, refused = await one_after_the_other(database, home, ending, asked)
    assert (ended.status_code, code(refused)) == (200, (401, "key_revoked"))
    assert await records(database, there) == ["organization.created", "user.created"]


async def test_an_organisation_that_is_stopped_while_its_change_waits_is_not_changed(
    operator: Caller, office: Office, database: Database
) -> None:
    there = (await operator.made("/admin/v1/organizations", {"name": "theirs"}))["id"]
    key = await operator.made("/admin/v1/keys", {"name": "k", "scopes": ["admin"], "organization_id": there})
    path, change = f"/admin/v1/organizations/{there}", ("POST", "/admin/v1/users", {"name": "late"})
    owner = office.caller(key["secret"])
    first = await one_after_the_other(database, there, owner(*change), operator("POST", path, {"active": False}))
    assert [answer.status_code for answer in first] == [200, 200]
    assert (await records(database, there))[-2:] == ["user.created", "organization.updated"]
    await operator.made(path, {"active": True})
    ended, refused = await one_after_the_other(database, there, operator("POST", path, {"active": False}), owner(*change))
    assert (ended.status_code, code(refused)) == (200, (401, "deactivated"))


async def test_of_two_operators_of_two_organisations_who_end_each_other_one_does(operator: Caller, office: Office) -> None:
    for _ in range(5):
        there = (await operator.made("/admin/v1/organizations", {"name": "theirs"}))["id"]
        one = await operator.made("/admin/v1/keys", {"name": "one", "scopes": ["admin", "operator"]})
        where = {"organization_id": there}
        other = await operator.made("/admin/v1/keys", {"name": "other", "scopes": ["admin", "operator"], **where})
        answers = await asyncio.gather(
            office.caller(one["secret"])("DELETE", f"/admin/v1/keys/{other['id']}"),
            office.caller(other["secret"])("DELETE", f"/admin/v1/keys/{one['id']}"),
        )
        assert sorted(answer.status_code for answer in answers) == [200, 401]


@pytest.mark.parametrize("path", ["/admin/v1/tools", "/admin/v1/tools/now/versions"])
async def test_a_tool_is_not_kept_when_its_makers_key_was_revoked_while_it_was_looked_at(
    operator: Caller, database: Database, tenant: Tenant, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    def tool(name: str, url: str) -> dict[str, Any]:
        granted = {"network": [{"host": "example.com", "ports": [443], "methods": ["GET"]}]}
        described = {"name": name, "description": "d", "parameters": {"type": "object"}}
        return {**described, "runtime": {"kind": "http", "url": url}, "capabilities": granted}

    await operator.made("/admin/v1/tools", tool("now", "https://example.com/"))
    leaving, theirs = await somebody(operator, "admin", "admin")
    key, bound = await key_of(operator, leaving), Registry._bound

    async def meanwhile(registry: Registry, *looked_at: Any) -> ToolVersion:
        assert (await operator("DELETE", key)).status_code == 200
        return await bound(registry, *looked_at)

    monkeypatch.setattr(Registry, "_bound", meanwhile)
    refused = await theirs("POST", path, tool("later" if path.endswith("tools") else "now", "https://example.com/else"))
    assert code(refused) == (401, "key_revoked")
    told_of = [kind for kind in await records(database, tenant.principal.organization_id) if kind.startswith("tool.")]
    assert told_of == ["tool.created"]
