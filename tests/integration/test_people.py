"""Organisations, users and keys over the admin API: who may do what to whom, and that it holds at once."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from core.bootstrap import Addresses
from core.storage.database import Database
from tests.doubles.office import Caller, Office, open_office
from tests.integration.conftest import Tenant, told

TOOL = {
    "description": "Looks it up.",
    "parameters": {"type": "object", "properties": {}},
    "runtime": {"kind": "http", "method": "GET", "url": "http://tools.invalid/"},
    "capabilities": {"network": [{"host": "tools.invalid", "ports": [80]}]},
}


@pytest.fixture
async def office(server_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Office]:
    addresses = Addresses(
        database=server_url, redis=redis_url, objects=f"file://{tmp_path / 'objects'}", sandbox=tmp_path / "none"
    )
    async with open_office(addresses, tmp_path) as opened:
        yield opened


@pytest.fixture
def operator(office: Office, tenant: Tenant) -> Caller:
    return office.caller(tenant.secret)


async def somebody(by: Caller, role: str, *scopes: str, **more: Any) -> tuple[dict[str, Any], Caller]:
    """A user of the role, and a caller with a key of theirs."""
    where = {name: more[name] for name in ("organization_id",) if name in more}
    user = await by.made("/admin/v1/users", {"name": f"a {role}", "role": role, **where})
    key = await by.made("/admin/v1/keys", {"name": "k", "scopes": list(scopes), "user_id": user["id"], **where})
    return user, Caller(by.client, key["secret"])


def code(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


async def test_a_key_is_made_shown_changed_rotated_and_revoked(operator: Caller) -> None:
    made = await operator.made("/admin/v1/keys", {"name": "ci", "scopes": ["chat"], "expires_at": 4_000_000_000})
    caller = Caller(operator.client, made["secret"])
    assert (await caller("GET", "/v1/models")).status_code == 200
    shown = (await operator("GET", f"/admin/v1/keys/{made['id']}")).json()
    assert shown == {name: value for name, value in made.items() if name != "secret"}
    changed = await operator.made(f"/admin/v1/keys/{made['id']}", {"name": "build", "scopes": ["audit"]})
    assert (changed["name"], changed["scopes"], changed["expires_at"]) == ("build", ["audit"], 4_000_000_000)
    assert code(await caller("GET", "/v1/models")) == (403, "permission_denied")
    rotated = await operator.made(f"/admin/v1/keys/{made['id']}/rotate", {})
    assert code(await caller("GET", "/admin/v1/keys")) == (401, "key_revoked")
    assert (rotated["name"], rotated["scopes"]) == ("build", ["audit"])
    assert rotated["expires_at"] > 4_000_000_000 - 60
    assert (await operator("DELETE", f"/admin/v1/keys/{rotated['id']}")).json()["revoked_at"] is not None
    assert code(await operator("POST", f"/admin/v1/keys/{rotated['id']}/rotate", {})) == (409, "key_ended")


async def test_a_rotated_key_opens_on_for_the_overlap_that_was_asked_for(operator: Caller) -> None:
    made = await operator.made("/admin/v1/keys", {"name": "ci"})
    rotated = await operator.made(f"/admin/v1/keys/{made['id']}/rotate", {"overlap_seconds": 3600})
    for secret in (made["secret"], rotated["secret"]):
        assert (await Caller(operator.client, secret)("GET", "/v1/models")).status_code == 200
    old = (await operator("GET", f"/admin/v1/keys/{made['id']}")).json()
    assert 0 < old["expires_at"] - rotated["created_at"] <= 3600


@pytest.mark.parametrize("overlap", [0, 3600])
async def test_a_rotated_key_has_the_tier_and_the_tools_of_the_one_before(
    operator: Caller, tenant: Tenant, database: Database, overlap: int
) -> None:
    made, other = [await operator.made("/admin/v1/keys", {"name": name, "scopes": ["admin"]}) for name in ("ci", "other")]
    await operator.made(f"/admin/v1/limits/{made['id']}", {"tier": "free"})
    for name, permissions in (("mine", [made["id"]]), ("both", [other["id"], made["id"]]), ("theirs", [other["id"]])):
        await operator.made("/admin/v1/tools", {**TOOL, "name": name, "permissions": {"keys": permissions}})
    rotated = await operator.made(f"/admin/v1/keys/{made['id']}/rotate", {"overlap_seconds": overlap})
    assert (await operator("GET", f"/admin/v1/limits/{rotated['id']}")).json()["tier"] == "free"
    tools = {tool["name"]: tool["permissions"]["keys"] for tool in (await operator("GET", "/admin/v1/tools")).json()["data"]}
    now = [made["id"], rotated["id"]] if overlap else [rotated["id"]]
    assert tools == {"mine": now, "both": [other["id"], *now], "theirs": [other["id"]]}
    for secret in [rotated["secret"], *([made["secret"]] if overlap else [])]:
        tried = await Caller(operator.client, secret).made("/admin/v1/tools/mine/dry-run", {})
        assert "tools.invalid" in tried["output"], tried  # it was let in: what has no address is asked
    refused = await Caller(operator.client, rotated["secret"]).made("/admin/v1/tools/theirs/dry-run", {})
    assert "tools.invalid" not in refused["output"], refused
    home = tenant.principal.organization_id
    (record,) = [record for record in await told(database, home, "limit.changed") if record["object"] == rotated["id"]]
    assert record["details"] == {"tier": "free"}
    changed = {record["object"]: record["details"]["grants"] for record in await told(database, home, "tool.changed")}
    assert changed == {name: " ".join(f"key:{key}" for key in tools[name]) for name in ("mine", "both")}


async def test_a_key_that_lives_for_ever_is_rotated_like_any_other(operator: Caller) -> None:
    latest = 253_402_300_799
    made = await operator.made("/admin/v1/keys", {"name": "ci", "expires_at": latest})
    assert (await operator.made(f"/admin/v1/keys/{made['id']}/rotate", {}))["expires_at"] == latest


async def test_nobody_gets_more_out_of_a_key_than_they_have(operator: Caller, tenant: Tenant) -> None:
    own = f"/admin/v1/keys/{tenant.principal.key_id}"
    _, admin = await somebody(operator, "admin", "admin", "chat")
    for attempt in (
        admin("POST", "/admin/v1/keys", {"name": "x", "scopes": ["operator"]}),
        admin("POST", "/admin/v1/keys", {"name": "x", "scopes": ["audit"]}),
        admin("POST", "/admin/v1/keys", {"name": "x", "user_id": tenant.principal.user_id}),
        admin("POST", own, {"name": "mine now"}),
        admin("POST", f"{own}/rotate", {}),
        admin("DELETE", own),
        admin("POST", "/admin/v1/users", {"name": "x", "role": "owner"}),
        admin("POST", f"/admin/v1/users/{tenant.principal.user_id}", {"role": "member"}),
        admin("DELETE", f"/admin/v1/users/{tenant.principal.user_id}"),
        admin("POST", f"/admin/v1/limits/{tenant.principal.user_id}", {"tier": "free"}),
        admin("POST", f"/admin/v1/limits/{tenant.principal.key_id}", {"tier": "free"}),
    ):
        assert code(await attempt) == (403, "permission_denied")
    assert (await operator("GET", "/v1/models")).status_code == 200


async def test_a_user_of_a_role_gets_no_key_that_the_role_forbids(operator: Caller) -> None:
    user = await operator.made("/admin/v1/users", {"name": "m", "role": "member"})
    refused = await operator("POST", "/admin/v1/keys", {"name": "x", "scopes": ["admin"], "user_id": user["id"]})
    assert code(refused) == (400, "invalid_request")
    assert refused.json()["error"]["param"] == "scopes"


async def test_a_role_that_changes_changes_what_its_keys_open_at_once(operator: Caller) -> None:
    user, caller = await somebody(operator, "admin", "admin", "audit")
    assert (await caller("GET", "/admin/v1/users")).status_code == 200
    assert (await caller("POST", "/admin/v1/users", {"name": "x"})).status_code == 200
    await operator.made(f"/admin/v1/users/{user['id']}", {"role": "auditor"})
    assert (await caller("GET", "/admin/v1/users")).status_code == 200
    assert code(await caller("POST", "/admin/v1/users", {"name": "x"})) == (403, "permission_denied")
    await operator.made(f"/admin/v1/users/{user['id']}", {"role": "member"})
    assert code(await caller("GET", "/admin/v1/users")) == (403, "permission_denied")


async def test_a_deactivated_user_is_out_until_active_again_and_a_deleted_one_for_good(operator: Caller) -> None:
    user, caller = await somebody(operator, "member", "chat")
    path = f"/admin/v1/users/{user['id']}"
    assert (await operator.made(path, {"active": False}))["active"] is False
    assert code(await caller("GET", "/v1/models")) == (401, "deactivated")
    assert (await operator.made(path, {"active": True}))["deactivated_at"] is None
    assert (await caller("GET", "/v1/models")).status_code == 200
    assert (await operator("DELETE", path)).json() == {"id": user["id"], "object": "user.deleted", "deleted": True}
    assert code(await caller("GET", "/v1/models")) == (401, "invalid_api_key")
    assert code(await operator("GET", path)) == (404, "user_not_found")


async def test_a_key_that_is_revoked_amid_its_upload_leaves_no_file(operator: Caller) -> None:
    made = await operator.made("/admin/v1/keys", {"name": "uploads"})

    async def form() -> AsyncIterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n'
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nfirst'
        await operator("DELETE", f"/admin/v1/keys/{made['id']}")
        yield b"last\r\n--x--\r\n"

    headers = {"authorization": f"Bearer {made['secret']}", "content-type": "multipart/form-data; boundary=x"}
    assert code(await operator.client.post("/v1/files", content=form(), headers=headers)) == (401, "key_revoked")
    assert (await operator("GET", "/v1/files")).json()["data"] == []


async def test_the_last_owner_stays_also_when_two_leave_at_once(operator: Caller, tenant: Tenant) -> None:
    me = f"/admin/v1/users/{tenant.principal.user_id}"
    for attempt in (operator("POST", me, {"role": "admin"}), operator("POST", me, {"active": False}), operator("DELETE", me)):
        assert code(await attempt) == (409, "last_owner")
    other, theirs = await somebody(operator, "owner", "admin")
    answers = await asyncio.gather(
        operator("POST", me, {"role": "admin"}), theirs("POST", f"/admin/v1/users/{other['id']}", {"active": False})
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]


async def test_an_operator_reaches_every_organisation_and_others_only_their_own(operator: Caller, office: Office) -> None:
    there = await operator.made("/admin/v1/organizations", {"name": "theirs"})
    where = {"organization_id": there["id"]}
    key = await operator.made("/admin/v1/keys", {"name": "k", "scopes": ["admin", "chat"], **where})
    owner = office.caller(key["secret"])
    user, member = await somebody(operator, "member", "chat", **where)
    assert (await operator("GET", f"/admin/v1/users/{user['id']}")).json()["organization_id"] == there["id"]
    listed = (await operator("GET", "/admin/v1/users", params=where)).json()["data"]
    assert [row["name"] for row in listed] == ["a member", "admin"]
    mine = (await operator("GET", "/admin/v1/users")).json()["data"][0]
    for method, path, body in (
        ("GET", f"/admin/v1/users/{mine['id']}", None),
        ("POST", f"/admin/v1/users/{mine['id']}", {"name": "x"}),
        ("DELETE", f"/admin/v1/users/{mine['id']}", None),
        ("GET", f"/admin/v1/organizations/{mine['organization_id']}", None),
        ("GET", f"/admin/v1/users?organization_id={mine['organization_id']}", None),
        ("POST", "/admin/v1/users", {"name": "x", "organization_id": mine["organization_id"]}),
    ):
        assert (await owner(method, path, body)).status_code == 404, path
    assert (await operator.made(f"/admin/v1/organizations/{there['id']}", {"active": False}))["active"] is False
    for caller in (owner, member):
        assert code(await caller("GET", "/v1/models")) == (401, "deactivated")


async def test_an_owner_names_the_organisation_and_an_operator_alone_stops_it(operator: Caller, tenant: Tenant) -> None:
    path = f"/admin/v1/organizations/{tenant.principal.organization_id}"
    assert code(await operator("POST", path, {"active": False})) == (409, "own_organization")
    _, admin = await somebody(operator, "admin", "admin")
    _, owner = await somebody(operator, "owner", "admin")
    assert code(await admin("POST", path, {"name": "x"})) == (403, "permission_denied")
    assert (await owner.made(path, {"name": "renamed"}))["name"] == "renamed"
    assert code(await owner("POST", path, {"external_id": "x"})) == (403, "permission_denied")
    assert code(await owner("GET", "/admin/v1/organizations")) == (403, "permission_denied")


async def test_what_is_one_persons_is_nobody_elses(operator: Caller) -> None:
    external = {"name": "one", "external_id": f"acme-{id(operator)}"}
    await operator.made("/admin/v1/organizations", external)
    assert code(await operator("POST", "/admin/v1/organizations", external)) == (409, "external_id_taken")
    await operator.made("/admin/v1/users", {"name": "a", "subject": "s-1"})
    second = await operator.made("/admin/v1/users", {"name": "b", "subject": "s-2"})
    assert code(await operator("POST", "/admin/v1/users", {"name": "c", "subject": "s-1"})) == (409, "subject_taken")
    assert code(await operator("POST", f"/admin/v1/users/{second['id']}", {"subject": "s-1"})) == (409, "subject_taken")


@pytest.mark.parametrize("resource", ["users", "keys", "organizations"])
async def test_lists_are_read_page_by_page_in_both_orders(operator: Caller, resource: str) -> None:
    made = [(await operator.made(f"/admin/v1/{resource}", {"name": f"n{n}"}))["id"] for n in range(3)]
    seen: list[str] = []
    cursor: dict[str, Any] = {}
    for _ in made:
        page = (await operator("GET", f"/admin/v1/{resource}", params={"limit": 1, **cursor})).json()
        seen += [row["id"] for row in page["data"]]
        cursor = {"after": page["last_id"]}
        assert page["has_more"] is True
    assert seen == made[::-1]
    upwards = (await operator("GET", f"/admin/v1/{resource}", params={"order": "asc", "after": made[0], "limit": 2})).json()
    assert [row["id"] for row in upwards["data"]] == made[1:]
    assert code(await operator("GET", f"/admin/v1/{resource}", params={"after": "nonsense"})) == (400, "invalid_cursor")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/admin/v1/users", {"name": ""}),
        ("/admin/v1/users", {"name": "x" * 201}),
        ("/admin/v1/users", {"name": "x", "role": "god"}),
        ("/admin/v1/users", {"name": "x\x00"}),
        ("/admin/v1/keys", {"name": "x", "scopes": []}),
        ("/admin/v1/keys", {"name": "x", "scopes": ["root"]}),
        ("/admin/v1/keys", {"name": "x", "expires_at": 1}),
        ("/admin/v1/keys", {"name": "x", "expires_at": 10**20}),
        ("/admin/v1/keys/key_1/rotate", {"overlap_seconds": -1}),
        ("/admin/v1/organizations", {"name": "x", "external_id": ""}),
    ],
)
async def test_what_does_not_fit_is_refused_and_nothing_is_made(operator: Caller, path: str, body: dict[str, Any]) -> None:
    before = (await operator("GET", path.replace("/key_1/rotate", ""))).json()["data"]
    refused = await operator("POST", path, body)
    assert refused.status_code == 400
    assert (await operator("GET", path.replace("/key_1/rotate", ""))).json()["data"] == before


async def test_every_change_and_every_refusal_is_in_the_audit_log(operator: Caller, tenant: Tenant, database: Database) -> None:
    user, member = await somebody(operator, "member", "chat")
    assert (await member("GET", "/admin/v1/users")).status_code == 403
    assert (await member("GET", "/admin/v1/users")).status_code == 403  # told once in ten seconds
    await operator("DELETE", f"/admin/v1/users/{user['id']}")
    query = sa.text("SELECT record::text FROM audit_records ORDER BY moment, id")
    async with database.tenant(tenant.principal.organization_id) as connection:
        lines = (await connection.execute(query)).scalars().all()
    records = [json.loads(line) for line in lines][1:]  # the first is the operator's key
    assert [record["kind"] for record in records] == ["user.created", "key.created", "access.refused", "user.deleted"]
    assert [record["actor"] == tenant.principal.user_id for record in records] == [True, True, False, True]
    assert records[2]["details"] == {"action": "GET /admin/v1/users", "code": "permission_denied", "count": 1}
    assert all(record["request"].startswith("req_") for record in records)
    assert "a member" not in "".join(lines)


async def test_only_an_operator_ends_suspends_or_restores_an_operators_access(operator: Caller) -> None:
    user, other = await somebody(operator, "admin", "operator", "admin")
    _, admin = await somebody(operator, "admin", "admin")
    path = f"/admin/v1/users/{user['id']}"
    for attempt in (
        admin("POST", path, {"active": False}),
        admin("POST", path, {"role": "member"}),
        admin("DELETE", path),
    ):
        assert code(await attempt) == (403, "permission_denied")
    assert (await other("GET", "/admin/v1/organizations")).status_code == 200
    assert (await admin.made(path, {"name": "renamed"}))["name"] == "renamed"
    await operator.made(path, {"role": "member"})
    assert code(await admin("POST", path, {"role": "admin"})) == (403, "permission_denied")
    await operator.made(path, {"role": "admin", "active": False})
    assert code(await admin("POST", path, {"active": True})) == (403, "permission_denied")
    (key,) = (await operator("GET", "/admin/v1/keys", params={"user_id": user["id"]})).json()["data"]
    await operator("DELETE", f"/admin/v1/keys/{key['id']}")
    assert (await admin("DELETE", path)).status_code == 200


async def test_a_deleted_user_leaves_no_tier_and_no_tool_that_cannot_be_changed(
    operator: Caller, tenant: Tenant, database: Database
) -> None:
    user, _ = await somebody(operator, "member", "chat")
    (key,) = (await operator("GET", "/admin/v1/keys", params={"user_id": user["id"]})).json()["data"]
    kept = await operator.made("/admin/v1/keys", {"name": "kept"})
    for subject in (user["id"], key["id"]):
        await operator.made(f"/admin/v1/limits/{subject}", {"tier": "free"})
    for name, keys in (("both", [key["id"], kept["id"]]), ("theirs", [kept["id"]])):
        await operator.made("/admin/v1/tools", {**TOOL, "name": name, "permissions": {"keys": keys, "roles": ["admin"]}})
    assert (await operator("DELETE", f"/admin/v1/users/{user['id']}")).status_code == 200
    assert (await operator("GET", "/admin/v1/limits")).json()["data"] == []
    shown = (await operator("GET", "/admin/v1/tools/both")).json()["permissions"]
    assert (shown["keys"], shown["roles"]) == ([kept["id"]], ["admin"])
    assert (await operator.made("/admin/v1/tools/both", {"permissions": shown}))["permissions"] == shown
    (record, _) = await told(database, tenant.principal.organization_id, "tool.changed")
    assert (record["object"], record["details"]) == ("both", {"grants": f"role:admin key:{kept['id']}"})


async def test_a_key_of_somebody_who_was_demoted_can_be_narrowed_renamed_and_shortened(operator: Caller) -> None:
    user, _ = await somebody(operator, "admin", "admin", "chat")
    (key,) = (await operator("GET", "/admin/v1/keys", params={"user_id": user["id"]})).json()["data"]
    path = f"/admin/v1/keys/{key['id']}"
    await operator.made(f"/admin/v1/users/{user['id']}", {"role": "member"})
    assert (await operator.made(path, {"name": "renamed", "expires_at": 4_000_000_000}))["name"] == "renamed"
    for refused in (
        await operator("POST", path, {"scopes": ["audit"]}),
        await operator("POST", f"{path}/rotate", {}),
    ):
        assert code(refused) == (400, "invalid_request")
    assert (await operator.made(path, {"scopes": ["chat"]}))["scopes"] == ["chat"]
    assert (await operator.made(f"{path}/rotate", {}))["scopes"] == ["chat"]


async def test_users_can_be_listed_and_deleted_page_by_page(operator: Caller, tenant: Tenant) -> None:
    for n in range(3):
        await operator.made("/admin/v1/users", {"name": f"n{n}"})
    cursor: dict[str, Any] = {}
    while (page := (await operator("GET", "/admin/v1/users", params={"limit": 1, **cursor})).json())["data"]:
        (user,) = page["data"]
        cursor = {"after": user["id"]}
        if user["id"] != tenant.principal.user_id:
            assert (await operator("DELETE", f"/admin/v1/users/{user['id']}")).status_code == 200
    assert [row["id"] for row in (await operator("GET", "/admin/v1/users")).json()["data"]] == [tenant.principal.user_id]
    for nonsense in ("user_1", f"{tenant.principal.user_id}x", tenant.principal.key_id, "\0"):
        refused = await operator("GET", "/admin/v1/users", params={"after": nonsense})
        assert code(refused) == (400, "invalid_cursor")


@pytest.mark.parametrize("path", ["/admin/v1/tools", "/admin/v1/limits"])
async def test_tools_and_tiers_can_be_listed_and_taken_away_page_by_page(operator: Caller, path: str) -> None:
    for n in range(3):
        await operator.made("/admin/v1/tools", {**TOOL, "name": f"t{n}"})
        user = await operator.made("/admin/v1/users", {"name": f"n{n}"})
        await operator.made(f"/admin/v1/limits/{user['id']}", {"tier": "free"})
    cursor: dict[str, Any] = {}
    while (page := (await operator("GET", path, params={"limit": 1, **cursor})).json())["data"]:
        cursor = {"after": page["last_id"]}
        if path == "/admin/v1/tools":
            await operator("DELETE", f"{path}/{page['data'][0]['name']}")
        else:
            await operator.made(f"{path}/{page['last_id']}", {"tier": None})
    assert (await operator("GET", path)).json()["data"] == []
    assert code(await operator("GET", path, params={"after": "nonsense"})) == (400, "invalid_cursor")


async def test_no_answer_of_the_admin_api_is_kept_on_its_way(operator: Caller) -> None:
    made = await operator("POST", "/admin/v1/keys", {"name": "k"})
    for answer in (
        made,
        await operator("POST", f"/admin/v1/keys/{made.json()['id']}/rotate", {}),
        await operator("POST", "/admin/v1/webhooks", {"url": "https://example.com/hook", "events": ["batch.completed"]}),
        await operator("GET", "/admin/v1/users/nobody"),
        await operator("GET", "/admin/v1/nothing"),
    ):
        assert answer.headers["cache-control"] == "no-store"
    assert "cache-control" not in (await operator("GET", "/v1/models")).headers
