"""WASI programs that users brought: compiling one, and running one. Each in a worker that is forked for it alone."""

import ctypes
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from wasmtime import (
    Config,
    Engine,
    ExitTrap,
    FuncType,
    Linker,
    MemoryType,
    Module,
    Store,
    Trap,
    WasiConfig,
    WasmtimeError,
    _bindings,
    component,
    wat2wasm,
)

from sandbox.contract import Limits, Program, Stream, WasmProgram
from sandbox.errors import GuestCrashed, LimitExceeded, ProgramMissing, ProgramRefused
from sandbox.runtimes.wasmtime import CONFIGURATION
from sandbox.worker import Call, Write

MODULE, COMPONENT = b"\0asm\x01\0\0\0", b"\0asm\x0d\0\x01\0"
# One memory, so that its limit is the limit; what tables hold is not in it, so their elements are few.
MEMORIES, TABLES, TABLE_ELEMENTS, INSTANCES = 1, 8, 100_000, 32
PIECE_BYTES = 2**20
OFFERED_MODULE = re.compile(r"wasi_snapshot_preview1\.(?!sock_)\w+")
OFFERED_COMPONENT = re.compile(r"wasi:(cli|clocks|filesystem|io|random)/[a-z-]+@0\.2\.\d+")
RUN = re.compile(r"wasi:cli/run@0\.2\.\d+")
TRAP = re.compile(r"wasm trap: (.+)")
EXITS_BEYOND, BEYOND = "exit with invalid exit status", 255  # the engine does not say which it was, where it is above 125
# Waits for a moment, so that the runtime of WASI has its threads before no more can be made.
REHEARSAL = """
(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "\\01")
  (data (i32.const 24) "\\10\\27")
  (func (export "_start") (drop (call $poll (i32.const 0) (i32.const 128) (i32.const 1) (i32.const 256)))))
"""


class ProgramEngine:
    """Loaded before the fork: the engine without what programs do not get, and a program for its rehearsal."""

    def __init__(self) -> None:
        config = Config()
        for name, value in CONFIGURATION.items():
            setattr(config, name, value)
        self.engine = Engine(config)
        self.rehearsal = Module(self.engine, bytes(wat2wasm(REHEARSAL)))
        self._modules, self._components = Linker(self.engine), component.Linker(self.engine)
        self._modules.define_wasi()
        self._components.add_wasip2()

    def check_imports(self, program: Module | component.Component) -> None:
        """Against what a run finds. Nothing of it runs: the limit of instances is met after the imports, before any start."""
        store = Store(self.engine)
        store.set_wasi(WasiConfig())
        store.set_limits(0, 0, 0, 0, 0)
        try:
            if isinstance(program, Module):
                self._modules.instantiate(store, program)
            else:
                self._components.instantiate(store, program)
        except WasmtimeError as exc:
            if not str(exc).startswith("resource limit exceeded"):
                raise ProgramRefused(f"it imports what is not offered: {' '.join(str(exc).split())[:300]}") from exc

    def run_module(self, store: Store, module: Module) -> int:
        start: Any = self._modules.instantiate(store, module).exports(store)["_start"]
        start(store)
        return 0

    def run_component(self, store: Store, whole: component.Component) -> int:
        instance = self._components.instantiate(store, whole)
        name = next(name for name in whole.type.exports(store.engine) if RUN.fullmatch(name))
        index = instance.get_export_index(store, "run", instance.get_export_index(store, name))
        run = instance.get_func(store, index) if index else None
        if run is None:
            raise GuestCrashed("its wasi:cli/run has no function 'run'")
        return 0 if run(store) == component.Variant("ok") else 1


class Compiler:
    """A worker's guest: reads the program from its file and writes native code, as its output."""

    def __init__(self, engine: ProgramEngine, file: int) -> None:
        self._engine = engine
        self._file = file

    def exercise(self) -> None:
        self._wasm = _read(self._file)

    def prepare(self) -> None:
        """It has one task."""

    def run(self, program: Program, limits: Limits, write: Write, call: Call) -> int:
        native = self._wasm[:8] + self._compiled()
        for start in range(0, len(native), PIECE_BYTES):
            write(Stream.STDOUT, native[start : start + PIECE_BYTES])
        return 0

    def _compiled(self) -> bytes:
        try:
            if self._wasm.startswith(MODULE):
                module = Module(self._engine.engine, self._wasm)
                _check_module(module)
                self._engine.check_imports(module)
                return bytes(module.serialize())
            if self._wasm.startswith(COMPONENT):
                whole = component.Component(self._engine.engine, self._wasm)
                _check_component(whole, self._engine.engine)
                self._engine.check_imports(whole)
                return bytes(whole.serialize())
        except WasmtimeError as exc:
            raise ProgramRefused(f"not valid WebAssembly: {str(exc).splitlines()[0][:300]}") from exc
        raise ProgramRefused("neither a WASI 0.2 component nor a WebAssembly module: it begins with other bytes")


