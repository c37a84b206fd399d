import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from random import Random
from typing import Any

import pytest

from core.llm.contract import (
    Chunk,
    Finished,
    ModelBusy,
    ModelError,
    ModelRefused,
    ModelRequest,
    ModelTimedOut,
    ModelUnavailable,
    Sampling,
    TextChunk,
)
from core.llm.declaration import ModelDeclaration
from core.llm.resilience import ResilientModel
from tests.doubles.models import DONE, Silence, Step, StepModel

ASK = ModelRequest(messages=[])
HELLO = TextChunk(text="hello")


def down(**fields: Any) -> ModelUnavailable:
    return ModelUnavailable("down", **{"retryable": True, **fields})


class Around:
    """A model with everything around it, a clock that only sleeping moves, and a record of the sleeps."""

    def __init__(self, *replies: Sequence[Step], random: Random | None = None, **fields: Any) -> None:
        self.model = StepModel(replies)
        self.sleeps: list[float] = []
        self.sleeps_for_ever = False
        self.now = 0.0
        declaration = ModelDeclaration.model_validate({"name": "m", "backend": "openai", **fields})
        self.resilient = ResilientModel(
            self.model, declaration, clock=lambda: self.now, sleep=self.sleep, random=random or Random(7)
        )

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        if self.sleeps_for_ever:
            await asyncio.Event().wait()
        self.now += seconds

    async def whole(self, request: ModelRequest = ASK) -> list[Chunk]:
        async with aclosing(self.resilient.stream(request)) as chunks:
            return [chunk async for chunk in chunks]

    async def failure(self) -> ModelError:
        with pytest.raises(ModelError) as caught:
            await self.whole()
        return caught.value


async def test_a_failure_before_the_first_chunk_is_asked_again() -> None:
    around = Around([down()], [down()], [HELLO, DONE])
    assert await around.whole() == [HELLO, DONE]
    assert len(around.model.asked) == around.model.closed == 3


async def test_the_pauses_grow_and_are_drawn_from_their_whole_range() -> None:
    pauses = [0.0] * 5
    for seed in range(200):
        retries = {"attempts": 6, "base_seconds": 1, "max_seconds": 5}
        around = Around([down()], random=Random(seed), retries=retries, breaker={"failures": 99})
        await around.failure()
        assert all(0 <= pause <= ceiling for pause, ceiling in zip(around.sleeps, [1, 2, 4, 5, 5], strict=True))
        pauses = [max(pair) for pair in zip(pauses, around.sleeps, strict=True)]
    assert all(most > 0.9 * ceiling for most, ceiling in zip(pauses, [1, 2, 4, 5, 5], strict=True))


async def test_a_failure_after_the_first_chunk_is_never_asked_again() -> None:
    around = Around([HELLO, down()], [HELLO, DONE])
    chunks = around.resilient.stream(ASK)
    assert await anext(chunks) == HELLO
    with pytest.raises(ModelUnavailable):
        await anext(chunks)
    assert len(around.model.asked) == around.model.closed == 1


@pytest.mark.parametrize(
    "error", [ModelRefused("no"), down(retryable=False), down(counts=False)], ids=["refused", "final", "does not count"]
)
async def test_what_asking_again_cannot_help_is_not_asked_again(error: ModelError) -> None:
    around = Around([error], [HELLO, DONE])
    assert await around.failure() is error
    assert around.sleeps == []


async def test_the_wait_a_provider_asks_for_is_waited() -> None:
    around = Around([down(retry_after=7)], [HELLO, DONE])
    await around.whole()
    assert around.sleeps == [7]


async def test_a_wait_longer_than_we_would_is_told_to_the_caller_instead() -> None:
    around = Around([down(retry_after=600)], [HELLO, DONE])
    assert (await around.failure()).retry_after == 600
    assert around.sleeps == []


async def test_no_attempt_begins_that_the_total_time_would_not_let_begin() -> None:
    around = Around([down(retry_after=7)], timeouts={"total": 6}, retries={"max_seconds": 10})
    await around.failure()
    assert len(around.model.asked) == 1


async def test_after_the_last_attempt_the_error_is_the_providers() -> None:
    around = Around([down()], [down()], [ModelUnavailable("still down", retryable=True)])
    assert (await around.failure()).message == "still down"


async def test_a_provider_that_keeps_failing_is_left_alone() -> None:
    around = Around([down()], retries={"attempts": 1}, breaker={"failures": 2, "cooldown_seconds": 30})
    await around.failure()
    await around.failure()
    refused = await around.failure()
    assert "is not asked for another 30 s" in refused.message
    assert len(around.model.asked) == 2
    around.now += 30
    around.model.replies = [[HELLO, DONE]]
    assert await around.whole() == [HELLO, DONE]
    assert await around.whole() == [HELLO, DONE]


async def test_refusals_do_not_open_the_breaker() -> None:
    around = Around([ModelRefused("no")], breaker={"failures": 1})
    for _ in range(5):
        await around.failure()
    assert len(around.model.asked) == 5


