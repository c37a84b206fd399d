"""The truth about turns: one ordered writer a process puts every active turn's records into one statement, and commits it.

Nothing is published before its group is durable. Deltas are coalesced while a commit is in flight, and groups that deltas alone
ask for begin a few milliseconds apart: an idle journal writes the first one at once, and a busy one few groups and few rows.
Every write carries its turn's lease epoch; a stale turn loses only its own rows. Writing a group again after a lost connection
changes nothing (all its keys are known beforehand).
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import asyncpg

from core.errors import Conflict, InvalidRequest, PaddockError, RateLimited, Unauthenticated, Unavailable
from core.events import (
    TURN_EVENT,
    ApprovalRequested,
    CallDelta,
    ReasoningDelta,
    Recorded,
    TextDelta,
    ToolOutput,
    TurnDeferred,
    TurnEnded,
    TurnEvent,
)
from core.messages import ITEM, Item
from core.storage.approvals import Decision
from core.storage.audit import AuditRecord
from core.storage.connection import LOST, PASSING, DatabaseUnavailable
from core.storage.database import Database
from core.storage.journal_statement import Arrays, Rows, rows_of, written
from core.storage.records import Turn

log = logging.getLogger(__name__)
PLANS = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}
"""Each of the writer's few statements is planned once, by its indexes: planning was half of what PostgreSQL did for a group."""
SESSION = {**PLANS, "idle_in_transaction_session_timeout": "3s"}
"""A server that freezes while it has locked the queue keeps the others waiting no longer than that."""
GIVE_UP_SECONDS = 5.0
"""How long a group is tried again while PostgreSQL is away, or says no for now; then its turns stop."""
WRITE_SECONDS = 10.0
"""How long one try may take, where PostgreSQL is there and does not answer."""
COME_AGAIN_SECONDS = 10.0
"""For who finds the queue full."""
LOCK_QUEUE = "BEGIN; SELECT pg_advisory_xact_lock(7305829216001)"
"""To the end of the transaction. A statement of its own: the one that counts sees what was committed until then."""
LINGER_SECONDS = 0.05
"""How long a record that nobody waits for may stand in line for others to go with it."""
PACE_SECONDS = 0.01
"""How long after the last group's beginning one may begin for deltas alone: with many streams at once, a group holds many."""
DELTAS = (TextDelta, ReasoningDelta, CallDelta, ToolOutput)


class LeaseLost(PaddockError):
    """Another process has taken the turn over: this one must stop it and write nothing more."""

    code = "lease_lost"


class KeyRevoked(Unauthenticated):
    """The key that the turn runs under was revoked or has expired."""

    code = "key_revoked"


