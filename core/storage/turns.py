"""Reading turns and their journals, deleting them, and asking a running one to stop. Writing them is the journal's."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from core.errors import Conflict, InvalidRequest, NotFound
from core.events import Recorded, TurnStatus
from core.messages import Item, Usage
from core.storage import audit
from core.storage.audit import AuditRecord
from core.storage.database import Database
from core.storage.journal import CallState, LedgerRow, decode_event, decode_item
from core.storage.paging import HISTORY_BYTES, too_long
from core.storage.records import Page, Turn
from core.storage.tables import items, tool_ledger, turn_events, turns

EVENTS_PAGE = 2_000
UNENDED = [status for status in TurnStatus if not status.ended]


class TurnStore:
    """Every method that takes an organisation sees that organisation's stored turns and no others."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, organization_id: str, turn_id: str) -> Turn:
        """Raises NotFound."""
        async with self._database.tenant(organization_id) as connection:
            return await _get(connection, organization_id, turn_id)

    async def any(self, organization_id: str, turn_id: str) -> Turn:
        """Stored or not: one that is not has a row once it has run a tool, or has ended. Raises NotFound."""
        async with self._database.tenant(organization_id) as connection:
            return await _get(connection, organization_id, turn_id, stored=False)

    async def request(self, organization_id: str, turn_id: str) -> str:
        """As it was accepted (JSON). Raises NotFound."""
        query = sa.select(turns.c.request).where(
            turns.c.organization_id == organization_id, turns.c.id == turn_id, turns.c.stored
        )
        async with self._database.tenant(organization_id) as connection:
            found: str | None = await connection.scalar(query)
        if found is None:
            raise _unknown(turn_id)
        return found

    async def events(self, organization_id: str, turn_id: str, *, after: int = 0) -> Sequence[Recorded]:
        """At most EVENTS_PAGE events with seq > after, in order."""
        query = (
            sa.select(turn_events.c.seq, turn_events.c.payload)
            .where(
                turn_events.c.organization_id == organization_id, turn_events.c.turn_id == turn_id, turn_events.c.seq > after
            )
            .order_by(turn_events.c.seq)
            .limit(EVENTS_PAGE)
        )
        async with self._database.tenant(organization_id) as connection:
            rows = (await connection.execute(query)).all()
        return [Recorded(row.seq, decode_event(row.payload)) for row in rows]

    async def last_seq(self, organization_id: str, turn_id: str) -> int:
        """The number of the turn's last event; 0 when it has none."""
        query = sa.select(sa.func.coalesce(sa.func.max(turn_events.c.seq), 0)).where(
            turn_events.c.organization_id == organization_id, turn_events.c.turn_id == turn_id
        )
        async with self._database.tenant(organization_id) as connection:
            last: int = (await connection.execute(query)).scalar_one()
        return last

    async def input_items(
        self, organization_id: str, turn_id: str, *, after: str | None, limit: int, descending: bool
    ) -> Page[Item]:
        """Raises NotFound for the turn, InvalidRequest for a cursor that is none of its items."""
        async with self._database.tenant(organization_id) as connection:
            await _get(connection, organization_id, turn_id)
            mine = sa.and_(items.c.organization_id == organization_id, items.c.turn_id == turn_id, items.c.is_input)
            return await page_of_items(connection, mine, after=after, limit=limit, descending=descending)

    async def input(self, organization_id: str, turn_id: str) -> Sequence[Item]:
        """All that the turn was asked with, oldest first."""
        mine = sa.and_(items.c.organization_id == organization_id, items.c.turn_id == turn_id, items.c.is_input)
        async with self._database.tenant(organization_id) as connection:
            rows = (await connection.execute(sa.select(items.c.payload).where(mine).order_by(items.c.position))).all()
        return [decode_item(row.payload) for row in rows]

    async def open_calls(self, turn_id: str) -> Sequence[LedgerRow]:
        """The calls of an unstored turn that its ledger does not close, for the process that ends it."""
        query = sa.select(tool_ledger).where(tool_ledger.c.turn_id == turn_id, tool_ledger.c.state == CallState.DISPATCHED)
        async with self._database.everyone() as connection:
            rows = (await connection.execute(query)).all()
        return [
            LedgerRow(
                call_path=row.call_path,
                tool=row.tool,
                version_digest=row.version_digest,
                effect=row.effect,
                state=CallState(row.state),
                arguments_digest=row.arguments_digest,
            )
            for row in rows
        ]

    async def delete(self, turn_id: str, record: AuditRecord) -> None:
        """Removes the turn's text: its events, its items that are in no conversation, its request. The row stays for the books.

        record: of who did it, and whose turn it is. Raises NotFound, and Conflict while it runs.
        """
        home = record.organization_id
        async with self._database.tenant(home) as connection:
            turn = await _get(connection, home, turn_id)
        if not turn.status.ended:
            raise Conflict(f"response {turn_id!r} is still running: cancel it first", code="response_running")
        mine = {"organization_id": home, "turn_id": turn_id}
        async with self._database.everyone() as connection:
            await connection.execute(_DELETE_EVENTS, mine)
            await connection.execute(_DELETE_ITEMS, mine)
            await connection.execute(_FORGET_APPROVALS, mine)
            if not (await connection.execute(_FORGET, mine)).rowcount:
                raise _unknown(turn_id)  # somebody was quicker
            await audit.insert(connection, record)

    async def request_cancel(self, organization_id: str, turn_id: str, record: AuditRecord | None = None) -> None:
        """Leave word for the process that runs the turn. record: of who did it."""
        query = (
            sa.update(turns)
            .where(turns.c.organization_id == organization_id, turns.c.id == turn_id, turns.c.status.in_(UNENDED))
            .values(cancel_requested_at=sa.func.coalesce(turns.c.cancel_requested_at, sa.func.now()))
        )
        async with self._database.everyone() as connection:
            if (await connection.execute(query)).rowcount and record is not None:
                await audit.insert(connection, record)

    async def note(self, record: AuditRecord) -> None:
        async with self._database.tenant(record.organization_id) as connection:
            await audit.insert(connection, record)

    async def waiting_by_queue(self) -> Mapping[int, int]:
        """How many of everybody's turns wait for a process; no queue without any."""
        query = sa.select(turns.c.queue, sa.func.count().label("waiting")).where(turns.c.status == TurnStatus.PENDING)
        async with self._database.everyone() as connection:
            rows = (await connection.execute(query.group_by(turns.c.queue))).all()
        return {row.queue: row.waiting for row in rows}

    async def organization_of(self, turn_id: str) -> str:
        """Whose turn it is, stored or not; for operators. Raises NotFound."""
        async with self._database.everyone() as connection:
            found: str | None = await connection.scalar(sa.select(turns.c.organization_id).where(turns.c.id == turn_id))
        if found is None:
            raise _unknown(turn_id)
        return found

    async def chain(
        self, organization_id: str, turn_id: str, *, most: int, most_bytes: int = HISTORY_BYTES, cut: bool = False
    ) -> Sequence[Item]:
        """The last items, at most so many, of a turn and of those before it (by previous_turn_id), oldest first.

        cut: no more than about `most_bytes`; else raises InvalidRequest where they are more. Raises NotFound.
        """
        parameters = {"organization_id": organization_id, "turn_id": turn_id, "most": most, "most_bytes": most_bytes}
        async with self._database.tenant(organization_id) as connection:
            await _get(connection, organization_id, turn_id)
            rows = (await connection.execute(_CHAIN, parameters)).all()
        if rows and len(rows) < rows[0].found and not cut:
            raise too_long(most_bytes, param="previous_response_id")
        return [decode_item(row.payload) for row in reversed(rows)]

    async def root(self, organization_id: str, turn_id: str) -> Turn:
        """The first of those that lead to it by previous_turn_id; itself where there is none. Raises NotFound."""
        async with self._database.tenant(organization_id) as connection:
            parameters = {"organization_id": organization_id, "turn_id": turn_id}
            first = await connection.scalar(_ROOT, parameters)
            return await _get(connection, organization_id, first or turn_id, stored=False)


