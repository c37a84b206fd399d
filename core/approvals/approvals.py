"""What humans decide on calls that wait for them: who may, on what exactly, and once. It starts no turn."""

from collections.abc import Sequence, Set
from dataclasses import dataclass

from core.errors import Conflict, InvalidRequest, PaddockError, PermissionDenied
from core.events import TurnStatus
from core.identity.principals import Principal
from core.messages import ApprovalResponseItem, Item, Offer, ToolCallItem
from core.storage.approvals import ApprovalStore, Decision
from core.storage.audit import AuditRecord, Outcome
from core.storage.records import Approval, ApprovalStatus, Page
from core.tools.approval import Decided, Policy, demand
from core.tools.arguments import ToolCallRejected, arguments_of
from core.tools.catalog import Catalog

LATE = ("approval_decided", "approval_used")
NOT_IN_TIME = "not run: nobody has approved it in time"
NOT_THE_SAME = "not run: since it was approved, the tool was deleted or got another version"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """arguments: JSON, in place of those that wait; None for these. digest: of what is approved, as it was seen."""

    approve: bool
    reason: str | None = None
    arguments: str | None = None
    digest: str | None = None

    @property
    def status(self) -> ApprovalStatus:
        return ApprovalStatus.APPROVED if self.approve else ApprovalStatus.DENIED


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuation:
    """What a turn takes up. turn_id: the one whose calls were decided on. decisions: to be made with its acceptance."""

    turn_id: str
    decided: tuple[Decided, ...]
    decisions: tuple[Decision, ...]


