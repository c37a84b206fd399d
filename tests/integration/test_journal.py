"""The journal on a real PostgreSQL: what is durable, in what order, and who may write."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa

from core.audit.turns import TurnAudit
from core.conversations.record import Recorder
from core.conversations.story import Story
from core.errors import Conflict, InvalidRequest, Unavailable
from core.events import Recorded, Replied, TextDelta, ToolDispatched, TurnEnded, TurnStarted, TurnStatus
from core.identity.keys import Keys
from core.ids import new_id
from core.messages import FinishReason, MessageItem, Offer, Role, Text, ToolCall, ToolCallItem, Usage
from core.storage import journal as journal_module
from core.storage.conversations import ConversationStore
from core.storage.database import Database
from core.storage.directory import Directory
from core.storage.embedded.postgres import EmbeddedPostgres
from core.storage.journal import (
    Acceptance,
    CallState,
    Entry,
    Journal,
    KeyRevoked,
    LeaseLost,
    LedgerRow,
    TurnJournal,
    open_journal,
)
from core.storage.leases import Leases
from core.storage.records import Turn
from core.storage.tables import tool_ledger, turns
from core.storage.turns import TurnStore
from tests.integration.conftest import Tenant, told


@pytest.fixture
async def journal(database: Database) -> AsyncIterator[Journal]:
    async with open_journal(database, on_commit=lambda ids: None) as opened:
        yield opened


def a_turn(tenant: Tenant, *, conversation_id: str | None = None, stored: bool = True) -> Turn:
    who = tenant.principal
    return Turn(
        id=new_id("resp"),
        organization_id=who.organization_id,
        user_id=who.user_id,
        key_id=who.key_id,
        conversation_id=conversation_id,
        previous_turn_id=None,
        model="m",
        status=TurnStatus.RUNNING,
        stored=stored,
        wire="responses/1",
        echo={},
        metadata={},
        created_at=datetime.now(UTC),
    )


def says(text: str) -> MessageItem:
    return MessageItem(id=new_id("msg"), role=Role.USER, parts=(Text(text=text),))


def acceptance(turn: Turn, *, lease_seconds: float = 10.0) -> Acceptance:
    return Acceptance(
        turn=turn,
        request='{"echo": {"a": 1}}',
        metadata="{}",
        inputs=(says("hi"),),
        lease_owner="me",
        lease_seconds=lease_seconds,
    )


class Reader:
    def __init__(self) -> None:
        self.seen: list[Recorded] = []

    def publish(self, events: Sequence[Recorded]) -> None:
        self.seen += events


def opened(journal: Journal, turn: Turn, *, lease_seconds: float = 10.0) -> tuple[TurnJournal, Reader]:
    reader = Reader()
    return journal.open_turn(acceptance(turn, lease_seconds=lease_seconds), publish=reader.publish), reader


async def test_what_is_recorded_can_be_read_back_and_was_published_in_the_same_order(
    journal: Journal, database: Database, tenant: Tenant
) -> None:
    turn = a_turn(tenant)
    writer, reader = opened(journal, turn)
    await writer.record(Entry(event=TurnStarted()))
    for piece in ["a\x00", "b", "ü€"]:
        await writer.record(Entry(event=TextDelta(item=0, text=piece)))
    await writer.record(
        Entry(event=TurnEnded(status=TurnStatus.COMPLETED, usage=Usage(input=3, output=4)), outputs=(says("out"),))
    )
    store = TurnStore(database)
    events = await store.events(turn.organization_id, turn.id)
    assert events == reader.seen
    assert [recorded.seq for recorded in events] == [1, 2, 3, 4, 5]
    assert events[1].event == TextDelta(item=0, text="a\x00")
    kept = await store.get(turn.organization_id, turn.id)
    assert (kept.status, kept.usage, kept.echo) == (TurnStatus.COMPLETED, Usage(input=3, output=4), {"a": 1})
    assert len(await store.chain(turn.organization_id, turn.id, most=9)) == 2


async def test_deltas_that_come_while_a_commit_is_in_flight_become_one_row(
    journal: Journal, database: Database, tenant: Tenant
) -> None:
    turn = a_turn(tenant)
    writer, reader = opened(journal, turn)
    last = writer.record(Entry(event=TurnStarted()))
    for _ in range(100):
        last = writer.record(Entry(event=TextDelta(item=0, text="x")))
    await last
    assert reader.seen == [Recorded(1, TurnStarted()), Recorded(2, TextDelta(item=0, text="x" * 100))]


async def test_deltas_right_after_a_group_wait_for_company_but_not_for_each_other_nor_behind_what_cannot_wait(
    journal: Journal, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    writers = [opened(journal, a_turn(tenant)) for _ in range(3)]
    await asyncio.gather(*(writer.record(Entry(event=TurnStarted())) for writer, _ in writers))
    monkeypatch.setattr(journal_module, "PACE_SECONDS", 60.0)
    (one, reader), (other, _), (third, _) = writers
    groups, waiting = journal.groups, [writer.record(Entry(event=TextDelta(item=0, text="x"))) for writer in (one, other)]
    await asyncio.sleep(0.05)
    assert (len(reader.seen), journal.groups) == (1, groups)
    await asyncio.gather(*waiting, third.record(Entry(event=TurnEnded(status=TurnStatus.COMPLETED))))
    assert (len(reader.seen), journal.groups) == (2, groups + 1)


async def test_a_turn_that_is_accepted_and_ended_in_one_group_is_stored_ended(
    journal: Journal, database: Database, tenant: Tenant
) -> None:
    turn = a_turn(tenant)
    writer, _ = opened(journal, turn)
    writer.record(Entry(event=TurnStarted()))
    await writer.record(Entry(event=TurnEnded(status=TurnStatus.FAILED, reason="x", message="y")))
    kept = await TurnStore(database).get(turn.organization_id, turn.id)
    assert (kept.status, kept.reason, kept.message) == (TurnStatus.FAILED, "x", "y")
    assert kept.ended_at is not None


async def test_a_conversation_takes_one_running_turn_and_the_second_is_refused_alone(
    journal: Journal, database: Database, tenant: Tenant
) -> None:
    who = tenant.principal.organization_id
    conversation = await ConversationStore(database).create(who, metadata={}, items=[])
    first, second, bystander = (a_turn(tenant, conversation_id=c) for c in (conversation.id, conversation.id, None))
    writers = [opened(journal, turn)[0] for turn in (first, second, bystander)]
    results = await asyncio.gather(*(w.record(Entry(event=TurnStarted())) for w in writers), return_exceptions=True)
    refused = [r for r in results if isinstance(r, Conflict)]
    assert len(refused) == 1
    assert refused[0].code == "conversation_locked"
    assert results[2] is None
    await writers[0 if results[0] is None else 1].record(Entry(event=TurnEnded(status=TurnStatus.COMPLETED)))
    third, _ = opened(journal, a_turn(tenant, conversation_id=conversation.id))
    await third.record(Entry(event=TurnStarted()))


async def test_a_stale_writer_loses_its_own_rows_and_nobody_elses(journal: Journal, database: Database, tenant: Tenant) -> None:
    stale, healthy = a_turn(tenant), a_turn(tenant)
    stale_writer, reader = opened(journal, stale, lease_seconds=0.0)
    healthy_writer, _ = opened(journal, healthy)
    await stale_writer.record(Entry(event=TurnStarted()))
    await healthy_writer.record(Entry(event=TurnStarted()))
    [orphan] = [o for o in await Leases(database, owner="other", seconds=10).take_orphans(limit=100) if o.turn.id == stale.id]
    assert orphan.epoch == 2
    lost = stale_writer.record(Entry(event=TextDelta(item=0, text="late")))
    kept = healthy_writer.record(Entry(event=TextDelta(item=0, text="fine")))
    with pytest.raises(LeaseLost):
        await lost
    await kept
    with pytest.raises(LeaseLost):
        stale_writer.record(Entry(event=TextDelta(item=0, text="later")))
    assert [r.event for r in reader.seen] == [TurnStarted()]
    taken = replace(acceptance(orphan.turn), lease_owner="other")
    heir = journal.continue_turn(taken, epoch=orphan.epoch, last_seq=1, publish=reader.publish)
    await heir.record(Entry(event=TurnEnded(status=TurnStatus.FAILED)))
    events = await TurnStore(database).events(stale.organization_id, stale.id)
    assert [recorded.seq for recorded in events] == [1, 2]


async def test_the_leases_tell_which_turns_are_lost_and_which_are_to_stop(
    journal: Journal, database: Database, tenant: Tenant
) -> None:
    mine, cancelled = a_turn(tenant), a_turn(tenant)
    for turn in (mine, cancelled):
        await opened(journal, turn)[0].record(Entry(event=TurnStarted()))
    await TurnStore(database).request_cancel(cancelled.organization_id, cancelled.id)
    leases, held = Leases(database, owner="me", seconds=10), [mine.id, cancelled.id, "resp_unknown"]
    assert await leases.renew(held) == {"resp_unknown"}
    assert await leases.cancelled(held) == {cancelled.id}


async def test_a_lease_is_kept_while_slow_statements_have_every_connection(
    journal: Journal, database: Database, tenant: Tenant
) -> None:
    turn, leases = a_turn(tenant), Leases(database, owner="me", seconds=10)
    await opened(journal, turn)[0].record(Entry(event=TurnStarted()))
    async with AsyncExitStack() as slow, asyncio.timeout(5):
        for _ in range(10):
            await slow.enter_async_context(database.everyone())
        assert await leases.renew([turn.id]) == frozenset()


async def test_a_renewal_that_waits_keeps_no_cancellation_waiting(journal: Journal, database: Database, tenant: Tenant) -> None:
    one, other = a_turn(tenant), a_turn(tenant)
    for turn in (one, other):
        await opened(journal, turn)[0].record(Entry(event=TurnStarted()))
    leases = Leases(database, owner="me", seconds=10)
    async with asyncio.timeout(5):
        async with database.everyone() as connection:
            await connection.execute(sa.text("SELECT FROM turns WHERE id = :id FOR NO KEY UPDATE"), {"id": one.id})
            renewal = asyncio.create_task(leases.renew([one.id, other.id]))
            await asyncio.sleep(0.2)
            assert await leases.cancelled([other.id]) == frozenset()
            await leases.release([one.id])  # one that somebody else holds is free when its lease runs out
            assert not renewal.done()
        assert await renewal == frozenset()


async def test_a_revoked_key_stops_its_turns_at_their_next_event_but_lets_them_end(
    journal: Journal, database: Database, tenant: Tenant
) -> None:
    turn = a_turn(tenant)
    writer, reader = opened(journal, turn)
    await writer.record(Entry(event=TurnStarted()))
    await Keys(Directory(database)).revoke(tenant.principal, turn.key_id)
    with pytest.raises(KeyRevoked):
        await writer.record(Entry(event=TextDelta(item=0, text="secret")))
    await writer.record(Entry(event=TurnEnded(status=TurnStatus.FAILED, reason="key_revoked")))
    assert [r.seq for r in reader.seen] == [1, 2]
    assert await TurnStore(database).events(turn.organization_id, turn.id) == reader.seen


async def test_an_unstored_turn_keeps_its_ledger_and_usage_and_not_a_word_of_text(
    journal: Journal, database: Database, tenant: Tenant
) -> None:
    turn = a_turn(tenant, stored=False)
    writer, reader = opened(journal, turn)
    row = LedgerRow(
        call_path="call_1",
        tool="t",
        version_digest="d",
        effect="pure",
        state=CallState.DISPATCHED,
        arguments_digest="a",
    )
    await writer.record(Entry(event=TurnStarted()))
    await writer.record(Entry(event=TextDelta(item=0, text="secret")))
    await writer.record(Entry(event=TextDelta(item=0, text="!"), ledger=(row,)))
    await writer.record(Entry(event=TurnEnded(status=TurnStatus.COMPLETED, usage=Usage(output=9)), outputs=(says("out"),)))
    assert len(reader.seen) == 4
    async with database.everyone() as connection:
        dump = [
            (await connection.execute(sa.text(f"SELECT * FROM {table} WHERE {column} = :id"), {"id": turn.id})).all()
            for table, column in (("turn_events", "turn_id"), ("items", "turn_id"), ("turns", "id"), ("tool_ledger", "turn_id"))
        ]
    assert [len(rows) for rows in dump] == [0, 0, 1, 1]
    assert dump[2][0].output_tokens == 9
    assert "secret" not in repr(dump)


@pytest.mark.parametrize("dispatches", [False, True])
async def test_an_unstored_turn_whose_key_was_revoked_is_counted_all_the_same(
    journal: Journal, database: Database, tenant: Tenant, dispatches: bool
) -> None:
    turn = a_turn(tenant, stored=False)
    writer, reader = opened(journal, turn)
    await writer.record(Entry(event=TurnStarted()))
    await Keys(Directory(database)).revoke(tenant.principal, turn.key_id)
    if dispatches:
        row = LedgerRow(
            call_path="c", tool="t", version_digest="d", effect="pure", state=CallState.DISPATCHED, arguments_digest="a"
        )
        with pytest.raises(KeyRevoked):
            await writer.record(Entry(event=TextDelta(item=0, text="x"), ledger=(row,)))
    await writer.record(Entry(event=TurnEnded(status=TurnStatus.FAILED, reason="key_revoked", usage=Usage(output=9))))
    assert isinstance(reader.seen[-1].event, TurnEnded)
    assert [recorded.seq for recorded in reader.seen] == list(range(1, len(reader.seen) + 1))
    async with database.tenant(turn.organization_id) as connection:
        kept = (await connection.execute(sa.select(turns).where(turns.c.id == turn.id))).one()
        ledger = (await connection.execute(sa.select(tool_ledger).where(tool_ledger.c.turn_id == turn.id))).all()
    assert (kept.output_tokens, kept.reason, ledger) == (9, "key_revoked", [])


async def test_what_a_turn_did_before_its_key_was_revoked_is_in_the_log(
    journal: Journal, database: Database, tenant: Tenant
) -> None:
    turn = a_turn(tenant, stored=False)
    (writer, _), recorder = opened(journal, turn), Recorder(Story(turn.id), TurnAudit(turn))
    call = ToolCallItem(id="fc_1", call=ToolCall(id="c", name="t", arguments="{}"), offer=Offer.REGISTRY)
    asks = Replied(
        step=0, first_item=0, items=(call,), usage=Usage(input=5, output=7), finish=FinishReason.TOOL_CALLS, seconds=0.1
    )
    begins = ToolDispatched(item=0, call_id="c", tool="t", version_digest="d", effect="pure", arguments_digest="a")
    for event in (TurnStarted(), asks):
        writer.record(recorder.entry(event))
    await Keys(Directory(database)).revoke(tenant.principal, turn.key_id)
    with pytest.raises(KeyRevoked):
        await writer.record(recorder.entry(begins))
    await writer.record(recorder.entry(TurnEnded(status=TurnStatus.FAILED, reason="key_revoked", usage=Usage(output=7))))
    kinds = ("turn.started", "model.replied", "tool.dispatched", "turn.ended")
    found = [
        len([one for one in await told(database, turn.organization_id, kind) if one["object"] == turn.id]) for kind in kinds
    ]
    assert found == [1, 1, 0, 1]


async def test_an_unstored_turn_whose_request_another_one_answers_by_now_is_counted_and_told_all_the_same(
    journal: Journal, database: Database, tenant: Tenant
) -> None:
    """The client of the first one left, and asked again before that was written."""
    key, readers, writers = f"key of {tenant.principal.organization_id}", [Reader(), Reader()], []
    for reader in readers:
        accepted = replace(acceptance(a_turn(tenant, stored=False)), idempotency=key)
        writers.append(journal.open_turn(accepted, publish=reader.publish))
    for writer in writers:
        await writer.record(Entry(event=TurnEnded(status=TurnStatus.COMPLETED, usage=Usage(output=9))))
    assert all(isinstance(reader.seen[-1].event, TurnEnded) for reader in readers)
    async with database.tenant(tenant.principal.organization_id) as connection:
        assert sorted((await connection.execute(sa.select(turns.c.idempotency, turns.c.output_tokens))).all(), key=str) == [
            (key, 9),
            (None, 9),
        ]


async def test_ledger_rows_go_from_dispatched_to_completed(journal: Journal, database: Database, tenant: Tenant) -> None:
    turn = a_turn(tenant)
    writer, _ = opened(journal, turn)
    for state in (CallState.DISPATCHED, CallState.COMPLETED):
        row = LedgerRow(call_path="c", tool="t", version_digest="d", effect="pure", state=state, arguments_digest="a")
        await writer.record(Entry(event=TextDelta(item=0, text="x"), ledger=(row,)))
    async with database.tenant(turn.organization_id) as connection:
        kept = (await connection.execute(sa.select(tool_ledger).where(tool_ledger.c.turn_id == turn.id))).one()
    assert kept.state == "completed"
    assert kept.completed_at is not None


async def test_a_connection_killed_between_two_groups_costs_nothing(
    journal: Journal, postgres: EmbeddedPostgres, tenant: Tenant
) -> None:
    turn = a_turn(tenant)
    writer, reader = opened(journal, turn)
    await writer.record(Entry(event=TurnStarted()))
    journal_connection = journal._connection
    assert isinstance(journal_connection, asyncpg.Connection)
    killed = journal_connection.get_server_pid()
    other = await asyncpg.connect(postgres.owner_url)
    await other.execute("SELECT pg_terminate_backend($1)", killed)
    await other.close()
    await writer.record(Entry(event=TextDelta(item=0, text="after")))
    assert [r.seq for r in reader.seen] == [1, 2]


async def test_a_turn_whose_text_cannot_be_written_fails_alone(journal: Journal, database: Database, tenant: Tenant) -> None:
    bad, good = a_turn(tenant), a_turn(tenant)
    bad_writer, _ = opened(journal, bad)
    good_writer, _ = opened(journal, good)
    refused = bad_writer.record(Entry(event=TextDelta(item=0, text="\ud800")))
    kept = good_writer.record(Entry(event=TextDelta(item=0, text="fine")))
    with pytest.raises(InvalidRequest):
        await refused
    await kept


@pytest.mark.parametrize("broken", [2**70, "ten", None])
async def test_a_turn_that_no_statement_can_hold_fails_alone_and_at_once(
    journal: Journal, tenant: Tenant, broken: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "GIVE_UP_SECONDS", 600.0)  # what is tried again fails later than that
    bad, good = a_turn(tenant), a_turn(tenant)
    bad_writer, _ = opened(journal, bad)
    good_writer, reader = opened(journal, good)
    refused = bad_writer.record(Entry(event=TurnEnded(status=TurnStatus.COMPLETED, usage=Usage(input=broken))))
    kept = good_writer.record(Entry(event=TextDelta(item=0, text="fine")))
    with pytest.raises(Unavailable, match="could not be written"):
        await asyncio.wait_for(refused, 60)
    await kept
    await good_writer.record(Entry(event=TextDelta(item=0, text="and more")))
    assert [r.seq for r in reader.seen] == [1, 2]
    assert not journal.stopped
    assert "a group of 1 turns could not be written" in caplog.text


async def test_a_call_id_with_a_nul_is_kept_readable(journal: Journal, database: Database, tenant: Tenant) -> None:
    turn = a_turn(tenant)
    writer, _ = opened(journal, turn)
    row = LedgerRow(
        call_path="c\x00", tool="t", version_digest="d", effect="pure", state=CallState.DISPATCHED, arguments_digest="a"
    )
    await writer.record(Entry(event=TextDelta(item=0, text="x"), ledger=(row,)))
    await writer.record(Entry(event=TurnEnded(status=TurnStatus.FAILED, message="a\x00b")))
    assert (await TurnStore(database).get(turn.organization_id, turn.id)).message == "a\ufffdb"


async def test_an_id_with_a_nul_is_the_callers_mistake(database: Database, tenant: Tenant) -> None:
    with pytest.raises(InvalidRequest):
        await TurnStore(database).get(tenant.principal.organization_id, "resp_\x00")
