"""Every route x every role x one's own and another tenant, from the routes themselves: a new one joins by itself.

What nobody signed in for is 401, what a role or a key may not is 403, what is another tenant's is 404.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from api import routes
from api.access import OPERATE
from api.openapi import openapi_document
from api.route import Route
from core.bootstrap import Addresses
from core.identity.principals import ALLOWED, Role, Scope
from tests.doubles.office import MODEL, Caller, Office, open_office
from tests.integration.conftest import Tenant

ROUTES = routes.load_all()
GUARDED = [route for route in ROUTES if route.rule is not None]
OF_TENANTS = [route for route in GUARDED if "{" in route.path and route.rule != OPERATE]
SCHEMAS = openapi_document(ROUTES)["components"]["schemas"]
TOOL = {
    "name": "lookup",
    "description": "Looks it up.",
    "parameters": {"type": "object", "properties": {}, "additionalProperties": False},
    "runtime": {"kind": "http", "method": "GET", "url": "https://example.com/"},
    "capabilities": {"network": [{"host": "example.com"}]},
    "effect": "idempotent",
    "approval": "always",
    "permissions": {"organization": True},
}
MANIFEST = {name: value for name, value in TOOL.items() if name != "permissions"}
BODIES: Mapping[str, Any] = {
    "/admin/v1/limits/{subject_id}": {"tier": None},
    "/admin/v1/tools/{name}": {"enabled": True},
    "/admin/v1/tools/{name}/versions": MANIFEST | {"description": "Looks it up anew."},
}
"""What is sent where the least that the schema takes is refused, whoever sends it."""
Objects = Mapping[str, str]
"""What stands for each parameter, by the route's template up to it."""


@pytest.fixture
async def office(server_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Office]:
    objects = f"file://{tmp_path / 'objects'}"
    addresses = Addresses(database=server_url, redis=redis_url, objects=objects, sandbox=tmp_path / "none")
    async with open_office(addresses, tmp_path) as opened:
        yield opened


async def holder(operator: Caller, role: Role, scopes: frozenset[Scope]) -> Caller:
    """Somebody of the role in the operator's organisation, with a key that opens what it may."""
    user = await operator.made("/admin/v1/users", {"name": f"the {role.value}", "role": role.value})
    body = {"name": "matrix", "user_id": user["id"], "scopes": sorted(scope.value for scope in scopes)}
    return Caller(operator.client, (await operator.made("/admin/v1/keys", body))["secret"])


def filled(route: Route, objects: Objects) -> str:
    """The route's path with an object for each parameter. KeyError: a new kind of object needs a line in `made`."""
    path, template = "", ""
    for part in re.split(r"(\{\w+(?::\w+)?\})", route.path):
        template += part
        path += objects[template] if part.startswith("{") else part
    return path


async def ask(caller: Caller, route: Route, path: str, scopes: frozenset[Scope] = frozenset()) -> int:
    """scopes: the caller's, which a key that is asked for has too: one that opens more is refused to who may make keys."""
    if route.form is not None:
        upload = {"file": ("a.txt", b"a")}
        answer = await caller(route.method, path, files=upload, data={"purpose": "assistants"})
    elif route.body is not None:
        body = BODIES.get(route.path, smallest(SCHEMAS[route.body.__name__]))
        wanted = {"scopes": sorted(scopes)} if scopes and "scopes" in route.body.model_fields else {}
        answer = await caller(route.method, path, body | wanted)
    else:
        answer = await caller(route.method, path)
    return answer.status_code


def smallest(schema: Mapping[str, Any]) -> Any:
    """The least that a schema asks for."""
    if "$ref" in schema:
        return smallest(SCHEMAS[schema["$ref"].rpartition("/")[2]])
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return smallest(schema[union][0])
    match schema.get("type"):
        case "object":
            return {name: smallest(schema["properties"][name]) for name in schema.get("required", ())}
        case "array":
            return [smallest(schema["items"])] * schema.get("minItems", 0)
        case "integer":
            return schema.get("minimum", 1)
        case "string":
            return schema["enum"][0] if "enum" in schema else schema.get("const", "x" * max(1, schema.get("minLength", 1)))
        case _:
            return schema.get("const", schema.get("default"))


def test_every_route_has_a_rule_and_is_in_the_document() -> None:
    paths = openapi_document(ROUTES)["paths"]
    assert {re.sub(r":\w+\}", "}", route.path) for route in ROUTES} == set(paths)
    assert {route.path for route in ROUTES if route.rule is None} == {"/health/live", "/health/ready", "/metrics"}


async def test_who_is_nobody_gets_nowhere(office: Office, tenant: Tenant) -> None:
    operator = office.caller(tenant.secret)
    revoked = await operator.made("/admin/v1/keys", {"name": "gone"})
    await operator("DELETE", f"/admin/v1/keys/{revoked['id']}")
    wrong = []
    for route in GUARDED:
        for secret in ("", "pk_" + "x" * 51, "a.b.c", revoked["secret"]):
            status = await ask(office.caller(secret), route, anywhere(route))
            if status != 401:
                wrong.append((route.method, route.path, secret[:6], status))
    assert wrong == []


@pytest.mark.parametrize("role", Role)
async def test_a_role_gets_where_its_scopes_let_it_and_nowhere_else(office: Office, tenant: Tenant, role: Role) -> None:
    """With all scopes that the role allows, and with each alone. An operator's is left to what operators do."""
    operator = office.caller(tenant.secret)
    allowed = ALLOWED[role] - {Scope.OPERATOR}
    wrong = []
    for scopes in {allowed, *(frozenset({scope}) for scope in allowed)}:
        caller = await holder(operator, role, scopes)
        for route in GUARDED:
            assert route.rule is not None
            status, may = await ask(caller, route, anywhere(route), scopes), bool(route.rule & scopes)
            if (status == 403) is may or status == 401 or status >= 500:
                wrong.append((route.method, route.path, sorted(scopes), status))
    assert wrong == []


