"""Native code of installed programs, on disk under the digest of what it was made from. Knows no engine.

The folder is ours alone: whoever could write into it could run code in sandboxes.
"""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from sandbox.errors import ProgramMissing, ProgramRefused
from sandbox.private import check_private, make_private

DIGEST = re.compile(r"[0-9a-f]{64}")


class Artifacts:
    """made_for: part of each name; code for another engine or processor is not found. limit_bytes: of all together."""

    def __init__(self, folder: Path, *, made_for: str, limit_bytes: int) -> None:
        make_private(folder)
        self._folder = folder
        self._made_for = made_for
        self._limit = limit_bytes

    def has(self, sha256: str) -> bool:
        with suppress(FileNotFoundError):
            return self._path(sha256).stat().st_size > 0  # a machine that lost its power may have left an empty one
        return False

    @contextmanager
    def opened(self, sha256: str) -> Iterator[int]:
        """Its descriptor. Raises `ProgramMissing`. What was used last is forgotten last."""
        path = self._path(sha256)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            raise ProgramMissing(f"no program {sha256} is installed in this sandbox") from None
        try:
            if not os.fstat(descriptor).st_size:
                raise ProgramMissing(f"program {sha256} is empty in this sandbox")
            check_private(path)
            os.utime(descriptor)
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def writing(self, sha256: str) -> Iterator[BinaryIO]:
        """It is there whole when the block ends well, and not at all when it does not."""
        descriptor, name = tempfile.mkstemp(dir=self._folder, prefix="writing-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
            os.replace(name, self._path(sha256))
        finally:
            with suppress(FileNotFoundError):
                os.unlink(name)
        self._forget()

    def remove(self, sha256: str) -> None:
        self._path(sha256).unlink(missing_ok=True)

    def _forget(self) -> None:
        """The least recently used, until the rest is within the limit."""
        known = sorted(self._folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
        kept = 0
        for path in known:
            kept += path.stat().st_size
            if kept > self._limit:
                path.unlink()

    def _path(self, sha256: str) -> Path:
        if not DIGEST.fullmatch(sha256):
            raise ProgramRefused(f"not a SHA-256 in lower-case hex: {sha256[:80]!r}")
        return self._folder / f"{sha256}-{self._made_for}.cwasm"
