"""Tools that are WASI programs: from an upload to a result, what is refused on the way, and what a program may answer."""

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from wasmtime import wat2wasm

from core.bootstrap import Platform
from core.egress.addresses import AddressRules
from core.egress.client import open_egress
from core.tools import kinds
from core.tools.definition import ToolVersion, parse_manifest
from core.tools.programs import Programs
from core.tools.work import Call, ManifestRefused, Workshop
from sandbox import (
    Invocation,
    LimitExceeded,
    OnCall,
    OnOutput,
    Outcome,
    ProgramMissing,
    RuntimeUnavailable,
    SandboxError,
    Stream,
    open_client,
    refuse_calls,
)
from sandbox.protocol import MAX_PROGRAM_BYTES
from tests.doubles.uploads import Uploads
from tests.integration.conftest import Stage, Tenant
from tests.integration.test_tool_registry import ANSWER, TOOLS, call_of, calls, client_of, manifest
from tests.sandboxing import GUESTS

KIND = kinds.registrable("wasm")
EXAMPLE = Path(__file__).parents[2] / "deploy" / "examples" / "tools" / "factor"
FORMS = ("factor.wasm", "factor.component.wasm")
NUMBER = {"type": "object", "properties": {"x": {"type": "integer", "minimum": 2}}, "required": ["x"]}


def writer(stdout: bytes = b"", stderr: bytes = b"", code: int = 0) -> bytes:
    """A command that says this and exits so."""
    said = "".join(f"\\{byte:02x}" for byte in stdout + stderr)
    return bytes(
        wat2wasm(f"""
        (module
          (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
          (memory (export "memory") 200)
          (data (i32.const 100) "{said}")
          (func $say (param i32 i32 i32)
            (i32.store (i32.const 0) (local.get 1)) (i32.store (i32.const 4) (local.get 2))
            (drop (call $write (local.get 0) (i32.const 0) (i32.const 1) (i32.const 8))))
          (func (export "_start")
            (call $say (i32.const 1) (i32.const 100) (i32.const {len(stdout)}))
            (call $say (i32.const 2) (i32.const {100 + len(stdout)}) (i32.const {len(stderr)}))
            (call $exit (i32.const {code}))))""")
    )


def version(file: str = "file_1", *, more: Mapping[str, Any] | None = None, **runtime: Any) -> ToolVersion:
    rest = {"name": "t", "description": "d", "parameters": {"type": "object"}, **(more or {})}
    return parse_manifest({**rest, "runtime": {"kind": "wasm", "artifact": file, **runtime}})


@pytest.fixture
def uploads() -> Uploads:
    return Uploads()


@pytest.fixture
async def workshop(sandbox_socket: Path, uploads: Uploads) -> AsyncIterator[Workshop]:
    async with open_client(sandbox_socket) as client, open_egress(AddressRules()) as egress:
        yield Workshop(sandbox=client, egress=egress, programs=Programs(uploads, client), secrets={})


class Tool:
    """One that was made of a program."""

    def __init__(self, workshop: Workshop, made: ToolVersion) -> None:
        self.workshop = workshop
        self.made = made
        self.seen: list[tuple[Stream, bytes]] = []

    async def __call__(self, **arguments: Any) -> Outcome:
        work = KIND.prepare(self.made, Call(id="c", organization_id="org_1", arguments=arguments))
        return await work.run(self.workshop, lambda *piece: self.seen.append(piece))


async def tool(workshop: Workshop, uploads: Uploads, program: bytes, **more: Any) -> Tool:
    uploads.content["org_1", "file_1"] = program
    runtime = await KIND.admit(version(more=more), "org_1", workshop)
    return Tool(workshop, version(more=more, **{name: value for name, value in runtime.items() if name == "sha256"}))


def forget(sha256: object) -> None:
    """As a host does whose disk was replaced."""
    for file in (GUESTS / "programs").glob(f"{sha256}-*"):
        file.unlink()


# From an upload to a result


