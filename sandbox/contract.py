"""What the platform asks of a sandbox, and what every runtime promises back."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Hard ceilings for one invocation. A runtime that cannot enforce one must refuse to start."""

    cpu_seconds: float = 30.0
    wall_seconds: float = 60.0
    memory_bytes: int = 256 * 2**20
    output_bytes: int = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a guest may reach beside its own memory. Nothing is granted by default.

    A runtime refuses an invocation that grants what it cannot enforce.
    """

    network: tuple[Mapping[str, Any], ...] = ()
    secrets: tuple[str, ...] = ()
    files: str = "none"
    tools: tuple[str, ...] = ()

    @property
    def granted(self) -> tuple[str, ...]:
        """The names of the capabilities that grant anything."""
        values = {"network": self.network, "secrets": self.secrets, "tools": self.tools}
        names = [name for name, value in values.items() if value]
        return tuple(names if self.files == "none" else [*names, "files"])


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonProgram:
    """Source text that runs as a module named `__main__`.

    Like a notebook cell, the value of a final expression is printed by `repr` unless it is None.
    """

    source: str
    kind: Literal["python"] = "python"


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonFunction:
    """Source text whose `main` is called with the arguments, a JSON object. What it returns is the outcome's `result`."""

    source: str
    arguments: str
    kind: Literal["function"] = "function"


@dataclass(frozen=True, slots=True, kw_only=True)
class WasmProgram:
    """A WASI command that was installed, by the SHA-256 of its bytes, in hex. stdin: all that it reads there."""

    sha256: str
    stdin: str
    kind: Literal["wasm"] = "wasm"


Program = PythonProgram | PythonFunction | WasmProgram


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """A tool call that has been validated, authorised and bounded. Only the executor creates these.

    owner: whose it is, a name that says nothing here: owners share what there is. "" has no share of its own.
    """

    id: str
    runtime: str
    program: Program
    limits: Limits = field(default_factory=Limits)
    capabilities: Capabilities = field(default_factory=Capabilities)
    owner: str = ""


class Stream(StrEnum):
    STDOUT = "stdout"
    STDERR = "stderr"
    RESULT = "result"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the guest produced. The bytes are untrusted; all together are at most `output_bytes`.

    result: what a program gave back beside what it printed, as JSON; None for a program that only prints.
    """

    exit_code: int
    stdout: bytes = b""
    stderr: bytes = b""
    result: bytes | None = None
    truncated: bool = False
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0


OnOutput = Callable[[Stream, bytes], None]
"""Told of each piece of output as it arrives, in order, within the cap. Must return at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a guest is told of a tool that it called: its result, or why there is none."""

    text: str
    failed: bool = False


OnCall = Callable[[str, str], Awaitable[Answer]]
"""Asked for each tool that a guest calls, one after another, by its name and with its arguments as the guest wrote them:
whoever answers judges both. Cancelled when the guest ends meanwhile.
"""


async def refuse_calls(name: str, arguments: str) -> Answer:
    """For guests that may call nothing."""
    return Answer(text="code here may call no tools", failed=True)


class Runtime(Protocol):
    """One isolation technology."""

    async def run(self, invocation: Invocation, on_output: OnOutput, on_call: OnCall = refuse_calls) -> Outcome:
        """Run one program in an instance of its own. Cancelling kills the guest before it returns.

        Raises `LimitExceeded`, `GuestCrashed` (both with the output so far), `RuntimeUnavailable`.
        """
        ...


@runtime_checkable
class Installing(Protocol):
    """A runtime that takes programs as files, once, before they are run by their digest."""

    async def install(self, sha256: str, file: int) -> None:
        """file: a descriptor of the bytes whose digest that is. Nothing is done for one that is there.

        Raises `ProgramRefused`, `LimitExceeded`, `GuestCrashed`, `RuntimeUnavailable`.
        """
        ...


class RuntimeModule(Protocol):
    """What a file in `sandbox/runtimes/` provides."""

    def open_runtime(self, options: Mapping[str, Any], /) -> AbstractAsyncContextManager[Runtime]: ...
