"""/v1/batches: many requests in a file of JSON lines, answered when there is room, in another file."""

import json
from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from api.dependencies import Query, answer, authenticated, body_of, listed, platform_of, query_of
from api.route import Router
from api.wire.body import Body, Metadata
from api.wire.response_body import unix
from core.storage.batches import Batch, BatchStatus

router = Router("/v1/batches")
Id = Annotated[str, Field(max_length=100)]


class OutputExpiresAfter(Body):
    """Counted from when the files are made, which is when the batch has ended."""

    anchor: Literal["created_at"]
    seconds: Annotated[int, Field(ge=3600, le=2_592_000)]


class CreateBatch(Body):
    """input_file_id: of a file with the purpose `batch`. output_expires_after: of the files of its answers and errors."""

    input_file_id: Id
    endpoint: Literal["/v1/responses", "/v1/chat/completions"]
    completion_window: Literal["24h"]
    output_expires_after: OutputExpiresAfter | None = None
    metadata: Metadata | None = None


class ListBatches(Query):
    after: Id | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20


def _encode(batch: Batch) -> dict[str, Any]:
    ended = {status: unix(batch.ended_at) if batch.ended_at and batch.status is status else None for status in BatchStatus}
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": batch.endpoint,
        "errors": {"object": "list", "data": _errors(batch.problem)} if batch.problem else None,
        "input_file_id": batch.input_file_id,
        "completion_window": batch.completion_window,
        "status": batch.status,
        "output_file_id": batch.output_file_id,
        "error_file_id": batch.error_file_id,
        "created_at": unix(batch.created_at),
        "in_progress_at": unix(batch.in_progress_at) if batch.in_progress_at else None,
        "expires_at": unix(batch.expires_at),
        "finalizing_at": unix(batch.finalizing_at) if batch.finalizing_at else None,
        "completed_at": ended[BatchStatus.COMPLETED],
        "failed_at": ended[BatchStatus.FAILED],
        "expired_at": ended[BatchStatus.EXPIRED],
        "cancelling_at": unix(batch.cancelling_at) if batch.cancelling_at else None,
        "cancelled_at": ended[BatchStatus.CANCELLED],
        "request_counts": {"total": batch.total, "completed": batch.completed, "failed": batch.failed},
        "metadata": dict(batch.metadata),
    }


def _errors(problem: str) -> list[dict[str, Any]]:
    """problem: as `core.batches.lines` writes it."""
    first = json.loads(problem)
    others = first.pop("others", [])
    return [{"line": None, "param": None, **told} for told in (first, *others)]


@router.post("", body=CreateBatch)
async def create(request: Request) -> Response:
    """The file is read in the background. One with a line that is no request fails as a whole, before any line runs; a request
    that is refused fails alone.
    """
    principal = await authenticated(request)
    body = await body_of(request, CreateBatch)
    batch = await platform_of(request).batches.create(
        principal,
        endpoint=body.endpoint,
        input_file_id=body.input_file_id,
        window=body.completion_window,
        output_seconds=body.output_expires_after.seconds if body.output_expires_after else None,
        metadata=body.metadata or {},
    )
    return answer(_encode(batch))


@router.get("", query=ListBatches)
async def list_batches(request: Request) -> Response:
    """The newest first."""
    principal = await authenticated(request)
    query = query_of(request, ListBatches)
    page = await platform_of(request).batches.list(principal, after=query.after, limit=query.limit, descending=True)
    return listed(page, _encode)


@router.get("/{batch_id}")
async def retrieve(request: Request, batch_id: str) -> Response:
    return answer(_encode(await platform_of(request).batches.get(await authenticated(request), batch_id)))


@router.post("/{batch_id}/cancel")
async def cancel(request: Request, batch_id: str) -> Response:
    """What was answered until then is in its files."""
    return answer(_encode(await platform_of(request).batches.cancel(await authenticated(request), batch_id)))
