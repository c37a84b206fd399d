"""The kind of tool whose argument is the program: a code interpreter."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from sandbox import Invocation, PythonProgram

if TYPE_CHECKING:
    from core.tools.definition import ToolVersion


class Options(BaseModel):
    """argument: the name of the argument that holds the source text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["code"]
    language: Literal["python"]
    argument: str


def invocation(version: "ToolVersion", invocation_id: str, arguments: Mapping[str, Any], /) -> Invocation:
    return Invocation(
        id=invocation_id,
        runtime="wasmtime",
        program=PythonProgram(source=arguments[version.runtime["argument"]]),
        limits=version.limits,
        capabilities=version.capabilities,
    )
