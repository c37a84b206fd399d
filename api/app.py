"""The HTTP application over an open platform: routes, errors, middleware, the OpenAPI document."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp

from api import routes
from api.errors import MethodNotAllowed, error_response
from api.middleware import Rim, TrustedProxies
from core.bootstrap import Platform
from core.errors import InvalidRequest, NotFound, PaddockError

ERROR_SCHEMA = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "code", "param"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "code": {"type": ["string", "null"]},
                "param": {"type": ["string", "null"]},
            },
        }
    },
}
CLIENT_GONE = 499  # nobody reads it; it tells the access log what happened


def create_app(platform: Platform) -> ASGIApp:
    app = FastAPI(title="Paddock", version="1", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.platform = platform
    for router in routes.load_all():
        app.include_router(router)
    app.add_exception_handler(PaddockError, _refused)
    app.add_exception_handler(HTTPException, _not_routed)
    app.add_exception_handler(ClientDisconnect, _left)
    app.add_api_route("/openapi.json", _openapi, include_in_schema=False)
    settings = platform.settings
    stack: ASGIApp = app
    if settings.cors_origins:
        stack = CORSMiddleware(
            stack,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["authorization", "content-type", "last-event-id", "x-request-id", "traceparent"],
            expose_headers=["x-request-id", "x-paddock-turn-id", "x-paddock-trace-id"],
        )
    stack = Rim(stack, headers=settings.security_headers)
    return TrustedProxies(stack, settings.trusted_proxies) if settings.trusted_proxies else stack


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, PaddockError)
    return error_response(error)


async def _not_routed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path[:200]
    if error.status_code == 405:
        return error_response(MethodNotAllowed(f"{request.method} is not allowed on {path!r}"))
    if error.status_code == 404:
        return error_response(NotFound(f"there is nothing at {path!r}", code="unknown_url"))
    return error_response(InvalidRequest(str(error.detail)))


async def _left(request: Request, error: Exception) -> Response:
    return Response(status_code=CLIENT_GONE)


async def _openapi(request: Request) -> dict[str, Any]:
    """OpenAPI 3.1. Bodies are read by our own parser, so their models are told here."""
    app = request.app
    document = get_openapi(title=app.title, version=app.version, routes=app.routes)
    read = {route: route.endpoint.body_model for route in _api_routes(app) if hasattr(route.endpoint, "body_model")}
    _, schemas = models_json_schema(
        [(model, "validation") for model in dict.fromkeys(read.values())], ref_template="#/components/schemas/{model}"
    )
    for route, model in read.items():
        reference = {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}
        for method in route.methods or ():
            operation = document["paths"][route.path][method.lower()]
            operation["requestBody"] = {"required": True, "content": {"application/json": reference}}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            operation["responses"] = _responses(operation["responses"])
            if not path.startswith("/health"):
                operation["security"] = [{"key": []}]
    components = document.setdefault("components", {})
    components["schemas"] = {**components.get("schemas", {}), **schemas["$defs"], "Error": ERROR_SCHEMA}
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    return document


def _api_routes(app: FastAPI) -> list[APIRoute]:
    return [route for route in app.routes if isinstance(route, APIRoute)]


def _responses(found: dict[str, Any]) -> dict[str, Any]:
    error = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
    kept = {status: response for status, response in found.items() if status != "422"}
    return {**kept, "default": {"description": "Refused or failed", **error}}
