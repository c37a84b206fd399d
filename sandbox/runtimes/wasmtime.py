"""CPython in Wasmtime: a fresh instance of a pre-initialised component for every program. Knows no process but its own."""

import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from wasmtime import Config, Engine, ExitTrap, Store, WasiConfig, WasmtimeError
from wasmtime.component import Component, Linker

from sandbox import nursery
from sandbox.contract import Limits, Runtime, Stream
from sandbox.errors import GuestCrashed, LimitExceeded
from sandbox.pool import open_pool
from sandbox.worker import Write

# What CPython in one component takes (memories, tables, their elements, instances), and little more.
MEMORIES, TABLES, TABLE_ELEMENTS, INSTANCES = 1, 2, 10_000, 16


@asynccontextmanager
async def open_runtime(options: Mapping[str, Any]) -> AsyncIterator[Runtime]:
    """options: `guest`, the file that `sandbox.guests.build` made; `workers`, how many processes."""
    command = [sys.executable, "-I", "-m", "sandbox.runtimes.wasmtime", str(options["guest"])]
    async with open_pool(command, workers=options["workers"]) as pool:
        yield pool


SETTINGS = "1"  # part of the name of what is compiled; change it with the configuration below


def engine() -> Engine:
    config = Config()
    return Engine(config)


def compile_component(component: bytes) -> bytes:
    """Native code for this machine's CPU, for `PythonGuest`. Takes some ten seconds of every core."""
    return bytes(Component(engine(), component).serialize())


class PythonGuest:
    """artifact: what `compile_component` made. It is native code and is trusted as such."""

    def __init__(self, artifact: Path) -> None:
        self._engine = engine()
        self._component = Component.deserialize_file(self._engine, str(artifact))
        self._linker = Linker(self._engine)
        self._linker.add_wasip2()
        with self._linker.root() as root:
            root.add_func("write", self._written)
        export = self._component.get_export_index("run")
        if export is None:
            raise WasmtimeError("the guest exports no function 'run'")
        self._export = export
        self._write: Write = _nowhere

    def _written(self, _store: object, to_stderr: bool, data: str) -> None:
        self._write(Stream.STDERR if to_stderr else Stream.STDOUT, data.encode("latin-1"))

    def run(self, source: str, limits: Limits, write: Write) -> int:
        self._write = write
        with Store(self._engine) as store:
            store.set_wasi(WasiConfig())
            store.set_limits(limits.memory_bytes, TABLE_ELEMENTS, INSTANCES, TABLES, MEMORIES)
            try:
                instance = self._linker.instantiate(store, self._component)
                function = instance.get_func(store, self._export)
                if function is None:
                    raise GuestCrashed("the guest exports no function 'run'")
                return int(function(store, source.encode("utf-8", "surrogatepass").decode("latin-1")))
            except ExitTrap as exc:
                return exc.code
            except WasmtimeError as exc:
                raise _translated(str(exc), limits) from exc


def _nowhere(_stream: Stream, _data: bytes) -> None:
    """Output before there is a program."""


def _translated(message: str, limits: Limits) -> GuestCrashed | LimitExceeded:
    if "call stack exhausted" in message:
        return GuestCrashed("the program overflowed the stack")
    if "exceeds memory limits" in message:
        return LimitExceeded("memory_bytes", f"{limits.memory_bytes} bytes")
    return GuestCrashed("the program crashed the interpreter")


if __name__ == "__main__":
    nursery.serve(socket.socket(fileno=0), lambda: PythonGuest(Path(sys.argv[1])))
