"""One turn, start to finish. No database, no HTTP, no Redis: only the model and the tools."""

import asyncio
import codecs
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Literal

from core.conversations.budget import Budget
from core.conversations.reply import StreamedReply, as_message
from core.conversations.strict_answer import StrictAnswer
from core.events import (
    ApprovalRequested,
    NestedDispatched,
    NestedReturned,
    Replied,
    ToolDispatched,
    ToolOutput,
    ToolReturned,
    TurnEnded,
    TurnEvent,
    TurnStatus,
)
from core.llm.contract import Model, ModelRequest
from core.messages import FinishReason, Offer, Reply, ToolCallItem, ToolResult, Transcript
from core.tools.approval import Demand
from core.tools.definition import Effect, ToolVersion
from core.tools.executor import Prepared, Toolset
from core.tools.nested import NestedCall, Path, Written
from core.tools.telling import UNKNOWN
from sandbox import Stream

CUT_OFF = {FinishReason.LENGTH: "max_output_tokens", FinishReason.CONTENT_FILTER: "content_filter"}
SHOWN: Mapping[Stream, Literal["stdout", "stderr"]] = {Stream.STDOUT: "stdout", Stream.STDERR: "stderr"}
ANSWER_INVALID = "model_answer_invalid"
CALLS_AT_ONCE = 32
TOO_MANY_CALLS = f"not run: one reply may ask for {CALLS_AT_ONCE} calls; ask again for those that are still needed"
ONE_CALL_AT_A_TIME = "not run: the request asks for one call at a time; ask again if it is still needed"
NO_CALLS_LEFT = "not run: the limit of tool calls for this turn is reached; answer with what you have"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """The model, and how a transcript becomes a request to it: what fits, which tools, how to sample.

    answer: what was promised of the last reply. The server asks no second time for one that breaks it.
    """

    model: Model
    request: Callable[[Transcript, Budget], ModelRequest]
    answer: StrictAnswer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """Where the loop is entered. item: the ordinal of the next reply's first item.

    replied: what the model has said and nobody has acted on; results: of those of its calls that have returned; sent: the
    others that had begun; written: what the code of these has called.
    """

    step: int = 0
    item: int = 0
    replied: Replied | None = None
    results: Mapping[int, ToolResult] = field(default_factory=dict)
    sent: Mapping[int, Effect] = field(default_factory=dict)
    written: Mapping[int, Mapping[Path, Written]] = field(default_factory=dict)


BEGINNING = Entrance()


async def run(
    turn_id: str, transcript: Transcript, *, ask: Ask, tools: Toolset, budget: Budget, entrance: Entrance = BEGINNING
) -> AsyncGenerator[TurnEvent, None]:
    """Ask the model, run what it asks for, and ask again, until it has nothing left to ask. That it started is not told here.

    What it yields comes after `TurnStarted`. Raises ModelError. Closing the generator stops the model and kills the guests.
    """
    step, item, replied, results = entrance.step, entrance.item, entrance.replied, dict(entrance.results)
    while True:
        if replied is None:
            async with aclosing(_ask(turn_id, step, item, transcript, ask, tools, budget)) as events:
                async for event in events:
                    yield event
            assert isinstance(event, Replied)
            replied = event
        budget.spend(replied.usage)
        transcript.add(as_message(replied))
        calls = [(n, it) for n, it in enumerate(replied.items, replied.first_item) if isinstance(it, ToolCallItem)]
        if end := _end(replied, [call for _, call in calls], budget, ask.answer):
            yield end
            return
        left, waits = [(n, call) for n, call in calls if n not in results], False
        alone = calls[0][0] if tools.one_at_a_time else None  # journals of before may have more
        async with aclosing(_execute(tools, left, budget, entrance, alone=alone)) as outcomes:
            async for outcome in outcomes:
                yield outcome
                if isinstance(outcome, ToolReturned):
                    results[outcome.item] = outcome.result
                waits = waits or isinstance(outcome, ApprovalRequested)
        for n in sorted(results):  # as they were asked for, whichever was ready first
            transcript.add(results[n])
        if waits or any(call.offer is Offer.FUNCTION for _, call in calls):
            yield TurnEnded(status=TurnStatus.COMPLETED, usage=budget.usage)  # the client's turn to act, or a human's
            return
        if budget.exhausted:
            yield TurnEnded(status=TurnStatus.INCOMPLETE, usage=budget.usage, reason="max_output_tokens")
            return
        step, item = replied.step + 1, replied.first_item + len(replied.items)
        replied, results = None, {}


