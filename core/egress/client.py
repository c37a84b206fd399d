"""HTTP to addresses that users chose: one request, judged, bounded in time and size. Knows no tool and no webhook."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from errno import EACCES

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from core.egress.addresses import AddressRules, literal
from core.egress.names import Names
from core.egress.shares import NOBODY, OWNER, Shares

CONNECT_SECONDS = 10.0
CONNECTIONS, CONNECTIONS_OF_ONE = 512, 64
REDIRECTS = {301, 302, 303, 307, 308}

log = logging.getLogger(__name__)


class EgressError(Exception):
    """No whole answer came. The message names host and cause, and nothing that was sent."""


class EgressRefused(EgressError):
    """It must not be spoken to: asking again would not help."""


class EgressFailed(EgressError):
    """It could not be reached, or did not answer as it should."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """url: encoded; taken as it is. kept: names of headers, in small letters, that go along to another origin.

    owner: whose it is; of each owner only so many are under way at once.
    """

    method: str
    url: URL
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    kept: frozenset[str] = frozenset()
    body: bytes | None = field(default=None, repr=False)
    owner: str = NOBODY


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


Judge = Callable[[str, URL], None]
"""Given the method and the address of a request, also of one that a redirect asks for. Raises `EgressRefused`."""


class Egress:
    def __init__(self, session: aiohttp.ClientSession, rules: AddressRules) -> None:
        self._session = session
        self._rules = rules
        self._shares = Shares(CONNECTIONS_OF_ONE)

    async def send(self, request: Request, *, seconds: float, body_bytes: int, judge: Judge, redirects: int = 0) -> Answer:
        """seconds: for all of it. body_bytes: the largest body that is taken. redirects: how many are followed; beyond none is
        a failure, but with 0 a redirect is an answer like others.

        Raises `EgressError`.
        """
        try:
            async with asyncio.timeout(seconds), self._shares.of(request.owner):
                OWNER.set(request.owner)
                for _ in range(redirects + 1):
                    judge(request.method, request.url)
                    answer = await self._once(request, body_bytes)
                    if not redirects or answer.status not in REDIRECTS or "Location" not in answer.headers:
                        return answer
                    request = _redirected(request, answer)
        except TimeoutError:
            raise EgressFailed(f"{request.url.host}: no whole answer within {seconds:g} s") from None
        raise EgressFailed(f"{request.url.host}: more than {redirects} redirects")

    def refusal(self, host: str) -> str | None:
        """Why there would be no connection to it, where the host is an address; a name is judged by what it resolves to."""
        address = literal(host)
        return None if address is None else self._rules.refusal(address)

    async def _once(self, request: Request, body_bytes: int) -> Answer:
        host = request.url.host
        if request.url.scheme not in ("http", "https") or not host or request.url.user is not None:
            raise EgressRefused("only plain http and https addresses are spoken to")
        if refusal := self.refusal(host):  # the client library asks no resolver about these
            raise EgressRefused(refusal)
        try:
            async with self._session.request(
                request.method, request.url, headers=request.headers, data=request.body, allow_redirects=False
            ) as response:
                body = await _read(response, body_bytes)
                return Answer(status=response.status, headers=response.headers, body=body)
        except aiohttp.ClientConnectorCertificateError as exc:
            raise EgressFailed(f"{host}: its certificate is not valid") from exc
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            raise EgressFailed(f"{host}: {_cause(exc)}") from exc


async def _read(response: aiohttp.ClientResponse, body_bytes: int) -> bytes:
    """As it came: what is compressed, though we asked for identity, could unfold to any size."""
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding.strip().lower() not in ("identity", ""):
        raise EgressFailed(f"{response.url.host}: answered in the encoding {encoding[:40]!r}, which was not asked for")
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > body_bytes:
            raise EgressFailed(f"{response.url.host}: answered more than {body_bytes} bytes")
    return bytes(body)


def _redirected(request: Request, answer: Answer) -> Request:
    """Another origin gets no header that a secret may be in; https never leads to http."""
    try:
        url = request.url.join(URL(answer.headers["Location"]))
        same = (url.origin(), url.host) == (request.url.origin(), request.url.host)  # a name of bad IDNA raises too
    except ValueError as exc:
        raise EgressFailed(f"{request.url.host}: redirects to what is no address") from exc
    if request.url.scheme == "https" and url.scheme != "https":
        raise EgressRefused(f"{request.url.host}: redirects from https to {url.scheme[:20]!r}")
    kept = {name: value for name, value in request.headers.items() if same or name.lower() in request.kept}
    moved = replace(request, url=url.with_fragment(None), headers=kept)
    if answer.status == 303 or (answer.status in (301, 302) and request.method == "POST"):
        method = "HEAD" if request.method == "HEAD" else "GET"
        return replace(moved, method=method, body=None)
    return moved


def _cause(exc: Exception) -> str:
    match exc:
        case aiohttp.ClientConnectorDNSError():
            return "the name cannot be resolved"
        case aiohttp.ConnectionTimeoutError():
            return "no connection in time"
        case aiohttp.ClientConnectorError():
            return "no connection could be made"
        case _:
            return f"the connection failed ({type(exc).__name__})"


class _JudgingResolver(AbstractResolver):
    """Asks once for each connection; one bad address among several spoils them all. Which one is for the operator's log: a
    stranger who is told it reads the names of the house.
    """

    def __init__(self, resolver: AbstractResolver, rules: AddressRules) -> None:
        self._resolver = resolver
        self._rules = rules

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        for result in found:
            if refusal := self._rules.refusal(result["host"]):
                log.info("no connection to %s: %s", host, refusal)
                raise EgressRefused(f"{host}: it leads to a private address; the operator can allow it (egress.allow_private)")
        return found

    async def close(self) -> None:
        await self._resolver.close()


@asynccontextmanager
async def open_egress(rules: AddressRules, resolver: AbstractResolver | None = None) -> AsyncIterator[Egress]:
    """Every connection is new, goes to an address that was judged for it, and by no proxy."""

    def judged_socket(info: tuple[int, int, int, str, tuple[object, ...]]) -> socket.socket:
        family, kind, protocol, _, address = info
        if refusal := rules.refusal(str(address[0])):
            raise OSError(EACCES, refusal)
        return socket.socket(family, kind, protocol)

    names = resolver or Names()
    connector = aiohttp.TCPConnector(
        resolver=_JudgingResolver(names, rules),
        use_dns_cache=False,
        force_close=True,
        limit=CONNECTIONS,
        socket_factory=judged_socket,
    )
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
        headers={"Accept-Encoding": "identity", "User-Agent": "Paddock"},
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    ) as session:
        try:
            yield Egress(session, rules)
        finally:
            await names.close()
