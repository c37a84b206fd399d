"""/health: whether the process lives, and whether it can do its work."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.dependencies import answer, platform_of

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live")
async def live() -> Response:
    return answer({"status": "ok"})


@router.get("/ready")
async def ready(request: Request) -> Response:
    readiness = await platform_of(request).readiness()
    body = {"status": "ok" if readiness.ready else "unavailable", "checks": dict(readiness.checks)}
    return answer(body, status=200 if readiness.ready else 503)
