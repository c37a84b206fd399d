"""Whose the data in a home is, and so whom the embedded servers of that home run as. It changes nothing."""

import os
import pwd
from contextlib import suppress
from pathlib import Path

from core.accounts import CANDIDATES, Account, server_account
from core.errors import ConfigurationError
from core.unusable import name_of


def serving_account(home: Path) -> Account | None:
    """Whom the servers run as instead of root; None when as us. An account that is made later takes no data from another.

    Raises ConfigurationError where the data is somebody else's.
    """
    return data_account(home) or server_account()


def beside_account(home: Path) -> Account | None:
    """Whom a server that keeps nothing runs as: with the data's where that is ours to serve, and there may be none."""
    try:
        return serving_account(home)
    except ConfigurationError:
        return server_account()


def data_account(home: Path) -> Account | None:
    """The account to which a start by root gave the data, when we are root. None where the data is ours, or there is none.

    Raises ConfigurationError where it is somebody else's: what we write and give away would be in the way of their next start.
    """
    us, data = os.geteuid(), _served(home / "postgres")
    if data is None:
        return None
    owner = data.stat().st_uid
    account = _unprivileged(owner) if us == 0 else None
    if account is None and (us == 0 or owner != us):
        raise ConfigurationError(
            f"PADDOCK_HOME: {data} belongs to {name_of(owner)}: {_advice(home, data, owner)}; nothing was changed"
        )
    return account


def _served(root: Path) -> Path | None:
    """The data of the newest major version; `root` where it is closed to us. Why a home is else of no use is told later."""
    try:
        found = [entry for entry in root.iterdir() if entry.name.isdecimal() and _holds_data(entry)]
    except PermissionError:
        return root
    except OSError:
        return None
    return max(found, key=lambda entry: int(entry.name), default=None)


def _holds_data(directory: Path) -> bool:
    try:
        return (directory / "PG_VERSION").exists()
    except PermissionError:  # it is closed to us, as data is
        return True


def _unprivileged(uid: int) -> Account | None:
    for name in CANDIDATES:
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            if entry.pw_uid == uid:
                return Account(uid=uid, gid=entry.pw_gid, name=name)
    return None


def _advice(home: Path, data: Path, owner: int) -> str:
    if os.geteuid() == 0 and owner == 0:
        account = server_account()
        return f"PostgreSQL refuses to run as root: `chown -R {account and account.name}: {data}`"
    if owner == 0 or _unprivileged(owner):
        return f"a start by root made it. Run as root, or give all of {home} to yourself (chown -R)"
    return "run as that user, or set another PADDOCK_HOME"
