"""Child processes: started on a leash, logged within bounds, restarted where that helps, stopped in reverse order.

It knows no program: what to run comes in as a `Program`.
"""

import asyncio
import contextlib
import io
import logging
import os
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from core import leash
from core.accounts import Account
from core.errors import PaddockError, Unavailable
from core.unusable import unusable

LOG_BYTES = 5 * 2**20
LAST_LINES = 20
LAST_LINE_CHARACTERS = 500
FIRST_DELAY_SECONDS = 0.2
LONGEST_DELAY_SECONDS = 15.0
STEADY_SECONDS = 30.0
POLL_SECONDS = 0.02

log = logging.getLogger(__name__)

T = TypeVar("T")
Notify = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """argv[0] is a path. The environment is exactly `env`; no file but stdin (null), stdout and stderr is open.

    env: None passes on ours, secrets and all: for our own code alone.
    stop_signal: asks for a clean end; after `stop_seconds` it is killed. death_signal: what it gets when we die ourselves.
    account, capability: whom it runs as instead of root, and what it keeps (see `core.accounts`).
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] | None = field(default_factory=dict)
    cwd: Path = Path("/")
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0
    death_signal: signal.Signals = signal.SIGKILL
    account: Account | None = None
    capability: int | None = None

    @property
    def leashed(self) -> tuple[str, ...]:
        """What is started in fact: the leash, which becomes the program."""
        uid, gid = (self.account.uid, self.account.gid) if self.account else (-1, -1)
        capability = -1 if self.capability is None else self.capability
        numbers = (os.getpid(), int(self.death_signal), uid, gid, capability)
        return (sys.executable, "-I", "-S", leash.__file__, *map(str, numbers), *self.argv)


class BoundedLog:
    """A log file that is moved aside to `.1` when it is full; a disk that is full loses lines, never the writer.

    Raises ConfigurationError where it cannot be opened at first.
    """

    def __init__(self, path: Path, limit_bytes: int = LOG_BYTES) -> None:
        self.path = path
        self._limit = limit_bytes
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = _open_private(path)
        except OSError as exc:
            raise unusable(path, exc) from exc

    def write(self, chunk: bytes) -> None:
        with contextlib.suppress(OSError):
            if self._file.closed or self._file.tell() + len(chunk) > self._limit:  # closed: moving it aside failed before
                self._file.close()
                with contextlib.suppress(FileNotFoundError):  # somebody removed it
                    self.path.replace(self.path.with_name(self.path.name + ".1"))
                self._file = _open_private(self.path)
            self._file.write(chunk)

    def close(self) -> None:
        self._file.close()


class Child:
    """A running program. `stop` may be called at any time, any number of times."""

    def __init__(self, program: Program, process: asyncio.subprocess.Process, log: BoundedLog, on_line: Notify) -> None:
        self.program = program
        self._process = process
        self._log = log
        self._on_line = on_line
        self._tail: deque[str] = deque(maxlen=LAST_LINES)
        self._pump = asyncio.create_task(self._copy_output())

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> bool:
        return self._process.returncode is not None

    async def wait(self) -> int:
        """The exit code, negative for a signal, once it ended and its last output is in the log."""
        code = await self._process.wait()
        await asyncio.wait([self._pump], timeout=1)  # a grandchild may hold the pipe open
        return code

    def describe_end(self, code: int) -> str:
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return f"{self.program.name} {how}; {self.last_words}"

    @property
    def last_words(self) -> str:
        """Where its log is, and the last lines of it."""
        lines = "".join(f"\n  {line}" for line in self._tail)
        return f"log: {self._log.path}{lines}"

    async def stop(self) -> None:
        try:
            await asyncio.shield(self._stop())
        finally:
            self._pump.cancel()
            self._log.close()

    async def _stop(self) -> None:
        for stop_signal, seconds in ((self.program.stop_signal, self.program.stop_seconds), (signal.SIGKILL, None)):
            if self.ended:
                break
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(stop_signal)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), seconds)
        await asyncio.wait([self._pump], timeout=1)

    async def _copy_output(self) -> None:
        output = self._process.stdout
        assert output is not None
        rest = b""
        while chunk := await output.read(2**16):
            self._log.write(chunk)
            *lines, rest = (rest[-(2**16) :] + chunk).split(b"\n")
            for line in lines:
                self._tell(line)
        if rest:
            self._tell(rest)

    def _tell(self, line: bytes) -> None:
        text = line.decode(errors="replace")
        self._tail.append(text[:LAST_LINE_CHARACTERS])
        self._on_line(text)


@asynccontextmanager
async def running(program: Program, logs: Path, *, on_line: Notify = lambda _: None) -> AsyncIterator[Child]:
    """Start `program` and stop it at the end; its output goes to `logs`/<name>.log, and each line of it to `on_line`."""
    log = BoundedLog(logs / f"{program.name}.log")
    try:
        process = await asyncio.create_subprocess_exec(
            *program.leashed,
            env=None if program.env is None else dict(program.env),
            cwd=program.cwd,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in the terminal is for us; we stop our children in order
        )
    except BaseException:
        log.close()
        raise
    child = Child(program, process, log, on_line)
    try:
        yield child
    finally:
        await child.stop()


async def answer(
    child: Child, attempt: Callable[[], Awaitable[T]], *, refusals: tuple[type[Exception], ...], within_seconds: float
) -> T:
    """What `attempt` returns once it raises none of `refusals`. Raises `Unavailable` when the child ends or takes too long."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + within_seconds
    while True:
        try:
            answered = await attempt()
        except refusals as exc:
            heed_cancellation()
            if child.ended:
                raise Unavailable(f"{child.program.name} did not start: {child.describe_end(await child.wait())}") from exc
            if clock() > deadline:
                raise Unavailable(f"{child.program.name} did not answer within {within_seconds:.0f} s: {exc}") from exc
        else:
            heed_cancellation()
            return answered
        await asyncio.sleep(POLL_SECONDS)


def heed_cancellation() -> None:
    """A client library that cleans up after itself may make a cancellation into an error of its own, or into nothing."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


@asynccontextmanager
async def kept_running(
    program: Program, logs: Path, ready: Callable[[Child], Awaitable[None]], notify: Notify
) -> AsyncIterator[None]:
    """Start `program`, wait until `ready` returns, and start it again, with back-off, each time it ends.

    A first start that fails raises what `ready` raises; later failures are told to `notify` and tried again.
    """
    started = asyncio.Event()
    keeper = asyncio.create_task(_keep(program, logs, ready, notify, started))
    waiter = asyncio.create_task(started.wait())
    try:
        await asyncio.wait([keeper, waiter], return_when=asyncio.FIRST_COMPLETED)
        if keeper.done():
            keeper.result()
        yield
    finally:
        keeper.cancel()
        waiter.cancel()
        await asyncio.wait([keeper, waiter])


async def _keep(
    program: Program, logs: Path, ready: Callable[[Child], Awaitable[None]], notify: Notify, started: asyncio.Event
) -> None:
    clock = asyncio.get_running_loop().time
    delay = FIRST_DELAY_SECONDS
    while True:
        began = clock()
        try:
            async with running(program, logs) as child:
                await ready(child)
                heed_cancellation()
                started.set()
                _tell(notify, child.describe_end(await child.wait()))
        except (PaddockError, OSError) as exc:
            if not started.is_set() and isinstance(exc, OSError):
                raise Unavailable(f"{program.name} cannot be started: {exc.strerror or exc}") from exc
            if not started.is_set():
                raise
            _tell(notify, f"{program.name} did not start again: {exc}")
        except Exception:
            if not started.is_set():
                raise
            log.exception("%s did not start again", program.name)
        delay = FIRST_DELAY_SECONDS if clock() - began > STEADY_SECONDS else min(delay * 2, LONGEST_DELAY_SECONDS)
        await asyncio.sleep(delay)


def _tell(notify: Notify, text: str) -> None:
    """Nobody may be there to hear it: the terminal is gone, or the disk is full. The child is needed all the same."""
    with contextlib.suppress(OSError):
        notify(text)


def _open_private(path: Path) -> io.FileIO:
    return io.FileIO(path, "ab", opener=lambda name, flags: os.open(name, flags, 0o600))
