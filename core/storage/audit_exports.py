"""Exports that were asked for: what each is of, how far it is, what became of it. One process makes them, one after another."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from core.errors import Conflict, NotFound
from core.storage.audit import AuditRecord, insert
from core.storage.database import Database, hold
from core.storage.paging import page_by_id
from core.storage.records import Page
from core.storage.tables import audit_exports

UNFINISHED_AT_ONCE = 5


class ExportStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DELETED = "deleted"  # by somebody, or because its time was over; the files are gone

    @property
    def unfinished(self) -> bool:
        return self in (ExportStatus.QUEUED, ExportStatus.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """request: as `making.ExportRequest`. files: name, bytes and sha256 of each. problems: of the log itself."""

    id: str
    organization_id: str
    user_id: str
    key_id: str
    request: Mapping[str, Any]
    status: ExportStatus
    attempts: int
    records: int
    checkpoints: int
    checkpoints_total: int | None
    files: Sequence[Mapping[str, Any]]
    problems: Sequence[str]
    error: str | None
    created_at: datetime
    ended_at: datetime | None


class ExportStore:
    """record: says what is done, and names the export. Where the export is of another organisation's log, that one has it too.

    others: whether exports of other organisations' logs are there, too, among those that an organisation has asked for.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, record: AuditRecord, request: Mapping[str, Any]) -> Export:
        """Raises Conflict when too many are not finished."""
        home = record.organization_id
        values = {"id": record.object, "organization_id": home, "user_id": record.actor, "key_id": record.key_id}
        unfinished = sa.select(sa.func.count()).where(
            audit_exports.c.organization_id == home, audit_exports.c.status.in_(_UNFINISHED)
        )
        async with self._database.everyone() as connection:
            await hold(connection, "exports", home)
            if (await connection.execute(unfinished)).scalar_one() >= UNFINISHED_AT_ONCE:
                raise Conflict(
                    f"{UNFINISHED_AT_ONCE} exports are not finished yet: wait for one, or delete it", code="too_many_exports"
                )
            query = sa.insert(audit_exports).values(**values, request=json.dumps(request), status=ExportStatus.QUEUED)
            row = (await connection.execute(query.returning(audit_exports))).mappings().one()
            await _tell(connection, record, request)
        return _export(row)

    async def page(
        self, organization_id: str, *, others: bool, after: str | None, limit: int, descending: bool
    ) -> Page[Export]:
        """after: an export's id; raises InvalidRequest when it is none of these."""
        mine = _there(organization_id, others=others)
        async with self._database.tenant(organization_id) as connection:
            rows, more = await page_by_id(connection, audit_exports, *mine, after=after, limit=limit, descending=descending)
        return Page(rows=[_export(row) for row in rows], more=more)

    async def get(self, organization_id: str, export_id: str, *, others: bool) -> Export:
        """Raises NotFound."""
        query = sa.select(audit_exports).where(*_there(organization_id, others=others), audit_exports.c.id == export_id)
        async with self._database.tenant(organization_id) as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        if row is None:
            raise NotFound(f"no export {export_id!r}", code="export_not_found")
        return _export(row)

    async def note(self, record: AuditRecord, export: Export) -> None:
        async with self._database.everyone() as connection:
            await _tell(connection, record, export.request)

    async def end(self, record: AuditRecord, status: ExportStatus, *, was: Sequence[ExportStatus]) -> bool:
        """Cancelled or deleted. False where it was in none of the states `was`."""
        query = (
            sa.update(audit_exports)
            .where(
                audit_exports.c.organization_id == record.organization_id,
                audit_exports.c.id == record.object,
                audit_exports.c.status.in_(was),
            )
            .values(status=status, files="[]", ended_at=sa.func.coalesce(audit_exports.c.ended_at, sa.func.now()))
            .returning(audit_exports.c.request)
        )
        async with self._database.everyone() as connection:
            request = await connection.scalar(query)
            if request is not None:
                await _tell(connection, record, json.loads(request))
        return request is not None

    # What follows is the keeper's.

    async def begin_next(self) -> Export | None:
        """The oldest that is not finished; one that was begun before was cut off, and begins again."""
        oldest = sa.select(audit_exports.c.id).where(audit_exports.c.status.in_(_UNFINISHED))
        query = (
            sa.update(audit_exports)
            .where(audit_exports.c.id == oldest.order_by(audit_exports.c.id).limit(1).scalar_subquery())
            .values(status=ExportStatus.RUNNING, attempts=audit_exports.c.attempts + 1, records=0, checkpoints=0)
            .returning(audit_exports)
        )
        async with self._database.everyone() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        return None if row is None else _export(row)

    async def progress(self, export: Export, *, records: int, checkpoints: int, total: int) -> bool:
        """False when it was cancelled meanwhile, or begun again by another server."""
        values = {"records": records, "checkpoints": checkpoints, "checkpoints_total": total}
        async with self._database.everyone() as connection:
            return (await connection.execute(_running(export).values(values))).rowcount > 0

    async def finish(self, export: Export, record: AuditRecord, result: Mapping[str, Any]) -> bool:
        """result: what to write over the row's columns. False, as for `progress`, and then nothing is written."""
        values = {name: json.dumps(value) if name in ("files", "problems") else value for name, value in result.items()}
        async with self._database.everyone() as connection:
            finished = (await connection.execute(_running(export).values({**values, "ended_at": sa.func.now()}))).rowcount > 0
            if finished:
                await insert(connection, record)
        return finished

    async def outlived(self, *, days: float) -> Sequence[Export]:
        """Those that ended longer ago, and may have files. What did not come about says so for a day at least."""
        for_seconds = sa.case((audit_exports.c.status == ExportStatus.COMPLETED, days), else_=max(days, 1)) * 86_400
        query = sa.select(audit_exports).where(
            audit_exports.c.status.in_([ExportStatus.COMPLETED, ExportStatus.FAILED, ExportStatus.CANCELLED]),
            audit_exports.c.ended_at < sa.func.now() - sa.func.make_interval(0, 0, 0, 0, 0, 0, for_seconds),
        )
        async with self._database.everyone() as connection:
            return [_export(row) for row in (await connection.execute(query.limit(100))).mappings()]


_UNFINISHED = [status for status in ExportStatus if status.unfinished]


def _there(organization_id: str, *, others: bool) -> list[sa.ColumnElement[bool]]:
    mine, whose = audit_exports.c.organization_id == organization_id, sa.cast(audit_exports.c.request, JSONB)
    return [mine] if others else [mine, whose["organization_id"].astext == organization_id]


async def _tell(connection: AsyncConnection, record: AuditRecord, request: Mapping[str, Any]) -> None:
    await insert(connection, record)
    whose = request["organization_id"]
    if whose not in (None, record.organization_id):
        await insert(connection, record.also_in(whose))


def _running(export: Export) -> sa.Update:
    """In this attempt."""
    return sa.update(audit_exports).where(
        audit_exports.c.id == export.id,
        audit_exports.c.status == ExportStatus.RUNNING,
        audit_exports.c.attempts == export.attempts,
    )


def _export(row: sa.RowMapping) -> Export:
    told = {name: json.loads(row[name]) for name in ("request", "files", "problems")}
    return Export(**{**row, **told, "status": ExportStatus(row["status"])})
