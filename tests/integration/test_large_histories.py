"""Conversations and chains of turns whose items are few and large: what is read of them at once is bounded in bytes."""

from collections.abc import AsyncIterator, Sequence

import pytest
import sqlalchemy as sa

from core.conversations.history import History
from core.errors import InvalidRequest
from core.ids import new_id
from core.messages import ITEM, Item, MessageItem, Role, Text
from core.storage.conversations import PAGE_BYTES, ConversationStore
from core.storage.database import Database
from core.storage.records import Page
from core.storage.tables import items
from core.storage.turns import TurnStore
from tests.doubles.models import StepModel
from tests.integration.conftest import Stage, Tenant
from tests.integration.test_tool_registry import client_of
from tests.integration.test_turns import asking

BUDGET = 1_000_000
SMALL, LARGE, HUGE = 1_000, 300_000, 1_500_000
"""Of LARGE ones three are in the budget; a HUGE one is more than it by itself."""


def said(characters: int) -> MessageItem:
    return MessageItem(id=new_id("msg"), role=Role.USER, parts=(Text(text="x" * characters),))


def size(found: Sequence[Item]) -> int:
    return sum(len(ITEM.dump_json(item)) for item in found)


async def filled(store: ConversationStore, tenant: Tenant, *sizes: int) -> tuple[str, list[str]]:
    """The conversation, and the ids of its items."""
    who = tenant.principal.organization_id
    conversation = await store.create(who, metadata={}, items=[])
    new = [said(characters) for characters in sizes]
    for item in new:
        await store.add_items(who, conversation.id, [item])
    return conversation.id, [item.id for item in new]


async def pages(
    store: ConversationStore, tenant: Tenant, conversation_id: str, *, descending: bool
) -> AsyncIterator[Page[Item]]:
    """As a client follows them."""
    after, more = None, True
    while more:
        page = await store.list_items(
            tenant.principal.organization_id, conversation_id, after=after, limit=100, descending=descending
        )
        yield page
        after, more = page.rows[-1].id, page.more


@pytest.mark.parametrize("descending", [False, True])
async def test_large_items_are_listed_in_pages_of_so_many_bytes_and_none_is_lost_or_told_twice(
    database: Database, tenant: Tenant, descending: bool
) -> None:
    who, store = tenant.principal.organization_id, ConversationStore(database, page_bytes=BUDGET)
    where, ids = await filled(store, tenant, *[LARGE] * 6, HUGE, *[SMALL] * 3, HUGE, *[LARGE] * 4, SMALL)
    forked = (await store.fork(who, where, item_id=ids[8], metadata=None)).id
    own = said(LARGE)
    await store.add_items(who, forked, [own])
    for conversation_id, whole in ((where, ids), (forked, [*ids[:9], own.id])):
        found = [page.rows async for page in pages(store, tenant, conversation_id, descending=descending)]
        assert [item.id for rows in found for item in rows] == (whole[::-1] if descending else whole)
        assert all(len(rows) == 1 or size(rows) <= BUDGET for rows in found)
        assert len(found) < len(whole)


async def test_a_client_is_told_that_there_are_more_after_a_page_of_large_items(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    where, ids = await filled(ConversationStore(database), tenant, *[500_000] * 12)
    async with stage.open_with({"reply": "yes"}) as platform, client_of(platform, tenant) as client:
        listed: list[str] = []
        more = True
        while more:
            after = f"&after={listed[-1]}" if listed else ""
            page = await client.get(f"/v1/conversations/{where}/items?order=asc&limit=100{after}")
            assert sum(len(item["content"][0]["text"]) for item in page["data"]) <= PAGE_BYTES
            listed += [item["id"] for item in page["data"]]
            more = page["has_more"]
    assert listed == ids


async def test_a_history_is_read_to_so_many_bytes_and_a_turn_that_may_lose_nothing_of_it_is_refused(
    database: Database, tenant: Tenant
) -> None:
    who, store = tenant.principal.organization_id, ConversationStore(database, page_bytes=BUDGET)
    where, ids = await filled(store, tenant, *[LARGE] * 8)

    async def before(room: int | None, most_bytes: int, **options: bool) -> list[str]:
        history = History(TurnStore(database), store, most_bytes=most_bytes)
        model = StepModel(replies=[], context_tokens=room)
        return [item.id for item in await history.before(who, asking("a", conversation_id=where, **options), model)]

    assert await before(None, 10 * LARGE) == ids
    assert await before(LARGE // 8, 2 * LARGE) == ids[-3:], "as many pages as the model can read, and no more"
    assert await before(None, 4 * LARGE, truncate=True) == ids[-6:]
    with pytest.raises(InvalidRequest, match=f"more than {4 * LARGE} bytes") as refused:
        await before(None, 4 * LARGE)
    assert (refused.value.param, refused.value.code) == ("conversation", "context_length_exceeded")


async def test_a_chain_of_responses_is_read_to_so_many_bytes(database: Database, tenant: Tenant) -> None:
    who = tenant.principal.organization_id
    turns = [f"{who}{n}" for n in range(8)]
    chain = sa.text("""
        INSERT INTO turns (id, organization_id, user_id, key_id, previous_turn_id, model, status, stored, wire, request,
            metadata, created_at, lease_owner, lease_epoch, lease_expires_at)
        VALUES (:id, :who, 'u', 'k', :previous, 'm', 'completed', true, 'responses/1', '{}', '{}', now(), 'x', 1, now())
    """)
    payload = ITEM.dump_json(said(LARGE)).decode()
    rows = [{"id": f"i{turn}", "organization_id": who, "turn_id": turn, "is_input": True, "payload": payload} for turn in turns]
    async with database.everyone() as connection:
        links = zip(turns, [None, *turns], strict=False)
        await connection.execute(chain, [{"id": turn, "who": who, "previous": previous} for turn, previous in links])
        await connection.execute(sa.insert(items), rows)

    async def before(most_bytes: int, **options: bool) -> int:
        history = History(TurnStore(database), ConversationStore(database), most_bytes=most_bytes)
        return len(await history.before(who, asking("a", previous_turn_id=turns[-1], **options), StepModel(replies=[])))

    assert await before(10 * LARGE) == 8
    assert await before(4 * LARGE, truncate=True) == 4
    with pytest.raises(InvalidRequest, match=f"more than {4 * LARGE} bytes") as refused:
        await before(4 * LARGE)
    assert (refused.value.param, refused.value.code) == ("previous_response_id", "context_length_exceeded")
