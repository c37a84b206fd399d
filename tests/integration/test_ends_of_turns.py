"""Every turn ends once, whatever happens to it, to its reader or to the process that runs it."""

import asyncio
import gc
import weakref
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Never

import pytest
import sqlalchemy as sa

from core.conversations import adoption, manager
from core.conversations.request import Queue
from core.conversations.running import StopReason
from core.errors import Conflict, Unavailable
from core.events import TextDelta, ToolDispatched, TurnStatus
from core.storage.database import Database
from core.storage.leases import Leases
from core.storage.tables import turn_events, turns
from core.storage.turns import TurnStore
from sandbox.client import Connection
from tests.integration.conftest import Stage, Tenant
from tests.integration.test_turns import HELLO, SLOW, asking, code, end, play, read, text

PATIENCE_SECONDS = 20
LEASE_SECONDS = 300  # a third of it later a server looks for orphans again: one that has lost a turn here does not take it back


async def test_an_unstored_turn_is_not_given_up_while_somebody_reads_it(
    stage: Stage, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manager, "UNREAD_SECONDS", 0.1)
    async with stage.open_with(SLOW | {"pace_seconds": 0.01, "reply": {"text": "slow " * 8}}) as platform:
        events = await play(platform, tenant, asking("go", store=False))
    assert end(events).status is TurnStatus.COMPLETED
    assert text(events) == "slow " * 8


async def test_an_unstored_turn_that_nobody_reads_is_given_up(
    stage: Stage, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manager, "UNREAD_SECONDS", 0.1)
    async with stage.open_with(SLOW) as platform, asyncio.timeout(PATIENCE_SECONDS):
        turn = await platform.turns.start(tenant.principal, asking("go", store=False))
        running = platform.turns.running[turn.id]
        assert (await running.ended()).status is TurnStatus.CANCELLED
        assert turn.id not in platform.turns.running


