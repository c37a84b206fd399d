"""A running turn's events in this process, for any number of readers. Knows nothing of where else they are kept."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from core.events import Recorded, TurnEnded


class Feed:
    """Readers get every event with a number above theirs, in order, and end when the feed is closed."""

    def __init__(self) -> None:
        self._events: list[Recorded] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._closed = False
        self.readers = 0
        self.watchers = 0  # readers that want each event as it happens

    @property
    def ended(self) -> bool:
        return bool(self._events) and isinstance(self._events[-1].event, TurnEnded)

    @property
    def events(self) -> Sequence[Recorded]:
        return self._events

    def publish(self, events: Sequence[Recorded]) -> None:
        self._events += events
        self._tell()

    def close(self) -> None:
        self._closed = True
        self._tell()

    def _tell(self) -> None:
        waiting, self._waiting = self._waiting, []
        for reader in waiting:
            if not reader.done():
                reader.set_result(None)

    async def read(self, after: int, *, live: bool) -> AsyncGenerator[Recorded, None]:
        """live: be one of the watchers."""
        self.readers += 1
        self.watchers += live
        try:
            position = 0
            while True:
                while position < len(self._events):
                    recorded = self._events[position]
                    position += 1
                    if recorded.seq > after:
                        yield recorded
                    if isinstance(recorded.event, TurnEnded):
                        return
                if self._closed:
                    return
                news = asyncio.get_running_loop().create_future()
                self._waiting.append(news)
                await news
        finally:
            self.readers -= 1
            self.watchers -= live
