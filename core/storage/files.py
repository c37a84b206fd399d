"""Files, the blobs that hold their bytes, and who holds on to them. A blob here is a key, a length and a digest: no bytes."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from core.errors import Conflict, NotFound, TooLarge, Unavailable
from core.ids import new_id
from core.storage.audit import Actor, AuditRecord, insert
from core.storage.database import Database, hold
from core.storage.paging import check_id
from core.storage.records import File, Page
from core.storage.tables import blobs, file_pins, files


class StorageUsedUp(TooLarge):
    """The organisation keeps as much as it may."""

    code = "file_storage_exceeded"


class FileInUse(Conflict):
    code = "file_in_use"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFile:
    filename: str
    purpose: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """To one organisation, of all its files."""

    bytes: int
    files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbage:
    """An object that no file has: to be removed, and then to be forgotten."""

    organization_id: str
    key: str


DAMAGED = "damaged "
"""Before the digest of a blob whose object does not have it."""


class FileStore:
    """Each method sees the organisation's own files, and none that has expired."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reserve(self, organization_id: str, key: str, *, least: int, most: int, allowed: Allowed) -> int:
        """Room for a blob that is about to be uploaded: `most` bytes, or what is left. Gives how many.

        Raises StorageUsedUp when less than `least` is left.
        """
        used = sa.select(sa.func.coalesce(sa.func.sum(blobs.c.bytes), 0)).where(blobs.c.organization_id == organization_id)
        async with self._database.tenant(organization_id) as connection:
            await _one_at_a_time(connection, organization_id)
            await _refuse_one_more(connection, organization_id, allowed.files)
            left = allowed.bytes - int(await connection.scalar(used) or 0)
            if left < max(least, 1):
                told = f"the organization may keep {allowed.bytes} bytes of files, of which {max(left, 0)} are left"
                raise StorageUsedUp(told)
            granted = min(most, left)
            values = {"key": key, "organization_id": organization_id, "bytes": granted}
            await connection.execute(sa.insert(blobs).values(values))
        return granted

    async def add(
        self, actor: Actor, key: str, *, sha256: str, size: int, new: NewFile, most_files: int, file_id: str | None = None
    ) -> File:
        """A file of the bytes that were uploaded under the key, or of the blob that had the same bytes before.

        file_id: where there is one of this id, it is given back as it is. Raises StorageUsedUp when there are `most_files`.
        """
        organization_id = actor.organization_id
        async with self._database.tenant(organization_id) as connection:
            await _one_at_a_time(connection, organization_id)
            if file_id is not None and (there := await _find(connection, organization_id, file_id)):
                return there
            await _refuse_one_more(connection, organization_id, most_files)  # others came while this one was on its way
            file_id = file_id or new_id("file")
            blob_key = await _take_blob(connection, organization_id, key, sha256=sha256, size=size)
            values = {"id": file_id, "organization_id": organization_id, "blob_key": blob_key, **asdict(new)}
            await connection.execute(sa.insert(files).values(values))
            file = await _get(connection, organization_id, file_id)
            await insert(connection, _told(actor, "file.uploaded", file))
        return file

    async def get(self, organization_id: str, file_id: str) -> File:
        """Raises NotFound."""
        async with self._database.tenant(organization_id) as connection:
            return await _get(connection, organization_id, file_id)

    async def list(
        self, organization_id: str, *, purpose: str | None, after: str | None, limit: int, descending: bool
    ) -> Page[File]:
        """after: a file's id, also of one that was deleted meanwhile. Raises InvalidRequest when it is none."""
        query = _SELECT.where(*_there(organization_id))
        if purpose is not None:
            query = query.where(files.c.purpose == purpose)
        async with self._database.tenant(organization_id) as connection:
            if after is not None:
                check_id(after, "file")
                query = query.where(files.c.id < after if descending else files.c.id > after)
            order = files.c.id.desc() if descending else files.c.id
            rows = (await connection.execute(query.order_by(order).limit(limit + 1))).mappings().all()
        return Page(rows=[File(**row) for row in rows[:limit]], more=len(rows) > limit)

    async def get_to_read(self, actor: Actor, file_id: str) -> File:
        """The audit log tells that its bytes were given out. Raises NotFound."""
        async with self._database.tenant(actor.organization_id) as connection:
            file = await _get(connection, actor.organization_id, file_id)
            await insert(connection, _told(actor, "file.read", file))
        return file

    async def mark_damaged(self, file: File) -> bool:
        """No upload becomes a file of its blob any more; the next one with these bytes mends it. False when it is not there."""
        mine = (blobs.c.organization_id == file.organization_id, blobs.c.key == file.blob_key, blobs.c.files > 0)
        query = sa.update(blobs).where(*mine, blobs.c.sha256.in_([file.sha256, DAMAGED + file.sha256]))
        async with self._database.tenant(file.organization_id) as connection:
            await _one_at_a_time(connection, file.organization_id)
            return (await connection.execute(query.values(sha256=DAMAGED + file.sha256))).rowcount > 0

    async def delete(self, actor: Actor, file_id: str) -> Garbage | None:
        """Gives the blob if this was its last file. Raises NotFound, and FileInUse while somebody holds on to it."""
        async with self._database.tenant(actor.organization_id) as connection:
            await _one_at_a_time(connection, actor.organization_id)
            file = await _get(connection, actor.organization_id, file_id)
            garbage = await _delete(connection, file)
            await insert(connection, _told(actor, "file.deleted", file))
        return garbage

    async def pin(self, connection: AsyncConnection, organization_id: str, file_id: str, holder: str) -> File:
        """In the caller's transaction: `holder` needs the file, which then neither expires nor can be deleted. Twice is once.

        Raises NotFound.
        """
        await _one_at_a_time(connection, organization_id)
        file = await _get(connection, organization_id, file_id)
        values = {"file_id": file_id, "holder": holder, "organization_id": organization_id}
        if await connection.scalar(sa.select(file_pins.c.file_id).filter_by(**values)) is None:
            await connection.execute(sa.insert(file_pins).values(values))
        mine = (files.c.organization_id == organization_id, files.c.id == file_id)
        await connection.execute(sa.update(files).where(*mine).values(expires_at=None))
        return file

    async def unpin(self, connection: AsyncConnection, organization_id: str, holder: str) -> None:
        """In the caller's transaction: the holder needs none of its files any more."""
        mine = (file_pins.c.organization_id == organization_id, file_pins.c.holder == holder)
        await connection.execute(sa.delete(file_pins).where(*mine))

    async def expire(self, *, most: int) -> int:
        """Delete files of any organisation whose time is over, at most so many; gives how many there were."""
        overdue = sa.select(files.c.organization_id, files.c.id).where(files.c.expires_at <= sa.func.now()).limit(most)
        async with self._database.everyone() as connection:
            found = (await connection.execute(overdue)).all()
        for organization_id, file_id in found:
            async with self._database.tenant(organization_id) as connection:
                await _one_at_a_time(connection, organization_id)
                query = _SELECT.where(files.c.id == file_id, files.c.expires_at <= sa.func.now())
                row = (await connection.execute(query)).mappings().one_or_none()
                if row is not None:
                    file = File(**row)
                    await _delete(connection, file)
                    await insert(connection, _expired(file))
        return len(found)

    async def garbage(self, *, seconds: float, most: int) -> Sequence[Garbage]:
        """Objects of any organisation that no file has: of deleted files, and of uploads begun so long ago that never ended."""
        ago = sa.func.now() - sa.func.make_interval(0, 0, 0, 0, 0, 0, seconds)  # by the clock that they began by
        stale = sa.or_(blobs.c.sha256.is_not(None), blobs.c.created_at < ago)
        query = sa.select(blobs.c.organization_id, blobs.c.key).where(blobs.c.files == 0, stale).limit(most)
        async with self._database.everyone() as connection:
            return [Garbage(organization_id=row.organization_id, key=row.key) for row in await connection.execute(query)]

    async def condemn(self, garbage: Garbage) -> bool:
        """Whether it is garbage still; from then on no upload can make a file of it, were its commit on the way."""
        mine = (blobs.c.organization_id == garbage.organization_id, blobs.c.key == garbage.key, blobs.c.files == 0)
        query = sa.update(blobs).where(*mine).values(sha256=sa.func.coalesce(blobs.c.sha256, "")).returning(blobs.c.key)
        async with self._database.tenant(garbage.organization_id) as connection:
            return await connection.scalar(query) is not None

    async def leave(self, garbage: Garbage) -> None:
        """To the time when nothing of its upload can be under way any more. It takes no room until then."""
        mine = (blobs.c.organization_id == garbage.organization_id, blobs.c.key == garbage.key, blobs.c.sha256.is_(None))
        async with self._database.tenant(garbage.organization_id) as connection:
            await connection.execute(sa.update(blobs).where(*mine).values(bytes=0))

    async def forget(self, garbage: Garbage) -> None:
        """After its object is gone."""
        mine = (blobs.c.organization_id == garbage.organization_id, blobs.c.key == garbage.key, blobs.c.files == 0)
        async with self._database.tenant(garbage.organization_id) as connection:
            await connection.execute(sa.delete(blobs).where(*mine))


