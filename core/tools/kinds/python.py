"""Tools that are Python source with a `main`: the arguments are its keywords, what it returns is the result."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from core.bounded import Bounded, at_most
from core.tools.work import Call, ManifestRefused, SandboxWork, Work, Workshop, refuse_capabilities
from sandbox import GuestCrashed, Invocation, LimitExceeded, Limits, PythonFunction
from sandbox.protocol import MAX_TEXT_BYTES

if TYPE_CHECKING:
    from core.tools.definition import ToolVersion

CODE_CHARACTERS = 500_000
CHECK_LIMITS = Limits(cpu_seconds=5, wall_seconds=30)
# It runs in the sandbox: what compiles is what the sandbox's CPython compiles, and a compiler is no place for strangers' text.
CHECK = """
import ast

def main(code):
    try:
        tree = ast.parse(code)
        compile(tree, "<code>", "exec", dont_inherit=True)
    except SyntaxError as error:
        return f"line {error.lineno}, column {error.offset}: {error.msg}"
    except (ValueError, RecursionError, MemoryError) as error:
        return str(error) or "is nested too deep"
    names = set()
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Assign() | ast.AnnAssign(value=ast.expr()) | ast.If() | ast.Try() | ast.With():
                names |= {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
                names |= {part.name for part in ast.walk(node) if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef))}
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names |= {alias.asname or alias.name for alias in aliases}
    return None if "main" in names else "defines no function 'main'"
"""


class Options(Bounded):
    """code: source text that defines `main(**arguments)`, a function or a coroutine function.

    tools: digests of what `capabilities.tools` names, kept with the version; where it is given, they must be the current ones.
    """

    kind: Literal["python"]
    code: Annotated[str, Field(min_length=1, max_length=CODE_CHARACTERS)]
    tools: Annotated[dict[str, str], at_most(100)] | None = None


async def admit(version: "ToolVersion", organization_id: str, workshop: Workshop, /) -> dict[str, object]:
    """Refuses code that does not compile, with line and column, and code without a `main`."""
    refuse_capabilities(version, but="tools")
    arguments = _json({"code": version.runtime["code"]})
    if (size := len(arguments.encode())) > MAX_TEXT_BYTES:
        raise ManifestRefused("runtime.code", f"the code has {size} bytes as JSON; at most {MAX_TEXT_BYTES} are taken")
    program = PythonFunction(source=CHECK, arguments=arguments)
    invocation = Invocation(id="check", runtime="wasmtime", program=program, limits=CHECK_LIMITS, owner=organization_id)
    try:
        outcome = await workshop.sandbox.run(invocation, lambda stream, data: None)
    except (GuestCrashed, LimitExceeded) as exc:
        raise ManifestRefused("runtime.code", f"cannot be compiled: {exc}") from exc
    if outcome.result is None:
        raise ManifestRefused("runtime.code", "cannot be compiled")
    if mistake := json.loads(outcome.result):
        raise ManifestRefused("runtime.code", mistake)
    without = version.runtime.get("tools") is None  # then it has the digest that it had before there was such an option
    return {name: value for name, value in version.runtime.items() if not (without and name == "tools")}


def prepare(version: "ToolVersion", call: Call, /) -> Work:
    program = PythonFunction(source=version.runtime["code"], arguments=_json(call.arguments))
    return SandboxWork(
        invocation=Invocation(
            id=call.id,
            runtime="wasmtime",
            program=program,
            limits=version.limits,
            capabilities=version.capabilities,
            owner=call.organization_id,
        )
    )


def _json(arguments: Mapping[str, Any]) -> str:
    """As it is in UTF-8, since the sandbox counts bytes: with escapes most of the world's letters take twice as many."""
    return json.dumps(arguments, ensure_ascii=False, separators=(",", ":"))
