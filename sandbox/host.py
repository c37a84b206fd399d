"""The sandbox host process: serves programs over a private Unix socket. Holds no secret, no tenant and no network.

python -m sandbox.host --socket /run/paddock/sandbox.sock --guest python.cwasm --workers 4
"""

import argparse
import asyncio
import hashlib
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sandbox import protocol, walls
from sandbox.contract import Answer, Invocation, Outcome, Stream
from sandbox.dispatcher import Sandbox, open_sandbox
from sandbox.errors import ProgramRefused, RuntimeUnavailable, SandboxError
from sandbox.private import make_private
from sandbox.protocol import Kind, ProtocolError

HELLO_SECONDS = 10.0
PIECES_SECONDS = 60.0

log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Connection:
    """One client, one program at a time. asked: what the program waits for, where it called a tool."""

    sandbox: Sandbox
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    asked: asyncio.Future[Answer] | None = None

    async def serve(self) -> None:
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                await self._greet()
            await self._converse()
        except ProtocolError as exc:
            self.writer.write(protocol.failed(SandboxError(f"protocol error: {exc}")))
        except (TimeoutError, ConnectionError):
            pass  # a client that does not speak, or that left
        finally:
            self.writer.close()

    async def _greet(self) -> None:
        match await protocol.read_frame(self.reader):
            case Kind.HELLO, payload:
                protocol.parse_hello(payload)
                self.writer.write(protocol.hello(runtimes=self.sandbox.runtimes))
            case None:
                raise ConnectionError
            case kind, _:
                raise ProtocolError(f"{kind.name} where HELLO belongs")

    async def _converse(self) -> None:
        said = await protocol.read_frame(self.reader)
        while said is not None:
            match said:
                case Kind.RUN, payload:
                    running = asyncio.create_task(self._run(protocol.parse_run(payload)))
                case Kind.INSTALL, payload:
                    installation = protocol.parse_install(payload)
                    running = asyncio.create_task(self._install(installation, await self._pieces(installation.size)))
                case Kind.ANSWER, _:  # to what has ended meanwhile
                    said = await protocol.read_frame(self.reader)
                    continue
                case kind, _:
                    raise ProtocolError(f"{kind.name} where RUN or INSTALL belongs")
            said = await self._attended(running)

    async def _attended(self, running: asyncio.Task[None]) -> tuple[Kind, bytes] | None:
        """What the client says next. But for answers to the program, what it says or leaves while it runs ends both."""
        listening = asyncio.create_task(protocol.read_frame(self.reader))
        try:
            while True:
                await asyncio.wait({running, listening}, return_when=asyncio.FIRST_COMPLETED)
                if running.done():
                    await running  # what nobody foresaw ends the connection, which tells the client
                    await self.writer.drain()
                    return await listening
                match listening.result():
                    case Kind.ANSWER, payload if self.asked is not None:
                        asked, self.asked = self.asked, None
                        if not asked.done():  # else the program is at its end, and tells of that
                            asked.set_result(protocol.parse_answer(payload))
                        listening = asyncio.create_task(protocol.read_frame(self.reader))
                    case _:
                        return None
        finally:
            await _cancelled(running)
            await _cancelled(listening)

    async def _run(self, invocation: Invocation) -> None:
        await self._tell(self.sandbox.run(invocation, self._output, self._call))

    async def _tell(self, doing: Awaitable[Outcome]) -> None:
        """What became of it. A full disk ends nothing else: who is told that the host is gone would ask for it all again."""
        try:
            outcome = await doing
        except SandboxError as exc:
            self.writer.write(protocol.failed(exc))
        except (ConnectionError, TimeoutError):  # of the client
            raise
        except OSError as exc:
            log.warning("what a client asked for cannot be done here: %s", exc)
            self.writer.write(protocol.failed(RuntimeUnavailable(f"the sandbox host cannot go on: {exc.strerror}")))
        else:
            self.writer.write(protocol.done(outcome))

    async def _pieces(self, size: int) -> bytes:
        whole = bytearray()
        async with asyncio.timeout(PIECES_SECONDS):
            while len(whole) < size:
                match await protocol.read_frame(self.reader):
                    case Kind.PIECE, data if data:
                        whole += data
                    case None:
                        raise ConnectionError
                    case _:
                        raise ProtocolError("something else where a PIECE belongs")
        return bytes(whole)

    async def _install(self, installation: protocol.Installation, program: bytes) -> None:
        await self._tell(self._installed(installation, program))

    async def _installed(self, installation: protocol.Installation, program: bytes) -> Outcome:
        file = os.memfd_create("program", os.MFD_CLOEXEC)
        try:
            if hashlib.sha256(program).hexdigest() != installation.sha256:
                raise ProgramRefused("its bytes have another SHA-256 than was said")
            with os.fdopen(os.dup(file), "wb") as writable:
                writable.write(program)
            await self.sandbox.install(installation.runtime, installation.sha256, file)
            return Outcome(exit_code=0)
        finally:
            os.close(file)

    def _output(self, stream: Stream, data: bytes) -> None:
        self.writer.write(protocol.output(stream, data))

    async def _call(self, name: str, arguments: str) -> Answer:
        self.asked = asyncio.get_running_loop().create_future()
        self.writer.write(protocol.call(name, arguments))
        return await self.asked


