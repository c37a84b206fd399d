"""/health: whether the process lives, and whether it can do its work."""

from starlette.requests import Request
from starlette.responses import Response

from api.dependencies import answer
from api.one_look import OneLook
from api.route import Router
from core.bootstrap import Readiness

router = Router("/health")


@router.get("/live")
async def live(request: Request) -> Response:
    return answer({"status": "ok"})


@router.get("/ready")
async def ready(request: Request) -> Response:
    look: OneLook[Readiness] = request.app.state.readiness
    readiness = await look.found()
    body = {"status": "ok" if readiness.ready else "unavailable", "checks": dict(readiness.checks)}
    return answer(body, status=200 if readiness.ready else 503)
