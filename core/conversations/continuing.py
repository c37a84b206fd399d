"""Turns that go on by themselves once humans have decided on all calls that they wait for. Knows no HTTP."""

import logging
from collections.abc import Sequence
from dataclasses import replace

from core.approvals.approvals import Approvals, Verdict
from core.conversations.kept import recall
from core.conversations.manager import TurnManager
from core.errors import Conflict, PaddockError, RateLimited, Unavailable
from core.identity.principals import Principal
from core.ids import new_id
from core.messages import ApprovalResponseItem
from core.storage.approvals import ApprovalStore, Due
from core.storage.audit import AuditRecord, Outcome
from core.storage.records import Approval, ApprovalStatus

log = logging.getLogger(__name__)
AT_ONCE = 20
FOR_NOW = (Conflict, RateLimited, Unavailable)
"""Why one cannot go on at this moment, and may later."""
UNREADABLE = "unreadable"
ELSEWHERE = {"model_not_found", "assistant_model_not_found", UNREADABLE}
"""What another server may know, amid a deployment. Where none does, the approvals expire."""


class Continuing:
    def __init__(self, approvals: Approvals, store: ApprovalStore, turns: TurnManager) -> None:
        self._approvals = approvals
        self._store = store
        self._turns = turns

    async def decide(self, principal: Principal, approval_id: str, verdict: Verdict) -> Approval:
        """As it is then: with the response that carries it out, where that has begun. Raises as `Approvals.decide` does."""
        asked = await self._approvals.decide(principal, approval_id, verdict)
        await self._begin(await self._store.due(turn_id=asked.turn_id, limit=1))
        return await self._approvals.get(principal, approval_id)

    async def begin_due(self, *, days: int) -> None:
        """What could not begin when it was decided on: the conversation was busy, or a process died in between. days: how old a
        decision may be.
        """
        await self._begin(await self._store.due(turn_id=None, limit=AT_ONCE, days=days))

    async def _begin(self, due: Sequence[Due]) -> None:
        for one in due:
            try:
                await self._start(one)
            except (PaddockError, ValueError) as exc:
                code = exc.code if isinstance(exc, PaddockError) else UNREADABLE
                if isinstance(exc, FOR_NOW) or code in ELSEWHERE:
                    log.info("the approvals of %s have to wait: %s", one.turn_id, code)
                    continue
                log.warning("the approvals of %s cannot be carried out: %s", one.turn_id, code)
                await self._store.void(one.turn_id, _voided(one, code))

    async def _start(self, due: Due) -> None:
        """As the one who asked, with all that was asked for then."""
        request, principal = recall(due.request, ())
        approvals = await self._store.of_turn(due.organization_id, due.turn_id)
        said = [
            ApprovalResponseItem(
                id=new_id("mcpa"),
                request_id=approval.id,
                approve=approval.status is ApprovalStatus.APPROVED,
                reason=approval.reason,
            )
            for approval in approvals
            if approval.status in (ApprovalStatus.APPROVED, ApprovalStatus.DENIED)
        ]
        if not said:
            return  # what was approved has expired just now
        before = None if due.conversation_id else due.turn_id
        await self._turns.start(principal, replace(request, input=tuple(said), previous_turn_id=before))


def _voided(due: Due, code: str) -> AuditRecord:
    return AuditRecord(
        kind="approval.voided",
        organization_id=due.organization_id,
        actor="system",
        object=due.turn_id,
        outcome=Outcome.FAILURE,
        details={"code": code},
    )
