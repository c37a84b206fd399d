"""Agents that servers start for their models: servers with one home keep apart, and a killed one's place is taken again."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from api.servers import open_servers
from core.config import Settings
from core.fleet.client import connect
from core.storage.embedded.places import numbered_socket_directory
from tests.conftest import quiet
from tests.doubles.tiny_gguf import write_random

HOLDER = """
import sys, time
from pathlib import Path
from core.storage.embedded.places import numbered_socket_directory
with numbered_socket_directory(Path(sys.argv[1]), "agent", "agent.sock") as directory:
    (directory / "agent.sock").touch()
    print(directory, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """Short: the sockets are in it."""
    with TemporaryDirectory(prefix="paddock-") as directory:
        yield Path(directory)


@pytest.fixture
def settings(home: Path) -> Settings:
    """Of a server whose stores and sandbox host are elsewhere, with a model on this machine."""
    write_random(home / "model.gguf")
    return Settings.model_validate(
        {
            "home": home,
            "config": home / "paddock.yaml",
            "database_url": "postgresql://elsewhere/paddock",
            "redis_url": "redis://elsewhere",
            "sandbox_socket": home / "sandbox.sock",
            "models": [{"name": "local", "backend": "fleet", "file": "model.gguf"}],
        }
    )


async def greeted(socket: Path) -> str:
    async with connect(socket) as connection:
        return connection.greeting.model


async def test_servers_with_one_home_have_agents_of_their_own_and_stopping_one_leaves_the_others(settings: Settings) -> None:
    async with AsyncExitStack() as first, AsyncExitStack() as second:
        sockets = []
        for stack in (first, second):
            servers = await stack.enter_async_context(open_servers(settings, quiet))
            sockets.append(Path(servers.settings.models[0]["socket"]))
        assert [await greeted(socket) for socket in sockets] == ["local", "local"]
        await first.aclose()
        assert await greeted(sockets[1]) == "local"
        assert not sockets[0].exists()


def test_the_directory_of_a_killed_server_is_the_next_ones_and_that_of_a_running_one_is_not(home: Path) -> None:
    def next_one() -> Path:
        with numbered_socket_directory(home, "agent", "agent.sock") as directory:
            assert list(directory.iterdir()) == []
            return directory

    with subprocess.Popen([sys.executable, "-c", HOLDER, str(home)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        taken = Path(holder.stdout.readline().strip())
        assert next_one() != taken
        assert [entry.name for entry in taken.iterdir()] == ["agent.sock"]
        holder.kill()
    assert next_one() == taken


def test_a_home_with_a_long_name_has_directories_elsewhere_and_leaves_none_behind(home: Path) -> None:
    long = home / ("x" * 120)
    with (
        numbered_socket_directory(long, "agent", "agent.sock") as one,
        numbered_socket_directory(long, "agent", "agent.sock") as other,
    ):
        assert one != other
        assert max(len(str(directory / "agent.sock")) for directory in (one, other)) <= 107
    assert not one.exists()
    assert not other.exists()
