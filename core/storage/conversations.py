"""Conversations and their items. One turn at a time runs in a conversation; that rule is the journal's (its unique index)."""

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from core.errors import Conflict, InvalidRequest, NotFound
from core.ids import new_id
from core.messages import ITEM, Item, MessageItem
from core.storage import audit
from core.storage.audit import Actor, AuditRecord
from core.storage.database import Database
from core.storage.journal import decode_item
from core.storage.paging import HISTORY_BYTES, too_long
from core.storage.records import Conversation, Page
from core.storage.tables import conversations, deleted_items, items

EVERYTHING = 2**63 - 1
MOST_SOURCES = 100
"""How many forks of forks of forks."""
PAGE_BYTES = 2**20
"""Of items that are read at once, by a reader that does nothing else meanwhile; one that is larger is read by itself."""


class ConversationStore:
    """Each method sees the organisation's own conversations; another's, and a deleted one, raise NotFound."""

    def __init__(self, database: Database, *, page_bytes: int = PAGE_BYTES) -> None:
        self._database = database
        self._page_bytes = page_bytes

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

    async def delete(self, actor: Actor, conversation_id: str) -> None:
        """A turn that runs in it goes on, and what it keeps goes when it ends. Streams of what no fork shares are due to go."""
        organization_id = actor.organization_id
        async with self._database.everyone() as connection:
            gone = await _get(connection, organization_id, conversation_id)
            sources = [source for source, _ in _sources(gone)]
            # Of a fork and its source that are deleted at once, the second one sees it.
            await connection.execute(_LOCK, {"ids": sources})
            await connection.execute(_CLOSE, {"id": conversation_id})
            await _get(connection, organization_id, conversation_id)
            await connection.execute(
                sa.update(conversations).where(_mine(organization_id, conversation_id)).values(deleted_at=sa.func.now())
            )
            await forget(connection, organization_id, sources)
            await audit.insert(connection, AuditRecord.by(actor, "conversation.deleted", conversation_id))

    async def fork(
        self, organization_id: str, conversation_id: str, *, item_id: str | None, metadata: Mapping[str, str] | None
    ) -> Conversation:
        """Another conversation with the items up to this one, or up to the last. They are shared, not copied.

        metadata: None for what the conversation has. Raises Conflict while a turn runs and no item is named; InvalidRequest.
        """
        fork_id = new_id("conv")
        async with self._database.tenant(organization_id) as connection:
            await connection.execute(_HOLD, {"ids": [conversation_id]})  # it is not deleted meanwhile
            parent = await _get(connection, organization_id, conversation_id)
            if item_id is None and await connection.scalar(_RUNNING, {"conversation_id": conversation_id}) is not None:
                raise _locked(conversation_id)
            shared = await _shared(connection, parent, item_id)
            if len(shared) > MOST_SOURCES:
                raise InvalidRequest(f"a fork of more than {MOST_SOURCES} forks", code="too_many_forks")
            values = {
                "id": fork_id,
                "organization_id": organization_id,
                "metadata": json.dumps(dict(parent.metadata if metadata is None else metadata)),
                "source_ids": [source for source, _ in shared],
                "source_ends": [end for _, end in shared],
            }
            await connection.execute(sa.insert(conversations).values(values))
            return await _get(connection, organization_id, fork_id)

    async def add_items(self, organization_id: str, conversation_id: str, new: Sequence[Item]) -> None:
        async with self._database.tenant(organization_id) as connection:
            await connection.execute(_HOLD, {"ids": [conversation_id]})
            await _get(connection, organization_id, conversation_id)
            await _insert(connection, organization_id, conversation_id, new)

    async def list_items(
        self, organization_id: str, conversation_id: str, *, after: str | None, limit: int, descending: bool
    ) -> Page[Item]:
        """after: the id of an item that is there, or was. Fewer than `limit` where they are large.

        Raises InvalidRequest for none of this conversation.
        """
        async with self._database.tenant(organization_id) as connection:
            conversation = await _get(connection, organization_id, conversation_id)
            past = None if after is None else await _place(connection, conversation, after)
            rows = await _items(
                connection, conversation, past=past, limit=limit + 1, most_bytes=self._page_bytes, descending=descending
            )
        shown = rows[:limit]
        return Page(rows=[decode_item(row.payload) for row in shown], more=bool(rows) and rows[0].found > len(shown))

    async def last_items(
        self,
        organization_id: str,
        conversation_id: str,
        *,
        page: int,
        enough: Callable[[Sequence[Item]], bool],
        most_bytes: int = HISTORY_BYTES,
        cut: bool = False,
        before_turn: str | None = None,
    ) -> Sequence[Item]:
        """Oldest first. They are read backwards, so many at a time, until those found are `enough`.

        cut: read no more than about `most_bytes`; else raises InvalidRequest when that is not enough and there are others.
        before_turn: a turn that runs or ran in it, to see what that saw when it began. Else raises Conflict while a turn runs:
        what it is about to say would be missing.
        """
        found: list[Item] = []
        left, past = most_bytes, None
        async with self._database.tenant(organization_id) as connection:
            conversation = await _get(connection, organization_id, conversation_id)
            if before_turn is not None:
                past = await connection.scalar(_FIRST_POSITION, {"turn_id": before_turn})
            elif await connection.scalar(_RUNNING, {"conversation_id": conversation_id}) is not None:
                raise _locked(conversation_id)
            while rows := await _items(connection, conversation, past=past, limit=page, most_bytes=self._page_bytes):
                found += [decode_item(row.payload) for row in rows]
                left, past = left - rows[-1].bytes, rows[-1].position
                if len(rows) == rows[-1].found < page or enough(found) or (cut and left < 0):
                    break
                if left < 0:
                    raise too_long(most_bytes, param="conversation")
        return found[::-1]

    async def get_item(self, organization_id: str, conversation_id: str, item_id: str) -> Item:
        async with self._database.tenant(organization_id) as connection:
            conversation = await _get(connection, organization_id, conversation_id)
            found = await _item(connection, conversation, item_id)
        if found is None:
            raise _no_item(item_id, conversation_id)
        return decode_item(found.payload)

    async def items_by_id(
        self, organization_id: str, ids: Sequence[str], *, most_bytes: int, most_parts: int
    ) -> Mapping[str, Item]:
        """Those that are there, also of responses without a conversation. Raises InvalidRequest for an id that comes twice, and
        where they are larger together, or messages of more parts.
        """
        if len(set(ids)) < len(ids):
            raise InvalidRequest("an item is referred to twice", param="input", code="duplicate_item")
        wanted = {"ids": list(ids), "organization_id": organization_id, "most_bytes": most_bytes}
        async with self._database.tenant(organization_id) as connection:
            rows = (await connection.execute(_BY_ID, wanted)).all()
        if rows and rows[0].bytes > most_bytes:
            message = f"the items that are referred to are more than {most_bytes} bytes"
            raise InvalidRequest(message, param="input", code="context_length_exceeded")
        found: dict[str, Item] = {}
        parts = 0
        for row in rows:
            found[row.id] = item = decode_item(row.payload)
            parts += len(item.parts) if isinstance(item, MessageItem) else 1
            if parts > most_parts:
                message = f"the items that are referred to have more than {most_parts} parts"
                raise InvalidRequest(message, param="input", code="context_length_exceeded")
        return found

    async def delete_item(self, actor: Actor, conversation_id: str, item_id: str) -> None:
        """From the forks that share it too. Raises Conflict for what is shared from elsewhere and can be deleted there."""
        async with self._database.tenant(actor.organization_id) as connection:
            conversation = await _get(connection, actor.organization_id, conversation_id)
            found = await _item(connection, conversation, item_id)
            if found is None:
                raise _no_item(item_id, conversation_id)
            if found.conversation_id != conversation_id and await connection.scalar(_THERE, {"id": found.conversation_id}):
                message = f"item {item_id!r} is shared with conversation {found.conversation_id!r}: delete it there"
                raise Conflict(message, code="item_shared")
            if not (await connection.execute(sa.delete(items).where(items.c.id == item_id))).rowcount:
                raise _no_item(item_id, conversation_id)  # somebody was quicker
            place = {"id": item_id, "organization_id": actor.organization_id, "position": found.position}
            await connection.execute(sa.insert(deleted_items).values(place | {"conversation_id": found.conversation_id}))
            told = AuditRecord.by(actor, "item.deleted", item_id, details={"conversation": conversation_id})
            await audit.insert(connection, told)


