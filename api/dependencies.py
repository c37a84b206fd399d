"""What routes take from a request: the platform, who asks, the body, the query. Also: noticing that the client has left."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive

from api.errors import UnsupportedMedia
from api.wire.body import parse, refusal
from api.wire.responses_request import Include
from core.bootstrap import Platform
from core.compact import dump
from core.errors import InvalidRequest, PermissionDenied, RateLimited, TooLarge, Unauthenticated
from core.identity.principals import Principal, Scope
from core.storage.records import Page

Model = TypeVar("Model", bound=BaseModel)
Result = TypeVar("Result")
BODY_SECONDS = 600.0
"""For all of a body that is held in memory; how long one may stand still is for `api/protocol.py` to say."""
PROMPT_SECONDS = 0.05
"""A body that takes longer is one in whose time a key may have been revoked."""


def platform_of(request: Request) -> Platform:
    platform: Platform = request.app.state.platform
    return platform


async def authenticated(request: Request, *scopes: Scope) -> Principal:
    """Who asks: the route has looked already, by its rule. scopes: one of them is asked for beyond that.

    Raises Unauthenticated, PermissionDenied.
    """
    principal: Principal = request.scope["state"].get("principal") or await _authenticate(request)
    if scopes:
        principal.require(*scopes)
    return principal


async def authenticated_again(request: Request) -> None:
    """After some time: what the request brought opens what it did. Raises Unauthenticated, PermissionDenied."""
    before = request.scope["state"].get("principal")
    if before is not None and await _authenticate(request) != before:
        raise PermissionDenied("what the key opens was changed meanwhile: send the request again", code="key_changed")


async def _authenticate(request: Request) -> Principal:
    identity, state = platform_of(request).identity, request.scope["state"]
    given = request.headers.getlist("authorization")
    # a proxy may have looked at the other one of two
    scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not token.strip():
        missing = "an API key is needed, or a bearer token, in one header: `Authorization: Bearer pk_...`"
        error = Unauthenticated(missing, code="missing_api_key")
        await identity.turned_away(error, state["request_id"])
        raise error
    principal = await identity.authenticate(token.strip(), request_id=state["request_id"])
    state["principal"] = principal
    return principal


async def refused(request: Request, action: str, error: PermissionDenied | RateLimited) -> None:
    """Tell the audit log what a known caller may not, or not so often. action: method and path of the route."""
    principal: Principal = request.scope["state"]["principal"]
    await platform_of(request).identity.refused(principal, action, error.code)


async def body_of(request: Request, model: type[Model]) -> Model:
    """Raises InvalidRequest, TooLarge, UnsupportedMedia."""
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise UnsupportedMedia(f"the body must be application/json, not {kind[:100]!r}")
    return parse(model, await read_body(request, platform_of(request).settings.limits.request_body_bytes))


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """The limit holds while it is read: a Content-Length may lie or be absent. Who held some of it back is authenticated again.

    Raises TooLarge, InvalidRequest when it takes too long, Unauthenticated, PermissionDenied.
    """
    too_large = TooLarge(f"the body is larger than {limit_bytes} bytes")
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > limit_bytes:
        raise too_large
    body, began = bytearray(), time.monotonic()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit_bytes:
                    raise too_large
    except TimeoutError as exc:
        raise InvalidRequest(f"the body took longer than {BODY_SECONDS:g} s", code="body_timeout") from exc
    if time.monotonic() - began > PROMPT_SECONDS:
        await authenticated_again(request)
    return bytes(body)


class Query(BaseModel):
    """Query parameters are text, so they are read as what the field is."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Listing(Query):
    after: str | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    order: Literal["asc", "desc"] = "desc"
    include: tuple[Include, ...] = ()


def query_of(request: Request, model: type[Model]) -> Model:
    """`name[]=a&name[]=b` is a list, as the SDKs write it. Raises InvalidRequest."""
    values: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        plain = name.removesuffix("[]")
        if plain == "include":
            values[plain] = [*values.get(plain, ()), value]
        elif plain in values:
            raise InvalidRequest(f"{plain[:200]!r} is given twice", param=plain[:200], code="invalid_value")
        else:
            values[plain] = value
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise refusal(error, values) from None


def listed(page: Page[Any], encode: Callable[[Any], Mapping[str, Any]], **more: object) -> Response:
    """more: what the list says beside its rows."""
    rows = [encode(row) for row in page.rows]
    return answer(
        {
            "object": "list",
            "data": rows,
            "first_id": rows[0]["id"] if rows else None,
            "last_id": rows[-1]["id"] if rows else None,
            "has_more": page.more,
            **more,
        }
    )


def answer(body: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(dump(body), status, headers, "application/json")


class WorkCut(ClientDisconnect):
    """The client left while its request was worked on; what was done by then is done."""


async def unless_gone(work: Coroutine[Any, Any, Result], watch: Coroutine[Any, Any, None]) -> Result:
    """The work's result. When `watch` returns before, the work is cancelled and WorkCut raised, or what `watch` raised."""
    task = asyncio.current_task()
    assert task is not None
    watching, over = asyncio.create_task(watch), False

    def leave(_: "asyncio.Task[None]") -> None:
        if not over:
            task.cancel()

    watching.add_done_callback(leave)
    try:
        return await work
    except asyncio.CancelledError:
        if watching.done() and task.uncancel() == 0:
            raise watching.exception() or WorkCut() from None
        raise
    finally:
        over = True
        watching.cancel()


async def unless_left(receive: Receive, work: Coroutine[Any, Any, Result]) -> Result:
    """The work's result. When the client leaves before, the work is cancelled and WorkCut raised."""
    return await unless_gone(work, departure(receive))


async def departure(receive: Receive) -> None:
    """Return when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass
