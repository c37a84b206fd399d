"""The words that a client, the sandbox host and its workers say to each other over a Unix socket. Knows no isolation.

A frame is a length (4 bytes, big-endian; of the payload), a kind (1 byte) and the payload:

    client -> host    HELLO, then RUN or INSTALL; CANCEL (or closing the connection) kills the guest of the running one
    host -> client    HELLO, then for each RUN any number of STDOUT, STDERR, RESULT and CALL and one of DONE, FAILED

A CALL is a tool that the guest calls; it waits for the ANSWER, and the client says nothing else to it.

A program of kind `wasm` is installed before it is run: INSTALL, then its bytes in PIECEs, then one of DONE, FAILED comes back.
A connection runs one program at a time and is used again. Anything else closes it: FAILED says why, where that is possible.
The host and its workers say the same to each other, RUN to FAILED; a worker says HELLO when it is ready.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import IntEnum
from struct import Struct
from typing import Any

from sandbox.contract import (
    Answer,
    Capabilities,
    Invocation,
    Limits,
    Outcome,
    Program,
    PythonFunction,
    PythonProgram,
    Stream,
    WasmProgram,
)
from sandbox.errors import (
    GuestCrashed,
    LimitExceeded,
    ProgramMissing,
    ProgramRefused,
    RuntimeUnavailable,
    SandboxBusy,
    SandboxError,
)

VERSION = 3
HEADER = Struct(">IB")
MAX_PAYLOAD_BYTES = 16 * 2**20
MAX_TEXT_BYTES = 2**20  # of a source or of arguments; as JSON at most six times as much
MAX_PROGRAM_BYTES = 32 * 2**20  # of one that is installed
PIECE_BYTES = 2**20
MAX_MESSAGE_CHARACTERS = 2000  # of an error
CEILINGS = {"cpu_seconds": 86_400, "wall_seconds": 86_400, "memory_bytes": 2**32, "output_bytes": 128 * 2**20}


class Kind(IntEnum):
    HELLO = 1  # JSON: {"version": 3, ...}
    RUN = 2  # JSON: an invocation
    STDOUT = 3  # bytes
    STDERR = 4  # bytes
    DONE = 5  # JSON: an outcome without its output
    FAILED = 6  # JSON: an error
    CANCEL = 7  # nothing
    RESULT = 8  # bytes
    INSTALL = 9  # JSON: what is installed
    PIECE = 10  # bytes
    CALL = 11  # JSON: a tool's name and its arguments, a text
    ANSWER = 12  # JSON: a text, and whether the call failed


STREAMS = {Kind.STDOUT: Stream.STDOUT, Kind.STDERR: Stream.STDERR, Kind.RESULT: Stream.RESULT}
KINDS = {stream: kind for kind, stream in STREAMS.items()}


class ProtocolError(Exception):
    """The other side said what cannot be understood. The connection is of no more use."""


def frame(kind: Kind, payload: bytes = b"") -> bytes:
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ProtocolError(f"a frame of {len(payload)} bytes; at most {MAX_PAYLOAD_BYTES} are allowed")
    return HEADER.pack(len(payload), kind) + payload


def parse_header(header: bytes) -> tuple[Kind, int]:
    size, kind = HEADER.unpack(header)
    if size > MAX_PAYLOAD_BYTES:
        raise ProtocolError(f"a frame of {size} bytes; at most {MAX_PAYLOAD_BYTES} are allowed")
    try:
        return Kind(kind), size
    except ValueError:
        raise ProtocolError(f"unknown kind of frame: {kind}") from None


async def read_frame(reader: asyncio.StreamReader) -> tuple[Kind, bytes] | None:
    """The next frame, or None when the other side is gone (in the middle of a frame, too)."""
    try:
        kind, size = parse_header(await reader.readexactly(HEADER.size))
        return kind, await reader.readexactly(size)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def hello(**more: Any) -> bytes:
    return frame(Kind.HELLO, _dump({"version": VERSION, **more}))


def parse_hello(payload: bytes) -> dict[str, Any]:
    said = _load(payload)
    if said.get("version") != VERSION:
        raise ProtocolError(f"protocol version {said.get('version')!r}; this side speaks {VERSION}: restart both")
    return said


def run(invocation: Invocation) -> bytes:
    for name, text in asdict(invocation.program).items():
        size = len(text.encode("utf-8", "surrogatepass"))
        if size > MAX_TEXT_BYTES:
            raise ProgramRefused(f"the program's {name} is too long: {size} bytes; at most {MAX_TEXT_BYTES} are allowed")
    try:
        _limits(asdict(invocation.limits))
    except ValueError as exc:
        raise ProgramRefused(str(exc)) from exc
    return frame(Kind.RUN, _dump(asdict(invocation)))


def parse_run(payload: bytes) -> Invocation:
    said = _load(payload)
    try:
        return Invocation(
            id=_text(said["id"]),
            runtime=_text(said["runtime"]),
            program=_program(said["program"]),
            limits=_limits(said["limits"]),
            capabilities=_capabilities(said["capabilities"]),
            owner=_text(said.get("owner", "")),  # a client that was not restarted yet says none
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise ProtocolError(f"not an invocation: {exc!r}") from exc


def _program(said: Mapping[str, Any]) -> Program:
    match said["kind"]:
        case "python":
            return PythonProgram(source=_text(said["source"]))
        case "function":
            return PythonFunction(source=_text(said["source"]), arguments=_text(said["arguments"]))
        case "wasm":
            return WasmProgram(sha256=_text(said["sha256"]), stdin=_text(said["stdin"]))
        case kind:
            raise ValueError(f"unknown kind of program: {kind!r}")


def _limits(said: Mapping[str, Any]) -> Limits:
    for name, value in said.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= CEILINGS[name]:
            raise ValueError(f"limit {name} is {value!r}; at most {CEILINGS[name]} is allowed")
    limits = Limits(**said)
    return replace(limits, memory_bytes=int(limits.memory_bytes), output_bytes=int(limits.output_bytes))


def _capabilities(said: Mapping[str, Any]) -> Capabilities:
    return Capabilities(
        network=tuple(said["network"]), secrets=tuple(said["secrets"]), files=_text(said["files"]), tools=tuple(said["tools"])
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """runtime: which one is to take it. sha256, size: of the bytes that follow."""

    runtime: str
    sha256: str
    size: int


def install(installation: Installation) -> bytes:
    return frame(Kind.INSTALL, _dump(asdict(installation)))


def parse_install(payload: bytes) -> Installation:
    said = _load(payload)
    size = said.get("size")
    if type(size) is not int or not 0 < size <= MAX_PROGRAM_BYTES:
        raise ProtocolError(f"a program of {size!r} bytes; at most {MAX_PROGRAM_BYTES} are allowed")
    return Installation(runtime=_text(said.get("runtime")), sha256=_text(said.get("sha256")), size=size)


def output(stream: Stream, data: bytes) -> bytes:
    return frame(KINDS[stream], data)


def call(name: str, arguments: str) -> bytes:
    """Raises ProtocolError for what is too long."""
    if len(name) + len(arguments) > MAX_TEXT_BYTES:
        raise ProtocolError(f"a call of {len(name) + len(arguments)} characters; at most {MAX_TEXT_BYTES} are allowed")
    return frame(Kind.CALL, _dump({"name": name, "arguments": arguments}))


def parse_call(payload: bytes) -> tuple[str, str]:
    said = _load(payload)
    return _text(said.get("name")), _text(said.get("arguments"))


def answer(answer: Answer) -> bytes:
    return frame(Kind.ANSWER, _dump(asdict(answer)))


def parse_answer(payload: bytes) -> Answer:
    said = _load(payload)
    return Answer(text=_text(said.get("text")), failed=bool(said.get("failed")))


def done(outcome: Outcome) -> bytes:
    said = asdict(outcome)
    del said["stdout"], said["stderr"], said["result"]
    return frame(Kind.DONE, _dump(said))


def parse_done(payload: bytes) -> Outcome:
    said = _load(payload)
    try:
        return Outcome(
            exit_code=int(said["exit_code"]),
            truncated=bool(said["truncated"]),
            cpu_seconds=float(said["cpu_seconds"]),
            wall_seconds=float(said["wall_seconds"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as exc:
        raise ProtocolError(f"not an outcome: {exc!r}") from exc


ERRORS: Mapping[str, type[SandboxError]] = {
    error.__name__: error
    for error in (SandboxError, ProgramMissing, ProgramRefused, GuestCrashed, RuntimeUnavailable, SandboxBusy)
}


def failed(error: SandboxError) -> bytes:
    if isinstance(error, LimitExceeded):
        return frame(Kind.FAILED, _dump({"error": "LimitExceeded", "limit": error.limit, "allowed": error.allowed}))
    return frame(Kind.FAILED, _dump({"error": type(error).__name__, "message": str(error)}))


def parse_failed(payload: bytes) -> SandboxError:
    """What it says is cut: a worker that a program took over may say it."""
    said = _load(payload)
    name = _text(said.get("error", ""))
    if name == "LimitExceeded":
        limit, allowed = _text(said.get("limit", "?")), _text(said.get("allowed", "?"))
        return LimitExceeded(limit[:MAX_MESSAGE_CHARACTERS], allowed[:MAX_MESSAGE_CHARACTERS])
    message = _text(said.get("message", "the sandbox failed"))
    return ERRORS.get(name, SandboxError)(message[:MAX_MESSAGE_CHARACTERS])


def _dump(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value).encode("ascii")


def _load(payload: bytes) -> dict[str, Any]:
    try:
        said = json.loads(payload)
    except (ValueError, RecursionError) as exc:
        raise ProtocolError("a payload that is not JSON") from exc
    if not isinstance(said, dict):
        raise ProtocolError("a payload that is not a JSON object")
    return said


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ProtocolError(f"{type(value).__name__} where text belongs")
    return value
