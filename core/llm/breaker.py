"""A circuit breaker: stops asking a provider that keeps failing, and finds out with one request at a time when it is back."""

from collections.abc import Callable
from enum import StrEnum

from core.llm.contract import ModelUnavailable
from core.llm.declaration import Breaker as Limits


class State(StrEnum):
    CLOSED = "closed"  # requests go through
    OPEN = "open"  # the provider failed too often: no request goes through until the cooldown is over
    HALF_OPEN = "half-open"  # one request, the probe, finds out whether the provider is back; the others are refused meanwhile


class Breaker:
    """One provider's. `admit` before each request, then exactly one of `succeeded`, `failed` and `abandoned`.

    A probe that is `heard` has shown that the provider is back, and is from then on a request like any other.
    """

    def __init__(self, model: str, limits: Limits, *, clock: Callable[[], float]) -> None:
        self._model = model
        self._limits = limits
        self._clock = clock
        self._state = State.CLOSED
        self._failures: list[float] = []
        self._opened_at = 0.0
        self._probing = False

    @property
    def state(self) -> State:
        return self._state

    def admit(self) -> bool:
        """True for the probe, to be handed back with its verdict. Raises ModelUnavailable, which does not count."""
        if self._state is State.CLOSED:
            return False
        remaining = self._opened_at + self._limits.cooldown_seconds - self._clock()
        if self._state is State.OPEN and remaining > 0:
            raise self._refusal(f"is not asked for another {remaining:.0f} s: its provider failed too often", remaining)
        if self._probing:
            raise self._refusal("is being tried again after failures of its provider", 1.0)
        self._state = State.HALF_OPEN
        self._probing = True
        return True

    def heard(self) -> None:
        """The failures until now still count: one more, and the breaker is open again."""
        self._state = State.CLOSED
        self._probing = False

    def succeeded(self, probe: bool) -> None:
        if probe or self._state is State.CLOSED:  # what was asked before the breaker opened says nothing about now
            self._state = State.CLOSED
            self._failures.clear()
        self.abandoned(probe)

    def failed(self, probe: bool) -> None:
        now = self._clock()
        self._failures = [at for at in self._failures if now - at < self._limits.window_seconds] + [now]
        if probe or (self._state is State.CLOSED and len(self._failures) >= self._limits.failures):
            self._state = State.OPEN
            self._opened_at = now
        self.abandoned(probe)

    def abandoned(self, probe: bool) -> None:
        """No verdict: the next request is the probe."""
        if probe:
            self._probing = False

    def _refusal(self, why: str, retry_after: float) -> ModelUnavailable:
        return ModelUnavailable(f"model {self._model!r} {why}", retryable=True, counts=False, retry_after=retry_after)
