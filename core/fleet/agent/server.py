"""Serves one engine on a Unix socket: a first-come queue, one request at a time, a stop when the client goes away."""

import asyncio
import errno
import os
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from pydantic import ValidationError

from core.fleet.agent import reply
from core.fleet.agent.engine import Engine
from core.fleet.agent.task import Preparation, Task
from core.fleet.protocol import (
    LINE_BYTES,
    AgentFailure,
    Failed,
    FailureCode,
    Greeting,
    Text,
    decode_ask,
    encode_line,
)

WAITING = 30
WAIT_SECONDS = 10.0
ASK_SECONDS = 30.0
"""How long a client may take to send its request; one that only reads the greeting hangs up before."""
SILENT_SECONDS = 1.0
"""After so long without a line a client is told that the model works: see `protocol`."""


class Queue:
    """First come, first served; a bounded number waits a bounded time. The place goes with the waiting task."""

    def __init__(self, *, places: int = WAITING, seconds: float = WAIT_SECONDS) -> None:
        self._lock = asyncio.Lock()
        self._places = places
        self._seconds = seconds
        self.waiting = 0

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[None, None]:
        """Raises AgentFailure."""
        if self._lock.locked() and self.waiting >= self._places:
            raise AgentFailure(FailureCode.BUSY, f"the model is busy and {self._places} requests are waiting already")
        self.waiting += 1
        try:
            async with asyncio.timeout(self._seconds):  # before Python 3.12, wait_for can swallow a cancellation
                await self._lock.acquire()
        except TimeoutError as exc:
            raise AgentFailure(FailureCode.LATE, f"the model was busy for {self._seconds:g} s") from exc
        finally:
            self.waiting -= 1
        try:
            yield
        finally:
            self._lock.release()


class Server:
    def __init__(self, engine: Engine, preparation: Preparation, *, name: str, use_grammar: bool) -> None:
        self._engine = engine
        self._preparation = preparation
        self._use_grammar = use_grammar
        self._queue = Queue()
        self._connections: set[asyncio.Task[None]] = set()
        self._greeting = Greeting(
            model=name,
            context_tokens=engine.context_tokens,
            vocabulary=engine.vocabulary.size,
            word_bytes=engine.vocabulary.word_bytes,
            load_seconds=engine.load_seconds,
        )

    def __str__(self) -> str:
        facts = self._greeting
        return f"serving {facts.model!r}: context {facts.context_tokens} tokens, loaded in {facts.load_seconds:.2f} s"

    @asynccontextmanager
    async def listen(self, socket: Path) -> AsyncGenerator[None, None]:
        """Raises OSError when the socket is in use or cannot be made."""
        await _make_way(socket)
        with ThreadPoolExecutor(1, "llama") as self._thread:
            with _private_files():
                server = await asyncio.start_unix_server(self._serve, socket, limit=LINE_BYTES)
            try:
                with _removed_afterwards(socket):  # and before it is closed: until then no other file has its number
                    yield
            finally:
                server.close()
                for connection in self._connections:
                    connection.cancel()
                await asyncio.gather(*self._connections)
                await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        assert connection is not None
        self._connections.add(connection)
        try:
            writer.write(encode_line(self._greeting))
            await self._serve_request(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass  # the client left, or the agent is stopping: nobody is there to be told
        except (TimeoutError, ValueError):
            pass  # the client sent nothing, or a line beyond the limit: hanging up is the answer
        finally:
            self._connections.discard(connection)
            writer.close()

    async def _serve_request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(ASK_SECONDS):
            line = await reader.readline()
        if line:
            async with asyncio.TaskGroup() as group:
                answer = group.create_task(self._answer(line, writer))
                watch = group.create_task(_cancel_when_gone(reader, answer))
                answer.add_done_callback(lambda _: watch.cancel())
            await writer.drain()

    async def _answer(self, line: bytes, writer: asyncio.StreamWriter) -> None:
        try:
            ask = decode_ask(line)
            draft = self._preparation.compose(ask)
            task = await asyncio.to_thread(self._preparation.finish, ask, draft)
            async with self._queue.turn():
                await self._write_reply(task, writer)
        except ValidationError as exc:
            first = exc.errors(include_url=False, include_input=False)[0]
            message = f"malformed request: {first['msg']} (at {'.'.join(map(str, first['loc'])) or 'the top'})"
            writer.write(encode_line(Failed(code=FailureCode.REFUSED, message=message)))
        except AgentFailure as exc:
            writer.write(encode_line(Failed(code=exc.code, message=str(exc))))

    async def _write_reply(self, task: Task, writer: asyncio.StreamWriter) -> None:
        """Cancelling stops the model at its next token and returns when it has stopped."""
        loop, stop, outbox = asyncio.get_running_loop(), threading.Event(), _Outbox(writer)

        def stopped() -> bool:
            outbox.show_life()
            return stop.is_set()

        def work() -> None:
            pieces = reply.write(self._engine, task, stopped=stopped, new_id=_new_call_id, use_grammar=self._use_grammar)
            for piece in pieces:
                outbox.put(encode_line(piece))

        running = loop.run_in_executor(self._thread, work)
        try:
            await asyncio.shield(running)
        finally:
            stop.set()
            while not running.done():  # nobody may use the engine before; being cancelled again changes nothing
                with suppress(asyncio.CancelledError):
                    await asyncio.wait({running})
            running.exception()  # Cancelled, when it was stopped


class _Outbox:
    """Lines on their way from the model's thread to a client.

    However many there are, the event loop is woken for them once: a small model writes faster than a busy loop runs, and a
    callback for each line would keep it from ever seeing that the client has left.
    """

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._loop = asyncio.get_running_loop()
        self._writer = writer
        self._lines: deque[bytes] = deque()
        self._called = False
        self._put_at = time.monotonic()

    def put(self, line: bytes) -> None:
        """From any one thread."""
        self._put_at = time.monotonic()
        self._lines.append(line)
        if not self._called:
            self._called = True
            self._loop.call_soon_threadsafe(self._send)

    def show_life(self) -> None:
        """From the same thread, whenever the model has gone a step on."""
        if time.monotonic() - self._put_at > SILENT_SECONDS:
            self.put(encode_line(Text(text="")))

    def _send(self) -> None:
        self._called = False
        ready = b"".join(self._lines.popleft() for _ in range(len(self._lines)))
        if not self._writer.is_closing():
            self._writer.write(ready)


async def _cancel_when_gone(reader: asyncio.StreamReader, answer: asyncio.Task[None]) -> None:
    with suppress(ConnectionError):
        await reader.read(1)
    answer.cancel()


async def _make_way(socket: Path) -> None:
    """A directory of our own; a socket that a dead agent left behind is no obstacle, one that answers is."""
    socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        _, writer = await asyncio.open_unix_connection(socket)
    except (FileNotFoundError, ConnectionRefusedError):
        return
    writer.close()
    raise OSError(errno.EADDRINUSE, f"another agent answers at {str(socket)!r}")


@contextmanager
def _removed_afterwards(path: Path) -> Iterator[None]:
    """Unless it is gone by then, or another agent has made its own in the same place."""
    ours = path.stat()
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            if os.path.samestat(path.stat(), ours):
                path.unlink()


@contextmanager
def _private_files() -> Iterator[None]:
    before = os.umask(0o177)
    try:
        yield
    finally:
        os.umask(before)


def _new_call_id() -> str:
    return f"call_{uuid4().hex[:24]}"
