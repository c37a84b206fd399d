"""Another organisation's administrator at every route there is, with ids that are somebody else's: nothing is there."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from api import routes
from api.access import OPERATE
from api.route import Route
from tests.e2e.conftest import Gateway
from tests.e2e.tenants import TOOL, furnished, organization

DAY_SECONDS = 86_400
ROUTES = routes.load_all()
AIMED = [r for r in ROUTES if "{" in r.path and r.path != "/v1/models/{model:path}" and r.rule != OPERATE]
LISTS = [route for route in ROUTES if route.query is not None and "after" in route.query.model_fields and "{" not in route.path]
BODIES: dict[str, Any] = {
    # what each body has to hold to be looked at; others are sent empty
    "/v1/conversations/{conversation_id}": {"metadata": {"a": "b"}},
    "/v1/conversations/{conversation_id}/items": {"items": [{"role": "user", "content": "planted"}]},
    "/admin/v1/keys/{key_id}": {"name": "mine"},
    "/admin/v1/limits/{subject_id}": {"tier": None},
    "/admin/v1/organizations/{organization_id}": {"name": "mine"},
    "/admin/v1/tools/{name}": {"enabled": False},
    "/admin/v1/tools/{name}/versions": {name: value for name, value in TOOL.items() if name != "permissions"},
    "/admin/v1/users/{user_id}": {"name": "mine"},
}


@dataclass(frozen=True)
class Victim:
    """ids: by the name that a path's parameter has."""

    http: httpx.Client
    ids: dict[str, str]

    def read(self) -> dict[str, Any]:
        """All that the victim sees of its own."""
        paths = [
            path_of(route, self.ids)
            for route in AIMED
            if route.method == "GET" and not route.path.startswith("/admin/v1/audit")
        ]
        return {path: (answer.status_code, answer.text) for path in paths for answer in [self.http.get(path)]}


def name(route: Any) -> str:
    return f"{route.method} {route.path}" if isinstance(route, Route) else ""


def path_of(route: Route, ids: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)(:\w+)?\}", lambda match: ids.get(match[1], "1"), route.path)


@pytest.fixture(scope="module")
def stranger(gateway: Gateway) -> Iterator[httpx.Client]:
    with organization(gateway.url, gateway.key, "stranger") as client:
        yield client


@pytest.fixture(scope="module")
def victim(gateway: Gateway) -> Iterator[Victim]:
    with organization(gateway.url, gateway.key, "victim") as http:
        yield Victim(http, furnished(http))


def test_nothing_of_anothers_is_there_on_any_route_and_nothing_changes(stranger: httpx.Client, victim: Victim) -> None:
    if (left := DAY_SECONDS - time.time() % DAY_SECONDS) < DAY_SECONDS / 1000:
        time.sleep(left)  # at midnight what was used today is nothing again
    before = victim.read()
    assert {status for status, _ in before.values()} == {200}, before
    told: dict[str, Any] = {}
    for route in AIMED:
        body = BODIES.get(route.path, {}) if route.body is not None else None
        response = stranger.request(route.method, path_of(route, victim.ids), json=body)
        told[name(route)] = response.status_code
        assert "secret" not in response.text.replace(path_of(route, victim.ids), "").replace(victim.ids["name"], "").replace(
            victim.ids["assistant"], ""
        ), name(route)
    assert {route: status for route, status in told.items() if status != 404} == {}
    assert victim.read() == before


@pytest.mark.parametrize("route", LISTS, ids=name)
def test_no_list_shows_anothers_and_none_tells_whether_it_is_there(
    route: Route, stranger: httpx.Client, victim: Victim
) -> None:
    first = stranger.get(route.path)
    assert first.status_code in (200, 403), first.text
    shown = first.text
    assert not [value for key, value in victim.ids.items() if value in shown and key not in ("name", "assistant")]
    for value in victim.ids.values():
        response = stranger.get(route.path, params={"after": value})
        assert response.status_code in (200, 400, 403, 404), (value, response.text)
        if response.status_code == 200:  # a place among ids, of which lists are in order; whose it is makes no difference
            nobodys = value[:-1] + ("0" if value[-1] != "0" else "1")
            assert stranger.get(route.path, params={"after": nobodys}).text == response.text
            assert not [id for key, id in victim.ids.items() if id in response.text and key not in ("name", "assistant")]


def test_anothers_ids_in_a_body_are_not_there_either(stranger: httpx.Client, victim: Victim) -> None:
    ids = victim.ids
    registry = {"type": "mcp", "server_label": "registry", "allowed_tools": [ids["name"]]}
    approved = {"type": "mcp_approval_response", "approval_request_id": ids["approval_id"], "approve": True}
    attempts: list[tuple[str, dict[str, Any]]] = [
        ("/v1/responses", {"input": [approved]}),
        ("/v1/responses", {"input": "x", "previous_response_id": ids["response_id"]}),
        ("/v1/responses", {"input": "x", "conversation": ids["conversation_id"]}),
        ("/v1/responses", {"input": "x", "model": ids["assistant"]}),
        ("/v1/responses", {"input": "x", "tools": [registry]}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}], "model": ids["assistant"]}),
        (
            "/v1/batches",
            {"input_file_id": ids["file_id"], "endpoint": "/v1/responses", "completion_window": "24h"},
        ),
        ("/admin/v1/assistants", {"name": "mine", "model": ids["assistant"]}),
        ("/admin/v1/assistants", {"name": "mine", "model": "scripted", "tools": [registry]}),
        ("/admin/v1/keys", {"name": "mine", "scopes": ["chat"], "user_id": ids["user_id"]}),
        ("/admin/v1/keys", {"name": "mine", "scopes": ["chat"], "organization_id": ids["organization_id"]}),
        ("/v1/batches", {"input_file_id": ids["file_id"], "endpoint": "/v1/responses", "completion_window": "24h"}),
        ("/admin/v1/audit/exports", {"organization_id": ids["organization_id"]}),
        ("/admin/v1/audit/erasures", {"subject": ids["user_id"], "organization_id": ids["organization_id"]}),
        ("/admin/v1/users", {"name": "mine", "role": "owner", "organization_id": ids["organization_id"]}),
    ]
    for path, body in attempts:
        response = stranger.post(path, json=body)
        assert response.status_code in (400, 404), (path, body, response.text)
    for path in ("/admin/v1/keys", "/admin/v1/users"):
        response = stranger.get(path, params={"organization_id": ids["organization_id"]})
        assert response.status_code == 404, response.text