class Approvals:
    """Methods that take an id raise NotFound, for another organisation's too."""

    def __init__(self, store: ApprovalStore, catalog: Catalog) -> None:
        self._store = store
        self._catalog = catalog

    async def get(self, principal: Principal, approval_id: str) -> Approval:
        return await self._store.get(principal.organization_id, approval_id)

    async def page(
        self, principal: Principal, status: ApprovalStatus | None, *, after: str | None, limit: int, descending: bool
    ) -> Page[Approval]:
        return await self._store.page(principal.organization_id, status, after=after, limit=limit, descending=descending)

    async def decide(self, principal: Principal, approval_id: str, verdict: Verdict) -> Approval:
        """As it was before. Under four eyes what its approver has edited waits for somebody else.

        Raises Conflict when there is nothing to decide any more, PermissionDenied (`four_eyes`), InvalidRequest for arguments
        that the tool does not take.
        """
        approval = await self._store.get(principal.organization_id, approval_id)
        await self._decide(principal, approval, verdict)
        return approval

    async def taken_up(
        self, principal: Principal, said: Sequence[ApprovalResponseItem], known: Sequence[Item], offered: Set[str]
    ) -> Continuation:
        """What is said is decided when the turn is accepted, where it was not yet. known: what was said before. offered:
        digests of tool versions.

        Of a fork that begins between the requests of one response, those before it are here, and the others are nobody's.
        Raises as `decide` does; InvalidRequest for a request that nobody has asked here, or for some of those that wait.
        """
        verdicts = _once_each(said)
        asked = await self._store.get(principal.organization_id, said[0].request_id)
        here = _waiting_in(known)
        siblings = [one for one in await self._store.of_turn(principal.organization_id, asked.turn_id) if one.id in here]
        await self._refuse_strangers(principal, said, {one.id for one in siblings}, here)
        for one in siblings:
            if one.status is ApprovalStatus.PENDING and one.id not in verdicts:
                message = f"the response asked for {len(siblings)} approvals, and {one.id!r} is not answered"
                raise InvalidRequest(message, param="input", code="approval_missing")
        new = [(one, verdicts[one.id]) for one in siblings if one.id in verdicts and not _says(one, verdicts[one.id])]
        decisions = await self._decisions(principal, new)
        await self._refuse_missing(
            principal, [one for one in siblings if one.id in verdicts and verdicts[one.id].approve], offered
        )
        told = {one.id: verdict for one, verdict in new}
        return Continuation(
            turn_id=asked.turn_id,
            decided=tuple(_decided(one, told.get(one.id)) for one in siblings),
            decisions=tuple(await self._store.for_journal(principal.organization_id, decisions)),
        )

    async def came_late(self, principal: Principal, decisions: Sequence[Decision], why: PaddockError) -> None:
        """The turn that would have decided was refused for `why`."""
        if why.code in LATE:
            for one in decisions:
                await self._note_refusal(principal, one.approval, why)

    async def _refuse_strangers(
        self, principal: Principal, said: Sequence[ApprovalResponseItem], siblings: Set[str], here: Set[str]
    ) -> None:
        for item in said:
            approval = await self._store.get(principal.organization_id, item.request_id)
            if item.request_id in siblings:
                continue
            message = f"approval request {item.request_id!r} is none of what came before"
            if item.request_id in here:
                message = "one response takes up the approval requests of one other response"
            refused = InvalidRequest(message, param="input", code="approval_not_here")
            await self._note_refusal(principal, approval, refused)
            raise refused

    async def _refuse_missing(self, principal: Principal, approved: Sequence[Approval], offered: Set[str]) -> None:
        for one in approved:
            if _is_current(one) and one.version_digest not in offered:
                message = f"the version of {one.tool!r} that is approved is not among the request's tools"
                refused = InvalidRequest(message, param="tools", code="approval_tool_missing")
                await self._note_refusal(principal, one, refused)
                raise refused

    async def _decisions(self, principal: Principal, verdicts: Sequence[tuple[Approval, Verdict]]) -> Sequence[Decision]:
        decisions = []
        for approval, verdict in verdicts:
            askers = await self._store.askers(approval) if approval.four_eyes and verdict.approve else frozenset[str]()
            if refused := _refusal(principal, approval, verdict, askers):
                await self._note_refusal(principal, approval, refused)
                raise refused
            decisions.append(await self._decision(principal, approval, verdict))
        return decisions

    async def _decide(self, principal: Principal, approval: Approval, verdict: Verdict) -> None:
        decisions = await self._decisions(principal, [(approval, verdict)])
        if late := await self._store.decide(principal.organization_id, decisions):
            refused = Conflict(f"somebody else has decided on {late.id!r}, or it has just expired", code="approval_decided")
            await self._note_refusal(principal, late, refused)
            raise refused

    async def _decision(self, principal: Principal, approval: Approval, verdict: Verdict) -> Decision:
        arguments, digest = approval.arguments, approval.digest
        if verdict.arguments is not None:
            arguments, digest = await self._edited(approval, verdict.arguments)
        waits = approval.four_eyes and verdict.approve and digest != approval.digest
        status = ApprovalStatus.PENDING if waits else verdict.status
        record = AuditRecord.by(
            principal,
            "approval.edited" if waits else f"approval.{status.value}",
            approval.id,
            digest=digest,
            details={
                "tool": approval.tool,
                "tool_version": approval.version_digest,
                "response": approval.turn_id,
                **({"asked": approval.digest} if digest != approval.digest else {}),
            },
            personal=None if verdict.reason is None else {"reason": verdict.reason},
        )
        return Decision(
            approval=approval, status=status, arguments=arguments, digest=digest, reason=verdict.reason, record=record
        )

    async def _edited(self, approval: Approval, arguments: str) -> tuple[str, str]:
        """Checked like a model's, and with a digest of their own: what was asked for is void."""
        version = await self._catalog.version(approval.organization_id, approval.version_digest)
        try:
            given = arguments_of(version, arguments)
        except ToolCallRejected as exc:
            raise InvalidRequest(str(exc), param="arguments", code="invalid_arguments") from exc
        policy = Policy(four_eyes=approval.four_eyes, expires_seconds=approval.expires_seconds)
        wanted = demand(version.digest, given, policy)
        return wanted.arguments, wanted.digest

    async def _note_refusal(self, principal: Principal, approval: Approval, why: PaddockError) -> None:
        record = AuditRecord.by(
            principal,
            "approval.refused",
            approval.id,
            digest=approval.digest,
            outcome=Outcome.REFUSED,
            details={"tool": approval.tool, "code": why.code},
        )
        await self._store.note(record)


