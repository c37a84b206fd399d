"""The embedded PostgreSQL as an operator treats it: starts, kills, odd homes, full disks, other versions."""

import asyncio
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import pytest
import sqlalchemy as sa

from core.accounts import server_account
from core.errors import ConfigurationError, Conflict, Unavailable
from core.storage.database import open_database
from core.storage.embedded.cluster import Cluster, installations, write_access
from core.storage.embedded.places import owned_directory, socket_directory
from core.storage.embedded.postgres import EmbeddedPostgres, open_postgres
from core.storage.embedded.redis import open_redis
from core.storage.migrate import migrate
from core.supervisor import running
from tests.conftest import quiet

HOLDER = """
import asyncio, sys
from pathlib import Path
from core.storage.embedded.postgres import open_postgres

async def main():
    async with open_postgres(Path(sys.argv[1]), durable=False, notify=lambda _: None) as postgres:
        print(postgres.child.pid, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


async def execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def ask(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def until_gone(pid: int) -> None:
    async with asyncio.timeout(30):
        while Path(f"/proc/{pid}").exists():
            await asyncio.sleep(0.02)


def tree(home: Path) -> dict[str, float]:
    return {str(path): path.stat().st_mtime for path in home.rglob("*")}


async def test_the_servers_login_may_do_nothing_of_its_own(postgres: EmbeddedPostgres) -> None:
    flags = "rolsuper OR rolcreatedb OR rolcreaterole OR rolinherit OR rolreplication OR rolbypassrls"
    assert await ask(postgres.server_url, f"SELECT {flags} FROM pg_roles WHERE rolname = current_user") is False
    assert await ask(postgres.owner_url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is True


async def test_no_other_role_gets_in(postgres: EmbeddedPostgres) -> None:
    await execute(postgres.owner_url, "CREATE ROLE stranger LOGIN")
    try:
        with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match="Peer authentication failed"):
            await ask(postgres.server_url.replace("paddock@", "stranger@"), "SELECT 1")
    finally:
        await execute(postgres.owner_url, "DROP ROLE stranger")


async def test_it_listens_on_a_private_socket_only_and_never_runs_as_root(postgres: EmbeddedPostgres) -> None:
    assert await ask(postgres.owner_url, "SHOW listen_addresses") == ""
    assert Path(postgres.server_url.split("host=")[1]).stat().st_mode & 0o077 == 0
    assert Path(f"/proc/{postgres.child.pid}").stat().st_uid != 0


async def test_the_data_is_durable_checked_and_sorted_the_same_everywhere(tmp_path: Path) -> None:
    async with open_postgres(tmp_path, notify=quiet) as postgres:
        url = postgres.owner_url
        assert [await ask(url, f"SHOW {name}") for name in ("fsync", "data_checksums")] == ["on", "on"]
        provider = "SELECT datlocprovider::text || ' ' || datlocale FROM pg_database WHERE datname = 'paddock'"
        assert await ask(url, provider) == "b C.UTF-8"


async def test_what_was_stored_is_there_after_a_stop_and_after_a_kill(tmp_path: Path) -> None:
    async with open_postgres(tmp_path, notify=quiet) as postgres:
        await execute(postgres.owner_url, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)")
    async with open_postgres(tmp_path, notify=quiet) as postgres:
        await execute(postgres.owner_url, "INSERT INTO kept VALUES (2)")
        os.kill(postgres.child.pid, signal.SIGKILL)
        assert await postgres.child.wait() == -signal.SIGKILL
    async with open_postgres(tmp_path, notify=quiet) as postgres:
        assert await ask(postgres.owner_url, "SELECT sum(n) FROM kept") == 3


async def test_it_dies_with_its_parent_and_the_next_start_finds_its_data_free(tmp_path: Path) -> None:
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, tmp_path, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert holder.stdout is not None
    pid = int(await holder.stdout.readline())
    holder.kill()
    await holder.communicate()
    async with open_postgres(tmp_path, durable=False, notify=quiet) as postgres:  # at once: the old one may still be stopping
        assert await ask(postgres.server_url, "SELECT 1") == 1
    await until_gone(pid)


async def test_a_second_one_on_the_same_data_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    async with open_postgres(tmp_path, durable=False, notify=quiet) as postgres:
        with pytest.raises(Conflict, match="another process runs the database in"):
            async with open_postgres(tmp_path, durable=False, notify=quiet):
                pass
        assert await ask(postgres.server_url, "SELECT 1") == 1


@pytest.mark.parametrize("left", [f"{os.getpid()}\n/data\n", "", "\0" * 90], ids=["another program's", "none", "zeros"])
async def test_a_process_id_that_is_no_servers_stops_nobody(tmp_path: Path, left: str) -> None:
    async with open_postgres(tmp_path, durable=False, notify=quiet):
        pass
    (data,) = (tmp_path / "postgres").iterdir()
    (data / "postmaster.pid").write_text(left)
    async with open_postgres(tmp_path, durable=False, notify=quiet) as postgres:
        assert await ask(postgres.server_url, "SELECT 1") == 1


async def test_a_server_that_has_stopped_when_it_is_looked_for_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file goes between two looks, of which the first saw it."""
    async with open_postgres(tmp_path, durable=False, notify=quiet):
        pass
    (data,) = (tmp_path / "postgres").iterdir()
    (data / "postmaster.pid").write_text(f"{os.getpid()}\n{data}\n")
    read_text = Path.read_text

    def gone(path: Path, **options: str) -> str:
        if path.name == "postmaster.pid":
            path.unlink(missing_ok=True)
        return read_text(path, **options)

    monkeypatch.setattr(Path, "read_text", gone)
    async with open_postgres(tmp_path, durable=False, notify=quiet) as postgres:
        assert await ask(postgres.server_url, "SELECT 1") == 1


