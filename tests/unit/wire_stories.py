"""Turns as lists of events, for the encoders' golden files.

`python -m tests.unit.wire_stories` writes the files anew: do it for a new encoder version only. Clients hold streams that
were written by the one that is there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from api.wire import encoders
from api.wire.chat_stream import ChatEncoder
from api.wire.encoders import chat_answer, responses_encoder
from api.wire.responses_stream import WIRE
from api.wire.sse import DONE, data_frame, frame
from core.events import (
    ApprovalRequested,
    CallDelta,
    CallStarted,
    ReasoningDelta,
    Recorded,
    Replied,
    TextDelta,
    ToolDispatched,
    ToolOutput,
    ToolReturned,
    ToolsListed,
    TurnEnded,
    TurnEvent,
    TurnStarted,
    TurnStatus,
)
from core.messages import (
    FinishReason,
    Item,
    ListedTool,
    MessageItem,
    Offer,
    ReasoningItem,
    Role,
    Text,
    ToolCall,
    ToolCallItem,
    ToolResult,
    Usage,
)
from core.storage.records import Turn

GOLDEN = Path(__file__).parent / "golden"
USAGE = Usage(input=10, output=5, cached=2, reasoning=1)
END = TurnEnded(status=TurnStatus.COMPLETED, usage=USAGE, at=1_795_000_002.5)
CODE = '{"code": "print(\\"6 * 7 = \\\\u2713\\")\\nprint(6 * 7)"}'


def turn(**fields: Any) -> Turn:
    made: dict[str, Any] = {
        "id": "resp_" + "0123456789abcdef" * 2,
        "organization_id": "org_1",
        "user_id": "user_1",
        "key_id": "key_1",
        "conversation_id": None,
        "previous_turn_id": None,
        "model": "scripted",
        "status": TurnStatus.RUNNING,
        "stored": True,
        "wire": WIRE,
        "echo": {"fields": {"instructions": "be brief"}, "outputs": True},
        "metadata": {"topic": "test"},
        "created_at": datetime.fromtimestamp(1_795_000_000, UTC),
    }
    return Turn(**{**made, **fields})


def said(text: str, *, complete: bool = True) -> MessageItem:
    return MessageItem(id="", role=Role.ASSISTANT, parts=(Text(text=text),), complete=complete)


def refused(text: str) -> MessageItem:
    return MessageItem(id="", role=Role.ASSISTANT, parts=(Text(text=text, refusal=True),))


def called(call_id: str, name: str, arguments: str, offer: Offer = Offer.FUNCTION, *, complete: bool = True) -> ToolCallItem:
    return ToolCallItem(id="", call=ToolCall(id=call_id, name=name, arguments=arguments), offer=offer, complete=complete)


def replied(*items: Item, step: int = 0, first: int = 0, finish: FinishReason = FinishReason.STOP) -> Replied:
    return Replied(step=step, first_item=first, items=items, usage=USAGE, finish=finish, seconds=0.5)


def dispatched(item: int, call_id: str) -> ToolDispatched:
    return ToolDispatched(
        item=item, call_id=call_id, tool="code_interpreter", version_digest="v", effect="pure", arguments_digest="a"
    )


def returned(item: int, call_id: str, content: str, *, failed: bool = False) -> ToolReturned:
    return ToolReturned(item=item, result=ToolResult(call_id=call_id, content=content, failed=failed), seconds=0.25)


def code_started(item: int, call_id: str = "call_1") -> CallStarted:
    return CallStarted(item=item, call_id=call_id, name="code_interpreter", offer=Offer.CODE_INTERPRETER)


def function_started(item: int, call_id: str) -> CallStarted:
    return CallStarted(item=item, call_id=call_id, name="weather", offer=Offer.FUNCTION)


def approval_started(item: int, call_id: str) -> CallStarted:
    return CallStarted(item=item, call_id=call_id, name="area", offer=Offer.APPROVAL)


def asked(item: int) -> ApprovalRequested:
    return ApprovalRequested(
        item=item,
        tool="area",
        version_digest="a" * 64,
        arguments='{"x":1}',
        digest="b" * 64,
        four_eyes=False,
        expires_seconds=60,
    )


def registry_started(item: int, call_id: str) -> CallStarted:
    return CallStarted(item=item, call_id=call_id, name="fx_rate", offer=Offer.REGISTRY)


FX = ListedTool(
    name="fx_rate", description="Exchange rate", parameters={"type": "object", "properties": {"base": {"type": "string"}}}
)


STORIES: dict[str, tuple[TurnEvent, ...]] = {
    "text": (
        TurnStarted(),
        TextDelta(item=0, text="Grüße, "),
        TextDelta(item=0, text='"世界" \U0001f44b\n\u2028'),
        replied(said('Grüße, "世界" \U0001f44b\n\u2028')),
        END,
    ),
    "nothing": (TurnStarted(), replied(), END),
    "not_streamed": (TurnStarted(), replied(ReasoningItem(id="", text="Hm."), said("Hello")), END),
    "reasoning": (
        TurnStarted(),
        ReasoningDelta(item=0, text="Let me "),
        ReasoningDelta(item=0, text="think."),
        TextDelta(item=1, text="42"),
        replied(ReasoningItem(id="", text="Let me think."), said("42")),
        END,
    ),
    "cancelled_amid_a_thought": (
        TurnStarted(),
        ReasoningDelta(item=0, text="Let me "),
        TurnEnded(status=TurnStatus.CANCELLED, usage=USAGE, reason="cancelled", at=1_795_000_001),
    ),
    "refusal": (
        TurnStarted(),
        TextDelta(item=0, text="I cannot ", refusal=True),
        TextDelta(item=0, text="do that.", refusal=True),
        replied(refused("I cannot do that.")),
        END,
    ),
    "refusal_after_text": (
        TurnStarted(),
        TextDelta(item=0, text="Well,"),
        replied(said("Well, "), refused("no.")),
        END,
    ),
    "code_interpreter": (
        TurnStarted(),
        TextDelta(item=0, text="Let me see."),
        code_started(1),
        CallDelta(item=1, arguments=CODE[:14]),
        CallDelta(item=1, arguments=CODE[14:33]),
        CallDelta(item=1, arguments=CODE[33:]),
        replied(said("Let me see."), called("call_1", "code_interpreter", CODE, Offer.CODE_INTERPRETER)),
        dispatched(1, "call_1"),
        ToolOutput(item=1, stream="stdout", text="6 * 7 = ✓\n42\n"),
        returned(1, "call_1", "6 * 7 = ✓\n42\n"),
        TextDelta(item=2, text="It is 42."),
        replied(said("It is 42."), step=1, first=2),
        END,
    ),
    "two_codes_at_once": (
        TurnStarted(),
        code_started(0, "a"),
        CallDelta(item=0, arguments='{"code":"1"}'),
        code_started(1, "b"),
        CallDelta(item=1, arguments='{"code":"2"'),
        replied(
            called("a", "code_interpreter", '{"code":"1"}', Offer.CODE_INTERPRETER),
            called("b", "code_interpreter", '{"code":"2"', Offer.CODE_INTERPRETER),
        ),
        returned(1, "b", "arguments are not JSON", failed=True),
        dispatched(0, "a"),
        returned(0, "a", "1"),
        replied(said("done"), step=1, first=2),
        END,
    ),
    "two_registry_calls_at_once": (
        TurnStarted(),
        ToolsListed(item=0, tools=(FX,)),
        TextDelta(item=1, text="Let me look."),
        registry_started(2, "a"),
        CallDelta(item=2, arguments='{"base": '),
        CallDelta(item=2, arguments='"EUR"}'),
        registry_started(3, "b"),
        CallDelta(item=3, arguments='{"base": "\\u20ac"}'),
        replied(
            said("Let me look."),
            called("a", "fx_rate", '{"base": "EUR"}', Offer.REGISTRY),
            called("b", "fx_rate", '{"base": "\\u20ac"}', Offer.REGISTRY),
            first=1,
        ),
        dispatched(2, "a"),
        dispatched(3, "b"),
        returned(3, "b", "no such currency: €", failed=True),
        returned(2, "a", '{"rate": 1.25}'),
        TextDelta(item=4, text="It is 1.25."),
        replied(said("It is 1.25."), step=1, first=4),
        END,
    ),
    "registry_call_that_was_refused": (
        TurnStarted(),
        ToolsListed(item=0, tools=(FX,)),
        replied(called("a", "fx_rate", "{}", Offer.REGISTRY), first=1),
        returned(1, "a", "not run: tool 'fx_rate' is turned off", failed=True),
        replied(said("Sorry."), step=1, first=2),
        END,
    ),
    "a_call_that_waits_for_a_human_beside_one_that_does_not": (
        TurnStarted(),
        approval_started(0, "call_1"),
        CallDelta(item=0, arguments='{"x": 1}'),
        registry_started(1, "call_2"),
        CallDelta(item=1, arguments='{"x": 2}'),
        approval_started(2, "call_3"),
        CallDelta(item=2, arguments='{"x": '),
        CallDelta(item=2, arguments='"y"}'),
        replied(
            called("call_1", "area", '{"x": 1}', Offer.APPROVAL),
            called("call_2", "area", '{"x": 2}', Offer.REGISTRY),
            called("call_3", "area", '{"x": "y"}', Offer.APPROVAL),
            finish=FinishReason.TOOL_CALLS,
        ),
        returned(2, "call_3", "'y' is no number", failed=True),
        dispatched(1, "call_2"),
        returned(1, "call_2", "4"),
        asked(0),
        asked(0),  # again, after a crash
        END,
    ),
    "decided_calls_are_taken_up": (
        TurnStarted(),
        replace(
            replied(
                replace(called("mcpr_1", "area", '{"x":1}', Offer.REGISTRY), approval="mcpr_1"),
                replace(called("mcpr_2", "area", '{"x":2}', Offer.REGISTRY), approval="mcpr_2"),
                finish=FinishReason.TOOL_CALLS,
            ),
            restated=True,
        ),
        returned(1, "mcpr_2", "denied by a human", failed=True),
        dispatched(0, "mcpr_1"),
        returned(0, "mcpr_1", "1"),
        TextDelta(item=2, text="Done."),
        replied(said("Done."), step=1, first=2),
        END,
    ),
    "cancelled_before_a_human_was_asked": (
        TurnStarted(),
        approval_started(0, "call_1"),
        CallDelta(item=0, arguments='{"x": 1}'),
        replied(called("call_1", "area", '{"x": 1}', Offer.APPROVAL), finish=FinishReason.TOOL_CALLS),
        TurnEnded(status=TurnStatus.CANCELLED, reason="cancelled", usage=USAGE, at=END.at),
    ),
    "cancelled_amid_a_registry_call": (
        TurnStarted(),
        ToolsListed(item=0, tools=(FX,)),
        registry_started(1, "a"),
        CallDelta(item=1, arguments="{}"),
        replied(called("a", "fx_rate", "{}", Offer.REGISTRY), first=1),
        dispatched(1, "a"),
        TurnEnded(status=TurnStatus.CANCELLED, usage=USAGE, reason="cancelled", at=1_795_000_001),
    ),
    "two_functions": (
        TurnStarted(),
        function_started(0, "a"),
        CallDelta(item=0, arguments='{"city": '),
        CallDelta(item=0, arguments='"Oslo"}'),
        function_started(1, "b"),
        CallDelta(item=1, arguments="{}"),
        replied(called("a", "weather", '{"city": "Oslo"}'), called("b", "weather", "{}"), finish=FinishReason.TOOL_CALLS),
        END,
    ),
    "a_call_that_nobody_offered": (
        TurnStarted(),
        CallStarted(item=0, call_id="a", name="made_up", offer=Offer.UNKNOWN),
        CallDelta(item=0, arguments="{}"),
        replied(called("a", "made_up", "{}", Offer.UNKNOWN)),
        returned(0, "a", "unknown tool 'made_up'", failed=True),
        TextDelta(item=1, text="Sorry."),
        replied(said("Sorry."), step=1, first=1),
        END,
    ),
    "failed_amid_text": (
        TurnStarted(),
        TextDelta(item=0, text="Once upon"),
        TurnEnded(
            status=TurnStatus.FAILED, usage=USAGE, reason="server_error", message="the provider is down", at=1_795_000_001
        ),
    ),
    "cancelled_amid_code": (
        TurnStarted(),
        code_started(0),
        CallDelta(item=0, arguments='{"code":"while True: pass"}'),
        replied(called("call_1", "code_interpreter", '{"code":"while True: pass"}', Offer.CODE_INTERPRETER)),
        dispatched(0, "call_1"),
        TurnEnded(status=TurnStatus.CANCELLED, usage=USAGE, reason="cancelled", at=1_795_000_001),
    ),
    "cancelled_amid_arguments": (
        TurnStarted(),
        function_started(0, "a"),
        CallDelta(item=0, arguments='{"ci'),
        TurnEnded(status=TurnStatus.CANCELLED, usage=USAGE, reason="cancelled", at=1_795_000_001),
    ),
    "incomplete": (
        TurnStarted(),
        TextDelta(item=0, text="As far as"),
        replied(said("As far as", complete=False), finish=FinishReason.LENGTH),
        TurnEnded(status=TurnStatus.INCOMPLETE, usage=USAGE, reason="max_output_tokens", at=1_795_000_001),
    ),
}
SUMMARIES = {f"{name}_as_summary": STORIES[name] for name in ("not_streamed", "reasoning", "cancelled_amid_a_thought")}
"""As they are told to who asked for `reasoning.summary`."""
STORIES |= SUMMARIES
CHATS = (
    "text",
    "nothing",
    "not_streamed",
    "reasoning",
    "refusal",
    "refusal_after_text",
    "two_functions",
    "a_call_that_nobody_offered",
    "incomplete",
)


def recorded(events: Sequence[TurnEvent]) -> list[Recorded]:
    return [Recorded(seq, event) for seq, event in enumerate(events, 1)]


def turn_of(name: str, **fields: Any) -> Turn:
    """The one that asked for what its story tells."""
    if name not in SUMMARIES:
        return turn(**fields)
    return turn(echo={"fields": {"reasoning": {"effort": None, "summary": "auto"}}, "summary": True}, **fields)


def responses_stream(name: str, version: str) -> bytes:
    encoder = responses_encoder(turn_of(name, wire=version))
    return b"".join(frame(event) for one in recorded(STORIES[name]) for event in encoder.feed(one))


def chat_stream(name: str, version: str) -> bytes:
    encoder = ChatEncoder(chat_answer(turn(wire=version, echo={"usage": True})))
    return b"".join(data_frame(chunk) for one in recorded(STORIES[name]) for chunk in encoder.feed(one)) + DONE


def golden_files() -> Iterator[tuple[Path, bytes]]:
    """Of every version that a turn's row may name."""
    for version in encoders.RESPONSES:
        for name in STORIES:
            yield GOLDEN / f"{version.replace('/', '-')}.{name}.sse", responses_stream(name, version)
    for version in encoders.CHATS:
        for name in CHATS:
            yield GOLDEN / f"{version.replace('/', '-')}.{name}.sse", chat_stream(name, version)


if __name__ == "__main__":
    for path, content in golden_files():
        path.write_bytes(content)
