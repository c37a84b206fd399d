"""The HTTP application over an open platform: routes, errors, middleware, the OpenAPI document."""

from collections.abc import Sequence
from functools import partial

from fastapi import FastAPI
from starlette import routing
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp

from api import ratelimit, routes
from api.dependencies import answer
from api.errors import MethodNotAllowed, error_response
from api.middleware import Rim, TrustedProxies
from api.one_look import OneLook
from api.openapi import openapi_document
from api.route import Route
from core.bootstrap import Platform
from core.errors import InvalidRequest, NotFound, PaddockError

NOT_SERVED = {"/v1/responses/input_tokens", "/v1/responses/compact"}
"""Which look like a response's, of another method."""
EXPOSED = (
    "x-request-id",
    "x-paddock-trace-id",
    "x-paddock-turn-id",
    "x-paddock-assistant",
    "x-paddock-input-tokens",
    "x-paddock-output-tokens",
    "x-paddock-seconds",
    "x-paddock-tool-calls",
    "x-paddock-cost-estimate",
    "retry-after",
    "x-should-retry",
    "idempotent-replayed",
    *ratelimit.NAMES,
)
"""Headers of answers that a page of another origin may read."""
CLIENT_GONE = 499  # nobody reads it; it tells the access log what happened


def create_app(platform: Platform) -> ASGIApp:
    known = routes.load_all()
    app = FastAPI(
        openapi_url=None,  # ours tells what our own parser takes
        redirect_slashes=False,
        routes=[*known, routing.Route("/openapi.json", partial(_openapi, known))],
        exception_handlers={
            PaddockError: _refused,
            HTTPException: _not_routed,
            ClientDisconnect: _left,
            Exception: _bug,
        },
    )
    app.state.platform = platform
    app.state.readiness = OneLook(platform.readiness)  # it needs no key, and hundreds of looks at once take all connections
    settings = platform.settings
    stack: ASGIApp = app
    if settings.cors_origins:
        stack = CORSMiddleware(
            stack,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["*"],  # OpenAI's clients add some of their own; no cookie is taken that one could misuse
            expose_headers=EXPOSED,
        )
    stack = Rim(stack, headers=settings.security_headers, telemetry=platform.telemetry)
    return TrustedProxies(stack, settings.trusted_proxies) if settings.trusted_proxies else stack


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, PaddockError)
    return error_response(error)


async def _not_routed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path[:200]
    if error.status_code == 405 and path not in NOT_SERVED:
        return error_response(MethodNotAllowed(f"{request.method} is not allowed on {path!r}"))
    if error.status_code in (404, 405):
        return error_response(NotFound(f"there is nothing at {path!r}", code="unknown_url"))
    return error_response(InvalidRequest(str(error.detail)))


async def _left(request: Request, error: Exception) -> Response:
    return Response(status_code=CLIENT_GONE)


async def _bug(request: Request, error: Exception) -> Response:
    """The rim logs the traceback: what is raised here goes on to it."""
    return error_response(PaddockError(f"internal error; request {request.scope['state']['request_id']}"))


async def _openapi(known: Sequence[Route], _: Request) -> Response:
    return answer(openapi_document(known))
