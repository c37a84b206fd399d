"""/admin/v1/assistants: configurations that clients use as a model. A change makes a new version; turns keep theirs."""

import re
from typing import Annotated, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from api.dependencies import Query, answer, authenticated, body_of, listed, platform_of, query_of
from api.route import Router
from api.wire.assistants import CreateAssistant, UpdateAssistant, changes_of, encode_assistant, encode_version
from core.assistants.definition import Definition
from core.errors import InvalidRequest

router = Router("/admin/v1/assistants")
HIGHEST_VERSION = 2**31 - 1


class Assistants(Query):
    after: str | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    order: Literal["asc", "desc"] = "desc"


@router.post("", body=CreateAssistant)
async def create(request: Request) -> Response:
    principal = await authenticated(request)
    body = await body_of(request, CreateAssistant)
    definition = Definition(**changes_of(body))
    return answer(encode_assistant(await platform_of(request).assistants.create(principal, body.name, definition)))


@router.get("", query=Assistants)
async def list_assistants(request: Request) -> Response:
    principal, query = await authenticated(request), query_of(request, Assistants)
    page = await platform_of(request).assistants.list(
        principal.organization_id, after=query.after, limit=query.limit, descending=query.order == "desc"
    )
    return listed(page, encode_assistant)


@router.get("/{assistant}")
async def retrieve(request: Request, assistant: str) -> Response:
    """By id or by name."""
    principal = await authenticated(request)
    return answer(encode_assistant(await platform_of(request).assistants.get(principal.organization_id, assistant)))


@router.post("/{assistant}", body=UpdateAssistant)
async def update(request: Request, assistant: str) -> Response:
    """Makes a new version, unless nothing changes."""
    principal = await authenticated(request)
    changes = changes_of(await body_of(request, UpdateAssistant))
    return answer(encode_assistant(await platform_of(request).assistants.change(principal, assistant, changes)))


@router.delete("/{assistant}")
async def delete(request: Request, assistant: str) -> Response:
    """Turns that run under it go on; its name is free again."""
    deleted = await platform_of(request).assistants.delete(await authenticated(request), assistant)
    return answer({"id": deleted.id, "object": "assistant.deleted", "deleted": True})


@router.get("/{assistant}/versions", query=Assistants)
async def list_versions(request: Request, assistant: str) -> Response:
    principal, query = await authenticated(request), query_of(request, Assistants)
    page = await platform_of(request).assistants.versions(
        principal.organization_id,
        assistant,
        after=None if query.after is None else _number(query.after.rpartition("@")[2], "after"),
        limit=query.limit,
        descending=query.order == "desc",
    )
    return listed(page, encode_version)


@router.get("/{assistant}/versions/{version}")
async def retrieve_version(request: Request, assistant: str, version: str) -> Response:
    principal = await authenticated(request)
    assistants = platform_of(request).assistants
    found = await assistants.get(principal.organization_id, assistant, version=_number(version, "version"))
    return answer(encode_version(found))


def _number(text: str, param: str) -> int:
    if not re.fullmatch(r"[0-9]{1,10}", text) or int(text) > HIGHEST_VERSION:
        raise InvalidRequest(f"{text[:100]!r} is no version", param=param, code="invalid_value")
    return int(text)
