"""Migrations that were cut off, that meet others, or a database that says no: nothing is half done, and the reason is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
import sqlalchemy as sa

from core.errors import ConfigurationError, Unavailable
from core.storage.embedded.postgres import EmbeddedPostgres
from core.storage.migrate import migrate

NAME = "cut_off"


async def test_an_index_whose_migration_was_cut_off_is_built_anew(postgres: EmbeddedPostgres) -> None:
    address = sa.make_url(postgres.owner_url).set(database=NAME).render_as_string(hide_password=False)
    owner = await asyncpg.connect(postgres.owner_url)
    await owner.execute(f"CREATE DATABASE {NAME}")
    try:
        await migrate(address, server_login="paddock")
        there = await asyncpg.connect(address, server_settings={"search_path": "paddock"})
        await there.execute("UPDATE alembic_version SET version_num = '0012'")
        await there.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'conversations_by_source'::regclass")
        await migrate(address, server_login="paddock")
        assert await there.fetch("SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid") == []
        await there.close()
    finally:
        await owner.execute(f"DROP DATABASE {NAME} WITH (FORCE)")
        await owner.close()


@asynccontextmanager
async def database_of_its_own(postgres: EmbeddedPostgres, name: str) -> AsyncIterator[str]:
    owner = await asyncpg.connect(postgres.owner_url)
    await owner.execute(f"CREATE DATABASE {name}")
    try:
        yield sa.make_url(postgres.owner_url).set(database=name).render_as_string(hide_password=False)
    finally:
        await owner.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await owner.close()


async def test_functions_that_trust_temporary_tables_are_replaced_also_the_second_time(postgres: EmbeddedPostgres) -> None:
    async with database_of_its_own(postgres, "trusting") as address:
        for _ in range(2):
            await migrate(address, server_login="paddock")
            there = await asyncpg.connect(address, server_settings={"search_path": "paddock"})
            path = "SELECT proconfig FROM pg_proc WHERE proname IN ('audit_release', 'audit_forget')"
            assert [row["proconfig"] for row in await there.fetch(path)] == [["search_path=paddock, pg_temp"]] * 2
            await there.execute("UPDATE alembic_version SET version_num = '0023'")
            await there.execute("ALTER FUNCTION audit_release(text) SET search_path = paddock")
            await there.close()


async def test_of_two_that_migrate_at_once_one_waits_for_the_other(postgres: EmbeddedPostgres) -> None:
    async with database_of_its_own(postgres, "at_once") as address:
        await asyncio.gather(*(migrate(address, server_login="paddock") for _ in range(3)))


async def test_a_table_that_is_in_use_and_a_server_that_is_not_there_are_told(postgres: EmbeddedPostgres) -> None:
    async with database_of_its_own(postgres, "in_use") as address:
        await migrate(address, server_login="paddock")
        there = await asyncpg.connect(address, server_settings={"search_path": "paddock"})
        await there.execute("UPDATE alembic_version SET version_num = '0017'")
        async with there.transaction():
            await there.execute("LOCK TABLE alembic_version")
            with pytest.raises(Unavailable, match="in use"):
                await migrate(address, server_login="paddock")
        await there.close()
    with pytest.raises(ConfigurationError, match="PADDOCK_DATABASE_OWNER_URL: cannot connect"):
        await migrate("postgresql://a:b@127.0.0.1:1/x", server_login="paddock")


@pytest.mark.parametrize("embedded", [False, True])
async def test_a_database_that_says_no_is_told_and_its_log_where_it_is_ours(postgres: EmbeddedPostgres, embedded: bool) -> None:
    """As one on a full disk does."""
    told = (
        r"cannot do its work: ReadOnly.*; log: .*postgres\.log" if embedded else "did not do what a migration asked: ReadOnly"
    )
    async with database_of_its_own(postgres, "says_no") as address:
        owner = await asyncpg.connect(postgres.owner_url)
        await owner.execute("ALTER DATABASE says_no SET default_transaction_read_only = on")
        await owner.close()
        with pytest.raises(Unavailable, match=told):
            await migrate(address, server_login="paddock", embedded=postgres.child if embedded else None)
