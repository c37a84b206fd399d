"""Works on batches, in any number of processes, a step at a time: PostgreSQL tells whoever goes on how far the last one came.

A line becomes a turn in the queue, under a name of its own, so that it becomes one turn and no second, whatever is killed.
"""

import asyncio
import itertools
import json
import logging
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import Any

from core.batches.answers import Answers
from core.batches.batches import LARGEST_INPUT_BYTES
from core.batches.lines import BadLines, parsed, problem, problems
from core.batches.wire import Wires
from core.conversations.kept import PRINCIPAL
from core.conversations.manager import TurnManager
from core.conversations.request import Queue
from core.errors import InvalidRequest, NotFound, PaddockError, RateLimited, TooLarge, Unavailable
from core.files.files import FileDamaged, Files
from core.identity.principals import Principal
from core.llm.router import ModelRouter
from core.storage.audit import AuditRecord, Outcome
from core.storage.batches import WORK_SECONDS, Batch, BatchLine, BatchStatus, BatchStore
from core.storage.files import StorageUsedUp
from core.storage.journal import Places

log = logging.getLogger(__name__)
AT_ONCE = 4
IN_FLIGHT = 100
LOOK_SECONDS = 1.0
RENEW_SECONDS = WORK_SECONDS / 3
LAST_SECONDS = 30.0
FULL_SECONDS = 5.0
ROOM_SECONDS = 120.0
ROOM_DAYS = 7
"""How long the answers of a batch wait for their organisation to make room for them."""
CANCELLED = problem("batch_cancelled", "the batch was cancelled before this line began")
EXPIRED_CODE, EXPIRED_TOLD = "batch_expired", "the batch's time was over before all of its lines had begun"
EXPIRED = problem(EXPIRED_CODE, EXPIRED_TOLD)


