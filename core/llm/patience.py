"""A time limit for each of many short waits, at the price of one timer: `asyncio.timeout` costs more than most tokens do."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


class Patience:
    """One task's. The timer is not moved with every wait: when it rings, it looks how long the present one still has."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Task[object] | None = None
        self._ends_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = 0.0
        self._ran_out = False

    async def wait(self, awaitable: Awaitable[T], seconds: float) -> T:
        """Raises TimeoutError; what was waited for is cancelled then. Being cancelled from outside stays a cancellation."""
        task = asyncio.current_task()
        assert task is not None
        cancelling = task.cancelling()
        self._waiting = task
        self._ends_at = self._loop.time() + seconds
        if self._timer is None or self._ends_at < self._rings_at:
            self._wind()
        try:
            return await awaitable
        except asyncio.CancelledError as exc:
            if self._ran_out and task.uncancel() <= cancelling:
                raise TimeoutError from exc
            raise
        finally:
            self._waiting = None

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wind(self) -> None:
        self.close()
        self._rings_at = self._ends_at
        self._timer = self._loop.call_at(self._ends_at, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._waiting is None:
            return
        if self._loop.time() < self._ends_at:
            self._wind()
            return
        self._ran_out = True
        self._waiting.cancel()
