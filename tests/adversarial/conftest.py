"""What tests against a sandbox host's socket share; the host itself is each module's own."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from sandbox import SandboxClient, open_client


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Short: a socket's path may have 107 characters."""
    made = Path(tempfile.mkdtemp(prefix="paddock-"))
    yield made
    shutil.rmtree(made)


@pytest_asyncio.fixture(loop_scope="module")
async def client(host: Path) -> AsyncIterator[SandboxClient]:
    async with open_client(host) as opened:
        yield opened
