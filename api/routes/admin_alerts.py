"""/admin/v1/alerts: what is or was wrong with the servers, by the rules in the configuration, and who was told."""

from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from api.dependencies import Query, answer, authenticated, listed, platform_of, query_of
from api.route import Router
from api.wire.response_body import unix
from core.alerts.watch import told
from core.storage.alerts import AlertMessage

router = Router("/admin/v1/alerts")


class ListAlerts(Query):
    status: Literal["firing", "resolved"] | None = None
    after: Annotated[str, Field(max_length=100)] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    order: Literal["asc", "desc"] = "desc"


def _message(message: AlertMessage) -> dict[str, Any]:
    waits = message.delivered_at is None and message.given_up_at is None
    return {
        "id": message.id,
        "object": "alert.message",
        "receiver": message.receiver,
        "attempts": message.attempts,
        "next_attempt_at": unix(message.next_at) if waits and message.next_at else None,
        "delivered_at": unix(message.delivered_at) if message.delivered_at else None,
        "given_up_at": unix(message.given_up_at) if message.given_up_at else None,
        "error": message.error,
    }


@router.get("", query=ListAlerts)
async def list_alerts(request: Request) -> Response:
    """What is wrong now, and what was; `status=firing` for the former alone."""
    principal = await authenticated(request)
    query = query_of(request, ListAlerts)
    firing = None if query.status is None else query.status == "firing"
    page = await platform_of(request).alerts.page(
        principal, firing=firing, after=query.after, limit=query.limit, descending=query.order == "desc"
    )
    return listed(page, told)


@router.get("/{alert_id}")
async def retrieve(request: Request, alert_id: str) -> Response:
    """One alert, with each message about it: delivered, waiting, or given up."""
    principal = await authenticated(request)
    alert, messages = await platform_of(request).alerts.get(principal, alert_id)
    return answer({**told(alert), "messages": [_message(message) for message in messages]})
