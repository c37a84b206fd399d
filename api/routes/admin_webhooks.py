"""/admin/v1/webhooks: who is told when a turn in the background or a batch has ended. A secret is shown when it is made."""

from functools import partial
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from api.dependencies import Query, answer, authenticated, body_of, listed, platform_of, query_of
from api.route import Router
from api.wire.body import Body
from api.wire.response_body import unix
from core.identity.principals import Principal, Scope
from core.storage.webhooks import Endpoint

router = Router("/admin/v1/webhooks")
Event = Literal[
    "response.completed",
    "response.incomplete",
    "response.failed",
    "response.cancelled",
    "batch.completed",
    "batch.failed",
    "batch.expired",
    "batch.cancelled",
]
Events = Annotated[list[Event], Field(min_length=1, max_length=20)]
Url = Annotated[str, Field(max_length=2_000)]


class CreateWebhook(Body):
    url: Url
    events: Events


class UpdateWebhook(Body):
    """What is left out stays. enabled: while it is false nothing is sent, and nothing new is written down to be sent."""

    url: Url | None = None
    events: Events | None = None
    enabled: bool | None = None


class ListWebhooks(Query):
    after: Annotated[str, Field(max_length=100)] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    order: Literal["asc", "desc"] = "desc"


def _encode(endpoint: Endpoint, principal: Principal) -> dict[str, Any]:
    """Who only looks is told the host: with many receivers the whole address is a secret."""
    url = urlsplit(endpoint.url)
    return {
        "id": endpoint.id,
        "object": "webhook",
        "url": endpoint.url if Scope.ADMIN in principal.scopes else f"{url.scheme}://{url.netloc}",
        "events": list(endpoint.events),
        "enabled": endpoint.enabled,
        "created_at": unix(endpoint.created_at),
    }


@router.post("", body=CreateWebhook)
async def create(request: Request) -> Response:
    principal = await authenticated(request)
    body = await body_of(request, CreateWebhook)
    events = list(dict.fromkeys(body.events))
    endpoint = await platform_of(request).webhooks.create(principal, url=body.url, events=events)
    return answer({**_encode(endpoint, principal), "secret": endpoint.secret})


@router.get("", query=ListWebhooks)
async def list_webhooks(request: Request) -> Response:
    principal = await authenticated(request)
    query = query_of(request, ListWebhooks)
    page = await platform_of(request).webhooks.list(
        principal, after=query.after, limit=query.limit, descending=query.order == "desc"
    )
    return listed(page, partial(_encode, principal=principal))


@router.get("/{webhook_id}")
async def retrieve(request: Request, webhook_id: str) -> Response:
    principal = await authenticated(request)
    return answer(_encode(await platform_of(request).webhooks.get(principal, webhook_id), principal))


@router.post("/{webhook_id}", body=UpdateWebhook)
async def update(request: Request, webhook_id: str) -> Response:
    """What waits for a webhook that is disabled goes out when it is enabled again; after a day it is a dead letter."""
    principal = await authenticated(request)
    body = await body_of(request, UpdateWebhook)
    events = None if body.events is None else list(dict.fromkeys(body.events))
    endpoint = await platform_of(request).webhooks.update(
        principal, webhook_id, url=body.url, events=events, enabled=body.enabled
    )
    return answer(_encode(endpoint, principal))


@router.post("/{webhook_id}/rotate")
async def rotate(request: Request, webhook_id: str) -> Response:
    """Another secret: what is sent from now on is signed with it."""
    principal = await authenticated(request)
    endpoint = await platform_of(request).webhooks.rotate(principal, webhook_id)
    return answer({**_encode(endpoint, principal), "secret": endpoint.secret})


@router.delete("/{webhook_id}")
async def delete(request: Request, webhook_id: str) -> Response:
    """With what waits to be sent to it."""
    await platform_of(request).webhooks.delete(await authenticated(request), webhook_id)
    return answer({"id": webhook_id, "object": "webhook", "deleted": True})
