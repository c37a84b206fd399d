"""What a turn took: the report that a client may ask for, and the headers that say the same."""

from typing import Any

from core.events import Replied, TurnEnded
from core.llm.declaration import Prices
from core.messages import Usage
from core.storage.records import Turn


class Report:
    """Counts as events come. model_seconds, tool_seconds: how long was waited for each, in all."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._usage = Usage()
        self._steps = 0
        self._tool_calls = 0
        self._acted = False
        self._over = False
        self._model_seconds = 0.0
        self._tool_seconds = 0.0

    def add_step(self, reply: Replied) -> None:
        self._steps += 1
        self._usage += reply.usage
        self._model_seconds += reply.seconds

    def add_end(self, end: TurnEnded) -> None:
        """It counts calls of the model as well that came to no reply."""
        self._usage = end.usage
        self._over = True

    def add_dispatch(self) -> None:
        self._acted = True

    def add_tool(self, seconds: float) -> None:
        self._tool_calls += 1
        self._tool_seconds += seconds

    @property
    def left_nothing(self) -> bool:
        """It is over, nothing is kept of it and no tool of ours was called: whoever asks again has nothing done twice."""
        return self._over and not self._acted and not self._turn.stored

    def body(self) -> dict[str, Any]:
        assistant = self._turn.echo.get("assistant")
        return {
            "turn_id": self._turn.id,
            "request_id": self._turn.echo.get("request_id"),
            "trace_id": self._turn.echo.get("trace_id"),
            "steps": self._steps,
            "tool_calls": self._tool_calls,
            "input_tokens": self._usage.input,
            "output_tokens": self._usage.output,
            "cost_estimate": self._cost(),
            "model_seconds": round(self._model_seconds, 6),
            "tool_seconds": round(self._tool_seconds, 6),
            **({"assistant": assistant, "model": self._turn.model} if assistant else {}),
        }

    def _cost(self) -> float:
        """By the model's prices when the turn began."""
        prices = self._turn.echo.get("prices")
        return Prices(**prices).cost(self._usage) if prices else 0.0

    def headers(self) -> dict[str, str]:
        assistant = self._turn.echo.get("assistant")
        return {
            **({"x-paddock-assistant": f"{assistant['name']}; version={assistant['version']}"} if assistant else {}),
            "x-paddock-turn-id": self._turn.id,
            "x-paddock-input-tokens": str(self._usage.input),
            "x-paddock-output-tokens": str(self._usage.output),
            "x-paddock-seconds": f"{self._model_seconds + self._tool_seconds:.3f}",
            "x-paddock-tool-calls": str(self._tool_calls),
            "x-paddock-cost-estimate": f"{self._cost():.8f}",
        }
