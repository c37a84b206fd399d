"""Wasmtime: Python in a guest that is kept ready, and programs that were installed. Its engine is in the workers, not here."""

import asyncio
import hashlib
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sandbox.artifacts import Artifacts
from sandbox.contract import Invocation, Limits, OnCall, OnOutput, Outcome, Runtime, Stream, WasmProgram, refuse_calls
from sandbox.errors import GuestCrashed, LimitExceeded, ProgramMissing, ProgramRefused, RuntimeUnavailable
from sandbox.nursery import Errand
from sandbox.pool import Pool, PoolOptions, open_pool
from sandbox.private import check_private
from sandbox.processor import processor

ARTIFACT_BYTES = 2 * 2**30
COMPILE_LIMITS = Limits(cpu_seconds=60, memory_bytes=2**30, output_bytes=128 * 2**20)
CONFIGURATION = {
    "parallel_compilation": False,  # the nursery must have one thread
    "wasm_threads": False,  # memory that is shared is in no limit
    "wasm_memory64": False,
    "memory_init_cow": False,  # it would make a file, which a worker may not
}
"""Of the engine that programs are compiled for and run in."""


@asynccontextmanager
async def open_runtime(options: Mapping[str, Any]) -> AsyncIterator[Runtime]:
    """options: `guest`, the file that `sandbox.guests.build` made, and `PoolOptions` without its command.

    Installed programs are kept in the folder `programs` beside the guest.
    """
    guest: Path = options["guest"]
    check_private(guest)
    command = [sys.executable, "-I", "-m", "sandbox.runtimes.wasmtime", str(guest)]
    rest = {name: value for name, value in options.items() if name != "guest"}
    made_for = hashlib.sha256(f"{version('wasmtime')} {CONFIGURATION} {processor()}".encode()).hexdigest()[:16]
    artifacts = Artifacts(guest.parent / "programs", made_for=made_for, limit_bytes=ARTIFACT_BYTES)
    async with open_pool(PoolOptions(command=command, **rest)) as pool:
        yield Wasmtime(pool, artifacts)


class Wasmtime:
    def __init__(self, pool: Pool, artifacts: Artifacts) -> None:
        self._pool = pool
        self._artifacts = artifacts

    async def run(self, invocation: Invocation, on_output: OnOutput, on_call: OnCall = refuse_calls) -> Outcome:
        if not isinstance(invocation.program, WasmProgram):
            return await self._pool.run(invocation, on_output, on_call)
        if granted := invocation.capabilities.granted:
            raise RuntimeUnavailable(f"an installed program cannot be granted capabilities: {', '.join(granted)}")
        with self._artifacts.opened(invocation.program.sha256) as file:
            try:
                return await self._pool.run_apart(Errand.PROGRAM, invocation, on_output, file)
            except ProgramMissing:  # its file is of no use: it has to be made again
                self._artifacts.remove(invocation.program.sha256)
                raise

    async def install(self, sha256: str, file: int) -> None:
        """Compiles it behind the walls: a compiler that reads strangers' programs is as open to attack as an engine."""
        if self._artifacts.has(sha256):
            return
        compiling = Invocation(
            id=f"compile-{sha256}",
            runtime="wasmtime",
            program=WasmProgram(sha256=sha256, stdin=""),
            limits=COMPILE_LIMITS,
        )
        with self._artifacts.writing(sha256) as native:

            def write(stream: Stream, data: bytes) -> None:
                if native.tell() + len(data) > COMPILE_LIMITS.output_bytes:
                    raise LimitExceeded("output_bytes", f"{COMPILE_LIMITS.output_bytes} bytes of native code")
                native.write(data)

            try:
                outcome = await self._pool.run_apart(Errand.COMPILE, compiling, write, file)
            except LimitExceeded as exc:
                raise ProgramRefused(f"it cannot be compiled: {exc}") from exc
            except GuestCrashed as exc:  # as a compiler does that gets no more memory
                given = f"{COMPILE_LIMITS.memory_bytes} bytes of memory"
                raise ProgramRefused(f"it cannot be compiled with {given}: {exc}") from exc
            if outcome.truncated or not native.tell():
                raise ProgramRefused("it cannot be compiled: its native code is too large")
            native.flush()
            await asyncio.to_thread(os.fsync, native.fileno())  # a name must not outlive its bytes when the power goes
