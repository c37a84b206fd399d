"""The frames that client, host and workers exchange."""

import json
from dataclasses import asdict, replace

import pytest

from sandbox import (
    Capabilities,
    GuestCrashed,
    Invocation,
    LimitExceeded,
    Limits,
    Outcome,
    ProgramRefused,
    PythonProgram,
    RuntimeUnavailable,
    SandboxBusy,
    SandboxError,
    protocol,
)
from sandbox.protocol import HEADER, Kind, ProtocolError

INVOCATION = Invocation(
    id="call_1",
    runtime="wasmtime",
    program=PythonProgram(source="print('ä\0\ud800')"),
    limits=Limits(cpu_seconds=1.5, wall_seconds=2, memory_bytes=3 * 2**20, output_bytes=4),
    capabilities=Capabilities(network=({"host": "example.com"},), secrets=("TOKEN",), files="workspace", tools=("search",)),
    owner="org_1",
)


def payload(frame: bytes, kind: Kind) -> bytes:
    said, size = protocol.parse_header(frame[: HEADER.size])
    assert (said, size) == (kind, len(frame) - HEADER.size)
    return frame[HEADER.size :]


def test_an_invocation_arrives_as_it_was_sent() -> None:
    assert protocol.parse_run(payload(protocol.run(INVOCATION), Kind.RUN)) == INVOCATION


def test_an_outcome_arrives_without_its_output() -> None:
    outcome = Outcome(exit_code=3, stdout=b"x", truncated=True, cpu_seconds=0.5, wall_seconds=1.5)

    arrived = protocol.parse_done(payload(protocol.done(outcome), Kind.DONE))

    assert arrived == Outcome(exit_code=3, truncated=True, cpu_seconds=0.5, wall_seconds=1.5)


@pytest.mark.parametrize(
    "error",
    [
        SandboxError("a"),
        ProgramRefused("b"),
        GuestCrashed("c"),
        RuntimeUnavailable("d"),
        SandboxBusy("e"),
        LimitExceeded("f", "1 s"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_arrives_as_what_it_was(error: SandboxError) -> None:
    arrived = protocol.parse_failed(payload(protocol.failed(error), Kind.FAILED))

    assert (type(arrived), str(arrived)) == (type(error), str(error))


def test_an_error_that_this_side_does_not_know_is_still_an_error() -> None:
    arrived = protocol.parse_failed(b'{"error": "OutOfPaper", "message": "the printer is empty"}')

    assert (type(arrived), str(arrived)) == (SandboxError, "the printer is empty")


@pytest.mark.parametrize("name", ["SandboxError", "LimitExceeded"])
def test_an_error_has_no_more_words_than_somebody_reads(name: str) -> None:
    said = {"error": name, "message": "x" * 10**6, "limit": "x" * 10**6, "allowed": "x" * 10**6}

    assert len(str(protocol.parse_failed(json.dumps(said).encode()))) < 5000


def test_a_frame_that_is_too_long_is_neither_sent_nor_awaited() -> None:
    with pytest.raises(ProtocolError, match="at most"):
        protocol.frame(Kind.STDOUT, bytes(protocol.MAX_PAYLOAD_BYTES + 1))
    with pytest.raises(ProtocolError, match="at most"):
        protocol.parse_header(HEADER.pack(protocol.MAX_PAYLOAD_BYTES + 1, Kind.STDOUT))


def test_the_longest_source_fits_a_frame_however_it_is_escaped() -> None:
    source = "\0" * protocol.MAX_TEXT_BYTES
    frame = protocol.run(Invocation(id="x", runtime="wasmtime", program=PythonProgram(source=source)))

    assert protocol.parse_run(payload(frame, Kind.RUN)).program.source == source


def without(path: str) -> dict[str, object]:
    said: dict[str, object] = json.loads(json.dumps(asdict(INVOCATION)))
    del said[path]
    return said


@pytest.mark.parametrize("missing", ["id", "runtime", "program", "limits", "capabilities"])
def test_an_invocation_that_lacks_a_part_is_refused(missing: str) -> None:
    with pytest.raises(ProtocolError, match=missing):
        protocol.parse_run(json.dumps(without(missing)).encode())


def test_an_invocation_of_a_client_that_says_no_owner_is_nobodys() -> None:
    assert protocol.parse_run(json.dumps(without("owner")).encode()) == replace(INVOCATION, owner="")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cpu_seconds", 0),
        ("cpu_seconds", -1),
        ("cpu_seconds", "1"),
        ("cpu_seconds", True),
        ("cpu_seconds", None),
        ("cpu_seconds", float("nan")),
        ("cpu_seconds", float("inf")),
        ("wall_seconds", 10**9),
        ("memory_bytes", 2**33),
        ("output_bytes", 2**40),
        ("disk_bytes", 1),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused_by_name(name: str, value: object) -> None:
    said = without("limits") | {"limits": {name: value}}

    with pytest.raises(ProtocolError, match=name):
        protocol.parse_run(json.dumps(said).encode())


@pytest.mark.parametrize("said", [b"", b"\xff", b"[]", b"1", b"null", b"{", b"[" * 10**6, b'{"version": "1"}'])
def test_a_payload_that_is_not_what_it_should_be_is_refused(said: bytes) -> None:
    for parse in (protocol.parse_hello, protocol.parse_run, protocol.parse_done):
        with pytest.raises(ProtocolError):
            parse(said)
