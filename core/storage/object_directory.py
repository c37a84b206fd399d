"""Objects as files below one directory. A put is written beside, synced and renamed, so that a crash leaves no half object.

The object `a/b` is the file `a/b~`, so that it and `a/b/c` can both be there, as in a bucket.
"""

import asyncio
import os
import shutil
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import BinaryIO, TypeVar
from uuid import uuid4

from core.errors import NotFound
from core.storage.objects import (
    CHUNK_BYTES,
    LARGEST_BYTES,
    Objects,
    StoredObject,
    checked,
    not_answering,
    storing,
    taking,
    too_large,
)

T = TypeVar("T")
THREADS = 4
UNFINISHED = ".unfinished"  # no key begins with a dot
ABANDONED_SECONDS = 3600.0
SUFFIX = "~"  # nor has a tilde
PAGE = 500
MISSING = (FileNotFoundError, NotADirectoryError)


@asynccontextmanager
async def open_directory(root: Path) -> AsyncIterator[Objects]:
    directory = _Directory(root)
    try:
        await directory.prepare()
        yield directory
    finally:
        await asyncio.to_thread(directory.threads.shutdown)  # a second signal is heard meanwhile


class _Directory:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.unfinished = root / UNFINISHED
        self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="objects")

    async def prepare(self) -> None:
        """What a crash left unfinished goes, once nobody can be writing it: other processes use the directory too."""

        def make() -> None:
            self.unfinished.mkdir(mode=0o700, parents=True, exist_ok=True)
            for left_over in self.unfinished.iterdir():
                with suppress(*MISSING):
                    if left_over.stat().st_mtime < time.time() - ABANDONED_SECONDS:
                        left_over.unlink()

        await self._run(make)

    async def put(self, key: str, body: AsyncIterable[bytes], *, limit_bytes: int = LARGEST_BYTES) -> StoredObject:
        path = self._path(key)
        unfinished = self.unfinished / uuid4().hex
        file = await self._run(lambda: unfinished.open("xb"))
        size = 0
        try:
            async for piece in body:
                size += len(piece)
                if size > limit_bytes:
                    raise too_large(limit_bytes)
                await self._run(_writing(file, piece))
            await storing(self._run(lambda: _publish(file, unfinished, path)))
        finally:
            with suppress(OSError):
                file.close()
            unfinished.unlink(missing_ok=True)
        return StoredObject(key=key, bytes=size)

    async def take(self, key: str, file: Path) -> None:
        path, unfinished = self._path(key), self.unfinished / uuid4().hex

        def move() -> None:
            try:
                shutil.move(file, unfinished)
                with unfinished.open("rb") as whole:
                    _publish(whole, unfinished, path)
            finally:
                unfinished.unlink(missing_ok=True)

        await taking(self, key, self._run(move))

    async def stream(self, key: str) -> AsyncGenerator[bytes, None]:
        path = self._path(key)
        file = await self._run(lambda: _open(path, key))
        try:
            while piece := await self._run(lambda: file.read(CHUNK_BYTES)):
                yield piece
        finally:
            file.close()

    async def exists(self, key: str) -> bool:
        return await self._run(self._path(key).is_file)

    async def delete(self, key: str) -> None:
        path = self._path(key)

        def remove() -> None:
            with suppress(*MISSING):
                path.unlink()
                _sync(path.parent)

        await self._run(remove)

    async def list(self, prefix: str = "") -> AsyncGenerator[StoredObject, None]:
        entries = _walk(self.root, "", prefix)
        while page := await self._run(lambda: list(islice(entries, PAGE))):
            for entry in page:
                yield entry

    async def check(self) -> None:
        probe = self.unfinished / uuid4().hex

        def write() -> None:
            probe.write_bytes(b"x")
            probe.unlink()

        await self._run(write)

    def _path(self, key: str) -> Path:
        return self.root / (checked(key) + SUFFIX)

    async def _run(self, act: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self.threads, act)
        except OSError as exc:
            raise not_answering("the object directory", exc) from exc


def _writing(file: BinaryIO, piece: bytes) -> Callable[[], int]:
    return lambda: file.write(piece)


def _publish(file: BinaryIO, unfinished: Path, path: Path) -> None:
    file.flush()
    os.fsync(file.fileno())
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished.replace(path)
    _sync(path.parent)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open(path: Path, key: str) -> BinaryIO:
    try:
        return path.open("rb")
    except MISSING as exc:
        raise NotFound(f"no object {key!r}") from exc


def _walk(directory: Path, above: str, prefix: str) -> Iterator[StoredObject]:
    """In the order of keys: a directory sorts as its name and a slash."""
    with suppress(*MISSING), os.scandir(directory) as entries:
        found = sorted((f"{entry.name}/" if entry.is_dir() else entry.name.removesuffix(SUFFIX), entry) for entry in entries)
        for name, entry in found:
            key = above + name
            if name == f"{UNFINISHED}/" or not (key.startswith(prefix) or prefix.startswith(key)):
                continue
            if name.endswith("/"):
                yield from _walk(Path(entry.path), key, prefix)
            elif key.startswith(prefix):
                yield StoredObject(key=key, bytes=entry.stat().st_size)
