"""The audit log's records, seals and archives as plain values. It knows no database: who exports records imports little else.

An archive's object is a row of gzip members, one for each organisation. In a member each line is one checkpoint's records:
`[number, [line, ...]]`.
"""

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

FOLDER = "audit/archives"
COMPRESSION = 6
GZIP = 31  # what zlib calls it
LARGEST_ARCHIVE = 2**30
LARGEST_UNFOLDED = 2**28
"""Of an archive whose age alone is asked for. Ours hold some thousand records: ten million bytes."""
CHECKPOINT = re.compile(rb"\[(\d{1,18}),\[.*\]\]\n?", re.DOTALL)
ID = re.compile("aud_[0-9a-f]{12}")
ANY_TIME = (datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC))
UNREADABLE = (OSError, EOFError, zlib.error, ValueError, TypeError, LookupError, OverflowError, RecursionError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """kinds: whole ones, or the beginning of some and `*`. since, until: when a record was made, before `until`."""

    kinds: tuple[str, ...] = ()
    actor: str | None = None
    object: str | None = None
    outcome: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One organisation's records in a checkpoint. first: how many it had before. leaves, path: hashes of 32 bytes, joined."""

    organization_id: str
    checkpoint: int
    place: int
    first: int
    size: int
    root: bytes
    path: bytes
    leaves: bytes | None


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
    """An organisation's lines, checkpoint by checkpoint. Raises BrokenArchive, whatever somebody has put in its place."""
    start, size = archive.parts.get(organization_id, (0, 0))
    try:
        with gzip.open(BytesIO(data[start : start + size])) as member:
            text = member.read(LARGEST_ARCHIVE) if size else b""
        for line in text.splitlines():
            number, records = json.loads(line)
            yield int(number), [str(record).encode().decode() for record in records]  # no text without bytes
    except UNREADABLE as exc:
        raise BrokenArchive from exc


def newest_in(data: bytes) -> int | None:
    """The newest checkpoint of which an archive's object has records. None where it has none, or is no archive's.

    Raises BrokenArchive.
    """
    newest, left = None, LARGEST_UNFOLDED
    try:
        while data:
            member = zlib.decompressobj(wbits=GZIP)
            text = member.decompress(data, left + 1)
            left -= len(text)
            if left < 0:
                raise BrokenArchive
            for line in BytesIO(text):
                newest = max(newest or 0, _number_of(line))
            data = member.unused_data
    except zlib.error:
        return newest
    return newest


def _number_of(line: bytes) -> int:
    """The checkpoint's. Its records are not made into values: what somebody has put there may be a great many."""
    found = CHECKPOINT.fullmatch(line)
    if found is None:
        raise BrokenArchive
    return int(found[1])


def read_archive(row: Mapping[str, Any]) -> Archive:
    parts = {organization_id: (start, size) for organization_id, (start, size) in json.loads(row["parts"]).items()}
    names = ("id", "first_checkpoint", "last_checkpoint", "records", "latest", "bytes", "sha256")
    return Archive(**{name: row[name] for name in names}, parts=parts, removed=row["removed_at"] is not None)


def times_of(record_ids: Sequence[str | None]) -> tuple[datetime, datetime]:
    """When the first and the last of records were made. What has no id, or no such id, may be from any time."""
    known = [one for one in record_ids if one is not None]
    if len(known) < len(record_ids):
        return ANY_TIME
    return _made_at(min(known)) or ANY_TIME[0], _made_at(max(known)) or ANY_TIME[1]


def _made_at(record_id: str) -> datetime | None:
    """The moment that is in the id, in milliseconds. As text, ids are in the order of their moments."""
    try:
        return datetime.fromtimestamp(int(record_id[4:16], 16) / 1000, UTC) if ID.match(record_id) else None
    except (ValueError, OverflowError, OSError):
        return None


def in_milliseconds(moment: datetime) -> datetime:
    """As `first_id_of` has it."""
    return datetime.fromtimestamp(int(moment.timestamp() * 1000) / 1000, UTC)


def first_id_of(moment: datetime) -> str:
    """Records that were made at the moment or later have this id or a later one."""
    return f"aud_{int(moment.timestamp() * 1000):012x}"