_DELETE_EVENTS = sa.text("DELETE FROM turn_events WHERE organization_id = :organization_id AND turn_id = :turn_id")
_DELETE_ITEMS = sa.text(
    "DELETE FROM items WHERE organization_id = :organization_id AND turn_id = :turn_id AND NOT EXISTS"
    " (SELECT FROM conversations c WHERE c.deleted_at IS NULL AND (c.id = items.conversation_id"
    " OR (c.source_ids @> ARRAY[items.conversation_id]"  # a fork that shares it
    " AND c.source_ends[array_position(c.source_ids, items.conversation_id)] >= items.position)))"
)
_FORGET_APPROVALS = sa.text(
    "UPDATE approvals SET arguments = '{}', reason = NULL WHERE organization_id = :organization_id AND turn_id = :turn_id"
)
_FORGET = sa.text(
    "UPDATE turns SET stored = false, request = '{}', metadata = '{}', message = NULL"
    " WHERE organization_id = :organization_id AND id = :turn_id AND stored"
)
_ROOT = sa.text("""
    WITH RECURSIVE chain AS (
        SELECT id, previous_turn_id, 0 AS depth FROM turns WHERE organization_id = :organization_id AND id = :turn_id
        UNION ALL
        SELECT t.id, t.previous_turn_id, chain.depth + 1 FROM turns t JOIN chain ON t.id = chain.previous_turn_id
        WHERE t.organization_id = :organization_id
    )
    SELECT id FROM chain ORDER BY depth DESC LIMIT 1
""")
# A turn names one that has ended before it began, so there is no cycle; looking for one (CYCLE) is quadratic.
_CHAIN = sa.text("""
    WITH RECURSIVE chain AS (
        SELECT id, previous_turn_id, 0 AS depth FROM turns WHERE organization_id = :organization_id AND id = :turn_id
        UNION ALL
        SELECT t.id, t.previous_turn_id, chain.depth + 1 FROM turns t JOIN chain ON t.id = chain.previous_turn_id
        WHERE t.organization_id = :organization_id AND chain.depth < :most
    )
    SELECT payload, found FROM (
        SELECT page.*, count(*) OVER () AS found, sum(octet_length(payload)) OVER (ORDER BY depth, position DESC) AS bytes
        FROM (
            SELECT i.payload, i.position, chain.depth FROM chain JOIN items i ON i.turn_id = chain.id
            WHERE i.organization_id = :organization_id ORDER BY chain.depth, i.position DESC LIMIT :most
        ) page
    ) counted WHERE bytes - octet_length(payload) < :most_bytes ORDER BY depth, position DESC
""")


