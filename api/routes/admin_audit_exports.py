"""/admin/v1/audit/exports: the audit log as files, with what proves it. Made in the background; signed; kept for a while."""

from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from api.dependencies import Query, answer, authenticated, body_of, listed, platform_of, query_of
from api.route import Router
from api.wire.audit import Kind, Moment, Name, kinds, moment
from api.wire.body import Body
from api.wire.response_body import unix
from core.storage.audit_exports import Export
from core.storage.audit_shapes import Filter

router = Router("/admin/v1/audit/exports")


class CreateExport(Body):
    """since, until: when the records were made, in Unix seconds; until is not in it. organization_id: as in the events."""

    format: Literal["jsonl", "csv", "parquet", "ocsf"] = "jsonl"
    kind: Kind | None = None
    since: Moment | None = None
    until: Moment | None = None
    organization_id: Name | None = None


class ListExports(Query):
    after: str | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    order: Literal["asc", "desc"] = "desc"


@router.post("", body=CreateExport)
async def create(request: Request) -> Response:
    """Ask again for it until its status is `completed`; then its `files` can be fetched, each by its name."""
    principal, body = await authenticated(request), await body_of(request, CreateExport)
    wanted = Filter(kinds=kinds(body.kind), since=moment(body.since), until=moment(body.until))
    exports = platform_of(request).audit_exports
    made = await exports.create(principal, wanted, format=body.format, organization_id=body.organization_id)
    return answer(_encode(made))


@router.get("", query=ListExports)
async def list_exports(request: Request) -> Response:
    principal, query = await authenticated(request), query_of(request, ListExports)
    page = await platform_of(request).audit_exports.page(
        principal, after=query.after, limit=query.limit, descending=query.order == "desc"
    )
    return listed(page, _encode)


@router.get("/{export_id}")
async def get(request: Request, export_id: str) -> Response:
    return answer(_encode(await platform_of(request).audit_exports.get(await authenticated(request), export_id)))


@router.get("/{export_id}/files/{name}", media="application/octet-stream")
async def download(request: Request, export_id: str, name: str) -> Response:
    size, pieces = await platform_of(request).audit_exports.open_file(await authenticated(request), export_id, name)
    headers = {"content-length": str(size), "content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(pieces, headers=headers, media_type="application/octet-stream")


@router.delete("/{export_id}")
async def delete(request: Request, export_id: str) -> Response:
    """Cancels it while it is made; removes its files after."""
    return answer(_encode(await platform_of(request).audit_exports.delete(await authenticated(request), export_id)))


def _encode(export: Export) -> dict[str, Any]:
    """problems: where the log is not what was sealed; an export that has some is evidence."""
    return {
        "id": export.id,
        "object": "audit.export",
        "status": export.status,
        "request": export.request,
        "progress": {
            "records": export.records,
            "checkpoints": export.checkpoints,
            "checkpoints_total": export.checkpoints_total,
        },
        "files": export.files,
        "problems": export.problems,
        "error": export.error,
        "created_at": unix(export.created_at),
        "ended_at": unix(export.ended_at) if export.ended_at else None,
    }
