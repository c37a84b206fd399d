"""Moves old records from the database to object storage, and removes those from there whose time is over. It is the keeper's.

What moved is read back before it leaves the database; its proof, hashes and checkpoints, stays there.
"""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

from core.errors import Conflict
from core.ids import new_id
from core.storage.audit import PLATFORM, AuditRecord, Detail
from core.storage.audit_archives import ArchiveStore
from core.storage.audit_reading import Sealed, SealedRecords, Wanted, open_sealed_records
from core.storage.audit_shapes import FOLDER, Archive, Filter, pack
from core.storage.objects import Objects, read

PATIENCE = timedelta(days=1)
"""A small archive waits so long for more records; an object without an archive waits so long for its own."""
log = logging.getLogger(__name__)


class Archiver:
    """database: its address. archive_days, keep_days: as in the settings; None for never."""

    def __init__(
        self, store: ArchiveStore, objects: Objects, *, database: str, archive_days: float | None, keep_days: float | None
    ) -> None:
        self._store = store
        self._objects = objects
        self._database = database
        self._archive_days = archive_days
        self._keep_days = keep_days

    async def run(self) -> None:
        """Archive and remove all that is due."""
        if self._archive_days is not None and (span := await self._store.next_span(days=self._archive_days)) is not None:
            async with open_sealed_records(self._database, Wanted(organization_id=None, filter=Filter())) as records:
                await self._archive_all(records, *span, days=self._archive_days)
        if self._keep_days is not None:
            for archive in await self._store.outlived(days=self._keep_days):
                await self._remove(archive)
        await self._sweep()

    async def _archive_all(self, records: SealedRecords, first: int, last: int, *, days: float) -> None:
        while first <= last:
            page = await records.page(first, last)
            latest = await self._store.latest_of(first, page[-1].number)
            if page[-1].number == last and latest > await self._store.now() - timedelta(days=days) - PATIENCE:
                return
            await self._archive(page, latest)
            first = page[-1].number + 1

    async def _archive(self, page: Sequence[Sealed], latest: datetime) -> None:
        lines = [(sealed.number, {who: [line for _, line in rows] for who, rows in sealed.rows.items()}) for sealed in page]
        data, parts = await asyncio.to_thread(pack, lines)
        archive = Archive(
            id=new_id("archive"),
            first_checkpoint=page[0].number,
            last_checkpoint=page[-1].number,
            records=sum(len(rows) for sealed in page for rows in sealed.rows.values()),
            latest=latest,
            bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            parts=parts,
        )
        await self._objects.put(archive.object_key, _once(data))
        if await read(self._objects, archive.object_key, limit_bytes=len(data)) != data:
            raise Conflict(f"{archive.object_key} came back from object storage as something else", code="archive_conflict")
        await self._store.add(archive, _record("audit.archived", archive))
        log.info("archived %s records of the audit log, as %s", archive.records, archive.object_key)

    async def _remove(self, archive: Archive) -> None:
        await self._store.forget(archive, _record("audit.removed", archive))
        await self._objects.delete(archive.object_key)
        log.info("removed %s records of the audit log, whose time was over: %s", archive.records, archive.object_key)

    async def _sweep(self) -> None:
        """Remove objects of archives that came to nothing, or whose removal was cut off."""
        oldest_unfinished = f"archive_{int((await self._store.now() - PATIENCE).timestamp() * 1000):012x}"
        kept = await self._store.kept()
        async for found in self._objects.list(f"{FOLDER}/"):
            if (name := found.key.rpartition("/")[2]) not in kept and name < oldest_unfinished:
                await self._objects.delete(found.key)


def _record(kind: str, archive: Archive) -> AuditRecord:
    """In the log of no organisation: it is of all of them."""
    details: dict[str, Detail] = {
        "first_checkpoint": archive.first_checkpoint,
        "last_checkpoint": archive.last_checkpoint,
        "records": archive.records,
    }
    return AuditRecord(
        kind=kind, organization_id=PLATFORM, actor="system", object=archive.id, digest=archive.sha256, details=details
    )


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
