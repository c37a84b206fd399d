"""What the audit log is told of a turn: its begin and end, each call of a model and of a tool. Ids and digests, no text."""

import hashlib
from typing import Any

from core.events import (
    ApprovalRequested,
    NestedDispatched,
    NestedReturned,
    Replied,
    ToolDispatched,
    ToolReturned,
    TurnDeferred,
    TurnEnded,
    TurnStatus,
)
from core.messages import ITEM, ToolCallItem, Usage
from core.storage.audit import AuditRecord, Detail, Outcome
from core.storage.records import Turn

OUTCOMES = {
    TurnStatus.COMPLETED: Outcome.SUCCESS,
    TurnStatus.INCOMPLETE: Outcome.SUCCESS,
    TurnStatus.CANCELLED: Outcome.FAILURE,
    TurnStatus.FAILED: Outcome.FAILURE,
}


class TurnAudit:
    """request_id: the request that began the turn, where this process knows it. The object of every record is the turn."""

    def __init__(self, turn: Turn, request_id: str | None = None) -> None:
        self._turn = turn
        self._request_id = request_id

    def queued(self) -> AuditRecord:
        return self._begun("turn.queued")

    def started(self) -> AuditRecord:
        return self._begun("turn.started")

    def _begun(self, kind: str) -> AuditRecord:
        turn = self._turn
        return self._record(
            kind,
            model=turn.model,
            stored=turn.stored,
            conversation=turn.conversation_id,
            previous=turn.previous_turn_id,
        )

    def replied(self, event: Replied) -> AuditRecord:
        """digest: of the reply's items, as the journal's event has them, one a line."""
        digest = hashlib.sha256(b"\n".join(ITEM.dump_json(item) for item in event.items)).hexdigest()
        return self._record(
            "model.replied",
            digest=digest,
            model=self._turn.model,
            step=event.step,
            finish=event.finish,
            calls=sum(isinstance(item, ToolCallItem) for item in event.items),
            input_tokens=event.usage.input,
            output_tokens=event.usage.output,
            seconds=round(event.seconds, 3),
        )

    def failed(self, step: int, usage: Usage | None, *, outcome: Outcome = Outcome.FAILURE) -> AuditRecord:
        """A call of the model that came to no whole reply. usage: an estimate; None where nobody can say."""
        return self._record(
            "model.failed",
            outcome=outcome,
            model=self._turn.model,
            step=step,
            input_tokens=None if usage is None else usage.input,
            output_tokens=None if usage is None else usage.output,
        )

    def dispatched(self, event: ToolDispatched | NestedDispatched) -> AuditRecord:
        """digest: the tool version's. nested: where a call stands that the code in the item's call made."""
        return self._record(
            "tool.dispatched",
            digest=event.version_digest,
            tool=event.tool,
            item=event.item,
            effect=event.effect,
            arguments=event.arguments_digest,
            approval=event.approval if isinstance(event, ToolDispatched) else None,
            **_nested(event),
        )

    def asked(self, event: ApprovalRequested) -> AuditRecord:
        """digest: of what an approval will be bound to."""
        return self._record(
            "approval.requested",
            digest=event.digest,
            tool=event.tool,
            tool_version=event.version_digest,
            item=event.item,
            four_eyes=event.four_eyes,
            expires_seconds=event.expires_seconds,
        )

    def returned(
        self,
        dispatched: ToolDispatched | NestedDispatched,
        event: ToolReturned | NestedReturned,
        result_digest: str | None,
    ) -> AuditRecord:
        """digest: the result's."""
        return self._record(
            "tool.returned",
            outcome=Outcome.FAILURE if event.result.failed else Outcome.SUCCESS,
            digest=result_digest,
            tool=dispatched.tool,
            item=event.item,
            seconds=round(event.seconds, 3),
            **_nested(dispatched),
        )

    def refused(self, event: ToolReturned) -> AuditRecord:
        """A call that never ran. Its tool is not named: the name is what a model said."""
        return self._record("tool.refused", outcome=Outcome.REFUSED, item=event.item)

    def unknown(self, dispatched: ToolDispatched | NestedDispatched) -> AuditRecord:
        outcome, nested = Outcome.UNKNOWN, _nested(dispatched)
        return self._record("tool.returned", outcome=outcome, tool=dispatched.tool, item=dispatched.item, **nested)

    def deferred(self, event: TurnDeferred) -> AuditRecord:
        return self._record("turn.deferred", outcome=Outcome.FAILURE, reason=event.reason, seconds=event.seconds)

    def ended(self, event: TurnEnded) -> AuditRecord:
        return self._record(
            "turn.ended",
            outcome=OUTCOMES[event.status],
            status=event.status,
            reason=event.reason,
            input_tokens=event.usage.input,
            output_tokens=event.usage.output,
        )

    def _record(
        self, kind: str, *, outcome: Outcome = Outcome.SUCCESS, digest: str | None = None, **details: Detail
    ) -> AuditRecord:
        turn = self._turn
        return AuditRecord(
            kind=kind,
            organization_id=turn.organization_id,
            actor=turn.user_id,
            key_id=turn.key_id,
            request_id=self._request_id,
            object=turn.id,
            outcome=outcome,
            digest=digest,
            details=details,
        )


def _nested(event: ToolDispatched | NestedDispatched) -> dict[str, Any]:
    return {"nested": "/".join(map(str, event.path))} if isinstance(event, NestedDispatched) else {}
