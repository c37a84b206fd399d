"""/v1/models: the declared models, the default one first."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from api.dependencies import answer, authenticated, platform_of
from api.route import Router
from core.errors import NotFound

router = Router("/v1/models")


def _encode(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "paddock"}


@router.get("")
async def list_models(request: Request) -> Response:
    await authenticated(request)
    return answer({"object": "list", "data": [_encode(name) for name in platform_of(request).models.names]})


@router.get("/{model:path}")
async def retrieve(request: Request, model: str) -> Response:
    await authenticated(request)
    if model not in platform_of(request).models.names:
        raise NotFound(f"no model {model!r}", param="model", code="model_not_found")
    return answer(_encode(model))
