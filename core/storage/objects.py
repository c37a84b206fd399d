"""Object storage: bytes under a key, in a directory or an S3 bucket. It knows no tenant: keys are the caller's."""

import asyncio
import errno
import re
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from core.errors import ConfigurationError, InvalidRequest, TooLarge, Unavailable

KEY = re.compile(r"(?!\.)[A-Za-z0-9._=-]+(/(?!\.)[A-Za-z0-9._=-]+)*")
LONGEST_KEY = 512
CHUNK_BYTES = 256 * 1024
LARGEST_BYTES = 5 * 2**30
LAST_SECONDS = 60.0
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class ObjectsUnavailable(Unavailable):
    code = "object_storage_unavailable"


class ObjectsFull(ObjectsUnavailable):
    """There is no room, here or where an object is held until it is whole."""

    code = "insufficient_storage"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    key: str
    bytes: int


class Objects(Protocol):
    """An object is there whole or not at all; a put replaces it. Every method may raise `ObjectsUnavailable`.

    Keys are plain ASCII names joined by `/`; others are refused with `InvalidRequest`.
    """

    async def put(self, key: str, body: AsyncIterable[bytes], *, limit_bytes: int = LARGEST_BYTES) -> StoredObject:
        """Raises `TooLarge` when the body is longer; then nothing is stored.

        Cancelled, it ends when nobody writes the object any more, and who has called it removes the object. Where that is not
        known, an `ObjectsUnavailable` is the cause of the cancellation.
        """
        ...

    async def take(self, key: str, file: Path) -> None:
        """The file's bytes become the object, of whatever size. The file is moved where that can be: it may be gone then.

        Cancelled, it ends when nobody reads the file any more, and nothing is stored. Where that is not known, an
        `ObjectsUnavailable` is the cause of the cancellation.
        """
        ...

    def stream(self, key: str) -> AsyncGenerator[bytes, None]:
        """Raises `NotFound` at the first piece. To be closed by who leaves early."""
        ...

    async def exists(self, key: str) -> bool: ...

    async def delete(self, key: str) -> None:
        """No error when it is not there."""
        ...

    def list(self, prefix: str = "") -> AsyncGenerator[StoredObject, None]:
        """In order of key. prefix: the beginning of keys, in whole or in part."""
        ...

    async def check(self) -> None:
        """Returns when objects can be stored now."""
        ...


async def read(objects: Objects, key: str, *, limit_bytes: int) -> bytes:
    """The whole object. Raises `TooLarge` rather than hold more."""
    whole = bytearray()
    pieces = objects.stream(key)
    try:
        async for piece in pieces:
            whole += piece
            if len(whole) > limit_bytes:
                raise too_large(limit_bytes)
    finally:
        await pieces.aclose()
    return bytes(whole)


@asynccontextmanager
async def open_objects(url: str) -> AsyncIterator[Objects]:
    """url: `file:///directory`, or `s3://bucket/prefix?endpoint=https://...&region=...`.

    Credentials for S3 are found as boto3 finds them, or stand in the address: `s3://key:secret@bucket`.
    """
    parts = urlsplit(url)
    match parts.scheme:
        case "file" if parts.path and not parts.netloc:
            from core.storage.object_directory import open_directory

            async with open_directory(Path(unquote(parts.path))) as objects:
                yield objects
        case "s3" if parts.hostname:
            from core.storage.object_bucket import Bucket, open_bucket  # only here: boto3 takes 0.4 s to import

            options = parse_qs(parts.query, strict_parsing=bool(parts.query))
            if unknown := options.keys() - {"endpoint", "region"}:
                raise ConfigurationError(f"objects_url: unknown option {sorted(unknown)[0]!r}; known: endpoint, region")
            bucket = Bucket(
                name=parts.hostname,
                prefix=parts.path.strip("/"),
                endpoint=options.get("endpoint", [None])[0],
                region=options.get("region", [None])[0],
                access_key=unquote(parts.username) if parts.username else None,
                secret_key=unquote(parts.password) if parts.password else None,
            )
            async with open_bucket(bucket) as objects:
                yield objects
        case _:
            raise ConfigurationError("objects_url: expected file:///directory or s3://bucket/prefix")


def checked(key: str) -> str:
    if len(key) > LONGEST_KEY or not KEY.fullmatch(key):
        raise InvalidRequest(f"not a key for an object: {key[:80]!r}")
    return key


def not_answering(store: str, error: OSError) -> ObjectsUnavailable:
    if error.errno in NO_ROOM:
        return ObjectsFull(f"{store} is full: {error.strerror}")
    return ObjectsUnavailable(f"{store} does not answer: {error.strerror}")


async def storing(work: Awaitable[None]) -> None:
    """No thread can be stopped, and who removes the object must be the last: cancelled, it waits for the work, up to
    LAST_SECONDS. Where nobody knows even then what became of it, that is the cause of the cancellation.
    """
    doing = asyncio.ensure_future(work)
    try:
        await asyncio.shield(doing)
    except asyncio.CancelledError as given_up:
        try:
            ended, _ = await asyncio.wait([doing], timeout=LAST_SECONDS)
        except asyncio.CancelledError as again:
            raise again from ObjectsUnavailable("given up before the object storage answered")
        if not ended:
            raise given_up from ObjectsUnavailable("given up: the object storage did not answer")
        if failed := doing.exception():
            raise given_up from failed
        raise


async def taking(objects: Objects, key: str, work: Awaitable[None]) -> None:
    """As `storing`; cancelled, it removes the object."""
    try:
        await storing(work)
    except asyncio.CancelledError as given_up:
        if given_up.__cause__ is None:
            try:
                await storing(objects.delete(key))
            except ObjectsUnavailable as exc:
                raise given_up from exc
        raise


def too_large(limit_bytes: int) -> TooLarge:
    return TooLarge(f"the object is larger than {limit_bytes} bytes")
