"""The audit log's records, seals and archives as plain values. It knows no database: who exports records imports little else.

An archive's object is a row of gzip members, one for each organisation. In a member each line is one checkpoint's records:
`[number, [line, ...]]`.
"""

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

FOLDER = "audit/archives"
COMPRESSION = 6
LARGEST_ARCHIVE = 2**30


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
    except (OSError, EOFError, zlib.error, ValueError, TypeError, OverflowError, RecursionError) as exc:
        raise BrokenArchive from exc


def read_archive(row: Mapping[str, Any]) -> Archive:
    parts = {organization_id: (start, size) for organization_id, (start, size) in json.loads(row["parts"]).items()}
    names = ("id", "first_checkpoint", "last_checkpoint", "records", "latest", "bytes", "sha256")
    return Archive(**{name: row[name] for name in names}, parts=parts, removed=row["removed_at"] is not None)


def made_at(record_id: str) -> datetime:
    """The moment that is in the id, in milliseconds."""
    return datetime.fromtimestamp(int(record_id[4:16], 16) / 1000, UTC)


def first_id_of(moment: datetime) -> str:
    """Records that were made at the moment or later have this id or a later one."""
    return f"aud_{int(moment.timestamp() * 1000):012x}"
