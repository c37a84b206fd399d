"""HTTP/1.1 as uvicorn reads it, with bounds that it leaves to a proxy: how large a head may be, and how long we wait for it.

What it refuses, no part of the application has seen.
"""

import asyncio
import enum
import logging
import resource
from contextlib import suppress

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from api.errors import error_body
from core.compact import dump
from core.errors import InvalidRequest

LARGEST_HEAD_BYTES = 64 * 1024
"""Also of a trailer, and of what stands around one chunk of a body."""
MOST_HEADERS = 256
PIECE_BYTES = 16 * 1024
"""What is read at once is looked at in such pieces: a head that is too large ends with one."""
PATIENCE_SECONDS = 60.0
"""For a head, and for each STEP_BYTES of a body, or what is left of it."""
LINGER_SECONDS = 1.0
"""So long what was refused is still read: who closes amid what is sent takes back what it has said."""
STEP_BYTES = 4 * 1024
MOST_DESCRIPTORS = 65_536
FRAMING = frozenset({b"content-length", b"transfer-encoding"})
HEAD_TOO_LARGE = (
    f"the head of the request is too large: {LARGEST_HEAD_BYTES} bytes and {MOST_HEADERS} headers are taken at most"
)
log = logging.getLogger(__name__)


class Awaited(enum.Enum):
    """What is to come next from the client."""

    REQUEST = enum.auto()
    HEAD = enum.auto()
    """The rest of it."""
    BODY = enum.auto()


class Protocol(HttpToolsProtocol):
    """One connection. Who lets us wait for the rest of a request is told so and disconnected; for the next one uvicorn's own,
    shorter time counts.
    """

    _awaited = Awaited.REQUEST
    _since = 0.0
    """When we began to wait for it."""
    _step_bytes = 0
    _beside_bytes = 0
    """What has come since the last end of a head, or piece of a body."""
    _framing: bytes | None = None
    """Of a request that asks for an upgrade: what is to be told to the parser again."""
    _told_again = False
    _watch: asyncio.TimerHandle | None = None
    _refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > most_connections():
            transport.abort()
            return
        self._since = self.loop.time()
        self._watch = self.loop.call_later(PATIENCE_SECONDS, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._unset_keepalive_if_required()
        try:
            for start in range(0, len(data), PIECE_BYTES):
                self._feed(data[start : start + PIECE_BYTES])
                if self._beside_bytes > LARGEST_HEAD_BYTES:
                    self._refuse(431, HEAD_TOO_LARGE, "request_head_too_large")
                    return
        except httptools.HttpParserError:
            if len(self.headers or ()) > MOST_HEADERS:
                self._refuse(431, HEAD_TOO_LARGE, "request_head_too_large")
            else:
                self._refuse(400, "what came is no HTTP request that is served here", "invalid_http")

    def _feed(self, data: bytes) -> None:
        """Raises HttpParserError."""
        self._beside_bytes += len(data)
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as pause:
                self._go_on_without_upgrade()
                data = data[pause.args[0] :]

    def _go_on_without_upgrade(self) -> None:
        """As if nobody had asked for one (RFC 9110, 7.8).

        The parser takes what follows the head for another protocol. So it is told a head again that has nothing but what it
        finds the body's end by, and judges that as it would have judged it there.
        """
        assert self._framing is not None
        framing, self._framing, self._told_again = self._framing, None, True
        self.parser = httptools.HttpRequestParser(self)  # the other one hears nothing more where the connection is to be closed
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.parser.feed_data(framing)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await(Awaited.HEAD)

    def on_headers_complete(self) -> None:
        self._beside_bytes = 0
        if not self._told_again:
            self._begin_request()
        self._told_again = False
        self.headers = []  # the scope has the other one: what stands in a trailer is no header
        self._await(Awaited.BODY)

    def _begin_request(self) -> None:
        """What is raised here is an error of the parser."""
        if len(self.headers) > MOST_HEADERS:
            raise ValueError("too many headers")
        if self.parser.get_method() == b"CONNECT":
            raise ValueError("we are no proxy")
        super().on_headers_complete()
        if self.parser.should_upgrade():
            lines = [name + b": " + value + b"\r\n" for name, value in self.headers if name in FRAMING]
            version = self.scope["http_version"].encode()
            self._framing = b"".join((b"POST / HTTP/", version, b"\r\n", *lines, b"\r\n"))

    def on_body(self, body: bytes) -> None:
        self._beside_bytes = 0
        self._step_bytes += len(body)
        if self._step_bytes >= STEP_BYTES and not self.cycle.response_complete:  # for what nobody reads we wait once
            self._await(Awaited.BODY)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._framing is None:
            super().on_message_complete()
            self._await(Awaited.REQUEST)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._since = self.loop.time()

    def _await(self, what: Awaited) -> None:
        self._awaited, self._since, self._step_bytes = what, self.loop.time(), 0

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _look(self) -> None:
        """Whether we wait for too long. While we do not read, or have something to say, it is not the client that is late."""
        now = self.loop.time()
        if self.flow.read_paused or (self._answering and self._awaited is not Awaited.BODY):
            self._since = now
        if (left := self._since + PATIENCE_SECONDS - now) > 0:
            self._watch = self.loop.call_later(left, self._look)
        elif self._awaited is Awaited.REQUEST:
            self.transport.close()
        else:
            what = self._awaited.name.lower()
            self._refuse(408, f"no more of the request's {what} came for {PATIENCE_SECONDS:g} s", f"{what}_timeout")

    def _refuse(self, status: int, message: str, code: str) -> None:
        """And disconnect. Amid another answer there is no place to say why."""
        log.info("a request of %s is refused: %s", self.client and self.client[0], message)
        begun = self._answering and (self.cycle.response_started or self._awaited is not Awaited.BODY)
        if begun or self.pipeline or self.transport.is_closing():
            self.transport.close()
            return
        if self._answering:  # nobody hears it
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        content = dump(error_body(InvalidRequest(message, code=code))).encode()
        head = f"content-type: application/json\r\ncontent-length: {len(content)}\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[status] + head.encode() + content)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._refused = True
        if self._watch is not None:
            self._watch.cancel()
        self._watch = self.loop.call_later(LINGER_SECONDS, self.transport.close)


def most_connections() -> int:
    """So many that who answers them can open what it needs: at the limit of descriptors neither files nor databases open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (MOST_DESCRIPTORS if soft == resource.RLIM_INFINITY else min(soft, MOST_DESCRIPTORS)) * 3 // 4


def raise_descriptor_limit() -> None:
    """As far as we may: a soft limit is for programs that use select(2)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(ValueError, OSError):  # a container may not let us
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