class CallState(StrEnum):
    """Of a call that was sent. That it is meant to be is in the reply that asks for it, durable before that."""

    DISPATCHED = "dispatched"
    COMPLETED = "completed"
    OUTCOME_UNKNOWN = "outcome_unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRow:
    """call_path: the model's call id; a call made by code inside another has the path (outer call, ordinal)."""

    call_path: str
    tool: str
    version_digest: str
    effect: str
    state: CallState
    arguments_digest: str
    result_digest: str | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One event with what has to become durable in the same commit. outputs: the turn's output items, at its end.

    urgent: to be written soon, though nobody waits for it. audit: without personal text, which the journal's statement has no
    place for.
    """

    event: TurnEvent
    urgent: bool = False
    ledger: tuple[LedgerRow, ...] = ()
    approvals: tuple[ApprovalRequested, ...] = ()
    audit: tuple[AuditRecord, ...] = ()
    outputs: tuple[Item, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """How many turns may wait in the queue with this one: of its organisation, and of all."""

    of_one: int
    of_all: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """The first write of a turn: its row, its request (JSON) and its input. Only what may be kept is in it.

    idempotency: names the request that it answers; continues: the turn whose approvals it uses. Of two turns with the same one
    the second is not accepted. decisions: what it decides of these; it is accepted while they are open, and they with it.
    places: of one that is queued; it is accepted while there is one. seen: the last item that it has seen of its conversation,
    "" where there was none; it is accepted while no other is behind that. None for one that looks when it begins.
    """

    turn: Turn
    request: str
    metadata: str
    inputs: tuple[Item, ...]
    lease_owner: str
    lease_seconds: float
    idempotency: str | None = None
    continues: str | None = None
    decisions: tuple[Decision, ...] = ()
    places: Places | None = None
    seen: str | None = None


@dataclass(slots=True)
class Pending:
    """What one turn has in line for the next group. durable: done when that is written; it carries why it never will be."""

    acceptance: Acceptance | None = None
    events: list[Recorded] = field(default_factory=list)
    ledger: dict[str, LedgerRow] = field(default_factory=dict)
    approvals: list[ApprovalRequested] = field(default_factory=list)
    audit: list[AuditRecord] = field(default_factory=list)
    outputs: tuple[Item, ...] = ()
    end: TurnEnded | None = None
    deferral: TurnDeferred | None = None
    durable: "asyncio.Future[None]" = field(default_factory=lambda: _awaited())

    @property
    def only_ends(self) -> bool:
        """It is written whatever its key is by now: `over` and `ended` in the statement."""
        if self.end is None:
            return False
        return self.acceptance is None or (not self.acceptance.turn.stored and self.acceptance.continues is None)

    def without_key(self) -> "Pending | None":
        """An unstored turn that ends, and whose idempotency key another one has by now: it is counted all the same."""
        if not self.only_ends or self.acceptance is None or self.acceptance.idempotency is None:
            return None
        return replace(self, acceptance=replace(self.acceptance, idempotency=None))

    def merge(self, entry: Entry, seq: int) -> bool:
        """Take the entry in; False when its text went into the event before it, and no number was used."""
        for row in entry.ledger:
            self.ledger[row.call_path] = row
        self.approvals += entry.approvals
        self.audit += entry.audit
        self.outputs += entry.outputs
        match entry.event:
            case TurnEnded() as end:
                self.end = end
            case TurnDeferred() as deferral:
                self.deferral = deferral
        if self.events and (joined := _joined(self.events[-1].event, entry.event)) is not None:
            self.events[-1] = Recorded(self.events[-1].seq, joined)
            return False
        self.events.append(Recorded(seq, entry.event))
        return True


def _joined(first: TurnEvent, second: TurnEvent) -> TurnEvent | None:
    """Two deltas of one item as one; None when they cannot be."""
    match first, second:
        case TextDelta(), TextDelta() if first.item == second.item:
            return replace(first, text=first.text + second.text)
        case ReasoningDelta(), ReasoningDelta() if first.item == second.item:
            return replace(first, text=first.text + second.text)
        case CallDelta(), CallDelta() if first.item == second.item:
            return replace(first, arguments=first.arguments + second.arguments)
        case ToolOutput(), ToolOutput() if (first.item, first.stream) == (second.item, second.stream):
            return replace(first, text=first.text + second.text)
    return None


Publish = Callable[[Sequence[Recorded]], None]


class TurnJournal:
    """One turn's way into the journal. What an unstored turn says is published at once and kept nowhere; its row, its ledger,
    its usage and its audit records are written all the same, at the first call of a tool or at its end. Its end is published
    when they are: no turn is over that nobody has counted.
    """

    def __init__(self, journal: "Journal", acceptance: Acceptance, *, epoch: int, last_seq: int, publish: Publish) -> None:
        self._journal = journal
        self._acceptance: Acceptance | None = None if epoch > 1 else acceptance
        self.turn = acceptance.turn
        self.owner = acceptance.lease_owner
        self.epoch = epoch
        self._last_seq = last_seq
        self._publish = publish
        self._failure: PaddockError | None = None
        self._unwritten: list[AuditRecord] = []  # of an unstored turn, until something of it is written
        self._nothing_to_write = _awaited()
        self._nothing_to_write.set_result(None)
        self.accepted = epoch > 1  # its row is in the database

    def record(self, entry: Entry, *, soon: bool = True) -> "asyncio.Future[None]":
        """Put an entry in line. The future is done when it is durable, and carries why it never will be; it is that of all that
        stands in line with it, so whoever may be cancelled while he waits for it shields it.

        soon: write it as soon as the group before it is durable, or a delta at the writer's pace; else it may wait for company,
        until `hurry`.
        Raises what an earlier group of this turn failed with: nothing can follow a record that was not written.
        """
        ends = isinstance(entry.event, TurnEnded)
        may_end = ends and isinstance(self._failure, KeyRevoked) and (self.accepted or not self.turn.stored)
        if self._failure is not None and not may_end:
            raise self._failure
        if self._journal.stopped:
            raise Unavailable("the journal has stopped", code="journal_stopped")
        if not self.turn.stored and not ends:
            self._last_seq += 1
            self._publish([Recorded(self._last_seq, entry.event)])
            if not entry.ledger:
                self._unwritten += entry.audit
                return self._nothing_to_write
        pending = self._journal.line(self)
        used = pending.merge(entry, self._last_seq + 1)
        if self.turn.stored or ends:
            self._last_seq += used
        else:
            pending.events.clear()
        pending.audit[:0], self._unwritten = self._unwritten, []
        if self._acceptance is not None:
            pending.acceptance, self._acceptance = self._acceptance, None
        if not soon:
            self._journal.linger()
        elif isinstance(entry.event, DELTAS):
            self._journal.keep_pace()
        else:
            self._journal.wake()
        return pending.durable

    def hurry(self) -> None:
        """Somebody waits for what is in line."""
        self._journal.wake()

    def committed(self, pending: Pending) -> None:
        self.accepted = True
        self._publish(pending.events)
        if not pending.durable.done():
            pending.durable.set_result(None)

    def refused(self, pending: Pending, failure: PaddockError) -> None:
        """Nothing of `pending` was written, and nothing that stands in line behind it will be."""
        self._failure = failure
        behind = self._journal.step_out(self)
        self._acceptance = pending.acceptance
        if not self.turn.stored and not self.accepted:
            self._unwritten = [record for record in pending.audit if record.kind != "tool.dispatched"]
        if pending.events:
            self._last_seq = pending.events[0].seq - 1
        for one in (pending, behind):
            if one is not None and not one.durable.done():
                one.durable.set_exception(failure)


def _awaited() -> "asyncio.Future[None]":
    """Perhaps by nobody, as most records are: a failure reaches the turn with its next record."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    return future


