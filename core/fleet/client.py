"""Reaches a local agent over its socket and reads its lines. Knows the protocol, and not what a reply means."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import ValidationError

from core.fleet.protocol import LINE_BYTES, Greeting, Line, decode_line, encode_ask


class AgentUnreachable(Exception):
    """Nobody answers at the socket, or what answers is no agent, or it went away in the middle."""


class RequestTooLong(Exception):
    """More than the agent reads; nothing was sent."""


class Connection:
    """Good for one request."""

    def __init__(self, greeting: Greeting, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.greeting = greeting
        self._reader = reader
        self._writer = writer

    async def ask(self, ask: dict[str, object]) -> AsyncGenerator[Line, None]:
        """Every line of the answer, until the agent hangs up. Raises AgentUnreachable, RequestTooLong."""
        request = encode_ask(ask)
        if len(request) > LINE_BYTES:
            raise RequestTooLong(f"the request has {len(request)} bytes; a local agent takes {LINE_BYTES}")
        try:
            self._writer.write(request)
            await self._writer.drain()
            while line := await self._reader.readline():
                yield decode_line(line)
        except (OSError, ValueError) as exc:  # ValueError: too long a line, or not one of the protocol
            raise AgentUnreachable(f"the connection broke ({type(exc).__name__})") from exc


@asynccontextmanager
async def connect(socket: Path) -> AsyncIterator[Connection]:
    """Reading the greeting shows that the agent is there and its model loaded. Raises AgentUnreachable."""
    try:
        reader, writer = await asyncio.open_unix_connection(socket, limit=LINE_BYTES)
    except OSError as exc:
        raise AgentUnreachable(f"nobody answers ({exc.strerror or type(exc).__name__})") from exc
    try:
        yield Connection(await _greeting(reader), reader, writer)
    finally:
        writer.close()


async def _greeting(reader: asyncio.StreamReader) -> Greeting:
    try:
        greeting = decode_line(await reader.readline())
    except (OSError, ValidationError, ValueError) as exc:
        raise AgentUnreachable("what answers there is no agent") from exc
    if not isinstance(greeting, Greeting):
        raise AgentUnreachable("what answers there is no agent")
    return greeting
