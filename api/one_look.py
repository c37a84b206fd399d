"""One look at a time, however many ask: whoever comes while one goes on is told what it finds. Nothing is kept after it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class OneLook(Generic[T]):
    def __init__(self, look: Callable[[], Awaitable[T]]) -> None:
        self._look = look
        self._going_on: asyncio.Future[tuple[T] | None] | None = None

    async def found(self) -> T:
        """Whoever came first looks. Where that one is cancelled, or its look raises, another one of those that wait looks."""
        while (going_on := self._going_on) is not None:
            found = await asyncio.shield(going_on)  # else one who is cancelled takes it from all others
            if found is not None:
                return found[0]
        self._going_on = mine = asyncio.get_running_loop().create_future()
        found = None
        try:
            found = (await self._look(),)
            return found[0]
        finally:
            self._going_on = None
            mine.set_result(found)
