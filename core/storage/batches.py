"""Batches: what each is, how far it is, and its lines until their answers are in a file. It runs nothing."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

import sqlalchemy as sa

from core.errors import Conflict, NotFound, RateLimited
from core.storage.audit import AuditRecord, insert
from core.storage.database import Database, hold
from core.storage.journal import Places
from core.storage.paging import page_by_id
from core.storage.records import Page
from core.storage.tables import batch_lines, batches
from core.storage.webhooks import tell

WORK_SECONDS = 60.0
"""How long a batch is left to a process that does not say that it still works on it."""
UNFINISHED_AT_ONCE = 50
CHUNK = 1_000


class BatchStatus(StrEnum):
    VALIDATING = "validating"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """principal: who asked, as it is kept with turns. problem: what is wrong with all of it, JSON. output_seconds: how long the
    files of its answers are kept; None: until they are deleted.

    total, completed, failed: lines. worker: who works on it, until worked_until.
    """

    id: str
    organization_id: str
    principal: str
    endpoint: str
    input_file_id: str
    completion_window: str
    output_seconds: int | None
    metadata: Mapping[str, str]
    status: BatchStatus
    total: int
    completed: int
    failed: int
    output_file_id: str | None
    error_file_id: str | None
    problem: str | None
    worker: str | None
    worked_until: datetime
    created_at: datetime
    expires_at: datetime
    in_progress_at: datetime | None
    finalizing_at: datetime | None
    cancelling_at: datetime | None
    ended_at: datetime | None


class NewLine(Protocol):
    """`core.batches.lines.Line`."""

    @property
    def number(self) -> int: ...
    @property
    def custom_id(self) -> str: ...
    @property
    def body(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLine:
    """custom_id: JSON. error: JSON, of a line that has no turn: the status and body of a refusal, or a code and a message."""

    line: int
    custom_id: str
    body: str | None
    turn_id: str | None
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Lines: waiting for a turn, with a turn that has not ended, completed, failed."""

    waiting: int
    running: int
    completed: int
    failed: int


class BatchStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, record: AuditRecord, batch: Mapping[str, Any]) -> Batch:
        """record: says that it was made, by whom, and its id. Raises RateLimited when too many are not finished."""
        home = record.organization_id
        mine = sa.and_(batches.c.organization_id == home, batches.c.ended_at.is_(None))
        values = {**batch, "metadata": json.dumps(batch["metadata"]), "id": record.object, "organization_id": home}
        async with self._database.tenant(home) as connection:
            await hold(connection, "batches", home)
            if (await connection.execute(sa.select(sa.func.count()).where(mine))).scalar_one() >= UNFINISHED_AT_ONCE:
                message = f"{UNFINISHED_AT_ONCE} batches are not finished yet"
                raise RateLimited(message, retry_after=60, code="too_many_batches")
            query = sa.insert(batches).values(**values, status=BatchStatus.VALIDATING).returning(batches)
            row = (await connection.execute(query)).mappings().one()
            await insert(connection, record)
        return _batch(row)

    async def get(self, organization_id: str, batch_id: str) -> Batch:
        """Raises NotFound."""
        query = sa.select(batches).where(batches.c.organization_id == organization_id, batches.c.id == batch_id)
        async with self._database.tenant(organization_id) as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        if row is None:
            raise NotFound(f"no batch {batch_id!r}", code="batch_not_found")
        return _batch(row)

    async def list(self, organization_id: str, *, after: str | None, limit: int, descending: bool) -> Page[Batch]:
        mine = batches.c.organization_id == organization_id
        async with self._database.tenant(organization_id) as connection:
            rows, more = await page_by_id(connection, batches, mine, after=after, limit=limit, descending=descending)
        return Page(rows=[_batch(row) for row in rows], more=more)

    async def cancel(self, record: AuditRecord) -> None:
        """Raises Conflict when it is not to be stopped any more."""
        home, batch_id = record.organization_id, record.object
        stoppable = batches.c.status.in_([BatchStatus.VALIDATING, BatchStatus.IN_PROGRESS])
        mine = sa.and_(batches.c.organization_id == home, batches.c.id == batch_id, stoppable)
        query = sa.update(batches).where(mine).values(status=BatchStatus.CANCELLING, cancelling_at=sa.func.now())
        async with self._database.tenant(home) as connection:
            if (await connection.execute(query)).rowcount == 0:
                raise Conflict(f"batch {batch_id!r} has ended, or is about to", code="batch_ended")
            await insert(connection, record)

    # What follows is the worker's.

    async def take(self, worker: str) -> Batch | None:
        """One that has not ended and that nobody works on, for WORK_SECONDS."""
        async with self._database.everyone() as connection:
            row = (await connection.execute(_TAKE, {"worker": worker, "seconds": WORK_SECONDS})).mappings().one_or_none()
        return None if row is None else _batch(row)

    async def hold(self, batch: Batch, *, seconds: float = WORK_SECONDS) -> bool:
        """For so long again. False when it is somebody else's."""
        return await self._change(batch, {"worked_until": _in(seconds)})

    async def begin(self, batch: Batch, lines: Sequence[NewLine]) -> None:
        """With these lines; what stood there of an attempt that was cut off goes. Nothing where it was cancelled meanwhile."""
        rows = [
            {"batch_id": batch.id, "organization_id": batch.organization_id, "line": line.number, "custom_id": line.custom_id}
            | {"body": line.body}
            for line in lines
        ]
        running = {"status": BatchStatus.IN_PROGRESS, "total": len(rows), "in_progress_at": sa.func.now()}
        mine = sa.and_(_mine(batch), batches.c.status == BatchStatus.VALIDATING)
        async with self._database.everyone() as connection:
            if (await connection.execute(sa.update(batches).where(mine).values(running))).rowcount == 0:
                return
            await connection.execute(sa.delete(batch_lines).where(batch_lines.c.batch_id == batch.id))
            for start in range(0, len(rows), CHUNK):
                await connection.execute(sa.insert(batch_lines), rows[start : start + CHUNK])

    async def progress(self, batch: Batch) -> Progress:
        async with self._database.everyone() as connection:
            row = (await connection.execute(_PROGRESS, {"id": batch.id})).mappings().one()
        return Progress(**row)

    async def waiting(self, batch: Batch, *, most: int) -> Sequence[BatchLine]:
        query = _LINES.where(batch_lines.c.batch_id == batch.id, _WAITING)
        return await self._lines(query.order_by(batch_lines.c.line).limit(most))

    async def lines(self, batch_id: str, *, after: int) -> Sequence[BatchLine]:
        """At most CHUNK, in order, with a number above."""
        query = _LINES.where(batch_lines.c.batch_id == batch_id, batch_lines.c.line > after)
        return await self._lines(query.order_by(batch_lines.c.line).limit(CHUNK))

    async def running(self, batch: Batch) -> Sequence[str]:
        """Turns that have not ended."""
        async with self._database.everyone() as connection:
            return (await connection.execute(_RUNNING, {"id": batch.id})).scalars().all()

    async def began(self, batch: Batch, line: int, turn_id: str) -> bool:
        """False when the line has ended without this turn."""
        mine = sa.and_(batch_lines.c.batch_id == batch.id, batch_lines.c.line == line)
        open_ = sa.or_(_WAITING, batch_lines.c.turn_id == turn_id)  # which somebody else may have noted
        async with self._database.everyone() as connection:
            query = sa.update(batch_lines).where(mine, open_).values(turn_id=turn_id)
            return (await connection.execute(query)).rowcount > 0

    async def refused(self, batch: Batch, line: int, error: str) -> None:
        mine = sa.and_(batch_lines.c.batch_id == batch.id, batch_lines.c.line == line)
        async with self._database.everyone() as connection:
            await connection.execute(sa.update(batch_lines).where(mine, _WAITING).values(error=error))

    async def refuse_waiting(self, batch: Batch, error: str) -> None:
        """All that have no turn. One that was accepted, and that nobody has noted, is noted."""
        async with self._database.everyone() as connection:
            await connection.execute(_NOTE_TURNS, {"id": batch.id})
            mine = batch_lines.c.batch_id == batch.id
            await connection.execute(sa.update(batch_lines).where(mine, _WAITING).values(error=error))

    async def turn_of(self, idempotency: str) -> str | None:
        async with self._database.everyone() as connection:
            found: str | None = await connection.scalar(_TURN_OF, {"idempotency": idempotency})
        return found

    async def room(self, organization_id: str, places: Places) -> int:
        """How many more turns of the organisation may wait in the queue, as the journal counts them."""
        async with self._database.everyone() as connection:
            row = (await connection.execute(_QUEUED, {"organization_id": organization_id})).one()
        left: int = min(places.of_one - row.of_one, places.of_all - row.of_all)
        return max(0, left)

    async def count(self, batch: Batch, progress: Progress) -> bool:
        return await self._change(batch, {"completed": progress.completed, "failed": progress.failed})

    async def outlived(self, batch: Batch) -> bool:
        """By the database's clock."""
        query = sa.select(batches.c.expires_at < sa.func.clock_timestamp()).where(batches.c.id == batch.id)
        async with self._database.everyone() as connection:
            return bool(await connection.scalar(query))

    async def finalize(self, batch: Batch, *, problem: str | None = None) -> bool:
        """False when it is somebody else's, or was cancelled meanwhile."""
        values = {"status": BatchStatus.FINALIZING, "finalizing_at": sa.func.now(), "problem": problem}
        return await self._change(batch, values, batches.c.status == batch.status)

    async def waited(self, batch: Batch, days: int) -> bool:
        """It has been finalizing for so long, by the database's clock."""
        over = batches.c.finalizing_at < sa.func.clock_timestamp() - sa.func.make_interval(0, 0, 0, days)
        async with self._database.everyone() as connection:
            return bool(await connection.scalar(sa.select(over).where(batches.c.id == batch.id)))

    async def note(self, batch: Batch, problem: str | None) -> None:
        await self._change(batch, {"problem": problem})

    async def end(self, batch: Batch, record: AuditRecord, status: BatchStatus, values: Mapping[str, Any]) -> None:
        """Once; its webhooks are told in the same transaction. values: of the row's columns."""
        ended = {**values, "status": status, "ended_at": sa.func.now()}
        async with self._database.everyone() as connection:
            if (await connection.execute(sa.update(batches).where(_mine(batch)).values(ended))).rowcount:
                await insert(connection, record)
                await tell(connection, batch.organization_id, f"batch.{status}", batch.id)

    async def to_clear(self) -> Batch | None:
        """One that has ended and still has its lines."""
        query = sa.select(batches).where(batches.c.ended_at.is_not(None), batches.c.id.in_(sa.select(batch_lines.c.batch_id)))
        async with self._database.everyone() as connection:
            row = (await connection.execute(query.limit(1))).mappings().one_or_none()
        return None if row is None else _batch(row)

    async def clear(self, batch_id: str, lines: Sequence[int]) -> None:
        query = sa.delete(batch_lines).where(batch_lines.c.batch_id == batch_id, batch_lines.c.line.in_(lines))
        async with self._database.everyone() as connection:
            await connection.execute(query)

    async def _lines(self, query: sa.Select[Any]) -> Sequence[BatchLine]:
        async with self._database.everyone() as connection:
            return [BatchLine(**row) for row in (await connection.execute(query)).mappings()]

    async def _change(self, batch: Batch, values: Mapping[str, Any], *which: sa.ColumnElement[bool]) -> bool:
        async with self._database.everyone() as connection:
            return (await connection.execute(sa.update(batches).where(_mine(batch), *which).values(values))).rowcount > 0


