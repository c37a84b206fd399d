"""How a turn begins that takes up calls which humans have decided on: it says them again, and what was denied has its result.

Pure. The loop is entered with them as it is after a crash: what the model said, and nobody has acted on.
"""

from collections.abc import Sequence

from core.events import Replied, ToolReturned, TurnEvent, item_id
from core.messages import FinishReason, Offer, ToolCall, ToolCallItem, ToolResult, Usage
from core.tools.approval import Decided


def restated(turn_id: str, decided: Sequence[Decided], *, first_item: int) -> list[TurnEvent]:
    """The request's id is the call's from now on: no model gives it to another one."""
    if not decided:
        return []
    calls = [
        ToolCallItem(
            id=item_id(turn_id, n, "mcp"),
            call=ToolCall(id=one.request_id, name=one.tool, arguments=one.arguments),
            offer=Offer.REGISTRY,
            approval=one.request_id,
            reply=first_item,
        )
        for n, one in enumerate(decided, first_item)
    ]
    said = Replied(
        step=0,
        first_item=first_item,
        items=tuple(calls),
        usage=Usage(),
        finish=FinishReason.TOOL_CALLS,
        seconds=0.0,
        restated=True,
    )
    denied = [
        ToolReturned(item=n, result=ToolResult(call_id=one.request_id, content=one.denial, failed=True), seconds=0.0)
        for n, one in enumerate(decided, first_item)
        if one.denial is not None
    ]
    return [said, *denied]
