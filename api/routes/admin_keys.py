"""/admin/v1/keys: the organisation's API keys. A secret is shown once, when it is made."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from api.dependencies import Query, answer, authenticated, body_of, listed, platform_of, query_of
from api.route import Router
from api.wire.body import Body
from api.wire.response_body import unix
from core.identity.keys import KeyChange
from core.identity.principals import Scope
from core.storage.records import ApiKey

router = Router("/admin/v1/keys")
Name = Annotated[str, Field(min_length=1, max_length=200)]
Id = Annotated[str, Field(max_length=100)]
Scopes = Annotated[list[Literal["chat", "admin", "audit", "operator"]], Field(min_length=1, max_length=10)]
UnixTime = Annotated[int, Field(ge=0, le=253_402_300_799)]


class CreateKey(Body):
    """expires_at: Unix time in seconds. user_id: whose key it is. organization_id: another organisation's, for operators."""

    name: Name
    scopes: Scopes = Field(["chat"], validate_default=True)
    expires_at: UnixTime | None = None
    user_id: Id | None = None
    organization_id: Id | None = None


class UpdateKey(Body):
    """What is left out stays."""

    name: Name | None = None
    scopes: Scopes | None = None
    expires_at: UnixTime | None = None


class RotateKey(Body):
    """overlap_seconds: for how long the old key still opens what it opened."""

    overlap_seconds: Annotated[int, Field(ge=0, le=30 * 86_400)] = 0


class ListKeys(Query):
    """kind: token lists the bearer tokens that were used. organization_id: another organisation's, for operators."""

    kind: Literal["key", "token"] = "key"
    user_id: Id | None = None
    organization_id: Id | None = None
    after: Id | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    order: Literal["asc", "desc"] = "desc"


def _encode(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "object": "api_key",
        "kind": key.kind,
        "name": key.name,
        "prefix": key.prefix,
        "organization_id": key.organization_id,
        "user_id": key.user_id,
        "scopes": list(key.scopes),
        "created_at": unix(key.created_at),
        "expires_at": unix(key.expires_at) if key.expires_at else None,
        "revoked_at": unix(key.revoked_at) if key.revoked_at else None,
    }


def _scopes(names: list[Any]) -> list[Scope]:
    return [Scope(name) for name in dict.fromkeys(names)]


def _time(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


@router.post("", body=CreateKey)
async def create(request: Request) -> Response:
    principal = await authenticated(request)
    body = await body_of(request, CreateKey)
    key, secret = await platform_of(request).keys.create(
        principal,
        name=body.name,
        scopes=_scopes(body.scopes),
        expires_at=_time(body.expires_at),
        organization_id=body.organization_id,
        user_id=body.user_id,
    )
    return answer({**_encode(key), "secret": secret})


@router.get("", query=ListKeys)
async def list_keys(request: Request) -> Response:
    principal = await authenticated(request)
    query = query_of(request, ListKeys)
    page = await platform_of(request).keys.list(
        principal,
        kind=query.kind,
        organization_id=query.organization_id,
        user_id=query.user_id,
        after=query.after,
        limit=query.limit,
        descending=query.order == "desc",
    )
    return listed(page, _encode)


@router.get("/{key_id}")
async def get(request: Request, key_id: str) -> Response:
    return answer(_encode(await platform_of(request).keys.get(await authenticated(request), key_id)))


@router.post("/{key_id}", body=UpdateKey)
async def update(request: Request, key_id: str) -> Response:
    principal = await authenticated(request)
    body = await body_of(request, UpdateKey)
    scopes = None if body.scopes is None else _scopes(body.scopes)
    change = KeyChange(name=body.name, scopes=scopes, expires_at=_time(body.expires_at))
    return answer(_encode(await platform_of(request).keys.update(principal, key_id, change)))


@router.post("/{key_id}/rotate", body=RotateKey)
async def rotate(request: Request, key_id: str) -> Response:
    """Another key like this one, with a secret of its own; this one ends now, or after the overlap."""
    principal = await authenticated(request)
    body = await body_of(request, RotateKey)
    key, secret = await platform_of(request).keys.rotate(principal, key_id, overlap=timedelta(seconds=body.overlap_seconds))
    return answer({**_encode(key), "secret": secret})


@router.delete("/{key_id}")
async def revoke(request: Request, key_id: str) -> Response:
    """From its answer on, the key opens nothing, and what runs under it stops at its next event."""
    return answer(_encode(await platform_of(request).keys.revoke(await authenticated(request), key_id)))
