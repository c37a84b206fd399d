"""What a provider's HTTP failure means to us. Knows statuses and common wordings; knows no transport."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite

from core.llm.contract import ContextExceeded, ModelBusy, ModelError, ModelRefused, ModelUnavailable

MAX_DETAIL = 500
QUOTA = "insufficient_quota"
"""A 429 by which nobody is asked to wait: it takes money."""
LONGEST_WAIT_SECONDS = 366 * 86_400.0
"""A provider may ask for more, in error or in malice; what is passed on is a number that a client can read."""

_CONTEXT = re.compile(
    r"context.?(length|window|size)|maximum context|too many (input )?tokens|(prompt|input) is too long"
    r"|exceeds? the (available )?context",
    re.IGNORECASE,
)


def provider_error(
    model: str, status: int, detail: str = "", *, code: str = "", retry_after: float | None = None
) -> ModelError:
    """detail: the provider's own words, without secrets. They are shown to the caller, capped; for 401 and 403 they are not."""
    detail = " ".join(detail.split())[:MAX_DETAIL]
    said = f"the provider of model {model!r} answered {status}" + (f": {detail}" if detail else "")
    if status in (401, 403):
        advice = f"the provider of model {model!r} refused our credentials ({status}); the operator should check its `api_key`"
        return ModelUnavailable(advice, retryable=False, counts=False)
    if status == 402 or code == QUOTA:
        return ModelUnavailable(said, retryable=False, counts=False)
    if status == 429:
        return ModelBusy(said, retry_after=retry_after)
    if status in (408, 409, 425) or status >= 500:
        return ModelUnavailable(said, retryable=True, retry_after=retry_after)
    if status >= 400:
        too_long = code == "context_length_exceeded" or _CONTEXT.search(detail)
        return ContextExceeded(said) if too_long else ModelRefused(said)
    return ModelUnavailable(f"{said}; the operator should check its `api_base`", retryable=False)


def malformed(model: str, what: str) -> ModelError:
    return ModelUnavailable(f"the provider of model {model!r} sent {what}", retryable=True)


def retry_after_seconds(value: str | None) -> float | None:
    """A Retry-After header: seconds, or a date (RFC 9110, 10.2.3). None for nonsense."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
        except (ValueError, OverflowError):
            return None
        seconds = (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(max(0.0, seconds), LONGEST_WAIT_SECONDS) if isfinite(seconds) else None
