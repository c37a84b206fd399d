"""What the operator is told of a file of the server's own that the system does not let it use."""

import errno
import pwd
from pathlib import Path

from core.errors import ConfigurationError


def unusable(file: Path, error: OSError) -> ConfigurationError:
    """Names the file, what the system says, and what would help."""
    return ConfigurationError(f"{file} cannot be used: {error.strerror}{_advice(file, error.errno)}")


def name_of(uid: int) -> str:
    """The user's, or the number where nobody has it."""
    try:
        return repr(pwd.getpwuid(uid).pw_name)
    except KeyError:
        return f"user id {uid}"


def _advice(file: Path, number: int | None) -> str:
    match number:
        case errno.EACCES | errno.EPERM:
            return f"; {_whose(file)}: give it to the user who runs Paddock (chown)"
        case errno.EMFILE | errno.ENFILE:
            return "; allow more open files (`ulimit -n 4096`)"
        case errno.ENOSPC | errno.EDQUOT:
            return "; make room on its disk"
    return ""


def _whose(file: Path) -> str:
    """Of what is in the way, as far as we may look."""
    for place in (file, *file.parents):
        try:
            return f"{'it' if place == file else place} belongs to {name_of(place.stat().st_uid)}"
        except OSError:
            continue
    return "it is closed to us"
