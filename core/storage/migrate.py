"""Brings a database up to this version: roles, schema, then Alembic's migrations, under one advisory lock."""

import asyncio
from pathlib import Path

import asyncpg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from core.errors import ConfigurationError, Unavailable
from core.storage.connection import LOST, SCHEMA
from core.storage.embedded.postgres import refused
from core.supervisor import Child

ALEMBIC_INI = Path(__file__).parents[2] / "alembic.ini"
LOCK = 0x7061_6464_6F63_6B  # "paddock"; a second `paddock migrate` waits for the first
LOOK_SECONDS = 0.2
GO_ON = "what was not done of the migrations is done by the next try"


async def migrate(owner_url: str, *, server_login: str, embedded: Child | None = None) -> None:
    """owner_url: a login that may create roles and take the role paddock_owner. server_login: the one the server uses.
    embedded: PostgreSQL's process, where it is ours.

    Raises ConfigurationError when the database was made by a newer version, or cannot be reached or changed by that login;
    Unavailable when a table is in use for long, the disk is full and the like.
    """
    url = sa.make_url(owner_url).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            # Who waited in one statement would keep the other's CREATE INDEX CONCURRENTLY waiting for it: a deadlock.
            while not await connection.scalar(sa.text("SELECT pg_try_advisory_lock(:key)"), {"key": LOCK}):
                await connection.rollback()
                await asyncio.sleep(LOOK_SECONDS)
            await connection.run_sync(_migrate, server_login)
    except (*LOST, asyncpg.PostgresError) as exc:
        if embedded is not None:
            raise await refused(embedded, exc) from exc
        raise ConfigurationError(f"PADDOCK_DATABASE_OWNER_URL: cannot connect to PostgreSQL: {type(exc).__name__}") from exc
    except sa.exc.DBAPIError as exc:
        cause = (exc.orig and exc.orig.__cause__) or exc
        if isinstance(cause, asyncpg.LockNotAvailableError):
            raise Unavailable(f"a table is in use; {GO_ON}") from exc
        if embedded is not None:
            raise await refused(embedded, cause) from exc
        if isinstance(cause, asyncpg.InsufficientPrivilegeError):
            raise ConfigurationError(f"PADDOCK_DATABASE_OWNER_URL: its login may not do this: {cause}") from exc
        said = str(cause).partition("\n")[0]
        raise Unavailable(f"PostgreSQL did not do what a migration asked: {type(cause).__name__}: {said}; {GO_ON}") from exc
    finally:
        await engine.dispose()


def _migrate(connection: Connection, server_login: str) -> None:
    connection.execute(sa.text("SET lock_timeout = '5s'"))
    connection.execute(sa.text("SET statement_timeout = '60s'"))
    _make_roles(connection, server_login)
    connection.execute(sa.text("SET ROLE paddock_owner"))
    connection.execute(sa.text(f"SET search_path = {SCHEMA}"))
    config = Config(ALEMBIC_INI)
    config.attributes["connection"] = connection
    _refuse_newer(connection, config)
    connection.commit()  # settings and lock belong to the session; each migration is a transaction of its own
    command.upgrade(config, "head")
    _go_on_counting(connection)
    connection.commit()


def _make_roles(connection: Connection, server_login: str) -> None:
    """Roles belong to the whole cluster, so they are made here and not in a migration."""
    quoted = connection.dialect.identifier_preparer.quote(server_login)
    known = set(connection.execute(sa.text("SELECT rolname FROM pg_roles WHERE rolname LIKE 'paddock%'")).scalars())
    for role in ("paddock_owner", "paddock_app", "paddock_system"):
        if role not in known:
            connection.execute(sa.text(f"CREATE ROLE {role} NOLOGIN NOSUPERUSER NOBYPASSRLS"))
    connection.execute(sa.text("GRANT paddock_owner TO CURRENT_USER"))
    connection.execute(sa.text(f"GRANT paddock_app, paddock_system TO {quoted} WITH INHERIT FALSE, SET TRUE"))
    connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA} AUTHORIZATION paddock_owner"))
    connection.execute(sa.text(f"GRANT USAGE ON SCHEMA {SCHEMA} TO paddock_app, paddock_system"))


def _go_on_counting(connection: Connection) -> None:
    """After a restore into a new cluster transactions have low numbers again; the audit log's moments must not (see 0006)."""
    moments = "SELECT max(moment) AS moment FROM audit_records UNION SELECT max(end_moment) FROM audit_checkpoints"
    last = connection.scalar(sa.text(f"SELECT max(moment) FROM ({moments})"))  # noqa: S608 - a constant
    now = connection.scalar(sa.text("SELECT audit_offset() + pg_current_xact_id()::text::bigint"))
    if last is not None and now <= last:
        offset = connection.scalar(sa.text("SELECT audit_offset()")) + last - now + 1
        connection.execute(
            sa.text(f"CREATE OR REPLACE FUNCTION audit_offset() RETURNS bigint LANGUAGE sql IMMUTABLE RETURN {offset:d}")
        )


def _refuse_newer(connection: Connection, config: Config) -> None:
    current = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise ConfigurationError(
            f"the database is at migration {current!r}, which is newer than this Paddock; nothing was changed"
        )
