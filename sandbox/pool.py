"""Worker processes: one program each at a time, killed and replaced when it must be. Knows no engine."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from sandbox import protocol
from sandbox.contract import Invocation, OnOutput, Outcome, Stream
from sandbox.errors import GuestCrashed, RuntimeUnavailable
from sandbox.lifecycle import WorkerState
from sandbox.process import Nursery, Worker, open_nursery
from sandbox.protocol import Kind

START_SECONDS = 30.0
RETRY_SECONDS = 1.0

log = logging.getLogger(__name__)


class Pool:
    """A `Runtime`. A worker is used again only after a program that ended in order."""

    def __init__(self, command: Sequence[str], workers: int) -> None:
        self._command = command
        self._size = workers
        self._workers: set[Worker] = set()
        self._idle: asyncio.LifoQueue[Worker] = asyncio.LifoQueue()  # the last one used has the warmest caches
        self._short = asyncio.Event()

    async def run(self, invocation: Invocation, on_output: OnOutput) -> Outcome:
        worker = await self._take()
        worker.lifecycle.move(WorkerState.RUNNING)
        before = worker.cpu_seconds()
        worker.limit_cpu(invocation.limits.cpu_seconds)
        try:
            outcome = await self._converse(worker, invocation, on_output)
            outcome = Outcome(
                exit_code=outcome.exit_code, truncated=outcome.truncated, cpu_seconds=worker.cpu_seconds() - before
            )
            worker.lifecycle.move(WorkerState.IDLE)
            self._idle.put_nowait(worker)
            return outcome
        finally:
            worker.unlimit_cpu()
            if worker.lifecycle.state is not WorkerState.IDLE:
                await worker.end()

    async def _take(self) -> Worker:
        try:
            async with asyncio.timeout(START_SECONDS):
                while (worker := await self._idle.get()).lifecycle.state is not WorkerState.IDLE:
                    pass
                return worker
        except TimeoutError:
            raise RuntimeUnavailable("no sandbox worker could be started; the host's log says why") from None

    async def _converse(self, worker: Worker, invocation: Invocation, on_output: OnOutput) -> Outcome:
        try:
            worker.send(protocol.run(invocation))
            while said := await worker.hear():
                match said:
                    case Kind.STDOUT, data:
                        on_output(Stream.STDOUT, data)
                    case Kind.STDERR, data:
                        on_output(Stream.STDERR, data)
                    case Kind.DONE, payload:
                        return protocol.parse_done(payload)
                    case Kind.FAILED, payload:
                        raise protocol.parse_failed(payload)
                    case kind, _:
                        raise protocol.ProtocolError(f"{kind.name} from a worker")
        except protocol.ProtocolError as exc:
            raise GuestCrashed("the sandbox worker broke") from exc
        raise worker.broke_limit or GuestCrashed("the sandbox worker was killed")

    async def keep(self) -> None:
        """Replaces workers that ended, and the nursery when it ended, until it is cancelled."""
        while True:
            try:
                async with open_nursery(self._command) as nursery:
                    await self._keep_full(nursery)
            except (RuntimeUnavailable, OSError) as exc:
                log.warning("sandbox workers could not be started: %s", exc)
                await asyncio.sleep(RETRY_SECONDS)

    async def _keep_full(self, nursery: Nursery) -> None:
        try:
            while True:
                self._short.clear()
                while len(self._workers) < self._size:
                    worker = await nursery.fork(on_exit=self._ended)
                    self._workers.add(worker)
                    self._idle.put_nowait(worker)
                await self._short.wait()
        finally:
            for worker in self._workers:
                worker.kill()

    def _ended(self, worker: Worker) -> None:
        self._workers.discard(worker)
        self._short.set()


@asynccontextmanager
async def open_pool(command: Sequence[str], *, workers: int) -> AsyncIterator[Pool]:
    """command: starts a nursery whose control socket is its standard input."""
    pool = Pool(command, workers)
    keeper = asyncio.create_task(pool.keep())
    try:
        yield pool
    finally:
        keeper.cancel()
        with suppress(asyncio.CancelledError):
            await keeper
