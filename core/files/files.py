"""Files that an organisation uploads: received as a stream, kept once for the same bytes, given back, removed in the end.

It knows no HTTP. Who may is asked before; what a file is used for is its reader's matter.
"""

import asyncio
import hashlib
import logging
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from core.config import Files as FileLimits
from core.errors import InvalidRequest, NotFound, TooLarge, Unavailable
from core.files.names import checked_name
from core.identity.principals import Principal
from core.ids import new_id
from core.storage.files import Allowed, FileStore, Garbage, NewFile
from core.storage.objects import Objects, ObjectsFull, read
from core.storage.records import File, Page

log = logging.getLogger(__name__)
UPLOAD_SECONDS = 3600.0
"""How long an upload may take. What was begun twice as long ago, and is no file, is left over from a process that died."""


class FileDamaged(Unavailable):
    """Object storage gives other bytes than it was given, or none. Whoever uploads them again mends the file."""

    code = "file_damaged"


@dataclass(slots=True, kw_only=True)
class Upload:
    """One that is being received. limit_bytes: what it was granted. kept: a file has its blob. adrift: an object may have."""

    by: Principal
    key: str
    limit_bytes: int
    sha256: str | None = None
    bytes: int = 0
    kept: bool = False
    adrift: bool = False


class Files:
    def __init__(self, store: FileStore, objects: Objects, limits: FileLimits) -> None:
        self._store = store
        self._objects = objects
        self._limits = limits

    @property
    def largest_bytes(self) -> int:
        return self._limits.largest_bytes

    @asynccontextmanager
    async def receiving(self, principal: Principal, *, least: int, most: int) -> AsyncGenerator[Upload, None]:
        """An upload of `least` to `most` bytes, or as many as there is room for. What was not kept at the end leaves nothing.

        Raises TooLarge, StorageUsedUp.
        """
        if least > self._limits.largest_bytes:
            raise self._too_large()
        organization_id = principal.organization_id
        key = f"files/{organization_id}/{new_id('blob')}"
        granted = await self._store.reserve(
            organization_id,
            key,
            least=least,
            most=min(most, self._limits.largest_bytes),
            allowed=Allowed(bytes=self._limits.organization_bytes, files=self._limits.organization_files),
        )
        upload = Upload(by=principal, key=key, limit_bytes=granted)
        try:
            yield upload
        finally:
            if not upload.kept:
                garbage = Garbage(organization_id=organization_id, key=key)
                await asyncio.shield(self._leave(garbage) if upload.adrift else self._remove(garbage))

    async def receive(self, upload: Upload, body: AsyncIterable[bytes]) -> None:
        """Raises TooLarge, InvalidRequest when it takes too long, ObjectsFull, Unavailable, and what the body raises."""
        digest = hashlib.sha256()

        async def counted() -> AsyncGenerator[bytes, None]:
            async for piece in body:
                upload.bytes += len(piece)
                if upload.bytes > upload.limit_bytes:
                    raise self._too_large(upload.limit_bytes)
                digest.update(piece)
                yield piece

        try:
            async with asyncio.timeout(UPLOAD_SECONDS), aclosing(counted()) as pieces:
                try:
                    await self._objects.put(upload.key, pieces)
                except asyncio.CancelledError as exc:
                    upload.adrift = isinstance(exc.__cause__, Unavailable)
                    raise
        except Unavailable as exc:
            upload.adrift = not isinstance(exc, ObjectsFull)  # a request that nobody answered may arrive yet
            raise
        except TimeoutError as exc:
            message = f"the upload took longer than {UPLOAD_SECONDS:g} s"
            raise InvalidRequest(message, param="file", code="upload_timeout") from exc
        upload.sha256 = digest.hexdigest()

    async def keep(
        self, upload: Upload, *, filename: str, purpose: str, seconds: int | None, file_id: str | None = None
    ) -> File:
        """Raises InvalidRequest for a name that is none, StorageUsedUp. seconds: after which the file is gone; None: never.

        file_id: where there is one of this id, it is given back as it is.
        """
        if upload.sha256 is None:
            raise InvalidRequest("the upload holds no file", param="file", code="missing_required_parameter")
        new = NewFile(
            filename=checked_name(filename),
            purpose=purpose,
            expires_at=None if seconds is None else datetime.now(UTC) + timedelta(seconds=seconds),
        )
        file = await self._store.add(
            upload.by,
            upload.key,
            sha256=upload.sha256,
            size=upload.bytes,
            new=new,
            most_files=self._limits.organization_files,
            file_id=file_id,
        )
        upload.kept = file.blob_key == upload.key  # else the same bytes were there
        return file

    async def get(self, organization_id: str, file_id: str) -> File:
        """Raises NotFound."""
        return await self._store.get(organization_id, file_id)

    async def list(
        self, organization_id: str, *, purpose: str | None, after: str | None, limit: int, descending: bool
    ) -> Page[File]:
        return await self._store.list(organization_id, purpose=purpose, after=after, limit=limit, descending=descending)

    async def content(self, principal: Principal, file_id: str) -> tuple[File, AsyncGenerator[bytes, None]]:
        """The file and its bytes, to be closed by who leaves early. Raises NotFound, at the first piece too."""
        file = await self._store.get_to_read(principal, file_id)
        return file, self._objects.stream(file.blob_key)

    async def read(self, organization_id: str, file_id: str, *, limit_bytes: int) -> bytes:
        """The whole file, which is what was uploaded to the last bit. Raises NotFound, TooLarge, FileDamaged, Unavailable."""
        file = await self._store.get(organization_id, file_id)
        if file.bytes > limit_bytes:
            raise TooLarge(f"file {file_id!r} has {file.bytes} bytes; at most {limit_bytes} are taken here")
        with suppress(NotFound, TooLarge):
            content = await read(self._objects, file.blob_key, limit_bytes=limit_bytes)
            if hashlib.sha256(content).hexdigest() == file.sha256:
                return content
        if not await self._store.mark_damaged(file):  # it was deleted meanwhile, or mended
            return await self.read(organization_id, file_id, limit_bytes=limit_bytes)
        log.error("the object %s is not what was uploaded", file.blob_key)
        raise FileDamaged(f"file {file_id!r} is damaged in storage: upload the same bytes again")

    async def delete(self, principal: Principal, file_id: str) -> None:
        """Raises NotFound, and Conflict (`file_in_use`) while a tool version needs it."""
        if garbage := await self._store.delete(principal, file_id):
            await self._remove(garbage)

    async def sweep(self) -> None:
        """Files whose time is over go, and objects that no file has."""
        while await self._store.expire(most=100):
            pass
        for garbage in await self._store.garbage(seconds=2 * UPLOAD_SECONDS, most=1000):
            await self._remove(garbage)

    async def _leave(self, garbage: Garbage) -> None:
        """For `sweep`: what is removed now may be written after that."""
        with suppress(Unavailable):
            await self._store.leave(garbage)

    async def _remove(self, garbage: Garbage) -> None:
        """The object first, so that none is ever without a row. What fails is tried again by `sweep`."""
        try:
            if await self._store.condemn(garbage):
                await self._objects.delete(garbage.key)
                await self._store.forget(garbage)
        except Unavailable as exc:
            log.warning("the object %s is not removed yet: %s", garbage.key, exc.code)

    def _too_large(self, granted: int | None = None) -> TooLarge:
        if granted is not None and granted < self._limits.largest_bytes:
            return TooLarge(f"the file is larger than the {granted} bytes that there is room for", code="file_too_large")
        return TooLarge(f"the file is larger than {self._limits.largest_bytes} bytes", param="file", code="file_too_large")
