"""What every request passes through: its ids, the proxy before us, security headers, the access log, and the last resort.

Pure ASGI, so that a streamed body is not copied and a client that hangs up is seen.
"""

import asyncio
import json
import logging
import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.addresses import address_of
from api.errors import error_response
from api.ratelimit import ratelimit_headers
from core.errors import PaddockError, Unavailable
from core.limits.standing import STANDING
from core.telemetry.telemetry import Telemetry

log = logging.getLogger(__name__)
BRACKETED = re.compile(r"\[([^]]*)](?::\d*)?")
REQUEST_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)

access = logging.getLogger("paddock.access")  # its messages are JSON already


class TrustedProxies:
    """Takes the client's address and scheme from X-Forwarded-For and -Proto, from proxies that the operator names alone.

    A client whose address such a proxy does not know is None. state["vouched_for"]: that the address is from such a proxy.
    """

    def __init__(self, app: ASGIApp, networks: Sequence[IPv4Network | IPv6Network]) -> None:
        self._app = app
        self._networks = networks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        if scope["type"] == "http" and client and self._trusts(client[0]):
            headers = Headers(scope=scope)
            match _elements(headers, "x-forwarded-proto"):
                case [*_, "http" | "https" as scheme]:
                    scope["scheme"] = scheme
            if forwarded := _elements(headers, "x-forwarded-for"):
                origin = self._origin(forwarded)
                scope["client"] = None if origin is None else (origin, 0)
                scope["state"] = {**scope.get("state", {}), "vouched_for": True}
        await self._app(scope, receive, send)

    def _origin(self, forwarded: Sequence[str]) -> str | None:
        """The last address that no trusted proxy vouches for; what stands before it may be made up."""
        address = None
        for told in reversed(forwarded):
            address = _address(told)
            if address is None or not self._trusts(address):
                break
        return address

    def _trusts(self, text: str) -> bool:
        address = address_of(text)
        return address is not None and any(address in network for network in self._networks)


def _elements(headers: Headers, name: str) -> list[str]:
    """Of all its lines, which are one list: some proxies add a line of their own below those that the client sent."""
    return [part.strip() for part in ",".join(headers.getlist(name)).split(",") if part.strip()]


def _address(text: str) -> str | None:
    """Some proxies add the port. None for a name, or what hides one."""
    if found := BRACKETED.fullmatch(text):
        text = found[1]
    elif text.count(":") == 1:
        text = text[: text.index(":")]
    return None if address_of(text) is None else text


def _as_rules_have_it(scope: Scope) -> tuple[str, int] | None:
    """The client, which has no address where it is behind a Unix socket."""
    client: tuple[str, int] | None = scope.get("client")
    address = None if client is None else address_of(client[0])
    return client if client is None or address is None else (str(address), client[1])


class Rim:
    """Gives each request its ids, each response the security headers, and each exchange one line of log.

    An exception that nobody meant becomes a 500 that tells the request's id; its traceback goes to the log alone.
    """

    def __init__(self, app: ASGIApp, *, headers: Mapping[str, str], telemetry: Telemetry) -> None:
        self._app = app
        self._telemetry = telemetry
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["client"] = _as_rules_have_it(scope)
        exchange = Exchange(scope, self._telemetry)
        STANDING.set(None)
        scope["state"] = {**scope.get("state", {}), "request_id": exchange.request_id, "trace_id": exchange.trace_id}

        async def send_more(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                message["headers"] = [*message["headers"], *self._headers, *exchange.headers, *ratelimit_headers()]
                exchange.tell_its_turn(message)
            elif message["type"] == "http.response.body":
                exchange.sent_bytes += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, send_more)
        except asyncio.CancelledError:  # by the server, which waits for no more than this
            if exchange.status is None:
                await error_response(Unavailable("the server is stopping", code="server_shutdown"))(scope, receive, send_more)
        except Exception:
            log.exception("request %s failed", exchange.request_id)
            if exchange.status is None:
                await error_response(PaddockError(f"internal error; request {exchange.request_id}"))(scope, receive, send_more)
        finally:
            exchange.end()
            access.info(exchange.line())


class Exchange:
    def __init__(self, scope: Scope, telemetry: Telemetry) -> None:
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        self._watch = telemetry.request(scope["method"], headers)
        self.request_id = given if REQUEST_ID.fullmatch(given) else f"req_{secrets.token_hex(16)}"
        self.trace_id = self._watch.trace_id
        self.headers = [(b"x-request-id", self.request_id.encode()), (b"x-paddock-trace-id", self.trace_id.encode())]
        if scope["path"].startswith("/admin/"):  # an answer may hold a secret that is shown once
            self.headers.append((b"cache-control", b"no-store"))
        self.status: int | None = None
        self.sent_bytes = 0
        self._scope = scope

    @property
    def _route(self) -> str | None:
        """Its template."""
        return getattr(self._scope.get("route"), "path", None)

    def tell_its_turn(self, message: Message) -> None:
        """The request was accepted, or may have been, and has no key: OpenAI's clients, which come again after most failures,
        would have its tools called twice. They are told not to, and which turn to look at, whoever made the answer.
        """
        turn_id = self._scope["state"].get("turn_id")
        if turn_id is not None and not 200 <= message["status"] < 300:
            headers = MutableHeaders(scope=message)
            headers["x-should-retry"] = "false"
            headers.setdefault("x-paddock-turn-id", turn_id)

    def end(self) -> None:
        principal = self._scope["state"].get("principal")
        told = {"paddock.request.id": self.request_id}
        if principal is not None:
            told |= {"paddock.organization.id": principal.organization_id, "paddock.key.id": principal.key_id}
        self._watch.end(self._route, self.status, told)

    def line(self) -> str:
        """No query, header or body: any of them may hold a secret. The path is told as its route's template."""
        scope = self._scope
        principal = scope["state"].get("principal")
        told: dict[str, Any] = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "method": scope["method"],
            "route": self._route,
            "status": self.status,
            "milliseconds": round(self._watch.seconds * 1000, 2),
            "bytes": self.sent_bytes,
            "client": scope["client"][0] if scope.get("client") else None,
            "request_id": self.request_id,
            "trace_id": self.trace_id,
            "organization": getattr(principal, "organization_id", None),
            "key": getattr(principal, "key_id", None),
        }
        return json.dumps(told)
