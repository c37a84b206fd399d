"""Runs programs in a sandbox host over its Unix socket. Knows nothing of how they are isolated."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

from sandbox import protocol
from sandbox.capture import Capture
from sandbox.contract import Answer, Invocation, OnCall, OnOutput, Outcome, refuse_calls
from sandbox.errors import HostGone, ProgramRefused, RuntimeUnavailable, SandboxError
from sandbox.protocol import Kind, ProtocolError

IDLE_CONNECTIONS = 32
HELLO_SECONDS = 30.0  # a host that is there may stand still
CANCEL_SECONDS = 5.0  # how long a host may take to kill a guest, before we leave it alone with it
INSTALL_SECONDS = 600.0  # others may be compiling before it
PATIENCE_SECONDS = 180.0  # beyond the program's own wall limit: more than the host lets it wait, and the kill


class SandboxClient:
    """A `Runtime`, elsewhere. Connections are opened as needed and used again, also after the host was restarted."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._idle: list[Connection] = []

    async def run(self, invocation: Invocation, on_output: OnOutput, on_call: OnCall = refuse_calls) -> Outcome:
        capture = Capture(invocation.limits.output_bytes, on_output)
        try:
            outcome = await self._asked([protocol.run(invocation)], capture, on_call, invocation.limits.wall_seconds)
        except SandboxError as exc:
            exc.stdout, exc.stderr = capture.stdout, capture.stderr
            raise
        return replace(outcome, stdout=capture.stdout, stderr=capture.stderr, result=capture.result)

    async def install(self, runtime: str, program: bytes) -> str:
        """Returns the digest by which it can be run. Raises `ProgramRefused` for one that cannot be, `RuntimeUnavailable`."""
        if not 0 < len(program) <= protocol.MAX_PROGRAM_BYTES:
            raise ProgramRefused(f"it has {len(program)} bytes; from 1 to {protocol.MAX_PROGRAM_BYTES} are taken")
        sha256 = hashlib.sha256(program).hexdigest()
        said = [protocol.install(protocol.Installation(runtime=runtime, sha256=sha256, size=len(program)))]
        for start in range(0, len(program), protocol.PIECE_BYTES):
            said.append(protocol.frame(Kind.PIECE, program[start : start + protocol.PIECE_BYTES]))
        await self._asked(said, Capture(0, lambda stream, data: None), refuse_calls, INSTALL_SECONDS)
        return sha256

    async def _asked(self, frames: Sequence[bytes], capture: Capture, on_call: OnCall, seconds: float) -> Outcome:
        """seconds: what it may take when nothing has to be waited for."""
        connection = await self._connection()
        try:
            async with asyncio.timeout(seconds + PATIENCE_SECONDS):
                return await connection.ask(frames, capture, on_call)
        except ProtocolError as exc:
            raise RuntimeUnavailable(f"the sandbox host spoke nonsense: {exc}") from exc
        except TimeoutError:
            raise RuntimeUnavailable("the sandbox host does not answer") from None
        finally:
            if connection.usable and len(self._idle) < IDLE_CONNECTIONS:
                self._idle.append(connection)
            else:
                await asyncio.shield(connection.cancel())

    async def check(self) -> None:
        """Raises `RuntimeUnavailable` when no host answers now: of a connection that is open already nobody would be asked."""
        connection = await Connection.open(self._socket)
        connection.close()

    async def _connection(self) -> "Connection":
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
            connection.close()
        return await Connection.open(self._socket)

    async def close(self) -> None:
        while self._idle:
            self._idle.pop().close()


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._running = False

    @classmethod
    async def open(cls, socket: Path) -> "Connection":
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                return await cls._open(socket)
        except TimeoutError:
            raise RuntimeUnavailable("the sandbox host does not answer") from None

    @classmethod
    async def _open(cls, socket: Path) -> "Connection":
        try:
            connection = cls(*await asyncio.open_unix_connection(str(socket)))
        except OSError as exc:
            raise HostGone(f"no sandbox host answers at {str(socket)!r}") from exc
        try:
            connection._send(protocol.hello())
            match await protocol.read_frame(connection._reader):
                case Kind.HELLO, payload:
                    protocol.parse_hello(payload)
                    return connection
                case Kind.FAILED, payload:
                    raise protocol.parse_failed(payload)
                case _:
                    raise HostGone("the sandbox host closed the connection")
        except BaseException as exc:
            connection.close()
            if isinstance(exc, ProtocolError):
                raise RuntimeUnavailable(f"this sandbox host cannot be used: {exc}") from exc
            raise

    @property
    def usable(self) -> bool:
        return not self._running and not self._reader.at_eof() and not self._writer.is_closing()

    async def ask(self, frames: Sequence[bytes], capture: Capture, on_call: OnCall) -> Outcome:
        self._running = True
        with suppress(ConnectionError):  # what it said before it went away is still to be read
            for frame in frames:
                self._send(frame)
                await self._writer.drain()
        said = await protocol.read_frame(self._reader)
        while said:
            match said:
                case (Kind.STDOUT | Kind.STDERR | Kind.RESULT) as kind, data:
                    capture.write(protocol.STREAMS[kind], data)
                    said = await protocol.read_frame(self._reader)
                case Kind.CALL, payload:
                    said = await self._answered(on_call(*protocol.parse_call(payload)))
                case Kind.DONE, payload:
                    self._running = False
                    return protocol.parse_done(payload)
                case Kind.FAILED, payload:
                    self._running = False
                    raise protocol.parse_failed(payload)
                case kind, _:
                    raise ProtocolError(f"{kind.name} where an answer belongs")
        raise HostGone("the sandbox host went away")

    def _send(self, frame: bytes) -> None:
        """Unless nobody is there any more, which the next reading tells: uvloop has a RuntimeError for it."""
        if not self._writer.is_closing():
            self._writer.write(frame)

    async def _answered(self, answering: Awaitable[Answer]) -> tuple[Kind, bytes] | None:
        """What the host says next; if it says so before there is an answer, nobody waits for that any more."""
        calling = asyncio.ensure_future(answering)
        hearing = asyncio.create_task(protocol.read_frame(self._reader))
        try:
            await asyncio.wait({calling, hearing}, return_when=asyncio.FIRST_COMPLETED)
            if not hearing.done():
                self._send(protocol.answer(calling.result()))
            return await hearing
        finally:
            for task in (calling, hearing):
                task.cancel()
            await asyncio.wait({calling, hearing})

    async def cancel(self) -> None:
        """The host closes the connection when the guest is dead."""
        try:
            if self._running:
                self._send(protocol.frame(Kind.CANCEL))
                with suppress(TimeoutError, ProtocolError):
                    async with asyncio.timeout(CANCEL_SECONDS):
                        while await protocol.read_frame(self._reader):
                            pass
        finally:
            self.close()

    def close(self) -> None:
        self._writer.close()


@asynccontextmanager
async def open_client(socket: Path) -> AsyncIterator[SandboxClient]:
    client = SandboxClient(socket)
    try:
        yield client
    finally:
        await client.close()
