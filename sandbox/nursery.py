"""The process that workers are forked from: it holds a loaded engine, and a new worker costs a fork instead of a start.

It has one thread and runs no guest. It dies with the sandbox host, and its workers die with it. Each message on the
control socket is one byte with the worker's end of a socket pair; the answer is the worker's pid with its pidfd.
"""

import os
import signal
import socket
from collections.abc import Callable
from struct import Struct

from sandbox import walls, worker

PID = Struct(">I")


def serve(control: socket.socket, load: Callable[[], worker.Guest]) -> None:
    """Returns when the host closes the control socket."""
    walls.die_with_parent()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps: nobody here waits for a worker
    guest = load()
    control.sendall(b"\n")
    while True:
        message, descriptors, _flags, _address = socket.recv_fds(control, 1, 1)
        if not message:
            return
        connection = socket.socket(fileno=descriptors[0])
        pid = os.fork()
        if pid == 0:
            _become_worker(control, connection, guest)
        connection.close()
        pidfd = os.pidfd_open(pid)
        socket.send_fds(control, [PID.pack(pid)], [pidfd])
        os.close(pidfd)


def _become_worker(control: socket.socket, connection: socket.socket, guest: worker.Guest) -> None:
    """Never returns: whatever happens, this process must not go on as a second nursery."""
    try:
        control.close()
        walls.die_with_parent()
        worker.serve(connection, guest)
    finally:
        os._exit(0)
