"""A turn is accepted in a conversation as it has seen it, and not where something was said since."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from core.errors import Conflict
from core.events import TurnEnded, TurnStarted, TurnStatus
from core.messages import Item
from core.storage.conversations import ConversationStore
from core.storage.database import Database
from core.storage.journal import Entry, Journal
from core.storage.tables import turns
from tests.integration.conftest import Stage, Tenant
from tests.integration.test_idempotency import ECHO, RESPONSES, client, count
from tests.integration.test_journal import a_turn, acceptance, journal, says

__all__ = ["journal"]  # the fixture
CONVERSATIONS = "/v1/conversations"
PATIENCE_SECONDS = 60


def meanwhile(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], Awaitable[None]]) -> None:
    """Right after the next turn has read its conversation."""
    read, coming = ConversationStore.last_items, [happens]

    async def held(self: ConversationStore, *arguments: Any, **named: Any) -> Any:
        found = await read(self, *arguments, **named)
        while coming:
            await coming.pop()()
        return found

    monkeypatch.setattr(ConversationStore, "last_items", held)


async def say(http: httpx.AsyncClient, where: str, text: str, **more: Any) -> httpx.Response:
    return await http.post(RESPONSES, json={"input": text, "conversation": where, **more})


async def a_conversation(http: httpx.AsyncClient, *texts: str) -> str:
    made: str = (await http.post(CONVERSATIONS, json={})).json()["id"]
    for text in texts:
        assert (await say(http, made, text)).status_code == 200
    return made


async def said(http: httpx.AsyncClient, where: str) -> list[str]:
    found = (await http.get(f"{CONVERSATIONS}/{where}/items?order=asc&limit=100")).json()["data"]
    return [item["content"][0]["text"] for item in found if item["role"] == "user"]


@pytest.mark.parametrize("before", [[], ["one"]], ids=["empty", "begun"])
async def test_a_turn_that_has_not_seen_the_last_one_is_refused_and_sees_it_when_it_is_sent_again(
    stage: Stage, tenant: Tenant, database: Database, monkeypatch: pytest.MonkeyPatch, before: list[str]
) -> None:
    async with stage.open_with(ECHO) as platform, client(platform, tenant) as http:
        where = await a_conversation(http, *before)

        async def quicker() -> None:
            assert (await say(http, where, "quicker")).status_code == 200

        meanwhile(monkeypatch, quicker)
        refused = await say(http, where, "slower")
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "conversation_locked")
        assert await said(http, where) == [*before, "quicker"]
        assert (await say(http, where, "slower")).status_code == 200
        assert await said(http, where) == [*before, "quicker", "slower"]
        assert await count(database, turns, tenant) == len(before) + 2


async def test_an_item_that_was_added_meanwhile_counts_and_one_that_is_seen_does_not(
    stage: Stage, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = {"items": [{"type": "message", "role": "user", "content": "added"}]}
    async with stage.open_with(ECHO) as platform, client(platform, tenant) as http:
        where = await a_conversation(http)

        async def add() -> None:
            assert (await http.post(f"{CONVERSATIONS}/{where}/items", json=added)).status_code == 200

        meanwhile(monkeypatch, add)
        assert (await say(http, where, "mine")).status_code == 409
        assert (await say(http, where, "mine")).status_code == 200
        await add()
        assert (await say(http, where, "more")).status_code == 200
        assert await said(http, where) == ["added", "mine", "added", "more"]


async def test_a_turn_goes_on_where_its_conversation_ends_in_what_was_deleted_or_is_shared(
    stage: Stage, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage.open_with(ECHO) as platform, client(platform, tenant) as http:
        parent = await a_conversation(http, "one", "two")
        child = (await http.post(f"{CONVERSATIONS}/{parent}/fork", json={})).json()["id"]

        async def the_parent_goes_on() -> None:
            assert (await say(http, parent, "of the parent")).status_code == 200

        meanwhile(monkeypatch, the_parent_goes_on)
        assert (await say(http, child, "of the child")).status_code == 200
        last = (await http.get(f"{CONVERSATIONS}/{child}/items?order=desc&limit=1")).json()["data"][0]["id"]
        assert (await http.delete(f"{CONVERSATIONS}/{child}/items/{last}")).status_code == 200
        assert (await say(http, child, "more")).status_code == 200
        assert await said(http, child) == ["one", "two", "of the child", "more"]


async def test_a_turn_in_the_background_sees_what_was_said_until_it_begins(
    stage: Stage, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage.open_with(ECHO) as platform, client(platform, tenant) as http:
        where = await a_conversation(http)

        async def quicker() -> None:
            assert (await say(http, where, "quicker")).status_code == 200

        meanwhile(monkeypatch, quicker)
        answer = await say(http, where, "later", background=True)
        assert answer.status_code == 200
        async with asyncio.timeout(PATIENCE_SECONDS):
            turn = await platform.turns.wait(tenant.principal, answer.json()["id"])
        assert turn.status is TurnStatus.COMPLETED
        assert await said(http, where) == ["quicker", "later"]


async def test_of_two_that_are_written_together_one_is_accepted_though_it_ends_at_once(
    journal: Journal, database: Database, tenant: Tenant
) -> None:
    store, who = ConversationStore(database), tenant.principal.organization_id
    seen: list[Item] = [says("seen")]
    conversation = await store.create(who, metadata={}, items=seen)
    both = [
        journal.open_turn(
            replace(acceptance(a_turn(tenant, conversation_id=conversation.id)), seen=seen[-1].id), publish=lambda _: None
        )
        for _ in range(2)
    ]
    for writer in both:
        writer.record(Entry(event=TurnStarted()))
    ends = [writer.record(Entry(event=TurnEnded(status=TurnStatus.COMPLETED))) for writer in both]
    first, second = await asyncio.gather(*ends, return_exceptions=True)
    assert (first, type(second)) == (None, Conflict)