async def _get(connection: AsyncConnection, organization_id: str, turn_id: str, *, stored: bool = True) -> Turn:
    """stored: only one whose text is kept."""
    query = sa.select(turns).where(turns.c.organization_id == organization_id, turns.c.id == turn_id)
    row = (await connection.execute(query)).mappings().one_or_none()
    if row is None or (stored and not row["stored"]):
        raise _unknown(turn_id)
    return turn_from(row)


def _unknown(turn_id: str) -> NotFound:
    return NotFound(f"no response {turn_id!r}", code="response_not_found")


def turn_from(row: Any) -> Turn:
    usage = Usage(
        input=row["input_tokens"],
        output=row["output_tokens"],
        cached=row["cached_tokens"],
        reasoning=row["reasoning_tokens"],
    )
    return Turn(
        id=row["id"],
        organization_id=row["organization_id"],
        user_id=row["user_id"],
        key_id=row["key_id"],
        conversation_id=row["conversation_id"],
        previous_turn_id=row["previous_turn_id"],
        model=row["model"],
        status=TurnStatus(row["status"]),
        stored=row["stored"],
        wire=row["wire"],
        echo=json.loads(row["request"]).get("echo", {}),
        metadata=json.loads(row["metadata"]),
        created_at=row["created_at"],
        ended_at=row["ended_at"],
        usage=usage,
        reason=row["reason"],
        message=row["message"],
        queue=row["queue"],
        followable=row["stream_removed_at"] is None,
    )


async def page_of_items(
    connection: AsyncConnection, mine: sa.ColumnElement[bool], *, after: str | None, limit: int, descending: bool
) -> Page[Item]:
    """after: the id of an item among `mine`. Raises InvalidRequest when it is not one."""
    query = sa.select(items.c.payload).where(mine)
    if after is not None:
        start: int | None = await connection.scalar(sa.select(items.c.position).where(mine, items.c.id == after))
        if start is None:
            raise InvalidRequest(f"no item {after!r} in this list", param="after", code="invalid_cursor")
        query = query.where(items.c.position < start if descending else items.c.position > start)
    order = items.c.position.desc() if descending else items.c.position
    rows = (await connection.execute(query.order_by(order).limit(limit + 1))).all()
    return Page(rows=[decode_item(row.payload) for row in rows[:limit]], more=len(rows) > limit)
