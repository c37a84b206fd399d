"""The smallest client that can put a load on an HTTP server: it must cost much less than what it measures."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """seconds: to its last byte; first_seconds: to the first of its body."""

    status: int
    body: bytes
    seconds: float
    first_seconds: float


class Connection:
    """Kept open; one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        self._reader = reader
        self._writer = writer
        self._host = host

    async def send(self, request: "Request") -> Answer:
        began = time.perf_counter()
        self._writer.write(request.bytes_for(self._host))
        head = await self._reader.readuntil(b"\r\n\r\n")
        status_line, *lines = head[:-4].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if headers.get("transfer-encoding") == "chunked":
            body, first = await self._chunks()
        else:
            body, first = await self._reader.readexactly(int(headers.get("content-length", 0))), time.perf_counter()
        return Answer(
            status=int(status_line.split()[1]), body=body, seconds=time.perf_counter() - began, first_seconds=first - began
        )

    async def _chunks(self) -> tuple[bytes, float]:
        body, first = bytearray(), 0.0
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            first = first or time.perf_counter()
            body += (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readexactly(2)
        return bytes(body), first


@dataclass(frozen=True, slots=True)
class Request:
    path: str
    body: bytes
    headers: str

    @classmethod
    def json(cls, path: str, body: Mapping[str, Any], *, key: str = "none") -> "Request":
        return cls(path, json.dumps(body).encode(), f"Content-Type: application/json\r\nAuthorization: Bearer {key}\r\n")

    def bytes_for(self, host: str) -> bytes:
        head = f"POST {self.path} HTTP/1.1\r\nHost: {host}\r\n{self.headers}Content-Length: {len(self.body)}\r\n\r\n"
        return head.encode() + self.body


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[Connection]:
    """address: `http://host:port`; what follows is ignored."""
    parts = urlsplit(address)
    assert parts.hostname is not None
    assert parts.port is not None
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=2**24)
    try:
        yield Connection(reader, writer, f"{parts.hostname}:{parts.port}")
    finally:
        writer.close()


class Failed(Exception):
    """The server answered, but not with what was asked for."""


Check = Callable[[Answer], bool]


async def ask(connection: Connection, request: Request, check: Check) -> Answer:
    """Raises Failed, so that nobody measures how fast errors are."""
    answer = await connection.send(request)
    if answer.status != 200 or not check(answer):
        raise Failed(f"{request.path}: {answer.status} {answer.body[-500:].decode(errors='replace')}")
    return answer


async def one_after_another(address: str, request: Request, check: Check, times: int) -> list[Answer]:
    async with connected(address) as connection:
        return [await ask(connection, request, check) for _ in range(times)]


async def crowd(address: str, request: Request, check: Check, *, clients: int, seconds: float) -> int:
    """How many answers came while `clients` asked one request after another for `seconds`."""
    until = time.perf_counter() + seconds
    answers = 0

    async def one() -> None:
        nonlocal answers
        async with connected(address) as connection:
            while time.perf_counter() < until:
                await ask(connection, request, check)
                answers += 1

    await asyncio.gather(*(one() for _ in range(clients)))
    return answers


async def arrivals(address: str, request: Request, check: Check, *, per_second: float, seconds: float) -> list[float]:
    """Seconds from when each request was meant to be sent to its end: an open loop, which a slow server does not slow down."""
    began = time.perf_counter()
    waits: list[float] = []
    idle: list[Connection] = []
    async with AsyncExitStack() as stack:

        async def one(at: float) -> None:
            connection = idle.pop() if idle else await stack.enter_async_context(connected(address))
            await ask(connection, request, check)
            waits.append(time.perf_counter() - at)
            idle.append(connection)

        async with asyncio.TaskGroup() as requests:
            for n in range(int(per_second * seconds)):
                at = began + n / per_second
                await asyncio.sleep(at - time.perf_counter())
                requests.create_task(one(at))
    return waits
