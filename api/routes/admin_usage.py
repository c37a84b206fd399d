"""/admin/v1/usage: turns, tokens, tool runs, sandbox seconds and cost, as JSON or CSV."""

import csv
import io
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from api.dependencies import Query, answer, authenticated, platform_of, query_of
from api.route import Router
from core.errors import InvalidRequest
from core.identity.usage import Row

router = Router("/admin/v1/usage")
Time = Annotated[int, Field(ge=0, le=253_402_300_799)]
DIMENSION = "(organization|user|key|model|tool|day)"
DAYS = 30
NUMBERS = (
    "turns",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "tool_runs",
    "sandbox_seconds",
    "cost",
    "unpriced_tokens",
)


class UsageQuery(Query):
    """start, end: Unix time in seconds; the last 30 days by default. group_by: some of them, with commas between.

    In a report by tool there are no tokens and no cost: they are the whole turn's. cost is at today's prices and leaves out
    unpriced_tokens, those of models without a price. all_organizations is for operators.
    """

    start: Time | None = None
    end: Time | None = None
    group_by: Annotated[str, Field(pattern=f"^{DIMENSION}(,{DIMENSION}){{0,5}}$")] = "day"
    organization_id: Annotated[str, Field(max_length=100)] | None = None
    all_organizations: bool = False
    format: Literal["json", "csv"] = "json"


@router.get("", query=UsageQuery)
async def report(request: Request) -> Response:
    principal = await authenticated(request)
    query = query_of(request, UsageQuery)
    by = query.group_by.split(",")
    if len(set(by)) < len(by):
        raise InvalidRequest("group_by names something twice", param="group_by", code="invalid_value")
    end = int(time.time()) + 1 if query.end is None else query.end
    start = max(0, end - DAYS * 86_400) if query.start is None else query.start
    rows = await platform_of(request).usage.report(
        principal,
        start=datetime.fromtimestamp(start, UTC),
        end=datetime.fromtimestamp(end, UTC),
        by=by,
        organization_id=query.organization_id,
        everybody=query.all_organizations,
    )
    if query.format == "csv":
        headers = {"content-disposition": 'attachment; filename="usage.csv"'}
        return Response(_csv(by, rows), 200, headers, "text/csv")
    told = [_encode(row) for row in rows]
    return answer({"object": "usage.report", "start": start, "end": end, "group_by": by, "data": told})


def _encode(row: Row) -> dict[str, Any]:
    tokens = row.tokens
    return {
        **row.group,
        "turns": row.turns,
        "input_tokens": tokens and tokens.input,
        "output_tokens": tokens and tokens.output,
        "cached_tokens": tokens and tokens.cached,
        "reasoning_tokens": tokens and tokens.reasoning,
        "tool_runs": row.tool_runs,
        "sandbox_seconds": round(row.sandbox_seconds, 6),
        "cost": None if row.cost is None else round(row.cost, 9),
        "unpriced_tokens": row.unpriced_tokens,
    }


def _csv(by: Sequence[str], rows: Iterable[Row]) -> str:
    """RFC 4180. A name that a spreadsheet would take for a formula gets an apostrophe before it."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [*by, *NUMBERS])
    writer.writeheader()
    for row in rows:
        names = {name: f"'{value}" if value.startswith(("=", "+", "-", "@")) else value for name, value in row.group.items()}
        writer.writerow({**_encode(row), **names})
    return text.getvalue()
