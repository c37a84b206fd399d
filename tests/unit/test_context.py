"""What a model is given to read."""

from dataclasses import replace

from core.conversations.context import IMAGES_FOLLOW, NO_RESULT, NOT_APPROVED, assemble, fit
from core.conversations.reply import StreamedReply
from core.llm.contract import CallChunk, Chunk, ReasoningChunk, TextChunk
from core.messages import (
    ApprovalResponseItem,
    FunctionOutputItem,
    Image,
    Item,
    Message,
    MessageItem,
    Offer,
    ReasoningItem,
    Reply,
    Role,
    SystemMessage,
    Text,
    ToolCall,
    ToolCallItem,
    ToolResult,
    UserMessage,
)

TURN = "resp_0123456789abcdef0123456789abcdef"


def says(role: Role, *texts: str, name: str | None = None) -> MessageItem:
    return MessageItem(id="m", role=role, parts=tuple(Text(text=text) for text in texts), name=name)


def called(call_id: str, *, offer: Offer = Offer.FUNCTION, result: str | None = None) -> ToolCallItem:
    told = None if result is None else ToolResult(call_id=call_id, content=result)
    return ToolCallItem(id="t", call=ToolCall(id=call_id, name="f", arguments="{}"), offer=offer, result=told)


def test_every_call_is_followed_by_its_result_wherever_the_output_stood() -> None:
    items: list[Item] = [
        says(Role.USER, "q"),
        ReasoningItem(id="r", text="hm"),
        says(Role.ASSISTANT, "let me see"),
        called("a"),
        called("b", offer=Offer.CODE_INTERPRETER, result="42"),
        called("c"),
        FunctionOutputItem(id="o", call_id="c", output="sea"),
        FunctionOutputItem(id="o", call_id="a", output="ay"),
        says(Role.USER, "and?"),
    ]
    system, question, reply, *results, last = assemble(items, "be brief")
    assert (system, question) == (SystemMessage(text="be brief"), UserMessage(parts=(Text(text="q"),)))
    assert isinstance(reply, Reply)
    assert (reply.text, [call.id for call in reply.tool_calls]) == ("let me see", ["a", "b", "c"])
    assert [(r.call_id, r.content) for r in results if isinstance(r, ToolResult)] == [("a", "ay"), ("b", "42"), ("c", "sea")]
    assert last == UserMessage(parts=(Text(text="and?"),))


def test_images_that_calls_returned_follow_all_their_results_and_stay_with_the_question() -> None:
    items: list[Item] = [
        says(Role.USER, "q"),
        called("a"),
        called("b"),
        FunctionOutputItem(id="o", call_id="b", output="", images=(Image(url="https://b/2"),)),
        FunctionOutputItem(id="o", call_id="a", output="ay", images=(Image(url="https://a/1", detail="low"),)),
    ]
    question, _, *rest = assemble(items, None)
    assert rest == [
        ToolResult(call_id="a", content=f"ay\n{IMAGES_FOLLOW}"),
        ToolResult(call_id="b", content=IMAGES_FOLLOW),
        UserMessage(
            parts=(
                *(Text(text="The result of f (a) shows:"), Image(url="https://a/1", detail="low")),
                *(Text(text="The result of f (b) shows:"), Image(url="https://b/2")),
            ),
            answers=True,
        ),
    ]
    assert fit([question, *rest], count=len, room=1) == [question, *rest]


def said(*chunks: Chunk, turn_id: str = TURN, first_item: int = 0) -> tuple[Item, ...]:
    reply = StreamedReply(turn_id, first_item, lambda _: Offer.REGISTRY)
    for chunk in chunks:
        list(reply.take(chunk))
    return reply.whole(step=0, seconds=0.0).items


def calls(*ids: str) -> list[Chunk]:
    return [CallChunk(index=n, id=call_id, name="f", arguments="{}") for n, call_id in enumerate(ids)]


def told_together(items: list[Item]) -> list[list[str]]:
    returned = [
        replace(item, result=ToolResult(call_id=item.call.id, content="1"))
        if isinstance(item, ToolCallItem) and item.offer is Offer.REGISTRY
        else item
        for item in items
    ]
    return [[call.id for call in told.tool_calls] for told in assemble(returned, None) if isinstance(told, Reply)]


def test_calls_of_ours_are_told_reply_by_reply_as_they_were_made() -> None:
    first = said(TextChunk(text="look"), *calls("a", "b"))
    interleaved = said(
        *calls("c"), ReasoningChunk(text="hm"), CallChunk(index=1, id="d", name="f", arguments="{}"), first_item=3
    )
    other = said(*calls("e"), turn_id="resp_" + "f" * 32, first_item=3)
    assert told_together([*first, *interleaved, *other]) == [["a", "b"], ["c", "d"], ["e"]]