async def test_a_provider_that_is_asked_too_often_is_asked_again_when_it_says_and_shut_for_nobody() -> None:
    around = Around([ModelBusy("slow down", retry_after=7)], breaker={"failures": 1})
    for _ in range(3):
        assert isinstance(await around.failure(), ModelBusy)
    assert len(around.model.asked) == 9
    assert around.sleeps == [7] * 6
    around.model.replies = [[HELLO, DONE]]
    assert await around.whole() == [HELLO, DONE]


async def test_a_probe_that_comes_too_often_lets_the_next_one_try() -> None:
    limits = {"failures": 1, "cooldown_seconds": 30}
    around = Around([down()], retries={"attempts": 1}, breaker=limits)
    await around.failure()
    around.now += 30
    around.model.replies = [[ModelBusy("slow down")]]
    assert (await around.failure()).message == "slow down"
    around.model.replies = [[HELLO, DONE]]
    assert await around.whole() == [HELLO, DONE]


async def test_while_the_probe_is_unanswered_nobody_else_is_asked_and_once_it_speaks_everybody_is() -> None:
    around = Around([down()], retries={"attempts": 1}, breaker={"failures": 1, "cooldown_seconds": 30})
    await around.failure()
    around.now += 30
    around.model.replies = [[HELLO, Silence()]]
    probe = around.resilient.stream(ASK)
    asking = asyncio.ensure_future(anext(probe))
    await asyncio.sleep(0)
    assert "being tried again" in (await around.failure()).message
    assert await asking == HELLO
    listening = asyncio.ensure_future(anext(probe))
    await asyncio.sleep(0)
    around.model.replies = [[HELLO, DONE]]
    assert await around.whole() == [HELLO, DONE]
    listening.cancel()
    await asyncio.wait([listening])


async def test_a_probe_that_is_given_up_by_its_caller_lets_the_next_one_try() -> None:
    around = Around([down()], retries={"attempts": 1}, breaker={"failures": 1, "cooldown_seconds": 30})
    await around.failure()
    around.now += 30
    around.model.replies = [[Silence()]]
    asking = asyncio.ensure_future(around.whole())
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking])
    around.model.replies = [[HELLO, DONE]]
    assert await around.whole() == [HELLO, DONE]


@pytest.mark.parametrize(
    ("reply", "limits", "awaited"),
    [
        ([Silence()], {"first_token": 0.01}, "its first token"),
        ([HELLO, Silence()], {"between_tokens": 0.01}, "the next token"),
        ([HELLO, Silence()], {"total": 0.01}, "a whole reply within 0.01 s"),
    ],
)
async def test_each_wait_has_its_limit(reply: Sequence[Step], limits: dict[str, float], awaited: str) -> None:
    around = Around(reply, timeouts=limits, retries={"attempts": 1})
    error = await around.failure()
    assert isinstance(error, ModelTimedOut)
    assert awaited in error.message
    assert around.model.closed == 1


async def test_a_model_that_does_not_begin_is_asked_again() -> None:
    around = Around([Silence()], [HELLO, DONE], timeouts={"first_token": 0.01})
    assert await around.whole() == [HELLO, DONE]


async def test_closing_closes_the_model_before_it_returns() -> None:
    around = Around([HELLO, Silence()])
    chunks = around.resilient.stream(ASK)
    await anext(chunks)
    await chunks.aclose()
    assert around.model.closed == 1


async def test_cancelling_who_waits_closes_the_model() -> None:
    around = Around([Silence()])
    asking = asyncio.ensure_future(around.whole())
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert around.model.closed == 1


async def test_cancelling_who_pauses_before_another_attempt_ends_the_request() -> None:
    around = Around([down()], [HELLO, DONE])
    around.sleeps_for_ever = True
    asking = asyncio.ensure_future(around.whole())
    while not around.sleeps:
        await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert len(around.model.asked) == 1


async def test_a_model_that_just_stops_has_not_answered() -> None:
    around = Around([])
    assert "without saying so" in (await around.failure()).message
    assert len(around.model.asked) == 3


async def test_nothing_follows_the_first_end() -> None:
    around = Around([HELLO, DONE, HELLO, DONE])
    assert await around.whole() == [HELLO, DONE]
    assert around.model.closed == 1


async def test_the_model_is_let_go_before_its_end_is_told() -> None:
    around = Around([DONE])
    chunks = around.resilient.stream(ASK)
    assert isinstance(await anext(chunks), Finished)
    assert around.model.closed == 1
    await chunks.aclose()


async def test_the_declared_limit_on_output_holds_where_the_request_says_none() -> None:
    around = Around([DONE], max_output_tokens=50)
    await around.whole()
    await around.whole(ModelRequest(messages=[], sampling=Sampling(max_output_tokens=7)))
    assert [request.sampling.max_output_tokens for request in around.model.asked] == [50, 7]