async def forget(connection: AsyncConnection, organization_id: str, ids: Sequence[str]) -> None:
    """What was said in those of these conversations that were deleted, and is in no other one. Any number of times: a turn that
    ran in one went on.
    """
    mine = {"ids": ids, "organization_id": organization_id}
    for _ in range(2):  # the second time for what a turn kept that ended while the first one waited for it
        turn_ids = (await connection.execute(_DELETE_UNSHARED, mine)).scalars().all()
        await connection.execute(_STREAMS_DUE, {**mine, "turn_ids": turn_ids})
    await connection.execute(_VOID_APPROVALS, mine)
    await connection.execute(_FORGET_PLACES, mine)


_BY_ID = sa.text("""
    SELECT id, bytes, CASE WHEN bytes <= :most_bytes THEN payload END AS payload FROM (
        SELECT id, payload, sum(octet_length(payload)) OVER () AS bytes FROM items
        WHERE organization_id = :organization_id AND id = ANY(:ids)
    ) found
""")
_THERE = sa.text("SELECT id FROM conversations WHERE id = :id AND deleted_at IS NULL")
_RUNNING = sa.text("SELECT id FROM turns WHERE conversation_id = :conversation_id AND status IN ('pending', 'running')")


_FIRST_POSITION = sa.text("""
    SELECT COALESCE(
        (SELECT min(position) FROM items WHERE turn_id = :turn_id AND is_input),
        (SELECT min(i.position) FROM items i JOIN turns t ON t.conversation_id = i.conversation_id
            WHERE t.id = :turn_id AND (i.turn_id = t.id OR i.created_at > COALESCE(
                (SELECT e.created_at FROM turn_events e WHERE e.turn_id = t.id ORDER BY e.seq LIMIT 1), t.created_at
            )))
    )
""")
# Of one without input, it is where the first item stands that came after its acceptance, which wrote its first event; NULL
# where there is none. turns.created_at is the clock of its server, for want of a better one where the response was deleted.
_LOCK = sa.text("SELECT id FROM conversations WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE")
_CLOSE = sa.text("SELECT id FROM conversations WHERE id = :id FOR UPDATE")  # no turn is accepted there; in a source it is
_HOLD = sa.text("SELECT id FROM conversations WHERE id = ANY(:ids) ORDER BY id FOR SHARE")
_DELETE_UNSHARED = sa.text("""
    DELETE FROM items i USING conversations gone
    WHERE gone.id = ANY(:ids) AND gone.organization_id = :organization_id AND gone.deleted_at IS NOT NULL
        AND i.conversation_id = gone.id AND i.position > COALESCE((
            SELECT max(c.source_ends[array_position(c.source_ids, gone.id)]) FROM conversations c
            WHERE c.source_ids @> ARRAY[gone.id] AND c.deleted_at IS NULL
        ), 0)
    RETURNING i.turn_id
""")
_STREAMS_DUE = sa.text("""
    WITH held AS (
        SELECT id FROM turns WHERE id IN (
            SELECT unnest(CAST(:turn_ids AS text[])) UNION
            SELECT t.id FROM turns t JOIN conversations c ON c.id = t.conversation_id
            WHERE c.id = ANY(:ids) AND c.organization_id = :organization_id AND c.deleted_at IS NOT NULL
                AND t.status IN ('pending', 'running')
        ) ORDER BY id FOR NO KEY UPDATE
    )
    UPDATE turns t SET stream_due_at = now() FROM held WHERE t.id = held.id
""")  # in the journal's order, which locks the rows of turns that run
_VOID_APPROVALS = sa.text("""
    UPDATE approvals a SET arguments = '{}', reason = NULL, status = CASE status WHEN 'pending' THEN 'void' ELSE status END
    WHERE conversation_id = ANY(:ids) AND organization_id = :organization_id AND NOT EXISTS (
        SELECT FROM items i WHERE i.id = a.id
    ) AND EXISTS (SELECT FROM conversations c WHERE c.id = a.conversation_id AND c.deleted_at IS NOT NULL)
""")
_FORGET_PLACES = sa.text("""
    DELETE FROM deleted_items d USING conversations gone
    WHERE gone.id = ANY(:ids) AND gone.organization_id = :organization_id AND gone.deleted_at IS NOT NULL
        AND d.conversation_id = gone.id AND NOT EXISTS (SELECT FROM conversations c WHERE c.source_ids @> ARRAY[gone.id]
            AND c.deleted_at IS NULL)
""")
# Each source is read by its index, no further than the page goes. Only the rows of the answer are read from TOAST.
_PAGE = """
    SELECT * FROM (
        SELECT page.*, count(*) OVER () AS found, sum(octet_length(payload)) OVER so_far AS bytes, row_number() OVER so_far AS n
        FROM (
            SELECT i.position, i.conversation_id, i.payload
            FROM unnest(CAST(:ids AS text[]), CAST(:ends AS bigint[])) AS s(id, last) CROSS JOIN LATERAL (
                SELECT position, conversation_id, payload FROM items
                WHERE organization_id = :organization_id AND conversation_id = s.id
                    AND position <= s.last AND position {past} :past
                ORDER BY position {order} LIMIT :limit
            ) i ORDER BY i.position {order} LIMIT :limit
        ) page WINDOW so_far AS (ORDER BY position {order})
    ) counted WHERE bytes <= :most_bytes OR n = 1 ORDER BY position {order}
"""
_BACKWARDS = sa.text(_PAGE.format(past="<", order="DESC"))
_FORWARDS = sa.text(_PAGE.format(past=">", order="ASC"))


