"""/admin/v1/keys: the organisation's API keys. A secret is shown once, when it is made."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from api.dependencies import Query, answer, authenticated, body_of, listed, platform_of, query_of
from api.route import Router
from api.wire.body import Body
from api.wire.response_body import unix
from core.identity.principals import Scope
from core.storage.records import ApiKey

router = Router("/admin/v1/keys")


class CreateKey(Body):
    """expires_at: Unix time in seconds. organization_id: another organisation's, for operators."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    scopes: list[Literal["chat", "admin", "operator"]] = Field(["chat"], min_length=1)
    expires_at: Annotated[int, Field(ge=0, le=253_402_300_799)] | None = None
    organization_id: str | None = None


class Keys(Query):
    after: str | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20


def _encode(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "object": "api_key",
        "name": key.name,
        "prefix": key.prefix,
        "organization_id": key.organization_id,
        "user_id": key.user_id,
        "scopes": list(key.scopes),
        "created_at": unix(key.created_at),
        "expires_at": unix(key.expires_at) if key.expires_at else None,
        "revoked_at": unix(key.revoked_at) if key.revoked_at else None,
    }


@router.post("", body=CreateKey)
async def create(request: Request) -> Response:
    principal = await authenticated(request, Scope.ADMIN)
    body = await body_of(request, CreateKey)
    key, secret = await platform_of(request).identity.create_key(
        principal,
        name=body.name,
        scopes=[Scope(scope) for scope in dict.fromkeys(body.scopes)],
        expires_at=None if body.expires_at is None else datetime.fromtimestamp(body.expires_at, UTC),
        organization_id=body.organization_id,
    )
    return answer({**_encode(key), "secret": secret})


@router.get("", query=Keys)
async def list_keys(request: Request) -> Response:
    principal = await authenticated(request, Scope.ADMIN)
    query = query_of(request, Keys)
    return listed(await platform_of(request).identity.list_keys(principal, after=query.after, limit=query.limit), _encode)


@router.delete("/{key_id}")
async def revoke(request: Request, key_id: str) -> Response:
    """From its answer on, the key opens nothing, and what runs under it stops at its next event."""
    principal = await authenticated(request, Scope.ADMIN)
    return answer(_encode(await platform_of(request).identity.revoke_key(principal, key_id)))