def test_a_socket_that_its_old_server_removes_at_the_same_moment_is_in_nobodys_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "iterdir", lambda directory: iter([directory / "gone.sock"]))
    with (
        TemporaryDirectory(prefix="paddock-") as home,  # short: the socket is in it
        socket_directory(Path(home), "redis", None, "redis.sock") as directory,
    ):
        assert directory == Path(home) / "run" / "redis"


async def test_a_directory_of_a_newer_version_is_refused_and_not_touched(tmp_path: Path) -> None:
    async with open_postgres(tmp_path, durable=False, notify=quiet):
        pass
    data = tmp_path / "postgres" / "18"
    (data / "PG_VERSION").write_text("19\n")
    before = tree(data.parent)
    with pytest.raises(ConfigurationError, match="was written by PostgreSQL 19, and this Paddock brings 18"):
        async with open_postgres(tmp_path, durable=False, notify=quiet):
            pass
    assert tree(data.parent) == before


def data_of(home: Path, version: str = "18") -> Path:
    data = home / "postgres" / version
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text(f"{version}\n")
    return data


@pytest.mark.parametrize("we", ["root", "a user"])
async def test_data_of_somebody_else_is_refused_and_nothing_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, we: str
) -> None:
    """What root wrote and gave away in a user's home was in the way of that user's next start."""
    data = data_of(tmp_path)
    if os.geteuid() == 0:
        os.chown(data, 54_321, -1)
    monkeypatch.setattr(os, "geteuid", lambda: 0 if we == "root" else 54_322)
    before = tree(tmp_path)
    with pytest.raises(ConfigurationError, match=f"{data} belongs to .*: run as that user, .*nothing was changed"):
        async with open_postgres(tmp_path, notify=quiet):
            pass
    assert tree(tmp_path) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives data away")
async def test_an_account_that_is_made_later_takes_no_data_from_the_one_that_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_postgres(tmp_path, durable=False, notify=quiet):
        pass
    account = server_account()
    assert account is not None
    for module in ("core.accounts", "core.storage.embedded.ownership"):
        monkeypatch.setattr(f"{module}.CANDIDATES", ("nobody", account.name))
    async with open_postgres(tmp_path, durable=False, notify=quiet) as postgres, open_redis(tmp_path, notify=quiet) as redis:
        assert await ask(postgres.server_url, "SELECT 1") == 1
        assert Path(redis.removeprefix("unix://")).stat().st_uid == account.uid


@pytest.mark.skipif(os.geteuid() != 0, reason="data of root's")
async def test_data_that_became_roots_is_told_with_what_gives_it_back(tmp_path: Path) -> None:
    data_of(tmp_path)
    with pytest.raises(ConfigurationError, match="belongs to 'root': PostgreSQL refuses to run as root: `chown -R "):
        async with open_postgres(tmp_path, notify=quiet):
            pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's data")
async def test_what_lies_beside_the_data_that_is_served_is_nobodys_business(tmp_path: Path) -> None:
    async with open_postgres(tmp_path, durable=False, notify=quiet):
        pass
    data_of(tmp_path, "16")  # a copy that root made
    (tmp_path / "postgres" / "20261122").write_text("a dump")
    async with open_postgres(tmp_path, durable=False, notify=quiet) as postgres:
        assert await ask(postgres.server_url, "SELECT 1") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's data")
