"""Conversations and their items. One turn at a time runs in a conversation; that rule is the journal's (its unique index)."""

import json
from collections.abc import Callable, Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from core.errors import Conflict, NotFound
from core.ids import new_id
from core.messages import ITEM, Item
from core.storage.database import Database
from core.storage.journal import decode_item
from core.storage.records import Conversation, Page
from core.storage.tables import conversations, items
from core.storage.turns import page_of_items


class ConversationStore:
    """Each method sees the organisation's own conversations; another's, and a deleted one, raise NotFound."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, organization_id: str, *, metadata: Mapping[str, str], items: Sequence[Item]) -> Conversation:
        conversation_id = new_id("conv")
        values = {"id": conversation_id, "organization_id": organization_id, "metadata": json.dumps(dict(metadata))}
        async with self._database.tenant(organization_id) as connection:
            await connection.execute(sa.insert(conversations).values(values))
            await _insert(connection, organization_id, conversation_id, items)
            return await _get(connection, organization_id, conversation_id)

    async def get(self, organization_id: str, conversation_id: str) -> Conversation:
        async with self._database.tenant(organization_id) as connection:
            return await _get(connection, organization_id, conversation_id)

    async def update(self, organization_id: str, conversation_id: str, *, metadata: Mapping[str, str]) -> Conversation:
        async with self._database.tenant(organization_id) as connection:
            await connection.execute(
                sa.update(conversations)
                .where(_mine(organization_id, conversation_id))
                .values(metadata=json.dumps(dict(metadata)))
            )
            return await _get(connection, organization_id, conversation_id)

    async def delete(self, organization_id: str, conversation_id: str) -> None:
        """A turn that runs in it goes on, and what it keeps is not seen again."""
        async with self._database.tenant(organization_id) as connection:
            await _get(connection, organization_id, conversation_id)
            await connection.execute(
                sa.update(conversations).where(_mine(organization_id, conversation_id)).values(deleted_at=sa.func.now())
            )
            await connection.execute(sa.delete(items).where(_items_of(organization_id, conversation_id)))

    async def add_items(self, organization_id: str, conversation_id: str, new: Sequence[Item]) -> None:
        async with self._database.tenant(organization_id) as connection:
            await _get(connection, organization_id, conversation_id)
            await _insert(connection, organization_id, conversation_id, new)

    async def list_items(
        self, organization_id: str, conversation_id: str, *, after: str | None, limit: int, descending: bool
    ) -> Page[Item]:
        """after: an item's id. Raises InvalidRequest when it is none of this conversation."""
        async with self._database.tenant(organization_id) as connection:
            await _get(connection, organization_id, conversation_id)
            mine = _items_of(organization_id, conversation_id)
            return await page_of_items(connection, mine, after=after, limit=limit, descending=descending)

    async def last_items(
        self,
        organization_id: str,
        conversation_id: str,
        *,
        page: int,
        enough: Callable[[Sequence[Item]], bool],
        before_turn: str | None = None,
    ) -> Sequence[Item]:
        """Oldest first. They are read backwards, so many at a time, until those found are `enough`.

        before_turn: a turn that runs in it, to see what that saw when it began. Else raises Conflict while a turn runs: what it
        is about to say would be missing.
        """
        found: list[Item] = []
        query = sa.select(items.c.position, items.c.payload).where(_items_of(organization_id, conversation_id))
        query = query.order_by(items.c.position.desc()).limit(page)
        async with self._database.tenant(organization_id) as connection:
            await _get(connection, organization_id, conversation_id)
            if before_turn is not None:
                query = query.where(items.c.position < _first_position(before_turn))
            elif await connection.scalar(_RUNNING, {"conversation_id": conversation_id}) is not None:
                raise Conflict(f"conversation {conversation_id!r} has a turn running", code="conversation_locked")
            rows = (await connection.execute(query)).all()
            while rows:
                found += [decode_item(row.payload) for row in rows]
                if len(rows) < page or enough(found):
                    break
                rows = (await connection.execute(query.where(items.c.position < rows[-1].position))).all()
        return found[::-1]

    async def get_item(self, organization_id: str, conversation_id: str, item_id: str) -> Item:
        async with self._database.tenant(organization_id) as connection:
            await _get(connection, organization_id, conversation_id)
            query = sa.select(items.c.payload).where(_items_of(organization_id, conversation_id), items.c.id == item_id)
            payload: str | None = await connection.scalar(query)
        if payload is None:
            raise _no_item(item_id, conversation_id)
        return decode_item(payload)

    async def delete_item(self, organization_id: str, conversation_id: str, item_id: str) -> None:
        async with self._database.tenant(organization_id) as connection:
            await _get(connection, organization_id, conversation_id)
            query = sa.delete(items).where(_items_of(organization_id, conversation_id), items.c.id == item_id)
            deleted = await connection.execute(query)
        if deleted.rowcount == 0:
            raise _no_item(item_id, conversation_id)


_RUNNING = sa.text("SELECT id FROM turns WHERE conversation_id = :conversation_id AND status IN ('pending', 'running')")


def _first_position(turn_id: str) -> sa.ScalarSelect[int]:
    its = items.alias()
    return sa.select(sa.func.min(its.c.position)).where(its.c.turn_id == turn_id).scalar_subquery()


def _mine(organization_id: str, conversation_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(
        conversations.c.organization_id == organization_id,
        conversations.c.id == conversation_id,
        conversations.c.deleted_at.is_(None),
    )


def _items_of(organization_id: str, conversation_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(items.c.organization_id == organization_id, items.c.conversation_id == conversation_id)


async def _get(connection: AsyncConnection, organization_id: str, conversation_id: str) -> Conversation:
    row = (await connection.execute(sa.select(conversations).where(_mine(organization_id, conversation_id)))).one_or_none()
    if row is None:
        raise NotFound(f"no conversation {conversation_id!r}", code="conversation_not_found")
    return Conversation(
        id=row.id, organization_id=row.organization_id, metadata=json.loads(row.metadata), created_at=row.created_at
    )


async def _insert(connection: AsyncConnection, organization_id: str, conversation_id: str, new: Sequence[Item]) -> None:
    if not new:
        return
    rows = [
        {
            "id": item.id,
            "organization_id": organization_id,
            "conversation_id": conversation_id,
            "is_input": True,
            "payload": ITEM.dump_json(item).decode(),
        }
        for item in new
    ]
    await connection.execute(sa.insert(items), rows)


def _no_item(item_id: str, conversation_id: str) -> NotFound:
    return NotFound(f"no item {item_id!r} in conversation {conversation_id!r}", code="item_not_found")
