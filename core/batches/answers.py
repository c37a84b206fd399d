"""The files in which a batch's answers are: one of those that there are, one of those that failed. Then its text goes."""

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from typing import Any

from core.batches.wire import BatchWire, Wires
from core.conversations.kept import PRINCIPAL
from core.conversations.manager import TurnManager
from core.errors import Conflict, InvalidRequest, NotFound, Unavailable
from core.files.files import Files
from core.identity.principals import Principal
from core.storage.batches import Batch, BatchLine, BatchStore

GOOD = 200


class Answers:
    def __init__(self, store: BatchStore, files: Files, turns: TurnManager, wires: Wires) -> None:
        self._store = store
        self._files = files
        self._turns = turns
        self._wires = wires

    async def write(self, principal: Principal, batch: Batch) -> tuple[str | None, str | None]:
        """The ids of both; None for one that would be empty. Raises TooLarge, Unavailable."""
        output = await self._file(principal, batch, "output", good=True)
        return output, await self._file(principal, batch, "error", good=False)

    async def clear(self) -> None:
        """Of batches that have ended: what their requests did not ask to be kept goes, and the lines."""
        while batch := await self._store.to_clear():
            principal, wire = PRINCIPAL.validate_json(batch.principal), self._wires.get(batch.endpoint)
            lines = await self._store.lines(batch.id, after=0)
            for line in lines:
                if line.turn_id is not None and line.body is not None and not _stays(wire, line.body):
                    with suppress(NotFound, Conflict):
                        await self._turns.delete(principal, line.turn_id)
            await self._store.clear(batch.id, [line.line for line in lines])

    async def _file(self, principal: Principal, batch: Batch, kind: str, *, good: bool) -> str | None:
        pieces = self._lines(principal, batch, good=good)
        first = await anext(pieces, None)
        if first is None:
            return None

        async def body() -> AsyncGenerator[bytes, None]:
            yield first
            async for piece in pieces:
                yield piece

        async with self._files.receiving(principal, least=len(first), most=self._files.largest_bytes) as upload:
            await self._files.receive(upload, body())
            file = await self._files.keep(upload, filename=f"{batch.id}_{kind}.jsonl", purpose="batch_output", seconds=None)
        return file.id

    async def _lines(self, principal: Principal, batch: Batch, *, good: bool) -> AsyncGenerator[bytes, None]:
        after = 0
        while lines := await self._store.lines(batch.id, after=after):
            if not await self._store.hold(batch):
                raise Unavailable(f"another process works on batch {batch.id!r}", code="batch_taken")
            for line in lines:
                told = await self._told(principal, batch, line)
                status = told["response"] and told["response"]["status_code"]
                if (status == GOOD) == good:
                    yield json.dumps(told, separators=(",", ":")).encode() + b"\n"
            after = lines[-1].line

    async def _told(self, principal: Principal, batch: Batch, line: BatchLine) -> dict[str, Any]:
        named = {"id": f"batch_req_{batch.id.removeprefix('batch_')}{line.line:06x}", "custom_id": json.loads(line.custom_id)}
        if line.turn_id is None:
            return {**named, "response": None, "error": json.loads(line.error or "null")}
        try:
            turn = await self._turns.get(principal, line.turn_id)
        except NotFound:
            return {**named, "response": None, "error": {"code": "response_deleted", "message": "the response was deleted"}}
        events: Sequence[Any] = await self._turns.events(principal, line.turn_id)
        status, body = self._wires[batch.endpoint].write(turn, events)
        return {**named, "response": {"status_code": status, "request_id": turn.id, "body": body}, "error": None}


def _stays(wire: BatchWire | None, body: str) -> bool:
    """The request asked for its answer to be stored."""
    try:
        return wire is not None and wire.read(body).store
    except InvalidRequest:
        return False
