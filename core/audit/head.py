"""The newest checkpoint that this server knows to be signed: it remembers it beside the database. And what leads to it.

Whoever can write to the database can put any checkpoints there, and any times beside them. Only what leads to the head, by
digests, is believed: it is sealed on top of, exported as whole, archived and removed by its age.
"""

import asyncio
import errno
import logging
import os
from bisect import bisect_left, insort
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from core.audit.notes import Note, Rewritten, following, signed_by
from core.audit.signing import Signer, public_keys
from core.errors import ConfigurationError, Unavailable
from core.storage.audit import PLATFORM, AuditRecord
from core.storage.audit_seals import Checkpoint, SealStore
from core.storage.audit_shapes import Section
from core.unusable import unusable

STRIDE = 1_000
"""So many checkpoints are read at once, and one of so many is remembered as leading to the head."""
PEM = "-----BEGIN PUBLIC KEY-----"
USED_UP = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""What this process or machine has no more of. It says nothing of the file."""
log = logging.getLogger(__name__)


class Unreadable(Rewritten):
    """What was signed is not known: the file that has it cannot be read. advice: for the operator of the host alone."""

    def __init__(self, message: str, advice: str) -> None:
        super().__init__(message)
        self.advice = advice


class Head:
    """file: has its note, and the public key of this server then: after a change of keys, it may have signed what follows.

    A file that is gone was deleted by who runs the server: then the head is what the database has, and a record says so. While
    it cannot be written, the head is remembered until the process ends.
    """

    def __init__(self, store: SealStore, signer: Signer, file: Path) -> None:
        self._store = store
        self._signer = signer
        self._file = file
        self._unwritten: str | None = None
        self._looking = asyncio.Lock()
        self._leading: dict[int, bytes] = {}  # digests of checkpoints that are known to lead to the head
        self._numbers: list[int] = []  # theirs, in order

    def alarm(self, why: Rewritten) -> str:
        """What the operator of the host is told, and nobody else."""
        if isinstance(why, Unreadable):
            return f"nothing of the audit log is sealed, archived or removed: {why.advice}"
        return (
            f"the audit log was changed: {why}. Nothing is sealed, archived or removed meanwhile. If you restored an older"
            f" backup yourself, delete {self._file}: then the log goes on from what is there, and says so"
        )

    @property
    def note(self) -> str | None:
        """As it was signed. None before there is any. Raises Rewritten, Unavailable."""
        text = self._remembered()
        return text and text.partition(PEM)[0]

    async def newest(self) -> Checkpoint | None:
        """The newest checkpoint in the database, which is the head from now on: it follows from what was it, and is ours.

        Raises Rewritten, and Unavailable: then nothing is known, and whoever asks again may be told.
        """
        async with self._looking:
            last = await self._store.last()
            if (text := self.note) is None:
                return await self._accept(last)
            head = Note.read(text)
            if last is None or last.number < head.number:
                end = f"ends at checkpoint {last.number}" if last else "has no checkpoint"
                raise Rewritten(f"the log in the database {end}, but checkpoint {head.number} was signed")
            passed = await self._walk(head.number, last.number)
            if passed[0].digest != head.digest:
                raise Rewritten(f"checkpoint {head.number} in the database is not the one that was signed")
            if passed[-1].digest != Note.read(last.note).digest:
                raise Rewritten(f"checkpoint {last.number} in the database was changed while it was read")
            if last.number > head.number:
                if not signed_by(last.note, self._keys()):
                    raise Rewritten(
                        f"checkpoint {last.number} in the database is signed by no key of this server (servers of one database"
                        " share one audit.key)"
                    )
                await self.keep(last.note)
            self._learn(passed)
            return last

    async def add(self, checkpoint: Checkpoint, sections: Sequence[Section]) -> None:
        """Nobody looks in between."""
        async with self._looking:
            await self._store.add(checkpoint, sections)
            await self.keep(checkpoint.note)

    async def know_key(self) -> None:
        """Every server does it at its start, the keeper or not: what others sign until it is elected, it knows.

        Raises ConfigurationError where the file is closed to us.
        """
        with suppress(Rewritten):  # a file that has no note is told where it is asked for
            try:
                text = self._remembered()
            except Unreadable as exc:
                raise ConfigurationError(exc.advice) from exc
            if text is not None and self._signer.public_key not in text:
                await self._put(text + self._signer.public_key)

    async def keep(self, text: str) -> None:
        """It is in the database, and follows from the head: it is the head now."""
        note, known = Note.read(text), self.note
        if known is not None and Note.read(known).number > note.number:
            return
        self._learn([note])
        await self._put(text + self._signer.public_key)

    async def _put(self, whole: str) -> None:
        try:
            await asyncio.to_thread(_write, self._file, whole)
            self._unwritten = None
        except OSError as exc:
            if self._unwritten is None:
                log.warning("%s: %s: the head of the audit log is remembered until a restart only", self._file, exc.strerror)
            self._unwritten = whole

    async def proven(self, number: int) -> Note:
        """The checkpoint, which leads to the head, as `newest` has told it. Raises Rewritten."""
        at = bisect_left(self._numbers, number)
        if at == len(self._numbers):
            raise Rewritten(f"checkpoint {number} is not known to lead to the head of the audit log")
        known = self._numbers[at]
        digest = self._leading[known]
        passed = await self._walk(number, known)
        if passed[-1].digest != digest:
            raise Rewritten(f"checkpoint {number} in the database does not lead to checkpoint {known}, which was signed")
        self._learn(passed)
        return passed[0]

    async def _walk(self, first: int, last: int) -> list[Note]:
        """The first and the last of checkpoints that follow from each other, and some between. Raises Rewritten."""
        passed: list[Note] = []
        newest: Note | None = None
        for start in range(first, last + 1, STRIDE):
            texts = await self._store.notes(start, min(start + STRIDE - 1, last))
            notes = await asyncio.to_thread(following, newest, texts)
            passed += [note for note in notes if note.number == first or note.number % STRIDE == 0]
            newest = notes[-1] if notes else newest
        if not passed or newest is None or (passed[0].number, newest.number) != (first, last):
            raise Rewritten(f"of checkpoints {first} to {last} some are not in the database any more")
        return [*passed, newest]

    async def _accept(self, last: Checkpoint | None) -> Checkpoint | None:
        """Nothing is remembered: what is there is taken for the head, and the log says so."""
        if last is not None:
            note = Note.read(last.note)
            self._leading, self._numbers = {}, []
            record = AuditRecord(
                kind="audit.head_accepted",
                organization_id=PLATFORM,
                actor="system",
                digest=note.digest.hex(),
                details={"checkpoint": note.number, "signed": signed_by(last.note, self._keys())},
            )
            await self._store.note(record)
            await self.keep(last.note)
            log.warning("%s was not there: checkpoint %s is taken for the head of the audit log", self._file, note.number)
        return last

    def _remembered(self) -> str | None:
        if self._unwritten is not None:
            return self._unwritten
        try:
            return self._file.read_text()
        except FileNotFoundError:
            return None
        except UnicodeDecodeError as exc:
            raise Rewritten(f"{self._file.name} is not the text that was written") from exc
        except OSError as exc:
            if exc.errno in USED_UP:
                raise Unavailable(f"{self._file} cannot be read now: {exc.strerror}") from exc
            told = f"{self._file.name} cannot be read ({exc.strerror}): what was signed last is not known"
            raise Unreadable(told, f"{unusable(self._file, exc).message}. Keep it: it has what was signed") from exc

    def _learn(self, notes: Sequence[Note]) -> None:
        for note in notes:
            if self._numbers and self._numbers[-1] < note.number and self._numbers[-1] % STRIDE:
                del self._leading[self._numbers.pop()]
            if note.number not in self._leading:
                insort(self._numbers, note.number)
            self._leading[note.number] = note.digest

    def _keys(self) -> list[Ed25519PublicKey]:
        """Ours, and those that were ours since the head was written."""
        before = (self._remembered() or "").split(PEM)[1:]
        return public_keys([self._signer.public_key, *(PEM + one for one in before)])


def _write(file: Path, text: str) -> None:
    """Whole or not at all, and for good. Raises OSError."""
    unfinished = file.with_name(f".{file.name}-{os.getpid()}")
    try:
        with unfinished.open("w") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        unfinished.replace(file)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