def _check_module(module: Module) -> None:
    _check_offered((f"{entry.module}.{entry.name}" for entry in module.imports), OFFERED_MODULE)
    exported = {entry.name: entry.type for entry in module.exports}
    start = exported.get("_start")
    starts = isinstance(start, FuncType) and not start.params and not start.results
    if not starts or not isinstance(exported.get("memory"), MemoryType):
        raise ProgramRefused(
            "it is no command: it must export a function '_start', which takes and gives nothing, and 'memory'"
        )


def _check_component(whole: component.Component, engine: Engine) -> None:
    _check_offered(whole.type.imports(engine), OFFERED_COMPONENT)
    if not any(RUN.fullmatch(name) for name in whole.type.exports(engine)):
        raise ProgramRefused("it is no command: it must export 'wasi:cli/run@0.2'")


def _check_offered(names: Iterable[str | None], offered: re.Pattern[str]) -> None:
    for name in sorted(map(str, names)):
        if not offered.fullmatch(name):
            raise ProgramRefused(f"it imports {name[:200]!r}, which is not offered")


class ProgramGuest:
    """A worker's guest: runs the program whose native code is in its file, once."""

    def __init__(self, engine: ProgramEngine, file: int) -> None:
        self._engine = engine
        self._file = file

    def exercise(self) -> None:
        """Before this worker may make no more memory executable."""
        store = _store(self._engine.engine, b"", Limits(), lambda stream, data: None)
        self._engine.run_module(store, self._engine.rehearsal)
        native = _read(self._file)
        load = Module.deserialize if native.startswith(MODULE) else component.Component.deserialize
        self._program: Module | component.Component | None = None
        with suppress(WasmtimeError):  # another engine's, or not whole
            self._program = load(self._engine.engine, native[8:])

    def prepare(self) -> None:
        """It runs once."""

    def run(self, program: Program, limits: Limits, write: Write, call: Call) -> int:
        if not isinstance(program, WasmProgram):
            raise ProgramRefused("this worker runs an installed program")
        if self._program is None:
            raise ProgramMissing(f"the native code of program {program.sha256} cannot be loaded in this sandbox")
        try:
            store = _store(self._engine.engine, program.stdin.encode("utf-8", "surrogatepass"), limits, write)
            if isinstance(self._program, Module):
                return self._engine.run_module(store, self._program)
            return self._engine.run_component(store, self._program)
        except ExitTrap as exc:
            return exc.code
        except (WasmtimeError, Trap) as exc:
            if EXITS_BEYOND in str(exc):
                return BEYOND
            raise _translated(str(exc), limits) from exc


def _store(engine: Engine, stdin: bytes, limits: Limits, write: Write) -> Store:
    store, wasi = Store(engine), WasiConfig()
    wasi.argv = ["tool"]
    wasi.stdout_custom = lambda data: write(Stream.STDOUT, data)
    wasi.stderr_custom = lambda data: write(Stream.STDERR, data)
    text = _bindings.wasm_byte_vec_t()
    _bindings.wasm_byte_vec_new(ctypes.byref(text), len(stdin), (ctypes.c_ubyte * len(stdin)).from_buffer_copy(stdin))
    _bindings.wasi_config_set_stdin_bytes(wasi.ptr(), ctypes.byref(text))
    store.set_wasi(wasi)
    store.set_limits(limits.memory_bytes, TABLE_ELEMENTS, INSTANCES, TABLES, MEMORIES)
    return store


def _read(file: int) -> bytes:
    return os.pread(file, os.fstat(file).st_size, 0)


def _translated(message: str, limits: Limits) -> GuestCrashed | LimitExceeded:
    if "exceeds memory limits" in message:
        return LimitExceeded("memory_bytes", f"{limits.memory_bytes} bytes")
    trap = TRAP.search(message)
    return GuestCrashed(f"the program trapped: {trap[1][:200]}" if trap else "the program could not be run")
