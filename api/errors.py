"""How an error of ours looks to a client: OpenAI's shape, and a status by the error's class."""

from typing import Any

from starlette.responses import Response

from api.wire.compact import dump
from core.errors import (
    Conflict,
    InvalidRequest,
    NotFound,
    PaddockError,
    PermissionDenied,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from core.events import TurnEnded
from core.llm.contract import ModelError, ModelRefused, ModelTimedOut, ModelUnavailable
from core.storage.objects import ObjectsFull


class UnsupportedMedia(PaddockError):
    code = "unsupported_media_type"


class MethodNotAllowed(PaddockError):
    code = "method_not_allowed"


STATUS: dict[type[PaddockError], tuple[int, str]] = {
    InvalidRequest: (400, "invalid_request_error"),
    Unauthenticated: (401, "authentication_error"),
    PermissionDenied: (403, "permission_error"),
    NotFound: (404, "invalid_request_error"),
    MethodNotAllowed: (405, "invalid_request_error"),
    Conflict: (409, "invalid_request_error"),
    TooLarge: (413, "invalid_request_error"),
    UnsupportedMedia: (415, "invalid_request_error"),
    ModelRefused: (400, "invalid_request_error"),
    ModelTimedOut: (504, "server_error"),
    ModelUnavailable: (503, "server_error"),
    ModelError: (502, "server_error"),
    ObjectsFull: (507, "server_error"),
    Unavailable: (503, "server_error"),
    PaddockError: (500, "server_error"),
}
ENDED: dict[str, tuple[int, str]] = {
    # the reason of a turn that failed, where its client was promised a status and not a response object
    "context_length_exceeded": (400, "invalid_request_error"),
    "model_refused": (400, "invalid_request_error"),
    "key_revoked": (401, "authentication_error"),
    "cancelled": (409, "invalid_request_error"),
    "model_error": (502, "server_error"),
    "model_unavailable": (503, "server_error"),
    "database_unavailable": (503, "server_error"),
    "server_shutdown": (503, "server_error"),
    "server_lost": (503, "server_error"),
    "model_timeout": (504, "server_error"),
}


class TurnFailed(PaddockError):
    """A turn ended without an answer, and the route has none to give either. The code is the turn's reason."""

    @classmethod
    def of(cls, end: TurnEnded | None) -> "TurnFailed":
        """None: its events stopped before an end."""
        if end is None:
            return cls("the turn was interrupted", code="server_lost")
        return cls(end.message or f"the turn was {end.status.value}", code=end.reason)


def error_body(error: PaddockError, kind: str | None = None) -> dict[str, Any]:
    kind = kind or _status(error)[1]
    return {"error": {"message": error.message, "type": kind, "code": error.code, "param": error.param}}


def error_response(error: PaddockError) -> Response:
    status, kind = _status(error)
    headers = {"www-authenticate": "Bearer"} if status == 401 else {}
    if status == 413:
        headers["connection"] = "close"  # the rest of the body is not read
    if isinstance(error, ModelError) and error.retry_after is not None:
        headers["retry-after"] = str(max(1, round(error.retry_after)))
    return Response(dump(error_body(error, kind)), status, headers, "application/json")


def _status(error: PaddockError) -> tuple[int, str]:
    if isinstance(error, TurnFailed):
        return ENDED.get(error.code, (500, "server_error"))
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
