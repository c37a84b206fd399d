"""Stands between a client and a server, passes every byte on, and knows who is connected."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(slots=True)
class Tap:
    upstream: tuple[str, int]
    port: int = 0
    open_connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open_connections += 1
        try:
            upstream_reader, upstream_writer = await asyncio.open_connection(*self.upstream)
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(_pump(reader, upstream_writer))
                pumps.create_task(_pump(upstream_reader, writer))
        finally:
            self.open_connections -= 1

    async def left_alone(self) -> None:
        """Returns when nobody is connected; a client that never leaves is a TimeoutError."""
        async with asyncio.timeout(30):
            while self.open_connections:
                await asyncio.sleep(0.005)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


@asynccontextmanager
async def tapped(host: str, port: int) -> AsyncIterator[Tap]:
    tap = Tap((host, port))
    server = await asyncio.start_server(tap.serve, "127.0.0.1", 0)
    async with server:
        tap.port = server.sockets[0].getsockname()[1]
        yield tap
