"""Where an embedded server keeps its files and its socket."""

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

from core.accounts import Account, give, let_through
from core.errors import Conflict
from core.filelock import exclusive

LONGEST_SOCKET_PATH = 107
PLAIN_PATH = re.compile(r"[\w./+-]+", re.ASCII)


def owned_directory(path: Path, account: Account | None) -> Path:
    """`path`, made where it is missing, closed to everybody but its owner: the account, or us."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    give(path, account)
    return path


@contextmanager
def socket_directory(home: Path, name: str, account: Account | None, longest_name: str) -> Iterator[Path]:
    """A directory of mode 0700 for a Unix socket, in `home` where a socket's address can say that.

    An address holds 107 bytes, and those who read it split it at commas and colons; a home that does not fit gets a
    directory in the temporary one instead. That one's name is kept in `home`, so that the next start removes what a
    killed one left. Nobody else may use the same name in that home at the same time: what is in the directory is removed.
    """
    run = _run_directory(home)
    let_through(run, account)
    note = run / f"{name}.directory"
    _remove_left_over(note)
    directory = run / name
    if len(str(directory / longest_name).encode()) <= LONGEST_SOCKET_PATH and PLAIN_PATH.fullmatch(str(directory)):
        yield _emptied(owned_directory(directory, account))
        return
    directory = Path(tempfile.mkdtemp(prefix="paddock-"))
    try:
        note.write_text(str(directory))
        give(directory, account)
        yield directory
    finally:
        _remove_left_over(note)


@contextmanager
def numbered_socket_directory(home: Path, name: str, longest_name: str) -> Iterator[Path]:
    """`socket_directory` for one of any number of servers in a home: the first number that no running one has."""
    run = _run_directory(home)
    with ExitStack() as stack:
        for number in count():
            try:
                stack.enter_context(exclusive(run / f"{name}-{number}.lock", f"{name}-{number} is taken"))
            except Conflict:
                continue
            yield stack.enter_context(socket_directory(home, f"{name}-{number}", None, longest_name))
            return


def _run_directory(home: Path) -> Path:
    run = home / "run"
    run.mkdir(mode=0o700, parents=True, exist_ok=True)
    return run


def _emptied(directory: Path) -> Path:
    for entry in directory.iterdir():
        entry.unlink(missing_ok=True)  # a server whose parent was killed may be removing it at this moment
    return directory


def _remove_left_over(note: Path) -> None:
    if note.is_file():
        left_over = Path(note.read_text())
        if left_over.name.startswith("paddock-") and not left_over.is_symlink():
            shutil.rmtree(left_over, ignore_errors=True)
        note.unlink()
