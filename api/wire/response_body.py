"""The response object of OpenAI's Responses API: what a turn looks like at any moment."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from core.events import TurnStatus
from core.messages import Usage
from core.storage.records import Turn

_STATUSES = {
    TurnStatus.PENDING: "queued",
    TurnStatus.RUNNING: "in_progress",
    TurnStatus.COMPLETED: "completed",
    TurnStatus.INCOMPLETE: "incomplete",
    TurnStatus.FAILED: "failed",
    TurnStatus.CANCELLED: "cancelled",
}

# What a request that does not say otherwise gets. The official clients need most of these to be there and not null.
_DEFAULTS: Mapping[str, Any] = {
    "background": False,
    "frequency_penalty": 0.0,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "parallel_tool_calls": True,
    "presence_penalty": 0.0,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "temperature": 1.0,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}


def response_body(
    turn: Turn,
    *,
    status: TurnStatus,
    output: Sequence[Mapping[str, Any]] = (),
    usage: Usage | None = None,
    ended_at: float | None = None,
    reason: str | None = None,
    message: str | None = None,
) -> dict[str, Any]:
    """usage, ended_at, reason, message: of a turn that has ended. `reason` may be one of ours, such as `step_limit`."""
    failed, incomplete = status is TurnStatus.FAILED, status is TurnStatus.INCOMPLETE
    return {
        "id": turn.id,
        "object": "response",
        "created_at": unix(turn.created_at),
        "completed_at": int(ended_at) if ended_at is not None and status is TurnStatus.COMPLETED else None,
        "status": _STATUSES[status],
        "error": {"code": reason or "server_error", "message": message or "the turn failed"} if failed else None,
        "incomplete_details": {"reason": reason} if incomplete else None,
        "model": model_of(turn),
        "output": list(output),
        "previous_response_id": turn.previous_turn_id,
        "conversation": {"id": turn.conversation_id} if turn.conversation_id else None,
        "store": turn.stored,
        "metadata": dict(turn.metadata),
        "usage": usage_body(usage) if usage is not None else None,
        **_DEFAULTS,
        **turn.echo.get("fields", {}),
    }


def model_of(turn: Turn) -> str:
    """What the client asked for: an assistant goes by its name."""
    name: str = turn.echo["assistant"]["name"] if "assistant" in turn.echo else turn.model
    return name


def usage_body(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": 0},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input + usage.output,
    }


def unix(moment: datetime) -> int:
    return int(moment.timestamp())
