"""The processes that `paddock up` starts beside the gateway: stores, sandbox host, agents. It knows how each is waited for."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.config import Settings
from core.config_section import beside
from core.environment import passed_on
from core.errors import ConfigurationError, Unavailable
from core.fleet.client import AgentUnreachable, connect
from core.storage.embedded.places import numbered_socket_directory, socket_directory
from core.storage.embedded.postgres import EmbeddedPostgres, open_postgres
from core.storage.embedded.redis import open_redis
from core.supervisor import Child, Notify, Program, answer, kept_running, running
from sandbox.client import open_client
from sandbox.errors import SandboxError

DEMO_MODEL = Path(__file__).parents[1] / "deploy" / "demo-model" / "paddock-demo.gguf"
HOST_SECONDS = 60.0
LOAD_SECONDS = 1800.0  # a large model from a slow disk


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """postgres: ours, or None when the operator brought one. settings: models whose agent we started know its socket."""

    settings: Settings
    postgres: EmbeddedPostgres | None
    redis: str
    sandbox: Path


@asynccontextmanager
async def open_servers(settings: Settings, notify: Notify) -> AsyncIterator[Servers]:
    """What the settings leave to us, started at the same time, each waited for, stopped in reverse order."""
    stores = (open_database_server(settings, notify), _redis(settings, notify), _sandbox(settings, notify))
    agents = [_agent(settings, index, entry, notify) for index, entry in enumerate(settings.models)]
    async with _together(*stores, *agents) as (postgres, redis, sandbox, *models):
        known = settings.model_copy(update={"models": tuple(models)})
        yield Servers(settings=known, postgres=postgres, redis=redis, sandbox=sandbox)


@asynccontextmanager
async def open_database_server(settings: Settings, notify: Notify) -> AsyncIterator[EmbeddedPostgres | None]:
    if settings.database_url:
        yield None
        return
    async with open_postgres(settings.home, notify=notify) as postgres:
        yield postgres


@asynccontextmanager
async def _together(*contexts: AbstractAsyncContextManager[Any]) -> AsyncIterator[list[Any]]:
    """Entered at the same time; when one cannot be, the others are left again before its error goes on."""
    async with AsyncExitStack() as outer:
        stacks = [await outer.enter_async_context(AsyncExitStack()) for _ in contexts]
        entering = [
            asyncio.create_task(stack.enter_async_context(context)) for stack, context in zip(stacks, contexts, strict=True)
        ]
        try:
            done, _ = await asyncio.wait(entering, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        except BaseException:
            for task in entering:
                task.cancel()
            await asyncio.wait(entering)
            raise
        yield [task.result() for task in entering]


@asynccontextmanager
async def _redis(settings: Settings, notify: Notify) -> AsyncIterator[str]:
    if settings.redis_url:
        yield settings.redis_url.get_secret_value()
        return
    async with open_redis(settings.home, notify=notify) as url:
        yield url


@asynccontextmanager
async def _sandbox(settings: Settings, notify: Notify) -> AsyncIterator[Path]:
    """Nothing secret is in the host's environment."""
    if settings.sandbox_socket:
        yield settings.sandbox_socket
        return
    guest = await _build_guest(settings.home, notify)
    with socket_directory(settings.home, "sandbox", None, "sandbox.sock") as directory:
        socket = directory / "sandbox.sock"
        program = _python("sandbox", "sandbox.host", "--socket", str(socket), "--guest", str(guest), env=MINIMAL)
        async with kept_running(program, settings.home / "logs", lambda child: _host_answers(child, socket), notify):
            yield socket


async def _build_guest(home: Path, notify: Notify) -> Path:
    """In a process of its own, so that Ctrl-C ends it, and so that the compiler's memory is given back."""
    lines = [""]

    def tell(line: str) -> None:
        lines.append(line)
        if not line.startswith("/"):
            notify(line)

    program = _python("guest-build", "sandbox.guests.build", "--to", str(home / "guests"), env=MINIMAL)
    async with running(program, home / "logs", on_line=tell) as child:
        code = await child.wait()
        if code != 0:
            raise Unavailable(f"the sandbox's Python guest could not be built: {child.describe_end(code)}")
    return Path(lines[-1])


async def _host_answers(child: Child, socket: Path) -> None:
    async with open_client(socket) as client:
        await answer(child, client.check, refusals=(SandboxError,), within_seconds=HOST_SECONDS)


@asynccontextmanager
async def _agent(settings: Settings, index: int, entry: Mapping[str, Any], notify: Notify) -> AsyncIterator[Mapping[str, Any]]:
    """Gives the model's entry as a backend reads it. Only a local model's file needs an agent."""
    if entry["backend"] != "fleet" or not entry.get("file"):
        yield entry
        return
    file = model_file(settings, entry)
    name = f"agent-{index}"
    with numbered_socket_directory(settings.home, name, "agent.sock") as directory:
        socket = directory / "agent.sock"
        program = _agent_program(name, entry, file, socket)
        async with kept_running(program, settings.home / "logs", lambda child: _agent_answers(child, socket), notify):
            yield {**{key: value for key, value in entry.items() if key != "file"}, "socket": str(socket)}


def model_file(settings: Settings, entry: Mapping[str, Any]) -> Path:
    """Relative paths are the configuration file's neighbours. Raises `ConfigurationError` when it is not there."""
    file = DEMO_MODEL if entry["file"] == "demo" else beside(settings.config.parent, entry["file"])
    if not file.is_file():
        raise ConfigurationError(f"model {entry['name']!r}: there is no file {file}")
    return file


def _agent_program(name: str, entry: Mapping[str, Any], file: Path, socket: Path) -> Program:
    options = {"--context": entry.get("context_tokens"), "--gpu-layers": entry.get("gpu_layers")}
    given = [word for option, value in options.items() if value is not None for word in (option, str(value))]
    arguments = ("--socket", str(socket), "--model", str(file), "--name", str(entry["name"]))
    return _python(name, "core.fleet.agent", *arguments, *given, env=passed_on())


async def _agent_answers(child: Child, socket: Path) -> None:
    async def greet() -> None:
        async with connect(socket):
            pass

    await answer(child, greet, refusals=(AgentUnreachable,), within_seconds=LOAD_SECONDS)


MINIMAL = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}


def _python(name: str, module: str, *arguments: str, env: Mapping[str, str]) -> Program:
    return Program(name=name, argv=(sys.executable, "-P", "-m", module, *arguments), env=env)