_COLUMNS = (
    *(files.c[name] for name in ("id", "organization_id", "filename", "purpose", "blob_key", "created_at", "expires_at")),
    blobs.c.bytes,
    sa.func.replace(blobs.c.sha256, DAMAGED, "").label("sha256"),
)
_SELECT = sa.select(*_COLUMNS).join(blobs, blobs.c.key == files.c.blob_key)


async def _refuse_one_more(connection: AsyncConnection, organization_id: str, most: int) -> None:
    """Raises StorageUsedUp."""
    there = sa.select(files.c.id).where(files.c.organization_id == organization_id).limit(most).subquery()
    if (await connection.scalar(sa.select(sa.func.count()).select_from(there)) or 0) >= most:
        raise StorageUsedUp(f"the organization may keep {most} files")


async def _one_at_a_time(connection: AsyncConnection, organization_id: str) -> None:
    """What counts an organisation's bytes, or the files of a blob, waits for its neighbours: transactions here are short."""
    await hold(connection, "files", organization_id)


def _there(organization_id: str) -> tuple[sa.ColumnElement[bool], ...]:
    unexpired = sa.or_(files.c.expires_at.is_(None), files.c.expires_at > sa.func.now())
    return files.c.organization_id == organization_id, unexpired


async def _get(connection: AsyncConnection, organization_id: str, file_id: str) -> File:
    file = await _find(connection, organization_id, file_id)
    if file is None:
        raise NotFound(f"no file {file_id!r}", code="file_not_found")
    return file


