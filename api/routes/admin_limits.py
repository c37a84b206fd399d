"""/admin/v1/limits: the tiers that organisations, users and keys were given, and what they have used of them."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from api.dependencies import Query, answer, authenticated, body_of, listed, platform_of, query_of
from api.route import Router
from api.wire.body import Body
from api.wire.response_body import unix
from core.limits.tiers import Limits
from core.storage.tiers import GivenTier

router = Router("/admin/v1/limits")


class SetLimits(Body):
    """tier: null takes it back; an organization then has the default one, a user or key none of its own."""

    tier: Annotated[str, Field(min_length=1, max_length=100)] | None


class ListLimits(Query):
    after: Annotated[str, Field(max_length=100)] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    order: Literal["asc", "desc"] = "desc"


def _given(given: GivenTier) -> dict[str, Any]:
    return {
        "id": given.subject_id,
        "object": "limits",
        "organization_id": given.organization_id,
        "tier": given.tier,
        "set_at": unix(given.set_at),
    }


def _limits(limits: Limits) -> dict[str, Any]:
    return {
        "id": limits.subject_id,
        "object": "limits",
        "organization_id": limits.organization_id,
        "tier": limits.tier,
        "allowance": None if limits.allowance is None else asdict(limits.allowance),
        "used": {"requests_today": limits.used.requests, "tokens_this_month": limits.used.tokens},
    }


@router.get("", query=ListLimits)
async def list_limits(request: Request) -> Response:
    """Of the organization, its users and its keys: those that were given a tier."""
    principal = await authenticated(request)
    query = query_of(request, ListLimits)
    tiers = platform_of(request).limiter.tiers
    page = await tiers.given(principal, after=query.after, limit=query.limit, descending=query.order == "desc")
    return listed(page, _given)


@router.get("/{subject_id}")
async def retrieve(request: Request, subject_id: str) -> Response:
    """An organization's, a user's or a key's: its tier, what that allows, and what was used by the books."""
    principal = await authenticated(request)
    return answer(_limits(await platform_of(request).limiter.tiers.get(principal, subject_id)))


@router.post("/{subject_id}", body=SetLimits)
async def update(request: Request, subject_id: str) -> Response:
    """Operators give organizations their tiers; organizations may hold their users and keys to narrower ones."""
    principal = await authenticated(request)
    body = await body_of(request, SetLimits)
    return answer(_limits(await platform_of(request).limiter.tiers.assign(principal, subject_id, body.tier)))
