"""/admin/v1/turns: what an administrator may do to any turn of the organisation."""

from typing import Any

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from api.dependencies import answer, authenticated, body_of, platform_of, unless_left
from api.route import Router
from api.wire.body import Body
from core.conversations.replay import CallAgain, Replayed, StepAgain
from core.identity.principals import Scope
from core.messages import Reply, ToolResult

router = Router("/admin/v1/turns")


class ReplayTurn(Body):
    """model: to be asked at each step, with all that was said before it; else the recorded replies stand."""

    model: str | None = Field(None, min_length=1, max_length=200)


@router.post("/{turn_id}/cancel")
async def cancel(request: Request, turn_id: str) -> Response:
    """Returns when the model has stopped and the guests are dead."""
    principal = await authenticated(request, Scope.ADMIN)
    turn = await platform_of(request).turns.cancel_any(principal, turn_id)
    return answer({"id": turn.id, "object": "turn", "status": turn.status, "reason": turn.reason})


@router.post("/{turn_id}/replay", body=ReplayTurn)
async def replay(request: Request, turn_id: str) -> Response:
    """Its pure tools are run again, and what they return is compared. The conversation is left as it is."""
    principal = await authenticated(request, Scope.ADMIN)
    body = await body_of(request, ReplayTurn)
    work = platform_of(request).replay.run(principal, turn_id, model=body.model)
    return answer(_encode(await unless_left(request.receive, work)))


def _encode(replayed: Replayed) -> dict[str, Any]:
    return {
        "object": "replay",
        "response_id": replayed.turn.id,
        "model": replayed.model,
        "differences": replayed.differences,
        "unverified": replayed.unverified,
        "steps": [_step(step) for step in replayed.steps],
    }


def _step(step: StepAgain) -> dict[str, Any]:
    return {
        "step": step.number,
        "differs": step.differs,
        "reply": _reply(step.reply),
        "reply_now": None if step.said is None else _reply(step.said),
        "calls": [_call(call) for call in step.calls],
    }


def _reply(reply: Reply) -> dict[str, Any]:
    return {"text": reply.text, "calls": [{"name": call.name, "arguments": call.arguments} for call in reply.tool_calls]}


def _call(again: CallAgain) -> dict[str, Any]:
    """not_run: why the recorded result stands."""
    return {
        "tool": again.call.name,
        "tool_version": again.version_digest,
        "arguments": again.call.arguments,
        "differs": again.differs,
        "not_run": again.why,
        "result": _result(again.then),
        "result_now": _result(again.now),
    }


def _result(result: ToolResult | None) -> dict[str, Any] | None:
    return None if result is None else {"output": result.content, "failed": result.failed}
