"""How tests open sandboxes and say what to run in them."""

import asyncio
import fcntl
import inspect
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import cache
from hashlib import sha256
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sandbox import Invocation, Limits, PythonProgram, RuntimeUnavailable, Stream, open_client
from sandbox.guests import build
from sandbox.private import make_private

GUESTS = Path(__file__).parents[1] / "build" / "guests"  # kept between runs; made by `make`, or by the first test that needs it
_numbers = count()


@cache
def guest() -> Path:
    """The one that all tests run, made by this very builder: where another one made it, it is made anew."""
    builder = "".join(inspect.getsource(part) for part in (build, build.compile_component))
    made_by, name = GUESTS / "made-by", sha256(builder.encode()).hexdigest()
    make_private(GUESTS)
    with (GUESTS / "made-by.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said: list[str] = []
        artifact = build.ensure_guest(GUESTS, said.append)
        if not said and not (made_by.exists() and made_by.read_text() == name):
            with TemporaryDirectory(dir=GUESTS) as beside:  # others may be running the one that is there
                build.ensure_guest(Path(beside), said.append).replace(artifact)
        made_by.write_text(name)
    return artifact


# What the open_runtime of each file in sandbox/runtimes takes.
OPTIONS: Mapping[str, Callable[[], Mapping[str, Any]]] = {"wasmtime": lambda: {"guest": guest(), "workers": 4}}


def program(source: str, runtime: str = "wasmtime", **limits: float) -> Invocation:
    """Small limits unless others are said: no test has to wait for long."""
    return Invocation(
        id=f"test-{next(_numbers)}",
        runtime=runtime,
        program=PythonProgram(source=source),
        limits=Limits(**{"cpu_seconds": 5.0, "wall_seconds": 20.0, **limits}),  # type: ignore[arg-type]
    )


def nowhere(_stream: Stream, _data: bytes) -> None:
    """Output that nobody watches."""


@asynccontextmanager
async def host_process(folder: Path, *options: str) -> AsyncIterator[tuple[Path, asyncio.subprocess.Process]]:
    """A sandbox host as a user starts it; answers when this yields."""
    path = folder / "private" / "host.sock"
    command = [sys.executable, "-m", "sandbox.host", "--socket", str(path), "--guest", str(guest()), *options]
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    try:
        await answers(path)
        yield path, process
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def answers(path: Path) -> None:
    async with asyncio.timeout(60), open_client(path) as client:
        while True:
            try:
                return await client.check()
            except RuntimeUnavailable:
                await asyncio.sleep(0.02)
