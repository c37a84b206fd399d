"""What every file in api/routes promises, whichever are there."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from api import routes
from api.app import create_app
from api.openapi import openapi_document
from api.route import Route
from tests.doubles.platform import KEY, platform

ROUTES = routes.load_all()
GUARDED = [route for route in ROUTES if not route.path.startswith("/health/")]
READING = [route for route in ROUTES if route.body is not None]
DOCUMENT = openapi_document(ROUTES)


def name(route: Any) -> str:
    return f"{route.method} {route.path}" if isinstance(route, Route) else ""


async def ask(route: Route, *, query: str = "", **options: Any) -> httpx.Response:
    path = re.sub(r"\{\w+\}", "x", re.sub(r"\{\w+:int\}", "1", route.path))
    transport = httpx.ASGITransport(create_app(platform()))
    async with httpx.AsyncClient(transport=transport, base_url="http://paddock") as client:
        return await client.request(route.method, path + query, **options)


AUTHORIZED = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}


@pytest.mark.parametrize("route", GUARDED, ids=name)
async def test_nobody_gets_in_without_a_key_whatever_is_sent(route: Route) -> None:
    for headers in ({}, {"authorization": "Bearer pk_wrong"}):
        response = await ask(route, headers=headers, content=b"{")
        assert response.status_code == 401
        assert response.json()["error"]["type"] == "authentication_error"


@pytest.mark.parametrize("route", ROUTES, ids=name)
async def test_a_parameter_that_is_not_known_is_refused_by_name(route: Route) -> None:
    response = await ask(route, query="?colour=blue", headers=AUTHORIZED, content=b"{}")
    error = response.json()["error"]
    assert response.status_code == 400
    if route.query is not None or route.body is None:
        assert (error["param"], error["code"]) == ("colour", "unknown_parameter")


@pytest.mark.parametrize("route", READING, ids=name)
async def test_a_body_is_json_of_known_fields(route: Route) -> None:
    unknown = await ask(route, headers=AUTHORIZED, content=b'{"colour": "blue"}')
    assert unknown.status_code == 400
    assert set(unknown.json()["error"]) == {"message", "type", "code", "param"}
    form = await ask(route, headers={**AUTHORIZED, "content-type": "text/plain"}, content=b"{}")
    assert form.status_code == 415


@pytest.mark.parametrize("route", ROUTES, ids=name)
def test_openapi_tells_what_the_route_reads_and_how_it_refuses(route: Route) -> None:
    operation = DOCUMENT["paths"][re.sub(r":\w+\}", "}", route.path)][route.method.lower()]
    assert ("requestBody" in operation) == (route.body is not None or route.form is not None)
    told = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "query"}
    assert told == (set(route.query.model_fields) if route.query is not None else set())
    assert ("security" in operation) == (route in GUARDED)
    assert all("schema" in kind for answer in operation["responses"].values() for kind in answer["content"].values())


@pytest.mark.parametrize("route", READING, ids=name)
def test_no_array_of_a_body_is_without_limit(route: Route) -> None:
    assert route.body is not None
    assert not [schema for schema in schemas(route.body.model_json_schema()) if "maxItems" not in schema]


def schemas(within: Any) -> Iterator[dict[str, Any]]:
    """Those of arrays."""
    if isinstance(within, dict) and within.get("type") == "array":
        yield within
    for inner in within.values() if isinstance(within, dict) else within if isinstance(within, list) else ():
        yield from schemas(inner)


def test_every_operation_has_a_name_of_its_own() -> None:
    names = [operation["operationId"] for path in DOCUMENT["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names)) == len(ROUTES)