async def test_redis_does_not_mind_whose_data_lies_in_a_home_whose_database_is_elsewhere(tmp_path: Path) -> None:
    os.chown(data_of(tmp_path), 54_321, -1)
    async with open_redis(tmp_path, notify=quiet) as url:
        assert url


@pytest.mark.parametrize("usual", ["x" * 120, "with, comma"])
def test_a_temporary_directory_that_no_address_can_say_is_not_used_for_sockets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, usual: str
) -> None:
    """Redis cut the path off without a word, and listened outside of the directory that is closed to others."""
    (tmp_path / usual).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / usual))
    with socket_directory(tmp_path / ("y" * 120), "redis", None, "redis.sock") as directory:
        assert directory.parent == Path("/tmp")
        assert directory.stat().st_mode & 0o777 == 0o700
    assert not directory.exists()


def test_a_temporary_directory_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    with (
        pytest.raises(ConfigurationError, match=r"no directory for a server's socket can be made: No such file.*TMPDIR"),
        socket_directory(tmp_path / ("y" * 120), "redis", None, "redis.sock"),
    ):
        pass


async def test_a_file_that_the_database_may_not_open_is_told_with_the_last_lines_of_the_log(tmp_path: Path) -> None:
    async with open_postgres(tmp_path, durable=False, notify=quiet):
        pass
    (tmp_path / "postgres" / "18" / "global" / "1260").chmod(0)  # whose roles are
    with pytest.raises(Unavailable, match=r"(?s)cannot do its work: .*Permission denied; log: .*postgres\.log\n.*FATAL"):
        async with open_postgres(tmp_path, durable=False, notify=quiet):
            pass


async def data_of_version_16(tmp_path: Path) -> Path:
    """As an older Paddock left it, with a row to be kept."""
    account = server_account()
    old = next(installation for installation in installations() if installation.version == 16)
    data = owned_directory(owned_directory(tmp_path / "postgres", account) / "16", account)
    cluster = Cluster(data=data, installation=old, account=account, logs=tmp_path / "logs", durable=False)
    options = ("-U", "postgres", "--auth=peer", "--encoding=UTF8", "--locale=C", "--no-sync", "--data-checksums")
    async with running(cluster.program("initdb", "-D", str(data), *options), cluster.logs) as initdb:
        assert await initdb.wait() == 0
    write_access(data, account)
    await write_with_version_16(cluster, tmp_path)
    return data


async def test_a_directory_of_an_older_version_is_upgraded_with_its_rows(tmp_path: Path) -> None:
    await data_of_version_16(tmp_path)
    told: list[str] = []
    async with open_postgres(tmp_path, durable=False, notify=told.append) as postgres:
        assert await ask(postgres.server_url, "SELECT n FROM kept") == 42
        assert str(await ask(postgres.server_url, "SHOW server_version")).startswith("18")
        assert await ask(postgres.owner_url, "SELECT '[1,2]'::vector <-> '[1,3]'::vector") == 1.0
    assert told == ["upgrading the database from PostgreSQL 16 to 18"]
    async with open_postgres(tmp_path, durable=False, notify=told.append) as postgres:
        assert await ask(postgres.server_url, "SELECT n FROM kept") == 42


async def test_an_upgrade_that_was_cut_off_leaves_no_server_behind_and_is_made_by_the_next_start(tmp_path: Path) -> None:
    data = await data_of_version_16(tmp_path)

    async def start() -> object:
        async with open_postgres(tmp_path, durable=False, notify=quiet) as postgres:
            return await ask(postgres.server_url, "SELECT n FROM kept")

    starting = asyncio.create_task(start())
    async with asyncio.timeout(60):
        while not (data / "postmaster.pid").exists():  # of the server that pg_upgrade starts for its checks
            await asyncio.sleep(0.01)
    server = int((data / "postmaster.pid").read_text().split()[0])
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    with suppress(FileNotFoundError):
        assert Path(f"/proc/{server}/cmdline").read_bytes() == b""  # it has ended, and perhaps nobody has asked how
    assert await start() == 42


async def test_who_leaves_a_server_that_stands_still_does_not_wait_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.storage.database.GOODBYE_SECONDS", 0.5)
    async with open_postgres(tmp_path, durable=False, notify=quiet) as postgres:
        await migrate(postgres.owner_url, server_login="paddock")
        async with asyncio.timeout(60), open_database(postgres.server_url) as database:
            async with database.everyone() as connection:
                backend = int(await connection.scalar(sa.text("SELECT pg_backend_pid()")))
            os.kill(backend, signal.SIGSTOP)
        os.kill(backend, signal.SIGCONT)


