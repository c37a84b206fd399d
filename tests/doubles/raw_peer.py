"""An HTTP peer that sends exactly the pieces it is told to, counts its connections and keeps what it was sent."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class End(StrEnum):
    COMPLETE = "complete"
    CUT = "cut"  # the connection is closed in the middle of the body
    HANG = "hang"  # nothing more comes, and the connection stays


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Every piece is a write and an HTTP chunk of its own."""

    pieces: Sequence[bytes] = ()
    status: int = 200
    content_type: str = "text/event-stream"
    headers: Sequence[str] = ()
    end: End = End.COMPLETE


@dataclass(slots=True)
class Sent:
    head: str
    body: Any


@dataclass(slots=True)
class RawPeer:
    """answers: given in order, the last one again and again."""

    answers: Sequence[Answer]
    address: str = ""
    received: list[Sent] = field(default_factory=list)
    connections: int = 0
    open_connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open_connections += 1
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open_connections -= 1
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """False when the connection is over."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(int(line.split(":")[1]) for line in head.splitlines() if line.lower().startswith("content-length:"))
        self.received.append(Sent(head, json.loads(await reader.readexactly(length))))
        answer = self.answers[min(len(self.received), len(self.answers)) - 1]
        lines = [f"HTTP/1.1 {answer.status} Whatever", f"Content-Type: {answer.content_type}", "Transfer-Encoding: chunked"]
        writer.write("\r\n".join([*lines, *answer.headers, "", ""]).encode())
        for piece in answer.pieces:
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
            await asyncio.sleep(0)
        if answer.end is End.COMPLETE:
            for _ in range(20):  # so that whoever read the last piece has acted on it
                await asyncio.sleep(0)
            writer.write(b"0\r\n\r\n")
            return True
        if answer.end is End.HANG:
            await reader.read()
        return False

    async def left_alone(self) -> None:
        """Returns when nobody is connected; a client that never leaves is a TimeoutError."""
        async with asyncio.timeout(30):
            while self.open_connections:
                await asyncio.sleep(0.005)


def sse(*objects: Any, done: bool = True) -> bytes:
    events = [json.dumps(wire) for wire in objects] + (["[DONE]"] if done else [])
    return "".join(f"data: {event}\n\n" for event in events).encode()


def delta(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": None}]}


def ending(reason: str = "stop") -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}


@asynccontextmanager
async def raw_peer(*answers: Answer) -> AsyncIterator[RawPeer]:
    peer = RawPeer(answers)
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    async with server:
        peer.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        yield peer