async def _cancelled(task: asyncio.Task[object]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@asynccontextmanager
async def open_host(sandbox: Sandbox, path: Path) -> AsyncIterator[None]:
    """Serves on a Unix socket that its owner alone can reach. Leaving kills what still runs."""
    connections: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(Connection(sandbox=sandbox, reader=reader, writer=writer).serve())
        connections.add(task)
        task.add_done_callback(connections.discard)

    listener = bind(path)
    server = await asyncio.start_unix_server(accept, sock=listener, backlog=512)
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)  # noqa: ASYNC240 (a socket in a folder of our own)
        for task in tuple(connections):
            await _cancelled(task)


def bind(path: Path) -> socket.socket:
    """Replaces a socket that nobody serves any more; refuses a folder that others could reach into."""
    make_private(path.parent)
    listener = socket.socket(socket.AF_UNIX)
    try:
        with socket.socket(socket.AF_UNIX) as probe, suppress(ConnectionRefusedError, FileNotFoundError):
            probe.connect(str(path))
            raise RuntimeUnavailable(f"another sandbox host serves {str(path)!r}")
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        path.chmod(0o600)
    except BaseException:
        listener.close()
        raise
    return listener


async def serve(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    wasmtime = {
        "guest": options.guest,
        "workers": options.workers or options.permits + 2,
        "require_walls": options.require_walls,
    }
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(
            open_sandbox({"wasmtime": wasmtime}, permits=options.permits, queue=options.queue)
        )
        await stack.enter_async_context(open_host(sandbox, options.socket))
        log.info("sandbox host ready at %s", options.socket)
        await stop.wait()


def main(arguments: Sequence[str] | None = None) -> None:
    permits = len(os.sched_getaffinity(0)) + 8
    parser = argparse.ArgumentParser(prog="python -m sandbox.host", description="Runs untrusted programs under hard limits.")
    parser.add_argument("--socket", type=Path, required=True, help="where to listen; its folder must have mode 0700")
    parser.add_argument("--guest", type=Path, required=True, help="the file that sandbox.guests.build made")
    parser.add_argument(
        "--permits",
        type=int,
        default=permits,
        help="programs that run at once, of one organization three quarters (default: cores + 8)",
    )
    parser.add_argument(
        "--workers", type=int, help="processes, more than permits so that some are spare (default: permits + 2)"
    )
    parser.add_argument("--queue", type=int, default=256, help="programs that may wait; more are refused as busy")
    parser.add_argument("--require-walls", action="store_true", help="do not start where a part of the second wall is missing")
    parser.add_argument("--die-with-parent", action="store_true", help="end when the process that started this one ends")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    if options.die_with_parent:
        walls.die_with_parent()
    try:
        asyncio.run(serve(options))
    except RuntimeUnavailable as exc:
        parser.exit(1, f"sandbox host: {exc}\n")


if __name__ == "__main__":
    main()
