"""A Redis of the test's own, which it may stop, start again and empty."""

import asyncio
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError

from core.storage.embedded.redis import find_server


class OwnRedis:
    def __init__(self, home: Path) -> None:
        self.url = f"unix://{home / 'redis.sock'}"
        self._home = home
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        options = {"port": "0", "unixsocket": str(self._home / "redis.sock"), "save": "", "dir": str(self._home)}
        words = [word for key, value in options.items() for word in (f"--{key}", value)]
        self._process = await asyncio.create_subprocess_exec(
            str(await find_server()), *words, stdout=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(60), Redis.from_url(self.url) as client:
            while True:
                try:
                    await client.ping()
                except (RedisError, OSError):
                    await asyncio.sleep(0.02)
                else:
                    return

    async def stop(self) -> None:
        """All that it held is forgotten."""
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """It goes on with what it was sent when it is thawed."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def flush_scripts(self) -> None:
        async with Redis.from_url(self.url) as client:
            await client.script_flush()


@asynccontextmanager
async def own_redis() -> AsyncIterator[OwnRedis]:
    with tempfile.TemporaryDirectory(prefix="paddock-redis-") as home:
        server = OwnRedis(Path(home))
        await server.start()
        try:
            yield server
        finally:
            await server.stop()
