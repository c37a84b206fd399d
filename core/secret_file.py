"""Files with keys of the server's own: closed to others, and made once."""

import os
from contextlib import suppress
from pathlib import Path


def make_once(file: Path, content: bytes) -> None:
    """Whole or not at all, and never over another one: two servers that start at once use the same. Raises OSError."""
    unfinished = file.with_name(f".{file.name}-{os.getpid()}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(descriptor)
        with suppress(FileExistsError):
            os.link(unfinished, file)
    finally:
        unfinished.unlink(missing_ok=True)
