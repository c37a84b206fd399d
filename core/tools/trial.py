"""A tool's dry run: by an administrator, outside any turn, through the gate and the executor that a turn goes through."""

import asyncio
import time
from dataclasses import dataclass
from functools import partial

from core.identity.principals import Principal, Scope
from core.ids import new_id
from core.messages import ToolCall, ToolResult
from core.storage.audit import AuditRecord, Outcome
from core.storage.tools import ToolStore
from core.tools.catalog import Catalog, Pin, Selection
from core.tools.executor import Toolset
from core.tools.nested import NestedCall
from core.tools.work import Workshop
from sandbox import Stream

FOUR_EYES = "not run: somebody else has to approve each call of this tool"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """result: what a model would be told. seconds: from the dispatch on."""

    version: int
    digest: str
    result: ToolResult
    seconds: float


class Trials:
    def __init__(self, store: ToolStore, catalog: Catalog, workshop: Workshop) -> None:
        self._store = store
        self._catalog = catalog
        self._workshop = workshop

    async def run(self, principal: Principal, name: str, arguments: str, *, number: int | None = None) -> Tried:
        """Runs for real, with its effects. It needs what any call needs: the tool enabled, the caller let in, quota left.

        No turn and no ledger know of it; the audit log does, before it runs. number: of another version than the current one.
        Cancelling kills the guest. Raises NotFound.
        """
        principal.require(Scope.ADMIN)
        tool = await self._store.get(principal.organization_id, name)
        stored = await self._store.version(principal.organization_id, name, tool.version if number is None else number)
        pin, dry_run_id = Pin(tool_id=tool.id, digest=stored.digest), new_id("dry")
        pins = (pin, *await self._catalog.nested(principal.organization_id, [pin]))
        registered = await self._catalog.registered(principal, Selection(pins=pins))
        record = partial(AuditRecord.by, principal, object=name, digest=stored.digest)
        tools = Toolset(
            builtins={},
            registered=registered,
            functions=(),
            workshop=self._workshop,
            refusal=partial(self._catalog.refusal, principal),
            durable=lambda: self._store.note(record("tool.dry_run_started", details={"dry_run": dry_run_id})),
            retries=0,
            turn_id=dry_run_id,
            organization_id=principal.organization_id,
        )
        began = time.monotonic()
        try:
            called = NestedAudit(self._store, principal, dry_run_id)
            result = await _called(tools, ToolCall(id="1", name=name, arguments=arguments), called)
        except asyncio.CancelledError:
            ended = record("tool.dry_run_ended", outcome=Outcome.UNKNOWN, details={"dry_run": dry_run_id})
            await asyncio.shield(self._store.note(ended))
            raise
        outcome = Outcome.FAILURE if result.failed else Outcome.SUCCESS
        await self._store.note(record("tool.dry_run_ended", outcome=outcome, details={"dry_run": dry_run_id}))
        return Tried(version=stored.version, digest=stored.digest, result=result, seconds=time.monotonic() - began)


class NestedAudit:
    """What a tool's code calls in a dry run: the audit log is told before it runs, and of the whole when that has ended."""

    def __init__(self, store: ToolStore, principal: Principal, dry_run_id: str) -> None:
        self._store = store
        self._principal = principal
        self._dry_run_id = dry_run_id

    def count(self) -> bool:
        """No request limits it."""
        return True

    async def dispatched(self, call: NestedCall) -> None:
        details = {"dry_run": self._dry_run_id, "nested": "/".join(map(str, call.path)), "arguments": call.arguments_digest}
        record = AuditRecord.by(self._principal, "tool.dry_run_called", call.tool, digest=call.version_digest, details=details)
        await self._store.note(record)

    def returned(self, call: NestedCall, result: ToolResult, seconds: float) -> None:
        """No ledger waits for it."""


async def _called(tools: Toolset, call: ToolCall, record: NestedAudit) -> ToolResult:
    """Whoever tries a tool is the human that its calls wait for, but never two of them."""
    prepared = tools.prepare(call)
    if isinstance(prepared, ToolResult):
        return prepared
    if prepared.demand is not None and prepared.demand.policy.four_eyes:
        return ToolResult(call_id=call.id, content=FOUR_EYES, failed=True)
    [refused] = await tools.admit([prepared])
    return refused or await tools.run(prepared, _unheard, record)


def _unheard(stream: Stream, data: bytes) -> None:
    """The result has all that was printed."""
