"""What a turn that runs waits for before it goes on."""

import asyncio

import pytest

from core.audit.turns import TurnAudit
from core.conversations.feed import Feed
from core.conversations.record import Recorder
from core.conversations.running import RunningTurn
from core.conversations.story import Story
from core.events import NestedDispatched, TextDelta, ToolDispatched, ToolOutput, TurnEnded, TurnStarted, TurnStatus
from core.storage.database import Database
from core.storage.journal import Acceptance, Journal
from tests.unit.wire_stories import turn

DISPATCHED = ToolDispatched(item=0, call_id="call_1", tool="plan", version_digest="d", effect="effectful", arguments_digest="a")
NESTED = NestedDispatched(
    item=0, path=(0,), call_id="call_1/0", tool="step", version_digest="d", effect="effectful", arguments_digest="a"
)


@pytest.fixture
async def running() -> RunningTurn:
    """An unstored turn, beside a journal that never gets to write."""
    unstored, feed = turn(stored=False), Feed()
    acceptance = Acceptance(turn=unstored, request="{}", metadata="{}", inputs=(), lease_owner="me", lease_seconds=10)
    journal = Journal(Database.__new__(Database)).open_turn(acceptance, publish=feed.publish)
    return RunningTurn(unstored, feed, journal, Recorder(Story(unstored.id), TurnAudit(unstored)))


async def test_what_another_call_prints_meanwhile_does_not_make_a_dispatch_durable(running: RunningTurn) -> None:
    for event in (TurnStarted(), DISPATCHED, NESTED, ToolOutput(item=1, stream="stdout", text="meanwhile")):
        running.record(event)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await running.durable()


async def test_text_that_is_kept_nowhere_is_not_waited_for(running: RunningTurn) -> None:
    running.record(TurnStarted())
    await running.durable()


async def test_what_a_provider_says_of_its_failure_is_made_text_that_can_be_kept(running: RunningTurn) -> None:
    running.record(TurnStarted())
    ending = asyncio.create_task(running.finish(TurnEnded(status=TurnStatus.FAILED, reason="m", message="bad \ud800 byte")))
    await asyncio.sleep(0)
    [pending] = running._journal._journal._line.values()
    assert pending.end is not None
    assert pending.end.message == "bad \ufffd byte"
    ending.cancel()


async def test_nobody_is_told_the_end_of_a_turn_that_is_not_counted_yet(running: RunningTurn) -> None:
    for event in (TurnStarted(), TextDelta(item=0, text="said at once"), TurnEnded(status=TurnStatus.COMPLETED)):
        running.record(event)
    assert [type(recorded.event) for recorded in running.feed.events] == [TurnStarted, TextDelta]
