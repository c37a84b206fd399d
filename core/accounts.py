"""Whom a server of ours runs as when we are root, and how it gets to its files. It knows no server."""

import os
import pwd
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from core.errors import ConfigurationError

CANDIDATES = ("paddock", "daemon")
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    uid: int
    gid: int
    name: str


def own_account() -> Account:
    uid = os.geteuid()
    try:
        entry = pwd.getpwuid(uid)
    except KeyError as exc:
        raise ConfigurationError(
            f"user id {uid} has no name in /etc/passwd, which the embedded PostgreSQL needs; "
            "run as a user with a name, or use a database of your own with PADDOCK_DATABASE_URL"
        ) from exc
    return Account(uid=uid, gid=os.getegid(), name=entry.pw_name)


def server_account() -> Account | None:
    """The unprivileged account for servers that must not be root; None when we are not root ourselves."""
    if os.geteuid() != 0:
        return None
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(uid=entry.pw_uid, gid=entry.pw_gid, name=entry.pw_name)
    raise ConfigurationError(
        f"PostgreSQL refuses to run as root, and none of the accounts {', '.join(CANDIDATES)} exists; "
        "create one (useradd --system paddock) or run as another user"
    )


def give(path: Path, account: Account | None) -> None:
    """Make `path` the account's own; nothing to do when it is ours."""
    if account is not None:
        os.chown(path, account.uid, account.gid)


def let_through(path: Path, account: Account | None) -> None:
    """Let the account walk through a directory of ours, to what is its own in there, and do nothing else."""
    if account is not None:
        os.chown(path, -1, account.gid)
        path.chmod(0o710)


def capability_to_reach(paths: Iterable[Path], account: Account | None) -> int | None:
    """The capability that `account` needs to walk to `paths`; None when every directory on the way is open to it.

    Opening closed directories (a home of root, say) to everybody would be worse than one capability for one process.
    """
    if account is None or all(_may_enter(parent, account) for path in paths for parent in path.resolve().parents):
        return None
    held = _held_capabilities()
    for capability in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE):
        if held & (1 << capability):
            return capability
    raise ConfigurationError(
        f"the account {account.name!r} cannot reach {', '.join(map(str, paths))}: a directory on the way is closed to it"
    )


def _may_enter(directory: Path, account: Account) -> bool:
    status = directory.stat()
    if status.st_uid == account.uid:
        return bool(status.st_mode & 0o100)
    if status.st_gid == account.gid:
        return bool(status.st_mode & 0o010)
    return bool(status.st_mode & 0o001)


def _held_capabilities() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapPrm:"):
            return int(line.split()[1], 16)
    return 0
