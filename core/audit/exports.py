"""Exports of the audit log as auditors see them: asking for one, looking how far it is, its files, deleting it.

Whoever may not read an organisation's log now has no export of it either, be it that a colleague asked for one.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from core.audit.export.making import REQUEST, ExportRequest, discard, object_key, remove
from core.audit.log import EVERYBODY, organization_of
from core.errors import NotFound
from core.identity.principals import Principal, Scope
from core.identity.reach import Reach
from core.ids import new_id
from core.storage.audit import AuditRecord
from core.storage.audit_exports import Export, ExportStatus, ExportStore
from core.storage.audit_shapes import Filter
from core.storage.objects import Objects
from core.storage.records import Page

UNFINISHED = [status for status in ExportStatus if status.unfinished]


class Exports:
    def __init__(self, store: ExportStore, objects: Objects, reach: Reach) -> None:
        self._store = store
        self._objects = objects
        self._reach = reach

    async def create(self, principal: Principal, wanted: Filter, *, format: str, organization_id: str | None = None) -> Export:
        """organization_id: as in `AuditLog.page`. Raises NotFound, and Conflict while too many are not finished."""
        whose = await organization_of(self._reach, principal, organization_id)
        request = ExportRequest(organization_id=whose, format=format, filter=wanted)
        details = {"format": format, "of": whose or EVERYBODY}
        record = AuditRecord.by(principal, "export.created", new_id("export"), details=details)
        return await self._store.add(record, REQUEST.dump_python(request, mode="json"))

    async def page(self, principal: Principal, *, after: str | None, limit: int, descending: bool) -> Page[Export]:
        principal.require(Scope.ADMIN, Scope.AUDIT)
        others = Scope.OPERATOR in principal.scopes
        mine = principal.organization_id
        return await self._store.page(mine, others=others, after=after, limit=limit, descending=descending)

    async def get(self, principal: Principal, export_id: str) -> Export:
        """Raises NotFound."""
        principal.require(Scope.ADMIN, Scope.AUDIT)
        return await self._store.get(principal.organization_id, export_id, others=Scope.OPERATOR in principal.scopes)

    async def open_file(self, principal: Principal, export_id: str, name: str) -> tuple[int, AsyncGenerator[bytes, None]]:
        """The file's size, and its bytes; to be closed by who leaves early. Raises NotFound.

        It is noted once there is something to send, and before it is sent.
        """
        export = await self.get(principal, export_id)
        file = next((file for file in export.files if file["name"] == name), None)
        if file is None:
            names = ", ".join(file["name"] for file in export.files) or "none"
            raise NotFound(f"export {export_id!r} has no file {name[:100]!r}; it has: {names}", code="export_file_not_found")
        pieces = _opened(self._objects.stream(object_key(export, file["name"])))
        await anext(pieces)
        try:
            record = AuditRecord.by(principal, "export.downloaded", export_id, details={"file": file["name"]})
            await self._store.note(record, export)
        except BaseException:
            await pieces.aclose()
            raise
        return file["bytes"], pieces

    async def delete(self, principal: Principal, export_id: str) -> Export:
        """Cancels it while it is made; removes its files in any case. Raises NotFound."""
        await self.get(principal, export_id)
        cancelled = AuditRecord.by(principal, "export.cancelled", export_id)
        if await self._store.end(cancelled, ExportStatus.CANCELLED, was=UNFINISHED):
            await discard(self._objects, await self.get(principal, export_id))
        else:
            ended = await self.get(principal, export_id)  # only now: it may have been completed a moment ago
            await remove(self._store, self._objects, AuditRecord.by(principal, "export.deleted", export_id), ended)
        return await self.get(principal, export_id)


async def _opened(pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Before all others an empty one, once there is something to send: from then on `aclose` closes what was opened."""
    async with aclosing(pieces):
        first = await anext(pieces, b"")
        yield b""
        yield first
        async for piece in pieces:
            yield piece
