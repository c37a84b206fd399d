"""What a model may send that is not as it should be, and a history that no model wrote."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest

from core.conversations import loop
from core.conversations.asking import asking
from core.conversations.budget import Budget, TurnLimits
from core.conversations.context import NO_RESULT, assemble
from core.conversations.reply import REPLY_WEIGHT
from core.conversations.request import TurnRequest
from core.egress.client import Answer, Judge, Request
from core.events import Replied, ToolDispatched, ToolReturned, TurnEnded
from core.llm.contract import CallChunk, Chunk, Finished, ModelRequest, Sampling, TextChunk
from core.messages import (
    FinishReason,
    FunctionOutputItem,
    Item,
    MessageItem,
    Offer,
    Reply,
    Role,
    Text,
    ToolCall,
    ToolCallItem,
    ToolResult,
    Transcript,
    Usage,
)
from core.tools.catalog import Registered, shipped
from core.tools.executor import Prepared, Toolset
from core.tools.work import Workshop
from sandbox import Invocation, OnCall, OnOutput, Outcome, refuse_calls
from tests.doubles.uploads import NO_PROGRAMS


class Nowhere:
    """A sandbox that says how many programs it was given."""

    runs = 0

    async def run(self, invocation: Invocation, on_output: OnOutput, on_call: OnCall = refuse_calls) -> Outcome:
        self.runs += 1
        return Outcome(exit_code=0, stdout=b"ok", stderr=b"", cpu_seconds=0.0, wall_seconds=0.0)

    def refusal(self, host: str) -> str | None:
        raise AssertionError("no tool here speaks HTTP")

    async def send(self, request: Request, *, seconds: float, body_bytes: int, judge: Judge, redirects: int = 0) -> Answer:
        raise AssertionError("no tool here speaks HTTP")


async def _durable() -> None:
    pass


async def _never(_tool: Registered) -> None:
    pass


def toolset(sandbox: Nowhere, *, one_at_a_time: bool = False) -> Toolset:
    return Toolset(
        builtins=shipped(),
        registered=(),
        functions=(),
        workshop=Workshop(sandbox=sandbox, egress=sandbox, programs=NO_PROGRAMS, secrets={}),
        refusal=_never,
        durable=_durable,
        retries=100,
        turn_id="resp_1",
        organization_id="org_1",
        one_at_a_time=one_at_a_time,
    )


def prepare(arguments: str) -> Prepared | ToolResult:
    return toolset(Nowhere()).prepare(ToolCall(id="c", name="code_interpreter", arguments=arguments))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ('{"code": "1", "code": "2"}', "the name 'code' is given twice"),
        ('{"code": NaN}', "arguments are not JSON"),
        ('{"code": -Infinity}', "arguments are not JSON"),
        ('{"code": 1e999}', "the number '1e999' is out of range"),
        ('{"code": "\\ud800"}', "arguments are not JSON"),
        ('{"code": "\ud800"}', "arguments are not JSON"),
        ('{"code": ' + "9" * 10_000 + "}", "arguments are not JSON"),
        ('{"code": ' + "[" * 100_000 + "]" * 100_000 + "}", "arguments are not JSON"),
        ('{"code": ' + "[" * 500 + "]" * 500 + "}", "arguments are not JSON"),
        ('{"code": ' + "[" * 150 + "]" * 150 + "}", "code: "),
        ('{"code": 1' + ' ' * 1_000_000 + "}", "arguments have 1000011 characters"),
        ('{"code": "x"} {}', "arguments are not JSON"),
        ("nul", "arguments are not JSON"),
        ("", '"code" is a required property'),
    ],
    ids=range(14),
)  # fmt: skip
def test_arguments_that_are_no_plain_json_are_told_to_the_model(arguments: str, told: str) -> None:
    refused = prepare(arguments)
    assert isinstance(refused, ToolResult)
    assert refused.failed
    assert told in refused.content
    assert len(refused.content) < 1_000


def test_an_empty_name_and_a_huge_one_are_unknown_tools() -> None:
    for name in ("", "x" * 1_000_000, "\x00"):
        refused = toolset(Nowhere()).prepare(ToolCall(id="c", name=name, arguments="{}"))
        assert isinstance(refused, ToolResult)
        assert refused.content.startswith("unknown tool")
        assert len(refused.content) < 1_000


class Says:
    """A model that streams these chunks, reply after reply, and counts them. As raw as a model may be without a checker."""

    context_tokens = None
    accepts_images = False

    def __init__(self, *replies: Any) -> None:
        self._replies = iter(replies)
        self.sent = 0

    def count_tokens(self, text: str) -> int:
        return len(text)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Chunk, None]:
        for chunk in next(self._replies):
            self.sent += 1
            yield chunk


DONE = Finished(reason=FinishReason.STOP, usage=Usage(output=1))


async def events_of(model: Says, sandbox: Nowhere) -> list[Any]:
    tools = toolset(sandbox)
    budget = Budget(TurnLimits(), Sampling())
    ask = asking(model, TurnRequest(input=(), builtins=("code_interpreter",)), tools)
    async with aclosing(loop.run("resp_1", Transcript(), ask=ask, tools=tools, budget=budget)) as events:
        return [event async for event in events]


@pytest.mark.parametrize("piece", ["x" * 100_000, "y"])
async def test_a_reply_without_an_end_is_cut_off(piece: str) -> None:
    model = Says(TextChunk(text=piece) for _ in range(10**9))
    *_, replied, ended = await events_of(model, Nowhere())
    assert isinstance(replied, Replied)
    assert replied.finish is FinishReason.LENGTH
    assert replied.usage.output > 0
    assert isinstance(ended, TurnEnded)
    assert ended.reason == "max_output_tokens"
    assert model.sent * len(piece) <= REPLY_WEIGHT + len(piece)
    assert model.sent < 1_000_000


async def test_of_a_thousand_calls_at_once_a_bounded_number_runs_and_all_are_answered() -> None:
    calls = [
        CallChunk(index=n, id=f"c{n}", name="code_interpreter", arguments=json.dumps({"code": str(n)})) for n in range(1000)
    ]
    model, sandbox = (
        Says([*calls, Finished(reason=FinishReason.TOOL_CALLS, usage=Usage())], [TextChunk(text="ok"), DONE]),
        Nowhere(),
    )
    events = await events_of(model, sandbox)
    returned = [event for event in events if isinstance(event, ToolReturned)]
    assert len(returned) == 1000
    assert sandbox.runs == sum(isinstance(event, ToolDispatched) for event in events) == loop.CALLS_AT_ONCE
    assert sum(event.result.content == loop.TOO_MANY_CALLS for event in returned) == 1000 - loop.CALLS_AT_ONCE


def says(role: Role, text: str) -> MessageItem:
    return MessageItem(id="m", role=role, parts=(Text(text=text),))


def called(call_id: str, *, complete: bool = True) -> ToolCallItem:
    call = ToolCall(id=call_id, name="f", arguments="{}" if complete else '{"a')
    return ToolCallItem(id="t", call=call, offer=Offer.FUNCTION, complete=complete)


def output(call_id: str, text: str) -> FunctionOutputItem:
    return FunctionOutputItem(id="o", call_id=call_id, output=text)


def test_a_call_id_that_comes_again_does_not_take_the_first_ones_output() -> None:
    items: list[Item] = [
        says(Role.USER, "Oslo?"), called("call_0"), output("call_0", "rain"), says(Role.ASSISTANT, "Rain."),
        says(Role.USER, "Rome?"), called("call_0"), output("call_0", "sun"),
    ]  # fmt: skip
    results = [message.content for message in assemble(items, None) if isinstance(message, ToolResult)]
    assert results == ["rain", "sun"]


def test_a_call_that_was_cut_off_is_not_told_to_the_model_again() -> None:
    items: list[Item] = [
        says(Role.USER, "q"),
        says(Role.ASSISTANT, "let me"),
        called("a", complete=False),
        says(Role.USER, "?"),
    ]
    assert [type(message) for message in assemble(items, None)].count(ToolResult) == 0
    assert all(not message.tool_calls for message in assemble(items, None) if isinstance(message, Reply))


def test_a_history_of_nothing_but_outputs_calls_and_repetitions_still_pairs_up() -> None:
    items: list[Item] = [
        output("x", "orphan"), called("a"), called("a"), output("a", "1"), output("a", "2"), output("a", "3"),
        called("b"), called("c", complete=False), output("c", "late"),
    ]  # fmt: skip
    told = assemble(items, None)
    assert [[call.id for call in m.tool_calls] if isinstance(m, Reply) else None for m in told] == [
        ["a", "a"], None, None, ["b", "c"], None, None,
    ]  # fmt: skip
    assert [(m.call_id, m.content) for m in told if isinstance(m, ToolResult)] == [
        ("a", "1"), ("a", "2"), ("b", NO_RESULT), ("c", "late"),
    ]  # fmt: skip


@pytest.mark.parametrize("ticks", range(8))
async def test_a_cancellation_that_meets_the_end_of_a_tool_is_not_lost(ticks: int) -> None:
    call = CallChunk(index=0, id="c", name="code_interpreter", arguments='{"code": "1"}')
    tools, asked_again = toolset(Nowhere()), asyncio.Event()

    class Asks(Says):
        async def stream(self, request: ModelRequest) -> AsyncGenerator[Chunk, None]:
            if request.messages:
                asked_again.set()
                await asyncio.Event().wait()
            yield call
            yield Finished(reason=FinishReason.TOOL_CALLS, usage=Usage())

    ask = asking(Asks(), TurnRequest(input=(), builtins=("code_interpreter",)), tools)
    turn = loop.run("resp_1", Transcript(), ask=ask, tools=tools, budget=Budget(TurnLimits(), Sampling()))

    async def play() -> None:
        async with aclosing(turn):
            async for event in turn:
                if isinstance(event, ToolReturned):
                    cancelling.append(asyncio.create_task(cancel_after(ticks)))

    async def cancel_after(ticks: int) -> None:
        for _ in range(ticks):
            await asyncio.sleep(0)
        playing.cancel()

    cancelling: list[asyncio.Task[None]] = []
    playing = asyncio.create_task(play())
    done, _ = await asyncio.wait([playing], timeout=60)
    playing.cancel()
    assert done == {playing}
    assert playing.cancelled()


async def test_of_two_calls_that_an_earlier_version_took_where_one_was_asked_for_one_is_run() -> None:
    items = tuple(
        ToolCallItem(
            id=f"ci_{call_id}",
            call=ToolCall(id=call_id, name="code_interpreter", arguments='{"code": "1"}'),
            offer=Offer.CODE_INTERPRETER,
        )
        for call_id in "ab"
    )
    said = Replied(step=0, first_item=0, items=items, usage=Usage(), finish=FinishReason.TOOL_CALLS, seconds=0.0)
    tools, entrance = toolset(Nowhere(), one_at_a_time=True), loop.Entrance(item=2, replied=said)
    ask = asking(Says([TextChunk(text="done"), DONE]), TurnRequest(input=()), tools)
    budget = Budget(TurnLimits(), Sampling())
    events = [event async for event in loop.run("resp_1", Transcript(), ask=ask, tools=tools, budget=budget, entrance=entrance)]
    assert [event.call_id for event in events if isinstance(event, ToolDispatched)] == ["a"]
    returned = {event.item: event.result.content for event in events if isinstance(event, ToolReturned)}
    assert returned[1] == loop.ONE_CALL_AT_A_TIME
