"""A queue of any length: what is taken from it is found at its head, and the rest is not looked at."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from core.storage import leases
from core.storage.database import Database
from core.storage.leases import Leases
from core.storage.tables import turns as rows
from tests.integration.conftest import Tenant

WAITING = 5_000
KEYS = 3_000
FILL = sa.text("""
    INSERT INTO turns (id, organization_id, user_id, key_id, model, status, stored, wire, request, metadata, created_at,
        lease_owner, lease_epoch, lease_expires_at, queue, cancel_requested_at)
    SELECT :organization_id || n, :organization_id, 'u', 'k', 'm', 'pending', true, 'responses/1', '{}', '{}',
        now() + make_interval(secs => n), 'nobody', 1, now(), n % 2, CASE WHEN n = :cancelled THEN now() END
    FROM generate_series(1, :turns) n
""")
ADD_KEYS = sa.text("""
    INSERT INTO api_keys (id, organization_id, user_id, name, prefix, secret_sha256, scopes)
    SELECT :user_id || n, :organization_id, :user_id, 'k', 'p', :user_id || n, '{chat}' FROM generate_series(1, :keys) n
""")
TAKE: Mapping[str, Any] = {"limit": 8, "looked_at": 28, "owner": "me", "seconds": 10}


def nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


async def test_a_take_reads_the_heads_of_the_queues_and_no_more(
    database: Database, tenant: Tenant, other_tenant: Tenant
) -> None:
    async with database.everyone() as connection:
        of = tenant.principal
        await connection.execute(ADD_KEYS, {"organization_id": of.organization_id, "user_id": of.user_id, "keys": KEYS})
        for whose, turns in ((tenant, WAITING), (other_tenant, 3)):
            home = whose.principal.organization_id
            await connection.execute(FILL, {"organization_id": home, "turns": turns, "cancelled": WAITING - 1})
        explain = sa.text("EXPLAIN (ANALYZE, FORMAT JSON) " + leases._TAKE_QUEUED.text)
        for cancelled in (False, True):
            async with connection.begin_nested() as tried:
                told = await connection.scalar(explain, {**TAKE, "cancelled": cancelled})
                await tried.rollback()
            assert max(node["Actual Rows"] * node["Actual Loops"] for node in nodes(told[0]["Plan"])) < WAITING / 10
        taken = (await connection.execute(leases._TAKE_QUEUED, {**TAKE, "cancelled": False})).all()
        await connection.rollback()
    ids = [row.id for row in taken]
    one, other = tenant.principal.organization_id, other_tenant.principal.organization_id
    expected = {f"{one}{WAITING - 1}", *(f"{one}{2 * n}" for n in range(1, 7)), f"{other}2"}
    assert set(ids) == expected


async def test_processes_that_take_at_the_same_moment_take_others(database: Database, tenant: Tenant) -> None:
    home = tenant.principal.organization_id
    async with database.everyone() as connection:
        await connection.execute(FILL, {"organization_id": home, "turns": 40, "cancelled": 40})
    try:
        servers = [Leases(database, owner=f"server {n}", seconds=10) for n in range(4)]
        taken = await asyncio.gather(*(server.take_queued(limit=5, cancelled=False) for server in servers))
        ids = [orphan.turn.id for one in taken for orphan in one]
        assert len(ids) == len(set(ids)) == 20
    finally:
        async with database.everyone() as connection:
            await connection.execute(sa.delete(rows).where(rows.c.organization_id == home))
