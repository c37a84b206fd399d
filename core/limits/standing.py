"""Where a caller stands with its limits. It knows no store and no wire."""

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """limit: a minute's. reset_seconds: until all of it is there again, when nothing more is used."""

    limit: int
    remaining: int

    @property
    def reset_seconds(self) -> float:
        return max(0, self.limit - self.remaining) * 60 / self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Of the subject that has the least left, with this request counted."""

    requests: Meter
    tokens: Meter


STANDING: ContextVar[Standing | None] = ContextVar("standing", default=None)
"""Of the request that is being answered: set by whatever counted it, so that no endpoint has to pass it on."""
