"""Starts real agents for tests: `python -m core.fleet.agent` in a process of its own."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from core.fleet.client import AgentUnreachable, connect

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def running_agent(model: Path, *options: str) -> AsyncIterator[Path]:
    """The socket of an agent that is ready; what it logged is beside the socket, in `log`."""
    with TemporaryDirectory(prefix="agent") as directory:
        socket = Path(directory) / "agent.sock"
        with (Path(directory) / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "core.fleet.agent", "--socket", socket, "--model", model, *options),
                cwd=ROOT,
                stderr=log,
            )
        try:
            await _ready(socket, process)
            yield socket
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


async def run_agent(*options: str | Path) -> tuple[int, str]:
    """For an agent that is not going to start: its exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "core.fleet.agent", *options),
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


async def _ready(socket: Path, process: asyncio.subprocess.Process) -> None:
    while process.returncode is None:
        with suppress(AgentUnreachable):
            async with connect(socket):
                return
        await asyncio.sleep(0.02)
    raise AssertionError(f"the agent ended with {process.returncode}: {(socket.parent / 'log').read_text()}")
