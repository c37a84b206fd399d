"""What seals the audit log: which records are next, the checkpoints, each organisation's section in them, the keys.

A record's `moment` is the number of its transaction. Those below the lowest transaction that still runs are final: nothing can
be committed among them any more, so they are sealed in order of (moment, id) and none is passed over.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from core.errors import Conflict
from core.storage.audit import AuditRecord, insert
from core.storage.audit_shapes import Section, times_of
from core.storage.database import Database
from core.storage.tables import audit_checkpoints, audit_keys, audit_sections

HORIZON = "audit_offset() + pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
NEXT = "audit_offset() + pg_snapshot_xmax(pg_current_snapshot())::text::bigint"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Seals the records of [first_moment, end_moment). earliest, latest: when they were made. note: as signed.

    Of these only the note is signed: what stands beside it is what the database says.
    """

    number: int
    first_moment: int
    end_moment: int
    records: int
    earliest: datetime
    latest: datetime
    sealed_at: datetime
    key_id: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The next records to seal. earliest, latest: when they were made. read_at: by the database's clock. lines: by
    organisation, in order.
    """

    first_moment: int
    end_moment: int
    earliest: datetime
    latest: datetime
    read_at: datetime
    lines: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsealed:
    """The oldest record that is not sealed: when it was made, and how long ago that is, by the database's clock."""

    since: datetime
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    id: str
    public_key: str
    created_at: datetime


class SealStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def last(self) -> Checkpoint | None:
        query = sa.select(*_SHOWN).order_by(audit_checkpoints.c.number.desc()).limit(1)
        async with self._database.everyone() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        return None if row is None else Checkpoint(**row)

    async def horizon(self) -> int:
        """Of records below this moment there will be no others."""
        return await self._moment(HORIZON)

    async def next_moment(self) -> int:
        """All that is recorded is below it."""
        return await self._moment(NEXT)

    async def _moment(self, said: str) -> int:
        async with self._database.everyone() as connection:
            return int(await connection.scalar(sa.text(f"SELECT {said}")) or 0)

    async def next_batch(self, first_moment: int, *, limit: int) -> Batch | None:
        """About so many records: a transaction's are never divided."""
        async with self._database.everyone() as connection:
            horizon = await connection.scalar(sa.text(f"SELECT {HORIZON}"))
            bounds = {"first": first_moment, "horizon": horizon}
            cut = await connection.scalar(_CUT, {**bounds, "limit": limit})
            end = horizon if cut is None else max(cut, await connection.scalar(_FIRST, bounds) + 1)
            rows = (await connection.execute(_BATCH, {"first": first_moment, "end": end})).all()
            read_at = (await connection.execute(sa.select(sa.func.now()))).scalar_one()
        if not rows:
            return None
        lines: dict[str, list[str]] = {}
        for organization_id, _, line in rows:
            lines.setdefault(organization_id, []).append(line)
        earliest, latest = times_of([row[1] for row in rows])
        return Batch(first_moment=first_moment, end_moment=end, earliest=earliest, latest=latest, read_at=read_at, lines=lines)

    async def unsealed(self) -> Unsealed | None:
        """None where all records are sealed that are committed."""
        async with self._database.everyone() as connection:
            row = (await connection.execute(_UNSEALED)).one_or_none()
        if row is None:
            return None
        since, _ = times_of([row.id])
        return Unsealed(since=since, seconds=max((row.now - since).total_seconds(), 0.0))

    async def counts(self, organization_ids: Collection[str]) -> Mapping[str, int]:
        """How many records of each are sealed; those without any are not in it."""
        async with self._database.everyone() as connection:
            rows = (await connection.execute(_COUNTS, {"ids": list(organization_ids)})).all()
        return {row.organization_id: row.sealed for row in rows}

    async def add(self, checkpoint: Checkpoint, sections: Sequence[Section]) -> None:
        """All or nothing. Raises Conflict when another keeper has sealed these records meanwhile."""
        try:
            async with self._database.everyone() as connection:
                await connection.execute(sa.insert(audit_checkpoints), [_values(checkpoint)])
                await connection.execute(sa.insert(audit_sections), [_values(section) for section in sections])
        except IntegrityError as exc:
            raise Conflict(f"checkpoint {checkpoint.number} is there already", code="checkpoint_exists") from exc

    async def checkpoints(self, first: int, last: int) -> Sequence[Checkpoint]:
        query = sa.select(*_SHOWN).where(audit_checkpoints.c.number.between(first, last)).order_by(audit_checkpoints.c.number)
        async with self._database.everyone() as connection:
            return [Checkpoint(**row) for row in (await connection.execute(query)).mappings()]

    async def notes(self, first: int, last: int) -> Sequence[str]:
        """As signed, in order."""
        mine = audit_checkpoints.c.number.between(first, last)
        query = sa.select(audit_checkpoints.c.note).where(mine).order_by(audit_checkpoints.c.number)
        async with self._database.everyone() as connection:
            return (await connection.execute(query)).scalars().all()

    async def note(self, record: AuditRecord) -> None:
        async with self._database.everyone() as connection:
            await insert(connection, record)

    async def announce_key(self, public_key: str, record: AuditRecord) -> bool:
        """Whether it is a new one; then the record says so. Its object is the key's id."""
        values = {"id": record.object, "public_key": public_key}
        async with self._database.everyone() as connection:
            new = (await connection.execute(_ANNOUNCE, values)).rowcount > 0
            if new:
                await insert(connection, record)
        return new

    async def keys(self) -> Sequence[SigningKey]:
        async with self._database.everyone() as connection:
            rows = (await connection.execute(sa.select(audit_keys).order_by(audit_keys.c.created_at))).mappings().all()
        return [SigningKey(**row) for row in rows]


def _values(row: Checkpoint | Section) -> dict[str, object]:
    return {field.name: getattr(row, field.name) for field in fields(row)}


_SHOWN = [audit_checkpoints.c[field.name] for field in fields(Checkpoint)]
_FIRST = sa.text("SELECT min(moment) FROM audit_records WHERE moment >= :first AND moment < :horizon")
_CUT = sa.text(
    "SELECT moment FROM audit_records WHERE moment >= :first AND moment < :horizon ORDER BY moment, id OFFSET :limit LIMIT 1"
)
_BATCH = sa.text(
    "SELECT organization_id, record->>'id', record::text FROM audit_records WHERE moment >= :first AND moment < :end"
    " ORDER BY organization_id, moment, id"
)
# Where the newest checkpoint's end lies ahead of all that is final, it was moved: then nothing since its beginning counts.
_UNSEALED = sa.text(f"""
    SELECT record->>'id' AS id, now() AS now FROM audit_records WHERE moment >= COALESCE((
        SELECT CASE WHEN end_moment > {HORIZON} THEN first_moment ELSE end_moment END
        FROM audit_checkpoints ORDER BY number DESC LIMIT 1
    ), 0) ORDER BY moment, audit_records.id LIMIT 1
""")  # noqa: S608 - a constant
_COUNTS = sa.text("""
    SELECT o.id AS organization_id, s.first + s.size AS sealed FROM unnest(CAST(:ids AS text[])) o (id), LATERAL (
        SELECT first, size FROM audit_sections WHERE organization_id = o.id ORDER BY checkpoint DESC LIMIT 1
    ) s
""")
_ANNOUNCE = sa.text("INSERT INTO audit_keys (id, public_key) VALUES (:id, :public_key) ON CONFLICT DO NOTHING")
