"""The process that workers are forked from: it holds a loaded engine, so that a new worker costs a fork instead of a start.

It has one thread and runs no guest. It dies with the sandbox host, and its workers die with it. Each message on its control
socket is an errand with the worker's end of a socket pair and perhaps a file; the answer is the worker's pid with its pidfd, or
0 alone where there is no worker.
"""

import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Mapping
from enum import Enum
from struct import Struct

from sandbox import walls, worker

PID = Struct(">I")
COMPILE_NICENESS = 10  # what runs already goes before what is being made
MESSAGE = Struct(">cQ")  # an errand, and the bytes of memory that its worker may take more than the nursery has; 0: any


class Errand(Enum):
    """What a worker is forked for."""

    PYTHON = b"p"  # one Python program after another
    PROGRAM = b"w"  # one run of an installed program, the file
    COMPILE = b"c"  # making native code of a program, the file


Guests = Mapping[Errand, Callable[[int], worker.Guest]]
"""What is made in a worker for an errand, from the descriptor of its file (-1 where it has none)."""


def serve(control: socket.socket, load: Callable[[], Guests]) -> None:
    """Returns when the host closes the control socket."""
    walls.die_with_parent()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps: nobody here waits for a worker
    guests = load()
    built = walls.before_fork()
    nothing, own = os.open(os.devnull, os.O_RDWR), os.getpid()
    control.sendall(b"\n")
    while True:
        message, descriptors, _flags, _address = socket.recv_fds(control, MESSAGE.size, 2)
        if not message:
            return
        pid = _fork()
        if pid == 0:
            control.close()
            _become_worker(own, message, descriptors, guests, built, nothing)
        for descriptor in descriptors:
            os.close(descriptor)
        _tell(control, pid)


def _fork() -> int:
    """-1 where the machine has no room for another process."""
    try:
        return os.fork()
    except OSError:
        traceback.print_exc()
        return -1


def _tell(control: socket.socket, pid: int) -> None:
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:  # there is none, or none any more
        control.sendall(PID.pack(0))
    else:
        socket.send_fds(control, [PID.pack(pid)], [pidfd])
        os.close(pidfd)


def _become_worker(
    parent: int, message: bytes, descriptors: list[int], guests: Guests, built: list[walls.Wall], nothing: int
) -> None:
    """Never returns: whatever happens, this process must not go on as a second nursery."""
    outgoing = worker.Outgoing(socket.socket(fileno=descriptors[0]))

    def settle() -> None:
        if os.getppid() != parent:  # it ended before the kernel was told that this process ends with it
            os._exit(0)
        guest.exercise()
        outgoing.watch()
        os.dup2(nothing, sys.stderr.fileno())  # until now it could say why it does not start

    try:
        errand, data_bytes = Errand(MESSAGE.unpack(message)[0]), MESSAGE.unpack(message)[1]
        guest = guests[errand](descriptors[1] if len(descriptors) > 1 else -1)
        os.dup2(nothing, sys.stdin.fileno())
        os.setsid()
        if errand is Errand.COMPILE:
            os.nice(COMPILE_NICENESS)
        walls.die_with_parent()
        built += walls.after_fork(settle, data_bytes=data_bytes or None, compiles=errand is Errand.COMPILE)
        worker.serve(outgoing, guest, built)
    except ConnectionError:
        pass  # the host went away
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)