async def _items(
    connection: AsyncConnection,
    conversation: Conversation,
    *,
    limit: int,
    most_bytes: int,
    past: int | None = None,
    descending: bool = True,
) -> Sequence[sa.Row[Any]]:
    """Position, conversation and payload of items past this position, shared ones among them. One question.

    At most `limit`, and of these the first that are `most_bytes` together, or one. found: how many they are without that.
    bytes: those of the items up to this one.
    """
    sources = _sources(conversation)
    values = {
        "ids": [source for source, _ in sources],
        "ends": [end for _, end in sources],
        "organization_id": conversation.organization_id,
        "past": (EVERYTHING if descending else -1) if past is None else past,
        "limit": limit,
        "most_bytes": most_bytes,
    }
    return (await connection.execute(_BACKWARDS if descending else _FORWARDS, values)).all()


async def _place(connection: AsyncConnection, conversation: Conversation, item_id: str) -> int:
    if found := await _item(connection, conversation, item_id):
        return int(found.position)
    gone = deleted_items
    query = sa.select(gone.c.position, gone.c.conversation_id).where(
        gone.c.organization_id == conversation.organization_id, gone.c.id == item_id
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None or row.position > dict(_sources(conversation)).get(row.conversation_id, -1):
        raise InvalidRequest(f"no item {item_id!r} in this list", param="after", code="invalid_cursor")
    return int(row.position)


async def _item(connection: AsyncConnection, conversation: Conversation, item_id: str) -> sa.Row[Any, Any, Any] | None:
    query = sa.select(items.c.position, items.c.conversation_id, items.c.payload).where(
        items.c.organization_id == conversation.organization_id, items.c.id == item_id
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None or row.position > dict(_sources(conversation)).get(row.conversation_id, -1):
        return None
    return row


def _sources(conversation: Conversation) -> list[tuple[str, int]]:
    """With itself, the last one."""
    return [*conversation.sources, (conversation.id, EVERYTHING)]


async def _shared(connection: AsyncConnection, parent: Conversation, item_id: str | None) -> list[tuple[str, int]]:
    """Up to this item, or to the last: the sources of a fork. Raises NotFound."""
    if item_id is None:
        last = [(row.conversation_id, row.position) for row in await _items(connection, parent, limit=1, most_bytes=0)]
    elif (found := await _item(connection, parent, item_id)) is not None:
        last = [(found.conversation_id, found.position)]
    else:
        raise _no_item(item_id, parent.id)
    before = itertools.takewhile(lambda source: last and source[0] != last[0][0], parent.sources)
    return [*before, *last]


def _mine(organization_id: str, conversation_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(
        conversations.c.organization_id == organization_id,
        conversations.c.id == conversation_id,
        conversations.c.deleted_at.is_(None),
    )


async def _get(connection: AsyncConnection, organization_id: str, conversation_id: str) -> Conversation:
    row = (await connection.execute(sa.select(conversations).where(_mine(organization_id, conversation_id)))).one_or_none()
    if row is None:
        raise NotFound(f"no conversation {conversation_id!r}", code="conversation_not_found")
    return Conversation(
        id=row.id,
        organization_id=row.organization_id,
        metadata=json.loads(row.metadata),
        created_at=row.created_at,
        sources=tuple(zip(row.source_ids, row.source_ends, strict=True)),
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


def _locked(conversation_id: str) -> Conflict:
    return Conflict(f"conversation {conversation_id!r} has a turn running", code="conversation_locked")


def _no_item(item_id: str, conversation_id: str) -> NotFound:
    return NotFound(f"no item {item_id!r} in conversation {conversation_id!r}", code="item_not_found")
