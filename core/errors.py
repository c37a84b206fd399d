"""Every error the platform raises on purpose. A code is stable: clients match on it."""


class PaddockError(Exception):
    """The message is safe to show to the caller: no secret, prompt or guest output is in it.

    param: the path of the request's field that is wrong, where there is one.
    """

    code = "internal_error"

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        if code is not None:
            self.code = code


class InvalidRequest(PaddockError):
    code = "invalid_request"


class Unauthenticated(PaddockError):
    code = "invalid_api_key"


class PermissionDenied(PaddockError):
    code = "permission_denied"


class NotFound(PaddockError):
    """Also for what belongs to another organisation: its existence is not told."""

    code = "not_found"


class NoLongerKept(PaddockError):
    """It was there, and its time is over."""

    code = "no_longer_kept"


class Conflict(PaddockError):
    code = "conflict"


class TooLarge(PaddockError):
    code = "request_too_large"


class RateLimited(PaddockError):
    """A limit is used up for now. retry_after: seconds until the same request may pass. used_up: `requests`, `tokens`, ..."""

    code = "rate_limit_exceeded"

    def __init__(self, message: str, *, retry_after: float, used_up: str = "requests", code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after
        self.used_up = used_up


class Unavailable(PaddockError):
    """Something we need is down; the same request may succeed later."""

    code = "unavailable"


class ConfigurationError(PaddockError):
    """The operator's mistake; the message names file, line and key."""

    code = "configuration_error"
