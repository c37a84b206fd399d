"""How an error of ours looks to a client: OpenAI's shape, and a status by the error's class."""

from math import ceil
from typing import Any

from starlette.responses import Response

from core.compact import dump
from core.errors import (
    Conflict,
    InvalidRequest,
    NoLongerKept,
    NotFound,
    PaddockError,
    PermissionDenied,
    RateLimited,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from core.events import TurnEnded
from core.llm.contract import ModelBusy, ModelError, ModelRefused, ModelTimedOut, ModelUnavailable
from core.storage.objects import ObjectsFull


class UnsupportedMedia(PaddockError):
    code = "unsupported_media_type"


class MethodNotAllowed(PaddockError):
    code = "method_not_allowed"


class KeyReused(PaddockError):
    """An Idempotency-Key came with another request than before."""

    code = "idempotency_key_reused"


class AnswerLost(Conflict):
    """What was asked was begun before, and must not be done again; its answer is not known."""

    code = "idempotency_answer_lost"


STATUS: dict[type[PaddockError], tuple[int, str]] = {
    InvalidRequest: (400, "invalid_request_error"),
    Unauthenticated: (401, "authentication_error"),
    PermissionDenied: (403, "permission_error"),
    NotFound: (404, "invalid_request_error"),
    MethodNotAllowed: (405, "invalid_request_error"),
    Conflict: (409, "invalid_request_error"),
    NoLongerKept: (410, "invalid_request_error"),
    TooLarge: (413, "invalid_request_error"),
    UnsupportedMedia: (415, "invalid_request_error"),
    KeyReused: (422, "idempotency_error"),
    RateLimited: (429, "requests"),
    ModelRefused: (400, "invalid_request_error"),
    ModelBusy: (429, "requests"),
    ModelTimedOut: (504, "server_error"),
    ModelUnavailable: (503, "server_error"),
    ModelError: (502, "server_error"),
    ObjectsFull: (507, "server_error"),
    Unavailable: (503, "server_error"),
    PaddockError: (500, "server_error"),
}
PASSING = {
    "conflict",
    "conversation_locked",
    "delivery_waiting",
    "idempotency_in_progress",
    "response_running",
    "version_conflict",
}
"""Conflicts that waiting may solve. OpenAI's clients ask again after every 409 that does not tell them not to."""
LONGEST_PAUSE = 60
"""Seconds. OpenAI's clients do not wait longer, and would ask again at once."""
ENDED: dict[str, tuple[int, str]] = {
    # the reason of a turn that failed, where its client was promised a status and not a response object
    "context_length_exceeded": (400, "invalid_request_error"),
    "model_refused": (400, "invalid_request_error"),
    "key_revoked": (401, "authentication_error"),
    "cancelled": (409, "invalid_request_error"),
    "insufficient_quota": (429, "insufficient_quota"),
    "rate_limit_exceeded": (429, "requests"),
    "model_error": (502, "server_error"),
    "model_answer_invalid": (502, "server_error"),
    "model_unavailable": (503, "server_error"),
    "database_unavailable": (503, "server_error"),
    "server_shutdown": (503, "server_error"),
    "server_lost": (503, "server_error"),
    "model_timeout": (504, "server_error"),
}


class TurnFailed(PaddockError):
    """A turn ended without an answer, and the route has none to give either. The code is the turn's reason."""

    retry_after: float | None = None

    @classmethod
    def of(cls, end: TurnEnded | None) -> "TurnFailed":
        """None: its events stopped before an end."""
        if end is None:
            return cls("the turn was interrupted", code="server_lost")
        failed = cls(end.message or f"the turn was {end.status.value}", code=end.reason)
        failed.retry_after = end.retry_after
        return failed


def error_body(error: PaddockError, kind: str | None = None) -> dict[str, Any]:
    kind = kind or _status(error)[1]
    return {"error": {"message": error.message, "type": kind, "code": error.code, "param": error.param}}


def error_response(error: PaddockError) -> Response:
    status, kind = _status(error)
    headers = {"www-authenticate": "Bearer"} if status == 401 else {}
    if status == 413:
        headers["connection"] = "close"  # the rest of the body is not read
    if isinstance(error, Conflict) and error.code not in PASSING:
        headers["x-should-retry"] = "false"
    if isinstance(error, ModelError | RateLimited | TurnFailed) and error.retry_after is not None:
        headers["retry-after"] = str(max(1, ceil(error.retry_after)))
        if error.retry_after > LONGEST_PAUSE:
            headers["x-should-retry"] = "false"
    return Response(dump(error_body(error, kind)), status, headers, "application/json")


def status_of(error: PaddockError) -> int:
    return _status(error)[0]


def _status(error: PaddockError) -> tuple[int, str]:
    if isinstance(error, TurnFailed):
        return ENDED.get(error.code, (500, "server_error"))
    if isinstance(error, RateLimited):
        return 429, error.used_up
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
