"""From a turn's events to server-sent events, for as long as the client stays. A reader that leaves hurts nobody."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.dependencies import authenticated_again, departure, unless_gone
from api.wire.sse import HEARTBEAT
from core.errors import PaddockError, Unavailable

log = logging.getLogger(__name__)

Frames = AsyncGenerator[bytes, None]
Farewell = Callable[[PaddockError], bytes]
"""The last frames of a stream that cannot go on."""

HEARTBEAT_SECONDS = 15.0
_HEADERS = {"cache-control": "no-cache, no-transform", "x-accel-buffering": "no"}


class EventStream(Response):
    """The frames are closed as soon as the client leaves or the server stops, before this returns; and soon after the client's
    key was revoked.

    The status is out already: what goes wrong is told by a last event, never by a cut connection.
    """

    media_type = "text/event-stream"

    def __init__(self, frames: Frames, *, farewell: Farewell, headers: Mapping[str, str]) -> None:
        super().__init__(headers={**_HEADERS, **headers})
        del self.headers["content-length"]
        self._frames = frames
        self._farewell = farewell

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            last = await unless_gone(self._write(scope, send), self._watch(scope, receive, send))
        except ClientDisconnect:
            return
        except PaddockError as error:
            last = self._farewell(error)
        except asyncio.CancelledError:  # by the server, which waits for no more than this
            stopping = Unavailable("the server is stopping; a stored response can be followed again", code="server_shutdown")
            last = self._farewell(stopping)
        await _send_last(send, last)

    async def _write(self, scope: Scope, send: Send) -> bytes:
        """Send all frames; gives what remains to be said."""
        try:
            async with aclosing(self._frames) as frames:
                async for frame in frames:
                    await send({"type": "http.response.body", "body": frame, "more_body": True})
        except PaddockError as error:
            return self._farewell(error)
        except Exception:
            request_id = scope["state"]["request_id"]
            log.exception("the stream of request %s failed", request_id)
            return self._farewell(PaddockError(f"internal error; request {request_id}"))
        return b""

    async def _watch(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Return when the client has left. Proxies cut what is silent for long: send a comment now and then.

        Raises Unauthenticated, PermissionDenied when the reader's key opens no more what it did.
        """
        while True:
            try:
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    return await departure(receive)
            except TimeoutError:
                with suppress(Unavailable):  # asked again the next time
                    await authenticated_again(Request(scope))
                await send({"type": "http.response.body", "body": HEARTBEAT, "more_body": True})


async def _send_last(send: Send, frame: bytes) -> None:
    await send({"type": "http.response.body", "body": frame, "more_body": False})
