"""Archives of the audit log: which sealed records have left the database, to which object, and whether that is still there.

An object is a row of gzip members, one for each organisation. In a member each line is one checkpoint's records:
`[number, [line, ...]]`.
"""

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from core.errors import Conflict
from core.storage.audit import AuditRecord, first_id_of, insert
from core.storage.database import Database
from core.storage.tables import audit_archives, audit_checkpoints, audit_personal

FOLDER = "audit/archives"
COMPRESSION = 6
LARGEST_ARCHIVE = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """The records of checkpoints first to last. parts: of each organisation, where it begins in the object, and its bytes."""

    id: str
    first_checkpoint: int
    last_checkpoint: int
    records: int
    latest: datetime
    bytes: int
    sha256: str
    parts: Mapping[str, tuple[int, int]]
    removed: bool = False

    @property
    def object_key(self) -> str:
        return f"{FOLDER}/{self.id}"


class BrokenArchive(Exception):
    """What should be an archive's object cannot be read as one."""


def pack(page: Iterable[tuple[int, Mapping[str, Sequence[str]]]]) -> tuple[bytes, dict[str, tuple[int, int]]]:
    """The object, and its parts. page: checkpoints, each with the lines of its organisations."""
    parts: dict[str, list[str]] = {}
    for number, lines in page:
        for organization_id, own in lines.items():
            parts.setdefault(organization_id, []).append(json.dumps([number, own], separators=(",", ":")))
    packed, places = bytearray(), {}
    for organization_id, part in sorted(parts.items()):
        member = gzip.compress("\n".join(part).encode(), COMPRESSION, mtime=0)
        places[organization_id] = (len(packed), len(member))
        packed += member
    return bytes(packed), places


def unpack(data: bytes, archive: Archive, organization_id: str) -> Iterator[tuple[int, list[str]]]:
    """An organisation's lines, checkpoint by checkpoint. Raises BrokenArchive."""
    start, size = archive.parts.get(organization_id, (0, 0))
    try:
        text = gzip.decompress(data[start : start + size]) if size else b""
        for line in text.splitlines():
            number, records = json.loads(line)
            yield number, [str(record) for record in records]
    except (OSError, EOFError, zlib.error, ValueError, TypeError) as exc:
        raise BrokenArchive from exc


class ArchiveStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def next_span(self, *, days: float) -> tuple[int, int] | None:
        """The checkpoints that are to be archived next: those in a row whose records are all older."""
        before = datetime.now(UTC) - timedelta(days=days)
        async with self._database.everyone() as connection:
            row = (await connection.execute(_NEXT_SPAN, {"before": before})).one()
        return None if row.first is None else (row.first, row.last)

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
        """Those whose records were all made longer ago, the oldest first."""
        before = datetime.now(UTC) - timedelta(days=days)
        query = sa.select(audit_archives).where(audit_archives.c.removed_at.is_(None), audit_archives.c.latest < before)
        async with self._database.everyone() as connection:
            rows = (await connection.execute(query.order_by(audit_archives.c.first_checkpoint))).mappings().all()
        return [read_archive(row) for row in rows]

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

    async def kept(self) -> set[str]:
        """The ids of all whose object has to be there."""
        query = sa.select(audit_archives.c.id).where(audit_archives.c.removed_at.is_(None))
        async with self._database.everyone() as connection:
            return set((await connection.execute(query)).scalars())


def read_archive(row: "sa.RowMapping | asyncpg.Record") -> Archive:
    parts = {organization_id: (start, size) for organization_id, (start, size) in json.loads(row["parts"]).items()}
    names = ("id", "first_checkpoint", "last_checkpoint", "records", "latest", "bytes", "sha256")
    return Archive(**{name: row[name] for name in names}, parts=parts, removed=row["removed_at"] is not None)


_NEXT_SPAN = sa.text("""
    WITH present AS (
        SELECT number, latest FROM audit_checkpoints
        WHERE number > (SELECT COALESCE(max(last_checkpoint), 0) FROM audit_archives)
    )
    SELECT min(number) AS first, max(number) AS last FROM present
    WHERE number < COALESCE((SELECT min(number) FROM present WHERE latest >= :before), number + 1)
""")
_RELEASE = sa.text("SELECT audit_release(:archive)")
_FORGET = sa.text("SELECT audit_forget(:archive)")
