"""The embedded PostgreSQL server: started, waited for, stopped. It knows no table; the data directory is `cluster.py`'s."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg

from core.errors import Conflict, Unavailable
from core.filelock import exclusive
from core.storage.connection import LOST
from core.storage.embedded.cluster import LOGIN, SUPERUSER, Cluster, prepare_cluster, write_access
from core.storage.embedded.ownership import serving_account
from core.storage.embedded.places import socket_directory
from core.supervisor import Child, Notify, Program, answer, heed_cancellation, running

SOCKET = ".s.PGSQL.5432"
START_SECONDS = 300.0  # recovery after a crash may take minutes; an end of the process is seen at once
LEFT_OVER_SECONDS = 15.0
LAST_WORDS_SECONDS = 0.1  # what it wrote before it hung up is on its way
FAST_SHUTDOWN = signal.SIGINT  # without waiting for clients, and clean: nothing to recover
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "shared_buffers": "96MB",
    "max_wal_size": "512MB",
    "min_wal_size": "80MB",
    "checkpoint_completion_target": "0.9",
    "io_method": "sync",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}
NOT_DURABLE = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedPostgres:
    """owner_url: the superuser, for migrations. server_url: the server's login, which owns nothing.

    child: its process, so that whoever opened it can notice its end.
    """

    owner_url: str
    server_url: str
    child: Child


@asynccontextmanager
async def open_postgres(
    home: Path, *, durable: bool = True, connections: int = 50, notify: Notify = print
) -> AsyncIterator[EmbeddedPostgres]:
    """A PostgreSQL of our own for as long as the context lasts; its data stays in `home`.

    durable: False trades the data's safety for speed, for tests. connections: at once; a server takes up to 25.

    Raises `Conflict` where another process holds the data, `ConfigurationError` or `Unavailable` (with the log's last lines)
    where it cannot start.
    """
    account = serving_account(home)
    async with AsyncExitStack() as stack:
        try:
            stack.enter_context(_locked(home))
            sockets = stack.enter_context(socket_directory(home, "postgres", account, f"{SOCKET}.lock"))
            cluster = await prepare_cluster(home, account, durable=durable, notify=notify)
            await _wait_for_left_over(cluster)
            write_access(cluster.data, account)
            child = await stack.enter_async_context(running(_server(cluster, sockets, connections), home / "logs"))
        except OSError as exc:
            raise Unavailable(f"the embedded PostgreSQL cannot use {home}: {exc}") from exc
        address = f"postgresql://{{}}@/{{}}?host={sockets}"
        await _prepare_login(child, address.format(SUPERUSER, "postgres"))
        yield EmbeddedPostgres(owner_url=address.format(SUPERUSER, LOGIN), server_url=address.format(LOGIN, LOGIN), child=child)


def _locked(home: Path) -> AbstractContextManager[int]:
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    return exclusive(home / "postgres.lock", f"another process runs the database in {home}")


def _server(cluster: Cluster, sockets: Path, connections: int) -> Program:
    own = {"unix_socket_directories": f'"{sockets}"', "max_connections": str(connections)}
    settings = SETTINGS | own | ({} if cluster.durable else NOT_DURABLE)
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    program = cluster.program("postgres", "-D", str(cluster.data), *options)
    return replace(program, stop_signal=FAST_SHUTDOWN, death_signal=FAST_SHUTDOWN, stop_seconds=30.0)


async def _wait_for_left_over(cluster: Cluster) -> None:
    """A server whose parent was killed is still writing its last pages: let it end.

    A process id in `postmaster.pid` that now belongs to something else would make PostgreSQL refuse to start: such a file goes.
    So does one that names none at a second look either, as a machine's crash leaves it.
    """
    file = cluster.data / "postmaster.pid"
    for look in range(int(LEFT_OVER_SECONDS / 0.05)):
        try:
            named = file.read_text(errors="replace").partition("\n")[0]
        except FileNotFoundError:
            return
        pid = int(named) if named.isdecimal() else 0
        if (pid or look) and not _serves(pid, cluster.data):
            file.unlink(missing_ok=True)
            return
        await asyncio.sleep(0.05)
    raise Conflict(f"another PostgreSQL, process {pid}, uses {cluster.data}; stop it first (kill -INT {pid})")


def _serves(pid: int, data: Path) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    directory = Path(f"/proc/{pid}/cwd")
    try:
        return directory.samefile(data)
    except OSError:
        return not Path("/proc/self").exists()  # without /proc, better believe the file


async def refused(child: Child, error: BaseException) -> Unavailable:
    """What a full disk, say, or a file that is not the server's own becomes: what PostgreSQL said, and its last words."""
    heed_cancellation()
    await asyncio.sleep(LAST_WORDS_SECONDS)
    said = str(error).partition("\n")[0]
    return Unavailable(f"the embedded PostgreSQL cannot do its work: {type(error).__name__}: {said}; {child.last_words}")


async def _prepare_login(child: Child, url: str) -> None:
    """Once the server answers, make the login and the database where they are missing."""
    refusals = (OSError, TimeoutError, asyncpg.CannotConnectNowError)
    connect = partial(asyncpg.connect, url, timeout=10)
    try:
        connection = await answer(child, connect, refusals=refusals, within_seconds=START_SECONDS)
        await _make_login(connection)
    except (*LOST, asyncpg.PostgresError) as exc:
        raise await refused(child, exc) from exc


async def _make_login(connection: "asyncpg.Connection[Any]") -> None:
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", LOGIN):
            await connection.execute(f"CREATE ROLE {LOGIN}")
        await connection.execute(
            f"ALTER ROLE {LOGIN} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOREPLICATION NOBYPASSRLS"
        )
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", LOGIN):
            await connection.execute(f"CREATE DATABASE {LOGIN}")
    finally:
        await connection.close()
