"""The one door into isolation: chooses the runtime, admits, holds the deadline, caps the output."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from itertools import count
from typing import Any

from sandbox import runtimes
from sandbox.capture import Capture
from sandbox.contract import Answer, Installing, Invocation, OnCall, OnOutput, Outcome, Runtime, refuse_calls
from sandbox.errors import GuestCrashed, LimitExceeded, ProgramRefused, RuntimeUnavailable, SandboxBusy, SandboxError
from sandbox.places import Places

INSTALL_SECONDS = 100.0
QUEUE_SECONDS = 100.0
"""Of a program that has not begun."""
WAITING_SECONDS = 60.0
"""For others, of a program that called tools. Both together are less than its client's patience."""
PLACE_SECONDS = 30.0
"""Of a program that calls a tool, for a place to wait for it in. It is the program's own time."""
MOST_ASKED = 1000
"""Calls of one program, refused ones too: each takes time of a process that all others need. Who answers may allow fewer."""


class Sandbox:
    """A `Runtime` made of runtimes. permits: programs that run at once. queue: how many more may wait for a permit."""

    def __init__(self, named: Mapping[str, Runtime], *, permits: int, queue: int) -> None:
        self._runtimes = named
        self._permits = Places(permits, queue)
        # Who calls a tool gives its permit back, but stays, also in line for a place: what others wait for may be a program
        # that needs a permit.
        self._calling = Places(2 * permits + 2, permits // 2)
        self._installing = asyncio.Semaphore()

    @property
    def runtimes(self) -> list[str]:
        return sorted(self._runtimes)

    async def run(self, invocation: Invocation, on_output: OnOutput, on_call: OnCall = refuse_calls) -> Outcome:
        runtime = self._runtime(invocation)
        limits = invocation.limits
        capture = Capture(limits.output_bytes, on_output)
        async with self._admitted(invocation.owner) as permit:
            started = time.monotonic()
            try:
                async with asyncio.timeout(limits.wall_seconds) as wall:
                    outcome = await runtime.run(invocation, capture.write, self._answering(invocation, on_call, permit, wall))
                    capture.check()
            except TimeoutError:
                raise LimitExceeded(
                    "wall_seconds", f"{limits.wall_seconds:g} s", stdout=capture.stdout, stderr=capture.stderr
                ) from None
            except SandboxError as exc:
                exc.stdout, exc.stderr = capture.stdout, capture.stderr
                raise
            return replace(
                outcome,
                stdout=capture.stdout,
                stderr=capture.stderr,
                result=capture.result,
                truncated=outcome.truncated or capture.truncated,
                wall_seconds=time.monotonic() - started,
            )

    async def install(self, runtime: str, sha256: str, file: int) -> None:
        """As `Installing.install`. One at a time: to compile takes a core for as long as a compiler is allowed to run."""
        installing = self._named(runtime)
        if not isinstance(installing, Installing):
            raise RuntimeUnavailable(f"runtime {runtime!r} takes no programs as files")
        async with self._installing:
            try:
                async with asyncio.timeout(INSTALL_SECONDS):
                    await installing.install(sha256, file)
            except TimeoutError:
                raise ProgramRefused(f"it cannot be compiled within {INSTALL_SECONDS:g} s") from None

    def _named(self, name: str) -> Runtime:
        runtime = self._runtimes.get(name)
        if runtime is None:
            raise RuntimeUnavailable(f"runtime {name!r} is not configured")
        return runtime

    def _runtime(self, invocation: Invocation) -> Runtime:
        runtime = self._named(invocation.runtime)
        if granted := [name for name in invocation.capabilities.granted if name != "tools"]:
            raise RuntimeUnavailable(f"runtime {invocation.runtime!r} cannot enforce capabilities: {', '.join(granted)}")
        return runtime

    def _answering(self, invocation: Invocation, on_call: OnCall, permit: "Permit", wall: asyncio.Timeout) -> OnCall:
        """Lets pass what is granted. What it calls may need the permit that it does not use meanwhile."""
        asked = count(1)

        async def call(name: str, arguments: str) -> Answer:
            if next(asked) > MOST_ASKED:
                raise GuestCrashed(f"stopped: the program asked for more than {MOST_ASKED} calls")
            if name not in invocation.capabilities.tools:
                return Answer(text=f"this code may not call a tool {name[:100]!r}", failed=True)
            permit.give_back()
            try:
                async with asyncio.timeout(PLACE_SECONDS):
                    await self._calling.take(invocation.owner)
            except (SandboxBusy, TimeoutError):
                await permit.take_again(wall)
                return Answer(text="too many programs wait for tools that they called", failed=True)
            try:
                answer = await on_call(name, arguments)
                await permit.take_again(wall)
                return answer
            finally:
                self._calling.give_back(invocation.owner)

        return call

    @asynccontextmanager
    async def _admitted(self, owner: str) -> "AsyncIterator[Permit]":
        try:
            async with asyncio.timeout(QUEUE_SECONDS):
                await self._permits.take(owner)
        except TimeoutError:
            raise SandboxBusy("every sandbox worker is taken, and none became free in time") from None
        permit = Permit(self._permits, owner)
        try:
            yield permit
        finally:
            permit.give_back()


class Permit:
    """One program's, to run; given back also while it only waits."""

    def __init__(self, permits: Places, owner: str) -> None:
        self._permits = permits
        self._owner = owner
        self._held = True
        self._patience = WAITING_SECONDS

    async def take_again(self, wall: asyncio.Timeout) -> None:
        """The wait for others is not the program's own time. Raises `SandboxBusy` where its waits are too long together."""
        now = asyncio.get_running_loop().time
        began, left = now(), (wall.when() or math.inf) - now()
        wall.reschedule(None)
        try:
            async with asyncio.timeout(self._patience):
                await self._permits.take_again(self._owner)
        except TimeoutError:
            raise SandboxBusy("every sandbox worker is taken, and the program waited long for one to go on in") from None
        self._held = True
        self._patience -= now() - began
        wall.reschedule(now() + left)

    def give_back(self) -> None:
        if self._held:
            self._held = False
            self._permits.give_back(self._owner)


@asynccontextmanager
async def open_sandbox(options: Mapping[str, Mapping[str, Any]], *, permits: int, queue: int) -> AsyncIterator[Sandbox]:
    """options: for each runtime to open, by name, what its `open_runtime` takes."""
    async with AsyncExitStack() as stack:
        opened = {
            name: await stack.enter_async_context(runtimes.load(name).open_runtime(values)) for name, values in options.items()
        }
        yield Sandbox(opened, permits=permits, queue=queue)
