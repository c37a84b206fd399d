"""One page of a list whose rows are in order of id, which is the order of making; and how much of a history is read."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from core.errors import InvalidRequest

HISTORY_BYTES = 64 * 2**20
"""Of items that go before a turn: as text some ten million tokens, as images more than a provider takes in a request."""


async def page_by_id(
    connection: AsyncConnection,
    table: sa.Table,
    *mine: sa.ColumnElement[bool],
    after: str | None,
    limit: int,
    descending: bool,
) -> tuple[Sequence[sa.RowMapping], bool]:
    """The rows among `mine`, and whether there are more. after: the id of one of them; raises InvalidRequest when it is not."""
    column = table.c.id
    query = sa.select(table).where(*mine)
    if after is not None:
        if await connection.scalar(sa.select(column).where(*mine, column == after)) is None:
            raise InvalidRequest(f"no {after!r} in this list", param="after", code="invalid_cursor")
        query = query.where(column < after if descending else column > after)
    query = query.order_by(column.desc() if descending else column).limit(limit + 1)
    rows = (await connection.execute(query)).mappings().all()
    return rows[:limit], len(rows) > limit


def too_long(most_bytes: int, *, param: str) -> InvalidRequest:
    message = f"what was said before is more than {most_bytes} bytes: let the oldest be left out (truncation 'auto')"
    return InvalidRequest(message, param=param, code="context_length_exceeded")
