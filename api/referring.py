"""What the items of a request point to, or leave to us to know, looked up."""

from collections.abc import Mapping, Sequence

from starlette.requests import Request

from api.dependencies import platform_of
from api.wire.body import MOST_OBJECTS
from api.wire.input_items import InputItem, bare_calls, references
from core.errors import InvalidRequest
from core.identity.principals import Principal
from core.messages import Item


async def referred(request: Request, principal: Principal, value: str | Sequence[InputItem] | None) -> Mapping[str, Item]:
    """The items that are there, by id. Those that it points to are no more than a request may hold itself: raises
    InvalidRequest. Where what its calls gave back is more, it stays unknown: nobody has asked for it.
    """
    pointed_to, bare = references(value), bare_calls(value)
    known = await _looked_up(request, principal, pointed_to)
    try:
        return {**await _looked_up(request, principal, bare), **known}
    except InvalidRequest:
        return known


async def _looked_up(request: Request, principal: Principal, ids: Sequence[str]) -> Mapping[str, Item]:
    if not ids:
        return {}
    platform = platform_of(request)
    most_bytes = platform.settings.limits.request_body_bytes
    home = principal.organization_id
    return await platform.conversations.items_by_id(home, ids, most_bytes=most_bytes, most_parts=MOST_OBJECTS)