async def _find(connection: AsyncConnection, organization_id: str, file_id: str) -> File | None:
    query = _SELECT.where(*_there(organization_id), files.c.id == file_id)
    row = (await connection.execute(query)).mappings().one_or_none()
    return None if row is None else File(**row)


def _told(actor: Actor, kind: str, file: File) -> AuditRecord:
    return AuditRecord.by(actor, kind, file.id, digest=file.sha256, details={"bytes": file.bytes, "purpose": file.purpose})


def _expired(file: File) -> AuditRecord:
    return AuditRecord(
        kind="file.expired", organization_id=file.organization_id, actor="system", object=file.id, digest=file.sha256
    )


async def _take_blob(connection: AsyncConnection, organization_id: str, key: str, *, sha256: str, size: int) -> str:
    """One file more for the blob with this digest; gives its key. Files of one with this digest that is damaged are mended."""
    mine = blobs.c.organization_id == organization_id
    known = sa.update(blobs).where(mine, blobs.c.sha256 == sha256, blobs.c.files > 0).values(files=blobs.c.files + 1)
    found: str | None = await connection.scalar(known.returning(blobs.c.key))
    if found is not None:
        return found
    new = sa.update(blobs).where(mine, blobs.c.key == key, blobs.c.sha256.is_(None))
    taken: str | None = await connection.scalar(new.values(sha256=sha256, bytes=size, files=1).returning(blobs.c.key))
    if taken is None:
        raise Unavailable("the upload took so long that it was given up; send it again", code="upload_given_up")
    bad = sa.update(blobs).where(mine, blobs.c.sha256 == DAMAGED + sha256, blobs.c.files > 0).values(files=0)
    if (damaged := await connection.scalar(bad.returning(blobs.c.key))) is not None:
        moved = await connection.execute(sa.update(files).where(files.c.blob_key == damaged).values(blob_key=taken))
        more = sa.update(blobs).where(mine, blobs.c.key == taken).values(files=blobs.c.files + moved.rowcount)
        await connection.execute(more)
    return taken


async def _delete(connection: AsyncConnection, file: File) -> Garbage | None:
    holder = await connection.scalar(sa.select(file_pins.c.holder).where(file_pins.c.file_id == file.id).limit(1))
    if holder is not None:
        raise FileInUse(f"file {file.id!r} is used by {holder}")
    await connection.execute(sa.delete(files).where(files.c.organization_id == file.organization_id, files.c.id == file.id))
    fewer = sa.update(blobs).where(blobs.c.organization_id == file.organization_id, blobs.c.key == file.blob_key)
    left: int | None = await connection.scalar(fewer.values(files=blobs.c.files - 1).returning(blobs.c.files))
    return None if left else Garbage(organization_id=file.organization_id, key=file.blob_key)