async def test_what_is_anothers_is_not_there(office: Office, tenant: Tenant, other_tenant: Tenant) -> None:
    """Each time a request that finds the object for whose it is, though it may come too late for it."""
    owner = await holder(office.caller(tenant.secret), Role.OWNER, ALLOWED[Role.OWNER] - {Scope.OPERATOR})
    foreign = await holder(office.caller(other_tenant.secret), Role.OWNER, ALLOWED[Role.OWNER] - {Scope.OPERATOR})
    objects = await made(owner)
    wrong = []
    for route in sorted(OF_TENANTS, key=_gently):
        path = filled(route, objects)
        statuses = await ask(foreign, route, path), await ask(owner, route, path)
        if statuses not in ((404, 200), (404, 400), (404, 409)):
            wrong.append((route.method, route.path, *statuses))
    assert wrong == []


def anywhere(route: Route) -> str:
    return re.sub(r"\{(version|number)\}|\{\w+(:\w+)?\}", lambda part: "1" if part[1] else "nothing", route.path)


def _gently(route: Route) -> tuple[int, int]:
    """Reading first, deleting last, and then what lies within before what it lies in."""
    return ("GET", "POST", "DELETE").index(route.method), len(route.path) * (-1 if route.method == "DELETE" else 1)


async def made(owner: Caller) -> Objects:
    """One of each kind of object, the organisation's own."""
    user = await owner.made("/admin/v1/users", {"name": "somebody"})
    key = await owner.made("/admin/v1/keys", {"name": "some key"})
    tool = await owner.made("/admin/v1/tools", TOOL)
    version = (await owner("GET", "/admin/v1/tools/lookup/versions/1")).json()
    response = await owner.made("/v1/responses", {"model": MODEL["name"], "input": "hi"})
    registry = {"type": "mcp", "server_label": "registry"}
    asking = await owner.made("/v1/responses", {"model": MODEL["name"], "input": "look it up", "tools": [registry]})
    chat = {"model": MODEL["name"], "messages": [{"role": "user", "content": "hi"}], "store": True}
    says = {"type": "message", "role": "user", "content": "hi"}
    conversation = await owner.made("/v1/conversations", {"items": [says]})
    items = (await owner("GET", f"/v1/conversations/{conversation['id']}/items")).json()["data"]
    upload = await owner("POST", "/v1/files", files={"file": ("a.txt", b"a")}, data={"purpose": "assistants"})
    listener = {"url": "http://receiver.invalid/", "events": ["response.completed"]}
    webhook = await owner.made("/admin/v1/webhooks", listener)
    assistant = await owner.made("/admin/v1/assistants", {"name": "helper", "model": MODEL["name"]})
    event = (await owner("GET", "/admin/v1/audit/events")).json()["data"][0]
    await owner.made("/v1/responses", {"model": MODEL["name"], "input": "hi", "background": True})
    [delivery] = await _soon(owner, "/admin/v1/webhook_deliveries", lambda listed: listed["data"])
    export = await owner.made("/admin/v1/audit/exports", {})
    files = await _soon(owner, f"/admin/v1/audit/exports/{export['id']}", lambda export: export["files"])
    tools, exports, assistants = "/admin/v1/tools/", "/admin/v1/audit/exports/{export_id}", "/admin/v1/assistants/{assistant}"
    requests = await owner("POST", "/v1/files", files={"file": ("a.jsonl", b"a")}, data={"purpose": "batch"})
    lines = {"input_file_id": requests.json()["id"], "endpoint": "/v1/responses", "completion_window": "24h"}
    return {
        "/v1/batches/{batch_id}": (await owner.made("/v1/batches", lines))["id"],
        "/admin/v1/users/{user_id}": user["id"],
        "/admin/v1/keys/{key_id}": key["id"],
        "/admin/v1/organizations/{organization_id}": user["organization_id"],
        "/admin/v1/limits/{subject_id}": user["id"],
        "/admin/v1/approvals/{approval_id}": asking["output"][-1]["id"],
        "/admin/v1/turns/{turn_id}": response["id"],
        "/admin/v1/audit/events/{event_id}": event["id"],
        exports: export["id"],
        exports + "/files/{name}": files[0]["name"],
        tools + "{name}": tool["name"],
        tools + "{name}/versions/{number}": "1",
        tools + "sha256:{digest}": version["digest"].removeprefix("sha256:"),
        "/admin/v1/webhooks/{webhook_id}": webhook["id"],
        "/admin/v1/webhook_deliveries/{delivery_id}": delivery["id"],
        assistants: assistant["name"],
        assistants + "/versions/{version}": "1",
        "/v1/responses/{response_id}": response["id"],
        "/v1/chat/completions/{completion_id}": (await owner.made("/v1/chat/completions", chat))["id"],
        "/v1/conversations/{conversation_id}": conversation["id"],
        "/v1/conversations/{conversation_id}/items/{item_id}": items[0]["id"],
        "/v1/files/{file_id}": upload.json()["id"],
        "/v1/models/{model:path}": assistant["name"],
    }


async def _soon(caller: Caller, path: str, wanted: Callable[[Any], Any]) -> Any:
    """What is wanted of the answer, as soon as there is any."""
    async with asyncio.timeout(60):
        while not (found := wanted((await caller("GET", path)).json())):
            await asyncio.sleep(0.1)
    return found
