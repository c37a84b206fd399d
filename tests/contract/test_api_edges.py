"""The edges of the HTTP application: bugs, stalls, clients that leave, servers that stop. Its platform is a double."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from typing import Any

import httpx
import pytest
from openai._streaming import SSEDecoder
from starlette.types import Message, Receive, Scope, Send

from api import streaming
from api.app import create_app
from api.middleware import TrustedProxies
from api.one_look import OneLook
from core.bootstrap import Readiness
from core.errors import Unavailable
from core.events import TextDelta, TurnEnded, TurnStarted, TurnStatus
from tests.doubles.platform import KEY, platform

HEADERS = {"authorization": f"Bearer {KEY}"}
HELLO = TextDelta(item=0, text="Hello")
END = TurnEnded(status=TurnStatus.COMPLETED)
ASKED: dict[str, Any] = {"input": "hi", "stream": True}
CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}], "stream": True}


@asynccontextmanager
async def client_of(app: Any, address: str = "10.0.0.1") -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, client=(address, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://paddock", headers=HEADERS) as client:
        yield client


async def test_a_bug_is_a_500_that_tells_the_request_and_keeps_the_rest_for_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with client_of(create_app(platform(RuntimeError("secret state")))) as client:
        response = await client.post("/v1/responses", json={"input": "hi"})
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["type"]) == (500, "internal_error", "server_error")
    assert response.headers["x-request-id"] in error["message"]
    assert "content-security-policy" in response.headers
    assert "secret" not in response.text
    assert "secret state" in caplog.text


@pytest.mark.parametrize(("path", "body"), [("/v1/responses", ASKED), ("/v1/chat/completions", CHAT)])
@pytest.mark.parametrize(
    ("trouble", "code"), [(RuntimeError("secret"), "internal_error"), (Unavailable("the database is away"), "unavailable")]
)
async def test_trouble_amid_a_stream_is_its_last_event(path: str, body: Any, trouble: Exception, code: str) -> None:
    async with client_of(create_app(platform(TurnStarted(), HELLO, trouble))) as client:
        response = await client.post(path, json=body)
    assert response.status_code == 200
    data = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: {")]
    last = json.loads(data[-1])
    assert (last.get("error") or last)["code"] == code
    assert "secret" not in response.text


async def test_a_stream_whose_events_stop_before_the_end_says_so() -> None:
    async with client_of(create_app(platform(TurnStarted(), HELLO))) as client:
        response = await client.post("/v1/responses", json=ASKED)
        plain = await client.post("/v1/responses", json={"input": "hi"})
    assert response.text.splitlines()[-3] == "event: error"
    assert (plain.status_code, plain.json()["error"]["code"]) == (503, "server_lost")


async def test_frames_have_event_id_and_data_and_proxies_are_told_to_let_them_pass() -> None:
    async with client_of(create_app(platform(TurnStarted(), HELLO, END))) as client:
        response = await client.post("/v1/responses", json=ASKED)
    frames = response.text.split("\n\n")
    assert frames.pop() == ""
    for number, frame in enumerate(frames):
        event, ident, data = frame.split("\n")
        told = json.loads(data.removeprefix("data: "))
        assert event == f"event: {told['type']}"
        assert ident == f"id: {number}"
        assert told["sequence_number"] == number
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache, no-transform"
    assert response.headers["x-accel-buffering"] == "no"
    assert "content-length" not in response.headers


class Exchange:
    """A request to the application itself, with a client that can leave and a server that can stop."""

    def __init__(self, double: Any, path: str, body: Any) -> None:
        self.sent: list[Message] = []
        self.news = asyncio.Event()
        self._leaves = asyncio.Event()
        self._asked = [{"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}]
        headers = {**HEADERS, "content-type": "application/json"}
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "http_version": "1.1",
            "scheme": "http",
            "server": ("paddock", 80),
            "client": ("10.0.0.1", 1),
            "root_path": "",
        }
        self.task = asyncio.ensure_future(create_app(double)(scope, self._receive, self._send))

    async def _receive(self) -> Message:
        if self._asked:
            return self._asked.pop()
        await self._leaves.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        self.sent.append(message)
        self.news.set()

    @property
    def text(self) -> str:
        return b"".join(message.get("body", b"") for message in self.sent).decode()

    async def until(self, text: str) -> None:
        while text not in self.text:
            self.news.clear()
            await self.news.wait()

    def leave(self) -> None:
        self._leaves.set()


@pytest.mark.parametrize(("path", "body"), [("/v1/responses", ASKED), ("/v1/chat/completions", CHAT)])
async def test_when_the_client_leaves_its_reader_is_closed_before_the_request_ends(path: str, body: Any) -> None:
    double = platform(TurnStarted(), HELLO, None, END)
    exchange = Exchange(double, path, body)
    await exchange.until("Hello")
    exchange.leave()
    await exchange.task
    assert double.turns.left.is_set()
    assert "response.completed" not in exchange.text
    assert "[DONE]" not in exchange.text


@pytest.mark.parametrize(("path", "body"), [("/v1/responses", ASKED), ("/v1/chat/completions", CHAT)])
@pytest.mark.parametrize("streams", [True, False])
async def test_who_leaves_before_anything_was_said_is_noticed_too(path: str, body: Any, streams: bool) -> None:
    double = platform(None, END)
    exchange = Exchange(double, path, {**body, "stream": streams})
    await double.turns.waited_for.wait()
    exchange.leave()
    await exchange.task
    assert double.turns.left.is_set()
    assert not exchange.sent or exchange.sent[0]["status"] in (200, 499)


async def test_a_server_that_stops_says_so_to_who_is_listening() -> None:
    double = platform(TurnStarted(), HELLO, None, END)
    exchange = Exchange(double, "/v1/responses", ASKED)
    await exchange.until("Hello")
    exchange.task.cancel()
    await exchange.task
    assert double.turns.left.is_set()
    last = json.loads(exchange.text.strip().rpartition("data: ")[2])
    assert (last["type"], last["code"]) == ("error", "server_shutdown")
    assert exchange.sent[-1]["more_body"] is False


async def test_a_server_that_stops_answers_who_still_waits() -> None:
    double = platform(TurnStarted(), None, END)
    exchange = Exchange(double, "/v1/responses", {"input": "hi"})
    await double.turns.waited_for.wait()
    exchange.task.cancel()
    await exchange.task
    assert double.turns.left.is_set()
    assert exchange.sent[0]["status"] == 503
    assert json.loads(exchange.text)["error"]["code"] == "server_shutdown"


async def test_a_silent_stream_is_kept_alive_by_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "HEARTBEAT_SECONDS", 0.01)
    double = platform(TurnStarted(), HELLO, None, END)
    exchange = Exchange(double, "/v1/responses", ASKED)
    await exchange.until(": still here\n: still here\n")
    double.turns.go_on.set()
    await exchange.task
    read = list(SSEDecoder().iter_bytes(iter([exchange.text.encode()])))
    assert all(json.loads(event.data)["type"] == event.event for event in read)
    assert read[-1].event == "response.completed"


async def test_what_is_down_is_told_by_readiness() -> None:
    down = Readiness(ready=False, checks={"database": "connection refused", "redis": "ok"})
    async with client_of(create_app(platform(readiness=down))) as client:
        response = await client.get("/health/ready")
    assert response.status_code == 503
    assert response.json() == {"status": "unavailable", "checks": {"database": "connection refused", "redis": "ok"}}


async def test_however_many_ask_for_readiness_at_once_they_cost_one_look() -> None:
    double, looks, go_on = platform(), 0, asyncio.Event()

    async def readiness() -> Readiness:
        nonlocal looks
        looks += 1
        await go_on.wait()
        return Readiness(ready=looks == 1, checks={"looks": str(looks)})

    double.readiness = readiness
    async with client_of(create_app(double)) as client:
        asking = [asyncio.create_task(client.get("/health/ready")) for _ in range(200)]
        while not looks:
            await asyncio.sleep(0)
        go_on.set()
        answers = await asyncio.gather(*asking)
        later = await client.get("/health/ready")
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["checks"]["looks"] for answer in answers} == {"1"}
    assert later.json() == {"status": "unavailable", "checks": {"looks": "2"}}, "what was found before is not told again"


@pytest.mark.parametrize("leaves", [0, 1], ids=["the first", "another"])
async def test_one_who_stops_asking_for_readiness_takes_the_answer_from_nobody(leaves: int) -> None:
    go_on, looking = asyncio.Event(), asyncio.Event()

    async def look() -> str:
        looking.set()
        await go_on.wait()
        return "well"

    readiness = OneLook(look)
    asking = [asyncio.create_task(readiness.found()) for _ in range(3)]
    await looking.wait()
    gone = asking.pop(leaves)
    gone.cancel()
    await asyncio.wait([gone])
    go_on.set()
    assert gone.cancelled()
    assert await asyncio.gather(*asking) == ["well", "well"]


async def test_a_look_that_raises_is_nobody_elses_answer() -> None:
    looks = 0

    async def look() -> str:
        nonlocal looks
        looks += 1
        await asyncio.sleep(0)
        if looks == 1:
            raise RuntimeError("a bug")
        return "well"

    readiness = OneLook(look)
    first, *others = await asyncio.gather(*(readiness.found() for _ in range(3)), return_exceptions=True)
    assert isinstance(first, RuntimeError)
    assert others == ["well", "well"]
    assert looks == 2


ORIGIN = "https://app.example.com"


@pytest.mark.parametrize("header", ["x-stainless-os", "x-stainless-retry-count", "openai-organization", "tracestate"])
async def test_a_page_of_an_origin_that_may_ask_sends_the_headers_that_its_client_has(header: str) -> None:
    asked = {"access-control-request-method": "POST", "access-control-request-headers": f"authorization,content-type,{header}"}
    async with client_of(create_app(platform(settings={"cors_origins": [ORIGIN]}))) as client:
        may = await client.options("/v1/responses", headers={**asked, "origin": ORIGIN})
        may_not = await client.options("/v1/responses", headers={**asked, "origin": "https://evil.example"})
    assert may.status_code == 200
    assert header in may.headers["access-control-allow-headers"]
    assert may.headers["access-control-allow-origin"] == ORIGIN
    assert may_not.status_code == 400
    assert "access-control-allow-origin" not in may_not.headers
    assert "access-control-allow-credentials" not in may.headers


async def test_a_page_of_another_origin_may_read_every_header_that_is_ours() -> None:
    app = create_app(platform(TurnStarted(), END, settings={"cors_origins": [ORIGIN]}))
    async with client_of(app) as client:
        answer = await client.post("/v1/responses", json={"input": "hi"}, headers={"origin": ORIGIN})
    exposed = answer.headers["access-control-expose-headers"].split(", ")
    ours = {name for name in answer.headers if name.startswith("x-paddock-")}
    assert {"x-paddock-cost-estimate", "x-paddock-turn-id"} <= ours <= set(exposed)
    assert {"x-request-id", "retry-after", "x-ratelimit-remaining-tokens"} <= set(exposed)


async def test_the_limit_of_a_body_is_exact() -> None:
    app = create_app(platform(TurnStarted(), END, settings={"limits": {"request_body_bytes": 1024}}))
    room = 1024 - len(b'{"input": ""}')
    async with client_of(app) as client:
        json_type = {"content-type": "application/json"}
        fits = await client.post("/v1/responses", content=b'{"input": "%s"}' % (b"a" * room), headers=json_type)
        too_large = await client.post("/v1/responses", content=b'{"input": "%s"}' % (b"a" * (room + 1)), headers=json_type)
        lies = {**json_type, "content-length": "5"}
        lied = await client.post("/v1/responses", content=b'{"input": "%s"}' % (b"a" * 5000), headers=lies)
    assert [fits.status_code, too_large.status_code, lied.status_code] == [200, 413, 413]


@pytest.mark.parametrize(
    ("peer", "forwarded", "told"),
    [
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "6.6.6.6, 203.0.113.9, 10.0.0.2", "203.0.113.9"),  # the first is what the client made up
        ("10.0.0.1", "nonsense", None),  # not the proxy, at least
        ("10.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
        ("10.0.0.1", "[2001:db8::9]:4711", "2001:db8::9"),
        ("203.0.113.9", "6.6.6.6", "203.0.113.9"),  # nobody that we trust says so
        ("::ffff:10.0.0.1", "6.6.6.6, ::ffff:203.0.113.9, ::ffff:10.0.0.2", "203.0.113.9"),  # a socket of IPv6 takes IPv4 too
        ("::ffff:203.0.113.9", "6.6.6.6", "203.0.113.9"),
        ("2001:db8::9", "6.6.6.6", "2001:db8::9"),
    ],
)
async def test_only_trusted_proxies_tell_where_a_request_is_from(
    caplog: pytest.LogCaptureFixture, peer: str, forwarded: str, told: str | None
) -> None:
    caplog.set_level(logging.INFO, logger="paddock.access")
    app = create_app(platform(settings={"trusted_proxies": ["10.0.0.0/8"]}))
    async with client_of(app, peer) as client:
        await client.get("/health/live", headers={"x-forwarded-for": forwarded})
    [line] = [json.loads(record.getMessage()) for record in caplog.records if record.name == "paddock.access"]
    assert line["client"] == told


@pytest.mark.parametrize(("peer", "status"), [("127.0.0.1", 200), ("::ffff:127.0.0.1", 200), ("::ffff:203.0.113.9", 401)])
async def test_metrics_are_for_near_networks_whatever_the_socket_calls_their_addresses(peer: str, status: int) -> None:
    app = create_app(platform(settings={"metrics_networks": ["127.0.0.0/8"]}))
    transport = httpx.ASGITransport(app, client=(peer, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://paddock") as client:
        assert (await client.get("/metrics")).status_code == status


async def test_what_a_proxy_adds_below_the_lines_of_a_client_is_what_counts() -> None:
    """As HAProxy's `option forwardfor` does: lines of one name are one list."""
    seen: list[tuple[str, str]] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append((scope["client"][0], scope["scheme"]))

    lines = [
        (b"x-forwarded-for", b"10.0.0.9"),
        (b"x-forwarded-for", b"203.0.113.7, 10.0.0.2"),
        (b"x-forwarded-proto", b"https"),
    ]
    proxied = TrustedProxies(app, [ip_network("10.0.0.0/8")])
    scope = {"type": "http", "client": ("10.0.0.1", 4242), "scheme": "http"}
    await proxied({**scope, "headers": lines}, nothing, nowhere)
    await proxied({**scope, "headers": [*lines, (b"x-forwarded-proto", b"http")]}, nothing, nowhere)
    assert seen == [("203.0.113.7", "https"), ("203.0.113.7", "http")]


async def nothing() -> Message:
    raise AssertionError("nobody reads the body")


async def nowhere(_message: Message) -> None:
    raise AssertionError("nobody answers")


async def test_a_request_with_two_keys_is_nobodys() -> None:
    """Whoever stands before us may have looked at the other one."""
    async with client_of(create_app(platform(TurnStarted(), END))) as client:
        del client.headers["authorization"]
        given = [
            await client.post("/v1/responses", json={"input": "hi"}, headers=list(HEADERS.items()) * times) for times in (1, 2)
        ]
    assert [answer.status_code for answer in given] == [200, 401]
