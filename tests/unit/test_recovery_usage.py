"""What earlier tries of a turn took is read from its journal, each once."""

from collections.abc import Sequence

import pytest

from core.conversations.budget import Budget, TurnLimits
from core.conversations.recovery import Past
from core.events import CallDelta, CallStarted, ReplyCut, TextDelta, TurnDeferred, TurnEvent, TurnStarted
from core.llm.contract import Sampling
from core.messages import Offer, Transcript, Usage

SPENT = Usage(input=7, output=2)
HALF = TextDelta(item=0, text="half of")
DEFERRED = TurnDeferred(reason="model_unavailable", seconds=0.1, usage=SPENT)
UNANSWERED = TurnDeferred(reason="model_unavailable", seconds=0.1)
CALL = (CallStarted(item=0, call_id="c", name="f", offer=Offer.FUNCTION), CallDelta(item=0, arguments="{}"))


def letters(said: str) -> Usage:
    return Usage(input=100, output=len(said))


@pytest.mark.parametrize(
    ("told", "cut", "spent"),
    [
        ((), None, Usage()),
        ((HALF,), ReplyCut(first_item=0, usage=letters("half of")), letters("half of")),
        ((HALF, DEFERRED), ReplyCut(first_item=0), SPENT),
        ((UNANSWERED,), None, Usage()),
        ((UNANSWERED, HALF), ReplyCut(first_item=0, usage=letters("half of")), letters("half of")),
        ((HALF, ReplyCut(first_item=0, usage=SPENT)), None, SPENT),
        (
            (HALF, DEFERRED, ReplyCut(first_item=0), TextDelta(item=1, text="a")),
            ReplyCut(first_item=1, usage=letters("a")),
            SPENT + letters("a"),
        ),
        (CALL, ReplyCut(first_item=0, usage=letters("{}")), letters("{}")),
    ],
)
def test_what_is_told_is_not_estimated_again(told: Sequence[TurnEvent], cut: ReplyCut | None, spent: Usage) -> None:
    budget = Budget(TurnLimits(), Sampling(max_output_tokens=5))
    past = Past(Transcript([]), budget)
    for event in (TurnStarted(), *told):
        past.take(event)
    back = past.back(lambda _: None, letters)
    assert list(back.first) == ([] if cut is None else [cut])
    assert budget.usage == spent
    assert budget.sampling().max_output_tokens == 5, "the client's own limit is for the answer"
