"""/admin/v1/organizations: operators make, list and stop them; the others see and name their own."""

from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from api.dependencies import Query, answer, authenticated, body_of, listed, platform_of, query_of
from api.route import Router
from api.wire.body import Body
from api.wire.response_body import unix
from core.identity.organizations import OrganizationChange
from core.storage.records import Organization

router = Router("/admin/v1/organizations")
Name = Annotated[str, Field(min_length=1, max_length=200)]
ExternalId = Annotated[str, Field(min_length=1, max_length=255)]


class CreateOrganization(Body):
    """external_id: what the identity provider calls it. owner_name: of its first user, who owns it."""

    name: Name
    external_id: ExternalId | None = None
    owner_name: Name = "admin"


class UpdateOrganization(Body):
    """What is left out stays. external_id and active are for operators."""

    name: Name | None = None
    external_id: ExternalId | None = None
    active: bool | None = None


class ListOrganizations(Query):
    after: Annotated[str, Field(max_length=100)] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    order: Literal["asc", "desc"] = "desc"


def _encode(organization: Organization) -> dict[str, Any]:
    deactivated_at = organization.deactivated_at
    return {
        "id": organization.id,
        "object": "organization",
        "name": organization.name,
        "external_id": organization.external_id,
        "active": deactivated_at is None,
        "created_at": unix(organization.created_at),
        "deactivated_at": unix(deactivated_at) if deactivated_at else None,
    }


@router.post("", body=CreateOrganization)
async def create(request: Request) -> Response:
    """For operators."""
    principal = await authenticated(request)
    body = await body_of(request, CreateOrganization)
    organization = await platform_of(request).organizations.create(
        principal, name=body.name, external_id=body.external_id, owner_name=body.owner_name
    )
    return answer(_encode(organization))


@router.get("", query=ListOrganizations)
async def list_organizations(request: Request) -> Response:
    """For operators."""
    principal = await authenticated(request)
    query = query_of(request, ListOrganizations)
    page = await platform_of(request).organizations.list(
        principal, after=query.after, limit=query.limit, descending=query.order == "desc"
    )
    return listed(page, _encode)


@router.get("/{organization_id}")
async def get(request: Request, organization_id: str) -> Response:
    return answer(_encode(await platform_of(request).organizations.get(await authenticated(request), organization_id)))


@router.post("/{organization_id}", body=UpdateOrganization)
async def update(request: Request, organization_id: str) -> Response:
    principal = await authenticated(request)
    body = await body_of(request, UpdateOrganization)
    change = OrganizationChange(name=body.name, external_id=body.external_id, active=body.active)
    return answer(_encode(await platform_of(request).organizations.update(principal, organization_id, change)))
