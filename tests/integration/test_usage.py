"""Usage reports over turns and runs of tools that happened: sums, prices, groups, limits."""

import csv
import io
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from core.bootstrap import Addresses
from core.storage import usage
from core.storage.database import Database
from core.storage.usage import UsageStore
from tests.doubles.office import Caller, Office, open_office
from tests.integration.conftest import Tenant

PRICED = {"name": "priced", "backend": "scripted", "prices": {"input": 1, "output": 2}, "script": [{"reply": "one two three"}]}
FREE = {"name": "free", "backend": "scripted", "script": [{"reply": "four"}]}


@pytest.fixture
async def office(server_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Office]:
    objects = f"file://{tmp_path / 'objects'}"
    addresses = Addresses(database=server_url, redis=redis_url, objects=objects, sandbox=tmp_path / "none")
    async with open_office(addresses, tmp_path, {"models": [PRICED, FREE]}) as opened:
        yield opened


async def say(caller: Caller, model: str, **more: Any) -> dict[str, int]:
    """The tokens of a turn."""
    answer = await caller.made("/v1/responses", {"model": model, "input": "hi", **more})
    tokens: dict[str, int] = answer["usage"]
    return tokens


async def report(caller: Caller, **query: Any) -> list[dict[str, Any]]:
    answer = await caller("GET", "/admin/v1/usage", params=query)
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()["data"]
    return rows


async def run_tool(database: Database, tenant: Tenant, tool: str, seconds: float, state: str = "completed") -> None:
    """A line in the ledger under the organisation's last turn, as the journal writes it."""
    query = sa.text("""
        INSERT INTO tool_ledger (turn_id, call_path, organization_id, tool, version_digest, effect, state, arguments_digest,
            lease_epoch, seconds)
        SELECT id, clock_timestamp()::text, organization_id, :tool, 'd', 'pure', :state, 'd', 1, :seconds
        FROM turns WHERE organization_id = :organization_id ORDER BY created_at DESC LIMIT 1
    """)
    values = {"tool": tool, "seconds": seconds, "state": state, "organization_id": tenant.principal.organization_id}
    async with database.everyone() as connection:
        await connection.execute(query, values)


async def test_stored_and_unstored_turns_are_counted_and_priced_by_model(office: Office, tenant: Tenant) -> None:
    caller = office.caller(tenant.secret)
    spent = [await say(caller, "priced"), await say(caller, "priced", store=False)]
    chat = await caller.made("/v1/chat/completions", {"model": "free", "messages": [{"role": "user", "content": "hi"}]})
    priced, free = sorted(await report(caller, group_by="model"), key=lambda row: row["model"], reverse=True)
    assert (priced["turns"], free["turns"]) == (2, 1)
    assert priced["input_tokens"] == sum(tokens["input_tokens"] for tokens in spent)
    assert priced["output_tokens"] == sum(tokens["output_tokens"] for tokens in spent)
    assert free["output_tokens"] == chat["usage"]["completion_tokens"]
    assert priced["cost"] == pytest.approx((priced["input_tokens"] + 2 * priced["output_tokens"]) / 1e6)
    assert (free["cost"], free["unpriced_tokens"]) == (0, 0)
    [day] = await report(caller)
    assert day["day"] == f"{datetime.now(UTC):%Y-%m-%d}"
    assert (day["turns"], day["cost"]) == (3, priced["cost"])


async def test_runs_of_tools_are_counted_with_their_turn_and_on_their_own(
    office: Office, tenant: Tenant, database: Database
) -> None:
    caller = office.caller(tenant.secret)
    await say(caller, "priced")
    for tool, seconds, state in (("a", 0.5, "completed"), ("a", 1.5, "outcome_unknown"), ("b", 0.25, "completed")):
        await run_tool(database, tenant, tool, seconds, state)
    [user] = await report(caller, group_by="user,key")
    assert (user["user"], user["key"]) == (tenant.principal.user_id, tenant.principal.key_id)
    assert (user["turns"], user["tool_runs"], user["sandbox_seconds"]) == (1, 3, 2.25)
    by_tool = await report(caller, group_by="tool,model")
    assert [(row["tool"], row["tool_runs"], row["sandbox_seconds"]) for row in by_tool] == [("a", 2, 2.0), ("b", 1, 0.25)]
    assert by_tool[0]["input_tokens"] is by_tool[0]["cost"] is None