async def _ask(
    turn_id: str, step: int, first_item: int, transcript: Transcript, ask: Ask, tools: Toolset, budget: Budget
) -> AsyncGenerator[TurnEvent, None]:
    """One reply: its deltas, and last the whole of it."""
    taken = {call.id for message in transcript.messages if isinstance(message, Reply) for call in message.tool_calls}
    reply = StreamedReply(turn_id, first_item, tools.offer, taken=taken, one_call=tools.one_at_a_time)
    began = time.monotonic()
    async with aclosing(ask.model.stream(ask.request(transcript, budget))) as chunks:
        async for chunk in chunks:
            for event in reply.take(chunk):
                yield event
            if reply.overflows:
                break
    if reply.overflows and budget.untold is not None:
        reply.usage = budget.untold
    yield reply.whole(step=step, seconds=time.monotonic() - began)


def _end(replied: Replied, calls: Sequence[ToolCallItem], budget: Budget, answer: StrictAnswer | None) -> TurnEnded | None:
    if reason := CUT_OFF.get(replied.finish):
        return TurnEnded(status=TurnStatus.INCOMPLETE, usage=budget.usage, reason=reason)
    said = as_message(replied)
    if not calls and answer is not None and not said.refusal and (mistake := answer.mistake(said.text)):
        return TurnEnded(status=TurnStatus.FAILED, usage=budget.usage, reason=ANSWER_INVALID, message=mistake)
    if not calls:
        return TurnEnded(status=TurnStatus.COMPLETED, usage=budget.usage)
    if not budget.steps_left:
        return TurnEnded(status=TurnStatus.INCOMPLETE, usage=budget.usage, reason="step_limit")
    repeats = not budget.take_step([item.call for item in calls])
    if repeats and not replied.restated:  # what humans have allowed, and perhaps written, is no model's loop
        return TurnEnded(status=TurnStatus.INCOMPLETE, usage=budget.usage, reason="repetition")
    return None


async def _execute(
    tools: Toolset, calls: Sequence[tuple[int, ToolCallItem]], budget: Budget, entrance: Entrance, *, alone: int | None
) -> AsyncGenerator[TurnEvent, None]:
    """Run the calls of tools that are ours, all at once. Results come as they are ready, and last what waits for a human.

    alone: the only call that may run, but for those that humans have allowed.
    """
    ready: list[tuple[int, Prepared]] = []
    waiting: list[TurnEvent] = []
    for item, call in calls:
        if call.offer is Offer.FUNCTION:
            continue
        prepared, full = tools.prepare(call.call, approval=call.approval), len(ready) + len(waiting) >= CALLS_AT_ONCE
        if isinstance(prepared, ToolResult):
            yield _not_run(item, prepared, entrance)
        elif alone not in (None, item) and call.approval is None:
            yield _not_run(item, ToolResult(call_id=call.call.id, content=ONE_CALL_AT_A_TIME, failed=True), entrance)
        elif full or not budget.take_call():
            why = TOO_MANY_CALLS if full else NO_CALLS_LEFT
            yield _not_run(item, ToolResult(call_id=call.call.id, content=why, failed=True), entrance)
        elif prepared.demand is not None:
            waiting.append(_asked(item, prepared.version, prepared.demand))
        else:
            ready.append((item, replace(prepared, sent=item in entrance.sent)))
    refusals = await tools.admit([prepared for _, prepared in ready])
    admitted: list[tuple[int, Prepared]] = []
    for (item, admissible), refusal in zip(ready, refusals, strict=True):
        if refusal is not None:
            yield _not_run(item, refusal, entrance)
        else:
            yield _dispatched(item, admissible)
            admitted.append((item, admissible))
    if admitted:
        async with aclosing(_run_all(tools, admitted, budget, entrance.written)) as events:
            async for event in events:
                yield event
    for event in waiting:
        yield event


