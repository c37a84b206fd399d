"""/admin/v1/webhook_deliveries: what was told to whom, what waits, and the dead letters, which can be sent again."""

from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from api.dependencies import Query, answer, authenticated, listed, platform_of, query_of
from api.route import Router
from api.wire.response_body import unix
from core.storage.webhooks import Delivery

router = Router("/admin/v1/webhook_deliveries")


class ListDeliveries(Query):
    """state: dead ones were given up."""

    state: Literal["waiting", "delivered", "dead"] | None = None
    webhook_id: Annotated[str, Field(max_length=100)] | None = None
    after: Annotated[str, Field(max_length=100)] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    order: Literal["asc", "desc"] = "desc"


def _encode(delivery: Delivery) -> dict[str, Any]:
    waits = delivery.delivered_at is None and delivery.given_up_at is None
    return {
        "id": delivery.id,
        "object": "webhook.delivery",
        "webhook_id": delivery.endpoint_id,
        "event": delivery.event,
        "data": {"id": delivery.object_id},
        "state": "waiting" if waits else "delivered" if delivery.delivered_at else "dead",
        "attempts": delivery.attempts,
        "next_attempt_at": unix(delivery.next_at) if waits else None,
        "delivered_at": unix(delivery.delivered_at) if delivery.delivered_at else None,
        "given_up_at": unix(delivery.given_up_at) if delivery.given_up_at else None,
        "error": delivery.error,
        "created_at": unix(delivery.created_at),
    }


@router.get("", query=ListDeliveries)
async def list_deliveries(request: Request) -> Response:
    principal = await authenticated(request)
    query = query_of(request, ListDeliveries)
    page = await platform_of(request).webhooks.store.deliveries(
        principal.organization_id,
        state=query.state,
        endpoint_id=query.webhook_id,
        after=query.after,
        limit=query.limit,
        descending=query.order == "desc",
    )
    return listed(page, _encode)


@router.post("/{delivery_id}/send_again")
async def send_again(request: Request, delivery_id: str) -> Response:
    """One that was given up, or delivered to somebody who lost it. Its webhook has to be enabled."""
    delivery = await platform_of(request).webhooks.send_again(await authenticated(request), delivery_id)
    return answer(_encode(delivery))
