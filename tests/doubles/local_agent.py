"""Starts real agents for tests: `python -m core.fleet.agent` in a process of its own."""

import socket as sockets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType

ROOT = Path(__file__).parents[2]


@contextmanager
def running_agent(model: Path, *options: str) -> Iterator[Path]:
    """The socket of an agent that is ready; what it logs is beside it, in `log`. It is told to stop at the end."""
    with TemporaryDirectory(prefix="agent") as directory:
        socket = Path(directory) / "private" / "agent.sock"
        with (Path(directory) / "log").open("wb") as log, start_agent(socket, model, *options, stderr=log) as process:
            try:
                while not answers(socket):
                    assert process.poll() is None, (Path(directory) / "log").read_text()
                    time.sleep(0.02)
                yield socket
            finally:
                process.terminate()
            assert process.wait() == 0, (Path(directory) / "log").read_text()


class Agent(subprocess.Popen[bytes]):
    """Killed where its context ends with an error, which would otherwise wait for an end that nobody asked for."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        if kind is not None:
            self.kill()
        super().__exit__(kind, error, where)


def start_agent(socket: Path, model: Path, *options: str, stderr: object = subprocess.PIPE) -> Agent:
    command = [sys.executable, "-m", "core.fleet.agent", "--socket", str(socket), "--model", str(model), *options]
    return Agent(command, cwd=ROOT, stderr=stderr)  # type: ignore[call-overload]  # a file or PIPE


def answers(socket: Path) -> bool:
    with sockets.socket(sockets.AF_UNIX) as client:
        return client.connect_ex(str(socket)) == 0 and client.recv(1) == b"{"
