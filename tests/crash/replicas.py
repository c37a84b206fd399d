"""Replicas of the gateway, each started again as soon as it is dead, as an orchestrator does."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
LOOK_SECONDS = 0.01
START_SECONDS = 60.0


class Nursery:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._one_at_a_time = asyncio.Lock()

    async def fork(self, *, environment: Mapping[str, str], output: Path, death: str | None, clock_seconds: float) -> int:
        """The process id of a new replica."""
        told = {"environment": dict(environment), "output": str(output), "death": death, "clock_seconds": clock_seconds}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        async with self._one_at_a_time:
            self._process.stdin.write(json.dumps(told).encode() + b"\n")
            await self._process.stdin.drain()
            return int(await self._process.stdout.readline())


@asynccontextmanager
async def open_nursery() -> AsyncIterator[Nursery]:
    command = (sys.executable, "-m", "tests.crash.nursery")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=pipe, stdout=pipe)
    try:
        yield Nursery(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


class Replica:
    """clock_seconds: how far its clock is ahead."""

    def __init__(
        self, name: str, nursery: Nursery, environment: Mapping[str, str], logs: Path, *, clock_seconds: float
    ) -> None:
        self.name = name
        self.url = f"http://127.0.0.1:{environment['PADDOCK_PORT']}"
        self.deaths = 0
        self._nursery = nursery
        self._environment = environment
        self._clock_seconds = clock_seconds
        self._output = logs / f"{name}.log"
        self._pid = 0
        self._armed = False
        self._death: str | None = None

    @property
    def runs(self) -> bool:
        if self._pid:
            with suppress(ProcessLookupError):
                os.kill(self._pid, 0)
                return True
        return False

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self._pid:
            with suppress(ProcessLookupError):
                os.kill(self._pid, how)

    async def keep_running(self) -> None:
        """Until cancelled; then it is killed."""
        try:
            while True:
                death, self._death = self._death, None
                self._armed = death is not None
                self._pid = await self._nursery.fork(
                    environment=self._environment, output=self._output, death=death, clock_seconds=self._clock_seconds
                )
                while self.runs:
                    await asyncio.sleep(LOOK_SECONDS)
                self.deaths += 1
        finally:
            self.kill()

    async def ready(self, client: httpx.AsyncClient) -> None:
        async with asyncio.timeout(START_SECONDS):
            while True:
                with suppress(httpx.HTTPError):
                    if (await client.get(f"{self.url}/health/ready")).status_code == 200:
                        return
                await asyncio.sleep(LOOK_SECONDS)

    async def arm(self, death: str | None) -> None:
        """Let it begin anew, and die at that moment; None: unless it is to die at some moment, it may stay as it is."""
        if death is None and not self._armed:
            return
        self._death, before = death, self.deaths
        self.kill()
        while self.deaths == before:
            await asyncio.sleep(LOOK_SECONDS)
