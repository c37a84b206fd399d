"""Everything that a crash can hit, as real processes: stores, sandbox host, replicas. Each can be killed, and comes back."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import randrange

import httpx
import redis.asyncio
import yaml

from core.errors import PaddockError
from core.identity.first_key import make_first_key
from core.storage.database import open_database
from core.storage.directory import Directory
from core.storage.embedded.cluster import LOGIN
from core.storage.embedded.postgres import EmbeddedPostgres, open_postgres
from core.storage.embedded.redis import open_redis
from core.storage.migrate import migrate
from core.supervisor import Program, running
from tests.crash.replicas import ROOT, Replica, open_nursery
from tests.crash.world import Shop, open_model, open_shop, tools
from tests.sandboxing import guest

CLOCKS = {"one": 0.0, "two": 300.0, "three": -300.0}
"""How far each replica's clock is ahead, in seconds: theirs differ, and nothing may depend on it."""
LEASE_SECONDS = 1
CONNECTIONS = 100
"""Enough for all replicas: one that finds no slot, since the others keep theirs, waits for as long as they live."""


def quiet(_line: str) -> None:
    """Progress that nobody watches."""


class Postgres:
    """As long as it is kept running it comes back after each death."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.server: EmbeddedPostgres | None = None
        self.started = asyncio.Event()

    def kill(self) -> None:
        if self.server is not None and not self.server.child.ended:
            os.kill(self.server.child.pid, signal.SIGKILL)

    async def keep_running(self) -> None:
        while True:
            try:
                async with open_postgres(self._home, connections=CONNECTIONS, notify=quiet) as self.server:
                    self.started.set()
                    await self.server.child.wait()
                    self.started.clear()
            except (PaddockError, OSError):  # the backends of the one before are still going
                await asyncio.sleep(0.1)


class SandboxHost:
    def __init__(self, home: Path) -> None:
        self.socket = home / "sandbox.sock"
        self._logs = home / "logs"
        self._pid = 0

    def kill(self) -> None:
        if self._pid:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)

    async def keep_running(self) -> None:
        kept = await asyncio.to_thread(guest)
        argv = (sys.executable, "-m", "sandbox.host", "--socket", str(self.socket), "--guest", str(kept))
        while True:
            async with running(Program(name="sandbox", argv=argv, cwd=ROOT), self._logs) as child:
                self._pid = child.pid
                await child.wait()
                self._pid = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """client: as the operator. owner_url: of the database, to look where no API shows anything."""

    replicas: tuple[Replica, ...]
    postgres: Postgres
    sandbox: SandboxHost
    redis_url: str
    owner_url: str
    shop: Shop
    client: httpx.AsyncClient

    def replica(self, name: str) -> Replica:
        return next(replica for replica in self.replicas if replica.name == name)

    async def kill(self, name: str) -> None:
        match name:
            case "postgres":
                self.postgres.kill()
            case "sandbox":
                self.sandbox.kill()
            case "redis":
                async with redis.asyncio.from_url(self.redis_url) as client:
                    with suppress(redis.RedisError):  # it is away already
                        os.kill((await client.info("server"))["process_id"], signal.SIGKILL)
            case "stop":
                self.replicas[0].kill(signal.SIGTERM)
            case replica:
                self.replica(replica).kill()

    async def ready(self) -> None:
        await asyncio.gather(*(replica.ready(self.client) for replica in self.replicas))


@asynccontextmanager
async def open_stand(home: Path) -> AsyncIterator[Stand]:
    """home: a directory with a short path, for what the processes keep."""
    async with AsyncExitStack() as stack:
        tasks = await stack.enter_async_context(_tasks())
        redis_url = await stack.enter_async_context(open_redis(home, notify=quiet))
        shop, shop_port = await stack.enter_async_context(open_shop())
        model = await stack.enter_async_context(open_model())
        postgres, sandbox = Postgres(home), SandboxHost(home)
        tasks += [asyncio.create_task(postgres.keep_running()), asyncio.create_task(sandbox.keep_running())]
        await postgres.started.wait()
        assert postgres.server is not None
        key = await _prepare(postgres.server, home, model)
        nursery = await stack.enter_async_context(open_nursery())
        replicas = tuple(
            Replica(
                name,
                nursery,
                _environment(name, home, postgres.server, redis_url, sandbox, port),
                home / "logs",
                clock_seconds=ahead,
            )
            for (name, ahead), port in zip(CLOCKS.items(), _free_ports(len(CLOCKS)), strict=True)
        )
        replica_tasks = await stack.enter_async_context(_tasks())
        replica_tasks += [asyncio.create_task(replica.keep_running()) for replica in replicas]
        client = await stack.enter_async_context(
            httpx.AsyncClient(headers={"authorization": f"Bearer {key}"}, timeout=httpx.Timeout(60, connect=5))
        )
        stand = Stand(
            replicas=replicas,
            postgres=postgres,
            sandbox=sandbox,
            redis_url=redis_url,
            owner_url=postgres.server.owner_url,
            shop=shop,
            client=client,
        )
        await stand.ready()
        for tool in tools(shop_port):
            made = await client.post(f"{replicas[0].url}/admin/v1/tools", json=tool)
            assert made.status_code == 200, made.text
        yield stand


@asynccontextmanager
async def _tasks() -> AsyncIterator[list["asyncio.Task[None]"]]:
    """Filled by whoever entered, cancelled at the end."""
    tasks: list[asyncio.Task[None]] = []
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome


async def _prepare(postgres: EmbeddedPostgres, home: Path, model: str) -> str:
    """The operator's key."""
    await migrate(postgres.owner_url, server_login=LOGIN)
    entry = {"name": "scripted", "backend": "openai", "api_base": model, "model": "scripted", "breaker": {"failures": 1000}}
    config = {"egress": {"allow_private": ["127.0.0.0/8"]}, "models": [entry]}
    (home / "paddock.yaml").write_text(yaml.safe_dump(config))
    async with open_database(postgres.server_url) as database:
        made = await make_first_key(Directory(database), None)
    assert made is not None
    return made.secret


def _environment(
    name: str, home: Path, postgres: EmbeddedPostgres, redis_url: str, sandbox: SandboxHost, port: int
) -> dict[str, str]:
    (home / name).mkdir(mode=0o700)
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PADDOCK_")}
    return {
        **kept,
        "PADDOCK_HOME": str(home / name),
        "PADDOCK_CONFIG": str(home / "paddock.yaml"),
        "PADDOCK_DATABASE_URL": postgres.server_url,
        "PADDOCK_REDIS_URL": redis_url,
        "PADDOCK_OBJECTS_URL": (home / "objects").as_uri(),
        "PADDOCK_SANDBOX_SOCKET": str(sandbox.socket),
        "PADDOCK_AUDIT_KEY_FILE": str(home / "audit.key"),
        "PADDOCK_LIMITS_LEASE_SECONDS": str(LEASE_SECONDS),
        "PADDOCK_PORT": str(port),
    }


def _free_ports(count: int) -> list[int]:
    """None twice, and none of those that the kernel gives to connections, which would have it when a replica comes back."""
    found: set[int] = set()
    while len(found) < count:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", randrange(20_000, 32_000)))
            found.add(int(probe.getsockname()[1]))
    return list(found)
