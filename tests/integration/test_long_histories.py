"""Conversations and chains of turns that are far longer than a model reads."""

import asyncpg
import sqlalchemy as sa

from core.messages import ITEM, MessageItem, Role, Text
from core.storage.conversations import ConversationStore
from core.storage.database import Database
from core.storage.embedded.postgres import EmbeddedPostgres
from core.storage.tables import items
from core.storage.turns import TurnStore
from tests.integration.conftest import Stage, Tenant
from tests.integration.test_turns import asking, play, text

LENGTH = 10_000
ECHO = {"reply": {"text": "You said: {last_user_text}"}}


def said(item_id: str, words: str, role: Role = Role.USER) -> str:
    return ITEM.dump_json(MessageItem(id=item_id, role=role, parts=(Text(text=words),))).decode()


async def count_rows(postgres: EmbeddedPostgres) -> None:
    """As autovacuum does within a minute. Before, PostgreSQL plans as for tables that are nearly empty."""
    owner = await asyncpg.connect(postgres.owner_url, server_settings={"search_path": "paddock"})
    try:
        await owner.execute("ANALYZE turns, items")
    finally:
        await owner.close()


async def fill(database: Database, tenant: Tenant, conversation_id: str) -> None:
    who = tenant.principal.organization_id
    rows = [
        {
            "id": f"{conversation_id}_{n}",
            "organization_id": who,
            "conversation_id": conversation_id,
            "is_input": True,
            "payload": said(f"{conversation_id}_{n}", f"word {n}", Role.ASSISTANT if n % 2 else Role.USER),
        }
        for n in range(LENGTH)
    ]
    async with database.tenant(who) as connection:
        await connection.execute(sa.insert(items), rows)


async def test_a_conversation_of_ten_thousand_items_is_listed_whole_goes_on_and_can_be_deleted(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    who = tenant.principal.organization_id
    async with stage.open_with(ECHO) as platform:
        conversation = await platform.conversations.create(who, metadata={}, items=[])
        await fill(database, tenant, conversation.id)
        listed: list[str] = []
        more = True
        while more:
            after = listed[-1] if listed else None
            page = await platform.conversations.list_items(who, conversation.id, after=after, limit=1_000, descending=False)
            listed += [item.id for item in page.rows]
            more = page.more
        assert listed == [f"{conversation.id}_{n}" for n in range(LENGTH)]
        for truncate in (False, True):
            request = asking("and now?", conversation_id=conversation.id, truncate=truncate)
            assert text(await play(platform, tenant, request)) == "You said: and now?"
        await platform.conversations.delete(tenant.principal, conversation.id)
    async with database.tenant(who) as connection:
        assert (await connection.execute(sa.text("SELECT count(*) FROM items"))).scalar_one() == 0


async def test_history_is_read_backwards_until_there_is_enough(database: Database, tenant: Tenant) -> None:
    who, store = tenant.principal.organization_id, ConversationStore(database)
    conversation = await store.create(who, metadata={}, items=[])
    await fill(database, tenant, conversation.id)
    found = await store.last_items(who, conversation.id, page=100, enough=lambda items: len(items) >= 250)
    assert [item.id for item in found] == [f"{conversation.id}_{n}" for n in range(LENGTH - 300, LENGTH)]
    whole = await store.last_items(who, conversation.id, page=2_500, enough=lambda items: False)
    assert [item.id for item in whole] == [f"{conversation.id}_{n}" for n in range(LENGTH)]


async def test_a_chain_of_ten_thousand_responses_goes_on(
    stage: Stage, tenant: Tenant, database: Database, postgres: EmbeddedPostgres
) -> None:
    who = tenant.principal.organization_id
    chain = sa.text("""
        INSERT INTO turns (id, organization_id, user_id, key_id, previous_turn_id, model, status, stored, wire, request,
            metadata, created_at, lease_owner, lease_epoch, lease_expires_at)
        SELECT :who || n, :who, 'u', 'k', :who || (n - 1), 'm', 'completed', true, 'responses/1', '{}',
            '{}', now(), 'x', 1, now()
        FROM generate_series(1, :length) AS n
    """)
    async with database.everyone() as connection:
        await connection.execute(chain, {"who": who, "length": LENGTH})
        rows = [
            {"id": f"i{who}{n}", "organization_id": who, "turn_id": f"{who}{n}", "is_input": True, "payload": said("i", str(n))}
            for n in range(1, LENGTH + 1)
        ]
        await connection.execute(sa.insert(items), rows)
    await count_rows(postgres)
    last = f"{who}{LENGTH}"
    found = await TurnStore(database).chain(who, last, most=LENGTH // 2)
    assert [item.parts[0] for item in found if isinstance(item, MessageItem)] == [
        Text(text=str(n)) for n in range(LENGTH // 2 + 1, LENGTH + 1)
    ]
    async with stage.open_with(ECHO) as platform:
        assert text(await play(platform, tenant, asking("more", previous_turn_id=last))) == "You said: more"
