"""Puts records that have left the database back into their places: an export has them all, wherever they are by now."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from core.errors import NotFound, TooLarge
from core.storage.audit_reading import Row, Sealed, SealedRecords, Wanted
from core.storage.audit_shapes import LARGEST_ARCHIVE, Archive, BrokenArchive, first_id_of, unpack
from core.storage.objects import Objects, read

Rows = dict[int, dict[str, list[Row]]]
"""By checkpoint, then by organisation."""


class RemovedMeanwhile(Exception):
    """An archive that a page names was removed after the page was read."""


def _gone_too_early(sealed: Sealed) -> Iterator[str]:
    """Hashes of records go with an archive of theirs whose time is over, and never else."""
    if not any(one.removed for one in sealed.archives):
        for section in sealed.sections:
            if section.leaves is None:
                yield f"checkpoint {sealed.number}: hashes of {section.organization_id} are gone, and no archive of theirs is"


class ArchivedRecords:
    def __init__(self, records: SealedRecords, objects: Objects, wanted: Wanted) -> None:
        self._records = records
        self._objects = objects
        self._wanted = wanted
        self._read: dict[str, Rows] = {}
        self._problems: list[str] = []

    async def added_to(self, page: Sequence[Sealed]) -> Sequence[Sealed]:
        """The page is read again where an archive of it was removed meanwhile."""
        try:
            await self._fetch_all({one.id: one for sealed in page for one in sealed.archives if not one.removed}.values())
        except RemovedMeanwhile:
            return await self.added_to(await self._records.page(page[0].number, page[-1].number))
        self._problems += [problem for sealed in page for problem in _gone_too_early(sealed)]
        return [self._whole(sealed) for sealed in page]

    def take_problems(self) -> Sequence[str]:
        """What was wrong with archives since it was asked last."""
        told, self._problems = self._problems, []
        return told

    async def _fetch_all(self, archives: Iterable[Archive]) -> None:
        """Raises RemovedMeanwhile."""
        before, self._read = self._read, {}
        for archive in archives:
            self._read[archive.id] = before.get(archive.id) or await self._fetch(archive)

    def _whole(self, sealed: Sealed) -> Sealed:
        for rows in self._read.values():
            if (own := rows.get(sealed.number)) is not None:
                there = {name: [*lines, *sealed.rows.get(name, ())] for name, lines in own.items()}
                return replace(sealed, rows={**sealed.rows, **there})
        return sealed

    async def _fetch(self, archive: Archive) -> Rows:
        name = f"archive {archive.id}, of checkpoints {archive.first_checkpoint} to {archive.last_checkpoint}"
        try:
            data = await read(self._objects, archive.object_key, limit_bytes=LARGEST_ARCHIVE)
        except (NotFound, TooLarge) as exc:
            if await self._records.is_removed(archive):
                raise RemovedMeanwhile from exc
            self._problems.append(f"{name}: {exc.message}")
            return {}
        if hashlib.sha256(data).hexdigest() != archive.sha256:
            self._problems.append(f"{name}: its SHA-256 is not the one that was noted: it was changed")
        found: Rows = {}
        for organization_id in self._organizations(archive):
            try:
                for number, lines in unpack(data, archive, organization_id):
                    found.setdefault(number, {})[organization_id] = [(self._is_wanted(line), line) for line in lines]
            except BrokenArchive:
                self._problems.append(f"{name}: the records of {organization_id} cannot be read")
        return found

    def _organizations(self, archive: Archive) -> Sequence[str]:
        who = self._wanted.organization_id
        return list(archive.parts) if who is None else [who]

    def _is_wanted(self, line: str) -> bool:
        """As PostgreSQL decides it of those that are in the database."""
        wanted = self._wanted.filter
        if not (wanted.kinds or wanted.since or wanted.until):
            return True
        try:
            record = json.loads(line)
            kind, made = str(record["kind"]), str(record["id"])
        except (ValueError, KeyError, TypeError):
            return True  # it was changed: the verifier is to see it
        return (
            (not wanted.kinds or any(kind == one or (one[-1] == "*" and kind.startswith(one[:-1])) for one in wanted.kinds))
            and (wanted.since is None or made >= first_id_of(wanted.since))
            and (wanted.until is None or made < first_id_of(wanted.until))
        )
