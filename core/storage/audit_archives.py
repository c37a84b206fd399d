"""Archives of the audit log: which sealed records have left the database, to which object, and whether that is still there."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from core.errors import Conflict
from core.storage.audit import AuditRecord, insert
from core.storage.audit_shapes import Archive, first_id_of, read_archive
from core.storage.database import Database
from core.storage.tables import audit_archives, audit_checkpoints, audit_personal


class ArchiveStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def next_span(self, *, days: float) -> tuple[int, int] | None:
        """The checkpoints that are to be archived next, by what stands beside them: those in a row that were sealed before.

        What a clock that was ahead has sealed is as old as what came next.
        """
        async with self._database.everyone() as connection:
            row = (await connection.execute(_NEXT_SPAN, {"before": await _now(connection) - timedelta(days=days)})).one()
        return None if row.last is None else (row.first, row.last)

    async def latest_of(self, first: int, last: int) -> datetime:
        """When the last record of these checkpoints was made."""
        query = sa.select(sa.func.max(audit_checkpoints.c.latest)).where(audit_checkpoints.c.number.between(first, last))
        async with self._database.everyone() as connection:
            latest: datetime = (await connection.execute(query)).scalar_one()
        return latest

    async def add(self, archive: Archive, record: AuditRecord) -> None:
        """Its records leave the database, in the same transaction. record: says so.

        Raises Conflict when other records than these are there, or they were archived meanwhile; then nothing was done.
        """
        values: dict[str, Any] = {
            "id": archive.id,
            "first_checkpoint": archive.first_checkpoint,
            "last_checkpoint": archive.last_checkpoint,
            "records": archive.records,
            "latest": archive.latest,
            "bytes": archive.bytes,
            "sha256": archive.sha256,
            "parts": json.dumps(archive.parts),
        }
        try:
            async with self._database.everyone() as connection:
                await connection.execute(sa.insert(audit_archives).values(values))
                released = await connection.scalar(_RELEASE, {"archive": archive.id})
                if released != archive.records:
                    raise Conflict(f"{released} records are there instead of {archive.records}", code="archive_conflict")
                await insert(connection, record)
        except IntegrityError as exc:
            raise Conflict(f"checkpoint {archive.first_checkpoint} is archived already", code="archive_conflict") from exc

    async def outlived(self, *, days: float) -> Sequence[Archive]:
        """Those whose last checkpoint was sealed longer ago, by what stands beside it, the oldest first."""
        last = audit_checkpoints.c.number == audit_archives.c.last_checkpoint
        async with self._database.everyone() as connection:
            before = await _now(connection) - timedelta(days=days)
            query = sa.select(audit_archives).join(audit_checkpoints, last)
            query = query.where(audit_archives.c.removed_at.is_(None), audit_checkpoints.c.sealed_at < before)
            rows = (await connection.execute(query.order_by(audit_archives.c.first_checkpoint))).mappings().all()
        return [read_archive(dict(row)) for row in rows]

    async def forget(self, archive: Archive, record: AuditRecord) -> None:
        """The hashes of its records go, and personal text that is older than all records that are left. record: says so."""
        earliest = sa.select(sa.func.min(audit_checkpoints.c.earliest)).where(
            audit_checkpoints.c.number > archive.last_checkpoint
        )
        async with self._database.everyone() as connection:
            if await connection.scalar(_FORGET, {"archive": archive.id}):
                oldest_left = await connection.scalar(earliest) or archive.latest
                older = audit_personal.c.record_id < first_id_of(oldest_left)
                await connection.execute(sa.delete(audit_personal).where(older))
                await insert(connection, record)

    async def now(self) -> datetime:
        """By the clock that is everybody's: what is removed cannot be had again."""
        async with self._database.everyone() as connection:
            return await _now(connection)

    async def kept(self) -> set[str]:
        """The ids of all whose object has to be there."""
        query = sa.select(audit_archives.c.id).where(audit_archives.c.removed_at.is_(None))
        async with self._database.everyone() as connection:
            return set((await connection.execute(query)).scalars())


async def _now(connection: AsyncConnection) -> datetime:
    found: datetime = (await connection.execute(sa.select(sa.func.now()))).scalar_one()
    return found


_NEXT_SPAN = sa.text("""
    WITH present AS (
        SELECT number, sealed_at FROM audit_checkpoints
        WHERE number > (SELECT COALESCE(max(last_checkpoint), 0) FROM audit_archives)
    )
    SELECT min(number) AS first, max(number) FILTER (WHERE sealed_at < :before) AS last FROM present WHERE number < COALESCE(
        (SELECT min(number) FROM present WHERE sealed_at >= :before AND sealed_at <= now()), number + 1
    )
""")
_RELEASE = sa.text("SELECT audit_release(:archive)")
_FORGET = sa.text("SELECT audit_forget(:archive)")
