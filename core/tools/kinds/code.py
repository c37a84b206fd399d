"""The kind of tool whose argument is the program: a code interpreter. It is shipped; none is registered."""

from typing import TYPE_CHECKING, Literal

from core.bounded import Bounded
from core.tools.work import Call, CallRefused, SandboxWork, Work
from sandbox import Invocation, PythonProgram

if TYPE_CHECKING:
    from core.tools.definition import ToolVersion


class Options(Bounded):
    """argument: the name of the argument that holds the source text."""

    kind: Literal["code"]
    language: Literal["python"]
    argument: str


def prepare(version: "ToolVersion", call: Call, /) -> Work:
    argument = version.runtime["argument"]
    source = call.arguments.get(argument)
    if not isinstance(source, str):  # of a tool that was registered while this kind could be
        raise CallRefused(f"the argument {argument!r} must be the program's text")
    program = PythonProgram(source=source)
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
