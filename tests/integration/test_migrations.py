"""Migrations that were cut off: run again, they leave the database as one that was not."""

import asyncpg
import sqlalchemy as sa

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
