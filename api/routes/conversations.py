"""/v1/conversations and their items."""

from typing import Annotated, Any

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from api.dependencies import Listing, Query, answer, authenticated, body_of, listed, platform_of, query_of
from api.referring import referred
from api.route import Router
from api.wire.body import Body, Metadata
from api.wire.input_items import InputItem, references, to_items
from api.wire.items import encode_item
from api.wire.response_body import unix
from api.wire.responses_request import OUTPUTS, Include
from core.conversations.referring import copied
from core.identity.principals import Principal
from core.messages import Item
from core.storage.records import Conversation, Page

router = Router("/v1/conversations")
MOST_ITEMS = 20


class CreateConversation(Body):
    items: Annotated[list[InputItem], Field(max_length=MOST_ITEMS)] | None = None
    metadata: Metadata | None = None


class UpdateConversation(Body):
    metadata: Metadata | None


class ForkConversation(Body):
    """item_id: the last one that both have; the last there is, where it is left out. metadata: else the conversation's."""

    item_id: str | None = None
    metadata: Metadata | None = None


class CreateItems(Body):
    items: Annotated[list[InputItem], Field(min_length=1, max_length=MOST_ITEMS)]


class Including(Query):
    include: tuple[Include, ...] = ()


def _encode(conversation: Conversation) -> dict[str, Any]:
    return {
        "id": conversation.id,
        "object": "conversation",
        "created_at": unix(conversation.created_at),
        "metadata": dict(conversation.metadata),
    }


async def _items(request: Request, principal: Principal, given: list[InputItem]) -> tuple[Item, ...]:
    known = await referred(request, principal, given)
    return copied(to_items(given, "items", known), frozenset(references(given)))


@router.post("", body=CreateConversation)
async def create(request: Request) -> Response:
    principal = await authenticated(request)
    body = await body_of(request, CreateConversation)
    items = await _items(request, principal, body.items or [])
    conversations = platform_of(request).conversations
    return answer(_encode(await conversations.create(principal.organization_id, metadata=body.metadata or {}, items=items)))


@router.get("/{conversation_id}")
async def retrieve(request: Request, conversation_id: str) -> Response:
    principal = await authenticated(request)
    return answer(_encode(await platform_of(request).conversations.get(principal.organization_id, conversation_id)))


@router.post("/{conversation_id}", body=UpdateConversation)
async def update(request: Request, conversation_id: str) -> Response:
    principal = await authenticated(request)
    body = await body_of(request, UpdateConversation)
    conversations = platform_of(request).conversations
    return answer(_encode(await conversations.update(principal.organization_id, conversation_id, metadata=body.metadata or {})))


@router.delete("/{conversation_id}")
async def delete(request: Request, conversation_id: str) -> Response:
    principal = await authenticated(request)
    await platform_of(request).conversations.delete(principal, conversation_id)
    return answer({"id": conversation_id, "object": "conversation.deleted", "deleted": True})


@router.post("/{conversation_id}/fork", body=ForkConversation)
async def fork(request: Request, conversation_id: str) -> Response:
    """Another conversation that has the same items up to one of them, and its own from there on."""
    principal = await authenticated(request)
    body = await body_of(request, ForkConversation)
    conversations = platform_of(request).conversations
    made = await conversations.fork(principal.organization_id, conversation_id, item_id=body.item_id, metadata=body.metadata)
    return answer(_encode(made))


@router.post("/{conversation_id}/items", body=CreateItems, query=Including)
async def create_items(request: Request, conversation_id: str) -> Response:
    principal = await authenticated(request)
    include = query_of(request, Including).include
    body = await body_of(request, CreateItems)
    items = await _items(request, principal, body.items)
    await platform_of(request).conversations.add_items(principal.organization_id, conversation_id, items)
    return listed(Page(rows=items, more=False), lambda item: encode_item(item, outputs=OUTPUTS in include))


@router.get("/{conversation_id}/items", query=Listing)
async def list_items(request: Request, conversation_id: str) -> Response:
    principal = await authenticated(request)
    query = query_of(request, Listing)
    page = await platform_of(request).conversations.list_items(
        principal.organization_id,
        conversation_id,
        after=query.after,
        limit=query.limit,
        descending=query.order == "desc",
    )
    return listed(page, lambda item: encode_item(item, outputs=OUTPUTS in query.include))


@router.get("/{conversation_id}/items/{item_id}", query=Including)
async def retrieve_item(request: Request, conversation_id: str, item_id: str) -> Response:
    principal = await authenticated(request)
    include = query_of(request, Including).include
    item = await platform_of(request).conversations.get_item(principal.organization_id, conversation_id, item_id)
    return answer(encode_item(item, outputs=OUTPUTS in include))


@router.delete("/{conversation_id}/items/{item_id}")
async def delete_item(request: Request, conversation_id: str, item_id: str) -> Response:
    principal = await authenticated(request)
    conversations = platform_of(request).conversations
    await conversations.delete_item(principal, conversation_id, item_id)
    return answer(_encode(await conversations.get(principal.organization_id, conversation_id)))
