"""One worker process, from its fork to its death: builds its walls, then runs one program after another. Knows no engine."""

import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from struct import error as StructError
from typing import BinaryIO, Protocol

from sandbox import protocol
from sandbox.capture import Capture
from sandbox.contract import Answer, Limits, Outcome, Program, Stream
from sandbox.errors import SandboxError
from sandbox.protocol import Kind
from sandbox.walls import Wall

PIECES = 1000  # of a program's output, which are sent as they come, however small they are
PIECE_BYTES, PIECE_SECONDS = 8192, 0.01  # after those, a piece waits until it is so long or the last one so long ago

Write = Callable[[Stream, bytes], None]
Call = Callable[[str, str], Answer]
TOO_LONG = Answer(text="the arguments are too long", failed=True)


class Guest(Protocol):
    """An engine with a guest in it, loaded before the fork and used after it."""

    def exercise(self) -> None:
        """Uses once whatever a program may use later: threads and modules that cannot be had behind the walls."""
        ...

    def prepare(self) -> None:
        """Does ahead, while nobody waits, what the next program would have to wait for."""
        ...

    def run(self, program: Program, limits: Limits, write: Write, call: Call) -> int:
        """Runs it in a fresh instance and returns its exit code. Raises `GuestCrashed` and `LimitExceeded`."""
        ...


def serve(connection: socket.socket, guest: Guest, built: Sequence[Wall]) -> None:
    """Returns when the host closes the connection."""
    with connection, connection.makefile("rb") as incoming:
        connection.sendall(protocol.hello(walls=[asdict(wall) for wall in built]))
        while header := incoming.read(protocol.HEADER.size):
            kind, size = protocol.parse_header(header)
            payload = incoming.read(size)
            if kind is not Kind.RUN:
                raise protocol.ProtocolError(f"{kind.name} where RUN belongs")
            connection.sendall(_run(payload, Outgoing(connection, incoming), guest))
            guest.prepare()


def _run(payload: bytes, outgoing: "Outgoing", guest: Guest) -> bytes:
    invocation = protocol.parse_run(payload)
    capture = Capture(invocation.limits.output_bytes, outgoing.write)
    started = time.process_time()
    try:
        exit_code = guest.run(invocation.program, invocation.limits, capture.write, outgoing.call)
        capture.check()
    except SandboxError as exc:
        return outgoing.rest() + protocol.failed(exc)
    spent = time.process_time() - started
    return outgoing.rest() + protocol.done(Outcome(exit_code=exit_code, truncated=capture.truncated, cpu_seconds=spent))


class Outgoing:
    """Output on its way to the host. A program that writes byte after byte must not cost the host a frame for each."""

    def __init__(self, connection: socket.socket, incoming: BinaryIO) -> None:
        self._connection = connection
        self._incoming = incoming
        self._held, self._stream = bytearray(), Stream.STDOUT
        self._sent, self._sent_at = 0, 0.0

    def write(self, stream: Stream, data: bytes) -> None:
        if stream is not self._stream:
            self._send(self.rest())
            self._stream = stream
        self._held += data
        now = time.monotonic()
        if self._sent < PIECES or len(self._held) >= PIECE_BYTES or now - self._sent_at >= PIECE_SECONDS:
            self._sent, self._sent_at = self._sent + 1, now
            self._send(self.rest())

    def call(self, name: str, arguments: str) -> Answer:
        """Waits for what the host says; what was written before, it has heard by then."""
        try:
            frame = protocol.call(name, arguments)
        except protocol.ProtocolError:
            return TOO_LONG
        self._send(self.rest() + frame)
        try:
            kind, size = protocol.parse_header(self._incoming.read(protocol.HEADER.size))
            if kind is Kind.ANSWER:
                return protocol.parse_answer(self._incoming.read(size))
        except (OSError, protocol.ProtocolError, StructError):
            pass
        os._exit(1)  # the host is gone, or not to be understood

    def rest(self) -> bytes:
        """What is held back, as a frame, which the caller sends."""
        data = bytes(self._held)
        self._held.clear()
        return protocol.output(self._stream, data) if data else b""

    def _send(self, frame: bytes) -> None:
        try:
            self._connection.sendall(frame)
        except OSError:
            os._exit(1)  # the host is gone, and an exception could not leave the guest's call from here
