"""What a clumsy or hostile administrator can send to the registry: each mistake is answered with its place."""

from typing import Any

import pytest

from tests.integration.conftest import Stage, Tenant
from tests.integration.test_tool_registry import EVERYBODY, HELLO, OFFERED, TOOLS, client_of, manifest

OBJECT = {"type": "object"}


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(depth):
        schema = {"properties": {"x": schema}}
    return OBJECT | schema


MISTAKES: list[tuple[dict[str, Any], str | None, str]] = [
    # what is put into a good manifest; where the mistake is said to be; what is said of it
    ({"name": "x" * 300}, "name", "pattern"),
    ({"name": "no spaces"}, "name", "pattern"),
    ({"name": "../keys"}, "name", "pattern"),
    ({"name": ""}, "name", "pattern"),
    ({"name": 7}, "name", "a string"),
    ({"name": "code_interpreter"}, "name", "reserved"),
    ({"description": ""}, "description", "at least 1 character"),
    ({"description": "x" * 5_000}, "description", "at most 4096"),
    ({"parameters": None}, "parameters", "an object"),
    ({"parameters": {"type": "strnig"}}, "parameters.type", "strnig"),
    ({"parameters": {"type": "string"}}, "parameters.type", "'object'"),
    ({"parameters": OBJECT | {"properties": {"x": {"type": "strnig"}}}}, "parameters.properties.x.type", "strnig"),
    ({"parameters": OBJECT | {"properties": {"x": {"pattern": "("}}}}, "parameters.properties.x.pattern", "regex"),
    ({"parameters": OBJECT | {"properties": {"x": {"$ref": "http://10.0.0.1/"}}}}, "parameters.properties.x.$ref", "within"),
    ({"parameters": OBJECT | {"properties": {"x": {"$ref": "file:///etc/passwd"}}}}, "parameters.properties.x.$ref", "within"),
    ({"parameters": OBJECT | {"properties": {"x": {"$ref": "#"}}}}, "parameters.properties.x.$ref", "recurses"),
    ({"parameters": OBJECT | {"$dynamicRef": "#"}}, "parameters.$dynamicRef", "not taken"),
    ({"parameters": OBJECT | {"$recursiveRef": "#"}}, "parameters.$recursiveRef", "not taken"),
    ({"parameters": OBJECT | {"$schema": "file:///etc/passwd"}}, "parameters.$schema", "only draft 2020-12"),
    ({"returns": {"$schema": "http://json-schema.org/draft-07/schema#"}}, "returns.$schema", "only draft 2020-12"),
    ({"parameters": OBJECT | {"description": "x" * 1_000_000}}, "parameters", "at most 65536"),
    ({"parameters": OBJECT | {"pattern": r"(?=\pL{999})"}}, "parameters.pattern", "more than 10000000 bytes"),
    ({"returns": {"allOf": [{"pattern": f"{n}"} for n in range(201)]}}, "returns", "at most 200 patterns"),
    ({"parameters": nested(70)}, None, "nested deeper"),
    ({"returns": {"type": 3}}, "returns.type", "not valid"),
    ({"runtime": {}}, "runtime.kind", "unknown kind"),
    ({"runtime": {"kind": "../../etc"}}, "runtime.kind", "unknown kind"),
    ({"runtime": {"kind": "x" * 5_000}}, "runtime.kind", "unknown kind"),
    ({"runtime": {"kind": "http", "url": "https://xn--a/"}}, "runtime.url", "Invalid character"),
    ({"runtime": {"kind": "__init__"}}, "runtime.kind", "unknown kind"),
    ({"runtime": {"kind": ["python"]}}, "runtime.kind", "unknown kind"),
    ({"runtime": {"kind": "code"}}, "runtime.kind", "unknown kind 'code'; available: http, python, wasm"),
    ({"runtime": {"kind": "code", "language": "python", "argument": "x"}}, "runtime.kind", "unknown kind"),
    ({"runtime": {"kind": "python"}}, "runtime.code", "required"),
    ({"runtime": {"kind": "python", "code": "def main(x:"}}, "runtime.code", "line 1"),
    ({"runtime": {"kind": "python", "code": "x = 1"}}, "runtime.code", "main"),
    ({"runtime": {"kind": "python", "code": "def main(): 1", "root": True}}, "runtime.root", "permitted"),
    ({"capabilities": {"network": [{"host": ""}]}}, "capabilities.network[0].host", "at least 1 character"),
    ({"capabilities": {"network": [{"host": "a", "ports": [0]}]}}, "capabilities.network[0].ports[0]", "greater than"),
    ({"capabilities": {"network": [{"host": "a", "methods": ["BREW"]}]}}, "capabilities.network[0].methods[0]", "GET"),
    ({"capabilities": {"root": True}}, "capabilities.root", "unknown"),
    ({"capabilities": {"secrets": ["TOKEN"]}}, "effect", "'pure' is refused"),
    ({"limits": {"cpu_seconds": 0}}, "limits.cpu_seconds", "greater than"),
    ({"limits": {"wall_seconds": 1e6}}, "limits.wall_seconds", "less than"),
    ({"limits": {"memory_bytes": "1 GB"}}, "limits.memory_bytes", "an integer"),
    ({"effect": "harmless"}, "effect", "pure"),
    ({"approval": "sometimes"}, "approval", "never"),
    ({"permissions": {"roles": ["root"]}}, "permissions.roles[0]", "owner"),
    ({"permissions": {"keys": ["key_of_nobody"]}}, "permissions.keys[0]", "no key"),
    ({"permissions": {"everybody": True}}, "permissions.everybody", "unknown"),
    ({"quotas": [{"per": "key", "period": "day", "calls": 0}]}, "quotas[0].calls", "greater than"),
    ({"quotas": [{"per": "key", "period": "day", "calls": 1}] * 2}, "quotas[1]", "second quota"),
    ({"enabled": "yes"}, "enabled", "a boolean"),
    ({"version": 3}, "version", "unknown"),
]


