"""Reading sealed records page by page, with what seals them: for exports and archives. Each page is a few thousand records."""

from bisect import bisect_right
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg

from core.storage.audit_shapes import Archive, Filter, Section, first_id_of, read_archive
from core.storage.connection import LOST, REFUSED, DatabaseUnavailable, connect, refusal

PAGE_RECORDS = 16_384
PAGE_CHECKPOINTS = 512
PAGE_NOTES = 4_096
Row = tuple[bool, str]
"""Whether a record is wanted, and its line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A checkpoint with the sections that are wanted, and the rows that are there in its place.

    leaves: hashes of all its sections, of whomever, as they are in the table: the leaves of its tree, joined.
    archives: what holds its records, or held them.
    """

    number: int
    note: str
    end_moment: int
    leaves: bytes
    sections: Sequence[Section]
    archives: Sequence[Archive] = ()
    rows: Mapping[str, Sequence[Row]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """organization_id: None for everybody's records. Those that the filter leaves out are in the pages too, marked."""

    organization_id: str | None
    filter: Filter


class SealedRecords:
    def __init__(self, connection: "asyncpg.Connection[Any]", wanted: Wanted) -> None:
        self._connection = connection
        self._wanted = wanted

    async def newest_until(self, number: int) -> int:
        """The newest checkpoint that is there, up to this one; 0 for none."""
        return await self._connection.fetchval(_NEWEST_UNTIL, number) or 0

    async def notes(self, first: int, last: int) -> AsyncGenerator[str, None]:
        """Those that are there, in order."""
        for start in range(first, last + 1, PAGE_NOTES):
            for row in await self._connection.fetch(_NOTES, start, min(start + PAGE_NOTES - 1, last)):
                yield row["note"]

    async def is_removed(self, archive: Archive) -> bool:
        """By now."""
        removed: bool = await self._connection.fetchval(_IS_REMOVED, archive.id)
        return removed

    async def removals(self) -> AsyncGenerator[tuple[int, int], None]:
        """From which checkpoint to which one the record of each removal is to be found; that of the newest records first."""
        for archive in await self._connection.fetch(_REMOVED):
            row = await self._connection.fetchrow(_SEALED_AFTER, archive["last_checkpoint"], archive["removed_at"])
            if row is not None and row["first"] is not None:
                yield row["first"], await self.newest_until(row["last"])

    async def page(self, first: int, last: int) -> Sequence[Sealed]:
        """The next checkpoints, with their rows, of those from first to last; at least one.

        All of it as it was at one moment: the archiver moves records meanwhile.
        """
        async with self._connection.transaction(isolation="repeatable_read", readonly=True):
            return await self._page(first, last)

    async def _page(self, first: int, last: int) -> Sequence[Sealed]:
        who = self._wanted.organization_id
        sizes = await self._connection.fetch(_SIZES, first, last, PAGE_CHECKPOINTS, who)
        end, records = first, 0
        for row in sizes:
            if records and records + row["records"] > PAGE_RECORDS:
                break
            end, records = row["number"], records + row["records"]
        checkpoints = [row for row in sizes if row["number"] <= end]
        sections = await self._sections(first, end)
        archives = [read_archive(dict(row)) for row in await self._connection.fetch(_ARCHIVES, first, end)]
        rows = await self._rows(checkpoints)
        return [
            Sealed(
                number=row["number"],
                note=row["note"],
                end_moment=row["end_moment"],
                leaves=row["leaves"],
                sections=sections.get(row["number"], ()),
                archives=[one for one in archives if one.first_checkpoint <= row["number"] <= one.last_checkpoint],
                rows=rows[n],
            )
            for n, row in enumerate(checkpoints)
        ]

    async def _sections(self, first: int, last: int) -> Mapping[int, list[Section]]:
        found: dict[int, list[Section]] = {}
        for row in await self._connection.fetch(_SECTIONS, first, last, self._wanted.organization_id):
            found.setdefault(row["checkpoint"], []).append(Section(**row))
        return found

    async def _rows(self, checkpoints: "Sequence[asyncpg.Record]") -> list[dict[str, list[Row]]]:
        """By checkpoint, then by organisation."""
        wanted, ends = self._wanted, [row["end_moment"] for row in checkpoints]
        bounds = (checkpoints[0]["first_moment"], ends[-1])
        query, who = (_OURS, (wanted.organization_id,)) if wanted.organization_id is not None else (_EVERYBODYS, ())
        found: list[dict[str, list[Row]]] = [{} for _ in checkpoints]
        for organization_id, moment, shown, line in await self._connection.fetch(query, *bounds, *self._filter(), *who):
            found[bisect_right(ends, moment)].setdefault(organization_id, []).append((shown, line))
        return found

    def _filter(self) -> tuple[list[str] | None, str | None, str | None]:
        wanted = self._wanted.filter
        return ([_pattern(kind) for kind in wanted.kinds] or None, _id_of(wanted.since), _id_of(wanted.until))


@asynccontextmanager
async def open_sealed_records(url: str, wanted: Wanted) -> AsyncGenerator[SealedRecords, None]:
    """Over a connection of its own. Raises DatabaseUnavailable, also amid reading."""
    connection = await connect(url, "paddock_system")
    try:
        await connection.execute("SET enable_seqscan = off; SET enable_bitmapscan = off; SET jit = off")
        yield SealedRecords(connection, wanted)
    except LOST as exc:
        raise DatabaseUnavailable(f"PostgreSQL does not answer: {type(exc).__name__}") from exc
    except REFUSED as exc:
        raise refusal(exc) from exc
    finally:
        connection.terminate()


def _pattern(kind: str) -> str:
    plain = kind.rstrip("*").replace("\\", "\\\\").replace("_", "\\_").replace("%", "\\%")
    return plain + "%" if kind.endswith("*") else plain


def _id_of(moment: datetime | None) -> str | None:
    return None if moment is None else first_id_of(moment)


_NEWEST_UNTIL = "SELECT max(number) FROM audit_checkpoints WHERE number <= $1"
_NOTES = "SELECT note FROM audit_checkpoints WHERE number BETWEEN $1 AND $2 ORDER BY number"
_ARCHIVES = """
    SELECT * FROM audit_archives
    WHERE last_checkpoint >= $1 AND first_checkpoint <= $2 ORDER BY first_checkpoint
"""
_IS_REMOVED = "SELECT EXISTS (SELECT FROM audit_archives WHERE id = $1 AND removed_at IS NOT NULL)"
# Beyond the newest removals only forged rows are looked through.
_REMOVED = """
    SELECT last_checkpoint, removed_at FROM audit_archives
    WHERE removed_at IS NOT NULL ORDER BY last_checkpoint DESC LIMIT 20
"""
# The record has the same transaction as `removed_at`, and was sealed later by the same clock: in one of the next checkpoints,
# though they were sealed much later where a transaction was open, or no server ran. The hour is for a cluster that was changed.
_SEALED_AFTER = """
    WITH after AS (
        SELECT number, sealed_at FROM audit_checkpoints
        WHERE number > $1 AND sealed_at >= $2::timestamptz - interval '1 hour'
    )
    SELECT min(number) AS first,
        COALESCE(max(number) FILTER (WHERE sealed_at <= $2::timestamptz + interval '1 hour'), min(number)) + 1000 AS last
    FROM after
"""
_SIZES = """
    SELECT c.number, c.note, c.first_moment, c.end_moment, COALESCE(sum(s.size), 0)::bigint AS records,
        (SELECT COALESCE(string_agg(sha256(decode('00', 'hex') || convert_to(
            concat_ws(chr(10), a.organization_id, a.first, a.size, encode(a.root, 'hex'), ''), 'UTF8'
        )), '' ORDER BY a.place), '') FROM audit_sections a WHERE a.checkpoint = c.number) AS leaves
    FROM (
        SELECT * FROM audit_checkpoints WHERE number BETWEEN $1 AND $2 ORDER BY number LIMIT $3
    ) c LEFT JOIN audit_sections s ON s.checkpoint = c.number AND ($4::text IS NULL OR s.organization_id = $4)
    GROUP BY c.number, c.note, c.first_moment, c.end_moment ORDER BY c.number
"""
_SECTIONS = """
    SELECT organization_id, checkpoint, place, first, size, root, path, leaves FROM audit_sections
    WHERE checkpoint BETWEEN $1 AND $2 AND ($3::text IS NULL OR organization_id = $3) ORDER BY checkpoint, place
"""
# Filtered by what is sealed, not by the columns beside it: a record that was changed is shown.
_ROWS = """
    SELECT organization_id, moment, COALESCE(
            ($3::text[] IS NULL OR record->>'kind' LIKE ANY ($3)) AND ($4::text IS NULL OR record->>'id' COLLATE "C" >= $4)
            AND ($5::text IS NULL OR record->>'id' COLLATE "C" < $5), true),
        record::text
    FROM audit_records WHERE moment >= $1 AND moment < $2 {} ORDER BY moment, id
"""
_EVERYBODYS, _OURS = _ROWS.format(""), _ROWS.format("AND organization_id = $6")
