"""What every comparison stands on: one PostgreSQL, one scripted model behind HTTP, Paddock as a user starts it, and peers."""

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.storage.embedded.postgres import EmbeddedPostgres, open_postgres
from core.supervisor import Child, Program, answer, running
from tests.benchmarks import machine

ROOT = Path(__file__).parents[2]
START_SECONDS = 180.0  # LiteLLM's imports alone may take ten on a busy machine
PADDOCK = (sys.executable, "-c", "from api.cli import main; main()")  # this checkout's, whatever is installed
PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR")


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """pids: whose processor time is what its requests cost; `program` serves them, its children and its database help."""

    name: str
    address: str
    key: str
    program: Child
    pids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """cores: for what is measured. model: the address of the scripted provider, on the other cores with the clients."""

    folder: Path
    kept: Path
    postgres: EmbeddedPostgres
    model: str
    cores: set[int]

    @asynccontextmanager
    async def paddock(self, *models: Mapping[str, Any]) -> AsyncIterator[Served]:
        """`paddock up`, with sandbox, Redis and everything on; only its PostgreSQL is the stand's, for peers to share."""
        home, port = self.kept / "paddock", free_port()
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        config = self.folder / "paddock.yaml"
        config.write_text(json.dumps({"models": models or [self.provider()]}))
        variables = {
            "PADDOCK_HOME": str(home),
            "PADDOCK_CONFIG": str(config),
            "PADDOCK_PORT": str(port),
            "PADDOCK_DATABASE_URL": self.postgres.server_url,
            "PADDOCK_DATABASE_OWNER_URL": self.postgres.owner_url,
        }
        argv = (*PADDOCK, "up")
        async with self.serving("paddock", argv, variables, port) as child:
            key = (home / "admin.key").read_text().strip()
            yield Served(
                name="Paddock",
                address=f"http://127.0.0.1:{port}",
                key=key,
                program=child,
                pids=(child.pid, self.postgres.child.pid),
            )

    def provider(self) -> Mapping[str, Any]:
        return {"name": "scripted", "backend": "openai", "model": "scripted", "api_base": self.model, "api_key": "none"}

    @asynccontextmanager
    async def serving(
        self, name: str, argv: Sequence[str], variables: Mapping[str, str], port: int, path: str = "/health/live"
    ) -> AsyncIterator[Child]:
        """A server that answers, on the cores for what is measured."""
        passed_on = {variable: os.environ[variable] for variable in PASSED_ON if variable in os.environ}
        program = Program(name=name, argv=tuple(argv), env={**passed_on, **variables}, cwd=ROOT)
        async with running(program, self.folder / "logs") as child:
            await answer(child, lambda: _get(port, path), refusals=(OSError,), within_seconds=START_SECONDS)
            machine.pin(machine.tree(child.pid), self.cores)
            yield child


@asynccontextmanager
async def open_stand(folder: Path, kept: Path, *, pinned: bool) -> AsyncIterator[Stand]:
    """folder: for this run alone; its path must be short. kept: for what takes long to build.

    pinned: what is measured has one core, so that requests per core mean something; else all run where they like.
    """
    cores, others = machine.two_sides() if pinned else (os.sched_getaffinity(0),) * 2
    async with AsyncExitStack() as stack:
        stack.callback(os.sched_setaffinity, 0, os.sched_getaffinity(0))
        os.sched_setaffinity(0, others)
        postgres = await stack.enter_async_context(open_postgres(folder, notify=lambda line: None))
        machine.pin(machine.tree(postgres.child.pid), cores)
        script, port = folder / "script.json", free_port()
        script.write_text(json.dumps({"rules": RULES}))
        argv = (*PADDOCK, "scripted", str(script), "--port", str(port))
        program = Program(name="model", argv=argv, env={"PATH": os.environ["PATH"]}, cwd=ROOT)
        child = await stack.enter_async_context(running(program, folder / "logs"))
        await answer(child, lambda: _get(port, "/v1/models"), refusals=(OSError,), within_seconds=START_SECONDS)
        yield Stand(folder=folder, kept=kept, postgres=postgres, model=f"http://127.0.0.1:{port}/v1", cores=cores)


def streams(pieces: int, pace_seconds: float) -> str:
    """What to say to the model so that it answers in so many pieces."""
    return f"stream {pieces} pieces, one each {pace_seconds} s"


def piece(number: int) -> str:
    """Each its own: LiteLLM takes a model that repeats itself for broken."""
    return f"{number:015d} "


def _streaming_rule(pieces: int, pace_seconds: float) -> Mapping[str, Any]:
    return {
        "when": {"contains": streams(pieces, pace_seconds)},
        "reply": "".join(map(piece, range(pieces))),
        "piece_characters": len(piece(0)),
        "pace_seconds": pace_seconds,
    }


def _tool_rule(tool: str) -> Mapping[str, Any]:
    call = {"name": tool, "arguments": {"code": "print(6*7)"}}
    return {"when": {"contains": f"compute with {tool}"}, "reply": {"tool_calls": [call]}}


STREAMS = ((1, 0.005), (201, 0.005), (1, 0.05), (101, 0.05))
HELLO = "Hello, how are you?"
REPLY = "I am a script, so I am always as well as I was written. And you, how are you today?"
RULES = (
    {"when": {"after_tool": True}, "reply": "It is {last_tool_result}"},
    _tool_rule("code_interpreter"),
    _tool_rule("run_python"),
    *(_streaming_rule(pieces, pace) for pieces, pace in STREAMS),
    {"reply": REPLY},
)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


async def _get(port: int, path: str) -> None:
    """Raises OSError while nothing answers there with 200."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        if b" 200 " not in await reader.readline():
            raise ConnectionRefusedError(path)
    finally:
        writer.close()
