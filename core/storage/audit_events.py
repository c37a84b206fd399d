"""Reading the audit log: records in the order of their commits, with the personal text that has not been erased; erasing it."""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from core.errors import InvalidRequest, NotFound
from core.storage.audit import LOCK_ERASURE, AuditRecord, digest_of, insert
from core.storage.audit_seals import HORIZON
from core.storage.audit_shapes import Filter, first_id_of
from core.storage.database import Database
from core.storage.records import Page
from core.storage.tables import audit_archives, audit_personal, audit_records, audit_subjects


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """record: the line, read. personal: what was put apart; None where there was nothing or it was erased.

    personal_changed: what is there instead is not what the record has the digest of; then it is not told.
    """

    id: str
    record: Mapping[str, Any]
    personal: Mapping[str, str] | None
    personal_changed: bool


class EventStore:
    """organization_id: whose records; None for everybody's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, organization_id: str | None, wanted: Filter, *, after: str | None, limit: int, descending: bool
    ) -> Page[AuditEvent]:
        """From the oldest on, a page ends where records may still be committed before others: none is ever passed over.

        after: an id among them; raises InvalidRequest when it is not there.
        """
        order = sa.tuple_(_records.c.moment, _records.c.id)
        query = _EVENTS.where(*_conditions(organization_id, wanted)).limit(limit + 1)
        query = query.order_by(_records.c.moment.desc(), _records.c.id.desc()) if descending else query.order_by(order)
        if not descending:
            query = query.where(_records.c.moment < sa.literal_column(HORIZON))
        async with self._transaction(organization_id) as connection:
            if after is not None:
                place = await _place(connection, organization_id, after)
                query = query.where(order < place if descending else order > place)
            rows = (await connection.execute(query)).all()
        return Page(rows=[_event(row) for row in rows[:limit]], more=len(rows) > limit)

    async def archived_until(self, organization_id: str | None) -> datetime | None:
        """When the newest was made of those that have left the database for object storage and are kept there."""
        query = sa.select(sa.func.max(audit_archives.c.latest)).where(audit_archives.c.removed_at.is_(None))
        if organization_id is not None:
            query = query.where(sa.func.strpos(audit_archives.c.parts, f'"{organization_id}":') > 0)
        async with self._database.everyone() as connection:
            latest: datetime | None = (await connection.execute(query)).scalar_one()
        return latest

    async def get(self, organization_id: str | None, record_id: str) -> AuditEvent:
        """Raises NotFound."""
        query = _EVENTS.where(*_conditions(organization_id, Filter()), _records.c.id == record_id)
        async with self._transaction(organization_id) as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise NotFound(
                f"no audit event {record_id!r} in the database; exports have those of the archive", code="audit_event_not_found"
            )
        return _event(row)

    async def erase(self, organization_id: str, subject: str, record: AuditRecord) -> int:
        """Remove the subject's key, and all personal text under it; how many records lost some. The records stay as they are.

        record: says that it was done, in the same transaction. Raises NotFound.
        """
        async with self._database.everyone() as connection:
            await connection.execute(LOCK_ERASURE, {"organization_id": organization_id, "subject": subject})
            mine = audit_subjects.c.organization_id == organization_id, audit_subjects.c.subject == subject
            if (await connection.execute(sa.delete(audit_subjects).where(*mine))).rowcount == 0:
                raise NotFound(f"no personal text is kept of {subject!r}", code="audit_subject_not_found")
            texts = audit_personal.c.organization_id == organization_id, audit_personal.c.subject == subject
            erased = (await connection.execute(sa.delete(audit_personal).where(*texts))).rowcount
            await insert(connection, record)
        return erased

    @asynccontextmanager
    async def _transaction(self, organization_id: str | None) -> AsyncGenerator[AsyncConnection, None]:
        opened = self._database.everyone() if organization_id is None else self._database.tenant(organization_id)
        async with opened as connection:
            yield connection


_records = audit_records
_LINE = sa.cast(_records.c.record, sa.Text).label("line")
_APART = sa.and_(audit_personal.c.record_id == _records.c.id, audit_personal.c.organization_id == _records.c.organization_id)
_KEY = sa.and_(
    audit_subjects.c.organization_id == audit_personal.c.organization_id, audit_subjects.c.subject == audit_personal.c.subject
)
_EVENTS = sa.select(_records.c.id, _LINE, audit_personal.c.text, audit_subjects.c.key).select_from(
    _records.outerjoin(audit_personal, _APART).outerjoin(audit_subjects, _KEY)
)


def _conditions(organization_id: str | None, wanted: Filter) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if organization_id is not None:
        conditions.append(_records.c.organization_id == organization_id)
    if wanted.kinds:
        conditions.append(sa.or_(*(_is_kind(kind) for kind in wanted.kinds)))
    for name in ("actor", "object", "outcome"):
        if (value := getattr(wanted, name)) is not None:
            conditions.append(_records.c[name] == value)
    if wanted.since is not None:
        conditions.append(_records.c.id >= first_id_of(wanted.since))
    if wanted.until is not None:
        conditions.append(_records.c.id < first_id_of(wanted.until))
    return conditions


def _is_kind(kind: str) -> sa.ColumnElement[bool]:
    if kind.endswith("*"):
        return _records.c.kind.startswith(kind[:-1], autoescape=True)
    return _records.c.kind == kind


async def _place(connection: AsyncConnection, organization_id: str | None, record_id: str) -> sa.Tuple:
    query = sa.select(_records.c.moment).where(*_conditions(organization_id, Filter()), _records.c.id == record_id)
    moment = await connection.scalar(query)
    if moment is None:
        raise InvalidRequest(
            f"no event {record_id!r} in this list; exports have those of the archive", param="after", code="invalid_cursor"
        )
    return sa.tuple_(sa.literal(moment), sa.literal(record_id))


def _event(row: "sa.Row[Any]") -> AuditEvent:
    record = json.loads(row.line)
    same = row.text is not None and _is_of(record, row.key, row.text)
    return AuditEvent(
        id=row.id,
        record=record,
        personal=json.loads(row.text) if same else None,
        personal_changed=row.text is not None and not same,
    )


def _is_of(record: Any, key: bytes | None, text: str) -> bool:
    """Also where somebody has made the record into something else."""
    match record:
        case {"personal": {"hmac": str(told)}} if key is not None:
            return told == digest_of(key, text)
    return False
