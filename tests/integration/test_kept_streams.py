"""Streams that the operator keeps no longer: whoever resumes one is told so, and the answer is what it was."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from api.wire.responses_stream import ResponsesEncoder
from core.conversations.retention import StreamRetention, pieces
from core.conversations.story import Story
from core.errors import Conflict, NotFound
from core.events import (
    CallDelta,
    CallStarted,
    NestedDispatched,
    NestedReturned,
    ReasoningDelta,
    Recorded,
    Replied,
    TextDelta,
    TurnEvent,
    TurnStarted,
)
from core.messages import ToolCallItem, ToolResult
from core.storage import audit
from core.storage.audit import AuditRecord
from core.storage.conversations import ConversationStore
from core.storage.database import Database
from core.storage.journal import Entry, Journal
from core.storage.streams import StreamStore
from core.storage.tables import items, turn_events, turns
from core.storage.turns import TurnStore
from tests.integration.conftest import Stage, Tenant
from tests.integration.test_background import PATIENCE_SECONDS, client
from tests.integration.test_forks import left
from tests.integration.test_journal import a_turn, journal, opened, says
from tests.integration.test_observability import serving
from tests.unit.wire_stories import STORIES, recorded, turn

__all__ = ["journal"]  # the fixture
CODE = {
    "reply": [{"text": "Let me see. "}, {"tool_calls": [{"name": "code_interpreter", "arguments": {"code": "print(6*7)"}}]}]
}
ANSWER = {"when": {"after_tool": True}, "reply": {"text": "It is forty-two, as ever."}, "piece_characters": 3}
ASKED = {"input": "six times seven", "tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}
INCLUDE = {"include": "code_interpreter_call.outputs"}


async def age(database: Database, turn_id: str, days: float) -> None:
    async with database.everyone() as connection:
        ended = sa.func.now() - sa.func.make_interval(0, 0, 0, days)
        await connection.execute(sa.update(turns).where(turns.c.id == turn_id).values(ended_at=ended))


async def remove(database: Database, *, days: float) -> None:
    await StreamRetention(StreamStore(database), TurnStore(database), days=days).run()


async def numbers(database: Database, turn_id: str) -> Sequence[int]:
    async with database.everyone() as connection:
        query = sa.select(turn_events.c.seq).where(turn_events.c.turn_id == turn_id).order_by(turn_events.c.seq)
        return (await connection.execute(query)).scalars().all()


async def error_of(http: httpx.AsyncClient, address: str, **sent: Any) -> tuple[int, str]:
    answer = await http.get(address, **sent)
    return answer.status_code, answer.json()["error"]["code"]


async def test_an_old_stream_is_gone_and_its_response_is_what_it_was(stage: Stage, tenant: Tenant, database: Database) -> None:
    async with stage.open_with(ANSWER, CODE) as platform, client(platform, tenant) as http:
        old, young = [(await http.post("/v1/responses", json=ASKED)).json()["id"] for _ in range(2)]
        address = f"/v1/responses/{old}"
        before = [await http.get(address, params=INCLUDE), await http.get(f"{address}/input_items")]
        events = await numbers(database, old)
        await age(database, old, days=31)
        await age(database, young, days=29)
        await remove(database, days=30)
        assert len(await numbers(database, old)) < len(events)
        assert [await http.get(address, params=INCLUDE), await http.get(f"{address}/input_items")] == _same(before)
        for params in ({"stream": "true"}, {"stream": "true", "starting_after": "3"}):
            assert await error_of(http, address, params=params) == (410, "stream_removed")
        resumed = {"params": {"stream": "true"}, "headers": {"last-event-id": "3"}}
        assert await error_of(http, address, **resumed) == (410, "stream_removed")
        whole = await http.get(f"/v1/responses/{young}", params={"stream": "true"})
        assert whole.text.count("response.completed") == 2  # the event's name, and its type
        again = {"input": "and twice that?", "previous_response_id": old}
        assert (await http.post("/v1/responses", json=again)).json()["status"] == "completed"
        await platform.replay.run(tenant.principal, old)


async def test_a_server_whose_operator_says_for_how_long_removes_them_by_itself(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    async with stage.open_with(ANSWER, CODE) as platform, client(platform, tenant) as http:
        old = (await http.post("/v1/responses", json=ASKED)).json()["id"]
        await age(database, old, days=8)
        assert (await platform.turns.get(tenant.principal, old)).followable
    async with serving(stage, tenant, retention={"events_days": 7}) as (platform, http), asyncio.timeout(60):
        while (await platform.turns.get(tenant.principal, old)).followable:
            await asyncio.sleep(0.1)
        assert await error_of(http, f"/v1/responses/{old}", params={"stream": "true"}) == (410, "stream_removed")


async def test_a_stream_goes_with_its_conversation_and_not_with_one_that_a_fork_shares(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    async with stage.open_with(ANSWER, CODE) as platform, client(platform, tenant) as http:
        ids = [(await http.post("/v1/conversations", json={})).json()["id"] for _ in range(3)]
        asked = [(await http.post("/v1/responses", json={**ASKED, "conversation": name})).json()["id"] for name in ids]
        before = await http.get(f"/v1/responses/{asked[0]}")
        fork = await http.post(f"/v1/conversations/{ids[1]}/fork", json={})
        for name in ids[:2]:
            assert (await http.delete(f"/v1/conversations/{name}")).status_code == 200
        await StreamRetention(StreamStore(database), TurnStore(database), days=None).run()
        followable = [(await platform.turns.get(tenant.principal, turn_id)).followable for turn_id in asked]
        assert followable == [False, True, True]
        assert await error_of(http, f"/v1/responses/{asked[0]}", params={"stream": "true"}) == (410, "stream_removed")
        assert (await http.get(f"/v1/responses/{asked[0]}")).content == before.content
        await http.delete(f"/v1/conversations/{fork.json()['id']}")
        await StreamRetention(StreamStore(database), TurnStore(database), days=None).run()
        assert not (await platform.turns.get(tenant.principal, asked[1])).followable


async def test_what_a_turn_says_after_its_conversation_was_deleted_goes_though_a_fork_has_its_question(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    slow = {"reply": {"pause_seconds": 4, "text": "a secret"}}
    async with stage.open_with(slow) as platform, client(platform, tenant) as http:
        where = f"/v1/conversations/{(await http.post('/v1/conversations', json={})).json()['id']}"
        asked = {"input": "what is it?", "conversation": where.split("/")[-1], "background": True}
        turn_id = (await http.post("/v1/responses", json=asked)).json()["id"]
        [question] = (await http.get(f"{where}/items")).json()["data"]
        fork = (await http.post(f"{where}/fork", json={"item_id": question["id"]})).json()["id"]
        assert (await http.delete(where)).status_code == 200
        await platform.turns.wait(tenant.principal, turn_id)
        await StreamRetention(StreamStore(database), TurnStore(database), days=None).run()
        async with database.everyone() as connection:
            query = sa.select(items.c.payload).where(items.c.organization_id == tenant.principal.organization_id)
            kept = (await connection.execute(query)).scalars().all()
        assert ["what is it?" in text for text in kept] == [True]
        assert len((await http.get(f"/v1/conversations/{fork}/items")).json()["data"]) == 1


@asynccontextmanager
async def deleting(
    database: Database, tenant: Tenant, where: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator["asyncio.Task[None]"]:
    """Meanwhile the conversation's deletion has done all that it does, and commits at the end."""
    almost, go_on, insert = asyncio.Event(), asyncio.Event(), audit.insert

    async def slowly(connection: AsyncConnection, record: AuditRecord) -> None:
        await insert(connection, record)
        almost.set()
        await go_on.wait()

    with monkeypatch.context() as slow:
        slow.setattr(audit, "insert", slowly)
        task = asyncio.create_task(ConversationStore(database).delete(tenant.principal, where))
        await almost.wait()
    try:
        yield task
    finally:
        go_on.set()
        await task


