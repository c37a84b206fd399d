"""HTTP to addresses that others chose: what must not be spoken to, and what hostile servers do."""

import asyncio
import gzip
import socket
import threading
from collections.abc import AsyncIterator, Sequence
from ipaddress import ip_network
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from core.egress.addresses import AddressRules
from core.egress.client import Answer, Egress, EgressError, EgressFailed, EgressRefused, Request, open_egress
from tests.doubles.web import Web, open_web

LOOPBACK = AddressRules(allow_private=[ip_network("127.0.0.0/8")])
EVERYTHING = AddressRules(allow_private=[ip_network("0.0.0.0/0"), ip_network("::/0")])


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with open_web() as opened:
        yield opened


@pytest.fixture
async def egress() -> AsyncIterator[Egress]:
    async with open_egress(LOOPBACK) as opened:
        yield opened


def anything(_method: str, _url: URL) -> None:
    """Grants all."""


async def get(
    egress: Egress, url: str, *, seconds: float = 5, body_bytes: int = 10_000, redirects: int = 0, owner: str = ""
) -> Answer:
    request = Request(method="GET", url=URL(url, encoded=True), headers={"Authorization": "secret"}, owner=owner)
    return await egress.send(request, seconds=seconds, body_bytes=body_bytes, judge=anything, redirects=redirects)


PRIVATE = [
    "64:ff9b:1:7f00:0:100:808:808",
    "127.0.0.1",
    "127.255.255.254",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "192.0.0.1",
    "198.18.0.1",
    "240.0.0.1",
    "::1",
    "fc00::1",
    "fd12:3456::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::a00:1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2001:db8::1",
]
NEVER = [
    "64:ff9b:1:a9fe:a9:fe00:808:808",  # 169.254.169.254 for a translator of /48
    "64:ff9b:1:a9:fe:a9fe:808:808",  # of /56
    "64:ff9b:1:0:a9:fea9:fe08:808",  # of /64
    "64:ff9b:1::a9fe:a9fe",
    "0.0.0.0",
    "0.1.2.3",
    "169.254.169.254",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::",
    "2001:0:7f00:1::",
    "100.100.100.200",
    "168.63.129.16",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "ff02::1",
]
PUBLIC = [
    "1.1.1.1",
    "93.184.215.14",
    "172.32.0.1",
    "100.63.255.255",
    "2606:4700::1111",
    "::ffff:1.1.1.1",
    "64:ff9b::101:101",
    "64:ff9b:1::101:101",
]


@pytest.mark.parametrize("address", [*PRIVATE, *NEVER])
def test_an_address_that_is_not_of_the_internet_is_refused(address: str) -> None:
    assert AddressRules().refusal(address) is not None


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_internet_is_not_refused(address: str) -> None:
    assert AddressRules().refusal(address) is None


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_is_open_when_the_operator_says_so(address: str) -> None:
    assert EVERYTHING.refusal(address) is None


@pytest.mark.parametrize("address", NEVER)
def test_metadata_link_local_and_multicast_stay_closed_whatever_the_operator_says(address: str) -> None:
    assert EVERYTHING.refusal(address) is not None


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "localhost.",
        "LOCALHOST",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "127.0.0.1.",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[0:0:0:0:0:0:0:1]",
        "0.0.0.0",
        "0",
        "[::]",
        "169.254.169.254",
        "[fe80::1%25lo]",
        "\uff11\uff12\uff17.0.0.1",
        "①②⑦.0.0.1",
    ],
)
async def test_no_way_to_write_this_machine_leads_to_it(web: Web, host: str) -> None:
    web.says("/")
    async with open_egress(AddressRules()) as egress:
        with pytest.raises((EgressError, ValueError)):
            await get(egress, f"http://{host}:{web.port}/")
    assert web.requests == []


@pytest.mark.parametrize(
    "url", ["ftp://1.1.1.1/", "file:///etc/passwd", "gopher://1.1.1.1/", "http://a:b@1.1.1.1/", "//x", "/x", ""]
)
async def test_only_plain_http_addresses_are_spoken_to(egress: Egress, url: str) -> None:
    with pytest.raises(EgressRefused):
        await get(egress, url)


