"""Batches from the outside: made, looked at, cancelled. What goes on in one is in `work.py`."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from core.batches.wire import Wires
from core.conversations.kept import PRINCIPAL
from core.errors import InvalidRequest, TooLarge
from core.files.files import Files
from core.identity.principals import Principal
from core.ids import new_id
from core.storage.audit import AuditRecord
from core.storage.batches import Batch, BatchStatus, BatchStore
from core.storage.records import Page

LARGEST_INPUT_BYTES = 100 * 2**20
WINDOWS = {"24h": timedelta(hours=24)}


class Batches:
    def __init__(self, store: BatchStore, files: Files, wires: Wires) -> None:
        self._store = store
        self._files = files
        self._wires = wires

    async def create(
        self,
        principal: Principal,
        *,
        endpoint: str,
        input_file_id: str,
        window: str,
        output_seconds: int | None,
        metadata: Mapping[str, str],
    ) -> Batch:
        """output_seconds: how long the files of its answers are kept; None: until they are deleted.

        Raises InvalidRequest, NotFound, TooLarge, RateLimited.
        """
        if endpoint not in self._wires:
            message = f"invalid 'endpoint': expected one of {', '.join(sorted(self._wires))}"
            raise InvalidRequest(message, param="endpoint", code="unsupported_value")
        file = await self._files.get(principal.organization_id, input_file_id)
        if file.purpose != "batch":
            raise InvalidRequest("the file's purpose must be 'batch'", param="input_file_id", code="invalid_value")
        if file.bytes > LARGEST_INPUT_BYTES:
            raise TooLarge(f"a batch's file has at most {LARGEST_INPUT_BYTES} bytes", param="input_file_id")
        record = AuditRecord.by(
            principal, "batch.created", new_id("batch"), digest=file.sha256, details={"endpoint": endpoint, "file": file.id}
        )
        batch = {
            "principal": PRINCIPAL.dump_json(principal).decode(),
            "endpoint": endpoint,
            "input_file_id": input_file_id,
            "completion_window": window,
            "output_seconds": output_seconds,
            "metadata": dict(metadata),
            "expires_at": datetime.now(UTC) + WINDOWS[window],
        }
        return await self._store.add(record, batch)

    async def get(self, principal: Principal, batch_id: str) -> Batch:
        """Raises NotFound."""
        return await self._store.get(principal.organization_id, batch_id)

    async def list(self, principal: Principal, *, after: str | None, limit: int, descending: bool) -> Page[Batch]:
        return await self._store.list(principal.organization_id, after=after, limit=limit, descending=descending)

    async def cancel(self, principal: Principal, batch_id: str) -> Batch:
        """Stops what runs and begins no more; what was answered until then is in the files. Raises NotFound, Conflict."""
        batch = await self._store.get(principal.organization_id, batch_id)
        if batch.status is not BatchStatus.CANCELLING:
            await self._store.cancel(AuditRecord.by(principal, "batch.cancelled", batch_id))
        return await self._store.get(principal.organization_id, batch_id)
