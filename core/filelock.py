"""One holder at a time, by a file. The kernel frees it when its holder ends, however it ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import Conflict
from core.unusable import unusable


@contextmanager
def exclusive(path: Path, message: str) -> Iterator[int]:
    """Hold the lock, or raise `Conflict` at once. Gives the file's descriptor, for what the holder wants to tell.

    Raises ConfigurationError where the file cannot be opened or locked.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as exc:
        raise unusable(path, exc) from exc
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise Conflict(message) from exc
        except OSError as exc:
            raise unusable(path, exc) from exc
        yield descriptor
    finally:
        os.close(descriptor)
