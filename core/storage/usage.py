"""What was used in a time, summed up by PostgreSQL from the turns and the ledger. It knows no price.

Every turn has its row, also one that was not stored, with its tokens; every run of a tool has its line in the ledger.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from core.errors import InvalidRequest
from core.messages import Usage
from core.storage.database import Database

LONGEST_SECONDS = 10
MOST_ROWS = 10_000
DIMENSIONS = {
    # what a report can be grouped by: the column of the turns, or of the ledger
    "organization": "organization_id",
    "user": "user_id",
    "key": "key_id",
    "model": "model",
    "day": "day",
    "tool": "tool",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """group: by dimension. model: None in a report by tool, where no tokens are told either: they are the whole turn's."""

    group: dict[str, str]
    model: str | None
    turns: int
    tokens: Usage | None
    tool_runs: int
    sandbox_seconds: float


class UsageStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def used(self, organization_id: str | None, *, start: datetime, end: datetime, by: Sequence[str]) -> Sequence[Used]:
        """One row for each group and model. organization_id: None for all of them, which is for operators.

        Raises InvalidRequest for a report that has too many rows or takes too long.
        """
        given = {"start": start, "end": end, "organization_id": organization_id, "most": MOST_ROWS + 1}
        transaction = self._database.everyone() if organization_id is None else self._database.tenant(organization_id)
        async with transaction as connection:
            rows = await _rows(connection, _query(by, organization_id is not None), given)
        if len(rows) > MOST_ROWS:
            raise InvalidRequest(f"more than {MOST_ROWS} rows; group by less or ask for less", code="report_too_large")
        return [_used(row, by) for row in rows]


async def _rows(connection: AsyncConnection, query: sa.TextClause, given: Mapping[str, object]) -> Sequence[sa.RowMapping]:
    await connection.execute(_LIMIT, {"limit": f"{LONGEST_SECONDS * 1000:.0f}ms"})
    try:
        return (await connection.execute(query, given)).mappings().all()
    except DBAPIError as exc:
        if isinstance(exc.orig and exc.orig.__cause__, asyncpg.QueryCanceledError):
            message = f"the report takes longer than {LONGEST_SECONDS:g} s; ask for a shorter time"
            raise InvalidRequest(message, code="report_too_large") from exc
        raise


_LIMIT = sa.text("SELECT set_config('statement_timeout', :limit, true)")
_TURNS = """
WITH t AS (
    SELECT id, organization_id, user_id, key_id, model, to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day,
        input_tokens, output_tokens, cached_tokens, reasoning_tokens
    FROM turns WHERE created_at >= :start AND created_at < :end AND {whose}
)"""
_BY_TURN = """, sums AS (
    SELECT {columns}, count(*) AS turns, sum(input_tokens)::bigint AS input, sum(output_tokens)::bigint AS output,
        sum(cached_tokens)::bigint AS cached, sum(reasoning_tokens)::bigint AS reasoning
    FROM t GROUP BY {columns}
), runs AS (
    SELECT {columns}, count(*) AS runs, COALESCE(sum(l.seconds), 0) AS seconds
    FROM t JOIN (SELECT turn_id, seconds FROM tool_ledger) l ON l.turn_id = t.id GROUP BY {columns}
)
SELECT sums.*, COALESCE(runs.runs, 0) AS runs, COALESCE(runs.seconds, 0) AS seconds
FROM sums LEFT JOIN runs USING ({columns}) ORDER BY {columns} LIMIT :most
"""
_BY_TOOL = """
SELECT {columns}, count(DISTINCT t.id) AS turns, count(*) AS runs, COALESCE(sum(l.seconds), 0) AS seconds
FROM t JOIN (SELECT turn_id, tool, seconds FROM tool_ledger) l ON l.turn_id = t.id
GROUP BY {columns} ORDER BY {columns} LIMIT :most
"""


def _query(by: Sequence[str], one: bool) -> sa.TextClause:
    """Made of the constants above: a name that is no dimension raises KeyError. one: of a single organisation."""
    columns = [DIMENSIONS[name] for name in by]
    if "tool" not in by and "model" not in columns:
        columns.append("model")
    whose = "organization_id = :organization_id" if one else "(:organization_id)::text IS NULL"
    text = _TURNS + (_BY_TOOL if "tool" in by else _BY_TURN)
    return sa.text(text.format(whose=whose, columns=", ".join(columns)))


def _used(row: sa.RowMapping, by: Sequence[str]) -> Used:
    by_tool = "tool" in by
    return Used(
        group={name: row[DIMENSIONS[name]] for name in by},
        model=None if by_tool else row["model"],
        turns=row["turns"],
        tokens=None
        if by_tool
        else Usage(input=row["input"], output=row["output"], cached=row["cached"], reasoning=row["reasoning"]),
        tool_runs=row["runs"],
        sandbox_seconds=row["seconds"],
    )
