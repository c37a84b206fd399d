"""/admin/v1/users: who belongs to the organisation, and as what."""

from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from api.dependencies import Query, answer, authenticated, body_of, listed, platform_of, query_of
from api.route import Router
from api.wire.body import Body
from api.wire.response_body import unix
from core.identity.principals import Role
from core.identity.users import UserChange
from core.storage.records import User

router = Router("/admin/v1/users")
Name = Annotated[str, Field(min_length=1, max_length=200)]
Subject = Annotated[str, Field(min_length=1, max_length=255)]
Id = Annotated[str, Field(max_length=100)]
RoleName = Literal["owner", "admin", "member", "auditor"]


class CreateUser(Body):
    """subject: who it is to the identity provider whose tokens are taken. organization_id: another one's, for operators."""

    name: Name
    role: RoleName = "member"
    subject: Subject | None = None
    organization_id: Id | None = None


class UpdateUser(Body):
    """What is left out stays. active: false is as if all keys of the user were revoked, until it is true again."""

    name: Name | None = None
    role: RoleName | None = None
    subject: Subject | None = None
    active: bool | None = None


class ListUsers(Query):
    """organization_id: another organisation's, for operators."""

    organization_id: Id | None = None
    after: Id | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    order: Literal["asc", "desc"] = "desc"


def _encode(user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "object": "user",
        "organization_id": user.organization_id,
        "name": user.name,
        "role": user.role,
        "subject": user.subject,
        "active": user.deactivated_at is None,
        "created_at": unix(user.created_at),
        "deactivated_at": unix(user.deactivated_at) if user.deactivated_at else None,
    }


@router.post("", body=CreateUser)
async def create(request: Request) -> Response:
    principal = await authenticated(request)
    body = await body_of(request, CreateUser)
    user = await platform_of(request).users.create(
        principal, name=body.name, role=Role(body.role), subject=body.subject, organization_id=body.organization_id
    )
    return answer(_encode(user))


@router.get("", query=ListUsers)
async def list_users(request: Request) -> Response:
    principal = await authenticated(request)
    query = query_of(request, ListUsers)
    page = await platform_of(request).users.list(
        principal,
        organization_id=query.organization_id,
        after=query.after,
        limit=query.limit,
        descending=query.order == "desc",
    )
    return listed(page, _encode)


@router.get("/{user_id}")
async def get(request: Request, user_id: str) -> Response:
    return answer(_encode(await platform_of(request).users.get(await authenticated(request), user_id)))


@router.post("/{user_id}", body=UpdateUser)
async def update(request: Request, user_id: str) -> Response:
    principal = await authenticated(request)
    body = await body_of(request, UpdateUser)
    role = None if body.role is None else Role(body.role)
    change = UserChange(name=body.name, role=role, subject=body.subject, active=body.active)
    return answer(_encode(await platform_of(request).users.update(principal, user_id, change)))


@router.delete("/{user_id}")
async def delete(request: Request, user_id: str) -> Response:
    """The user and all keys of theirs are gone at once. To stop somebody for a while, set `active` to false."""
    await platform_of(request).users.delete(await authenticated(request), user_id)
    return answer({"id": user_id, "object": "user.deleted", "deleted": True})
