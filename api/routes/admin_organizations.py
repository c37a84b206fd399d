"""/admin/v1/organizations: for operators."""

from typing import Annotated, Any

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from api.dependencies import Query, answer, authenticated, body_of, listed, platform_of, query_of
from api.route import Router
from api.wire.body import Body
from api.wire.response_body import unix
from core.identity.principals import Scope
from core.storage.records import Organization

router = Router("/admin/v1/organizations")


class CreateOrganization(Body):
    name: Annotated[str, Field(min_length=1, max_length=200)]


class Organizations(Query):
    after: str | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20


def _encode(organization: Organization) -> dict[str, Any]:
    return {
        "id": organization.id,
        "object": "organization",
        "name": organization.name,
        "created_at": unix(organization.created_at),
    }


@router.post("", body=CreateOrganization)
async def create(request: Request) -> Response:
    principal = await authenticated(request, Scope.OPERATOR)
    body = await body_of(request, CreateOrganization)
    return answer(_encode(await platform_of(request).identity.create_organization(principal, name=body.name)))


@router.get("", query=Organizations)
async def list_organizations(request: Request) -> Response:
    principal = await authenticated(request, Scope.OPERATOR)
    query = query_of(request, Organizations)
    page = await platform_of(request).identity.list_organizations(principal, after=query.after, limit=query.limit)
    return listed(page, _encode)
