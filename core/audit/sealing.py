"""Seals what was recorded: a Merkle tree for each organisation's records, one over those, chained and signed as a checkpoint.

It runs in one process at a time (`core/keeper.py`). Off the path of everything: who records waits for nothing here.
"""

import asyncio
import base64
import logging
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from core.audit.head import Head
from core.audit.merkle import leaf_hash, paths_of, root_of
from core.audit.notes import Note, Rewritten, told_times
from core.audit.signing import Signer
from core.errors import ConfigurationError
from core.storage.audit import PLATFORM, AuditRecord
from core.storage.audit_seals import Batch, Checkpoint, SealStore
from core.storage.audit_shapes import Section

RECORDS_A_CHECKPOINT = 8192
ORIGIN = "paddock.audit/"
LOOK_SECONDS = 0.02
log = logging.getLogger(__name__)


class Sealer:
    """patience: how many seconds `catch_up` waits for transactions that are open.

    problem: why nothing is sealed: what the database has is not what was signed, or that is not known. None where it is.
    """

    def __init__(self, store: SealStore, signer: Signer, head: Head, *, patience: float = 10.0) -> None:
        self._store = store
        self._signer = signer
        self._head = head
        self.patience = patience
        self.problem: str | None = None
        self._sealing = asyncio.Lock()

    async def announce(self) -> None:
        """Make our public key known before anything is signed with it. Raises ConfigurationError where sealing cannot go on."""
        if await self._ends_too_late(await self._store.last()):
            raise ConfigurationError(
                "the database counts its transactions from the beginning again, as after a restore: `paddock migrate` mends it"
            )
        record = AuditRecord(kind="audit.key_announced", organization_id=PLATFORM, actor="system", object=self._signer.id)
        if await self._store.announce_key(self._signer.public_key, record):
            log.info("checkpoints of the audit log are signed by a new key, %s", self._signer.id)

    async def seal(self) -> int:
        """Seal all that is final. Returns how many records that were: none while the head is not in the database."""
        async with self._sealing:
            try:
                last, sealed = await self._newest(), 0
            except Rewritten as exc:
                if str(exc) != self.problem:
                    log.critical("%s", self._head.alarm(exc))
                self.problem = str(exc)
                return 0
            self.problem = None
            while batch := await self._store.next_batch(last.end_moment if last else 0, limit=RECORDS_A_CHECKPOINT):
                counts = await self._store.counts(batch.lines)
                checkpoint, sections = await asyncio.to_thread(self._sealed, batch, counts, last)
                await self._head.add(checkpoint, sections)
                last, sealed = checkpoint, sealed + checkpoint.records
            return sealed

    async def catch_up(self) -> bool:
        """Seal all that is recorded by now; whether that is all.

        Whatever writes anywhere in this PostgreSQL, be it its own upkeep, holds up what comes after it. What is open for longer
        than our patience is left out, with what comes after it.
        """
        recorded, final = await self._store.next_moment(), False
        for _ in range(int(self.patience / LOOK_SECONDS)):
            if final := await self._store.horizon() >= recorded:
                break
            await asyncio.sleep(LOOK_SECONDS)
        await self.seal()
        return final

    async def unsealed_since(self) -> datetime | None:
        """When the oldest record was made that is not sealed. None where all are that are committed."""
        waiting = await self._store.unsealed()
        return waiting.since if waiting else None

    async def head(self) -> str | None:
        """The newest note that was signed, as we remember it, whatever the database has. None where nothing was."""
        with suppress(Rewritten):
            return self._head.note
        return None

    async def keys(self) -> Sequence[str]:
        """The public keys that are announced, in PEM."""
        return [key.public_key for key in await self._store.keys()]

    async def _newest(self) -> Checkpoint | None:
        """Raises Rewritten."""
        last = await self._head.newest()
        if last is not None and await self._ends_too_late(last):
            raise Rewritten(
                f"checkpoint {last.number} in the database ends after all that was ever written there: its end was moved, or"
                " transactions are counted from the beginning again, as after a restore, which `paddock migrate` mends"
            )
        return last

    async def _ends_too_late(self, last: Checkpoint | None) -> bool:
        """It was sealed up to the horizon of then at most, and that never goes back: what has committed is below it, also after
        a crash.
        """
        return last is not None and last.end_moment > await self._store.horizon()

    def _sealed(self, batch: Batch, counts: Mapping[str, int], last: Checkpoint | None) -> tuple[Checkpoint, Sequence[Section]]:
        number = last.number + 1 if last else 1
        root, sections = _sections(batch, counts, number)
        checkpoint = Checkpoint(
            number=number,
            first_moment=batch.first_moment,
            end_moment=batch.end_moment,
            records=sum(section.size for section in sections),
            earliest=batch.earliest,
            latest=batch.latest,
            sealed_at=batch.read_at,
            key_id=self._signer.id,
            note=self._note(number, root, batch, last),
        )
        return checkpoint, sections

    def _note(self, number: int, root: bytes, batch: Batch, last: Checkpoint | None) -> str:
        before = Note.read(last.note) if last else None
        origin = before.origin if before else ORIGIN + secrets.token_hex(8)
        lines = (
            origin,
            str(number),
            _base64(root),
            f"previous {_base64(before.digest if before else bytes(32))}",
            f"sealed {batch.read_at.isoformat(timespec='seconds')}",
            told_times(batch.earliest, max(batch.latest, before.latest) if before else batch.latest),
        )
        return self._signer.note(origin, "\n".join(lines) + "\n")


def _sections(batch: Batch, counts: Mapping[str, int], number: int) -> tuple[bytes, Sequence[Section]]:
    """The checkpoint's root, and each organisation's tree under it."""
    trees = {organization_id: [leaf_hash(line.encode()) for line in lines] for organization_id, lines in batch.lines.items()}
    roots = [root_of(leaves) for leaves in trees.values()]
    firsts = [counts.get(organization_id, 0) for organization_id in trees]
    entries = [
        leaf_hash(entry(organization_id, first, len(leaves), root))
        for (organization_id, leaves), first, root in zip(trees.items(), firsts, roots, strict=True)
    ]
    sections = [
        Section(
            organization_id=organization_id,
            checkpoint=number,
            place=place,
            first=firsts[place],
            size=len(leaves),
            root=roots[place],
            path=b"".join(path),
            leaves=b"".join(leaves),
        )
        for place, ((organization_id, leaves), path) in enumerate(zip(trees.items(), paths_of(entries), strict=True))
    ]
    return root_of(entries), sections


def entry(organization_id: str, first: int, size: int, root: bytes) -> bytes:
    """What a checkpoint's tree has as a leaf: an organisation's section."""
    return f"{organization_id}\n{first}\n{size}\n{root.hex()}\n".encode()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
