"""One page of a list whose rows are in order of id, which is the order of making; and how much of a history is read."""

import re
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
    filters: Sequence[sa.ColumnElement[bool]] = (),
    prefix: str | None = None,
    after: str | None,
    limit: int,
    descending: bool,
) -> tuple[Sequence[sa.RowMapping], bool]:
    """The rows among `mine` that pass the filters, and whether there are more. Rows may leave the list while it is read.

    after: the id of one of `mine`, whatever the filters say of it; with a prefix any id that has it, as rows that may be
    deleted need it. Raises InvalidRequest when it is neither.
    """
    column = table.c.id
    query = sa.select(table).where(*mine, *filters)
    if after is not None:
        if prefix is not None:
            check_id(after, prefix)
        elif await connection.scalar(sa.select(column).where(*mine, column == after)) is None:
            raise _no_cursor(after)
        query = query.where(column < after if descending else column > after)
    query = query.order_by(column.desc() if descending else column).limit(limit + 1)
    rows = (await connection.execute(query)).mappings().all()
    return rows[:limit], len(rows) > limit


def check_id(after: str, prefix: str) -> None:
    """Of a row that may be gone by now: its place in the order of ids is still known. prefix: several as `one|other`.

    Raises InvalidRequest for what looks like no such id.
    """
    if re.fullmatch(rf"({prefix})_[0-9a-f]{{32,40}}", after) is None:
        raise _no_cursor(after)


def _no_cursor(after: str) -> InvalidRequest:
    return InvalidRequest(f"no {after[:200]!r} in this list", param="after", code="invalid_cursor")


def too_long(most_bytes: int, *, param: str) -> InvalidRequest:
    message = f"what was said before is more than {most_bytes} bytes: let the oldest be left out (truncation 'auto')"
    return InvalidRequest(message, param=param, code="context_length_exceeded")
