"""What every request passes through: its ids, the proxy before us, security headers, the access log, and the last resort.

Pure ASGI, so that a streamed body is not copied and a client that hangs up is seen.
"""

import asyncio
import json
import logging
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import error_response
from api.ratelimit import ratelimit_headers
from core.errors import PaddockError, Unavailable
from core.limits.standing import STANDING

log = logging.getLogger(__name__)
REQUEST_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)
TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

access = logging.getLogger("paddock.access")  # its messages are JSON already


class TrustedProxies:
    """Takes the client's address and scheme from X-Forwarded-For and -Proto, from proxies that the operator names alone."""

    def __init__(self, app: ASGIApp, networks: Sequence[IPv4Network | IPv6Network]) -> None:
        self._app = app
        self._networks = networks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        if scope["type"] == "http" and client and self._trusts(client[0]):
            headers = Headers(scope=scope)
            if (scheme := headers.get("x-forwarded-proto", "").strip()) in ("http", "https"):
                scope["scheme"] = scheme
            scope["client"] = (self._origin(headers.get("x-forwarded-for", ""), client[0]), 0)
        await self._app(scope, receive, send)

    def _origin(self, forwarded: str, peer: str) -> str:
        """The last address that no trusted proxy vouches for; what stands before it may be made up."""
        for address in reversed([part.strip() for part in forwarded.split(",") if part.strip()]):
            if not _is_address(address):
                return peer
            peer = address
            if not self._trusts(address):
                return address
        return peer

    def _trusts(self, address: str) -> bool:
        return _is_address(address) and any(ip_address(address) in network for network in self._networks)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


class Rim:
    """Gives each request its ids, each response the security headers, and each exchange one line of log.

    An exception that nobody meant becomes a 500 that tells the request's id; its traceback goes to the log alone.
    """

    def __init__(self, app: ASGIApp, *, headers: Mapping[str, str]) -> None:
        self._app = app
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = Exchange(scope)
        STANDING.set(None)
        scope["state"] = {**scope.get("state", {}), "request_id": exchange.request_id, "trace_id": exchange.trace_id}

        async def send_more(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                message["headers"] = [*message["headers"], *self._headers, *exchange.headers, *ratelimit_headers()]
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
            access.info(exchange.line())


class Exchange:
    def __init__(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        traced = TRACEPARENT.fullmatch(headers.get("traceparent", ""))
        self.request_id = given if REQUEST_ID.fullmatch(given) else f"req_{secrets.token_hex(16)}"
        self.trace_id = traced[1] if traced else secrets.token_hex(16)
        self.headers = [(b"x-request-id", self.request_id.encode()), (b"x-paddock-trace-id", self.trace_id.encode())]
        self.status: int | None = None
        self.sent_bytes = 0
        self._scope = scope
        self._began = time.monotonic()

    def line(self) -> str:
        """No query, header or body: any of them may hold a secret. The path is told as its route's template."""
        scope = self._scope
        route = scope.get("route")
        principal = scope["state"].get("principal")
        told: dict[str, Any] = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "method": scope["method"],
            "route": getattr(route, "path", None),
            "status": self.status,
            "milliseconds": round((time.monotonic() - self._began) * 1000, 2),
            "bytes": self.sent_bytes,
            "client": scope["client"][0] if scope.get("client") else None,
            "request_id": self.request_id,
            "trace_id": self.trace_id,
            "organization": getattr(principal, "organization_id", None),
            "key": getattr(principal, "key_id", None),
        }
        return json.dumps(told)
