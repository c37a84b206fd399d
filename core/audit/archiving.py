"""Moves old records from the database to object storage, and removes those from there whose time is over. It is the keeper's.

What moved is read back before it leaves the database; its proof, hashes and checkpoints, stays there.
"""

import asyncio
import base64
import hashlib
import logging
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

from core.audit.export.removals import Removal
from core.audit.head import Head
from core.audit.notes import SKEW, Rewritten
from core.audit.signing import Signer
from core.errors import Conflict, NotFound
from core.ids import new_id
from core.storage.audit import PLATFORM, AuditRecord, Detail
from core.storage.audit_archives import ArchiveStore
from core.storage.audit_reading import Sealed, SealedRecords, Wanted, open_sealed_records
from core.storage.audit_shapes import FOLDER, LARGEST_ARCHIVE, Archive, BrokenArchive, Filter, newest_in, pack
from core.storage.objects import Objects, read

PATIENCE = timedelta(days=1)
"""A small archive waits so long for more records; an object without an archive waits so long for its own."""
log = logging.getLogger(__name__)


class Archiver:
    """database: its address. archive_days, keep_days: as in the settings; None for never."""

    def __init__(
        self,
        store: ArchiveStore,
        objects: Objects,
        head: Head,
        signer: Signer,
        *,
        database: str,
        archive_days: float | None,
        keep_days: float | None,
    ) -> None:
        self._store = store
        self._objects = objects
        self._head = head
        self._signer = signer
        self._database = database
        self._archive_days = archive_days
        self._keep_days = keep_days
        self._known: dict[str, int | None] = {}

    async def run(self) -> None:
        """Archive and remove all that is due: nothing while the database is not what was signed."""
        try:
            if await self._head.newest() is not None:
                await self._archive_due()
                await self._remove_due()
                await self._sweep()
        except Rewritten as exc:
            log.critical("%s", self._head.alarm(exc))

    async def _archive_due(self) -> None:
        """Raises Rewritten."""
        if self._archive_days is None or (span := await self._store.next_span(days=self._archive_days)) is None:
            return
        before = await self._store.now() - timedelta(days=self._archive_days)
        if not await self._is_older(span[1], before):  # by the clock of a server that was ahead, in notes of before
            span = await self._store.next_span(days=self._archive_days + SKEW / timedelta(days=1))
            if span is None:
                return
        first, last = span
        if not await self._is_older(last, before):
            log.warning("checkpoints %s to %s are not archived: they are not as old as the database says", first, last)
        else:
            async with open_sealed_records(self._database, Wanted(organization_id=None, filter=Filter())) as records:
                await self._archive_all(records, first, last, before=before)

    async def _remove_due(self) -> None:
        """Raises Rewritten."""
        if self._keep_days is None:
            return
        for archive in await self._store.outlived(days=self._keep_days):
            before = await self._store.now() - timedelta(days=self._keep_days)
            if await self._is_older(archive.last_checkpoint, before) and await self._is_over(archive.object_key):
                await self._remove(archive)
            else:
                log.warning("archive %s stays: its records are not as old as the database says", archive.id)

    async def _is_older(self, number: int, before: datetime) -> bool:
        """By what was signed of the checkpoint: what was sealed until then is older still. Raises Rewritten."""
        return (await self._head.proven(number)).sealed < before

    async def _is_over(self, object_key: str) -> bool:
        """Whether the object has no record whose time is not over, by its own word. Raises Rewritten."""
        try:
            newest = await self._newest_in(object_key)
        except NotFound:
            return True
        except BrokenArchive:
            return False
        if newest is None or self._keep_days is None:
            return newest is None
        return await self._is_older(newest, await self._store.now() - timedelta(days=self._keep_days))

    async def _newest_in(self, object_key: str) -> int | None:
        """The newest checkpoint of which it has records. It is read once: what is left over is looked at in every run."""
        if object_key not in self._known:
            data = await read(self._objects, object_key, limit_bytes=LARGEST_ARCHIVE)
            self._known[object_key] = await asyncio.to_thread(newest_in, data)
        return self._known[object_key]

    async def _archive_all(self, records: SealedRecords, first: int, last: int, *, before: datetime) -> None:
        while first <= last:
            page = await records.page(first, last)
            if page[-1].number == last and (await self._head.proven(last)).sealed > before - PATIENCE:
                return
            await self._archive(page, await self._store.latest_of(first, page[-1].number))
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
        try:
            await self._store.add(archive, _record("audit.archived", archive))
        except Conflict:
            await self._objects.delete(archive.object_key)  # nothing was done: its records are where they were
            raise
        log.info("archived %s records of the audit log, as %s", archive.records, archive.object_key)

    async def _remove(self, archive: Archive) -> None:
        await self._store.forget(archive, _record("audit.removed", archive, signature=await self._signature(archive)))
        await self._objects.delete(archive.object_key)
        log.info("removed %s records of the audit log, whose time was over: %s", archive.records, archive.object_key)

    async def _signature(self, archive: Archive) -> str:
        """Whoever can write to the database can record a removal, too. Raises Rewritten."""
        origin = (await self._head.proven(archive.last_checkpoint)).origin
        first, last = archive.first_checkpoint, archive.last_checkpoint
        removal = Removal(first=first, last=last, archive=archive.id, sha256=archive.sha256)
        return base64.b64encode(self._signer.sign(removal.text(origin))).decode()

    async def _sweep(self) -> None:
        """Remove objects of archives that came to nothing, or whose removal was cut off, once their records' time is over.

        That the database knows no archive of theirs is not enough. Raises Rewritten.
        """
        oldest_unfinished = f"archive_{int((await self._store.now() - PATIENCE).timestamp() * 1000):012x}"
        kept = await self._store.kept()
        async for found in self._objects.list(f"{FOLDER}/"):
            name = found.key.rpartition("/")[2]
            if name not in kept and name < oldest_unfinished and await self._is_over(found.key):
                await self._objects.delete(found.key)


def _record(kind: str, archive: Archive, **more: Detail) -> AuditRecord:
    """In the log of no organisation: it is of all of them."""
    details: dict[str, Detail] = {
        "first_checkpoint": archive.first_checkpoint,
        "last_checkpoint": archive.last_checkpoint,
        "records": archive.records,
        **more,
    }
    return AuditRecord(
        kind=kind, organization_id=PLATFORM, actor="system", object=archive.id, digest=archive.sha256, details=details
    )


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
