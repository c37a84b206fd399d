"""A file on OpenAI's wire: what an upload says of it, the file object, and the headers under which its bytes are sent."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema

from api.wire.body import refusal
from api.wire.response_body import unix
from core.storage.records import File

Purpose = Literal["assistants", "batch", "fine-tune", "vision", "user_data", "evals"]


class FormModel(BaseModel):
    """A form's fields are text, so they are read as what the field is."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ExpiresAfter(FormModel):
    anchor: Literal["created_at"]
    seconds: Annotated[int, Field(ge=3600, le=2_592_000)]


class CreateFile(FormModel):
    """file: the bytes. expires_after: as `expires_after[anchor]` and `expires_after[seconds]`."""

    file: Annotated[str, WithJsonSchema({"type": "string", "format": "binary"})]
    purpose: Purpose
    expires_after: ExpiresAfter | None = None


def parse_form(fields: Mapping[str, str]) -> CreateFile:
    """fields: as they came, `a[b]` for what is nested. Raises InvalidRequest."""
    nested: dict[str, Any] = {}
    for name, value in fields.items():
        outer, bracket, inner = name.partition("[")
        if bracket and inner.endswith("]") and isinstance(nested.setdefault(outer, {}), dict):
            nested[outer][inner[:-1]] = value
        else:
            nested[name] = value
    try:
        return CreateFile.model_validate(nested)
    except ValidationError as error:
        raise refusal(error, nested) from None


def encode_file(file: File) -> dict[str, Any]:
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.bytes,
        "created_at": unix(file.created_at),
        "expires_at": unix(file.expires_at) if file.expires_at else None,
        "filename": file.filename,
        "purpose": file.purpose,
        "status": "processed",
        "status_details": None,
    }


def content_headers(file: File) -> dict[str, str]:
    """Never shown, always saved: no browser takes a tenant's bytes for a page of ours."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in " ._-") else "_" for c in file.filename)
    return {
        "content-type": "application/octet-stream",
        "content-length": str(file.bytes),
        "content-disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(file.filename, safe='')}",
        "cache-control": "private, no-store",
    }
