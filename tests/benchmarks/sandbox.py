"""A fresh `print(6*7)`: through the sandbox host, through `python -c`, and through pyeryx where a Python 3.12 is at hand.

    python -m tests.benchmarks.sandbox

The three take turns, so that whatever else the machine does falls on all of them. pyeryx runs back to back in one process
without a second wall and without a protocol; `python -c` isolates nothing.
"""

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from sandbox import SandboxClient, open_client
from tests.sandboxing import host_process, nowhere, program

ROUNDS, RUNS = 20, 15
SOURCE = "print(6*7)"
ERYX = Path(__file__).parents[2] / ".bench" / "pyeryx"
ERYX_LOOP = """
import sys, time, json, eryx
for line in sys.stdin:
    times = []
    for _ in range(int(line)):
        started = time.perf_counter()
        assert eryx.Sandbox().execute("print(6*7)").stdout == b"42\\n"
        times.append(time.perf_counter() - started)
    print(json.dumps(times), flush=True)
"""

Measure = Callable[[int], Awaitable[list[float]]]  # seconds of each of so many runs


def main() -> dict[str, float]:
    """Milliseconds and runs per second, by name."""
    figures = asyncio.run(_measured())
    for name, value in figures.items():
        sys.stdout.write(f"{name:<44} {value:10.2f}\n")
    return figures


async def _measured() -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="paddock-") as folder:
        async with host_process(Path(folder)) as (path, _), open_client(path) as client, _eryx() as eryx:
            peers: dict[str, Measure] = {"paddock": lambda n: _paddock(client, n), "python -c": _subprocess}
            if eryx is not None:
                peers["pyeryx"] = eryx
            times = await _in_turns(peers)
            figures = _latencies(times)
            for clients in (1, 2):
                figures[f"paddock, {clients} at once: runs/s"] = await _rate(client, clients)
            return figures


async def _in_turns(peers: dict[str, Measure]) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in peers}
    for measure in peers.values():
        await measure(5)
    for _ in range(ROUNDS):
        for name, measure in peers.items():
            times[name] += await measure(RUNS)
    return times


def _latencies(times: dict[str, list[float]]) -> dict[str, float]:
    figures = {}
    for name, seconds in times.items():
        ordered = sorted(seconds)
        for share in (50, 99):
            figures[f"{name}: p{share} ms"] = ordered[len(ordered) * share // 100] * 1000
    for name in times:
        if name != "paddock":
            figures[f"paddock / {name}, p50"] = figures["paddock: p50 ms"] / figures[f"{name}: p50 ms"]
    return figures


async def _paddock(client: SandboxClient, runs: int) -> list[float]:
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        outcome = await client.run(program(SOURCE), nowhere)
        times.append(time.perf_counter() - started)
        assert outcome.stdout == b"42\n"
    return times


async def _subprocess(runs: int) -> list[float]:
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        process = await asyncio.create_subprocess_exec(sys.executable, "-I", "-c", SOURCE, stdout=asyncio.subprocess.PIPE)
        stdout, _ = await process.communicate()
        times.append(time.perf_counter() - started)
        assert stdout == b"42\n"
    return times


async def _rate(client: SandboxClient, clients: int) -> float:
    runs = 200
    started = time.perf_counter()
    await asyncio.gather(*(_paddock(client, runs) for _ in range(clients)))
    return clients * runs / (time.perf_counter() - started)


@asynccontextmanager
async def _eryx() -> AsyncIterator[Measure | None]:
    """In an environment of its own, installed once; None without a Python 3.12."""
    python = await asyncio.to_thread(_eryx_python)
    if python is None:
        yield None
        return
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(python, "-c", ERYX_LOOP, stdin=pipe, stdout=pipe)
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    async def measure(runs: int) -> list[float]:
        stdin.write(b"%d\n" % runs)
        times: list[float] = json.loads(await stdout.readline())
        return times

    try:
        yield measure
    finally:
        stdin.close()
        await process.wait()


def _eryx_python() -> Path | None:
    python = ERYX / "bin" / "python"
    if not python.exists():
        base = next(filter(_is_python_312, _candidates()), None)
        if base is None:
            return None
        sys.stderr.write("installing pyeryx for comparison ...\n")
        subprocess.run([base, "-m", "venv", ERYX], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "pyeryx==0.11.0"], check=True, stderr=subprocess.DEVNULL)
    return python


def _candidates() -> list[str]:
    found = shutil.which("python3.12")
    return [*([found] if found else []), *map(str, Path.home().glob(".pyenv/versions/3.12*/bin/python"))]


def _is_python_312(path: str) -> bool:
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    return done.returncode == 0 and done.stdout.startswith("Python 3.12")


if __name__ == "__main__":
    main()
