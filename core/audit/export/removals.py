"""Until where the log itself says that the time of records was over: the archiver records each removal, and that is sealed too.

A row of `audit_archives` is no such word, and neither is a record that anybody can add before it is sealed: the archiver signs
what it says, since this version. A record of before counts where it was sealed before, under a note that says no times.
"""

import asyncio
import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import asdict, dataclass

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from core.audit.export.archived import ArchivedRecords
from core.audit.export.proofs import prove, split
from core.audit.merkle import root_of
from core.audit.notes import Note, Rewritten, verified
from core.storage.audit import PLATFORM, Detail
from core.storage.audit_reading import Sealed, Wanted, open_sealed_records
from core.storage.audit_shapes import Filter
from core.storage.objects import Objects

WORDS = Wanted(organization_id=PLATFORM, filter=Filter(kinds=("audit.removed",)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """The records of checkpoints first to last, of an archive, were removed by age; those before them had gone earlier.

    signature: base64; None where it is of an earlier version.
    """

    first: int
    last: int
    archive: str
    sha256: str
    signature: str | None = None

    @property
    def told(self) -> Mapping[str, Detail]:
        return asdict(self)

    def text(self, origin: str) -> bytes:
        """What is signed."""
        return f"paddock.audit.removed\n{origin}\n{self.first}\n{self.last}\n{self.archive}\n{self.sha256}\n".encode()


async def newest_removal(database: str, objects: Objects, keys: Sequence[Ed25519PublicKey], *, enough: int) -> Removal | None:
    """The removal of the newest records of which a sealed record tells. keys: one of them has signed it.

    Such records are removed by age themselves, but that of the newest removal is always there. enough: a checkpoint; no other
    is looked for once one tells of it.
    """
    found: Removal | None = None
    async with open_sealed_records(database, WORDS) as records:
        archived = ArchivedRecords(records, objects, WORDS)
        async with aclosing(records.removals()) as removals:
            async for first, last in removals:
                while first <= last and (found is None or found.last < enough):
                    page = await archived.added_to(await records.page(first, last))
                    told = await asyncio.to_thread(_told_in, page, keys)
                    found = max((one for one in (found, told) if one), key=lambda one: one.last, default=None)
                    first = page[-1].number + 1
                if found is not None and found.last >= enough:
                    break
    return found


def _told_in(page: Sequence[Sealed], keys: Sequence[Ed25519PublicKey]) -> Removal | None:
    told = (removal for sealed in page for removal in _removals_in(sealed, keys))
    return max(told, key=lambda one: one.last, default=None)


def _removals_in(sealed: Sealed, keys: Sequence[Ed25519PublicKey]) -> Iterator[Removal]:
    """Those that are recorded here. Of records that are not as they were sealed, none."""
    proven = prove(sealed)
    if proven.problems or not all(one.leaves and root_of(split(one.leaves)) == one.root for one in sealed.sections):
        return
    for line in proven.lines:
        with suppress(ValueError, Rewritten):
            removal, note = _removal(line), Note.read(sealed.note)
            if removal is not None and (_is_signed(removal, note, keys) if removal.signature else note.earliest is None):
                yield removal


def _removal(line: str) -> Removal | None:
    """Raises ValueError for what is no JSON."""
    match orjson.loads(line):
        case {
            "kind": "audit.removed",
            "object": str(archive),
            "digest": str(sha256),
            "details": {"first_checkpoint": int(first), "last_checkpoint": int(last), **more},
        }:
            signature = more.get("signature")
            said = str(signature) if signature else None
            return Removal(first=first, last=last, archive=archive, sha256=sha256, signature=said)
    return None


def _is_signed(removal: Removal, note: Note, keys: Sequence[Ed25519PublicKey]) -> bool:
    """Raises ValueError for a signature that is no base64."""
    raw = base64.b64decode(removal.signature or "", validate=True)
    return any(verified(key, raw, removal.text(note.origin)) for key in keys)
