"""A turn is cancelled from whichever process is asked, long before its lease would be renewed."""

import asyncio
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from core.bootstrap import Platform
from core.events import ToolOutput, TurnStatus
from tests.integration.conftest import Stage, Tenant
from tests.integration.test_tool_registry import audited
from tests.integration.test_turns import SLOW, asking, code

PATIENCE_SECONDS = 30
LEASE_SECONDS = 300  # what is seen at its renewal is not seen here


@pytest.mark.parametrize("redis", ["there", "away"])
async def test_a_turn_is_cancelled_from_another_process(stage: Stage, tenant: Tenant, tmp_path: Path, redis: str) -> None:
    if redis == "away":
        stage = replace(stage, addresses=replace(stage.addresses, redis=f"unix://{tmp_path / 'nobody.sock'}"))
    async with (
        asyncio.timeout(PATIENCE_SECONDS),
        stage.open_with(SLOW, lease_seconds=LEASE_SECONDS) as runs,
        stage.open_with(SLOW, lease_seconds=LEASE_SECONDS) as asked,
    ):
        turn = await runs.turns.start(tenant.principal, asking("go"))
        other = await runs.turns.start(tenant.principal, asking("go"))
        assert (await asked.turns.cancel(tenant.principal, turn.id)).status is TurnStatus.CANCELLED
        await gone(runs, turn.id)
        assert not (await asked.turns.get(tenant.principal, other.id)).status.ended
        await runs.turns.cancel(tenant.principal, other.id)
        assert (await runs.turns.cancel(tenant.principal, other.id)).status is TurnStatus.CANCELLED
        told = [record["object"] for record in await audited(asked, tenant) if record["kind"] == "turn.cancelled"]
        assert told == [turn.id, other.id], "who cancelled it is told once, wherever it ran"


async def test_an_administrator_stops_a_turn_that_is_not_stored_from_another_process(stage: Stage, tenant: Tenant) -> None:
    loops = code("print('started', flush=True)\nwhile True: pass")
    async with asyncio.timeout(PATIENCE_SECONDS), stage.open_with(loops) as runs, stage.open_with(loops) as asked:
        request = asking("go", store=False, builtins=("code_interpreter",))
        turn = await runs.turns.start(tenant.principal, request)
        async with aclosing(runs.turns.follow(tenant.principal, turn.id)) as events:
            async for recorded in events:
                if isinstance(recorded.event, ToolOutput):
                    break
            stopped = await asked.turns.cancel_any(tenant.principal, turn.id)
        assert (stopped.status, stopped.stored) == (TurnStatus.CANCELLED, False)
        assert turn.id not in runs.turns.running


async def gone(platform: Platform, turn_id: str) -> None:
    """Soon: others see its end in the database before who wrote it there is told that it is written."""
    while turn_id in platform.turns.running:
        await asyncio.sleep(0.01)
