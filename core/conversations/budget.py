"""What one turn may spend, and the signs of a model that runs in circles. Pure but for the clock that it is given."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.llm.contract import Sampling, ToolChoice, ToolMode
from core.messages import ToolCall, Usage

SAME_CALL_TIMES = 3
ALTERNATING_TIMES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnLimits:
    """steps: replies that ask for tools. seconds: of the whole turn. pauses: in seconds, before each next try of a turn in the
    background.
    """

    steps: int = 10
    seconds: float = 600.0
    pauses: Sequence[float] = (5.0, 30.0)


class Budget:
    """One turn's. max_output_tokens counts over all its replies; max_tool_calls over the calls of tools that are ours."""

    def __init__(self, limits: TurnLimits, sampling: Sampling, *, max_tool_calls: int | None = None) -> None:
        self._limits = limits
        self._sampling = sampling
        self._max_tool_calls = max_tool_calls
        self._calls: list[tuple[str, str]] = []
        self._tool_calls = 0
        self._tool_steps = 0
        self._replied = Usage()
        self._lost = Usage()
        self.untold: Usage | None = None  # what the last call of the model took, where no reply has told it

    @property
    def usage(self) -> Usage:
        """Of all calls of the model, those among them that came to no whole reply."""
        return self._replied + self._lost + (self.untold or Usage())

    def called(self, usage: Usage) -> None:
        """A call of the model is over, whether `spend` is told of its reply or nobody hears of one."""
        self.untold = usage

    def spend(self, usage: Usage) -> None:
        """For a whole reply."""
        self._replied += usage
        self.untold = None

    def lose(self, usage: Usage) -> None:
        """For an earlier call that came to none: it takes nothing of what the client allows its answer."""
        self._lost += usage

    @property
    def seconds(self) -> float:
        """How long the whole turn may take."""
        return self._limits.seconds

    @property
    def pauses(self) -> Sequence[float]:
        """Before each next try, where there may be one."""
        return self._limits.pauses

    @property
    def exhausted(self) -> bool:
        """No output token is left for another reply."""
        allowed = self._sampling.max_output_tokens
        return allowed is not None and self._replied.output >= allowed

    def sampling(self) -> Sampling:
        """For the next reply: with the output tokens that are left."""
        allowed = self._sampling.max_output_tokens
        return self._sampling if allowed is None else replace(self._sampling, max_output_tokens=allowed - self._replied.output)

    def tool_choice(self, asked: ToolChoice) -> ToolChoice:
        """A choice that was forced holds for the first reply; when no step is left, the model is to answer."""
        if self._tool_steps >= self._limits.steps or not self.calls_left:
            return ToolChoice(mode=ToolMode.NONE)
        return asked if self._tool_steps == 0 or asked.mode is ToolMode.NONE else ToolChoice()

    @property
    def steps_left(self) -> bool:
        return self._tool_steps < self._limits.steps

    @property
    def calls_left(self) -> bool:
        return self._max_tool_calls is None or self._tool_calls < self._max_tool_calls

    def take_call(self) -> bool:
        """Count one call of a tool of ours; False when none is left."""
        if not self.calls_left:
            return False
        self._tool_calls += 1
        return True

    def take_step(self, calls: Sequence[ToolCall]) -> bool:
        """Count a reply that asks for tools; False when it is one of a loop (requirement A7)."""
        self._tool_steps += 1
        self._calls += [(call.name, _canonical(call.arguments)) for call in calls]
        return not (_repeats(self._calls, 1, SAME_CALL_TIMES) or _repeats(self._calls, 2, ALTERNATING_TIMES))


def _canonical(arguments: str) -> str:
    """Blanks and the order of names make no other call of it."""
    try:
        return json.dumps(json.loads(arguments), sort_keys=True)
    except (ValueError, RecursionError):
        return arguments


def _repeats(calls: Sequence[tuple[str, str]], period: int, times: int) -> bool:
    """The last `period` calls came `times` times in a row."""
    tail = calls[-period * times :]
    return len(tail) == period * times and all(call == tail[n % period] for n, call in enumerate(tail))
