"""/v1/files: uploaded, listed, read, deleted. A file is on its way to its place while it arrives, and never whole in memory."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Literal

from pydantic import Field
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.dependencies import Query, answer, authenticated, authenticated_again, listed, platform_of, query_of, unless_left
from api.multipart import OVERHEAD_BYTES, Form
from api.route import Router
from api.wire.files import CreateFile, content_headers, encode_file, parse_form
from core.errors import InvalidRequest
from core.files.files import Files, Upload

router = Router("/v1/files")
FIELD_BYTES = 1024


class Listing(Query):
    purpose: Annotated[str, Field(max_length=64)] | None = None
    after: str | None = None
    limit: Annotated[int, Field(ge=1, le=10_000)] = 1_000
    order: Literal["asc", "desc"] = "desc"


@router.post("", form=CreateFile)
async def create(request: Request) -> Response:
    """Upload a file. The same bytes are kept once in an organization, however many files have them."""
    principal, files = await authenticated(request), platform_of(request).files
    announced = request.headers.get("content-length")
    length = int(announced) if announced is not None else None  # the server has checked that it is a number
    least, most = (0, files.largest_bytes) if length is None else (max(0, length - OVERHEAD_BYTES), length)
    form = Form(request)
    async with files.receiving(principal, least=least, most=most) as upload:
        fields = await _receive(form, files, upload)
        await authenticated_again(request)
        asked = parse_form(fields)
        seconds = asked.expires_after.seconds if asked.expires_after else None
        file = await files.keep(upload, filename=asked.file, purpose=asked.purpose, seconds=seconds)
    return answer(encode_file(file))


@router.get("", query=Listing)
async def list_files(request: Request) -> Response:
    principal, query = await authenticated(request), query_of(request, Listing)
    page = await platform_of(request).files.list(
        principal.organization_id,
        purpose=query.purpose,
        after=query.after,
        limit=query.limit,
        descending=query.order == "desc",
    )
    return listed(page, encode_file)


@router.get("/{file_id}")
async def retrieve(request: Request, file_id: str) -> Response:
    principal = await authenticated(request)
    return answer(encode_file(await platform_of(request).files.get(principal.organization_id, file_id)))


@router.get("/{file_id}/content", media="application/octet-stream")
async def content(request: Request, file_id: str) -> Response:
    """The file's bytes, to be saved: they are never shown by a browser."""
    principal = await authenticated(request)
    file, pieces = await platform_of(request).files.content(principal, file_id)
    first = await anext(pieces, b"")  # what is wrong with it is found out while there still is a status to say so
    return Download(first, pieces, content_headers(file))


@router.delete("/{file_id}")
async def delete(request: Request, file_id: str) -> Response:
    """A file that a tool version is made of cannot be deleted."""
    await platform_of(request).files.delete(await authenticated(request), file_id)
    return answer({"id": file_id, "object": "file", "deleted": True})


async def _receive(form: Form, files: Files, upload: Upload) -> dict[str, str]:
    """The form's fields; the file's own is its name."""
    fields: dict[str, str] = {}
    while part := await form.part():
        if part.name in fields:
            raise InvalidRequest(f"{part.name[:200]!r} is given twice", param=part.name[:200], code="invalid_value")
        if part.name != "file":
            fields[part.name] = await part.text(most=FIELD_BYTES)
        elif part.filename is None:
            raise InvalidRequest("'file' must be a file: a part with a filename", param="file", code="invalid_type")
        else:
            fields["file"] = part.filename
            if "purpose" in fields:
                parse_form(fields)  # what is wrong before the file is said before it is read
            await files.receive(upload, part.pieces())
    return fields


class Download(Response):
    """Closes the pieces when it is done, or when the client leaves."""

    def __init__(self, first: bytes, pieces: AsyncGenerator[bytes, None], headers: dict[str, str]) -> None:
        super().__init__(headers=headers)
        self._first = first
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._pieces):
            try:
                await unless_left(receive, self._send(send))
            except ClientDisconnect:
                return

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self._first, "more_body": True})
        async for piece in self._pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