async def test_csv_has_the_same_numbers_and_no_formula(office: Office, tenant: Tenant, database: Database) -> None:
    caller = office.caller(tenant.secret)
    await say(caller, "priced")
    await run_tool(database, tenant, "=1+1", 1.0)
    answer = await caller("GET", "/admin/v1/usage", params={"group_by": "model", "format": "csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    [told] = await report(caller, group_by="model")
    [row] = csv.DictReader(io.StringIO(answer.text))
    assert {name: str(value) for name, value in told.items()} == dict(row)
    formula = await caller("GET", "/admin/v1/usage", params={"group_by": "tool", "format": "csv"})
    assert "\r\n'=1+1,1," in formula.text


async def test_a_model_that_is_not_declared_any_more_has_tokens_and_no_price(
    office: Office, tenant: Tenant, database: Database
) -> None:
    caller = office.caller(tenant.secret)
    spent = await say(caller, "priced")
    async with database.everyone() as connection:
        where = {"organization_id": tenant.principal.organization_id}
        await connection.execute(sa.text("UPDATE turns SET model = 'gone' WHERE organization_id = :organization_id"), where)
    [row] = await report(caller, group_by="day")
    assert (row["cost"], row["unpriced_tokens"]) == (0, spent["input_tokens"] + spent["output_tokens"])


async def test_only_the_time_that_is_asked_for_counts(office: Office, tenant: Tenant) -> None:
    caller = office.caller(tenant.secret)
    await say(caller, "free")
    now = int(time.time())
    assert await report(caller, start=now - 7200, end=now - 3600) == []
    assert len(await report(caller, start=now - 7200, end=now + 60)) == 1


async def test_anothers_usage_is_not_there_and_all_of_it_is_for_operators(
    office: Office, tenant: Tenant, other_tenant: Tenant
) -> None:
    operator, theirs = office.caller(tenant.secret), office.caller(other_tenant.secret)
    await say(theirs, "free")
    key = await operator.made("/admin/v1/keys", {"name": "admin", "scopes": ["admin"]})
    admin = office.caller(key["secret"])
    whose = {"organization_id": other_tenant.principal.organization_id}
    assert await report(admin, group_by="organization") == []
    assert (await admin("GET", "/admin/v1/usage", params=whose)).status_code == 404
    assert (await admin("GET", "/admin/v1/usage", params={"all_organizations": True})).status_code == 403
    [row] = await report(operator, group_by="organization", **whose)
    assert row["organization"] == whose["organization_id"]
    everybody = await report(operator, group_by="organization", all_organizations=True)
    assert row in everybody


@pytest.mark.parametrize(
    "query",
    [
        {"group_by": "colour"},
        {"group_by": ""},
        {"group_by": "day,day"},
        {"group_by": "day; DROP TABLE turns"},
        {"start": 10, "end": 10},
        {"start": 0, "end": 367 * 86_400},
        {"start": -1},
        {"end": 10**18},
        {"format": "xml"},
        {"all_organizations": "perhaps"},
        {"organization_id": "\x00"},
    ],
)
async def test_a_report_that_makes_no_sense_is_refused(office: Office, tenant: Tenant, query: dict[str, Any]) -> None:
    answer = await office.caller(tenant.secret)("GET", "/admin/v1/usage", params=query)
    assert answer.status_code in (400, 404)


async def test_a_report_has_an_end(database: Database, tenant: Tenant, office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """In rows and in seconds, so that no report keeps the database busy."""
    for model in ("priced", "free"):
        await say(office.caller(tenant.secret), model)
    now, store = datetime.now(UTC), UsageStore(database)
    when = {"start": now - timedelta(days=1), "end": now + timedelta(days=1)}
    monkeypatch.setattr(usage, "MOST_ROWS", 1)
    with pytest.raises(usage.InvalidRequest, match="more than 1 rows"):
        await store.used(tenant.principal.organization_id, by=["model"], **when)
    monkeypatch.setattr(usage, "_TURNS", usage._TURNS.replace("SELECT id,", "SELECT id, pg_sleep(5),"))
    monkeypatch.setattr(usage, "LONGEST_SECONDS", 0.05)
    with pytest.raises(usage.InvalidRequest, match="takes longer"):
        await store.used(tenant.principal.organization_id, by=["model"], **when)
