"""What uvicorn leaves to a proxy, at a served port: heads without an end, requests that are never whole, trailers, upgrades."""

import asyncio
import json
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from api import dependencies, gateway, protocol
from api.app import create_app
from api.gateway import Stopping
from tests.doubles.platform import KEY, platform

POST = b"POST /echo HTTP/1.1\r\nHost: x\r\n"
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
SOON = 0.3
LATER = 1.5
"""Longer than a busy machine stands still, for what must not be taken for late."""


@dataclass
class Echo:
    """Answers with what it was asked. asked: as it came; left: how many clients left before their request was whole."""

    port: int = 0
    asked: list[tuple[str, bytes, dict[str, str]]] = field(default_factory=list)
    left: int = 0
    reads: asyncio.Event = field(default_factory=asyncio.Event)
    """Before that, no body is read."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            while (await receive())["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        request = Request(scope, receive)
        if request.url.path == "/unread":
            await JSONResponse({}, 401)(scope, receive, send)
            return
        if request.url.path == "/later":
            await self.reads.wait()
        try:
            body = await request.body()
        except ClientDisconnect:
            self.left += 1
            return
        self.asked.append((request.url.path, body, dict(request.headers)))
        await JSONResponse({"path": request.url.path, "body": body.decode()})(scope, receive, send)

    async def talk(self, *pieces: bytes | float) -> bytes:
        """All that is said to it until the connection ends. A number is a pause in seconds."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        heard = bytearray()

        async def hear() -> None:
            with suppress(ConnectionError):
                while piece := await reader.read(65_536):
                    heard.extend(piece)

        hearing = asyncio.create_task(hear())
        for piece in pieces:
            if isinstance(piece, float):
                await asyncio.wait([hearing], timeout=piece)
            elif not hearing.done():
                writer.write(piece)
        async with asyncio.timeout(20):
            await hearing
        writer.close()
        return bytes(heard)


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    async with served() as echo:
        yield echo


@asynccontextmanager
async def served() -> AsyncIterator[Echo]:
    echo, ready = Echo(), asyncio.Event()
    with gateway.bound("127.0.0.1", 0) as listener:
        echo.port = listener.getsockname()[1]
        stopping = Stopping(None)
        serving = asyncio.create_task(gateway.serve(echo, listener, stopping, ready.set))
        async with asyncio.timeout(20):
            await ready.wait()
        try:
            yield echo
        finally:
            stopping.stop()
            await serving


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "PATIENCE_SECONDS", SOON)


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "PATIENCE_SECONDS", LATER)


def refusal(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"connection: close" in head
    return int(head.split()[1]), json.loads(body)["error"]["code"]


def answers(said: bytes) -> list[tuple[str, str]]:
    """Path and body of each request that was answered."""
    decoder, found = json.JSONDecoder(), []
    for part in said.split(b"HTTP/1.1 200 OK\r\n")[1:]:
        told: dict[str, Any] = decoder.raw_decode(part.partition(b"\r\n\r\n")[2].decode())[0]
        found.append((told["path"], told["body"]))
    return found


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 90_000,
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 90_000,
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a:b\r\n" * 300 + b"\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Long: " + b"a" * 90_000,
    ],
    ids=["url", "value", "headers", "trailer"],
)
async def test_a_head_that_never_ends_is_refused_long_before_it_is_large(echo: Echo, head: bytes) -> None:
    said = await echo.talk(head[:60_000], 0.1, head[60_000:])
    assert refusal(said) == (431, "request_head_too_large")
    assert echo.asked == []


async def test_why_a_head_is_refused_is_heard_by_who_sends_it_at_once(echo: Echo) -> None:
    assert refusal(await echo.talk(b"GET /?" + b"a" * 900_000 + b" HTTP/1.1\r\n\r\n"))[0] == 431


async def test_a_head_of_the_largest_size_and_a_body_of_any_are_read(echo: Echo) -> None:
    head = POST + b"X-Long: " + b"a" * 60_000 + b"\r\nConnection: close\r\nContent-Length: 300000\r\n\r\n"
    assert answers(await echo.talk(head + b"b" * 300_000)) == [("/echo", "b" * 300_000)]