async def uploaded(platform: Platform, tenant: Tenant, content: bytes) -> str:
    async def pieces() -> AsyncGenerator[bytes, None]:
        yield content

    async with platform.files.receiving(tenant.principal, least=len(content), most=len(content)) as upload:
        await platform.files.receive(upload, pieces())
        return (await platform.files.keep(upload, filename="program.wasm", purpose="user_data", seconds=3600)).id


def of(file: str, **more: Any) -> dict[str, Any]:
    return {"runtime": {"kind": "wasm", "artifact": file}, "parameters": NUMBER, **more}


@pytest.mark.parametrize("form", FORMS)
async def test_an_uploaded_program_is_a_tool_and_its_file_stays_as_long_as_that(
    stage: Stage, tenant: Tenant, form: str
) -> None:
    async with stage.open_with(calls("factor"), ANSWER) as platform, client_of(platform, tenant) as client:
        content = (EXAMPLE / form).read_bytes().replace(b'"n"', b'"x"')
        file = await uploaded(platform, tenant, content)
        await client.create(name="factor", **of(file))
        kept = (await client.get(f"{TOOLS}/factor/versions/1"))["manifest"]["runtime"]
        assert kept == {"kind": "wasm", "artifact": file, "sha256": hashlib.sha256(content).hexdigest()}
        call = call_of(await client.respond())
        assert (call["output"], call["error"], call["status"]) == ('{"factors": [3, 7]}', None, "completed")

        refused = await client.refused(f"/v1/files/{file}", None, method="DELETE", status=409)
        assert refused[0] == "file_in_use"
        assert "tool 'factor'" in refused[2]
        assert (await client.get(f"/v1/files/{file}")).get("expires_at") is None
        again = await uploaded(platform, tenant, content + b"\0\3\1xy")  # a custom section: other bytes
        assert (await client.post(f"{TOOLS}/factor/versions", manifest(name="factor", **of(again))))["version"] == 2
        assert call_of(await client.respond())["output"] == '{"factors": [3, 7]}'
        await client.ask("DELETE", f"{TOOLS}/factor")
        for unused in (file, again):
            await client.ask("DELETE", f"/v1/files/{unused}")


async def test_only_a_file_of_the_own_organization_is_taken(stage: Stage, tenant: Tenant, other_tenant: Tenant) -> None:
    async with stage.open_with(calls("factor"), ANSWER) as platform, client_of(platform, tenant) as client:
        theirs = await uploaded(platform, other_tenant, (EXAMPLE / FORMS[0]).read_bytes())
        for file in (theirs, "file_0"):
            told = await client.refused(TOOLS, {"name": "f", "description": "d", **of(file)})
            assert told == ("invalid_manifest", "runtime.artifact", f"invalid 'runtime.artifact': no file {file!r}")


