"""What belongs to this user alone: whoever could write our files could run code in every sandbox."""

import os
import stat
from pathlib import Path

from sandbox.errors import RuntimeUnavailable


def make_private(folder: Path) -> None:
    """Made with mode 0700 where it is not there; refused where others could reach into it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_private(folder)


def check_private(path: Path) -> None:
    """Raises `RuntimeUnavailable` for what another owns or may open, and for a link, whose target is not ours to judge."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        raise RuntimeUnavailable(f"{str(path)!r} does not exist") from None
    if stat.S_ISLNK(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise RuntimeUnavailable(f"{str(path)!r} must belong to this user and be closed to others (chmod go= {path})")
