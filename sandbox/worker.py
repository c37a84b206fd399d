"""One worker process, from its fork to its death: builds its walls, then runs one program after another. Knows no engine."""

import _thread
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from struct import error as StructError
from typing import Protocol

from sandbox import protocol
from sandbox.capture import Capture
from sandbox.contract import Answer, Limits, Outcome, Program, Stream
from sandbox.errors import SandboxError
from sandbox.protocol import Kind
from sandbox.walls import Wall

PIECES = 1000  # of a program's output, which are sent as they come, however small they are
PIECE_BYTES, PIECE_SECONDS = 8192, 0.01  # after those, a piece waits until it is so long or about so old
STACK_BYTES = 256 * 2**10

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


def serve(outgoing: "Outgoing", guest: Guest, built: Sequence[Wall]) -> None:
    """Returns when the host closes the connection."""
    with outgoing.incoming as incoming:
        outgoing.finish(protocol.hello(walls=[asdict(wall) for wall in built]))
        while header := incoming.read(protocol.HEADER.size):
            kind, size = protocol.parse_header(header)
            payload = incoming.read(size)
            if kind is not Kind.RUN:
                raise protocol.ProtocolError(f"{kind.name} where RUN belongs")
            outgoing.finish(_run(payload, outgoing, guest))
            guest.prepare()


def _run(payload: bytes, outgoing: "Outgoing", guest: Guest) -> bytes:
    invocation = protocol.parse_run(payload)
    capture = Capture(invocation.limits.output_bytes, outgoing.write)
    started = time.process_time()
    try:
        exit_code = guest.run(invocation.program, invocation.limits, capture.write, outgoing.call)
        capture.check()
    except SandboxError as exc:
        return protocol.failed(exc)
    spent = time.process_time() - started
    return protocol.done(Outcome(exit_code=exit_code, truncated=capture.truncated, cpu_seconds=spent))


class Outgoing:
    """Output on its way to the host. A program that writes byte after byte must not cost the host a frame for each.

    What is held back of one stream goes with what is held back of the other, so that a program that changes between them
    does not either: within so short a time their order is lost.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.incoming = connection.makefile("rb")
        self._held: dict[Stream, bytearray] = {}
        self._pieces = 0
        self._turn = threading.Lock()
        self._holding = threading.Event()

    def watch(self) -> None:
        """Has what is held back sent also when nothing follows: by a thread, which cannot be made behind the walls."""
        threading.stack_size(STACK_BYTES)
        _thread.start_new_thread(self._send_late, ())  # `threading.Thread` would wait until it runs

    def _send_late(self) -> None:
        while self._holding.wait():
            time.sleep(PIECE_SECONDS)
            with self._turn:
                self._send()

    def write(self, stream: Stream, data: bytes) -> None:
        with self._turn:
            held = self._held.setdefault(stream, bytearray())
            held += data
            if self._pieces < PIECES or len(held) >= PIECE_BYTES:
                self._pieces += 1
                self._send()
            elif not self._holding.is_set():
                self._holding.set()

    def call(self, name: str, arguments: str) -> Answer:
        """Waits for what the host says; what was written before, it has heard by then."""
        try:
            frame = protocol.call(name, arguments)
        except protocol.ProtocolError:
            return TOO_LONG
        with self._turn:
            self._send(frame)
        try:
            kind, size = protocol.parse_header(self.incoming.read(protocol.HEADER.size))
            if kind is Kind.ANSWER:
                return protocol.parse_answer(self.incoming.read(size))
        except (OSError, protocol.ProtocolError, StructError):
            pass
        os._exit(1)  # the host is gone, or not to be understood

    def finish(self, frame: bytes) -> None:
        """What comes after it is another program's."""
        with self._turn:
            self._send(frame)
            self._pieces = 0

    def _send(self, frame: bytes = b"") -> None:
        """And before it what is held back. To be called by one at a time."""
        held, self._held = self._held, {}
        self._holding.clear()
        frames = [protocol.output(stream, bytes(data)) for stream, data in held.items()]
        try:
            self._connection.sendall(b"".join((*frames, frame)))
        except OSError:
            os._exit(1)  # the host is gone, and an exception could not leave the guest's call from here
