"""The output items of a turn, from its events."""

from collections.abc import Sequence

from core.conversations.reply import StreamedReply
from core.conversations.story import Story
from core.events import TURN_EVENT, CallStarted, Recorded, TextDelta, ToolReturned, TurnEvent, item_id
from core.ids import new_id
from core.llm.contract import CallChunk, Chunk, Finished, ReasoningChunk, TextChunk
from core.messages import ITEM, FinishReason, MessageItem, Offer, ReasoningItem, Text, ToolCallItem, ToolResult, Usage

TURN = new_id("resp")
CHUNKS: list[Chunk] = [
    ReasoningChunk(text="think"),
    ReasoningChunk(text="ing"),
    TextChunk(text="Let "),
    TextChunk(text="me"),
    CallChunk(index=0, id="a", name="code_interpreter", arguments='{"code"'),
    CallChunk(index=0, arguments=': "1"}'),
    CallChunk(index=1, id="b", name="made_up"),
    Finished(reason=FinishReason.TOOL_CALLS, usage=Usage(input=1, output=2)),
]


def offer_of(name: str) -> Offer:
    return Offer.CODE_INTERPRETER if name == "code_interpreter" else Offer.UNKNOWN


def events_of(chunks: Sequence[Chunk], *, whole: bool) -> list[TurnEvent]:
    reply = StreamedReply(TURN, 0, offer_of)
    events = [event for chunk in chunks for event in reply.take(chunk)]
    return [*events, reply.whole(step=0, seconds=0.1)] if whole else events


def told(events: Sequence[TurnEvent]) -> Story:
    return Story.of(TURN, [Recorded(n, event) for n, event in enumerate(events, start=1)])


def test_a_whole_reply_gives_whole_items_with_results_and_hides_calls_that_nobody_offered() -> None:
    result = ToolResult(call_id="a", content="1")
    items = told([*events_of(CHUNKS, whole=True), ToolReturned(item=2, result=result, seconds=0.1)]).items
    reasoning, message, call = items
    assert isinstance(reasoning, ReasoningItem)
    assert reasoning.text == "thinking"
    assert isinstance(message, MessageItem)
    assert message.parts == (Text(text="Let me"),)
    assert isinstance(call, ToolCallItem)
    assert (call.call.arguments, call.result) == ('{"code": "1"}', result)
    assert all(item.complete for item in (reasoning, message, call))


def test_items_have_the_same_ids_whole_and_cut_off() -> None:
    whole, cut_off = told(events_of(CHUNKS, whole=True)).items, told(events_of(CHUNKS, whole=False)).items
    assert [item.id for item in whole] == [item.id for item in cut_off]


def test_a_reply_that_was_cut_off_leaves_what_there_was_marked_incomplete() -> None:
    items = told(events_of(CHUNKS[:3], whole=False)).items
    assert isinstance(items[-1], MessageItem)
    assert (items[-1].parts, items[-1].complete) == ((Text(text="Let "),), False)
    assert isinstance(items[0], ReasoningItem)
    assert items[0].complete


def test_a_reply_at_the_token_limit_has_an_incomplete_last_item() -> None:
    chunks: list[Chunk] = [TextChunk(text="and so"), Finished(reason=FinishReason.LENGTH, usage=Usage())]
    [item] = told(events_of(chunks, whole=True)).items
    assert isinstance(item, MessageItem)
    assert not item.complete


def test_a_call_that_has_the_id_of_an_earlier_one_gets_an_id_of_its_own() -> None:
    reply = StreamedReply(TURN, 6, offer_of, taken={"a"})
    started = [event for chunk in CHUNKS for event in reply.take(chunk) if isinstance(event, CallStarted)]
    assert [event.call_id for event in started] == [item_id(TURN, 8, "call"), "b"]
    calls = [item.call.id for item in reply.whole(step=3, seconds=0.1).items if isinstance(item, ToolCallItem)]
    assert calls == [event.call_id for event in started]


def test_a_refusal_is_a_message_of_its_own_whole_or_cut_off() -> None:
    chunks: list[Chunk] = [TextChunk(text="Well,"), TextChunk(text="n", refusal=True), TextChunk(text="o", refusal=True)]
    finished = Finished(reason=FinishReason.STOP, usage=Usage(input=1, output=2))
    for events in (events_of([*chunks, finished], whole=True), events_of(chunks, whole=False)):
        parts = [item.parts for item in told(events).items if isinstance(item, MessageItem)]
        assert parts == [(Text(text="Well,"),), (Text(text="no", refusal=True),)]


def test_what_was_kept_before_there_were_refusals_keeps_its_bytes() -> None:
    delta, part = b'{"item":0,"text":"a","kind":"text"}', b'{"text":"a","kind":"text"}'
    item = b'{"id":"m","role":"assistant","parts":[' + part + b'],"name":null,"complete":true,"kind":"message"}'
    assert TURN_EVENT.dump_json(TURN_EVENT.validate_json(delta)) == delta
    assert ITEM.dump_json(ITEM.validate_json(item)) == item
    refused = TextDelta(item=0, text="a", refusal=True)
    assert TURN_EVENT.validate_json(TURN_EVENT.dump_json(refused)) == refused