class Journal:
    """The writer. `committed` is told of the ids of each group's turns, to wake readers in other processes."""

    def __init__(
        self,
        database: Database,
        *,
        on_commit: Callable[[Sequence[str]], None] = lambda _: None,
        on_group: Callable[[int, float], None] = lambda _turns, _seconds: None,
    ) -> None:
        self._database = database
        self._on_group = on_group
        self._line: dict[TurnJournal, Pending] = {}
        self._writing: dict[TurnJournal, Pending] = {}
        self._wake = asyncio.Event()
        self._lingering: asyncio.TimerHandle | None = None
        self._wakes_at = 0.0  # where it lingers, by the loop's clock
        self._last_began = 0.0
        self._connection: asyncpg.Connection[Any] | None = None
        self._on_commit = on_commit
        self.groups = 0  # commits so far, for metrics and benchmarks
        self.stopped = False

    @property
    def waiting(self) -> int:
        """Turns that have something in line."""
        return len(self._line)

    def line(self, turn: TurnJournal) -> Pending:
        if (pending := self._line.get(turn)) is None:
            pending = self._line[turn] = Pending()
        return pending

    def step_out(self, turn: TurnJournal) -> Pending | None:
        return self._line.pop(turn, None)

    def wake(self) -> None:
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
        self._wake.set()

    def open_turn(self, acceptance: Acceptance, *, publish: Publish) -> TurnJournal:
        return TurnJournal(self, acceptance, epoch=1, last_seq=0, publish=publish)

    def continue_turn(self, acceptance: Acceptance, *, epoch: int, last_seq: int, publish: Publish) -> TurnJournal:
        """A turn that another process began, under a newer lease."""
        return TurnJournal(self, acceptance, epoch=epoch, last_seq=last_seq, publish=publish)

    def keep_pace(self) -> None:
        """Wake at once, but not right after the last time."""
        self._wake_at(self._last_began + PACE_SECONDS)

    def linger(self) -> None:
        """Wake soon."""
        self._wake_at(asyncio.get_running_loop().time() + LINGER_SECONDS)

    def _wake_at(self, when: float) -> None:
        loop = asyncio.get_running_loop()
        if when <= loop.time():
            self.wake()
        elif self._lingering is None or when < self._wakes_at:
            if self._lingering is not None:
                self._lingering.cancel()
            self._lingering, self._wakes_at = loop.call_at(when, self.wake), when

    async def run(self) -> None:
        """Write until cancelled."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                self._writing, self._line = self._line, {}
                if self._writing:
                    self._last_began = asyncio.get_running_loop().time()
                    await self._write(self._writing)
                    self._writing = {}
        finally:
            self.stopped = True
            for turn, pending in list(self._line.items()):
                turn.refused(pending, Unavailable("the journal has stopped", code="journal_stopped"))
            await self._disconnect()

    async def check(self) -> None:
        """Raises Unavailable when nothing will be written any more."""
        if self.stopped:
            raise Unavailable("the journal's writer has stopped; the server must be started again", code="journal_stopped")

    async def drain(self) -> None:
        """Return when all that was recorded until now is durable or has failed."""
        waiting = [pending.durable for group in (self._writing, self._line) for pending in group.values()]
        if waiting:
            self.wake()
            await asyncio.wait(waiting)

    async def _write(self, group: dict[TurnJournal, Pending]) -> PaddockError | None:
        """Commit the group and tell each of its turns. One that cannot be written fails alone. Gives what it failed with."""
        left = dict(group)
        why: PaddockError = Unavailable("the journal has stopped", code="database_unavailable")
        try:
            rows = _encoded(left)
            began = time.monotonic()
            queued = any(row.get("queued") for row in rows.values())
            fates = await self._commit(*written(rows.values()), queued=queued)
            self._on_group(len(rows), time.monotonic() - began)
            self.groups += 1
            again: dict[TurnJournal, Pending] = {}
            for turn in rows:
                pending = left.pop(turn)
                failure = _verdict(turn, pending, fates.get(turn.turn.id))
                if failure is None:
                    turn.committed(pending)
                elif fates.get(turn.turn.id) is None and (nameless := pending.without_key()):
                    again[turn] = nameless
                else:
                    turn.refused(pending, failure)
            self._on_commit([turn.turn.id for turn in rows if turn.turn.stored])
            return await self._write(again) if again else None
        except DatabaseUnavailable as exc:
            why = exc
        except Exception as exc:  # whatever it is: the turns of others are written
            ours = None if isinstance(exc, asyncpg.PostgresError) else exc  # to be mended by who reads its traceback
            log.error("a group of %d turns could not be written: %s", len(left), type(exc).__name__, exc_info=ours)
            why = Unavailable(f"the journal could not be written: {type(exc).__name__}", code="journal_refused")
            if len(left) > 1:
                for turn in list(left):
                    failure = await self._write({turn: left.pop(turn)})
                    if isinstance(failure, DatabaseUnavailable):  # each of the others would wait as long for it
                        why = failure
                        break
        finally:
            for turn, pending in left.items():
                turn.refused(pending, why)
        return why

    async def _commit(self, statement: str, arguments: Arrays, *, queued: bool) -> dict[str, asyncpg.Record]:
        """What became of the turns whose lease held, and of those that were refused.

        queued: some are to wait in the queue. Who counts it waits for whoever counted it before to have committed.
        """
        deadline = time.monotonic() + GIVE_UP_SECONDS
        while True:
            try:
                if self._connection is None:
                    self._connection = await self._database.connect(SESSION)
                if queued:
                    await self._connection.execute(LOCK_QUEUE, timeout=WRITE_SECONDS)
                rows = await self._connection.fetch(statement, *arguments, timeout=WRITE_SECONDS)
                if queued:
                    await self._connection.execute("COMMIT", timeout=WRITE_SECONDS)
                return {row["id"]: row for row in rows}
            except (*LOST, *PASSING, asyncpg.ReadOnlySQLTransactionError, DatabaseUnavailable) as exc:
                if queued or not isinstance(exc, PASSING):
                    await self._disconnect()
                if isinstance(exc, ValueError):  # what it was given cannot be sent, over no connection
                    raise
                if time.monotonic() > deadline:
                    raise DatabaseUnavailable(f"PostgreSQL writes nothing: {type(exc).__name__}") from exc
                await asyncio.sleep(0.1)
            except asyncpg.PostgresError:
                if queued:
                    await self._disconnect()  # what it had begun is taken back
                raise

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*LOST, TimeoutError):
                await connection.close(timeout=1)


def _encoded(group: dict[TurnJournal, Pending]) -> dict[TurnJournal, Rows]:
    """Takes out of the group, and refuses, a turn that holds text which is no Unicode."""
    rows: dict[TurnJournal, Rows] = {}
    for turn, pending in list(group.items()):
        try:
            rows[turn] = rows_of(turn.turn, turn.owner, turn.epoch, pending)
        except ValueError:
            turn.refused(group.pop(turn), InvalidRequest("a text of the turn is not valid Unicode", code="invalid_unicode"))
    return rows


def _verdict(turn: TurnJournal, pending: Pending, fate: asyncpg.Record | None) -> PaddockError | None:
    if fate is None:
        return (
            LeaseLost(f"the lease of turn {turn.turn.id!r} was lost")
            if pending.acceptance is None
            else _twice(pending.acceptance)
        )
    if fate["ended"] and pending.end is None:
        return LeaseLost(f"turn {turn.turn.id!r} has ended")
    match fate["refusal"]:
        case "crowded":
            return RateLimited("too many turns wait in the background", retry_after=COME_AGAIN_SECONDS, code="queue_full")
        case "late":
            return Conflict("somebody else has decided on it, or it has just expired", code="approval_decided")
    if fate["revoked"] and not pending.only_ends:
        return KeyRevoked("the API key was revoked or has expired")
    return None


def _twice(acceptance: Acceptance) -> Conflict:
    """Why it is not accepted beside the one that is there."""
    conversation_id = acceptance.turn.conversation_id
    if acceptance.continues is not None and conversation_id is None:
        return Conflict("what was decided is carried out by another response already", code="approval_used")
    if acceptance.idempotency is not None and conversation_id is None:
        return Conflict("the same request was accepted meanwhile: come again", code="idempotency_in_progress")
    message = f"conversation {conversation_id!r} is gone, has a turn running or has gone on meanwhile"
    return Conflict(message, code="conversation_locked")


@asynccontextmanager
async def open_journal(
    database: Database,
    *,
    on_commit: Callable[[Sequence[str]], None],
    on_group: Callable[[int, float], None] = lambda _turns, _seconds: None,
) -> AsyncGenerator[Journal, None]:
    """on_group: told of each commit: of how many turns, in how many seconds."""
    journal = Journal(database, on_commit=on_commit, on_group=on_group)
    writer = asyncio.create_task(journal.run(), name="journal")
    try:
        yield journal
        await journal.drain()
    finally:
        writer.cancel()
        with suppress(asyncio.CancelledError):
            await writer


def decode_event(payload: str) -> TurnEvent:
    return TURN_EVENT.validate_json(payload)


def decode_item(payload: str) -> Item:
    return ITEM.validate_json(payload)


def now() -> datetime:
    return datetime.now(UTC)
