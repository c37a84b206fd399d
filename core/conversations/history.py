"""What was said before: a conversation's items, or those of the turns that lead to this one."""

from collections.abc import Sequence

from core.conversations.request import TurnRequest
from core.errors import InvalidRequest, NotFound
from core.llm.contract import Model
from core.messages import Item, MessageItem, Text, ToolCallItem
from core.storage.conversations import ConversationStore
from core.storage.paging import HISTORY_BYTES
from core.storage.turns import TurnStore

PAGE = 1_000
MOST_ITEMS = 20_000


class History:
    def __init__(self, turns: TurnStore, conversations: ConversationStore, *, most_bytes: int = HISTORY_BYTES) -> None:
        self._turns = turns
        self._conversations = conversations
        self._most_bytes = most_bytes

    async def before(
        self, organization_id: str, request: TurnRequest, model: Model, *, turn_id: str | None = None
    ) -> Sequence[Item]:
        """Oldest first. turn_id: the turn that the request began, if it has begun; it sees what it saw then.

        Raises NotFound, and InvalidRequest when the turn before has not ended, or when there is more than is read of a history
        and the request does not let us leave out the oldest.
        """
        if request.previous_turn_id is not None and request.conversation_id is not None:
            message = "previous_response_id and conversation exclude each other"
            raise InvalidRequest(message, param="previous_response_id", code="mutually_exclusive")
        if request.previous_turn_id is not None:
            return await self._chain(organization_id, request.previous_turn_id, model, cut=request.truncate)
        if request.conversation_id is not None:
            return await self._conversation(organization_id, request.conversation_id, model, turn_id, cut=request.truncate)
        return []

    async def _chain(self, organization_id: str, turn_id: str, model: Model, *, cut: bool) -> Sequence[Item]:
        """Where the first of these turns ran in a conversation, with what that had heard before."""
        try:
            previous = await self._turns.get(organization_id, turn_id)
        except NotFound as exc:
            raise InvalidRequest(exc.message, param="previous_response_id", code="previous_response_not_found") from exc
        if not previous.status.ended:
            message = f"response {turn_id!r} is still running"
            raise InvalidRequest(message, param="previous_response_id", code="previous_response_running")
        found = await self._turns.chain(organization_id, turn_id, most=MOST_ITEMS, most_bytes=self._most_bytes, cut=cut)
        root = await self._turns.root(organization_id, turn_id) if previous.previous_turn_id else previous
        if root.conversation_id is None:
            return found
        try:
            heard = await self._conversation(organization_id, root.conversation_id, model, root.id, cut=cut)
        except NotFound as exc:
            message = f"the conversation {root.conversation_id!r}, in which it began, was deleted"
            raise InvalidRequest(message, param="previous_response_id", code="previous_response_not_found") from exc
        return [*heard, *found]

    async def _conversation(
        self, organization_id: str, conversation_id: str, model: Model, turn_id: str | None, *, cut: bool
    ) -> Sequence[Item]:
        """The last items, and no more pages of them than the model could read."""
        room = model.context_tokens

        def enough(items: Sequence[Item]) -> bool:
            return len(items) >= MOST_ITEMS or (room is not None and sum(map(_tokens, items)) > room)

        return await self._conversations.last_items(
            organization_id,
            conversation_id,
            page=PAGE,
            enough=enough,
            most_bytes=self._most_bytes,
            cut=cut,
            before_turn=turn_id,
        )


def _tokens(item: Item) -> int:
    """Errs low, so that a page too many is read rather than one too few."""
    match item:
        case MessageItem(parts=parts):
            return sum(len(part.text) // 8 for part in parts if isinstance(part, Text))
        case ToolCallItem(call=call, result=result):
            return (len(call.arguments) + len(result.content if result else "")) // 8
        case _:
            return 0
