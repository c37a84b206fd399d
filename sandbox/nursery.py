"""The process that workers are forked from: it holds a loaded engine, so that a new worker costs a fork instead of a start.

It has one thread and runs no guest. It dies with the sandbox host, and its workers die with it. Each message on its control
socket is one byte with the worker's end of a socket pair; the answer is the worker's pid with its pidfd.
"""

import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from struct import Struct

from sandbox import walls, worker

PID = Struct(">I")


def serve(control: socket.socket, load: Callable[[], worker.Guest]) -> None:
    """Returns when the host closes the control socket."""
    walls.die_with_parent()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps: nobody here waits for a worker
    guest = load()
    built = walls.before_fork()
    nothing = os.open(os.devnull, os.O_RDWR)
    control.sendall(b"\n")
    while True:
        message, descriptors, _flags, _address = socket.recv_fds(control, 1, 1)
        if not message:
            return
        connection = socket.socket(fileno=descriptors[0])
        pid = os.fork()
        if pid == 0:
            control.close()
            _become_worker(connection, guest, built, nothing)
        connection.close()
        pidfd = os.pidfd_open(pid)
        socket.send_fds(control, [PID.pack(pid)], [pidfd])
        os.close(pidfd)


def _become_worker(connection: socket.socket, guest: worker.Guest, built: list[walls.Wall], nothing: int) -> None:
    """Never returns: whatever happens, this process must not go on as a second nursery."""

    def settle() -> None:
        guest.exercise()
        os.dup2(nothing, sys.stderr.fileno())  # until now it could say why it does not start

    try:
        os.dup2(nothing, sys.stdin.fileno())
        os.setsid()
        walls.die_with_parent()
        worker.serve(connection, guest, built + walls.after_fork(settle))
    except ConnectionError:
        pass  # the host went away
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)
