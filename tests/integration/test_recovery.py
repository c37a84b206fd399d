"""A turn goes on from any event at which its process may have died, and no tool with an effect runs twice."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa

from core.bootstrap import Platform
from core.conversations import adoption
from core.conversations.running import StopReason
from core.events import Recorded, Replied, ReplyCut, TextDelta, ToolDispatched, TurnStatus
from core.ids import new_id
from core.limits.metering import MeteredModel
from core.llm.contract import Chunk, ModelRequest
from core.messages import MessageItem, Text
from core.storage.connection import DatabaseUnavailable
from core.storage.database import Database
from core.storage.embedded.postgres import EmbeddedPostgres
from core.storage.leases import Leases, Orphan
from core.storage.records import Turn
from core.storage.turns import TurnStore
from core.tools.catalog import Selection
from core.tools.definition import Manifest
from core.tools.permissions import Permissions
from core.tools.registry import Conditions
from core.tools.telling import UNKNOWN
from tests.integration.conftest import Stage, Tenant
from tests.integration.test_journal_in_trouble import full_disk
from tests.integration.test_turns import asking, end, items, read, results, text

PATIENCE_SECONDS = 30


def calls(name: str, n: int) -> dict[str, Any]:
    call = {"name": name, "arguments": {"n": n}}
    return {"when": {"tool_results": n}, "reply": [{"text": f"call {n}"}, {"tool_calls": [call]}]}


STORY = (calls("pay", 0), calls("look", 1), {"when": {"tool_results": 2}, "reply": {"text": "All is done."}})


async def add_tool(platform: Platform, tenant: Tenant, name: str, effect: str) -> None:
    manifest = {
        "name": name,
        "description": "Does it",
        "parameters": {"type": "object", "properties": {"n": {"type": "integer"}}},
        "runtime": {"kind": "python", "code": "def main(n):\n    return {'did': n}\n"},
        "effect": effect,
    }
    everybody = Conditions(permissions=Permissions(organization=True), quotas=(), enabled=True)
    await platform.tools.create(tenant.principal, Manifest.model_validate(manifest), everybody)


@dataclass(frozen=True)
class Control:
    """An unhurt turn, to be cut anywhere."""

    turn: Turn
    events: Sequence[Recorded]


async def control(platform: Platform, tenant: Tenant) -> Control:
    await add_tool(platform, tenant, "pay", "effectful")
    await add_tool(platform, tenant, "look", "pure")
    turn = await platform.turns.start(tenant.principal, asking("go", registry=Selection()))
    await platform.turns.wait(tenant.principal, turn.id)
    return Control(turn, await platform.turns.events(tenant.principal, turn.id))


async def cut(database: Database, whole: Control, after: int, *, epoch: int = 1, age: str = "1 second", away: str = "0") -> str:
    """A copy of the turn as its process left it when it died, with this event as its last. age: of its first event. away: since
    its lease has run out.
    """
    copy = new_id("resp")
    names = {"old": whole.turn.id, "new": copy, "last": after, "epoch": epoch, "age": age, "away": away}
    names |= {"old_items": whole.turn.id.removeprefix("resp_"), "new_items": copy.removeprefix("resp_")}
    async with database.everyone() as connection:
        columns = "organization_id, user_id, key_id, model, stored, wire, request, metadata, created_at"
        statements = (
            f"INSERT INTO turns (id, {columns}, status, lease_owner, lease_epoch, lease_expires_at)"
            f" SELECT :new, {columns}, 'running', 'gone', :epoch, now() - CAST(:away AS text)::interval FROM turns"
            " WHERE id = :old",
            "INSERT INTO turn_events (turn_id, seq, organization_id, payload, created_at)"
            " SELECT :new, seq, organization_id, replace(payload, :old_items, :new_items), now() - CAST(:age AS text)::interval"
            " FROM turn_events WHERE turn_id = :old AND seq <= :last",
            "INSERT INTO items (id, turn_id, organization_id, is_input, payload)"
            " SELECT id || :new, :new, organization_id, is_input, payload FROM items WHERE turn_id = :old AND is_input",
        )
        for statement in statements:
            await connection.execute(sa.text(statement), names)
    return copy


async def test_a_turn_goes_on_from_any_of_its_events_and_pays_once(stage: Stage, tenant: Tenant, database: Database) -> None:
    async with stage.open_with(*STORY, lease_seconds=1) as platform, asyncio.timeout(PATIENCE_SECONDS):
        whole = await control(platform, tenant)
        assert text(whole.events).endswith("All is done.")
        copies = [await cut(database, whole, last) for last in range(1, len(whole.events))]
        for last, copy in enumerate(copies, start=1):
            turn = await platform.turns.wait(tenant.principal, copy)
            events = await platform.turns.events(tenant.principal, copy)
            told = [repr(recorded.event).replace(copy[5:], whole.turn.id[5:]) for recorded in events[:last]]
            assert told == [repr(recorded.event) for recorded in whole.events[:last]], "nothing that was told is taken back"
            assert turn.status is TurnStatus.COMPLETED, f"cut after {whole.events[last - 1]}: {turn}"
            assert text(events).endswith("All is done.")
            dispatched = [r.event.item for r in events if isinstance(r.event, ToolDispatched) and r.event.tool == "pay"]
            assert len(dispatched) == 1, f"cut after {whole.events[last - 1]}"
            in_flight = (
                isinstance(whole.events[last - 1].event, ToolDispatched) and dispatched[0] == whole.events[last - 1].event.item
            )
            assert ((True, UNKNOWN) in results(events)) == in_flight
            assert sum(isinstance(r.event, ReplyCut) for r in events) <= 1


async def test_a_turn_that_no_process_survives_is_given_to_no_other(stage: Stage, tenant: Tenant, database: Database) -> None:
    async with stage.open_with(*STORY, lease_seconds=1) as platform, asyncio.timeout(PATIENCE_SECONDS):
        whole = await control(platform, tenant)
        copy = await cut(database, whole, 2, epoch=adoption.MOST_EPOCHS)
        turn = await platform.turns.wait(tenant.principal, copy)
        assert (turn.status, turn.reason) == (TurnStatus.FAILED, "server_lost")


async def test_a_turn_that_could_not_be_read_for_a_while_is_none_that_no_process_survives(
    stage: Stage, tenant: Tenant, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> Sequence[Recorded]:
        tried.append(None)
        raise DatabaseUnavailable("PostgreSQL does not answer")

    tried: list[None] = []
    async with stage.open_with(*STORY, lease_seconds=1) as platform, asyncio.timeout(2 * PATIENCE_SECONDS):
        whole = await control(platform, tenant)
        with monkeypatch.context() as patched:
            patched.setattr(TurnStore, "events", away)
            copy = await cut(database, whole, 2, epoch=adoption.MOST_EPOCHS - 1)
            while len(tried) < 3:
                await asyncio.sleep(0.05)
        assert (await platform.turns.wait(tenant.principal, copy)).status is TurnStatus.COMPLETED


@pytest.mark.parametrize("amid_reply", [True, False])
async def test_a_turn_that_could_not_be_written_for_a_while_is_none_that_no_process_survives(
    stage: Stage,
    tenant: Tenant,
    database: Database,
    postgres: EmbeddedPostgres,
    monkeypatch: pytest.MonkeyPatch,
    amid_reply: bool,
) -> None:
    """And where something is to be told before its model is asked, as that a reply was cut off, no model is."""

    async def taking(self: adoption.Adoption, orphan: Orphan) -> None:
        taken.append(orphan.turn.id)
        await take(self, orphan)

    async def asking_a_model(self: MeteredModel, request: ModelRequest) -> AsyncGenerator[Chunk, None]:
        asked.append(None)
        async for chunk in stream(self, request):
            yield chunk

    taken, asked = list[str](), list[None]()
    take, stream = adoption.Adoption.take, MeteredModel.stream
    async with stage.open_with(*STORY, lease_seconds=1) as platform, asyncio.timeout(PATIENCE_SECONDS):
        whole = await control(platform, tenant)
        monkeypatch.setattr(adoption.Adoption, "take", taking)
        monkeypatch.setattr(MeteredModel, "stream", asking_a_model)
        said = next(recorded.seq for recorded in whole.events if isinstance(recorded.event, TextDelta))
        last = said if amid_reply else said - 1
        copy = await cut(database, whole, last, epoch=adoption.MOST_EPOCHS - 1, away="-1 second")
        async with full_disk(postgres, "turn_events", tenant.principal.organization_id):
            while len(taken) < 2:
                await asyncio.sleep(0.05)
            assert not (asked and amid_reply)
        assert (await platform.turns.wait(tenant.principal, copy)).status is TurnStatus.COMPLETED


async def test_a_turn_that_only_a_newer_release_understands_is_left_to_it_and_keeps_up_no_other(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    ours, newer = '"effect":"effectful"', '"effect":"reversible"'

    async def rewrite(copy: str, old: str, new: str) -> None:
        async with database.everyone() as connection:
            change = "UPDATE turn_events SET payload = replace(payload, :old, :new) WHERE turn_id = :id"
            await connection.execute(sa.text(change), {"id": copy, "old": old, "new": new})

    async with stage.open_with(*STORY, lease_seconds=1) as platform, asyncio.timeout(PATIENCE_SECONDS):
        whole = await control(platform, tenant)
        at = next(recorded.seq for recorded in whole.events if isinstance(recorded.event, ToolDispatched))
        copy = await cut(database, whole, at, away="-1 second")
        await rewrite(copy, ours, newer)
        async with database.everyone() as connection:
            epoch = sa.text("SELECT lease_epoch FROM turns WHERE id = :id")
            while await connection.scalar(epoch, {"id": copy}) == 1:
                await asyncio.sleep(0.05)
        other = await cut(database, whole, at)
        assert (await platform.turns.wait(tenant.principal, other)).status is TurnStatus.COMPLETED
        await rewrite(copy, newer, ours)  # as if to a server that understands it
        assert (await platform.turns.wait(tenant.principal, copy)).status is TurnStatus.COMPLETED


async def test_a_turn_that_is_stopped_before_its_next_step_has_taken_what_was_told(
    stage: Stage, tenant: Tenant, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(*arguments: Any, **options: Any) -> Any:
        await gate.wait()
        return await commit(*arguments, **options)

    gate = asyncio.Event()
    async with stage.open_with(*STORY, lease_seconds=1) as platform, asyncio.timeout(PATIENCE_SECONDS):
        whole = await control(platform, tenant)
        commit = platform.journal._commit
        monkeypatch.setattr(platform.journal, "_commit", slow)
        at = next(recorded.seq for recorded in whole.events if isinstance(recorded.event, ToolDispatched))
        copy = await cut(database, whole, at)
        while not platform.journal._writing:
            await asyncio.sleep(0.01)
        running = platform.turns.running[copy]
        running.stop(StopReason.CANCELLED)
        gate.set()
        [usage, *_] = [recorded.event.usage for recorded in whole.events if isinstance(recorded.event, Replied)]
        assert (await running.ended()).usage == usage


async def test_a_server_that_was_slow_does_not_end_a_turn_that_another_one_has_put_back(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    slow = {"pace_seconds": 0.05, "piece_characters": 1, "reply": {"text": "slow " * 400}}
    async with stage.open_with(slow, lease_seconds=300) as first, asyncio.timeout(PATIENCE_SECONDS):
        turn = await first.turns.start(tenant.principal, asking("go"))
        running = first.turns.running[turn.id]
        other = Leases(database, owner="other", seconds=300)
        async with database.everyone() as connection:
            run_out = sa.text("UPDATE turns SET lease_expires_at = '-infinity' WHERE id = :id")
            await connection.execute(run_out, {"id": turn.id})
        [orphan] = [orphan for orphan in await other.take_orphans(limit=9) if orphan.turn.id == turn.id]
        await other.put_back(orphan)
        running.stop(StopReason.LEASE_LOST)  # as its next renewal tells it
        await running.ended()
        assert (await TurnStore(database).any(turn.organization_id, turn.id)).status is TurnStatus.RUNNING


async def test_the_time_limit_of_a_turn_counts_from_its_first_event_in_whichever_process(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    async with stage.open_with(*STORY, lease_seconds=1) as platform, asyncio.timeout(PATIENCE_SECONDS):
        whole = await control(platform, tenant)
        copy = await cut(database, whole, 2, age="1 hour")
        events = await read(platform, tenant, copy)
        assert (end(events).status, end(events).reason) == (TurnStatus.INCOMPLETE, "time_limit")


async def test_the_time_in_which_no_server_was_there_is_none_of_the_turns_own(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    async with stage.open_with(*STORY, lease_seconds=1) as platform, asyncio.timeout(PATIENCE_SECONDS):
        whole = await control(platform, tenant)
        copy = await cut(database, whole, 2, age="1 hour", away="58 minutes")
        assert (await platform.turns.wait(tenant.principal, copy)).status is TurnStatus.COMPLETED


@pytest.mark.parametrize(("held", "seconds"), [("now() - interval '58 minutes'", 120), ("'-infinity'", 0)])
async def test_of_a_turn_that_was_taken_over_twice_neither_gap_counts(
    stage: Stage, tenant: Tenant, database: Database, held: str, seconds: float
) -> None:
    async with stage.open_with(*STORY) as platform, asyncio.timeout(PATIENCE_SECONDS):
        whole = await control(platform, tenant)
    copy = await cut(database, whole, 2, age="1 hour")
    leases, an_hour_later = Leases(database, owner="next", seconds=60), "now() - interval '1 hour'"
    for until, began in ((held, "started_at"), (an_hour_later, "started_at - interval '1 hour'")):
        async with database.everyone() as connection:
            left = f"UPDATE turns SET lease_expires_at = {until}, started_at = {began} WHERE id = :id"
            await connection.execute(sa.text(left), {"id": copy})
        [orphan] = await leases.take_orphans(limit=1)
        assert orphan.turn.id == copy
        assert seconds <= orphan.seconds < seconds + PATIENCE_SECONDS
        await leases.release([copy])
    [released] = await leases.take_orphans(limit=1)
    assert orphan.seconds <= released.seconds < seconds + PATIENCE_SECONDS, "what it had taken until then still counts"


async def test_an_orphan_that_was_cancelled_meanwhile_is_cancelled(stage: Stage, tenant: Tenant, database: Database) -> None:
    *steps, last = STORY
    slow = {**last, "pace_seconds": 1, "piece_characters": 1}  # should it go on before it is cancelled
    async with (
        stage.open_with(*steps, {**last, "times": 1}, slow, lease_seconds=1) as platform,
        asyncio.timeout(PATIENCE_SECONDS),
    ):
        whole = await control(platform, tenant)
        copy = await cut(database, whole, 2)
        assert (await platform.turns.cancel(tenant.principal, copy)).status is TurnStatus.CANCELLED


async def test_a_turn_in_a_conversation_goes_on_with_what_it_knew_and_keeps_its_place_in_it(
    stage: Stage, tenant: Tenant
) -> None:
    slow = {"times": 1, "pace_seconds": 0.05, "piece_characters": 1, "reply": {"text": "slow " * 100}}
    echo = {"reply": {"text": "You said: {last_user_text}"}}
    async with stage.open_with(slow) as platform:
        conversation = await platform.conversations.create(tenant.principal.organization_id, metadata={}, items=[])
        turn = await platform.turns.start(tenant.principal, asking("hello", conversation_id=conversation.id))
    async with stage.open_with(echo, lease_seconds=1) as heir, asyncio.timeout(PATIENCE_SECONDS):
        assert (await heir.turns.wait(tenant.principal, turn.id)).status is TurnStatus.COMPLETED
        last = (await items(heir, tenant, conversation.id))[-1]
        assert isinstance(last, MessageItem)
        assert [part.text for part in last.parts if isinstance(part, Text)] == ["You said: hello"]


async def test_a_turn_whose_conversation_is_gone_ends_with_words(stage: Stage, tenant: Tenant) -> None:
    slow = {"pace_seconds": 0.05, "piece_characters": 1, "reply": {"text": "slow " * 100}}
    async with stage.open_with(slow) as platform:
        conversation = await platform.conversations.create(tenant.principal.organization_id, metadata={}, items=[])
        turn = await platform.turns.start(tenant.principal, asking("hello", conversation_id=conversation.id))
        await platform.conversations.delete(tenant.principal, conversation.id)
    async with stage.open_with(slow, lease_seconds=1) as heir, asyncio.timeout(PATIENCE_SECONDS):
        ended = await heir.turns.wait(tenant.principal, turn.id)
    assert (ended.status, ended.reason) == (TurnStatus.FAILED, "conversation_not_found")
