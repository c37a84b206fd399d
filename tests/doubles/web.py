"""A web server that answers raw bytes and keeps what it was asked, byte for byte: honest, hostile or slow."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field

Script = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(kw_only=True)
class Web:
    """answers: by path without query; bytes, or a script that writes."""

    port: int = 0
    answers: dict[str, bytes | Script] = field(default_factory=dict)
    requests: list[bytes] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def says(self, path: str, body: bytes = b"{}", *, status: str = "200 OK", **headers: str) -> None:
        told = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}
        told |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
        self.answers[path] = f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            headers = _headers(head)
            self.requests.append(head + await reader.readexactly(int(headers.get("content-length", "0"))))
            path = head.split(b" ")[1].decode().partition("?")[0]
            answer = self.answers.get(path, b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone")
            if isinstance(answer, bytes):
                writer.write(answer)
            else:
                await answer(writer)
            await writer.drain()


def _headers(head: bytes) -> Mapping[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


@asynccontextmanager
async def open_web() -> AsyncIterator[Web]:
    web = Web()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        with suppress(asyncio.CancelledError):  # the callback of asyncio's streams would log it
            await web.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    web.port = server.sockets[0].getsockname()[1]
    try:
        yield web
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
            await task
