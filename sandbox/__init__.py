"""Runs one untrusted program under hard limits. Knows nothing of conversations, models or HTTP."""

from sandbox.client import SandboxClient, open_client
from sandbox.contract import (
    Capabilities,
    Invocation,
    Limits,
    OnOutput,
    Outcome,
    Program,
    PythonFunction,
    PythonProgram,
    Runtime,
    Stream,
    WasmProgram,
)
from sandbox.errors import (
    GuestCrashed,
    HostGone,
    LimitExceeded,
    ProgramMissing,
    ProgramRefused,
    RuntimeUnavailable,
    SandboxBusy,
    SandboxError,
)

__all__ = [
    "Capabilities",
    "GuestCrashed",
    "HostGone",
    "Invocation",
    "LimitExceeded",
    "Limits",
    "OnOutput",
    "Outcome",
    "Program",
    "ProgramMissing",
    "ProgramRefused",
    "PythonFunction",
    "PythonProgram",
    "Runtime",
    "RuntimeUnavailable",
    "SandboxBusy",
    "SandboxClient",
    "SandboxError",
    "Stream",
    "WasmProgram",
    "open_client",
]
