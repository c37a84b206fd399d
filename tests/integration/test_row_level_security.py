"""The wall behind every tenant filter: PostgreSQL shows a tenant's transaction its own rows, whatever the query says."""

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import create_async_engine

from core.errors import NotFound
from core.storage.connection import SCHEMA
from core.storage.conversations import ConversationStore
from core.storage.database import Database
from core.storage.embedded.postgres import EmbeddedPostgres
from core.storage.migrate import migrate
from core.storage.tables import METADATA, conversations
from tests.integration.conftest import Tenant

TENANT_TABLES = [table for table in METADATA.sorted_tables if "organization_id" in table.c]


async def test_a_query_without_its_filter_still_sees_no_foreign_row(
    database: Database, tenant: Tenant, other_tenant: Tenant
) -> None:
    store = ConversationStore(database)
    mine = await store.create(tenant.principal.organization_id, metadata={}, items=[])
    await store.create(other_tenant.principal.organization_id, metadata={}, items=[])
    async with database.tenant(tenant.principal.organization_id) as connection:
        seen = (await connection.execute(sa.select(conversations.c.id))).scalars().all()
    assert seen == [mine.id]


@pytest.mark.parametrize("table", TENANT_TABLES, ids=lambda table: table.name)
async def test_a_transaction_that_names_no_tenant_sees_nothing(database: Database, tenant: Tenant, table: sa.Table) -> None:
    for nobody in ("", "org_unknown"):
        async with database.tenant(nobody) as connection:
            assert (await connection.execute(sa.select(sa.func.count()).select_from(table))).scalar_one() == 0


async def test_a_tenant_cannot_write_a_row_for_another(database: Database, tenant: Tenant, other_tenant: Tenant) -> None:
    values = {"id": "conv_x", "organization_id": other_tenant.principal.organization_id, "metadata": "{}"}
    with pytest.raises(ProgrammingError, match="row-level security"):
        async with database.tenant(tenant.principal.organization_id) as connection:
            await connection.execute(sa.insert(conversations).values(values))


async def test_the_tenant_of_one_transaction_does_not_leak_into_the_next_on_its_connection(
    database: Database, tenant: Tenant
) -> None:
    async with database.tenant(tenant.principal.organization_id):
        pass
    async with database.app.connect() as connection:
        assert (await connection.execute(sa.text("SELECT count(*) FROM api_keys"))).scalar_one() == 0


async def test_another_tenants_object_is_simply_not_there(database: Database, tenant: Tenant, other_tenant: Tenant) -> None:
    store = ConversationStore(database)
    theirs = await store.create(other_tenant.principal.organization_id, metadata={}, items=[])
    with pytest.raises(NotFound) as refused:
        await store.get(tenant.principal.organization_id, theirs.id)
    with pytest.raises(NotFound) as unknown:
        await store.get(tenant.principal.organization_id, "conv_unknown")
    assert refused.value.message.replace(theirs.id, "X") == unknown.value.message.replace("conv_unknown", "X")


async def test_the_server_neither_owns_the_tables_nor_is_a_superuser(database: Database) -> None:
    for engine in (database.app, database.system):
        async with engine.connect() as connection:
            row = (
                await connection.execute(
                    sa.text(
                        "SELECT rolsuper OR rolbypassrls, current_user, session_user FROM pg_roles WHERE rolname = current_user"
                    )
                )
            ).one()
            owners = (
                (await connection.execute(sa.text(f"SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = '{SCHEMA}'")))
                .scalars()
                .all()
            )
        assert row[0] is False
        assert owners == ["paddock_owner"]
        assert row[2] == "paddock"


async def test_what_runs_as_the_owner_looks_for_nothing_in_temporary_tables_first(database: Database) -> None:
    """Else whoever may make some runs as the owner, too."""
    query = """SELECT p.proname, p.proconfig, has_function_privilege('public', p.oid, 'EXECUTE') FROM pg_proc p
        JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'paddock' AND p.prosecdef ORDER BY p.proname"""
    async with database.everyone() as connection:
        rows = (await connection.execute(sa.text(query))).all()
    path = ["search_path=paddock, pg_temp"]
    assert [tuple(row) for row in rows] == [("audit_forget", path, False), ("audit_release", path, False)]


async def test_what_was_asked_of_an_export_cannot_be_changed_by_who_asked(database: Database, tenant: Tenant) -> None:
    async with database.tenant(tenant.principal.organization_id) as connection:
        await connection.execute(sa.text("UPDATE audit_exports SET status = 'cancelled'"))
        with pytest.raises(sa.exc.DBAPIError, match="permission denied for table audit_exports"):
            await connection.execute(sa.text("UPDATE audit_exports SET request = '{}'"))


async def test_every_table_is_under_forced_row_level_security(database: Database) -> None:
    query = """SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'paddock' AND c.relkind = 'r' AND NOT (c.relrowsecurity AND c.relforcerowsecurity)"""
    async with database.everyone() as connection:
        assert (await connection.execute(sa.text(query))).scalars().all() == ["alembic_version"]


async def test_the_tables_in_code_are_the_tables_that_the_migrations_make(
    postgres: EmbeddedPostgres, database: Database
) -> None:
    engine = create_async_engine(
        sa.make_url(postgres.owner_url).set(drivername="postgresql+asyncpg"),
        connect_args={"server_settings": {"search_path": SCHEMA}},
    )
    async with engine.connect() as connection:
        differences = await connection.run_sync(
            lambda sync: compare_metadata(MigrationContext.configure(sync, opts={"compare_type": True}), METADATA)
        )
    await engine.dispose()
    assert [d for d in differences if "alembic_version" not in repr(d)] == []


async def test_migrating_twice_changes_nothing(postgres: EmbeddedPostgres, database: Database) -> None:
    await migrate(postgres.owner_url, server_login="paddock")