def test_calls_that_a_client_gives_back_are_told_in_the_order_of_their_outputs() -> None:
    def output(call_id: str) -> FunctionOutputItem:
        return FunctionOutputItem(id="o", call_id=call_id, output="1")

    assert told_together([called("a"), output("a"), called("b"), output("b")]) == [["a"], ["b"]]
    assert told_together([called("a"), called("b"), output("b"), output("a")]) == [["a", "b"]]
    assert told_together([called("a"), ReasoningItem(id="r", text="hm"), called("b"), output("a"), output("b")]) == [
        ["a"],
        ["b"],
    ]
    assert told_together([*said(*calls("a")), called("b"), output("b")]) == [["a"], ["b"]]


def test_what_several_assistants_said_keeps_its_speaker_and_its_paragraphs() -> None:
    spoken = [says(Role.ASSISTANT, "Yes.", name="ann"), says(Role.ASSISTANT, "No.", name="bob"), says(Role.ASSISTANT, "Hm.")]
    assert assemble(spoken, None) == [Reply(text="Yes.", name="ann"), Reply(text="No.", name="bob"), Reply(text="Hm.")]
    assert assemble([says(Role.ASSISTANT, "One."), says(Role.ASSISTANT, "Two.")], None) == [Reply(text="One.\n\nTwo.")]


def test_parts_of_a_text_stay_apart() -> None:
    rules, answer = assemble([says(Role.DEVELOPER, "Rule 42", "7"), says(Role.ASSISTANT, "a", "b")], None)
    assert (rules, answer) == (SystemMessage(text="Rule 42\n7"), Reply(text="a\nb"))


def test_a_call_that_never_got_a_result_gets_a_note_and_an_output_without_a_call_is_dropped() -> None:
    messages = assemble([called("a"), FunctionOutputItem(id="o", call_id="stray", output="x")], None)
    assert messages[1:] == [ToolResult(call_id="a", content=NO_RESULT, failed=True)]


def test_calls_and_a_later_answer_are_two_replies() -> None:
    messages = assemble([called("a", result="1"), says(Role.ASSISTANT, "it is 1")], None)
    assert [type(m).__name__ for m in messages] == ["Reply", "ToolResult", "Reply"]


def test_a_call_that_waits_for_a_human_is_not_run_until_one_has_decided_and_then_said_again() -> None:
    waits: list[Item] = [says(Role.USER, "q"), called("a", offer=Offer.APPROVAL)]
    assert assemble(waits, None)[-1] == ToolResult(call_id="a", content=NOT_APPROVED, failed=True)
    decided = [*waits, ApprovalResponseItem(id="x", request_id="t", approve=True), called("t", result="1")]
    assert [type(m).__name__ for m in assemble(decided, None)] == ["UserMessage", "Reply", "ToolResult"]


def exchange(n: int) -> list[Message]:
    call = ToolCall(id=f"c{n}", name="f", arguments="{}")
    return [
        UserMessage(parts=(Text(text="x" * 100),)),
        Reply(tool_calls=(call,)),
        ToolResult(call_id=call.id, content="y" * 100),
        Reply(text="z" * 100),
    ]


def test_the_oldest_exchanges_go_first_and_no_result_loses_its_call() -> None:
    head = SystemMessage(text="s" * 50)
    messages = [head, *exchange(1), *exchange(2), *exchange(3)]
    kept = fit(messages, count=len, room=800)
    assert kept == [head, *exchange(2), *exchange(3)]


def test_the_last_exchange_stays_even_if_it_does_not_fit() -> None:
    assert fit([*exchange(1), *exchange(2)], count=len, room=1) == exchange(2)
    alone: list[Message] = [SystemMessage(text="s"), Reply(text="no question at all")]
    assert fit(alone, count=len, room=1) == alone


def test_everything_stays_when_there_is_room() -> None:
    messages = [*exchange(1), *exchange(2)]
    assert fit(messages, count=len, room=10_000) == messages


def test_a_conversation_in_which_nothing_was_said_yet_is_no_messages() -> None:
    assert assemble([], None) == []


def test_a_refusal_is_read_back_as_one() -> None:
    refused = MessageItem(id="m", role=Role.ASSISTANT, parts=(Text(text="no", refusal=True),))
    reply, *_ = assemble([says(Role.ASSISTANT, "well"), refused, refused, says(Role.USER, "why?")], None)
    assert reply == Reply(text="well", refusal="no\n\nno")
    (alone,) = assemble([refused], None)
    assert alone == Reply(refusal="no")
