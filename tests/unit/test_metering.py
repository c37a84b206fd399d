"""What a model call is expected to take, before it is made."""

from core.limits.metering import ASSUMED_OUTPUT, demand
from core.llm.contract import ModelRequest, Sampling
from core.llm.tokens import MESSAGE_TOKENS
from core.messages import Text, UserMessage
from tests.doubles.models import StepModel


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
