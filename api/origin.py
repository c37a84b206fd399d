"""What a turn remembers of the request that began it: its ids, and the model's prices at that time."""

from typing import Any

from starlette.requests import Request

from core.bootstrap import Platform


def origin_of(request: Request, platform: Platform, model: str | None) -> dict[str, Any]:
    """An unknown model has no prices here; the turn refuses it in its own words."""
    names = platform.models.names
    name = model or (names[0] if names else None)
    prices = platform.models.prices(name).model_dump() if name in names and name is not None else None
    state = request.scope["state"]
    return {"request_id": state["request_id"], "trace_id": state["trace_id"], "prices": prices}
