"""CPython in Wasmtime: a fresh instance of a pre-initialised component for every program. Knows no process but its own."""

import ctypes
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from wasmtime import Config, Engine, ExitTrap, Store, WasiConfig, WasmtimeError, _bindings
from wasmtime.component import Component, Linker

from sandbox import nursery
from sandbox.contract import Limits, Runtime, Stream
from sandbox.errors import GuestCrashed, LimitExceeded
from sandbox.pool import PoolOptions, open_pool
from sandbox.private import check_private
from sandbox.worker import Write

# What CPython in one component takes (memories, tables, their elements, instances), and little more.
MEMORIES, TABLES, TABLE_ELEMENTS, INSTANCES = 1, 2, 10_000, 16

NO_FINALIZER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)()


@asynccontextmanager
async def open_runtime(options: Mapping[str, Any]) -> AsyncIterator[Runtime]:
    """options: `guest`, the file that `sandbox.guests.build` made, and `PoolOptions` without its command."""
    check_private(options["guest"])
    command = [sys.executable, "-I", "-m", "sandbox.runtimes.wasmtime", str(options["guest"])]
    rest = {name: value for name, value in options.items() if name != "guest"}
    async with open_pool(PoolOptions(command=command, **rest)) as pool:
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
        self._define_write()
        export = self._component.get_export_index("run")
        if export is None:
            raise WasmtimeError("the guest exports no function 'run'")
        self._export = export
        self._write: Write = _nowhere

    def _define_write(self) -> None:
        """By the C interface: the binding's own way asks at every call for the function's type, which takes longer than it."""
        self._callback = _bindings.wasmtime_component_func_callback_t(self._written)  # the linker does not keep it alive
        with self._linker.root() as root:
            error = _bindings.wasmtime_component_linker_instance_add_func(
                root.ptr(), ctypes.create_string_buffer(b"write"), len("write"), self._callback, None, NO_FINALIZER
            )
        if error:
            raise WasmtimeError._from_ptr(error)

    def _written(self, _data: object, _context: object, _type: object, arguments: Any, *_more: object) -> int:
        text = arguments[1].of.string
        data = ctypes.string_at(text.data, text.size).decode().encode("latin-1")
        _bindings.wasm_byte_vec_delete(ctypes.byref(text))
        self._write(Stream.STDERR if arguments[0].of.boolean else Stream.STDOUT, data)
        return 0

    def exercise(self) -> None:
        self.run("import time; time.sleep(0.0001)", Limits(), _nowhere)

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
    os.environ["TOKIO_WORKER_THREADS"] = "1"  # the engine's timers need one thread a worker, not one a core
    nursery.serve(socket.socket(fileno=0), lambda: PythonGuest(Path(sys.argv[1])))
