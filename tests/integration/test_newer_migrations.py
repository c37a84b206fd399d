"""A server of this release, while `paddock migrate` of a newer one changes the tables under it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
import sqlalchemy as sa

from core.errors import ConfigurationError
from core.events import TurnQueued, TurnStarted, TurnStatus
from core.ids import new_id
from core.storage.audit import AuditRecord
from core.storage.batches import BatchStore
from core.storage.connection import DatabaseUnavailable
from core.storage.database import Database
from core.storage.embedded.postgres import EmbeddedPostgres
from core.storage.journal import Entry, Journal, Places
from core.storage.leases import Leases
from core.storage.migrate import migrate
from tests.integration.conftest import Stage, Tenant
from tests.integration.test_journal import a_turn, acceptance, journal
from tests.integration.test_migrations import database_of_its_own

__all__ = ["journal"]  # the fixture


@pytest.mark.parametrize("behind", ["empty", "older", "much_older"])
async def test_a_database_that_was_not_migrated_is_told_and_not_served(
    stage: Stage, postgres: EmbeddedPostgres, behind: str
) -> None:
    async with database_of_its_own(postgres, f"not_{behind}") as address:
        if behind != "empty":
            await migrate(address, server_login="paddock")
            there = await asyncpg.connect(address, server_settings={"search_path": "paddock"})
            await there.execute("UPDATE alembic_version SET version_num = '0017'")
            if behind == "much_older":
                await there.execute("REVOKE SELECT ON alembic_version FROM paddock_system")
            await there.close()
        server = sa.make_url(postgres.server_url).set(database=f"not_{behind}").render_as_string(hide_password=False)
        with pytest.raises(ConfigurationError, match="paddock migrate"):
            async with replace(stage, addresses=replace(stage.addresses, database=server)).open_with({"reply": "x"}):
                pass
        await migrate(address, server_login="paddock")
        async with replace(stage, addresses=replace(stage.addresses, database=server)).open_with({"reply": "x"}):
            pass


@asynccontextmanager
async def added_columns(postgres: EmbeddedPostgres) -> AsyncIterator[None]:
    owner = await asyncpg.connect(postgres.owner_url, server_settings={"search_path": "paddock"})
    try:
        await owner.execute("ALTER TABLE turns ADD COLUMN newer text; ALTER TABLE batches ADD COLUMN newer text")
        yield
    finally:
        await owner.execute("ALTER TABLE turns DROP COLUMN IF EXISTS newer; ALTER TABLE batches DROP COLUMN IF EXISTS newer")
        await owner.close()


async def a_batch(store: BatchStore, tenant: Tenant) -> None:
    """Whose turn is before all others'."""
    who, now = tenant.principal, datetime.now(UTC)
    made = {"principal": "{}", "endpoint": "/v1/responses", "input_file_id": "file_x", "completion_window": "24h"}
    times = {"worked_until": now - timedelta(days=1), "created_at": now, "expires_at": now + timedelta(days=1)}
    await store.add(AuditRecord.by(who, "batch.created", new_id("batch")), {**made, **times, "metadata": {}})


async def test_a_column_that_a_newer_release_adds_does_not_keep_a_running_server_from_taking_turns_and_batches(
    journal: Journal, database: Database, tenant: Tenant, postgres: EmbeddedPostgres
) -> None:
    leases, batches = Leases(database, owner="other", seconds=10), BatchStore(database)
    orphan, queued = a_turn(tenant), replace(a_turn(tenant), status=TurnStatus.PENDING, queue=0)
    assert not await leases.take_orphans(limit=9)
    assert not await leases.take_queued(limit=9, cancelled=False)
    await batches.take("other")
    async with added_columns(postgres):
        await journal.open_turn(acceptance(orphan, lease_seconds=0), publish=lambda _: None).record(Entry(event=TurnStarted()))
        waits = replace(acceptance(queued), places=Places(of_one=9, of_all=9))
        await journal.open_turn(waits, publish=lambda _: None).record(Entry(event=TurnQueued()))
        await a_batch(batches, tenant)
        assert [taken.turn.id for taken in await leases.take_orphans(limit=9)] == [orphan.id]
        assert [taken.turn.id for taken in await leases.take_queued(limit=9, cancelled=False)] == [queued.id]
        taken = await batches.take("other")
    assert taken is not None
    assert taken.organization_id == tenant.principal.organization_id


async def test_a_statement_that_a_migration_has_overtaken_is_an_outage_once_and_passes_when_it_is_tried_again(
    database: Database, postgres: EmbeddedPostgres
) -> None:
    async def everything() -> int:
        async with database.everyone() as connection:
            return len((await connection.execute(sa.text("SELECT * FROM turns LIMIT 0"))).keys())

    columns = await everything()
    async with added_columns(postgres):
        with pytest.raises(DatabaseUnavailable, match="InvalidCachedStatementError"):
            await everything()
        assert await everything() == columns + 1
