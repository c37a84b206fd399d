"""Until where the log itself says that the time of records was over: the archiver records each removal, and that is sealed too.

A row of `audit_archives` is no such word: whoever can write to the database can add one.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import aclosing, suppress

import orjson

from core.audit.export.archived import ArchivedRecords
from core.audit.export.proofs import prove, split
from core.audit.merkle import root_of
from core.storage.audit import PLATFORM
from core.storage.audit_reading import Sealed, Wanted, open_sealed_records
from core.storage.audit_shapes import Filter
from core.storage.objects import Objects

WORDS = Wanted(organization_id=PLATFORM, filter=Filter(kinds=("audit.removed",)))


async def removed_until(database: str, objects: Objects, *, enough: int) -> int:
    """The last checkpoint of which a sealed record says that it was removed, those before it having gone earlier; 0 for none.

    Such records are removed by age themselves, but that of the newest removal is always there. enough: it looks no further.
    """
    until = 0
    async with open_sealed_records(database, WORDS) as records:
        archived = ArchivedRecords(records, objects, WORDS)
        async with aclosing(records.removals()) as removals:
            async for first, last in removals:
                while first <= last and until < enough:
                    page = await archived.added_to(await records.page(first, last))
                    until = max(until, await asyncio.to_thread(_told_in, page))
                    first = page[-1].number + 1
                if until >= enough:
                    break
    return until


def _told_in(page: Sequence[Sealed]) -> int:
    return max((until for sealed in page for until in _removals_in(sealed)), default=0)


def _removals_in(sealed: Sealed) -> Iterator[int]:
    """The last checkpoint of each removal that is recorded here. Of records that are not as they were sealed, none."""
    proven = prove(sealed)
    if proven.problems or not all(one.leaves and root_of(split(one.leaves)) == one.root for one in sealed.sections):
        return
    for line in proven.lines:
        with suppress(ValueError):
            match orjson.loads(line):
                case {"kind": "audit.removed", "details": {"last_checkpoint": int(last)}}:
                    yield last
