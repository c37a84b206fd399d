"""One connection to PostgreSQL: how it is opened, and what it raises when the server goes away or says no."""

import logging
import os
import socket
from collections.abc import Mapping
from typing import Any

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from core.errors import Unavailable

log = logging.getLogger(__name__)
SCHEMA = "paddock"
SILENT_SECONDS = 20
WRITABLE = SessionAttribute.read_write
LOST = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a query that meets the end of its connection
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.IdleSessionTimeoutError,
    asyncpg.IdleInTransactionSessionTimeoutError,
)
"""What asyncpg raises when the server went away; `DatabaseUnavailable` is what it becomes."""
PASSING = (
    asyncpg.TransactionRollbackError,  # a deadlock
    asyncpg.InvalidCachedStatementError,  # a migration has changed its table; it is prepared anew for who asks next
)
"""What it says no to once, and perhaps not when it is asked again."""
REFUSED = (
    *PASSING,
    asyncpg.InsufficientResourcesError,  # a full disk
    asyncpg.OperatorInterventionError,
    asyncpg.LockNotAvailableError,
    asyncpg.ReadOnlySQLTransactionError,  # another server has taken its place
    asyncpg.PostgresSystemError,
)
"""What PostgreSQL says no to though nothing is wrong with what it was asked."""


class DatabaseUnavailable(Unavailable):
    code = "database_unavailable"


def refusal(cause: BaseException) -> DatabaseUnavailable:
    """What one of `REFUSED` becomes, and operators are told of."""
    log.error("PostgreSQL refused a statement: %s", type(cause).__name__)
    return DatabaseUnavailable(f"PostgreSQL refused a statement: {type(cause).__name__}")


def _notice_silence(connection: "asyncpg.Connection[Any]") -> None:
    """A server that is gone without a word (its address moved, a firewall forgot us) is noticed in `SILENT_SECONDS`: tcp(7)."""
    descriptor = connection._transport.get_extra_info("socket").fileno()  # type: ignore[attr-defined]
    with socket.socket(fileno=os.dup(descriptor)) as twin:
        if twin.family not in (socket.AF_INET, socket.AF_INET6):
            return
        twin.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        twin.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, SILENT_SECONDS // 2)
        twin.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, SILENT_SECONDS // 4)
        twin.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 2)
        twin.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENT_SECONDS * 1000)


async def connect(url: str, role: str, more_settings: Mapping[str, str] | None = None) -> "asyncpg.Connection[Any]":
    """Raises DatabaseUnavailable, also where only a standby answers, as it may for a moment while another takes its place."""
    plain = "postgresql" + url[url.index("://") :]  # without the name of a driver
    settings = {"role": role, "search_path": SCHEMA, "application_name": "paddock", **(more_settings or {})}
    try:
        connection = await asyncpg.connect(plain, server_settings=settings, timeout=10, target_session_attrs=WRITABLE)
        _notice_silence(connection)
        return connection
    except (*LOST, TimeoutError, asyncpg.PostgresError) as exc:  # the latter: no such database, too many connections
        raise DatabaseUnavailable(f"cannot connect to PostgreSQL: {type(exc).__name__}") from exc
