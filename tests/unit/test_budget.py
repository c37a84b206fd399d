"""What a turn may spend, and how a model in circles is noticed."""

import pytest

from core.conversations.budget import Budget, TurnLimits
from core.llm.contract import Sampling, ToolChoice, ToolMode
from core.messages import ToolCall, Usage


def call(name: str, arguments: str = "{}") -> ToolCall:
    return ToolCall(id="c", name=name, arguments=arguments)


def budget(**options: int) -> Budget:
    return Budget(
        TurnLimits(steps=options.pop("steps", 100)), Sampling(max_output_tokens=options.pop("tokens", None)), **options
    )


@pytest.mark.parametrize(
    ("names", "allowed"),
    [
        ("aaa", 2),
        ("ababab", 5),
        ("aabaab", 6),
        ("abcabcabc", 9),
        ("abaaa", 4),
        ("aabb", 4),
    ],
)
def test_the_same_call_three_times_and_two_calls_in_turn_three_times_are_loops(names: str, allowed: int) -> None:
    spent = budget()
    steps = [spent.take_step([call(name)]) for name in names]
    assert (steps.index(False) if False in steps else len(steps)) == allowed


def test_blanks_and_the_order_of_names_make_no_other_call() -> None:
    spent = budget()
    ways = ['{"a": 1, "b": 2}', '{"b":2,"a":1}', '{ "a": 1,\n "b": 2 }']
    assert [spent.take_step([call("f", way)]) for way in ways] == [True, True, False]


def test_other_arguments_make_another_call() -> None:
    spent = budget()
    assert all(spent.take_step([call("a", f'{{"n": {n}}}')]) for n in range(20))


def test_the_output_tokens_of_all_replies_count_together() -> None:
    spent = budget(tokens=100)
    spent.spend(Usage(output=60))
    assert spent.sampling().max_output_tokens == 40
    assert not spent.exhausted
    spent.spend(Usage(output=40))
    assert spent.exhausted


def test_a_forced_tool_choice_holds_for_the_first_reply_only() -> None:
    spent = budget()
    forced = ToolChoice(mode=ToolMode.REQUIRED)
    assert spent.tool_choice(forced) == forced
    spent.take_step([call("a")])
    assert spent.tool_choice(forced) == ToolChoice()
    assert spent.tool_choice(ToolChoice(mode=ToolMode.NONE)).mode is ToolMode.NONE


def test_a_model_that_may_call_no_more_is_asked_without_tools() -> None:
    spent = budget(steps=1)
    spent.take_step([call("a")])
    assert spent.tool_choice(ToolChoice()).mode is ToolMode.NONE
    counted = budget(max_tool_calls=1)
    assert counted.take_call()
    assert not counted.take_call()
    assert counted.tool_choice(ToolChoice()).mode is ToolMode.NONE
