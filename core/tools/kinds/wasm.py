"""Tools that are WASI programs: the arguments are JSON on standard input, the result is JSON on standard output."""

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field
from pydantic_core import from_json

from core.bounded import Bounded
from core.errors import NotFound, TooLarge
from core.tools.programs import RUNTIME
from core.tools.work import PARSED_BYTES, Call, ManifestRefused, Work, Workshop, refuse_capabilities
from sandbox import (
    Invocation,
    LimitExceeded,
    OnCall,
    OnOutput,
    Outcome,
    ProgramMissing,
    ProgramRefused,
    Stream,
    WasmProgram,
    refuse_calls,
)

if TYPE_CHECKING:
    from core.tools.definition import ToolVersion


class Options(Bounded):
    """artifact: an uploaded file, a WASI 0.2 component of the world `wasi:cli/command` or a module of WASI preview 1.

    sha256: of its bytes; kept with the version, and where it is given the file must have it.
    """

    kind: Literal["wasm"]
    artifact: Annotated[str, Field(pattern=r"^file_[0-9A-Za-z]{1,64}$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None


async def admit(version: "ToolVersion", organization_id: str, workshop: Workshop, /) -> dict[str, object]:
    """Compiles it, in the sandbox: what cannot be run there, or imports what is not offered, is refused."""
    refuse_capabilities(version)
    options = Options.model_validate(version.runtime)
    try:
        sha256 = await workshop.programs.install(organization_id, options.artifact)
    except (NotFound, TooLarge) as exc:
        raise ManifestRefused("runtime.artifact", exc.message) from exc
    except ProgramRefused as exc:
        raise ManifestRefused("runtime.artifact", str(exc)) from exc
    if options.sha256 not in (None, sha256):
        raise ManifestRefused("runtime.sha256", f"the file has the SHA-256 {sha256}")
    return {**version.runtime, "sha256": sha256}


def prepare(version: "ToolVersion", call: Call, /) -> Work:
    options = Options.model_validate(version.runtime)
    program = WasmProgram(sha256=options.sha256 or "", stdin=json.dumps(call.arguments, ensure_ascii=False))
    invocation = Invocation(
        id=call.id,
        runtime=RUNTIME,
        program=program,
        limits=version.limits,
        capabilities=version.capabilities,
        owner=call.organization_id,
    )
    return WasmWork(invocation=invocation, program=program, organization_id=call.organization_id, artifact=options.artifact)


@dataclass(frozen=True, slots=True, kw_only=True)
class WasmWork:
    invocation: Invocation
    program: WasmProgram
    organization_id: str
    artifact: str

    async def run(self, workshop: Workshop, on_output: OnOutput, on_call: OnCall = refuse_calls) -> Outcome:
        def tell(stream: Stream, data: bytes) -> None:
            on_output(Stream.RESULT if stream is Stream.STDOUT else stream, data)

        try:
            outcome = await workshop.sandbox.run(self.invocation, tell)
        except ProgramMissing:
            seconds = (
                self.invocation.limits.wall_seconds
            )  # for that alone: to wait for a compiler is not the program's own time
            await workshop.programs.restore(self.organization_id, self.artifact, seconds=seconds)
            outcome = await workshop.sandbox.run(self.invocation, tell)
        return outcome if outcome.exit_code else self._returned(outcome)

    def _returned(self, outcome: Outcome) -> Outcome:
        if outcome.truncated:
            raise LimitExceeded("output_bytes", f"{self.invocation.limits.output_bytes} bytes", stderr=outcome.stderr)
        if len(outcome.stdout) > PARSED_BYTES:
            return _failed(outcome, f"its result has {len(outcome.stdout)} bytes; at most {PARSED_BYTES} are taken")
        try:
            from_json(outcome.stdout, allow_inf_nan=False)
        except ValueError as exc:
            return _failed(outcome, f"what it wrote to standard output is not JSON: {exc}")
        return replace(outcome, stdout=b"", result=outcome.stdout.strip())


def _failed(outcome: Outcome, message: str) -> Outcome:
    return replace(outcome, exit_code=1, stdout=b"", stderr=b"\n".join([*outcome.stderr.splitlines(), message.encode()]))
