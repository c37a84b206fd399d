"""/admin/v1/turns: what an administrator may do to any turn of the organisation."""

from starlette.requests import Request
from starlette.responses import Response

from api.dependencies import answer, authenticated, platform_of
from api.route import Router
from core.identity.principals import Scope

router = Router("/admin/v1/turns")


@router.post("/{turn_id}/cancel")
async def cancel(request: Request, turn_id: str) -> Response:
    """Returns when the model has stopped and the guests are dead."""
    principal = await authenticated(request, Scope.ADMIN)
    turn = await platform_of(request).turns.cancel_any(principal, turn_id)
    return answer({"id": turn.id, "object": "turn", "status": turn.status, "reason": turn.reason})