async def test_a_conversation_takes_nothing_more_while_it_is_deleted_and_what_it_was_forked_from_does(
    journal: Journal, tenant: Tenant, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, who = ConversationStore(database), tenant.principal.organization_id
    source = await store.create(who, metadata={}, items=[says("first")])
    fork = await store.fork(who, source.id, item_id=None, metadata=None)
    async with asyncio.timeout(PATIENCE_SECONDS), deleting(database, tenant, fork.id, monkeypatch):
        adding = asyncio.create_task(store.add_items(who, fork.id, [says("secret")]))
        await asyncio.wait([adding], timeout=0.3)
        with pytest.raises(Conflict):
            await opened(journal, a_turn(tenant, conversation_id=fork.id))[0].record(Entry(event=TurnStarted()))
        await opened(journal, a_turn(tenant, conversation_id=source.id))[0].record(Entry(event=TurnStarted()))
    with pytest.raises(NotFound):
        await adding
    assert await left(database, fork.id) == 0


async def test_what_a_turn_kept_that_ended_while_its_conversation_was_deleted_goes_with_it(
    journal: Journal, tenant: Tenant, database: Database
) -> None:
    store, who = ConversationStore(database), tenant.principal.organization_id
    where = (await store.create(who, metadata={}, items=[])).id
    running = a_turn(tenant, conversation_id=where)
    await opened(journal, running)[0].record(Entry(event=TurnStarted()))
    said = {"id": "msg_" + running.id, "organization_id": who, "conversation_id": where, "turn_id": running.id}
    async with asyncio.timeout(PATIENCE_SECONDS):
        async with database.everyone() as ending:
            end = {"status": "completed", "ended_at": sa.func.now()}
            await ending.execute(sa.update(turns).where(turns.c.id == running.id).values(end))
            await ending.execute(sa.insert(items).values({**said, "is_input": False, "payload": "{}"}))
            deletion = asyncio.create_task(store.delete(tenant.principal, where))
            while not await ending.scalar(sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")):
                await asyncio.sleep(0.01)
        await deletion
    async with database.everyone() as connection:
        due = await connection.scalar(sa.select(turns.c.stream_due_at).where(turns.c.id == running.id))
    assert (await left(database, where), due is None) == (0, False)


class _same(list[httpx.Response]):
    """Answers that are equal when their bodies are."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, list) and [one.content for one in other] == [one.content for one in self]


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions"])
async def test_a_stream_that_was_removed_is_not_replayed_for_its_key_and_the_answer_is(
    stage: Stage, tenant: Tenant, database: Database, path: str
) -> None:
    asked: dict[str, Any] = {"model": "scripted", "store": True}
    asked |= {"input": "hi"} if path == "/v1/responses" else {"messages": [{"role": "user", "content": "hi"}]}
    async with stage.open_with(ANSWER, {"reply": {"text": "hello"}}) as platform, client(platform, tenant) as http:
        for key, stream in (("one", True), ("two", False)):
            sent: dict[str, Any] = {"json": {**asked, "stream": stream}, "headers": {"idempotency-key": key}}
            first = await http.post(path, **sent)
            assert (await http.post(path, **sent)).content == first.content
            async with database.everyone() as connection:
                query = sa.select(turns.c.id).where(turns.c.organization_id == tenant.principal.organization_id)
                turn_id = (await connection.execute(query.order_by(turns.c.id.desc()).limit(1))).scalar_one()
            await age(database, turn_id, days=31)
            await remove(database, days=30)
            again = await http.post(path, **sent)
            if stream:
                assert (again.status_code, again.json()["error"]["code"]) == (410, "stream_removed")
            else:
                assert again.content == first.content


async def test_a_reader_amid_a_removal_is_told_and_gets_no_other_bytes(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    """As it is between its look at the turn's row and its look at the events."""
    async with stage.open_with(ANSWER, CODE) as platform, client(platform, tenant) as http:
        made = (await http.post("/v1/responses", json=ASKED)).json()["id"]
        events = await platform.turns.events(tenant.principal, made)
        async with database.everyone() as connection:
            gone = sa.and_(turn_events.c.turn_id == made, turn_events.c.seq.in_(pieces(events)))
            await connection.execute(sa.delete(turn_events).where(gone))
        answer = await http.get(f"/v1/responses/{made}", params={"stream": "true"})
        assert "stream_removed" in answer.text
        assert "response.completed" not in answer.text


async def test_a_turn_that_cannot_be_read_stops_no_other(stage: Stage, tenant: Tenant, database: Database) -> None:
    async with stage.open_with(ANSWER, CODE) as platform, client(platform, tenant) as http:
        unread, other = [(await http.post("/v1/responses", json=ASKED)).json()["id"] for _ in range(2)]
        async with database.everyone() as connection:
            from_tomorrow = {"payload": '{"kind":"from another version"}'}
            await connection.execute(sa.update(turn_events).where(turn_events.c.turn_id == unread).values(**from_tomorrow))
        events = await numbers(database, unread), await numbers(database, other)
        await age(database, unread, days=60)
        await age(database, other, days=40)
        await remove(database, days=30)
        assert await numbers(database, unread) == events[0]
        assert len(await numbers(database, other)) < len(events[1])


@pytest.mark.parametrize("name", STORIES)
def test_what_is_left_of_a_story_has_the_same_end(name: str) -> None:
    whole = _with_true_names(recorded(STORIES[name]))
    removed = pieces(whole)
    left = [event for event in whole if event.seq not in removed]
    assert _told(left) == _told(whole)


def test_what_code_was_given_by_the_tools_that_it_called_is_removed() -> None:
    result = ToolResult(call_id="call_1/0", content="what nobody else has seen")
    nested = [
        NestedDispatched(
            item=0, path=(0,), call_id="call_1/0", tool="step", version_digest="d", effect="pure", arguments_digest="a"
        ),
        NestedReturned(item=0, path=(0,), result=result, seconds=0.1),
    ]
    assert pieces([Recorded(n, event) for n, event in enumerate(nested, start=7)]) == [7, 8]


def test_what_was_streamed_of_a_reply_that_is_whole_is_removed() -> None:
    left = [
        event for event in recorded(STORIES["two_functions"]) if event.seq not in pieces(recorded(STORIES["two_functions"]))
    ]
    kinds: tuple[type[TurnEvent], ...] = (TextDelta, ReasoningDelta, CallStarted, CallDelta)
    assert not any(isinstance(event.event, kinds) for event in left)
    assert {TurnStarted, Replied} <= {type(event.event) for event in left}


def _with_true_names(events: Sequence[Recorded]) -> list[Recorded]:
    """As a model streams its calls: under the names that the whole reply has."""
    replies = [event.event for event in events if isinstance(event.event, Replied)]
    items = {n: item for reply in replies for n, item in enumerate(reply.items, reply.first_item)}
    true = []
    for seq, event in ((event.seq, event.event) for event in events):
        if isinstance(event, CallStarted) and isinstance(item := items.get(event.item), ToolCallItem):
            event = replace(event, name=item.call.name)
        true.append(Recorded(seq, event))
    return true


def _told(events: Sequence[Recorded]) -> tuple[Any, ...]:
    encoder = ResponsesEncoder(turn(), outputs=True, silent=True)
    for event in events:
        encoder.feed(event)
    return encoder.response(), encoder.report.body(), Story.of(turn().id, events).items