class BatchWork:
    """worker: this process, under a name that no other one has; with a number it is a step's.

    line_bytes: the most that one line may hold. places: of turns in the queue that a line's may be one of.
    """

    def __init__(
        self,
        store: BatchStore,
        files: Files,
        turns: TurnManager,
        models: ModelRouter,
        wires: Wires,
        *,
        worker: str,
        line_bytes: int,
        places: Places,
    ) -> None:
        self._store = store
        self._files = files
        self._turns = turns
        self._models = models
        self._wires = wires
        self._answers = Answers(store, files, turns, wires)
        self._worker = worker
        self._line_bytes = line_bytes
        self._places = places
        self._one_input = asyncio.Lock()  # in memory
        self._one_room = asyncio.Lock()  # that is looked for, and taken

    async def run(self) -> None:
        """Until cancelled. What a batch cannot do now it does later; a large one keeps no others waiting."""
        places, ended = asyncio.Semaphore(AT_ONCE), asyncio.Event()

        def over(_: "asyncio.Task[None]") -> None:
            places.release()
            ended.set()  # its batch may go on at once

        async with asyncio.TaskGroup() as steps:
            for number in itertools.count():
                await places.acquire()
                ended.clear()
                batch = await self._take(f"{self._worker} {number}")
                if batch is not None:
                    steps.create_task(self._work_on(batch)).add_done_callback(over)
                    continue
                places.release()
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await ended.wait()

    async def _take(self, worker: str) -> Batch | None:
        try:
            return await self._store.take(worker)
        except PaddockError as exc:
            log.warning("batches have to wait: %s", exc.message)
            return None

    async def _work_on(self, batch: Batch) -> None:
        """One step, however long it takes, and no longer than the batch is ours. Then somebody goes on soon."""
        pause = FULL_SECONDS
        try:
            async with asyncio.TaskGroup() as tasks:
                held = tasks.create_task(self._hold(batch))
                pause = await self._step(batch)
                held.cancel()
        except* PaddockError as group:
            log.warning("batch %s has to wait: %s", batch.id, "; ".join(map(str, group.exceptions)))
        except* Exception:
            log.exception("batch %s has to wait", batch.id)
        finally:
            with suppress(Unavailable):  # then its time runs out
                await asyncio.shield(self._store.hold(batch, seconds=pause))

    async def _hold(self, batch: Batch) -> None:
        """Until cancelled. Raises Unavailable when the batch is somebody else's."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            mine = True
            with suppress(Unavailable):  # there is time for two more attempts
                mine = await self._store.hold(batch)
            if not mine:
                raise Unavailable("somebody else works on it", code="batch_taken")

    async def _step(self, batch: Batch) -> float:
        """Returns how long it is to be left alone, in seconds."""
        if batch.endpoint not in self._wires:
            await self._fail(batch, problem("unsupported_endpoint", "this server does not speak the batch's wire any more"))
            return 0.0
        match batch.status:
            case BatchStatus.VALIDATING if await self._store.outlived(batch):
                await self._stop(batch, EXPIRED)
            case BatchStatus.VALIDATING:
                await self._begin(batch)
            case BatchStatus.IN_PROGRESS:
                return await self._go_on(batch)
            case BatchStatus.CANCELLING:
                await self._stop(batch, None)
            case BatchStatus.FINALIZING:
                return await self._end(batch)
            case _:
                pass
        return 0.0

    async def _begin(self, batch: Batch) -> None:
        async with self._one_input:
            if not await self._store.hold(batch):  # it has waited too long
                return
            try:
                content = await self._files.read(batch.organization_id, batch.input_file_id, limit_bytes=LARGEST_INPUT_BYTES)
                lines = await asyncio.to_thread(parsed, content, batch.endpoint, line_bytes=self._line_bytes)
            except BadLines as exc:
                await self._fail(batch, problems(exc.lines))
            except (NotFound, TooLarge, InvalidRequest, FileDamaged) as exc:
                await self._fail(batch, problem(exc.code, exc.message))
            else:
                await self._store.begin(batch, lines)

    async def _go_on(self, batch: Batch) -> float:
        before = await self._store.progress(batch)
        if (before.completed, before.failed) != (batch.completed, batch.failed):
            await self._store.count(batch, before)
        if not before.waiting and not before.running:
            await self._store.finalize(batch)  # also where its time was over before anybody looked
            return 0.0
        if await self._store.outlived(batch):
            await self._stop(batch, EXPIRED)
            return 0.0
        most = min(before.waiting, IN_FLIGHT - before.running)
        if most <= 0:
            return LOOK_SECONDS
        # Asked for first: a turn that the queue then refuses has been counted as a request.
        async with self._one_room:
            room = await self._store.room(batch.organization_id, self._places)
            if not room:
                return FULL_SECONDS
            principal = PRINCIPAL.validate_json(batch.principal)
            try:
                for line in await self._store.waiting(batch, most=min(most, room)):
                    if not await self._store.hold(batch):
                        return 0.0
                    await _to_its_end(self._start(batch, principal, line))
            except RateLimited as exc:
                return min(exc.retry_after, FULL_SECONDS)
        return LOOK_SECONDS

    async def _start(self, batch: Batch, principal: Principal, line: BatchLine) -> None:
        """Raises RateLimited, Unavailable; then the line waits on."""
        name = f"{batch.id} {line.line}"
        assert line.body is not None
        try:
            request = self._wires[batch.endpoint].read(line.body)
            model = request.model or next(iter(self._models.names), None)
            prices = self._models.prices(model).model_dump() if model in self._models.names and model is not None else None
            echo = {**request.echo, "request_id": principal.request_id, "prices": prices}
            queued = replace(request, queue=Queue.BATCH, store=True, echo=echo)
            turn = await self._turns.start(principal, queued, idempotency=name)
        except (RateLimited, Unavailable):
            raise
        except PaddockError as exc:
            begun = await self._store.turn_of(name)  # by a worker that could not write it down
            if begun is None:
                status, told = self._wires[batch.endpoint].refusal(exc)
                await self._store.refused(batch, line.line, json.dumps({"status_code": status, "body": told}))
                return
        else:
            begun = turn.id
        if not await self._store.began(batch, line.line, begun):  # somebody who took us for dead has ended the line
            await self._abandon(batch, begun)
            await self._answers.forget(batch, line, begun)

    async def _stop(self, batch: Batch, why: str | None) -> None:
        """why: None where somebody asked for it."""
        await self._store.refuse_waiting(batch, why or CANCELLED)
        await asyncio.gather(*(self._abandon(batch, turn_id) for turn_id in await self._store.running(batch)))
        await self._store.count(batch, await self._store.progress(batch))
        await self._store.finalize(batch, problem=why)

    async def _abandon(self, batch: Batch, turn_id: str) -> None:
        with suppress(NotFound):  # it has ended meanwhile, and was deleted
            await self._turns.abandon(batch.organization_id, turn_id)

    async def _end(self, batch: Batch) -> float:
        """Where its organisation keeps as much as it may, the batch waits for room, and in the end takes what there is."""
        principal = PRINCIPAL.validate_json(batch.principal)
        try:
            written = await self._answers.write(principal, batch, partly=await self._store.waited(batch, ROOM_DAYS))
        except StorageUsedUp as exc:
            told = f"the answers wait for room, {ROOM_DAYS} days at most: {exc.message}"
            await self._store.note(batch, _problem(batch, told))
            return ROOM_SECONDS
        except (TooLarge, InvalidRequest) as exc:
            await self._fail(batch, problem(exc.code, exc.message))
            return 0.0
        status = BatchStatus.COMPLETED
        if batch.cancelling_at is not None:
            status = BatchStatus.CANCELLED
        elif _expired(batch):
            status = BatchStatus.EXPIRED
        left_out = f"there was no room for {written.left_out} of the lines" if written.left_out else None
        ended = {
            "output_file_id": written.output,
            "error_file_id": written.errors,
            "problem": _problem(batch, left_out),
        }
        await self._store.end(batch, _ended(batch, status), status, ended)
        return 0.0

    async def _fail(self, batch: Batch, why: str) -> None:
        record = _ended(batch, BatchStatus.FAILED, Outcome.FAILURE)
        await self._store.end(batch, record, BatchStatus.FAILED, {"problem": why})


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Cancelled, it returns when the work is done all the same, or LAST_SECONDS later: what is begun is also noted."""
    doing = asyncio.ensure_future(work)
    try:
        await asyncio.shield(doing)
    finally:
        await asyncio.wait([doing], timeout=LAST_SECONDS)


def _expired(batch: Batch) -> bool:
    return batch.problem is not None and json.loads(batch.problem)["code"] == EXPIRED_CODE


def _problem(batch: Batch, storage: str | None) -> str | None:
    """What is told of the batch beside its lines. storage: what is wrong with its files."""
    if _expired(batch):
        return problem(EXPIRED_CODE, "; ".join(filter(None, (EXPIRED_TOLD, storage))))
    return storage and problem(StorageUsedUp.code, storage)


def _ended(batch: Batch, status: BatchStatus, outcome: Outcome = Outcome.SUCCESS) -> AuditRecord:
    return AuditRecord(
        kind="batch.ended",
        organization_id=batch.organization_id,
        actor="system",
        object=batch.id,
        outcome=outcome,
        details={"status": status.value, "completed": batch.completed, "failed": batch.failed},
    )
