"""From a turn's journal to a stream of server-sent events. A reader that goes away hurts nobody."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from starlette.types import Receive, Scope, Send

from api.dependencies import departure
from api.wire.responses_stream import ResponsesEncoder
from api.wire.sse import HEARTBEAT, frame, last_frame
from core.conversations.manager import TurnManager
from core.errors import PaddockError
from core.identity.principals import Principal

HEARTBEAT_SECONDS = 15.0
HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
]


class EventStream:
    """An ASGI response. The frames' generator is closed as soon as the client leaves, before this returns."""

    def __init__(self, frames: AsyncGenerator[bytes, None], headers: Mapping[str, str]) -> None:
        self._frames = frames
        self._headers = [*HEADERS, *((name.encode(), value.encode()) for name, value in headers.items())]
        self._silent = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        tasks = [asyncio.create_task(work) for work in (self._pump(send), self._beat(send), departure(receive))]
        pump = tasks[0]
        try:
            await asyncio.wait({pump, tasks[2]}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        if not pump.cancelled():
            pump.result()

    async def _pump(self, send: Send) -> None:
        async with aclosing(self._frames) as frames:
            await send({"type": "http.response.start", "status": 200, "headers": self._headers})
            async for data in frames:
                self._silent = False
                await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _beat(self, send: Send) -> None:
        """A comment whenever nothing was sent for a while keeps proxies from giving the connection up."""
        while True:
            self._silent = True
            await asyncio.sleep(HEARTBEAT_SECONDS)
            if self._silent:
                await send({"type": "http.response.body", "body": HEARTBEAT, "more_body": True})


async def response_frames(
    turns: TurnManager, principal: Principal, encoder: ResponsesEncoder, turn_id: str, *, after: int = -1
) -> AsyncGenerator[bytes, None]:
    """The stream from the first event with a sequence number above `after`; the bytes are the same for every reader."""
    try:
        async with aclosing(turns.follow(principal, turn_id)) as events:
            async for recorded in events:
                data = b"".join(frame(event) for event in encoder.feed(recorded) if event.number > after)
                if data:
                    yield data
    except PaddockError as error:
        yield last_frame(encoder.failure(error))
