"""Exports of the audit log as auditors see them: asking for one, looking how far it is, its files, deleting it."""

from collections.abc import AsyncGenerator

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
        return await self._store.page(principal.organization_id, after=after, limit=limit, descending=descending)

    async def get(self, principal: Principal, export_id: str) -> Export:
        """Raises NotFound."""
        principal.require(Scope.ADMIN, Scope.AUDIT)
        return await self._store.get(principal.organization_id, export_id)

    async def open_file(self, principal: Principal, export_id: str, name: str) -> tuple[int, AsyncGenerator[bytes, None]]:
        """The file's size, and its bytes; to be closed by who leaves early. Raises NotFound."""
        export = await self.get(principal, export_id)
        file = next((file for file in export.files if file["name"] == name), None)
        if file is None:
            names = ", ".join(file["name"] for file in export.files) or "none"
            raise NotFound(f"export {export_id!r} has no file {name[:100]!r}; it has: {names}", code="export_file_not_found")
        await self._store.note(AuditRecord.by(principal, "export.downloaded", export_id, details={"file": file["name"]}))
        return file["bytes"], self._objects.stream(object_key(export, file["name"]))

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
