"""The file of an export's records, written by a process of its own: one core reads and proves, the other makes rows of lines.

It is forked, so it must be opened before there are threads. It ends with the process that opened it, however that ends.
"""

import hashlib
import multiprocessing
from collections.abc import Sequence
from contextlib import suppress
from io import BufferedWriter, FileIO
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.audit.export.formats import FORMATS

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

BUFFER_BYTES = 2**20
LINES_AT_ONCE = 1_024
"""Larger pieces are no faster, and need more memory."""


class HashedFile(FileIO):
    """A new file, with the SHA-256 of what was written so far: it need not be read again. To be written through a buffer."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "xb")
        self._sha256 = hashlib.sha256()

    def write(self, data: "ReadableBuffer") -> int:
        written = super().write(data)
        self._sha256.update(memoryview(data)[:written])
        return written

    def described(self) -> dict[str, Any]:
        return {"name": Path(str(self.name)).name, "bytes": self.tell(), "sha256": self._sha256.hexdigest()}


class RecordsFile:
    def __init__(self, directory: Path, form: str) -> None:
        context = multiprocessing.get_context("fork")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_write, args=(theirs, self._pipe, directory, form), daemon=True)
        self._process.start()
        theirs.close()

    def write(self, lines: Sequence[str]) -> None:
        """Waits while the other process has enough to do. Raises OSError when it is gone; its last words are in the log."""
        for start in range(0, len(lines), LINES_AT_ONCE):
            self._pipe.send(lines[start : start + LINES_AT_ONCE])

    def close(self) -> dict[str, Any]:
        """What was written. Raises as `write` does."""
        self._pipe.send(None)
        try:
            described: dict[str, Any] = self._pipe.recv()
        except EOFError as exc:
            raise BrokenPipeError("the process that writes the records is gone") from exc
        self._process.join()
        return described


def _write(pipe: Connection, theirs: Connection, directory: Path, form: str) -> None:
    theirs.close()  # so that there is an end of what comes when that process is gone
    name, writer = FORMATS[form]
    with HashedFile(directory / name) as hashed, BufferedWriter(hashed, BUFFER_BYTES) as file, suppress(EOFError):
        rows = writer(file)
        while (lines := pipe.recv()) is not None:
            rows.write(lines)
        rows.close()
        file.flush()
        pipe.send(hashed.described())
