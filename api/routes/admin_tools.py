"""/admin/v1/tools: the registry. What a change says holds for the next call of every turn, in every process."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from api.dependencies import Query, answer, authenticated, body_of, listed, platform_of, query_of, unless_left
from api.route import Router
from api.wire.registry import (
    DryRun,
    NewTool,
    NewToolVersion,
    ToolChange,
    encode_tool,
    encode_tried,
    encode_usage,
    encode_version,
)
from core.compact import dump
from core.errors import InvalidRequest
from core.tools.registry import Conditions

router = Router("/admin/v1/tools")
Moment = Annotated[int, Field(ge=0, le=253_402_300_799)]


class Tools(Query):
    after: str | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    order: Literal["asc", "desc"] = "desc"


class Versions(Query):
    """after: a version's number."""

    after: Annotated[int, Field(ge=0)] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    order: Literal["asc", "desc"] = "desc"


class Usage(Query):
    """since, until: Unix times in seconds; the last 30 days, where they are left out. At most 366 days."""

    since: Moment | None = None
    until: Moment | None = None


@router.post("", body=NewTool)
async def create(request: Request) -> Response:
    """The manifest, and beside it `permissions` (nobody may call it, unless they say so), `quotas` and `enabled`."""
    principal = await authenticated(request)
    body = await body_of(request, NewTool)
    return answer(encode_tool(await platform_of(request).tools.create(principal, body.manifest, body.conditions)))


@router.get("", query=Tools)
async def list_tools(request: Request) -> Response:
    principal, query = await authenticated(request), query_of(request, Tools)
    page = await platform_of(request).tools.page(
        principal, after=query.after, limit=query.limit, descending=query.order == "desc"
    )
    return listed(page, encode_tool)


@router.get("/sha256:{digest}")
async def get_by_digest(request: Request, digest: str) -> Response:
    """A version, also one of a tool that was deleted."""
    principal = await authenticated(request)
    return answer(encode_version(await platform_of(request).tools.version_by_digest(principal, digest)))


@router.get("/{name}")
async def get(request: Request, name: str) -> Response:
    """The tool with the manifest of its current version."""
    tools, principal = platform_of(request).tools, await authenticated(request)
    tool = await tools.get(principal, name)
    version = await tools.version(principal, name, tool.version)
    return answer({**encode_tool(tool), "manifest": encode_version(version)["manifest"]})


@router.post("/{name}", body=ToolChange)
async def change(request: Request, name: str) -> Response:
    principal = await authenticated(request)
    conditions = (await body_of(request, ToolChange)).conditions
    return answer(encode_tool(await platform_of(request).tools.change(principal, name, conditions)))


@router.post("/{name}/enable")
async def enable(request: Request, name: str) -> Response:
    principal = await authenticated(request)
    return answer(encode_tool(await platform_of(request).tools.change(principal, name, Conditions(enabled=True))))


@router.post("/{name}/disable")
async def disable(request: Request, name: str) -> Response:
    principal = await authenticated(request)
    return answer(encode_tool(await platform_of(request).tools.change(principal, name, Conditions(enabled=False))))


@router.delete("/{name}")
async def delete(request: Request, name: str) -> Response:
    """Its versions can still be read by their digests; its name is free."""
    principal = await authenticated(request)
    await platform_of(request).tools.delete(principal, name)
    return answer({"object": "tool", "name": name, "deleted": True})


@router.post("/{name}/versions", body=NewToolVersion)
async def add_version(request: Request, name: str) -> Response:
    """With `permissions`, `quotas` and `enabled`, where they are to change with it: both, or neither.

    Turns that run keep the version that they were offered. A manifest that is current already makes no other version.
    """
    principal = await authenticated(request)
    body = await body_of(request, NewToolVersion)
    tools = platform_of(request).tools
    return answer(encode_tool(await tools.add_version(principal, name, body.manifest, body.conditions, after=body.replaces)))


@router.get("/{name}/versions", query=Versions)
async def list_versions(request: Request, name: str) -> Response:
    principal, query = await authenticated(request), query_of(request, Versions)
    page = await platform_of(request).tools.versions(
        principal, name, after=query.after, limit=query.limit, descending=query.order == "desc"
    )
    return listed(page, encode_version)


@router.get("/{name}/versions/{number}")
async def get_version(request: Request, name: str, number: str) -> Response:
    principal = await authenticated(request)
    known = int(number) if number.isdecimal() and len(number) < 10 else 0  # there is no version 0
    return answer(encode_version(await platform_of(request).tools.version(principal, name, known)))


@router.post("/{name}/dry-run", body=DryRun)
async def dry_run(request: Request, name: str) -> Response:
    """Run it once, for real, and get what a model would be told. It has to be enabled, permitted and within its quotas."""
    principal = await authenticated(request)
    body = await body_of(request, DryRun)
    trial = platform_of(request).trials.run(principal, name, dump(body.arguments), number=body.version)
    return answer(encode_tried(await unless_left(request.receive, trial)))


@router.get("/{name}/usage", query=Usage)
async def usage(request: Request, name: str) -> Response:
    """Calls by day and version, as the ledger has them."""
    principal, query = await authenticated(request), query_of(request, Usage)
    until = datetime.now(UTC) if query.until is None else datetime.fromtimestamp(query.until, UTC)
    since = until - timedelta(days=30) if query.since is None else datetime.fromtimestamp(query.since, UTC)
    if since >= until or until - since > timedelta(days=366):
        raise InvalidRequest("'since' must lie before 'until', by at most 366 days", param="since", code="invalid_value")
    rows = await platform_of(request).tools.usage(principal, name, since=since, until=until)
    return answer({"object": "list", "data": [encode_usage(row) for row in rows]})