async def write_with_version_16(cluster: Cluster, home: Path) -> None:
    """Through a server of its own, as the Paddock that made the directory would have."""
    sockets = owned_directory(Path("/tmp") / f"paddock-old-{os.getpid()}", cluster.account)
    arguments = ("-D", str(cluster.data), "-c", "listen_addresses=", "-c", f"unix_socket_directories={sockets}")
    url = f"postgresql://postgres@/{{}}?host={sockets}"
    try:
        async with running(cluster.program("postgres", *arguments), home / "logs"), asyncio.timeout(60):
            while True:
                with suppress(OSError, asyncpg.CannotConnectNowError):
                    await execute(url.format("postgres"), "CREATE ROLE paddock LOGIN")
                    break
                await asyncio.sleep(0.05)
            await execute(url.format("postgres"), "CREATE DATABASE paddock")
            statements = "CREATE EXTENSION vector; CREATE TABLE kept (n int); INSERT INTO kept VALUES (42)"
            await execute(url.format("paddock"), f"{statements}; GRANT SELECT ON kept TO paddock")
    finally:
        sockets.rmdir()


async def test_a_start_that_was_killed_while_it_made_the_data_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    half = owned_directory(tmp_path / "postgres", server_account()) / "18.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    async with open_postgres(tmp_path, durable=False, notify=quiet) as postgres:
        assert await ask(postgres.server_url, "SELECT 1") == 1


@pytest.mark.parametrize("name", ["with space", "ünïcode, comma: colon", 'it\'s "quoted"', "x" * 150])
async def test_any_name_of_a_home_will_do_and_no_parent_is_opened(tmp_path: Path, name: str) -> None:
    home = tmp_path / "closed" / name
    home.parent.mkdir(mode=0o700)
    async with open_postgres(home, durable=False, notify=quiet) as postgres:
        assert await ask(postgres.server_url, "SELECT 1") == 1
        sockets = Path(postgres.server_url.split("host=")[1])
    assert home.parent.stat().st_mode & 0o777 == 0o700
    assert home.stat().st_mode & 0o777 == 0o700
    assert sockets.is_relative_to(home) or not sockets.exists()


@pytest.mark.parametrize("home", [Path("/proc/paddock"), Path("/dev/null"), Path("/dev/null/paddock")])
async def test_a_home_that_cannot_be_used_is_named(home: Path) -> None:
    with pytest.raises(Unavailable, match=f"cannot use {home}"):
        async with open_postgres(home, notify=quiet):
            pass


async def test_a_broken_setting_is_told_with_the_last_lines_of_the_log(tmp_path: Path) -> None:
    async with open_postgres(tmp_path, durable=False, notify=quiet):
        pass
    (tmp_path / "postgres" / "18" / "postgresql.conf").write_text("shared_bufers = 1\n")
    with pytest.raises(Unavailable, match="unrecognized configuration parameter"):
        async with open_postgres(tmp_path, durable=False, notify=quiet):
            pass


async def test_a_disk_that_is_full_at_the_first_start_is_told_and_harms_no_later_one(tmp_path: Path) -> None:
    script = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n{HOLDER}"
    failed = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, tmp_path, stderr=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    _, said = await failed.communicate()
    assert b"could not be set up: initdb ended with exit code 1" in said
    async with open_postgres(tmp_path, durable=False, notify=quiet) as postgres:
        assert await ask(postgres.server_url, "SELECT 1") == 1


async def test_a_disk_that_fills_up_takes_back_nothing_that_was_committed(tmp_path: Path) -> None:
    async with open_postgres(tmp_path, notify=quiet) as postgres:
        await execute(postgres.owner_url, "CREATE TABLE kept (t text); INSERT INTO kept VALUES ('first')")
    with largest_file(20_000_000):
        async with open_postgres(tmp_path, notify=quiet) as postgres:
            rows = "SELECT repeat(md5(n::text), 50) FROM generate_series(1, 50000) n"
            with pytest.raises(asyncpg.PostgresError, match="File too large"):
                await execute(postgres.owner_url, f"INSERT INTO kept {rows}")
    async with open_postgres(tmp_path, notify=quiet) as postgres:
        assert await ask(postgres.owner_url, "SELECT string_agg(t, ',') FROM kept") == "first"


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """To a program that we start now, a disk that holds no larger file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
