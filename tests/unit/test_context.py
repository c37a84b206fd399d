"""What a model is given to read."""

from core.conversations.context import NO_RESULT, NOT_APPROVED, assemble, fit
from core.messages import (
    ApprovalResponseItem,
    FunctionOutputItem,
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


def says(role: Role, text: str) -> MessageItem:
    return MessageItem(id="m", role=role, parts=(Text(text=text),))


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
