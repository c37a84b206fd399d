"""Which checkpoints an export has: those that may have records of the wanted time, by what was signed of their times."""

from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime

from core.audit.notes import Note, Rewritten, in_a_row
from core.storage.audit_reading import SealedRecords
from core.storage.audit_shapes import Filter, in_milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The checkpoints from first to last; none where last is before first. Those after them, until the head, are left out.

    before: the note of the one before them, which says that all records until there are too old; None where first is 1.
    """

    first: int
    last: int
    before: str | None = None


async def span_of(records: SealedRecords, wanted: Filter, head: Note | None) -> Span:
    """Raises Rewritten where the database's checkpoints do not lead to the head."""
    if head is None or (wanted.since is None and wanted.until is None):
        return await whole(records, head)
    since = wanted.since and in_milliseconds(wanted.since)
    until = wanted.until and in_milliseconds(wanted.until)
    first = await _first(records, since, head.number) if since else 1
    last, before, note = first - 1, None, None
    async with aclosing(records.notes(max(first - 1, 1), head.number)) as texts, aclosing(in_a_row(texts)) as notes:
        async for note in notes:
            if note.number < first:
                before = note
            elif until is None or note.earliest is None or note.earliest < until:
                last = note.number
    if before is not None and since is not None and before.latest >= since:
        raise Rewritten(f"checkpoint {before.number} in the database was changed while it was read")
    if note is None or note.digest != head.digest:
        raise Rewritten(f"the checkpoints in the database do not lead to checkpoint {head.number}, which was signed")
    return Span(first=first, last=last, before=before.text if before else None)


async def whole(records: SealedRecords, head: Note | None) -> Span:
    """All that is there, whatever it is."""
    return Span(first=1, last=await records.newest_until(head.number) if head else 0)


async def _first(records: SealedRecords, since: datetime, end: int) -> int:
    """The first that may have records of that time or later. Each note says it of all before it, too, so none is later.

    What is not there, or is none, is for who reads them all to find.
    """
    first, after = 1, end + 1
    while first < after:
        middle = (first + after) // 2
        async with aclosing(records.notes(middle, middle)) as found:
            text = await anext(found, None)
        if text is not None and Note.read(text).latest < since:
            first = middle + 1
        else:
            after = middle
    return first