class Names(AbstractResolver):
    """answers: what each question in turn is told."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.left = list(answers)

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)
            for address in self.left.pop(0)
        ]

    async def close(self) -> None:
        """Nothing is open."""


async def test_a_name_is_asked_for_once_and_the_connection_goes_to_what_was_judged(web: Web) -> None:
    web.says("/", b'"here"')
    names = Names(["127.0.0.1"], ["10.0.0.1"])  # a second question would be told another address
    async with open_egress(LOOPBACK, names) as egress:
        assert (await get(egress, f"http://rebinding.example:{web.port}/")).body == b'"here"'
        with pytest.raises(EgressRefused, match=r"rebinding\.example: it leads to a private address"):
            await get(egress, f"http://rebinding.example:{web.port}/")
    assert names.left == []


async def test_a_name_with_one_private_address_among_public_ones_is_refused() -> None:
    async with open_egress(AddressRules(), Names(["1.1.1.1", "192.168.0.1"])) as egress:
        with pytest.raises(EgressRefused, match=r"mixed\.example: it leads to a private address") as refused:
            await get(egress, "http://mixed.example/")
    assert "192.168.0.1" not in str(refused.value), "nobody reads the names of the house by asking us"


async def test_names_whose_servers_never_answer_keep_nobody_elses_threads(monkeypatch: pytest.MonkeyPatch, web: Web) -> None:
    web.says("/", b'"here"')
    answered, ask = threading.Event(), socket.getaddrinfo

    def getaddrinfo(host: str, *more: Any) -> Any:
        return ask(host, *more) if "hanging" not in host or answered.wait(30) else []

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    async with asyncio.timeout(20), open_egress(LOOPBACK) as egress:
        try:
            for n in range(20):
                with pytest.raises(EgressFailed, match="no whole answer within"):
                    await get(egress, f"http://hanging-{n}.example/", seconds=0.01)
            assert await asyncio.to_thread(lambda: "files are read") == "files are read"
            assert (await get(egress, f"http://localhost:{web.port}/")).body == b'"here"'
        finally:
            answered.set()


async def test_what_one_owner_keeps_hanging_is_his_and_everybody_else_is_served(
    monkeypatch: pytest.MonkeyPatch, web: Web
) -> None:
    answered, ask = threading.Event(), socket.getaddrinfo

    def getaddrinfo(host: str, *more: Any) -> Any:
        return ask(host, *more) if "hanging" not in host or answered.wait(30) else []

    async def never(_writer: asyncio.StreamWriter) -> None:
        await asyncio.to_thread(answered.wait, 30)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    web.answers["/tarpit"] = never
    web.says("/", b'"here"')
    async with asyncio.timeout(30), open_egress(LOOPBACK) as egress:
        try:
            for n in range(200):
                with pytest.raises(EgressFailed, match="no whole answer within"):
                    await get(egress, f"http://hanging-{n}.example/", seconds=0.01, owner="one")
            tarpit = [get(egress, f"{web.origin}/tarpit", seconds=20, owner="two") for _ in range(600)]
            held_up = asyncio.gather(*tarpit, return_exceptions=True)
            for owner in ("three", ""):
                assert (await get(egress, f"http://localhost:{web.port}/", owner=owner)).body == b'"here"'
            held_up.cancel()
        finally:
            answered.set()


# Hostile answers


async def test_an_answer_that_is_too_long_is_cut_off(web: Web, egress: Egress) -> None:
    sent = 0

    async def flood(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 200000000\r\n\r\n")
        for _ in range(2000):
            writer.write(b"x" * 100_000)
            sent += 100_000
            await writer.drain()

    web.answers["/"] = flood
    with pytest.raises(EgressFailed, match="more than 10000 bytes"):
        await get(egress, web.origin)
    assert sent < 50_000_000


async def test_an_answer_that_never_comes_ends_in_time(web: Web, egress: Egress) -> None:
    async def never(_writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    web.answers["/"] = never
    with pytest.raises(EgressFailed, match=r"no whole answer within 0\.2 s"):
        await get(egress, web.origin, seconds=0.2)


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nX-", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"])
async def test_an_answer_that_drips_ends_in_time(web: Web, egress: Egress, head: bytes) -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        for _ in range(1000):
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    web.answers["/"] = drip
    with pytest.raises(EgressFailed, match="no whole answer"):
        await get(egress, web.origin, seconds=0.3)


async def test_a_compressed_answer_is_not_unfolded(web: Web, egress: Egress) -> None:
    web.says("/", gzip.compress(bytes(10**7)), Content_Encoding="gzip")
    with pytest.raises(EgressFailed, match="in the encoding 'gzip', which was not asked for"):
        await get(egress, web.origin, body_bytes=10**6)
    assert b"Accept-Encoding: identity\r\n" in web.requests[0]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\0\xff" * 1000,
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(100_000)) + b"\r\n",
        b"HTTP/1.1 200 OK\r\n" * 100_000,
    ],
)
async def test_what_is_no_http_is_a_failure(web: Web, egress: Egress, answer: bytes) -> None:
    web.answers["/"] = answer
    with pytest.raises(EgressFailed):
        await get(egress, web.origin, body_bytes=50)


# Redirects


async def test_a_redirect_is_an_answer_unless_it_is_to_be_followed(web: Web, egress: Egress) -> None:
    web.says("/", status="302 Found", Location="/next")
    web.says("/next", b'"there"')

    assert (await get(egress, web.origin)).status == 302
    assert (await get(egress, web.origin, redirects=1)).body == b'"there"'


async def test_redirects_in_a_circle_end(web: Web, egress: Egress) -> None:
    web.says("/", status="302 Found", Location="/")
    with pytest.raises(EgressFailed, match="more than 3 redirects"):
        await get(egress, web.origin, redirects=3)
    assert len(web.requests) == 4


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:169.254.169.254]/",
        "http://10.0.0.1/",
        "http://0x0a000001/",
        "//10.0.0.1/",
        "http://user:password@127.0.0.1/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://[::1/",
        "http://127.0.0.1:99999/",
        "http://xn--a/",
        "",
    ],
)
async def test_a_redirect_to_what_is_not_allowed_is_not_followed(web: Web, egress: Egress, location: str) -> None:
    web.says("/", status="302 Found", Location=location)
    with pytest.raises(EgressError):
        await get(egress, web.origin, redirects=1)


async def test_each_redirect_is_judged_like_the_first_address(web: Web, egress: Egress) -> None:
    web.says("/", status="307 Temporary Redirect", Location="/elsewhere")

    def judge(method: str, url: URL) -> None:
        if url.path != "/":
            raise EgressRefused(f"not granted: {method} {url.path}")

    with pytest.raises(EgressRefused, match="not granted: GET /elsewhere"):
        await egress.send(Request(method="GET", url=URL(web.origin)), seconds=5, body_bytes=9, judge=judge, redirects=3)
    assert len(web.requests) == 1


async def test_another_origin_gets_no_header_that_was_meant_for_the_first(web: Web, egress: Egress) -> None:
    async with open_web() as other:
        other.says("/", b'"other"')
        web.says("/", status="302 Found", Location=f"{other.origin}/")

        assert (await get(egress, web.origin, redirects=1)).body == b'"other"'
        assert b"Authorization: secret\r\n" in web.requests[0]
        assert b"secret" not in other.requests[0]


async def test_a_post_that_is_redirected_becomes_a_get_unless_the_answer_keeps_its_method(web: Web, egress: Egress) -> None:
    web.says("/next")
    for status, method in (("303 See Other", b"GET"), ("302 Found", b"GET"), ("307 Temporary Redirect", b"POST")):
        web.says("/", status=status, Location="/next")
        request = Request(method="POST", url=URL(web.origin), body=b"body")
        await egress.send(request, seconds=5, body_bytes=9, judge=anything, redirects=1)
        assert web.requests[-1].startswith(method)
        assert web.requests[-1].endswith(b"body") is (method == b"POST")