async def test_a_file_that_is_too_large_for_a_program_is_refused_before_it_is_read(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(calls("factor"), ANSWER) as platform, client_of(platform, tenant) as client:
        file = await uploaded(platform, tenant, bytes(MAX_PROGRAM_BYTES + 1))
        code, param, message = await client.refused(TOOLS, {"name": "f", "description": "d", **of(file)})
        assert (code, param) == ("invalid_manifest", "runtime.artifact")
        assert message.endswith("has 33554433 bytes; at most 33554432 are taken here")
        await client.ask("DELETE", f"/v1/files/{file}")  # nothing holds on to it


async def test_a_host_that_has_it_no_more_gets_it_again_once_for_all_that_wait(workshop: Workshop, uploads: Uploads) -> None:
    factor = await tool(workshop, uploads, (EXAMPLE / FORMS[0]).read_bytes())
    forget(factor.made.runtime["sha256"])
    uploads.reads = 0

    outcomes = await asyncio.gather(*(factor(n=n) for n in range(100, 120)))
    assert outcomes[0].result == b'{"factors": [2, 2, 5, 5]}'
    assert all(outcome.exit_code == 0 for outcome in outcomes)
    assert uploads.reads == 1

    forget(factor.made.runtime["sha256"])
    assert (await factor(n=7)).result == b'{"factors": [7]}'


async def test_a_program_that_is_nowhere_any_more_is_told_as_that(workshop: Workshop, uploads: Uploads) -> None:
    factor = await tool(workshop, uploads, (EXAMPLE / FORMS[0]).read_bytes())
    forget(factor.made.runtime["sha256"])
    uploads.content.clear()
    with pytest.raises(RuntimeUnavailable, match=r"cannot be read \(file_not_found\)"):
        await factor(n=7)

    uploads.content["org_1", "file_1"] = writer(b"1")
    with pytest.raises(SandboxError, match="no program"):
        await factor(n=7)


class SlowHost:
    """A sandbox host that compiles when it is let, and runs nothing before. begun: the programs, in order."""

    def __init__(self) -> None:
        self.begun: list[bytes] = []
        self.let = asyncio.Event()

    async def install(self, runtime: str, program: bytes) -> str:
        self.begun.append(program)
        await self.let.wait()
        return hashlib.sha256(program).hexdigest()

    async def run(self, invocation: Invocation, on_output: OnOutput, on_call: OnCall = refuse_calls) -> Outcome:
        if not self.let.is_set():
            raise ProgramMissing("no program")
        return Outcome(exit_code=0, stdout=b"1")


async def turns_taken() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_call_waits_for_no_registration_and_a_registration_for_one_of_each_other_organization() -> None:
    files = {("org_1", "first"): b"1", ("org_1", "second"): b"2", ("org_2", "theirs"): b"3", ("org_2", "called"): b"4"}
    host = SlowHost()
    programs = Programs(Uploads(files), host)
    async with asyncio.TaskGroup() as tasks:
        for organization, file in (("org_1", "first"), ("org_1", "second"), ("org_2", "theirs")):
            tasks.create_task(programs.install(organization, file))
            await turns_taken()
        tasks.create_task(programs.restore("org_2", "called", seconds=60))
        await turns_taken()
        assert host.begun == [b"1", b"4"]
        host.let.set()
    assert host.begun == [b"1", b"4", b"3", b"2"]


async def test_a_call_waits_for_its_program_as_long_as_it_may_run_and_the_next_one_finds_it() -> None:
    host = SlowHost()
    programs = Programs(Uploads({("org_1", "file_1"): b"1"}), host)
    async with asyncio.timeout(10), open_egress(AddressRules()) as egress:
        workshop = Workshop(sandbox=host, egress=egress, programs=programs, secrets={})
        hurried = Tool(workshop, version(sha256="0" * 64, more={"limits": {"wall_seconds": 0.05}}))
        for _ in range(2):
            with pytest.raises(RuntimeUnavailable, match=r"is not ready after 0.05 s: it is being compiled again"):
                await hurried()
        host.let.set()
        assert (await hurried()).result == b"1"
    assert host.begun == [b"1"]


# What is refused when a tool is made of it


@pytest.mark.parametrize(
    ("program", "told"),
    [
        (b"", "it has 0 bytes"),
        (b"#!/bin/sh", "neither a WASI"),
        (bytes(MAX_PROGRAM_BYTES + 1), "33554433 bytes"),
        (bytes(wat2wasm('(module (import "env" "secret" (func)))')), "imports 'env.secret', which is not offered"),
        (bytes(wat2wasm('(component (import "wasi:sockets/tcp@0.2.0" (instance)))')), "imports 'wasi:sockets/tcp@0.2.0'"),
    ],
    ids=["nothing", "a script", "too much", "a function that is not offered", "sockets"],
)
async def test_what_the_sandbox_does_not_take_is_refused_with_the_reason(
    workshop: Workshop, uploads: Uploads, program: bytes, told: str
) -> None:
    with pytest.raises(ManifestRefused, match=told) as refused:
        await tool(workshop, uploads, program)
    assert refused.value.path == "runtime.artifact"


async def test_a_digest_that_the_file_has_not_is_refused(workshop: Workshop, uploads: Uploads) -> None:
    uploads.content["org_1", "file_1"] = writer(b"1")
    with pytest.raises(ManifestRefused, match="the file has the SHA-256") as refused:
        await KIND.admit(version(sha256="0" * 64), "org_1", workshop)
    assert refused.value.path == "runtime.sha256"


@pytest.mark.parametrize(
    "runtime", [{}, {"artifact": "file_../x"}, {"artifact": "x" * 100}, {"artifact": "file_1", "code": ""}, {"artifact": 1}]
)
def test_a_runtime_that_names_no_file_is_refused_with_its_place(runtime: Mapping[str, Any]) -> None:
    whole = {"name": "t", "description": "d", "parameters": {"type": "object"}, "runtime": {"kind": "wasm", **runtime}}
    with pytest.raises(ManifestRefused) as refused:
        parse_manifest(whole)
    assert refused.value.path.startswith("runtime.")


@pytest.mark.parametrize("granted", [{"network": [{"host": "example.com"}]}, {"secrets": ["TOKEN"]}, {"files": "read"}])
async def test_a_capability_that_the_sandbox_does_not_give_is_refused(workshop: Workshop, granted: Mapping[str, Any]) -> None:
    with pytest.raises(ManifestRefused, match="cannot be granted"):
        await KIND.admit(version(more={"capabilities": granted}), "org_1", workshop)


# What a program may answer


async def test_json_on_standard_output_is_the_result_and_what_it_logs_is_kept_apart(
    workshop: Workshop, uploads: Uploads
) -> None:
    said = await tool(workshop, uploads, writer(b' {"a": "\xc3\xa4"}\n', b"looking\n"))
    outcome = await said()
    assert (outcome.exit_code, outcome.result, outcome.stdout) == (0, '{"a": "ä"}'.encode(), b"")
    assert outcome.stderr == b"looking\n"
    assert said.seen == [(Stream.RESULT, b' {"a": "\xc3\xa4"}\n'), (Stream.STDERR, b"looking\n")]


@pytest.mark.parametrize("stdout", [b"", b"hello", b"{", b"NaN", b'"\xff"', b"1 2", b"[" * 10_000, b"1" * 5_000 + b"e"])
async def test_an_answer_that_is_not_json_is_a_failure(workshop: Workshop, uploads: Uploads, stdout: bytes) -> None:
    outcome = await (await tool(workshop, uploads, writer(stdout, b"odd\n")))()
    assert (outcome.exit_code, outcome.result) == (1, None)
    assert outcome.stderr.startswith(b"odd\nwhat it wrote to standard output is not JSON: ")


async def test_an_exit_code_makes_it_a_failure_whatever_it_wrote(workshop: Workshop, uploads: Uploads) -> None:
    outcome = await (await tool(workshop, uploads, writer(b"1", b"no such city\n", 3)))()
    assert (outcome.exit_code, outcome.stdout, outcome.stderr, outcome.result) == (3, b"1", b"no such city\n", None)


async def test_half_a_result_is_none_and_a_huge_one_is_not_read(workshop: Workshop, uploads: Uploads) -> None:
    said = await tool(workshop, uploads, writer(b"[" + b"1," * 600 + b"1]"), limits={"output_bytes": 1000})
    with pytest.raises(LimitExceeded, match="output_bytes"):
        await said()
    huge = b'"' + b"x" * 5_000_000 + b'"'
    outcome = await (await tool(workshop, uploads, writer(huge), limits={"output_bytes": 2**26}))()
    assert (outcome.exit_code, outcome.result) == (1, None)
    assert outcome.stderr == b"its result has 5000002 bytes; at most 4194304 are taken"


async def test_the_arguments_are_json_on_standard_input(workshop: Workshop, uploads: Uploads) -> None:
    factor = await tool(workshop, uploads, (EXAMPLE / FORMS[1]).read_bytes())
    assert json.loads((await factor(n=600851475143)).result or b"") == {"factors": [71, 839, 1471, 6857]}
    outcome = await factor(text="ä☃😀")
    assert (outcome.exit_code, outcome.stderr) == (1, b"n must be an integer from 2 to 18446744073709551615\n")
