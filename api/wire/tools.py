"""Tools and the choice among them, as a Responses or Chat request names them, and the way to ours."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, assert_never

from pydantic import BaseModel, Discriminator, Field

from api.wire.body import Body, JsonObject
from core.errors import InvalidRequest
from core.llm.contract import ToolChoice, ToolMode, ToolSpec
from core.tools.schema import Schema, SchemaRefused

Name = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
CODE_INTERPRETER = "code_interpreter"


class FunctionSchema(Body):
    """parameters: a JSON Schema (draft 2020-12) of type object; none for a function without parameters."""

    name: Name
    description: str | None = None
    parameters: JsonObject | None = None
    strict: bool | None = None


class FunctionTool(FunctionSchema):
    type: Literal["function"]


class AutoContainer(Body):
    type: Literal["auto"]


class CodeInterpreterTool(Body):
    type: Literal["code_interpreter"]
    container: AutoContainer


class McpTool(BaseModel):
    """Named here to be refused in words that help; what else is in it does not matter."""

    type: Literal["mcp"]


Tool = Annotated[FunctionTool | CodeInterpreterTool | McpTool, Discriminator("type")]


class NamedFunction(Body):
    type: Literal["function"]
    name: str


class NamedBuiltin(Body):
    type: Literal["code_interpreter"]


Choice = Literal["none", "auto", "required"] | Annotated[NamedFunction | NamedBuiltin, Discriminator("type")]


def split_tools(tools: Sequence[Tool]) -> tuple[tuple[ToolSpec, ...], tuple[str, ...]]:
    """The client's functions, and the names of the tools of ours."""
    functions: list[ToolSpec] = []
    builtins: list[str] = []
    for place, tool in enumerate(tools):
        match tool:
            case FunctionTool():
                functions.append(function_spec(tool, f"tools[{place}]"))
            case CodeInterpreterTool():
                builtins.append(CODE_INTERPRETER)
            case McpTool():
                raise InvalidRequest(
                    "registry tools are not available on this server yet",
                    param=f"tools[{place}].type",
                    code="unsupported_value",
                )
            case _:
                assert_never(tool)
    refuse_duplicates([tool.name if isinstance(tool, FunctionTool) else tool.type for tool in tools])
    return tuple(functions), tuple(builtins)


def function_spec(tool: FunctionSchema, param: str) -> ToolSpec:
    parameters = {"type": "object", "properties": {}} if tool.parameters is None else tool.parameters
    check_schema(parameters, f"{param}.parameters")
    return ToolSpec(name=tool.name, description=tool.description or "", parameters=parameters, strict=bool(tool.strict))


def check_schema(schema: Mapping[str, Any], param: str, *, kind: str | None = "object") -> None:
    """kind: the type that the schema has to be of."""
    if kind is not None and schema.get("type") != kind:
        raise InvalidRequest(
            f'invalid {param!r}: the schema must have "type": {kind!r}', param=param, code="invalid_json_schema"
        )
    try:
        Schema(schema)
    except SchemaRefused as refused:
        reason = str(refused).partition("\n")[0]
        raise InvalidRequest(f"invalid {param!r}: {reason}", param=param, code="invalid_json_schema") from refused


def refuse_duplicates(names: Sequence[str]) -> None:
    for place, name in enumerate(names):
        if name in names[:place]:
            raise InvalidRequest(f"two tools are named {name!r}", param=f"tools[{place}].name", code="invalid_value")


def to_choice(choice: Choice | None, offered: Sequence[str]) -> ToolChoice:
    """offered: the names of the request's tools."""
    if isinstance(choice, str | None):
        return to_mode(choice, offered)
    return must_call(choice.name if isinstance(choice, NamedFunction) else choice.type, offered)


def to_mode(choice: str | None, offered: Sequence[str]) -> ToolChoice:
    mode = ToolMode(choice or "auto")
    if mode is ToolMode.REQUIRED and not offered:
        raise InvalidRequest("a tool is required but none is given", param="tool_choice", code="invalid_value")
    return ToolChoice(mode=mode)


def must_call(name: str, offered: Sequence[str]) -> ToolChoice:
    if name not in offered:
        raise InvalidRequest(f"unknown tool {name!r}; given: {sorted(offered)}", param="tool_choice", code="invalid_value")
    return ToolChoice(mode=ToolMode.REQUIRED, name=name)
