"""The kind of tool whose argument is the program: a code interpreter."""

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from core.tools.work import Call, SandboxWork, Work, Workshop
from sandbox import Invocation, PythonProgram

if TYPE_CHECKING:
    from core.tools.definition import ToolVersion


class Options(BaseModel):
    """argument: the name of the argument that holds the source text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["code"]
    language: Literal["python"]
    argument: str


async def admit(version: "ToolVersion", _organization_id: str, _workshop: Workshop, /) -> dict[str, object]:
    return dict(version.runtime)


def prepare(version: "ToolVersion", call: Call, /) -> Work:
    program = PythonProgram(source=call.arguments[version.runtime["argument"]])
    return SandboxWork(
        invocation=Invocation(
            id=call.id, runtime="wasmtime", program=program, limits=version.limits, capabilities=version.capabilities
        )
    )
