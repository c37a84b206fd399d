"""One worker process, from its fork to its death: builds its walls, then runs one program after another. Knows no engine."""

import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Protocol

from sandbox import protocol
from sandbox.capture import Capture
from sandbox.contract import Limits, Outcome, Program, Stream
from sandbox.errors import SandboxError
from sandbox.protocol import Kind
from sandbox.walls import Wall

Write = Callable[[Stream, bytes], None]


class Guest(Protocol):
    """An engine with a guest in it, loaded before the fork and used after it."""

    def exercise(self) -> None:
        """Uses once whatever a program may use later: threads and modules that cannot be had behind the walls."""
        ...

    def prepare(self) -> None:
        """Does ahead, while nobody waits, what the next program would have to wait for."""
        ...

    def run(self, program: Program, limits: Limits, write: Write) -> int:
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
            connection.sendall(_run(payload, connection, guest))
            guest.prepare()


def _run(payload: bytes, connection: socket.socket, guest: Guest) -> bytes:
    invocation = protocol.parse_run(payload)
    capture = Capture(invocation.limits.output_bytes, lambda stream, data: _send(connection, stream, data))
    started = time.process_time()
    try:
        exit_code = guest.run(invocation.program, invocation.limits, capture.write)
        capture.check()
    except SandboxError as exc:
        return protocol.failed(exc)
    return protocol.done(Outcome(exit_code=exit_code, truncated=capture.truncated, cpu_seconds=time.process_time() - started))


def _send(connection: socket.socket, stream: Stream, data: bytes) -> None:
    try:
        connection.sendall(protocol.output(stream, data))
    except OSError:
        os._exit(1)  # the host is gone, and an exception could not leave the guest's call from here
