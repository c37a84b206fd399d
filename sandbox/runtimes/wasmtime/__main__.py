"""The nursery's process: python -m sandbox.runtimes.wasmtime GUEST, with its control socket as standard input."""

import os
import socket
import sys
from pathlib import Path

from sandbox import nursery
from sandbox.nursery import Errand, Guests
from sandbox.runtimes.wasmtime.programs import Compiler, ProgramEngine, ProgramGuest
from sandbox.runtimes.wasmtime.python import PythonGuest


def load() -> Guests:
    python, engine = PythonGuest(Path(sys.argv[1])), ProgramEngine()
    return {
        Errand.PYTHON: lambda _file: python,
        Errand.PROGRAM: lambda file: ProgramGuest(engine, file),
        Errand.COMPILE: lambda file: Compiler(engine, file),
    }


if __name__ == "__main__":
    os.environ["TOKIO_WORKER_THREADS"] = "1"  # the engine's timers need one thread a worker, not one a core
    nursery.serve(socket.socket(fileno=0), load)
