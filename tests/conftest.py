"""The real servers that tests run on: one PostgreSQL and one Redis for the whole run of a worker, in a temporary home."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from core.storage.embedded.postgres import EmbeddedPostgres, open_postgres
from core.storage.embedded.redis import open_redis

CONNECTIONS = 100  # two servers may take 50, and a test has some of its own


def pytest_unconfigure() -> None:
    """llama_cpp opens two files when it is imported, and leaves them to the interpreter's end, which would warn of them."""
    if "llama_cpp" in sys.modules:
        sys.modules["llama_cpp._utils"].outnull_file.close()
        sys.modules["llama_cpp._utils"].errnull_file.close()


def quiet(_message: str) -> None:
    """Progress that nobody watches."""


@pytest.fixture(scope="session")
def session_home() -> Iterator[Path]:
    """Short, so that the sockets are in it: pytest's own temporary paths are too long for a socket's address."""
    home = Path(tempfile.mkdtemp(prefix="paddock-tests-"))
    yield home
    shutil.rmtree(home)


@pytest.fixture(scope="session")
def background() -> Iterator[BlockingPortal]:
    """An event loop in a thread of its own, so that servers are looked after whatever loop a test has."""
    with start_blocking_portal() as portal:
        yield portal


@pytest.fixture(scope="session")
def postgres(session_home: Path, background: BlockingPortal) -> Iterator[EmbeddedPostgres]:
    context = open_postgres(session_home, durable=False, connections=CONNECTIONS, notify=quiet)
    with background.wrap_async_context_manager(context) as server:
        yield server


@pytest.fixture(scope="session")
def redis_url(session_home: Path, background: BlockingPortal) -> Iterator[str]:
    with background.wrap_async_context_manager(open_redis(session_home, notify=quiet)) as url:
        yield url
