"""What a model call is expected to take, before it is made, and what it took, however it ended."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing, suppress
from typing import cast

import pytest

from core.limits.limiter import Grant
from core.limits.metering import ASSUMED_OUTPUT, MeteredModel, demand
from core.llm.contract import CallChunk, ModelRequest, ModelUnavailable, Sampling, TextChunk
from core.llm.declaration import ModelDeclaration, Prices
from core.llm.observed import ObservedModel
from core.llm.tokens import MESSAGE_TOKENS
from core.messages import Text, Usage, UserMessage
from core.telemetry.telemetry import Telemetry, silent
from tests.doubles.models import DONE, Silence, Step, StepModel


def asking(most: int | None) -> ModelRequest:
    return ModelRequest(messages=[UserMessage(parts=(Text(text="hello"),))], sampling=Sampling(max_output_tokens=most))


def test_input_and_the_output_that_is_asked_for_are_reserved() -> None:
    model, asked = StepModel([[]]), len("hello") + MESSAGE_TOKENS
    assert demand(asking(50), model) == asked + 50
    assert demand(asking(None), model) == asked + ASSUMED_OUTPUT


def test_a_request_for_endless_output_reserves_no_more_than_its_model_can_write() -> None:
    """Else one caller's request keeps all others of the organisation waiting until it is over."""
    model = StepModel([[]], context_tokens=4096)
    assert demand(asking(2**31 - 1), model) == len("hello") + MESSAGE_TOKENS + 4096


HALF = TextChunk(text="half an answer")
ASKED = len("hello") + MESSAGE_TOKENS
CUT = Usage(input=ASKED, output=len("half an answer"))


class Purse:
    """A grant of whatever is asked for."""

    async def reserve(self, tokens: int) -> None:
        self.reserved = tokens

    def spend(self, tokens: int) -> None:
        self.spent = tokens


@pytest.mark.parametrize(
    ("reply", "read", "took"),
    [
        ([HALF, DONE], 9, DONE.usage),
        ([HALF, DONE], 1, CUT),
        ([HALF, CallChunk(index=0, id="1", name="f", arguments="{}"), Silence()], 2, Usage(input=ASKED, output=CUT.output + 2)),
        ([HALF, ModelUnavailable("it broke off", retryable=False)], 9, CUT),
        ([ModelUnavailable("it is down", retryable=False)], 9, Usage()),
        ([Silence()], 9, Usage(input=ASKED)),
        ([HALF, Silence()], 9, CUT),
    ],
    ids=["whole", "reader left", "left amid a call", "broke off", "down", "cancelled before a word", "cancelled amid"],
)
async def test_what_a_call_took_is_the_same_in_the_metrics_as_it_is_for_limits_and_usage(
    reply: Sequence[Step], read: int, took: Usage
) -> None:
    told: list[Usage] = []
    purse, telemetry = Purse(), silent()
    declaration = ModelDeclaration(name="m", backend="scripted", prices=Prices(input=1000, output=3000))
    observed = ObservedModel(StepModel([reply]), declaration, telemetry)
    metered = MeteredModel(observed, cast(Grant, purse), told.append)

    async def ask() -> None:
        async with aclosing(metered.stream(asking(50))) as chunks:
            for _ in range(read):
                await anext(chunks)

    with suppress(ModelUnavailable, StopAsyncIteration, TimeoutError):
        async with asyncio.timeout(0.05):
            await ask()
    counted = {labels["kind"]: value for labels, value in seen(telemetry, "paddock_tokens_total")}
    [(_, dollars)] = seen(telemetry, "paddock_cost_dollars_total")
    assert told == [took]
    assert purse.spent == took.input + took.output
    assert (counted["input"], counted["output"]) == (took.input, took.output)
    assert dollars == pytest.approx((took.input * 1000 + took.output * 3000) / 1_000_000)


def seen(telemetry: Telemetry, series: str) -> list[tuple[Mapping[str, str], float]]:
    families = telemetry.metrics.registry.collect()
    return [(sample.labels, sample.value) for family in families for sample in family.samples if sample.name == series]