def _waiting_in(known: Sequence[Item]) -> Set[str]:
    """Ids of the approval requests in it; a client's own history names them as it likes."""
    requests = [item for item in known if isinstance(item, ToolCallItem) and item.offer is Offer.APPROVAL]
    return {name for item in requests for name in (item.id, item.call.id)}


def _once_each(said: Sequence[ApprovalResponseItem]) -> dict[str, Verdict]:
    verdicts = {item.request_id: Verdict(approve=item.approve, reason=item.reason) for item in said}
    if len(verdicts) < len(said):
        raise InvalidRequest("an approval request is answered twice", param="input", code="invalid_value")
    return verdicts


def _says(approval: Approval, verdict: Verdict) -> bool:
    """It was decided so before, and nobody has carried it out."""
    return approval.status is verdict.status and approval.next_turn_id is None


def _is_current(approval: Approval) -> bool:
    """A new version voids what was asked of the old one."""
    return approval.current_digest == approval.version_digest


def _refusal(principal: Principal, approval: Approval, verdict: Verdict, askers: Set[str]) -> PaddockError | None:
    """askers: who may not approve it under four eyes, beside its editor."""
    name = f"approval request {approval.id!r}"
    if approval.next_turn_id is not None:
        return Conflict(f"{name} was answered: response {approval.next_turn_id!r} carries it out", code="approval_used")
    if approval.status is ApprovalStatus.EXPIRED:
        return Conflict(f"{name} has expired", code="approval_expired")
    if approval.status in (ApprovalStatus.APPROVED, ApprovalStatus.DENIED):
        return Conflict(f"{name} was {approval.status.value} already", code="approval_decided")
    if not approval.turn_status.ended:
        return Conflict(f"response {approval.turn_id!r} is still running", code="response_running")
    if approval.status is ApprovalStatus.VOID or approval.turn_status is not TurnStatus.COMPLETED:
        return Conflict(f"{name} is void: its response was deleted, or did not complete", code="approval_void")
    return _refused_approval(principal, approval, verdict, askers, name) if verdict.approve else None


def _refused_approval(
    principal: Principal, approval: Approval, verdict: Verdict, askers: Set[str], name: str
) -> PaddockError | None:
    if approval.four_eyes and principal.user_id in (*askers, approval.edited_by):
        return PermissionDenied(f"{name} has to be approved by somebody else", code="four_eyes")
    if approval.edited_by is not None and verdict.digest is None:
        message = f"{name} was edited meanwhile: it is approved with the digest of what was seen, at /admin/v1/approvals"
        return InvalidRequest(message, param="digest", code="approval_edited")
    if verdict.digest is not None and verdict.digest != approval.digest:
        return Conflict(f"{name} has other arguments by now than those that were seen", code="approval_changed")
    if not _is_current(approval):
        message = f"{name} is void: the tool {approval.tool!r} is gone, or has another version"
        return Conflict(message, code="approval_void")
    return None


def _decided(approval: Approval, verdict: Verdict | None) -> Decided:
    """verdict: of this moment; else the row tells."""
    approve = approval.status is ApprovalStatus.APPROVED if verdict is None else verdict.approve
    reason = approval.reason if verdict is None else verdict.reason
    denial = None if approve else f"denied by a human: {reason}" if reason else "denied by a human"
    if verdict is None and approval.status in (ApprovalStatus.EXPIRED, ApprovalStatus.VOID):
        denial = NOT_IN_TIME
    if approve and not _is_current(approval):
        denial = NOT_THE_SAME
    return Decided(
        request_id=approval.id, tool=approval.tool, arguments=approval.arguments, digest=approval.digest, denial=denial
    )