@pytest.mark.usefixtures("hurried")
async def test_who_never_ends_a_head_is_disconnected(echo: Echo) -> None:
    assert await echo.talk() == b""
    assert refusal(await echo.talk(b"GET / HT", 0.1, b"TP/1.1\r\nHost: x\r\n")) == (408, "head_timeout")
    dripping = [piece for _ in range(8) for piece in (b"X: y\r\n", SOON / 6)]
    assert refusal(await echo.talk(b"GET / HTTP/1.1\r\n", *dripping)) == (408, "head_timeout")


@pytest.mark.usefixtures("hurried")
async def test_who_never_ends_a_body_is_disconnected_and_the_request_is_left(echo: Echo) -> None:
    head = POST + b"Content-Length: 100000\r\n\r\n"
    assert refusal(await echo.talk(head + b"a" * 50_000)) == (408, "body_timeout")
    dripping = [piece for _ in range(8) for piece in (b"a", SOON / 6)]
    assert refusal(await echo.talk(head, *dripping)) == (408, "body_timeout")
    assert (echo.left, echo.asked) == (2, [])


@pytest.mark.usefixtures("waiting")
async def test_who_sends_a_body_slowly_is_heard_to_its_end(echo: Echo) -> None:
    slowly = [piece for _ in range(8) for piece in (b"a" * 5_000, LATER / 4)]
    head = POST + b"Connection: close\r\nContent-Length: 40000\r\n\r\n"
    assert answers(await echo.talk(head, *slowly)) == [("/echo", "a" * 40_000)]


@pytest.mark.usefixtures("waiting")
async def test_while_we_do_not_read_it_is_not_the_client_that_is_late(echo: Echo) -> None:
    head = b"POST /later HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3000000\r\n\r\n"
    talking = asyncio.create_task(echo.talk(head + b"a" * 3_000_000))
    await asyncio.sleep(3 * LATER)
    echo.reads.set()
    assert answers(await talking) == [("/later", "a" * 3_000_000)]


