"""From items to the messages that a model reads, and which of them to leave out when they do not fit. Pure."""

import json
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from typing import TypeGuard

from core.events import turn_of
from core.llm.contract import ToolSpec
from core.messages import (
    ApprovalResponseItem,
    FunctionOutputItem,
    Image,
    Item,
    Message,
    MessageItem,
    Offer,
    Part,
    ReasoningItem,
    Reply,
    Role,
    SystemMessage,
    Text,
    ToolCallItem,
    ToolListItem,
    ToolResult,
    UserMessage,
    text_of,
)

NO_RESULT = "no result: the call was interrupted"
NOT_APPROVED = "not run: nobody has approved it"
IMAGES_FOLLOW = "(what it shows follows the results)"
PARAGRAPH = "\n\n"  # between messages that make one reply
MESSAGE_TOKENS = 8  # what a chat template adds to one message, generously
IMAGE_TOKENS = 1_500

Outputs = defaultdict[str, deque[FunctionOutputItem]]
CountTokens = Callable[[str], int]


def assemble(items: Iterable[Item], instructions: str | None) -> list[Message]:
    """Every call gets its result right after the reply that asked for it: the client's output, ours, or a note that there
    is none. Outputs that answer no call are dropped; so are calls that were cut off (their arguments are no JSON), and those
    that a human has decided on: the turn that carries that out says them again.

    What was asked for after a result was seen is another reply than what was asked for with it.
    """
    kept = _not_said_again(_undecided(list(items)))
    outputs: Outputs = defaultdict(deque)
    for item in kept:
        if isinstance(item, FunctionOutputItem):
            outputs[item.call_id].append(item)
    messages: list[Message] = [SystemMessage(text=instructions)] if instructions else []
    reply = _ReplyInParts()
    for item in kept:
        match item:
            case MessageItem(role=Role.ASSISTANT):
                if reply.calls or reply.is_of_another(item.name):
                    messages += reply.take(outputs)
                reply.said.append(item)
            case ToolCallItem(complete=False, result=None) if item.call.id not in outputs:
                pass
            case ToolCallItem():
                if reply.calls and not _at_once(reply.calls[-1], item):
                    messages += reply.take(outputs)
                reply.calls.append(item)
            case MessageItem():
                messages += reply.take(outputs)
                messages.append(_message(item))
            case FunctionOutputItem():
                if reply.calls:
                    messages += reply.take(outputs)
            case ReasoningItem():
                if reply.calls and reply.calls[-1].reply is None:
                    messages += reply.take(outputs)
            case ApprovalResponseItem() | ToolListItem():
                pass
    return messages + reply.take(outputs)


def _at_once(one: ToolCallItem, other: ToolCallItem) -> bool:
    """Whether the same reply asked for both. Of what a client gives back only the order tells."""
    if one.reply is None and other.reply is None:
        return True
    return one.reply == other.reply and turn_of(one.id) == turn_of(other.id)


def _undecided(items: list[Item]) -> list[Item]:
    decided = {item.request_id for item in items if isinstance(item, ApprovalResponseItem)}
    return [item for item in items if not (is_request(item) and {item.id, item.call.id} & decided)] if decided else items


def is_request(item: Item) -> TypeGuard[ToolCallItem]:
    """For approval. Its id is the item's, or the call's where a client has given it back to us."""
    return isinstance(item, ToolCallItem) and item.offer is Offer.APPROVAL


def _not_said_again(items: list[Item]) -> list[Item]:
    """Without the messages that a crash cut off: the model said it again, in the item that follows."""
    return [item for item, after in zip(items, [*items, None][1:], strict=True) if not (_is_cut(item) and _is_of_model(after))]


def _is_cut(item: Item) -> bool:
    return isinstance(item, MessageItem) and item.role is Role.ASSISTANT and not item.complete


