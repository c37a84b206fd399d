"""Durable turns of three steps against LangGraph and DBOS on the same PostgreSQL: one by one and 64 at once, interleaved."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from tests.benchmarks import machine
from tests.benchmarks.figures import Figure, percentile
from tests.benchmarks.peers import Missing, environment
from tests.benchmarks.stand import PASSED_ON, ROOT, Stand

HERE = Path(__file__).parent
BATCHES, TURNS = 4, 10
AT_ONCE, TURNS_AT_ONCE = 64, 192
IN_A_SANDBOX = "our tool in a sandbox, theirs in their own process"
COMMITS = {"on": "with fsync", "off": "synchronous_commit=off"}


class Side:
    """pid: of the process whose time, with its children's, the turns cost."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log
        self.pid = process.pid

    async def run(self, turns: int, at_once: int) -> Any:
        """Its answer: the seconds of each turn, and of all."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{turns} {at_once}\n".encode())
        return json.loads(await self._line())

    async def _line(self) -> bytes:
        assert self._process.stdout is not None
        if not (line := await self._process.stdout.readline()):
            said = self._log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
            raise Missing(f"it ended with exit code {await self._process.wait()}: {said[-1][:200]}")
        return line

    async def ready(self) -> None:
        while await self._line() != b"ready\n":
            pass


Sides = Mapping[str, Side]


@asynccontextmanager
async def _started(*argv: str, log: Path) -> AsyncIterator[Side]:
    passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    pipe = asyncio.subprocess.PIPE
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(*argv, cwd=ROOT, env=passed_on, stdin=pipe, stdout=pipe, stderr=errors)
    try:
        side = Side(process, log)
        await side.ready()
        yield side
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


async def measure(stand: Stand, *, rounds: int, seconds: float) -> Sequence[Figure]:
    notes: list[str] = []
    async with AsyncExitStack() as stack:
        home = stand.kept / "paddock"  # where the sandbox's guest is built once
        home.mkdir(mode=0o700, exist_ok=True)
        ours = (sys.executable, "-m", "tests.benchmarks.durable.with_paddock", str(home))
        urls = (stand.postgres.server_url, stand.postgres.owner_url)
        sides = {"Paddock": await stack.enter_async_context(_started(*ours, *urls, log=stand.folder / "paddock.log"))}
        for name in ("LangGraph", "DBOS"):
            try:
                sides[name] = await stack.enter_async_context(_peer(stand, name.lower()))
            except Missing as missing:
                notes.append(f"{name}: {missing}")
        figures: list[Figure] = []
        for commit in COMMITS:
            await _commits(stand, commit)
            times, note = 4 if commit == "on" else 8, "; ".join(notes)
            figures += await _one_by_one(sides, COMMITS[commit], rounds, times=times, note=note)
            figures += await _all_at_once(sides, COMMITS[commit], rounds, stand.postgres.child.pid, note=note)
        return figures


@asynccontextmanager
async def _peer(stand: Stand, name: str) -> AsyncIterator[Side]:
    """On a database of its own in the stand's PostgreSQL."""
    programs = await environment(stand, name)
    connection = await asyncpg.connect(stand.postgres.owner_url)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    scheme = {"langgraph": "postgresql://", "dbos": "postgresql+psycopg://"}[name]
    url = stand.postgres.owner_url.replace("postgresql://", scheme).replace("@/paddock?", f"@/{name}?")
    async with _started(str(programs / "python"), str(HERE / f"with_{name}.py"), url, log=stand.folder / f"{name}.log") as side:
        yield side


async def _commits(stand: Stand, synchronous: str) -> None:
    connection = await asyncpg.connect(stand.postgres.owner_url)
    await connection.execute(f"ALTER SYSTEM SET synchronous_commit = {synchronous}")
    await connection.execute("SELECT pg_reload_conf()")
    await connection.close()


async def _one_by_one(sides: Sides, how: str, rounds: int, *, times: float, note: str) -> Sequence[Figure]:
    took: dict[str, list[float]] = {name: [] for name in sides}
    for batch in range(1 + rounds * BATCHES):
        for name, side in sides.items():
            told = await side.run(TURNS, 1)
            if batch:  # the first warms
                took[name] += [1000 * seconds for seconds in told["turns"]]
    medians = {name: percentile(values, 50) for name, values in took.items()}
    best = _best(medians, less=True)
    return [
        Figure(
            what=f"durable turn of three steps, {how}: p50",
            unit="ms",
            ours=medians["Paddock"],
            peer=best,
            theirs=medians.get(best),
            times=times,
            note=note or IN_A_SANDBOX,
        )
    ]


async def _all_at_once(sides: Sides, how: str, rounds: int, postgres: int, *, note: str) -> Sequence[Figure]:
    rates: dict[str, list[float]] = {name: [] for name in sides}
    spent: dict[str, list[float]] = {name: [] for name in sides}
    for batch in range(1 + rounds):
        for name, side in sides.items():
            before = machine.cpu_seconds(side.pid, postgres)
            told = await side.run(TURNS_AT_ONCE, AT_ONCE)
            if batch:
                rates[name].append(TURNS_AT_ONCE / told["seconds"])
                spent[name].append((machine.cpu_seconds(side.pid, postgres) - before) / TURNS_AT_ONCE * 1000)
    rate = {name: percentile(values, 50) for name, values in rates.items()}
    processor = {name: percentile(values, 50) for name, values in spent.items()}
    most, least = _best(rate, less=False), _best(processor, less=True)
    return [
        Figure(
            what=f"durable turns, {AT_ONCE} at once, {how}",
            unit="1/s",
            ours=rate["Paddock"],
            peer=most,
            theirs=rate.get(most),
            more_is_better=True,
            times=8,
            note=note or IN_A_SANDBOX,
        ),
        Figure(
            what=f"durable turns, {AT_ONCE} at once, {how}: processor of each, database included",
            unit="ms",
            ours=processor["Paddock"],
            peer=least,
            theirs=processor.get(least),
            note=note or IN_A_SANDBOX,
        ),
    ]


def _best(values: Mapping[str, float], *, less: bool) -> str:
    """Of the peers; empty when there is none."""
    return min((name for name in values if name != "Paddock"), key=lambda name: values[name] * (1 if less else -1), default="")
