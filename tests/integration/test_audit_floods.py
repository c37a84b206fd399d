"""Callers who knock on and on: what they were refused is in the audit log, and they fill no table."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.bootstrap import Addresses
from core.config import TIERS
from core.errors import Unavailable
from core.identity import refusals as refusals_module
from core.identity.refusals import QUIET_SECONDS, REMEMBERED, Refusal, Refusals
from core.storage.audit import PLATFORM
from core.storage.database import Database, open_database
from core.storage.directory import Directory
from tests.doubles.office import Office, open_office
from tests.integration.conftest import Tenant, told

CHAT = {"model": "scripted", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture
async def office(server_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Office]:
    addresses = Addresses(
        database=server_url, redis=redis_url, objects=f"file://{tmp_path / 'objects'}", sandbox=tmp_path / "nobodys.sock"
    )
    narrow = {**TIERS["house"].model_dump(), "requests_per_minute": 1}
    async with open_office(addresses, tmp_path, {"tiers": {"narrow": narrow}, "default_tier": "narrow"}) as opened:
        yield opened


async def test_a_flood_of_keys_that_nobody_knows_is_a_record_in_ten_seconds(office: Office, database: Database) -> None:
    before = len(await told(database, PLATFORM, "sign_in.refused"))
    callers = [office.caller(f"pk_{n:048}") for n in range(300)]
    answers = await asyncio.gather(*(caller("GET", "/v1/models") for caller in callers))
    assert {answer.status_code for answer in answers} == {401}
    records = (await told(database, PLATFORM, "sign_in.refused"))[before:]
    assert 1 <= len(records) <= 3  # one, unless the flood took longer than ten seconds
    assert records[0]["outcome"] == "refused"
    assert "pk_0" not in json.dumps(records)


async def test_a_revoked_key_that_is_tried_on_is_told_to_its_own_organization(
    office: Office, tenant: Tenant, database: Database
) -> None:
    owner = office.caller(tenant.secret)
    made = await owner.made("/admin/v1/keys", {"name": "lost", "scopes": ["chat"]})
    thief = office.caller(made["secret"])
    await owner("DELETE", f"/admin/v1/keys/{made['id']}")
    await asyncio.gather(*(thief("GET", "/v1/models") for _ in range(50)))
    (record,) = (await told(database, tenant.principal.organization_id, "sign_in.refused"))[:1]
    assert (record["key"], record["details"]["code"]) == (made["id"], "key_revoked")
    assert len(await told(database, tenant.principal.organization_id, "sign_in.refused")) <= 2


async def test_who_asks_too_often_is_in_the_log_once(office: Office, tenant: Tenant, database: Database) -> None:
    caller = office.caller(tenant.secret)
    answers = await asyncio.gather(*(caller("POST", "/v1/chat/completions", CHAT) for _ in range(40)))
    assert 429 in {answer.status_code for answer in answers}
    (record, *more) = await told(database, tenant.principal.organization_id, "access.refused")
    assert len(more) <= 1
    assert record["details"]["action"] == "POST /v1/chat/completions"
    assert record["details"]["code"] == "rate_limit_exceeded"


async def test_who_brings_no_key_at_all_is_a_record_in_ten_seconds_too(office: Office, database: Database) -> None:
    before = len(await told(database, PLATFORM, "sign_in.refused"))
    headers = [{}, {"authorization": "Basic abc"}, {"authorization": "Bearer"}, {"authorization": "Bearer   "}] * 20
    answers = await asyncio.gather(*(office.client.get("/v1/models", headers=given) for given in headers))
    assert {(answer.status_code, answer.json()["error"]["code"]) for answer in answers} == {(401, "missing_api_key")}
    (record, *more) = (await told(database, PLATFORM, "sign_in.refused"))[before:]
    assert len(more) <= 2
    assert (record["details"], record["actor"]) == ({"code": "missing_api_key", "count": 1}, "unknown")
    assert record["request"].startswith("req_")


async def test_a_server_that_stops_tells_what_it_had_not_told(
    server_url: str, redis_url: str, tmp_path: Path, tenant: Tenant, database: Database
) -> None:
    objects = f"file://{tmp_path / 'objects'}"
    addresses = Addresses(database=server_url, redis=redis_url, objects=objects, sandbox=tmp_path / "nobodys.sock")
    async with open_office(addresses, tmp_path) as office:
        owner = office.caller(tenant.secret)
        made = await owner.made("/admin/v1/keys", {"name": "lost", "scopes": ["chat"]})
        await owner("DELETE", f"/admin/v1/keys/{made['id']}")
        thief = office.caller(made["secret"])
        await asyncio.gather(*(thief("GET", "/v1/models") for _ in range(30)))
    records = await told(database, tenant.principal.organization_id, "sign_in.refused")
    assert sum(record["details"]["count"] for record in records) == 30
    assert len(records) <= 4


async def test_a_server_that_runs_tells_the_rest_of_a_burst_that_nobody_repeats(
    office: Office, tenant: Tenant, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals_module, "QUIET_SECONDS", 1.5)
    owner = office.caller(tenant.secret)
    made = await owner.made("/admin/v1/keys", {"name": "lost", "scopes": ["chat"]})
    await owner("DELETE", f"/admin/v1/keys/{made['id']}")
    thief = office.caller(made["secret"])
    await asyncio.gather(*(thief("GET", "/v1/models") for _ in range(5)))
    async with asyncio.timeout(30):
        while True:
            records = await told(database, tenant.principal.organization_id, "sign_in.refused")
            if sum(record["details"]["count"] for record in records) == 5:
                break
            await asyncio.sleep(0.1)


async def test_what_was_not_told_as_it_happened_is_told_when_ten_seconds_are_over(database: Database, tenant: Tenant) -> None:
    now = 0.0
    refusals = Refusals(Directory(database).people, clock=lambda: now)
    refusal = Refusal(kind="access.refused", code="permission_denied", action="GET /x", **whose(tenant))
    for _ in range(100):
        await refusals.tell(refusal, "req_1")
    await refusals.settle(until=now)
    now = QUIET_SECONDS
    await refusals.settle(until=now)
    await refusals.tell(refusal, "req_2")  # of the ten seconds after those
    for now in (2 * QUIET_SECONDS, 3 * QUIET_SECONDS, 4 * QUIET_SECONDS):
        await refusals.settle(until=now)
    records = await told(database, tenant.principal.organization_id, "access.refused")
    assert [(record["details"]["count"], record["request"]) for record in records] == [(1, "req_1"), (99, None), (1, None)]
    assert {record["details"]["action"] for record in records} == {"GET /x"}
    assert not refusals._quiet


async def test_what_the_log_could_not_take_is_told_later(database: Database, tenant: Tenant, server_url: str) -> None:
    now = 0.0
    async with open_database(server_url.replace("@", "-nobody@")) as closed:
        refusals = Refusals(Directory(closed).people, clock=lambda: now)
        refusal = Refusal(kind="sign_in.refused", code="key_revoked", **whose(tenant))
        with pytest.raises(Unavailable):
            await refusals.tell(refusal, "req_1")
        await refusals.tell(refusal, "req_2")
        await refusals.settle()
        refusals._people = Directory(database).people
        await refusals.settle()
    (record,) = await told(database, tenant.principal.organization_id, "sign_in.refused")
    assert record["details"] == {"code": "key_revoked", "count": 2}


async def test_a_caller_who_tries_everything_costs_a_bounded_memory_and_is_counted(database: Database, tenant: Tenant) -> None:
    refusals = Refusals(Directory(database).people)
    for n in range(REMEMBERED + 20):
        refusal = Refusal(kind="access.refused", code="permission_denied", action=f"GET /{n}", **whose(tenant))
        for _ in range(2 if n == 0 else 1):
            await refusals.tell(refusal, None)
    assert len(refusals._quiet) == REMEMBERED
    records = await told(database, tenant.principal.organization_id, "access.refused")
    assert sum(record["details"]["count"] for record in records) == REMEMBERED + 21


def whose(tenant: Tenant) -> dict[str, str]:
    who = tenant.principal
    return {"organization_id": who.organization_id, "actor": who.user_id, "key_id": who.key_id}