def _not_run(item: int, refused: ToolResult, entrance: Entrance) -> ToolReturned:
    """Not now; but what was sent before, by a process that died, may have taken effect then."""
    unknown = entrance.sent.get(item, Effect.PURE) is not Effect.PURE
    result = replace(refused, content=UNKNOWN) if unknown else refused
    return ToolReturned(item=item, result=result, seconds=0.0, unknown=unknown)


def _asked(item: int, version: ToolVersion, demand: Demand) -> ApprovalRequested:
    return ApprovalRequested(
        item=item,
        tool=version.name,
        version_digest=version.digest,
        arguments=demand.arguments,
        digest=demand.digest,
        four_eyes=demand.policy.four_eyes,
        expires_seconds=demand.policy.expires_seconds,
    )


def _dispatched(item: int, prepared: Prepared) -> ToolDispatched:
    return ToolDispatched(
        item=item,
        call_id=prepared.call.id,
        tool=prepared.version.name,
        version_digest=prepared.version.digest,
        effect=prepared.effect,
        arguments_digest=prepared.arguments_digest,
        approval=prepared.approval,
    )


async def _run_all(
    tools: Toolset,
    ready: Sequence[tuple[int, Prepared]],
    budget: Budget,
    written: Mapping[int, Mapping[Path, Written]],
) -> AsyncGenerator[TurnEvent, None]:
    # The group lives in a task of its own: yielding inside a TaskGroup breaks cancellation (PEP 789).
    events: asyncio.Queue[TurnEvent | None] = asyncio.Queue()

    async def run_group() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for item, prepared in ready:
                    record = NestedRecord(tools, item, budget, events)
                    group.create_task(_run_one(tools, prepared, record, written.get(item, {})))
        finally:
            events.put_nowait(None)

    running = asyncio.create_task(run_group())
    running.add_done_callback(lambda done: done.cancelled() or done.exception())  # seen, also where nobody waits for it
    try:
        while (event := await events.get()) is not None:
            yield event
            events.task_done()  # it is recorded now
        await running
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from group
    finally:
        if not running.done():  # a cancellation that comes while we wait goes on from here, and is not swallowed
            running.cancel()
            await asyncio.wait([running])


class NestedRecord:
    """Calls that the code of one item makes, as events of its turn."""

    def __init__(self, tools: Toolset, item: int, budget: Budget, events: "asyncio.Queue[TurnEvent | None]") -> None:
        self.item = item
        self.events = events
        self._tools = tools
        self._budget = budget

    def count(self) -> bool:
        return self._budget.take_call()

    async def dispatched(self, call: NestedCall) -> None:
        self.events.put_nowait(
            NestedDispatched(
                item=self.item,
                path=call.path,
                call_id=call.id,
                tool=call.tool,
                version_digest=call.version_digest,
                effect=call.effect,
                arguments_digest=call.arguments_digest,
            )
        )
        await self.events.join()
        await self._tools.durable()

    def returned(self, call: NestedCall, result: ToolResult, seconds: float) -> None:
        self.events.put_nowait(NestedReturned(item=self.item, path=call.path, result=result, seconds=seconds))


async def _run_one(tools: Toolset, prepared: Prepared, record: NestedRecord, written: Mapping[Path, Written]) -> None:
    decoders = {stream: codecs.getincrementaldecoder("utf-8")("replace") for stream in Stream}

    def on_output(stream: Stream, data: bytes) -> None:
        if (name := SHOWN.get(stream)) and (text := decoders[stream].decode(data)):
            record.events.put_nowait(ToolOutput(item=record.item, stream=name, text=text))

    began = time.monotonic()
    result = await tools.run(prepared, on_output, record, written)
    record.events.put_nowait(ToolReturned(item=record.item, result=result, seconds=time.monotonic() - began))
