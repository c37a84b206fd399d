"""A request and who made it, as they are kept with their turn, so that any process can go on with it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pydantic import TypeAdapter

from core.conversations.request import TurnRequest
from core.errors import InvalidRequest
from core.identity.principals import Principal
from core.messages import Item

REQUEST = TypeAdapter(TurnRequest)
PRINCIPAL = TypeAdapter(Principal)


@dataclass(frozen=True, slots=True, kw_only=True)
class _MadeBy:
    principal: Principal


_MADE_BY = TypeAdapter(_MadeBy)


def keep(request: TurnRequest, principal: Principal) -> str:
    """JSON of all but the input, which is kept as items. Raises InvalidRequest."""
    try:
        body = REQUEST.dump_json(replace(request, input=()))
        return f'{{"principal":{PRINCIPAL.dump_json(principal).decode()},{body[1:].decode()}'
    except ValueError as exc:
        raise InvalidRequest("a text of the request is not valid Unicode", code="invalid_unicode") from exc


def recall(kept: str, items: Sequence[Item]) -> tuple[TurnRequest, Principal]:
    """Raises ValueError for what another version kept and this one cannot read."""
    return replace(REQUEST.validate_json(kept), input=tuple(items)), _MADE_BY.validate_json(kept).principal
