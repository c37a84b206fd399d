"""Clients that stop reading: what waits for them must not be held for ever."""

import asyncio
import socket

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from api import gateway


async def test_who_takes_nothing_of_an_answer_is_disconnected_and_who_reads_slowly_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gateway, "UNREAD_SECONDS", 4)
    gone: dict[str, asyncio.Event] = {"/unread": asyncio.Event(), "/slow": asyncio.Event()}

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        leaving = asyncio.create_task(departure(receive))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not leaving.done():
            sending = asyncio.ensure_future(send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True}))
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            sending.cancel()
        gone[scope["path"]].set()

    with gateway.bound("127.0.0.1", 0) as listener:
        server = uvicorn.Server(uvicorn.Config(endless, lifespan="off", log_config=None, timeout_graceful_shutdown=1))
        serving = asyncio.create_task(server._serve([listener]))
        async with asyncio.timeout(30):
            while not server.started:
                await asyncio.sleep(0.01)
        with asked(listener, "/unread"), asked(listener, "/slow") as slow:
            async with asyncio.timeout(60):
                while not gone["/unread"].is_set():
                    for _ in range(8):  # a little, a few times a second
                        await asyncio.get_running_loop().sock_recv(slow, 65536)
                    await asyncio.sleep(0.1)
            assert not gone["/slow"].is_set()
        server.should_exit = True
        await serving


async def departure(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def asked(listener: socket.socket, path: str) -> socket.socket:
    client = socket.create_connection(listener.getsockname())
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    client.setblocking(False)
    return client
