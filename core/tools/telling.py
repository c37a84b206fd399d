"""From what a tool's run came to, to what its caller is told."""

import json

from core.messages import ToolResult
from core.tools import again
from core.tools.definition import Effect, ToolVersion
from core.tools.work import PARSED_BYTES, Work, Workshop
from sandbox import OnOutput, SandboxError

TOLD_CHARACTERS = 20_000
"""How much of a result a model is told; the journal's stream of the output has its own, larger, cap."""
UNKNOWN = (
    "outcome unknown: the server that ran this call died before it returned. It may have taken effect:"
    " find out whether it did before you call it again"
)


async def result_of(
    work: Work,
    version: ToolVersion,
    effect: Effect,
    call_id: str,
    workshop: Workshop,
    *,
    on_output: OnOutput,
    answering: again.Answering = again.refusing,
    most: int = TOLD_CHARACTERS,
) -> ToolResult:
    """Never raises for what the guest did: that is an answer, not a fault. most: characters, and the middle is left out."""
    try:
        outcome = await again.run(work, effect, workshop, on_output, answering)
    except SandboxError as exc:
        printed = _text(exc.stdout, exc.stderr)
        return ToolResult(call_id=call_id, content=_capped(f"{printed}\n{exc}" if printed else str(exc), most), failed=True)
    returned = outcome.result is not None and outcome.exit_code == 0
    said = outcome.result if returned and outcome.result is not None else outcome.stdout
    if outcome.exit_code == 0 and (mistake := _result_mistake(version, said)):
        return ToolResult(call_id=call_id, content=f"the tool's result does not fit its schema: {mistake}", failed=True)
    if returned:
        return ToolResult(call_id=call_id, content=_capped(said.decode(errors="replace"), most))
    content = _text(outcome.stdout, outcome.stderr)
    if outcome.truncated:
        content += f"\n[output cut at {version.limits.output_bytes} bytes]"
    if outcome.exit_code != 0 and not outcome.stderr:
        content = f"{content}\nexit code {outcome.exit_code}".lstrip()
    return ToolResult(call_id=call_id, content=_capped(content or "(no output)", most), failed=outcome.exit_code != 0)


def _result_mistake(version: ToolVersion, stdout: bytes) -> str | None:
    if version.result_schema is None:
        return None
    if len(stdout) > PARSED_BYTES:
        return f"it has {len(stdout)} bytes; at most {PARSED_BYTES} are read"
    try:
        return version.result_schema.mistake(json.loads(stdout))
    except (ValueError, RecursionError) as exc:
        return f"not JSON: {exc}"


def _text(stdout: bytes, stderr: bytes) -> str:
    """Guest bytes as text; what was printed first, then what went wrong."""
    parts = (stream.decode(errors="replace").rstrip() for stream in (stdout, stderr))
    return "\n".join(part for part in parts if part)


def _capped(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n[{len(text) - most} characters left out]\n{text[-half:]}"
