"""The process that writes an export's files into a directory: its work and its memory are no server's. It holds no key.

`python -m core.audit.export.process DIRECTORY`: the order is `order.json` in it, which is removed when it is read, since the
addresses of the stores may hold passwords. It prints how far it is, a JSON object a line, and leaves `result.json`.
"""

import asyncio
import gc
import json
import sys
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from io import BufferedWriter
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from core.audit.export.archived import ArchivedRecords
from core.audit.export.proofs import prove
from core.audit.export.records_file import HashedFile, RecordsFile
from core.audit.export.span import Span, span_of, whole
from core.audit.notes import Note, Rewritten
from core.errors import PaddockError
from core.storage.audit_reading import Sealed, SealedRecords, Wanted, open_sealed_records
from core.storage.objects import open_objects

PROBLEMS_TOLD = 100
LEFT_OUT = "left_out.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """head: the note of the newest checkpoint that was signed: the export goes no further, and is to lead to it."""

    database: str
    objects: str
    format: str
    wanted: Wanted
    head: str | None


ORDER = TypeAdapter(Order)


@dataclass(slots=True)
class Progress:
    """first, last: checkpoints; 0 where there are none. before: the note of the one before them. removed: records whose time
    was over, as it seems; removed_until: the last checkpoint that has some. problems: the first hundred.
    """

    first: int = 0
    last: int = 0
    before: str | None = None
    records: int = 0
    removed: int = 0
    removed_until: int = 0
    checkpoints: int = 0
    problems: list[str] = field(default_factory=list)

    def wrong(self, problems: Sequence[str]) -> None:
        self.problems += problems[: PROBLEMS_TOLD - len(self.problems)]

    def tell(self) -> None:
        told = {"records": self.records, "checkpoints": self.checkpoints, "total": self.last - self.first + 1}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


class Files:
    """The export's two files while they are written."""

    def __init__(self, directory: Path, form: str) -> None:
        self._records = RecordsFile(directory, form)
        self._hashed = HashedFile(directory / "proofs.jsonl")
        self._proofs = BufferedWriter(self._hashed)

    def write(self, page: Sequence[Sealed], progress: Progress) -> None:
        for sealed in page:
            proven = prove(sealed)
            self._records.write(proven.lines)
            self._proofs.write(json.dumps(proven.proof, separators=(",", ":")).encode() + b"\n")
            progress.records += len(proven.lines)
            progress.removed += proven.removed
            progress.removed_until = sealed.number if proven.removed else progress.removed_until
            progress.checkpoints += 1
            progress.wrong(proven.problems)

    def close(self) -> list[dict[str, Any]]:
        """What was written."""
        self._proofs.flush()
        described = [self._records.close(), self._hashed.described()]
        self._proofs.close()
        return described


async def export(order: Order, directory: Path) -> None:
    progress, files = Progress(), Files(directory, order.format)
    async with open_sealed_records(order.database, order.wanted) as records, open_objects(order.objects) as objects:
        head = Note.read(order.head) if order.head else None
        span = await _span(records, order, head, progress)
        progress.before = span.before
        if span.first <= span.last:
            progress.first, progress.last = span.first, span.last
            await _copy(records, ArchivedRecords(records, objects, order.wanted), files, progress)
        written = files.close()
        if head is not None and span.last < head.number:
            written.append(await _leave_out(records, span.last + 1, head.number, directory))
    result = {**asdict(progress), "files": written}
    (directory / "result.json").write_text(json.dumps(result))


async def _span(records: SealedRecords, order: Order, head: Note | None, progress: Progress) -> Span:
    try:
        return await span_of(records, order.wanted.filter, head)
    except Rewritten as exc:
        progress.wrong([str(exc)])
        return await whole(records, head)


async def _leave_out(records: SealedRecords, first: int, last: int, directory: Path) -> dict[str, Any]:
    """The notes of checkpoints of which the export has no records: they prove that it lacks none for it."""
    with HashedFile(directory / LEFT_OUT) as hashed, BufferedWriter(hashed) as file:
        async with aclosing(records.notes(first, last)) as notes:
            async for note in notes:
                file.write(json.dumps({"note": note}, separators=(",", ":")).encode() + b"\n")
        file.flush()
        return hashed.described()


async def _copy(records: SealedRecords, archived: ArchivedRecords, files: Files, progress: Progress) -> None:
    """PostgreSQL makes the next page while this one is hashed and written."""
    coming = asyncio.create_task(records.page(progress.first, progress.last))
    while page := await coming:
        page = await archived.added_to(page)
        progress.wrong(archived.take_problems())
        if page[-1].number < progress.last:
            coming = asyncio.create_task(records.page(page[-1].number + 1, progress.last))
        await asyncio.to_thread(files.write, page, progress)
        progress.tell()
        if page[-1].number == progress.last:
            return


def main(directory: Path) -> int:
    order_file = directory / "order.json"
    order = ORDER.validate_json(order_file.read_bytes())
    order_file.unlink()
    gc.disable()  # records make no cycles; looking for some took a third of the time
    try:
        asyncio.run(export(order, directory))
    except PaddockError as exc:
        sys.stderr.write(f"{exc.message}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
