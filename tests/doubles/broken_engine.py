"""An engine whose guest has broken out: it runs what it is given as native Python in the worker process itself.

python -m tests.doubles.broken_engine      with a nursery's control socket as its standard input
"""

import _posixsubprocess
import contextlib
import ctypes
import mmap
import os
import signal
import socket
import subprocess
import sys
import time

from sandbox import nursery
from sandbox.contract import Limits, Program, PythonProgram, Stream
from sandbox.worker import Call, Write

# What the hostile code finds loaded: behind the walls nothing more can be.
LOADED = {
    module.__name__: module
    for module in (_posixsubprocess, contextlib, ctypes, mmap, os, signal, socket, subprocess, sys, time)
} | {"libc": ctypes.CDLL(None, use_errno=True)}


class BrokenEngine:
    def exercise(self) -> None:
        """Nothing to prepare."""

    def prepare(self) -> None:
        """Nothing either."""

    def run(self, program: Program, limits: Limits, write: Write, _call: Call) -> int:
        def tell(value: object) -> None:
            write(Stream.STDOUT, f"{value}\n".encode())

        try:
            assert isinstance(program, PythonProgram)
            exec(program.source, {**LOADED, "tell": tell})
        except Exception as exc:
            write(Stream.STDERR, f"{type(exc).__name__}: {exc}\n".encode())
            return 1
        return 0


if __name__ == "__main__":
    nursery.serve(socket.socket(fileno=0), lambda: dict.fromkeys(nursery.Errand, lambda _file: BrokenEngine()))
