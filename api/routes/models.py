"""/v1/models: the declared models, the default one first, then the organisation's assistants, which are used like them."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from api.dependencies import answer, authenticated, platform_of
from api.route import Router
from api.wire.response_body import unix
from core.errors import NotFound
from core.storage.assistants import MOST_ASSISTANTS
from core.storage.records import AssistantVersion

router = Router("/v1/models")


def _encode(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "paddock"}


def _encode_assistant(assistant: AssistantVersion) -> dict[str, Any]:
    return {"id": assistant.name, "object": "model", "created": unix(assistant.created_at), "owned_by": "organization"}


@router.get("")
async def list_models(request: Request) -> Response:
    principal, platform = await authenticated(request), platform_of(request)
    assistants = await platform.assistants.list(principal.organization_id, after=None, limit=MOST_ASSISTANTS, descending=False)
    own = [_encode_assistant(row) for row in assistants.rows if row.name not in platform.models.names]
    return answer({"object": "list", "data": [*map(_encode, platform.models.names), *own]})


@router.get("/{model:path}")
async def retrieve(request: Request, model: str) -> Response:
    principal, platform = await authenticated(request), platform_of(request)
    if model in platform.models.names:
        return answer(_encode(model))
    assistant = await platform.assistants.named(principal.organization_id, model)
    if assistant is None:
        raise NotFound(f"no model {model!r}", param="model", code="model_not_found")
    return answer(_encode_assistant(assistant))
