"""A turn in the background that failed in a way that may pass waits again, and goes on from where it was."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from core.bootstrap import Platform
from core.conversations import states
from core.conversations.adoption import MOST_EPOCHS
from core.conversations.request import Queue
from core.events import TurnDeferred, TurnStatus
from core.llm.contract import ModelUnavailable
from core.storage.database import Database
from core.storage.records import Turn
from core.storage.tables import audit_records, turns
from tests.integration.conftest import Stage, Tenant
from tests.integration.test_journal import a_turn
from tests.integration.test_turns import asking, text

PATIENCE_SECONDS = 30
HALF: dict[str, Any] = {"when": {"contains": "go"}, "reply": [{"text": "half of"}, {"error": {"status": 503}}]}
SOON: dict[str, Any] = {"background_retries": [0.1, 0.1]}
WHOLE = {"reply": {"text": " the whole"}}


async def ended(platform: Platform, tenant: Tenant, queue: Queue | None) -> Turn:
    turn = await platform.turns.start(tenant.principal, asking("go", queue=queue))
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await platform.turns.wait(tenant.principal, turn.id)


async def test_what_may_pass_is_tried_again_and_what_had_come_stands(stage: Stage, tenant: Tenant, database: Database) -> None:
    async with stage.open_with({**HALF, "times": 1}, WHOLE, **SOON) as platform:
        turn = await ended(platform, tenant, Queue.BACKGROUND)
        events = await platform.turns.events(tenant.principal, turn.id)
    assert turn.status is TurnStatus.COMPLETED
    assert text(events) == "half of the whole"
    assert [recorded.event.reason for recorded in events if isinstance(recorded.event, TurnDeferred)] == ["model_unavailable"]
    async with database.tenant(tenant.principal.organization_id) as connection:
        query = sa.select(audit_records.c.kind).where(audit_records.c.object == turn.id)
        assert (await connection.execute(query)).scalars().all().count("turn.deferred") == 1


async def test_it_ends_after_as_many_tries_as_there_may_be(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(HALF, **SOON) as platform:
        turn = await ended(platform, tenant, Queue.BACKGROUND)
        events = await platform.turns.events(tenant.principal, turn.id)
    assert (turn.status, turn.reason) == (TurnStatus.FAILED, "model_unavailable")
    assert text(events) == "half of" * 3


async def test_processes_that_die_use_up_none_of_the_tries_of_the_model(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    async with stage.open_with(HALF, background_turns=0) as platform:
        turn = await platform.turns.start(tenant.principal, asking("go", queue=Queue.BACKGROUND))
    async with database.everyone() as connection:
        left = {"status": "running", "lease_owner": "gone", "lease_epoch": MOST_EPOCHS - 1}
        expired = {"lease_expires_at": sa.func.now(), "started_at": sa.func.now()}
        await connection.execute(sa.update(turns).where(turns.c.id == turn.id).values(**left, **expired))
    async with stage.open_with({**HALF, "times": 2}, WHOLE, **SOON) as platform, asyncio.timeout(PATIENCE_SECONDS):
        ended = await platform.turns.wait(tenant.principal, turn.id)
        events = await platform.turns.events(tenant.principal, turn.id)
    assert ended.status is TurnStatus.COMPLETED
    assert text(events) == "half of" * 2 + " the whole"


async def test_where_the_operator_wants_no_next_try_it_fails_at_once(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(HALF, background_retries=[]) as platform:
        turn = await ended(platform, tenant, Queue.BACKGROUND)
        events = await platform.turns.events(tenant.principal, turn.id)
    assert (turn.status, turn.reason, text(events)) == (TurnStatus.FAILED, "model_unavailable", "half of")


@pytest.mark.parametrize(("asked", "pause"), [(None, 5.0), (1.0, 5.0), (60.0, 60.0), (1e300, states.LONGEST_PAUSE_SECONDS)])
async def test_a_provider_says_how_long_to_wait_and_never_for_ever(tenant: Tenant, asked: float | None, pause: float) -> None:
    failure = ModelUnavailable("away", retryable=True, retry_after=asked)
    turn = replace(a_turn(tenant), queue=Queue.BACKGROUND)
    assert states.pause_before_next_try(turn, failure, deferrals=0, pauses=(5.0,)) == pause


async def test_somebody_who_waits_for_the_answer_is_told_at_once(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with({**HALF, "times": 1}, WHOLE, **SOON) as platform:
        turn = await ended(platform, tenant, None)
    assert (turn.status, turn.reason) == (TurnStatus.FAILED, "model_unavailable")


async def test_one_that_waits_for_its_next_try_is_cancelled_at_once(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(HALF, background_retries=[3600]) as platform, asyncio.timeout(PATIENCE_SECONDS):
        turn = await platform.turns.start(tenant.principal, asking("go", queue=Queue.BACKGROUND))
        async for recorded in platform.turns.follow(tenant.principal, turn.id):
            if isinstance(recorded.event, TurnDeferred):
                break
        assert (await platform.turns.get(tenant.principal, turn.id)).status is TurnStatus.PENDING
        assert (await platform.turns.cancel(tenant.principal, turn.id)).status is TurnStatus.CANCELLED


async def test_an_end_is_for_ever_and_an_illegal_move_is_told_in_words(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(WHOLE) as platform:
        turn = await ended(platform, tenant, None)
    for status in TurnStatus:
        with pytest.raises(states.IllegalMove, match=f"is completed and cannot become {status}; .* nothing: that is an end"):
            states.moved(turn, status)
