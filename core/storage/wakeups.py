"""Tells readers in other processes, through Redis, that a turn has something new. A hint only: whoever waits also polls."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress

import redis.asyncio
from redis.exceptions import RedisError

from core.errors import Unavailable

CHANNEL = "paddock:turns"
QUEUE = "queue"
"""In place of a turn's id: there is something to take, or room to take it."""
CANCELLATIONS = "cancellations"
"""In place of a turn's id: somebody asked for some turn to stop."""
POLL_SECONDS = 0.5
GATHER_SECONDS = 0.02
SEND_SECONDS = 2.0
"""After which a hint is worth nothing: whoever it is for has looked by himself."""
MOST_NEWS = 10_000
"""That wait for a Redis which does not answer."""
RECONNECT_SECONDS = 1.0
QUIET_SECONDS = 15.0
"""After which Redis is asked whether it is there; one that is quiet for as long again is away, whatever its connection says."""
log = logging.getLogger(__name__)


class Wakeups:
    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._client = client
        self._news: set[str] = set()
        self._published = asyncio.Event()
        self._waiting: dict[str, set[asyncio.Event]] = {}

    def publish(self, turn_ids: Sequence[str]) -> None:
        """Returns at once; a hint that finds no Redis, or too many before it, is dropped."""
        if turn_ids and len(self._news) < MOST_NEWS:
            self._news.update(turn_ids)
            self._published.set()

    async def wait(self, turn_id: str) -> None:
        """Return when there may be news of the turn: at a hint, or after POLL_SECONDS without one."""
        with self.heard(turn_id) as news:
            await news()

    @contextmanager
    def heard(self, turn_id: str) -> Iterator[Callable[[], Awaitable[None]]]:
        """Gives what waits as `wait` does, and returns at once where a hint has come since it returned last: for who reads in
        between, and would miss it.
        """
        event = asyncio.Event()
        waiting = self._waiting.setdefault(turn_id, set())
        waiting.add(event)

        async def news() -> None:
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await event.wait()
            event.clear()

        try:
            yield news
        finally:
            waiting.discard(event)
            if not waiting:
                self._waiting.pop(turn_id, None)

    async def ping(self) -> None:
        """Raises Unavailable."""
        try:
            await self._client.ping()
        except (RedisError, OSError) as exc:
            raise Unavailable(f"Redis does not answer: {type(exc).__name__}", code="redis_unavailable") from exc

    async def send(self) -> None:
        """Carry the news to Redis until cancelled; what comes up within GATHER_SECONDS goes together."""
        while True:
            await self._published.wait()
            self._published.clear()
            turn_ids, self._news = self._news, set()
            with suppress(RedisError, OSError):  # a timeout of ours too
                async with asyncio.timeout(SEND_SECONDS):
                    await self._client.publish(CHANNEL, " ".join(turn_ids))
            await asyncio.sleep(GATHER_SECONDS)

    async def listen(self) -> None:
        """Wake those who wait here until cancelled; says once when Redis goes and once when it is back."""
        away = False
        while True:
            try:
                async with self._client.pubsub() as subscription:
                    async with asyncio.timeout(QUIET_SECONDS):
                        await subscription.subscribe(CHANNEL)
                    if away:
                        log.warning("Redis is back: readers are woken again")
                    away = False
                    await self._hear(subscription)
            except (RedisError, OSError) as exc:
                if not away:
                    log.warning("Redis is away (%s): readers in other processes poll", type(exc).__name__)
                away = True
                await asyncio.sleep(RECONNECT_SECONDS)

    async def _hear(self, subscription: redis.asyncio.client.PubSub) -> None:
        """Raises what redis-py does, and TimeoutError."""
        asked = False
        while True:
            message = await subscription.get_message(timeout=QUIET_SECONDS)
            if message is None and asked:
                raise TimeoutError
            if message is None:
                await subscription.ping()
            elif message["type"] == "message":
                self._wake(message["data"].decode(errors="replace"))
            asked = message is None

    def _wake(self, turn_ids: str) -> None:
        for turn_id in turn_ids.split(" "):
            for event in self._waiting.get(turn_id, ()):
                event.set()


@asynccontextmanager
async def open_wakeups(url: str) -> AsyncGenerator[Wakeups, None]:
    """url: `redis://host:port/0` or `unix:///path`. Redis may be away, now or later."""
    client = redis.asyncio.from_url(url, socket_connect_timeout=2, health_check_interval=30)
    wakeups = Wakeups(client)
    tasks = [
        asyncio.create_task(wakeups.send(), name="wakeups.send"),
        asyncio.create_task(wakeups.listen(), name="wakeups.listen"),
    ]
    try:
        yield wakeups
    finally:
        # redis-py takes a cancellation that meets one of its timeouts for that timeout, so once may not be enough.
        pending = set(tasks)
        while pending:
            for task in pending:
                task.cancel()
            _, pending = await asyncio.wait(pending, timeout=0.2)
        await client.aclose()
