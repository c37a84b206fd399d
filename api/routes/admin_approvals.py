"""/admin/v1/approvals: calls of tools that wait for a human, and what a human says to them."""

import json
from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from api.dependencies import Query, answer, authenticated, body_of, listed, platform_of, query_of
from api.route import Router
from api.wire.body import Body, JsonObject
from api.wire.response_body import unix
from core.approvals.approvals import Verdict
from core.compact import dump
from core.identity.principals import Principal
from core.storage.records import Approval, ApprovalStatus

router = Router("/admin/v1/approvals")
Reason = Annotated[str, Field(max_length=2_000)]


class Listed(Query):
    status: Literal["pending", "approved", "denied", "expired", "void"] | None = None
    after: str | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    order: Literal["asc", "desc"] = "desc"


class Approve(Body):
    """arguments: in place of the model's; they are checked like these, and the audit log tells of it. Under four eyes they then
    wait for somebody else. digest: of what was seen; needed where somebody has edited it.
    """

    arguments: JsonObject | None = None
    digest: Annotated[str, Field(max_length=128)] | None = None
    reason: Reason | None = None


class Deny(Body):
    """reason: the model is told."""

    reason: Reason | None = None


def _encode(approval: Approval) -> dict[str, Any]:
    """digest: what the approval is bound to: the tool's version, its arguments and the policy."""
    return {
        "id": approval.id,
        "object": "approval",
        "status": approval.status.value,
        "tool": approval.tool,
        "tool_version": approval.version_digest,
        "arguments": json.loads(approval.arguments),
        "digest": approval.digest,
        "edited": approval.edited,
        "edited_by": approval.edited_by,
        "four_eyes": approval.four_eyes,
        "response_id": approval.turn_id,
        "conversation_id": approval.conversation_id,
        "requested_by": {"user_id": approval.user_id, "key_id": approval.key_id},
        "next_response_id": approval.next_turn_id,
        "reason": approval.reason,
        "decided_by": approval.decided_by,
        "decided_at": None if approval.decided_at is None else unix(approval.decided_at),
        "expires_at": unix(approval.expires_at),
        "created_at": unix(approval.created_at),
    }


@router.get("", query=Listed)
async def list_approvals(request: Request) -> Response:
    principal, query = await authenticated(request), query_of(request, Listed)
    page = await platform_of(request).approvals.page(
        principal,
        None if query.status is None else ApprovalStatus(query.status),
        after=query.after,
        limit=query.limit,
        descending=query.order == "desc",
    )
    return listed(page, _encode)


@router.get("/{approval_id}")
async def get(request: Request, approval_id: str) -> Response:
    principal = await authenticated(request)
    return answer(_encode(await platform_of(request).approvals.get(principal, approval_id)))


@router.post("/{approval_id}/approve", body=Approve)
async def approve(request: Request, approval_id: str) -> Response:
    """A conversation and a background response go on at once, in a new response; another one when it is asked to."""
    principal = await authenticated(request)
    body = await body_of(request, Approve)
    arguments = None if body.arguments is None else dump(body.arguments)
    verdict = Verdict(approve=True, reason=body.reason, arguments=arguments, digest=body.digest)
    return await _decide(request, approval_id, verdict, principal)


@router.post("/{approval_id}/deny", body=Deny)
async def deny(request: Request, approval_id: str) -> Response:
    """The model is told, and goes on as after an approval."""
    principal = await authenticated(request)
    body = await body_of(request, Deny)
    return await _decide(request, approval_id, Verdict(approve=False, reason=body.reason), principal)


async def _decide(request: Request, approval_id: str, verdict: Verdict, principal: Principal) -> Response:
    return answer(_encode(await platform_of(request).continuing.decide(principal, approval_id, verdict)))