_WAITING = sa.and_(batch_lines.c.turn_id.is_(None), batch_lines.c.error.is_(None))
_LINES = sa.select(*(batch_lines.c[name] for name in ("line", "custom_id", "body", "turn_id", "error")))
_TAKE = sa.text(f"""
    UPDATE batches SET worker = :worker, worked_until = clock_timestamp() + make_interval(secs => :seconds) WHERE id = (
        SELECT id FROM batches WHERE ended_at IS NULL AND worked_until < clock_timestamp()
        ORDER BY worked_until LIMIT 1 FOR UPDATE SKIP LOCKED
    ) RETURNING {", ".join(column.name for column in batches.columns)}
""")  # noqa: S608 - made of the table's own names
_PROGRESS = sa.text("""
    SELECT count(*) FILTER (WHERE l.turn_id IS NULL AND l.error IS NULL) AS waiting,
        count(*) FILTER (WHERE t.status IN ('pending', 'running')) AS running,
        count(*) FILTER (WHERE t.status IN ('completed', 'incomplete')) AS completed,
        count(*) FILTER (WHERE l.error IS NOT NULL OR t.status IN ('failed', 'cancelled')) AS failed
    FROM batch_lines l LEFT JOIN turns t ON t.id = l.turn_id WHERE l.batch_id = :id
""")
_RUNNING = sa.text("""
    SELECT t.id FROM batch_lines l JOIN turns t ON t.id = l.turn_id
    WHERE l.batch_id = :id AND t.status IN ('pending', 'running')
""")
_QUEUED = sa.text("""
    SELECT count(*) AS of_all, count(*) FILTER (WHERE organization_id = :organization_id) AS of_one
    FROM turns WHERE status = 'pending'
""")
_NOTE_TURNS = sa.text("""
    UPDATE batch_lines l SET turn_id = t.id FROM turns t
    WHERE l.batch_id = :id AND l.turn_id IS NULL AND l.error IS NULL AND t.idempotency = l.batch_id || ' ' || l.line
""")
_TURN_OF = sa.text("SELECT id FROM turns WHERE idempotency = :idempotency")


def _mine(batch: Batch) -> sa.ColumnElement[bool]:
    return sa.and_(batches.c.id == batch.id, batches.c.worker == batch.worker, batches.c.ended_at.is_(None))


def _in(seconds: float) -> sa.ColumnElement[datetime]:
    return sa.func.clock_timestamp() + sa.func.make_interval(0, 0, 0, 0, 0, 0, seconds)


def _batch(row: sa.RowMapping) -> Batch:
    return Batch(**{**row, "metadata": json.loads(row["metadata"]), "status": BatchStatus(row["status"])})
