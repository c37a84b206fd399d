"""The files in which a batch's answers are: one of those that there are, one of those that failed. Then its text goes."""

import json
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

from core.batches.wire import BatchWire, Wires
from core.conversations.manager import TurnManager
from core.errors import Conflict, NotFound
from core.files.files import Files
from core.identity.principals import Principal
from core.storage.batches import Batch, BatchLine, BatchStore
from core.storage.files import StorageUsedUp

GOOD = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The ids of the files; None for one that has no line. left_out: lines that there was no room for."""

    output: str | None
    errors: str | None
    left_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    id: str | None
    left_out: int = 0


class _Cut:
    """Lines up to the first that there is no room for."""

    def __init__(self, first: bytes, lines: AsyncIterable[bytes]) -> None:
        self._first = first
        self._lines = lines
        self.left_out = 0

    async def to(self, bytes_: int) -> AsyncGenerator[bytes, None]:
        yield self._first
        left = bytes_ - len(self._first)
        async for line in self._lines:
            if self.left_out or len(line) > left:
                self.left_out += 1
            else:
                left -= len(line)
                yield line


class Answers:
    def __init__(self, store: BatchStore, files: Files, turns: TurnManager, wires: Wires) -> None:
        self._store = store
        self._files = files
        self._turns = turns
        self._wires = wires

    async def write(self, principal: Principal, batch: Batch, *, partly: bool) -> Written:
        """Twice is once: the files' ids are the batch's. partly: as much as there is room for.

        Raises StorageUsedUp where there is not enough and it is not to be partly; TooLarge, Unavailable.
        """
        told: set[int] = set()
        output = await self._file(principal, batch, "output", told, good=True, partly=partly)
        errors = await self._file(principal, batch, "error", told, good=False, partly=partly)
        return Written(output=output.id, errors=errors.id, left_out=output.left_out + errors.left_out)

    async def clear(self) -> None:
        """Of batches that have ended: what their requests did not ask to be kept goes, and the lines."""
        while batch := await self._store.to_clear():
            lines = await self._store.lines(batch.id, after=0)
            for line in lines:
                if line.turn_id is not None:
                    await self.forget(batch, line, line.turn_id)
            await self._store.clear(batch.id, [line.line for line in lines])

    async def forget(self, batch: Batch, line: BatchLine, turn_id: str) -> None:
        """The text of a turn of this line, where its request did not ask to keep it."""
        if line.body is not None and not _stays(self._wires.get(batch.endpoint), line.body):
            with suppress(NotFound, Conflict):
                await self._turns.clear(batch.organization_id, turn_id, batch=batch.id)

    async def _file(self, principal: Principal, batch: Batch, kind: str, told: set[int], *, good: bool, partly: bool) -> _File:
        """told: lines of another file; those of this one are added."""
        file_id = f"file_{batch.id.removeprefix('batch_')}{good:d}"
        with suppress(NotFound):
            return _File(id=(await self._files.get(batch.organization_id, file_id)).id)
        async with aclosing(self._lines(principal, batch, told, good=good)) as lines:
            first = await anext(lines, None)
            if first is None:
                return _File(id=None)
            cut = _Cut(first, lines)
            try:
                async with self._files.receiving(principal, least=len(first), most=self._files.largest_bytes) as upload:
                    await self._files.receive(upload, cut.to(upload.limit_bytes))
                    if cut.left_out and not partly and upload.limit_bytes < self._files.largest_bytes:
                        raise StorageUsedUp("the organization keeps as many bytes of files as it may")
                    name = f"{batch.id}_{kind}.jsonl"
                    await self._files.keep(
                        upload, filename=name, purpose="batch_output", seconds=batch.output_seconds, file_id=file_id
                    )
            except StorageUsedUp:
                if not partly:
                    raise
                return _File(id=None, left_out=1 + sum([1 async for _ in lines]))
        return _File(id=file_id, left_out=cut.left_out)

    async def _lines(self, principal: Principal, batch: Batch, told: set[int], *, good: bool) -> AsyncGenerator[bytes, None]:
        after = 0
        while lines := await self._store.lines(batch.id, after=after):
            for line in lines:
                if line.line in told:
                    continue
                answer = await self._answer(principal, batch, line)
                status = answer["response"] and answer["response"]["status_code"]
                if (status == GOOD) == good:
                    told.add(line.line)
                    yield json.dumps(answer, separators=(",", ":")).encode() + b"\n"
            after = lines[-1].line

    async def _answer(self, principal: Principal, batch: Batch, line: BatchLine) -> dict[str, Any]:
        named = {"id": f"batch_req_{batch.id.removeprefix('batch_')}{line.line:06x}", "custom_id": json.loads(line.custom_id)}
        if line.turn_id is None:
            return {**named, **_refused(named["id"], json.loads(line.error or "null"))}
        try:
            turn = await self._turns.get(principal, line.turn_id)
        except NotFound:
            return {**named, "response": None, "error": {"code": "response_deleted", "message": "the response was deleted"}}
        events: Sequence[Any] = await self._turns.events(principal, line.turn_id)
        status, body = self._wires[batch.endpoint].write(turn, events)
        return {**named, "response": {"status_code": status, "request_id": turn.id, "body": body}, "error": None}


def _refused(request_id: str, told: Any) -> dict[str, Any]:
    """told: what an HTTP request would have been answered, or what kept it from being one."""
    if told is not None and "status_code" in told:
        return {"response": {**told, "request_id": request_id}, "error": None}
    return {"response": None, "error": told}


def _stays(wire: BatchWire | None, body: str) -> bool:
    """The request asked for its answer to be stored. One that this server cannot read was read by another: its answer stays."""
    try:
        stored = json.loads(body).get("store")
    except (ValueError, AttributeError, RecursionError):
        return True
    return wire is None or (wire.stores if stored is None else stored is not False)
