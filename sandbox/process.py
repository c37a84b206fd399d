"""The host's ends of a nursery and of its workers: starting, talking, killing. Knows no program and no engine."""

import asyncio
import os
import signal
import socket
import time
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from sandbox import protocol
from sandbox.errors import LimitExceeded, RuntimeUnavailable
from sandbox.lifecycle import Lifecycle, WorkerState
from sandbox.nursery import MESSAGE, PID, Errand
from sandbox.protocol import Kind
from sandbox.walls import Wall

SHORTEST_CHECK_SECONDS = 0.002
START_SECONDS = 30.0


class Worker:
    def __init__(self, pid: int, pidfd: int, streams: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        self.lifecycle = Lifecycle()
        self.broke_limit: LimitExceeded | None = None
        self.programs = 0
        self._pid = pid
        self._pidfd = pidfd
        self._reader, self._writer = streams
        self._timer: asyncio.TimerHandle | None = None
        self._cpu = self._cpu_before = 0.0
        self._gone = asyncio.Event()

    def watch(self, on_exit: Callable[["Worker"], None]) -> None:
        asyncio.get_running_loop().add_reader(self._pidfd, self._exited, on_exit)

    def _exited(self, on_exit: Callable[["Worker"], None]) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        if (
            self.lifecycle.state is WorkerState.IDLE
        ):  # of any other state somebody still reads the last output, then calls `end`
            self._writer.close()
        self.lifecycle.move(WorkerState.GONE)
        self._gone.set()
        on_exit(self)

    async def ready(self) -> list[Wall]:
        """Returns the walls that it found, when it is behind them. Raises `RuntimeUnavailable` when it does not get there."""
        try:
            async with asyncio.timeout(START_SECONDS):
                match await self.hear():
                    case Kind.HELLO, payload if self.lifecycle.state is WorkerState.STARTING:  # it may say so and end
                        return [Wall(**wall) for wall in protocol.parse_hello(payload)["walls"]]
        except (TimeoutError, protocol.ProtocolError) as exc:
            raise RuntimeUnavailable("a sandbox worker does not become ready") from exc
        raise RuntimeUnavailable("a sandbox worker ended before it was ready")

    def start(self, cpu_seconds: float) -> None:
        """A program begins, which may take so much of the CPU."""
        self.lifecycle.move(WorkerState.RUNNING)
        self.programs += 1
        self._cpu_before = self._cpu_seconds()
        self._check_cpu(cpu_seconds)

    def finish(self) -> float:
        """Returns the seconds of CPU that the program took."""
        if self._timer is not None:
            self._timer.cancel()
        return self._cpu_seconds() - self._cpu_before

    def _check_cpu(self, allowed: float) -> None:
        left = allowed - (self._cpu_seconds() - self._cpu_before)
        if left > 0:
            delay = max(left, SHORTEST_CHECK_SECONDS)
            self._timer = asyncio.get_running_loop().call_later(delay, self._check_cpu, allowed)
        else:
            self.broke_limit = LimitExceeded("cpu_seconds", f"{allowed:g} s")
            self.kill()

    def _cpu_seconds(self) -> float:
        """Of the whole process since its fork; Linux makes a process's CPU clock id of its pid (clock_getcpuclockid(3))."""
        with suppress(OSError):  # it may be gone already
            self._cpu = time.clock_gettime((~self._pid << 3) | 2)
        return self._cpu

    def send(self, frame: bytes) -> None:
        self._writer.write(frame)

    async def tell(self, frame: bytes) -> None:
        """Returns when it has heard most of it: one that says more and more and hears nothing must not fill our memory."""
        self.send(frame)
        with suppress(ConnectionError):  # what it said before it went away is still to be heard
            await self._writer.drain()

    async def hear(self) -> tuple[Kind, bytes] | None:
        return await protocol.read_frame(self._reader)

    def kill(self) -> None:
        if self.lifecycle.state not in (WorkerState.KILLED, WorkerState.GONE):
            self.lifecycle.move(WorkerState.KILLED)
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    async def end(self) -> None:
        """Returns when the kernel says that the process is gone."""
        if self._timer is not None:
            self._timer.cancel()
        self.kill()
        await asyncio.shield(self._gone.wait())
        self._writer.close()


class NurseryEnded(Exception):
    """Its workers end with it; another one is needed."""


class Nursery:
    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._turn = asyncio.Lock()  # one question at a time, each with its answer

    async def started(self) -> None:
        await self._readable()
        if not self._control.recv(1):
            raise NurseryEnded("the engine did not load")

    async def fork(
        self, on_exit: Callable[[Worker], None], errand: Errand = Errand.PYTHON, files: Sequence[int] = (), data_bytes: int = 0
    ) -> Worker:
        """files: one descriptor, where the errand has a file; it stays the caller's. data_bytes: see `MESSAGE`.

        Raises `NurseryEnded`, and `RuntimeUnavailable` where the machine has no room for another process. Cancelled, it still
        hears the answer, which nobody else could use, and ends the worker.
        """
        async with self._turn:
            forking = asyncio.ensure_future(self._forked(on_exit, MESSAGE.pack(errand.value, data_bytes), files))
            try:
                return await asyncio.shield(forking)
            except asyncio.CancelledError:
                with suppress(NurseryEnded, RuntimeUnavailable, OSError):
                    async with asyncio.timeout(START_SECONDS):
                        await (await forking).end()
                raise

    async def _forked(self, on_exit: Callable[[Worker], None], message: bytes, files: Sequence[int]) -> Worker:
        try:
            ours, theirs = socket.socketpair()
        except OSError as exc:
            raise RuntimeUnavailable(f"no sandbox worker could be started: {exc.strerror}") from exc
        try:
            with theirs:
                socket.send_fds(self._control, [message], [theirs.fileno(), *files])
            await self._readable()
            answer, descriptors, _flags, _address = socket.recv_fds(self._control, PID.size, 1)
            if not answer:
                raise NurseryEnded("the process that forks them ended")
            if not descriptors:
                raise RuntimeUnavailable("no sandbox worker could be forked; the log of the sandbox host says why")
            streams = await asyncio.open_unix_connection(sock=ours)
        except BaseException:
            ours.close()
            raise
        worker = Worker(PID.unpack(answer)[0], descriptors[0], streams)
        worker.watch(on_exit)
        return worker

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_reader(self._control, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._control)


@asynccontextmanager
async def open_nursery(command: Sequence[str]) -> AsyncIterator[Nursery]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=theirs.fileno(), stdout=DEVNULL, env={}, cwd="/", start_new_session=True
            )
        try:
            nursery = Nursery(ours)
            await nursery.started()
            yield nursery
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await asyncio.shield(process.wait())