def _is_of_model(item: Item | None) -> bool:
    return isinstance(item, ReasoningItem | ToolCallItem) or (isinstance(item, MessageItem) and item.role is Role.ASSISTANT)


class _ReplyInParts:
    """The assistant's items that make one reply."""

    def __init__(self) -> None:
        self.said: list[MessageItem] = []
        self.calls: list[ToolCallItem] = []

    def is_of_another(self, name: str | None) -> bool:
        return bool(self.said) and name != self.said[-1].name

    def take(self, outputs: Outputs) -> list[Message]:
        if not self.said and not self.calls:
            return []
        calls = tuple(item.call for item in self.calls)
        images: list[Part] = []
        results: list[Message] = [item.result or _result(item, outputs, images) for item in self.calls]
        if images:
            results.append(UserMessage(parts=tuple(images), answers=True))
        name = self.said[-1].name if self.said else None
        reply = Reply(text=self._paragraphs(), refusal=self._paragraphs(refusal=True), tool_calls=calls, name=name)
        self.said, self.calls = [], []
        return [reply, *results]

    def _paragraphs(self, *, refusal: bool = False) -> str:
        return PARAGRAPH.join(filter(None, (text_of(item.parts, refusal=refusal, between="\n") for item in self.said)))


def _result(item: ToolCallItem, outputs: Outputs, images: list[Part]) -> ToolResult:
    """A call id may come again in a long history: the first call gets the first output, and so on. images: takes up its own."""
    call = item.call
    if is_request(item):
        return ToolResult(call_id=call.id, content=NOT_APPROVED, failed=True)
    if not outputs[call.id]:
        return ToolResult(call_id=call.id, content=NO_RESULT, failed=True)
    output = outputs[call.id].popleft()
    if output.images:
        images += [Text(text=f"The result of {call.name} ({call.id}) shows:"), *output.images]
    told = (output.output, IMAGES_FOLLOW) if output.images else (output.output,)
    return ToolResult(call_id=call.id, content="\n".join(filter(None, told)))


def _message(item: MessageItem) -> Message:
    if item.role is Role.USER:
        return UserMessage(parts=item.parts, name=item.name)
    return SystemMessage(text=text_of(item.parts, between="\n"), name=item.name)


def tokens(message: Message, count: CountTokens) -> int:
    """An estimate that errs high."""
    match message:
        case SystemMessage(text=text):
            content = count(text)
        case UserMessage(parts=parts):
            content = sum(IMAGE_TOKENS if isinstance(part, Image) else count(part.text) for part in parts)
        case Reply(text=text, refusal=refusal, tool_calls=calls):
            content = count(text + refusal) + sum(MESSAGE_TOKENS + count(call.name) + count(call.arguments) for call in calls)
        case ToolResult(content=text):
            content = count(text)
    return content + MESSAGE_TOKENS


def tool_tokens(tools: Sequence[ToolSpec], count: CountTokens) -> int:
    return sum(MESSAGE_TOKENS + count(tool.description) + count(json.dumps(dict(tool.parameters))) for tool in tools)


def fit(messages: Sequence[Message], *, count: CountTokens, room: int) -> list[Message]:
    """The system messages at the head and as many of the last exchanges as `room` tokens hold.

    An exchange is a user's message with all that answers it, so that no result loses its call. The last one always stays.
    """
    head = next((n for n, message in enumerate(messages) if not isinstance(message, SystemMessage)), len(messages))
    starts = [n for n in range(head, len(messages)) if _begins(messages[n])]
    left = room - sum(tokens(message, count) for message in messages[:head])
    first, end = len(messages), len(messages)
    for start in reversed(starts):
        left -= sum(tokens(message, count) for message in messages[start:end])
        if left < 0 and first < len(messages):
            break
        first = end = start
    return [*messages[:head], *messages[first if starts else head :]]


def _begins(message: Message) -> bool:
    """An exchange."""
    return isinstance(message, UserMessage) and not message.answers