async def test_each_mistake_in_a_manifest_is_answered_with_its_place(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(HELLO) as platform, client_of(platform, tenant) as client:
        for change, path, said in MISTAKES:
            _, param, message = await client.refused(TOOLS, manifest() | change)
            shown = str(change)[:200]
            assert path is None or param == path, (shown, param)
            assert said in message, (shown, message)
            assert len(message) < 1_000, shown
        assert (await client.get(TOOLS))["data"] == []


async def test_a_name_that_is_taken_and_a_manifest_of_another_tool_are_refused(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(HELLO) as platform, client_of(platform, tenant) as client:
        await client.create()
        assert (await client.refused(TOOLS, manifest(), status=409))[:2] == ("tool_exists", "name")
        assert (await client.refused(f"{TOOLS}/double/versions", manifest("treble")))[1] == "name"
        assert (await client.refused(f"{TOOLS}/double/versions", manifest() | {"replaces": 0}))[1] == "replaces"
        assert (await client.refused(f"{TOOLS}/double", {}))[2].startswith("nothing to change")
        assert (await client.refused(f"{TOOLS}/double", {"runtime": {}}))[1] == "runtime"
        assert (await client.refused(f"{TOOLS}/double/dry-run", {"arguments": [1]}))[1] == "arguments"
        for path in (
            "/double/versions/0",
            f"/double/versions/{10**30}",
            "/sha256:x",
            f"/sha256:{'0' * 64}",
            "/" + "x" * 300,
        ):
            await client.get(TOOLS + path, status=404)
        await client.get(f"{TOOLS}/%00", status=400)
        for query in ("?since=5&until=5", "?since=0&until=253402300799", "?since=-1", "?since=1e3"):
            await client.get(f"{TOOLS}/double/usage{query}", status=400)
        for query in ("?limit=0", "?order=up", "?after=tool_x", "?after=%00", "?name=x"):
            await client.get(TOOLS + query, status=400)
        assert (await client.get(f"{TOOLS}/double/versions?after={10**30}&order=asc"))["data"] == []


@pytest.mark.parametrize(
    ("tool", "param"),
    [
        ({"server_label": "github"}, "tools[0].server_label"),
        ({"server_url": "https://example.com/mcp"}, "tools[0].server_url"),
        ({"headers": {"authorization": "x"}}, "tools[0].headers"),
        ({"require_approval": "sometimes"}, "tools[0].require_approval"),
        ({"require_approval": {"always": ["double"]}}, "tools[0].require_approval.always"),
        (
            {"require_approval": {"always": {"tool_names": ["double"]}, "never": {"tool_names": ["double"]}}},
            "tools.require_approval",
        ),
        ({"allowed_tools": {"tool_names": ["double"], "read_only": True}}, "tools[0].allowed_tools.read_only"),
        ({"allowed_tools": ["no spaces"]}, "tools[0].allowed_tools[0]"),
        ({"allowed_tools": ["treble"]}, "tools"),
        ({"allowed_tools": ["code_interpreter"]}, "tools"),
    ],
)
async def test_what_a_request_may_not_ask_of_the_registry_is_refused_by_name(
    stage: Stage, tenant: Tenant, tool: dict[str, Any], param: str
) -> None:
    async with stage.open_with(HELLO) as platform, client_of(platform, tenant) as client:
        await client.create()
        assert (await client.refused("/v1/responses", {"input": "go", "tools": [OFFERED | tool]}))[1] == param


async def test_a_choice_that_nothing_fits_and_a_name_that_two_tools_have_are_refused(stage: Stage, tenant: Tenant) -> None:
    function = {"type": "function", "name": "double", "parameters": {"type": "object", "properties": {}}}
    async with stage.open_with(HELLO) as platform, client_of(platform, tenant) as client:
        named = {"type": "mcp", "server_label": "registry", "name": "double"}
        for tools, choice, code in (
            ([OFFERED], named, "invalid_value"),
            ([OFFERED], "required", "invalid_value"),
            ([OFFERED | {"allowed_tools": ["treble"]}], named, "invalid_value"),
            ([], named, "invalid_value"),
        ):
            refused = await client.refused("/v1/responses", {"input": "go", "tools": tools, "tool_choice": choice})
            assert refused[:2] == (code, "tool_choice")
        await client.post(TOOLS, manifest() | {"permissions": EVERYBODY})
        assert (await client.refused("/v1/responses", {"input": "go", "tools": [OFFERED, function]}))[0] == "duplicate_tool"
        assert (await client.refused("/v1/responses", {"input": "go", "tools": [OFFERED, OFFERED]}))[1] == "tools[1].name"
        assert (await client.respond(tool_choice=named))["tool_choice"] == named