async def test_a_turn_that_is_stopped_before_its_first_step_still_ends(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(HELLO) as platform, asyncio.timeout(PATIENCE_SECONDS):
        starting = asyncio.create_task(platform.turns.start(tenant.principal, asking("go")))
        while not platform.turns.running:
            await asyncio.sleep(0)
        [running] = platform.turns.running.values()
        running.stop(StopReason.KEY_REVOKED)
        turn = await starting
        events = await read(platform, tenant, turn.id)
        assert (end(events).status, end(events).reason) == (TurnStatus.FAILED, "key_revoked")


async def test_a_turn_that_begins_while_the_platform_closes_is_refused_or_ended(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(SLOW) as platform:
        starting = [asyncio.create_task(platform.turns.start(tenant.principal, asking("go"))) for _ in range(20)]
        await asyncio.sleep(0.005)
        await platform.turns.stop()
        outcomes = await asyncio.gather(*starting, return_exceptions=True)
        assert not platform.turns.running
    assert all(isinstance(outcome, Unavailable) or not isinstance(outcome, BaseException) for outcome in outcomes)
    async with stage.open_with(HELLO) as again:
        for outcome in outcomes:
            if not isinstance(outcome, BaseException):
                assert (await again.turns.wait(tenant.principal, outcome.id)).status is TurnStatus.COMPLETED


async def test_a_server_that_stops_lets_go_of_a_turn_when_all_that_happened_is_written(
    stage: Stage, tenant: Tenant, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(*arguments: Any, **options: Any) -> Any:
        await gate.wait()
        return await commit(*arguments, **options)

    gate, leases = asyncio.Event(), Leases(database, owner="other", seconds=30)
    gate.set()
    async with stage.open_with(SLOW, lease_seconds=LEASE_SECONDS) as platform, asyncio.timeout(PATIENCE_SECONDS):
        turn = await platform.turns.start(tenant.principal, asking("go"))
        running = platform.turns.running[turn.id]
        commit = platform.journal._commit
        monkeypatch.setattr(platform.journal, "_commit", slow)
        gate.clear()
        other = asyncio.create_task(platform.turns.start(tenant.principal, asking("go")))
        while not platform.journal._writing:
            await asyncio.sleep(0.01)
        last = running.record(TextDelta(item=0, text="the last thing that happened"))
        stopping = asyncio.create_task(platform.turns.stop())
        await running.ended()
        await asyncio.sleep(0.3)
        assert await leases.take_orphans(limit=9) == []
        gate.set()
        await stopping
        await last
        assert turn.id in {orphan.turn.id for orphan in await leases.take_orphans(limit=9)}
        await asyncio.wait([other])


async def test_a_server_that_stops_lets_go_of_what_it_took_from_the_queue_and_did_not_begin(
    stage: Stage, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stuck(*_: object) -> Never:
        taken.set()
        return await asyncio.Future()

    taken = asyncio.Event()
    async with stage.open_with(HELLO, lease_seconds=LEASE_SECONDS) as platform, asyncio.timeout(PATIENCE_SECONDS):
        with monkeypatch.context() as patched:
            patched.setattr(TurnStore, "input", stuck)
            asked = [await platform.turns.start(tenant.principal, asking("go", queue=Queue.BACKGROUND)) for _ in range(3)]
            await taken.wait()
    async with stage.open_with(HELLO) as heir, asyncio.timeout(10):
        for turn in asked:
            assert (await heir.turns.wait(tenant.principal, turn.id)).status is TurnStatus.COMPLETED


async def test_a_server_that_stops_waits_for_unstored_turns_whose_reader_has_left(
    stage: Stage, tenant: Tenant, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(connection: Connection) -> None:
        await gate.wait()
        await cancel(connection)

    gate, cancel = asyncio.Event(), Connection.cancel
    async with stage.open_with(code("while True: pass")) as platform, asyncio.timeout(PATIENCE_SECONDS):
        turn = await platform.turns.start(tenant.principal, asking("go", builtins=("code_interpreter",), store=False))
        async with aclosing(platform.turns.follow(tenant.principal, turn.id)) as events:
            async for recorded in events:
                if isinstance(recorded.event, ToolDispatched):
                    await asyncio.sleep(0.5)  # the guest runs
                    monkeypatch.setattr(Connection, "cancel", slow)
                    break
        stopping = asyncio.create_task(platform.turns.stop())
        await asyncio.sleep(0.5)
        assert not stopping.done()
        gate.set()
        await stopping
        assert platform.turns.running == {}
        assert await _status_when_ended(database, turn.id) == TurnStatus.CANCELLED


async def _expire(database: Database, turn_id: str) -> None:
    """As if its process had died a while ago."""
    async with database.everyone() as connection:
        expire = sa.text("UPDATE turns SET lease_owner = 'gone', lease_expires_at = now() - interval '1 minute' WHERE id = :id")
        await connection.execute(expire, {"id": turn_id})


async def test_an_unstored_turn_whose_process_died_is_ended_too(stage: Stage, tenant: Tenant, database: Database) -> None:
    dead = stage.open_with(code("while True: pass"), lease_seconds=LEASE_SECONDS)
    async with dead as dying, asyncio.timeout(PATIENCE_SECONDS):
        turn = await dying.turns.start(tenant.principal, asking("go", builtins=("code_interpreter",), store=False))
        async with aclosing(dying.turns.follow(tenant.principal, turn.id)) as events:
            async for recorded in events:
                if isinstance(recorded.event, ToolDispatched):
                    await dying.turns.running[turn.id].durable()
                    await _expire(database, turn.id)
                    async with stage.open_with(HELLO):
                        status = await _status_when_ended(database, turn.id)
                    break
    assert status == TurnStatus.FAILED


async def _status_when_ended(database: Database, turn_id: str) -> str:
    while True:
        async with database.everyone() as connection:
            status: str = (await connection.execute(sa.select(turns.c.status).where(turns.c.id == turn_id))).scalar_one()
        if status != TurnStatus.RUNNING:
            return status
        await asyncio.sleep(0.05)


async def test_an_orphan_whose_journal_cannot_be_read_does_not_keep_the_others_from_being_ended(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    async with stage.open_with(SLOW, lease_seconds=LEASE_SECONDS) as dying, asyncio.timeout(PATIENCE_SECONDS):
        unreadable, other = [await dying.turns.start(tenant.principal, asking("go")) for _ in range(2)]
        async with database.everyone() as connection:
            newer = sa.insert(turn_events).values(
                turn_id=unreadable.id,
                seq=1_000,
                organization_id=tenant.principal.organization_id,
                payload='{"kind": "of a newer version"}',
            )
            await connection.execute(newer)
            given_up = sa.update(turns).where(turns.c.id == unreadable.id).values(lease_epoch=adoption.MOST_EPOCHS)
            await connection.execute(given_up)
        for turn in (unreadable, other):
            await _expire(database, turn.id)
        async with stage.open_with(HELLO):
            statuses = [await _status_when_ended(database, turn.id) for turn in (unreadable, other)]
    assert statuses == [TurnStatus.FAILED, TurnStatus.COMPLETED]


async def test_a_second_turn_is_refused_before_its_model_is_asked(stage: Stage, tenant: Tenant) -> None:
    """Else it would be asked without what the first one is about to say."""
    slow = SLOW | {"times": 1}
    async with stage.open_with(slow, HELLO) as platform:
        conversation = await platform.conversations.create(tenant.principal.organization_id, metadata={}, items=[])
        request = asking("a", conversation_id=conversation.id)
        first = await platform.turns.start(tenant.principal, request)
        seen = set(platform.turns.running)
        second = asyncio.create_task(platform.turns.start(tenant.principal, replace(request, input=asking("b").input)))
        while not second.done():
            seen |= set(platform.turns.running)
            await asyncio.sleep(0)
        with pytest.raises(Conflict, match="has a turn running"):
            await second
        assert seen == {first.id}
        await platform.turns.cancel(tenant.principal, first.id)


async def test_of_many_turns_begun_at_once_in_one_conversation_one_runs_and_leaves_no_trace_of_the_others(
    stage: Stage, tenant: Tenant
) -> None:
    async with stage.open_with(SLOW) as here, stage.open_with(SLOW) as there:
        conversation = await here.conversations.create(tenant.principal.organization_id, metadata={}, items=[])
        starting = [
            platform.turns.start(tenant.principal, asking(str(n), conversation_id=conversation.id))
            for n in range(10)
            for platform in (here, there)
        ]
        outcomes = await asyncio.gather(*starting, return_exceptions=True)
        accepted = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
        assert [type(outcome) for outcome in outcomes if isinstance(outcome, BaseException)] == [Conflict] * 19
        page = await here.conversations.list_items(
            tenant.principal.organization_id, conversation.id, after=None, limit=100, descending=False
        )
        assert len(page.rows) == 1
        assert (await here.turns.cancel(tenant.principal, accepted[0].id)).status is TurnStatus.CANCELLED


async def test_a_revoked_key_stops_its_unstored_turn(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(SLOW, lease_seconds=1) as platform, asyncio.timeout(PATIENCE_SECONDS):
        turn = await platform.turns.start(tenant.principal, asking("go", store=False))
        async with aclosing(platform.turns.follow(tenant.principal, turn.id)) as events:
            seen = []
            async for recorded in events:
                seen.append(recorded)
                if isinstance(recorded.event, TextDelta) and len(seen) == 2:
                    await platform.keys.revoke(tenant.principal, tenant.principal.key_id)
    assert (end(seen).status, end(seen).reason) == (TurnStatus.FAILED, "key_revoked")
    assert len(text(seen)) < 400


async def test_what_a_turn_keeps_after_its_conversation_was_deleted_goes_with_the_turn(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    who = tenant.principal.organization_id
    async with stage.open_with(SLOW) as platform:
        conversation = await platform.conversations.create(who, metadata={}, items=[])
        turn = await platform.turns.start(tenant.principal, asking("go", conversation_id=conversation.id))
        await platform.conversations.delete(tenant.principal, conversation.id)
        await platform.turns.cancel(tenant.principal, turn.id)
        await platform.turns.delete(tenant.principal, turn.id)
    async with database.everyone() as connection:
        for table, column in (("items", "turn_id"), ("turn_events", "turn_id")):
            count = sa.text(f"SELECT count(*) FROM {table} WHERE {column} = :id")
            assert (await connection.execute(count, {"id": turn.id})).scalar_one() == 0


async def test_deleting_a_response_leaves_its_items_in_their_conversation(stage: Stage, tenant: Tenant) -> None:
    who = tenant.principal.organization_id
    async with stage.open_with(HELLO) as platform:
        conversation = await platform.conversations.create(who, metadata={}, items=[])
        turn = await platform.turns.start(tenant.principal, asking("go", conversation_id=conversation.id))
        await platform.turns.wait(tenant.principal, turn.id)
        await platform.turns.delete(tenant.principal, turn.id)
        page = await platform.conversations.list_items(who, conversation.id, after=None, limit=9, descending=False)
        assert len(page.rows) == 2


async def test_an_unstored_turn_that_was_read_is_kept_no_longer(stage: Stage, tenant: Tenant) -> None:
    """A busy server would else hold half a minute of everybody's answers."""
    async with stage.open_with(HELLO) as platform:
        turn = await platform.turns.start(tenant.principal, asking("go", store=False))
        feed = weakref.ref(platform.turns.running[turn.id].feed)
        assert text(await read(platform, tenant, turn.id)) == "Hello there"
        async with asyncio.timeout(PATIENCE_SECONDS):  # its row is written behind its answer
            while feed() is not None:
                await asyncio.sleep(0.05)
                gc.collect()
