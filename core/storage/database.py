"""Two pools of connections to PostgreSQL, one for each role the server may take, and single connections beside them.

`paddock_app` sees the rows of the tenant that its transaction names (row-level security, migrations/versions/0001);
`paddock_system` sees every tenant's: key lookup, the journal's writer and upkeep use it, nothing that serves a tenant's data.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import asyncpg
import sqlalchemy as sa
from sqlalchemy.engine.interfaces import AdaptedConnection
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from core.errors import InvalidRequest
from core.storage.connection import REFUSED, DatabaseUnavailable, connect, refusal
from core.storage.grouped_reads import GroupedReads

GOODBYE_SECONDS = 5.0
NO_TEXT = (asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """reads: of the system role, every tenant's rows, for what each request asks first. leases: one connection of that role."""

    app: AsyncEngine
    system: AsyncEngine
    leases: AsyncEngine
    reads: GroupedReads

    @asynccontextmanager
    async def tenant(self, organization_id: str) -> AsyncGenerator[AsyncConnection, None]:
        """One transaction that sees and writes one organisation's rows. Commits at the end, or rolls back."""
        async with _transaction(self.app) as connection:
            await connection.execute(_SET_TENANT, {"organization_id": organization_id})
            yield connection

    @asynccontextmanager
    async def everyone(self) -> AsyncGenerator[AsyncConnection, None]:
        """One transaction of the system role: every tenant's rows. The caller filters."""
        async with _transaction(self.system) as connection:
            yield connection

    @asynccontextmanager
    async def leasing(self) -> AsyncGenerator[AsyncConnection, None]:
        """As `everyone`, over a connection that nothing else has: no slow statement of others costs a turn its lease."""
        async with _transaction(self.leases) as connection:
            yield connection

    async def connect(self, settings: Mapping[str, str] | None = None) -> "asyncpg.Connection[Any]":
        """A connection of the system role outside the pools, owned by the caller, for what needs one of its own.

        settings: of PostgreSQL, for this session.
        """
        return await connect(self.address, "paddock_system", settings)

    @property
    def address(self) -> str:
        """With its password: for processes of ours that connect by themselves."""
        return self.system.url.render_as_string(hide_password=False)

    @property
    def connections_in_use(self) -> dict[str, float]:
        """Of each role's pool."""
        return {"app": _in_use(self.app), "system": _in_use(self.system)}

    async def ping(self) -> None:
        """Raises DatabaseUnavailable, also of a server that may only be read."""
        async with _transaction(self.system) as connection:
            await connection.execute(_AS_IF_TO_WRITE)


async def hold(connection: AsyncConnection, what: str, organization_id: str) -> None:
    """Until the transaction's end nobody else holds the organization's: for what is counted, and then added to."""
    await connection.execute(_HOLD, {"name": f"{what} of {organization_id}"})


_HOLD = sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
_AS_IF_TO_WRITE = sa.text("SELECT FROM turns WHERE false FOR KEY SHARE")
_SET_TENANT = sa.text("SELECT set_config('paddock.organization_id', :organization_id, true)")


@asynccontextmanager
async def open_database(url: str, *, pool_size: int = 10) -> AsyncGenerator[Database, None]:
    """url: `postgresql://user:password@host:port/name` or `postgresql://user@/name?host=/socket/directory`.

    Opens no connection yet. The login must be a member of both roles (`migrate` grants them).
    """
    app = _engine(url, "paddock_app", pool_size)
    system = _engine(url, "paddock_system", pool_size)
    leases = _engine(url, "paddock_system", 1)
    reads = GroupedReads(partial(connect, url, "paddock_system"))
    try:
        yield Database(app=app, system=system, leases=leases, reads=reads)
    finally:
        await reads.close()
        for engine in (leases, system, app):
            with suppress(TimeoutError):  # of a server that does not even say good-bye
                async with asyncio.timeout(GOODBYE_SECONDS):
                    await engine.dispose()


def _in_use(engine: AsyncEngine) -> int:
    pool = engine.pool
    assert isinstance(pool, AsyncAdaptedQueuePool)
    return pool.checkedout()


def _engine(url: str, role: str, pool_size: int) -> AsyncEngine:
    engine = create_async_engine(
        sa.make_url(url).set(drivername="postgresql+asyncpg"),
        async_creator=partial(connect, url, role),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=10,
        pool_pre_ping=False,
        hide_parameters=True,
    )
    sa.event.listen(engine.sync_engine, "checkout", _refuse_dead)
    sa.event.listen(engine.sync_engine, "handle_error", _leave_read_only)
    return engine


def _refuse_dead(connection: AdaptedConnection, _record: object, _proxy: object) -> None:
    """Whose server is known to be gone; the pool opens another one. It costs no round trip, as a ping would."""
    if connection.driver_connection.is_closed():
        raise sa.exc.DisconnectionError


def _leave_read_only(context: sa.ExceptionContext) -> None:
    """Of a server that may only be read the whole pool is given up."""
    if isinstance(context.original_exception.__cause__, asyncpg.ReadOnlySQLTransactionError):
        context.is_disconnect = True


@asynccontextmanager
async def _transaction(engine: AsyncEngine) -> AsyncGenerator[AsyncConnection, None]:
    try:
        async with engine.begin() as connection:
            yield connection
    except (InterfaceError, sa.exc.TimeoutError, OSError) as exc:
        raise DatabaseUnavailable(f"PostgreSQL does not answer: {type(exc).__name__}") from exc
    except DBAPIError as exc:
        cause = exc.orig and exc.orig.__cause__
        if isinstance(cause, NO_TEXT) or isinstance(cause and cause.__cause__, UnicodeEncodeError):
            raise InvalidRequest("a text holds a character that cannot be stored", code="invalid_text") from exc
        if exc.connection_invalidated:
            raise DatabaseUnavailable("the connection to PostgreSQL was lost") from exc
        if isinstance(cause, REFUSED):
            raise refusal(cause) from exc
        raise