@pytest.mark.usefixtures("hurried")
async def test_the_rest_of_a_body_that_nobody_reads_may_not_drip_for_ever(echo: Echo) -> None:
    dripping = [piece for _ in range(12) for piece in (b"a" * 5_000, SOON / 6)]
    said = await echo.talk(b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n", *dripping * 10)
    assert said.startswith(b"HTTP/1.1 401 Unauthorized\r\n")


@pytest.mark.usefixtures("waiting")
async def test_a_request_that_is_whole_may_take_its_time(echo: Echo) -> None:
    talking = asyncio.create_task(echo.talk(b"GET /later HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
    await asyncio.sleep(3 * LATER)
    echo.reads.set()
    assert answers(await talking) == [("/later", "")]


async def test_what_stands_in_a_trailer_is_no_header(echo: Echo) -> None:
    chunked = POST + b"X-Forwarded-For: 203.0.113.9\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
    trailer = b"0\r\nX-Forwarded-For: 10.1.2.3\r\nAuthorization: Bearer pk\r\n\r\n"
    said = await echo.talk(chunked + trailer + NEXT)
    assert answers(said) == [("/echo", "hello"), ("/next", "")]
    headers = echo.asked[0][2]
    assert (headers["x-forwarded-for"], headers.get("authorization")) == ("203.0.113.9", None)


@pytest.mark.parametrize("upgrade", [H2C, b"Connection: upgrade\r\nUpgrade: websocket\r\n"], ids=["h2c", "websocket"])
@pytest.mark.parametrize("pause", [0.0, 0.05])
async def test_who_offers_to_upgrade_is_answered_as_if_it_had_not(echo: Echo, upgrade: bytes, pause: float) -> None:
    """As Java's HttpClient does with each first request on plain HTTP."""
    sized = [POST, upgrade + b"Content-Length: 5\r\n\r\n", b"hel", b"lo"]
    chunked = [POST, b"Transfer-Encoding: chunked\r\n" + upgrade + b"\r\n5\r\nhe", b"llo\r\n0", b"\r\n\r\n"]
    bare = [b"GET /bare HTTP/1.1\r\n" + upgrade, b"\r\n"]
    pieces = [*bare, *sized, *chunked, *bare, NEXT]
    sent = [part for piece in pieces for part in (piece, pause)] if pause else [b"".join(pieces)]
    expected = [("/bare", ""), ("/echo", "hello"), ("/echo", "hello"), ("/bare", ""), ("/next", "")]
    assert answers(await echo.talk(*sent)) == expected
    assert echo.asked[1][2]["content-length"] == "5"


@pytest.mark.parametrize("upgrade", [b"", H2C], ids=["plain", "h2c"])
@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: 5\r\nContent-Length: 5\r\n",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Transfer-Encoding: chunked, gzip\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length: 5, 5\r\n",
        b"Content-Length:\r\n",
        b"Transfer-Encoding:\r\n chunked\r\n",
        b"Content-Length : 5\r\n",
    ],
)
async def test_framing_that_may_be_read_in_two_ways_is_refused_whoever_offers_to_upgrade(
    echo: Echo, framing: bytes, upgrade: bytes
) -> None:
    said = await echo.talk(POST + framing + upgrade + b"\r\nhello" + NEXT)
    assert refusal(said) == (400, "invalid_http")
    assert echo.asked == []


async def test_an_upgrade_hides_no_request_in_a_body(echo: Echo) -> None:
    hidden = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
    said = await echo.talk(POST + H2C + b"Content-Length: %d\r\n\r\n" % len(hidden) + hidden + NEXT)
    assert answers(said) == [("/echo", hidden.decode()), ("/next", "")]


async def test_a_connect_is_refused_with_all_that_follows(echo: Echo) -> None:
    assert refusal(await echo.talk(b"CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n" + NEXT)) == (400, "invalid_http")
    assert echo.asked == []


async def test_connections_leave_descriptors_for_what_answers_them(echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "most_connections", lambda: 1)
    first = await asyncio.open_connection("127.0.0.1", echo.port)
    first[1].write(b"GET /first")
    await asyncio.sleep(0.1)
    assert await echo.talk() == b""
    first[1].write(b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answers(await first[0].read()) == [("/first", "")]
    first[1].close()


def test_the_limit_of_descriptors_is_raised_as_far_as_we_may(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: told.append(limits))
    for limits in [(1024, 20_000), (1024, 10**6), (1024, -1), (20_000, 20_000), (10**6, 10**6), (-1, -1)]:
        monkeypatch.setattr(resource, "getrlimit", lambda _, limits=limits: limits)
        protocol.raise_descriptor_limit()
        assert 512 < protocol.most_connections() < 65_536
    assert told == [(20_000, 20_000), (65_536, 10**6), (65_536, -1)]


async def test_a_body_that_is_held_in_memory_may_not_take_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """However steadily it drips."""
    monkeypatch.setattr(dependencies, "BODY_SECONDS", 0.2)

    async def dripping() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.01)

    transport = httpx.ASGITransport(create_app(platform()))
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    async with httpx.AsyncClient(transport=transport, base_url="http://paddock", headers=headers) as client:
        async with asyncio.timeout(20):
            response = await client.post("/v1/responses", content=dripping())
    assert (response.status_code, response.json()["error"]["code"]) == (400, "body_timeout")


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
async def test_who_offers_to_upgrade_and_wants_to_close_is_answered_too(echo: Echo, version: bytes) -> None:
    wish = (
        b"Connection: upgrade, close\r\nUpgrade: h2c\r\n" if version == b"1.1" else b"Connection: upgrade\r\nUpgrade: h2c\r\n"
    )
    said = await echo.talk(b"POST /echo HTTP/" + version + b"\r\nHost: x\r\n" + wish + b"Content-Length: 5\r\n\r\nhello")
    assert answers(said) == [("/echo", "hello")]


def test_a_system_that_does_not_let_us_open_more_files_does_not_keep_us_from_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (1_024, 10**6))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    protocol.raise_descriptor_limit()
