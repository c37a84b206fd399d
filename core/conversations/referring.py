"""Items that a request refers to instead of sending them: a turn and a conversation own their items, so each gets copies."""

from collections import defaultdict
from collections.abc import Sequence, Set
from dataclasses import replace

from core.conversations.reply import PREFIX_OF_CALL
from core.events import turn_of
from core.ids import new_id
from core.messages import Item, Offer, ToolCallItem

_ASKED = f"{PREFIX_OF_CALL[Offer.APPROVAL]}_"


def copied(items: Sequence[Item], referred: Set[str], before: Sequence[Item] = ()) -> tuple[Item, ...]:
    """With copies of those that are referred to, and without those of them that were said `before`: nothing is told twice.

    Copies from one turn look as if one turn had made them too, which tells what was asked for at once.
    """
    heard = {item.id for item in before}
    makers: defaultdict[str, str] = defaultdict(lambda: new_id("").removeprefix("_"))
    return tuple(
        _copy(item, makers) if item.id in referred else item
        for item in items
        if item.id not in referred or item.id not in heard
    )


def _copy(item: Item, makers: "defaultdict[str, str]") -> Item:
    maker = turn_of(item.id)
    copy: Item = replace(item, id=item.id.replace(maker, makers[maker]))  # what follows it is an ordinal
    if isinstance(copy, ToolCallItem) and copy.offer is Offer.APPROVAL and not copy.call.id.startswith(_ASKED):
        return replace(copy, call=replace(copy.call, id=item.id))  # by which it is answered, and copies of copies too
    return copy
