"""Uploaded programs, kept in memory; and none at all, for tools that are made of no file."""

from collections.abc import Mapping

from core.errors import NotFound
from core.tools.programs import Programs


class Uploads:
    """content: by organisation and file. reads: how often one was asked for."""

    def __init__(self, content: Mapping[tuple[str, str], bytes] | None = None) -> None:
        self.content = dict(content or {})
        self.reads = 0

    async def read(self, organization_id: str, file_id: str, *, limit_bytes: int) -> bytes:
        self.reads += 1
        try:
            return self.content[organization_id, file_id]
        except KeyError:
            raise NotFound(f"no file {file_id!r}", code="file_not_found") from None


class NoHost:
    async def install(self, runtime: str, program: bytes) -> str:
        raise AssertionError("no tool here is made of a file")


NO_PROGRAMS = Programs(Uploads(), NoHost())
