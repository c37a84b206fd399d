"""A checkpoint's note as it is read again, and notes that follow from each other. Signing them is `core/audit/signing.py`'s."""

import base64
import binascii
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

SKEW = timedelta(days=1)
"""How much the clocks of servers may differ, where a note says nothing but when it was sealed."""


class Rewritten(Exception):
    """What stands in the database is not what was signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """digest: of what the signature is over; the next one calls it `previous`. sealed: by the clock of the database.

    earliest: when the first of its records was made; latest: when the last was that is in it or in any before it. Notes of
    earlier versions do not say it (earliest is None): their records may be from any time until they were sealed.
    """

    text: str
    origin: str
    number: int
    previous: bytes
    digest: bytes
    sealed: datetime
    earliest: datetime | None
    latest: datetime

    def follows(self, before: "Note") -> bool:
        return (self.origin, self.number, self.previous) == (before.origin, before.number + 1, before.digest)

    @classmethod
    def read(cls, text: str) -> "Note":
        """Raises Rewritten for what is none."""
        body = text.partition("\n\n")[0] + "\n"
        try:
            origin, number, _, previous, sealed, *more = body.split("\n")[:-1]
            sealed_at = datetime.fromisoformat(_after("sealed", sealed)).astimezone(UTC)
            earliest, latest = _times(_after("made", more[0])) if more else (None, sealed_at + SKEW)
            return cls(
                text=text,
                origin=origin,
                number=int(number),
                previous=base64.b64decode(_after("previous", previous), validate=True),
                digest=hashlib.sha256(body.encode()).digest(),
                sealed=sealed_at,
                earliest=earliest,
                latest=latest,
            )
        except (ValueError, OverflowError) as exc:
            raise Rewritten(f"{text[:100]!r} is no checkpoint") from exc


def told_times(earliest: datetime, latest: datetime) -> str:
    """The line of a note that says when its records were made."""
    return f"made {earliest.isoformat(timespec='milliseconds')} {latest.isoformat(timespec='milliseconds')}"


def _times(told: str) -> tuple[datetime, datetime]:
    earliest, latest = map(datetime.fromisoformat, told.split(" "))
    return earliest.astimezone(UTC), latest.astimezone(UTC)


def _after(word: str, line: str) -> str:
    found, _, rest = line.partition(" ")
    if found != word:
        raise ValueError(f"no line begins with {word!r}")
    return rest


def signed_by(text: str, keys: Iterable[Ed25519PublicKey]) -> bool:
    """Whether one of the keys has signed the note."""
    body, _, line = text.partition("\n\n")
    try:
        signature = base64.b64decode(line.rstrip("\n").rpartition(" ")[2], validate=True)[4:]
    except (binascii.Error, ValueError):
        return False
    return any(verified(key, signature, body.encode() + b"\n") for key in keys)


def verified(key: Ed25519PublicKey, signature: bytes, data: bytes) -> bool:
    try:
        key.verify(signature, data)
    except InvalidSignature:
        return False
    return True


async def in_a_row(texts: AsyncIterator[str]) -> AsyncGenerator[Note, None]:
    """Raises Rewritten where one does not follow from the one before it."""
    before = None
    async for text in texts:
        [before] = following(before, [text])
        yield before


def following(before: Note | None, texts: Sequence[str]) -> Sequence[Note]:
    """Raises Rewritten where one does not follow from the one before it, or the first not from `before`."""
    notes = []
    for text in texts:
        note = Note.read(text)
        if before is not None and not note.follows(before):
            raise Rewritten(f"checkpoint {note.number} does not follow from checkpoint {before.number}")
        notes.append(note)
        before = note
    return notes
