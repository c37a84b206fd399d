"""Callers who knock on and on: what they were refused is in the audit log, and they fill no table."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from core.bootstrap import Addresses
from core.config import TIERS
from core.identity.refusals import QUIET_SECONDS, REMEMBERED, Refusals
from core.storage.audit import PLATFORM
from core.storage.database import Database
from core.storage.directory import Directory
from tests.doubles.office import Office, open_office
from tests.integration.conftest import Tenant

CHAT = {"model": "scripted", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture
async def office(server_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Office]:
    addresses = Addresses(
        database=server_url, redis=redis_url, objects=f"file://{tmp_path / 'objects'}", sandbox=tmp_path / "nobodys.sock"
    )
    narrow = {**TIERS["house"].model_dump(), "requests_per_minute": 1}
    async with open_office(addresses, tmp_path, {"tiers": {"narrow": narrow}, "default_tier": "narrow"}) as opened:
        yield opened


async def told(database: Database, organization_id: str, kind: str) -> list[dict[str, Any]]:
    query = "SELECT record::text FROM audit_records WHERE organization_id = :who AND kind = :kind ORDER BY moment, id"
    async with database.everyone() as connection:
        lines = (await connection.execute(sa.text(query), {"who": organization_id, "kind": kind})).scalars().all()
    return [json.loads(line) for line in lines]


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


async def test_what_was_not_told_one_by_one_is_counted_in_the_next_record(database: Database, tenant: Tenant) -> None:
    now = 0.0
    refusals = Refusals(Directory(database).people, clock=lambda: now)
    for _ in range(100):
        await refusals.access(tenant.principal, "GET /x", "permission_denied")
    now = QUIET_SECONDS
    await refusals.access(tenant.principal, "GET /x", "permission_denied")
    records = await told(database, tenant.principal.organization_id, "access.refused")
    assert [record["details"]["before"] for record in records] == [0, 99]


async def test_a_caller_who_tries_everything_costs_a_bounded_memory(database: Database, tenant: Tenant) -> None:
    refusals = Refusals(Directory(database).people)
    for n in range(REMEMBERED + 20):
        refusals._since("key_1", f"action {n}")
    assert len(refusals._told) == REMEMBERED
