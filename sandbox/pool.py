"""Worker processes: one program each at a time, killed and replaced when it must be. Knows no engine."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial

from sandbox import protocol
from sandbox.contract import Answer, Invocation, OnCall, OnOutput, Outcome, refuse_calls
from sandbox.errors import GuestCrashed, RuntimeUnavailable
from sandbox.lifecycle import WorkerState
from sandbox.nursery import Errand
from sandbox.process import START_SECONDS, Nursery, NurseryEnded, Worker, open_nursery
from sandbox.protocol import Kind
from sandbox.walls import Wall

RETRY_SECONDS = 1.0
HEADROOM_BYTES = 128 * 2**20  # of a worker of its own, for the engine around the program
LOADING_COPIES = 4  # of its file, which there are at once: read, cut, handed over, mapped

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOptions:
    """command: starts a nursery whose control socket is its standard input.

    workers: at most so many; more than run at once, so that one that was killed is not waited for. spare: so many of them are
    kept ready beside those that run.
    programs_per_worker: bounds how long a worker that a program took over could listen to the next ones.
    burst_seconds: workers that nobody needed for so long are ended; but for the spare ones.
    require_walls: use no worker that lacks one.
    """

    command: Sequence[str]
    workers: int
    spare: int = 2
    programs_per_worker: int = 1000
    burst_seconds: float = 60.0
    require_walls: bool = False


class Pool:
    """A `Runtime`. A worker is used again only after a program that ended in order."""

    def __init__(self, options: PoolOptions) -> None:
        self._options = options
        self._workers: list[Worker] = []  # the last one used comes last: it may still be preparing for the next program
        self._most_running = 0  # at once, of late
        self._waiting = 0  # of the workers that run, those that wait for a tool that their program called
        self._fresh = 0  # programs that wait for a worker that nobody used
        self._changed = asyncio.Event()
        self._freed = asyncio.Event()
        self._nursery: asyncio.Future[Nursery] = asyncio.get_running_loop().create_future()
        self._missing: list[Wall] | None = None
        self.started: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self, invocation: Invocation, on_output: OnOutput, on_call: OnCall = refuse_calls) -> Outcome:
        program = protocol.run(invocation)
        worker = await self._take(unused=bool(invocation.capabilities.tools))
        worker.start(invocation.limits.cpu_seconds)
        self._most_running = max(self._most_running, self._running())
        try:
            outcome = await _converse(worker, program, on_output, partial(self._called, on_call))
            cpu_seconds = worker.finish()
            ended_in_order = worker.lifecycle.state is WorkerState.RUNNING  # else it was killed just then: what it said stands
            if ended_in_order and worker.programs < self._options.programs_per_worker:
                worker.lifecycle.move(WorkerState.IDLE)
                self._freed.set()
        finally:
            if worker.lifecycle.state is not WorkerState.IDLE:
                await worker.end()
        return Outcome(exit_code=outcome.exit_code, truncated=outcome.truncated, cpu_seconds=cpu_seconds)

    async def run_apart(self, errand: Errand, invocation: Invocation, on_output: OnOutput, file: int) -> Outcome:
        """In a worker that is forked for this one errand and dies with it. file: what the errand is about."""
        program, limits = protocol.run(invocation), invocation.limits
        room = HEADROOM_BYTES + LOADING_COPIES * os.fstat(file).st_size
        try:
            async with asyncio.timeout(START_SECONDS):
                nursery = await asyncio.shield(self._nursery)
            worker = await nursery.fork(_forgotten, errand, [file], limits.memory_bytes + room)
        except (NurseryEnded, OSError, TimeoutError) as exc:
            raise RuntimeUnavailable("no sandbox worker could be started") from exc
        try:
            self._judge(await worker.ready())
            worker.lifecycle.move(WorkerState.IDLE)
            worker.start(limits.cpu_seconds)
            outcome = await _converse(worker, program, on_output, refuse_calls)
            return replace(outcome, cpu_seconds=worker.finish())
        finally:
            await worker.end()

    async def _take(self, *, unused: bool) -> Worker:
        """unused: no program was in it, which may have taken it over and would call tools in the name of this one."""
        self._fresh += unused
        self._changed.set()
        try:
            async with asyncio.timeout(START_SECONDS):
                while (worker := self._idle(unused=unused)) is None:
                    self._freed.clear()
                    if (used := self._idle()) and not self._coming():
                        await used.end()  # to make room for another one
                    else:
                        await self._freed.wait()
        except TimeoutError:
            raise RuntimeUnavailable("no sandbox worker could be started; the log of the sandbox host says why") from None
        finally:
            self._fresh -= unused
        self._workers.remove(worker)
        self._workers.append(worker)
        self._changed.set()
        return worker

    def _idle(self, *, unused: bool = False) -> Worker | None:
        return next((worker for worker in self._workers if _is_idle(worker) and not (unused and worker.programs)), None)

    async def keep(self) -> None:
        """Replaces workers that ended, and the nursery when it ended, until it is cancelled."""
        while True:
            try:
                async with open_nursery(self._options.command) as nursery:
                    self._nursery.set_result(nursery)
                    await self._keep_full(nursery)
            except (NurseryEnded, OSError) as exc:
                if self._nursery.done():  # else somebody waits for the next one already
                    self._nursery = asyncio.get_running_loop().create_future()
                await self._failed(RuntimeUnavailable(f"sandbox workers cannot be started: {exc}"))

    async def _keep_full(self, nursery: Nursery) -> None:
        shrinking = asyncio.create_task(self._shrink())
        try:
            while True:
                self._changed.clear()
                while self._wanted():
                    await self._add(nursery)
                await self._changed.wait()
        finally:
            shrinking.cancel()
            for worker in tuple(self._workers):
                await worker.end()

    async def _shrink(self) -> None:
        """Ends the workers that a burst has left behind, until it is cancelled."""
        while True:
            self._most_running = self._running()
            await asyncio.sleep(self._options.burst_seconds)
            while len(self._workers) > self._most_running + self._options.spare and (worker := self._idle()):
                await worker.end()

    async def _called(self, on_call: OnCall, name: str, arguments: str) -> Answer:
        """What a worker calls may need a worker of its own: one that waits is not counted. `on_call` says how many may."""
        self._waiting += 1
        self._changed.set()
        try:
            return await on_call(name, arguments)
        finally:
            self._waiting -= 1

    def _running(self) -> int:
        return sum(worker.lifecycle.state is WorkerState.RUNNING for worker in self._workers)

    def _wanted(self) -> bool:
        idle = self._options.spare
        if self._fresh:  # beside those that are kept though they are of no use for that
            idle = max(idle, self._fresh + sum(bool(worker.programs) for worker in self._workers if _is_idle(worker)))
        return len(self._workers) < min(self._running() + idle, self._options.workers + self._waiting)

    def _coming(self) -> bool:
        """Another worker is on its way."""
        return self._wanted() or any(worker.lifecycle.state is WorkerState.STARTING for worker in self._workers)

    async def _add(self, nursery: Nursery) -> None:
        try:
            worker = await nursery.fork(self._ended)
        except RuntimeUnavailable as exc:
            await self._failed(exc)
            return
        if worker.lifecycle.state is WorkerState.STARTING:  # else it has ended already
            self._workers.append(worker)
        try:
            self._judge(await worker.ready())
        except RuntimeUnavailable as exc:
            await worker.end()
            await self._failed(exc)
        else:
            worker.lifecycle.move(WorkerState.IDLE)
            self._freed.set()
            if not self.started.done():
                self.started.set_result(None)

    async def _failed(self, error: RuntimeUnavailable) -> None:
        if not self.started.done():
            self.started.set_exception(error)
        log.warning("%s", error)
        await asyncio.sleep(RETRY_SECONDS)

    def _judge(self, walls: list[Wall]) -> None:
        missing = [wall for wall in walls if not wall.present]
        if missing and self._options.require_walls:
            raise RuntimeUnavailable("; ".join(f"the wall {wall.name!r} is missing: {wall.advice}" for wall in missing))
        if missing != self._missing:
            self._missing = missing
            for wall in missing:
                log.warning("sandbox workers lack the wall %r: %s", wall.name, wall.advice)

    def _ended(self, worker: Worker) -> None:
        if worker in self._workers:
            self._workers.remove(worker)
        self._changed.set()
        self._freed.set()  # who waited for it to come looks again


def _is_idle(worker: Worker) -> bool:
    return worker.lifecycle.state is WorkerState.IDLE


def _forgotten(_worker: Worker) -> None:
    """It was nobody's but its errand's."""


async def _converse(worker: Worker, program: bytes, on_output: OnOutput, on_call: OnCall) -> Outcome:
    try:
        worker.send(program)
        while said := await worker.hear():
            match said:
                case (Kind.STDOUT | Kind.STDERR | Kind.RESULT) as kind, data:
                    on_output(protocol.STREAMS[kind], data)
                case Kind.CALL, payload:
                    await worker.tell(protocol.answer(await on_call(*protocol.parse_call(payload))))
                case Kind.DONE, payload:
                    return protocol.parse_done(payload)
                case Kind.FAILED, payload:
                    raise protocol.parse_failed(payload)
                case kind, _:
                    raise protocol.ProtocolError(f"{kind.name} from a worker")
    except protocol.ProtocolError as exc:
        raise GuestCrashed("the sandbox worker broke") from exc
    raise worker.broke_limit or GuestCrashed("the sandbox worker was killed")


@asynccontextmanager
async def open_pool(options: PoolOptions) -> AsyncIterator[Pool]:
    """Ready when the first worker is. Raises `RuntimeUnavailable` when they cannot be started."""
    pool = Pool(options)
    keeper = asyncio.create_task(pool.keep())
    try:
        await pool.started
        yield pool
    finally:
        keeper.cancel()
        with suppress(asyncio.CancelledError):
            await keeper
