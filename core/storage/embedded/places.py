"""Where an embedded server keeps its files and its socket."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

from core.accounts import Account, give, let_through
from core.errors import ConfigurationError, Conflict
from core.filelock import exclusive
from core.unusable import unusable

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
    directory in the temporary one instead, or in /tmp. That one's name is kept in `home`, so that the next start removes what
    a killed one left. Nobody else may use the same name in that home at the same time: what is in the directory is removed.

    Raises ConfigurationError where a file of an earlier start, say, is not ours.
    """
    run = home / "run"
    note = run / f"{name}.directory"
    directory = run / name
    fits = _fits(directory, longest_name)
    with _told(run):
        let_through(_run_directory(home), account)
        _remove_left_over(note)
        if fits:
            _emptied(owned_directory(directory, account))
        else:
            directory = _temporary(longest_name)
    try:
        if not fits:
            with _told(note):
                note.write_text(str(directory))
                give(directory, account)
        yield directory
    finally:
        if not fits:
            _remove_left_over(note)


@contextmanager
def numbered_socket_directory(home: Path, name: str, longest_name: str) -> Iterator[Path]:
    """`socket_directory` for one of any number of servers in a home: the first number that no running one has."""
    with _told(home / "run"):
        run = _run_directory(home)
    with ExitStack() as stack:
        for number in count():
            try:
                stack.enter_context(exclusive(run / f"{name}-{number}.lock", f"{name}-{number} is taken"))
            except Conflict:
                continue
            yield stack.enter_context(socket_directory(home, f"{name}-{number}", None, longest_name))
            return


@contextmanager
def _told(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise unusable(Path(exc.filename or place), exc) from exc


def _run_directory(home: Path) -> Path:
    run = home / "run"
    run.mkdir(mode=0o700, parents=True, exist_ok=True)
    return run


def _fits(directory: Path, longest_name: str) -> bool:
    return len(os.fsencode(directory / longest_name)) <= LONGEST_SOCKET_PATH and bool(PLAIN_PATH.fullmatch(str(directory)))


def _temporary(longest_name: str) -> Path:
    """Redis would cut off silently what is too long, and listen outside of the directory that is closed to others."""
    try:
        usual = Path(tempfile.gettempdir())
        parent = usual if _fits(usual / "paddock-12345678", longest_name) else "/tmp"  # noqa: S108 - closed to others in there
        return Path(tempfile.mkdtemp(prefix="paddock-", dir=parent))
    except OSError as exc:
        raise ConfigurationError(
            f"no directory for a server's socket can be made: {exc.strerror}; set TMPDIR (or PADDOCK_HOME) to the short path of"
            " a directory that can be written to"
        ) from exc


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
