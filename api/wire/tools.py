"""Tools, as a Responses or Chat request names them, and the way to ours."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Literal, assert_never

from pydantic import Discriminator, Field

from api.wire.body import Array, Body, JsonObject, only
from core.errors import InvalidRequest
from core.llm.contract import ToolSpec
from core.tools.approval import Asking
from core.tools.catalog import Caller, Selection
from core.tools.schema import Schema, SchemaRefused, Together

Name = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
CODE_INTERPRETER = "code_interpreter"
REGISTRY_URL = "paddock:registry"
"""For clients that cannot leave a server's address out."""
NO_PARAMETERS: Mapping[str, Any] = {"type": "object", "properties": {}}


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
    file_ids: only([], None) = None  # type: ignore[valid-type]


class CodeInterpreterTool(Body):
    type: Literal["code_interpreter"]
    container: AutoContainer


Names = Annotated[Array[Name], Field(max_length=128)]


class ToolFilter(Body):
    tool_names: Names


class ApprovalFilter(Body):
    """always: these. never: not these, but all others, unless `always` says which. What a tool demands itself stays."""

    always: ToolFilter | None = None
    never: ToolFilter | None = None

    @property
    def asking(self) -> Asking:
        always = self.always.tool_names if self.always else ()
        never = self.never.tool_names if self.never else ()
        if both := set(always) & set(never):
            message = f"{min(both)!r} is in 'always' and in 'never'"
            raise InvalidRequest(message, param="tools.require_approval", code="invalid_value")
        return Asking(others=self.never is not None and self.always is None, always=tuple(always), never=tuple(never))


class McpTool(Body):
    """The tools of the registry. allowed_tools: only these; where it is left out, all that the caller may use.

    require_approval: calls that a human must approve, beyond those of tools that demand it themselves.
    allowed_callers: the model itself (`direct`), code that it writes for `code_interpreter` (`programmatic`), or both.
    server_description: for the model that chooses among servers; there is one.
    """

    type: Literal["mcp"]
    server_label: Literal["registry"]
    server_url: only(REGISTRY_URL, None) = None  # type: ignore[valid-type]
    server_description: str | None = None
    allowed_tools: Names | ToolFilter | None = None
    require_approval: Literal["always", "never"] | ApprovalFilter | None = None
    allowed_callers: Annotated[Array[Literal["direct", "programmatic"]], Field(min_length=1, max_length=2)] | None = None

    @property
    def asking(self) -> tuple[Asking, ...]:
        match self.require_approval:
            case ApprovalFilter() as given:
                return (given.asking,)
            case "always":
                return (Asking(others=True),)
            case _:
                return ()


def encode_asking(asking: Asking) -> Any:
    """As it is said with `require_approval`."""
    named = {"always": asking.always, "never": asking.never}
    lists = {word: {"tool_names": list(names)} for word, names in named.items() if names}
    return "always" if asking.others and not lists else lists


Tool = Annotated[FunctionTool | CodeInterpreterTool | McpTool, Discriminator("type")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """functions: the client's. builtins: names of ours that ship. registry: what is asked of it; None: nothing."""

    functions: tuple[ToolSpec, ...]
    builtins: tuple[str, ...]
    registry: Selection | None

    @property
    def names(self) -> tuple[str, ...]:
        """Those that are known before the registry was asked."""
        registered = (self.registry.names or ()) if self.registry else ()
        return (*(function.name for function in self.functions), *self.builtins, *registered)


def split_tools(tools: Sequence[Tool]) -> Tools:
    functions: dict[str, FunctionSchema] = {}
    builtins: list[str] = []
    registry: Selection | None = None
    for place, tool in enumerate(tools):
        match tool:
            case FunctionTool():
                functions[f"tools[{place}]"] = tool
            case CodeInterpreterTool():
                builtins.append(CODE_INTERPRETER)
            case McpTool(allowed_tools=allowed):
                names = allowed.tool_names if isinstance(allowed, ToolFilter) else allowed
                registry = Selection(
                    names=None if names is None else tuple(dict.fromkeys(names)),
                    asking=tool.asking,
                    callers=tuple(Caller(name) for name in dict.fromkeys(tool.allowed_callers or ["direct"])),
                )
            case _:
                assert_never(tool)
    refuse_duplicates([tool.name if isinstance(tool, FunctionTool) else tool.type for tool in tools])
    return Tools(functions=function_specs(functions), builtins=tuple(builtins), registry=registry)


def function_specs(tools: Mapping[str, FunctionSchema]) -> tuple[ToolSpec, ...]:
    """By where in the request each is. Raises InvalidRequest."""
    given = {param: NO_PARAMETERS if tool.parameters is None else tool.parameters for param, tool in tools.items()}
    for param, parameters in given.items():
        if parameters.get("type") != "object":
            message = f"""invalid '{param}.parameters': the schema must have "type": 'object'"""
            raise InvalidRequest(message, param=f"{param}.parameters", code="invalid_json_schema")
    check_schemas({f"{param}.parameters": parameters for param, parameters in given.items()})
    return tuple(
        ToolSpec(name=tool.name, description=tool.description or "", parameters=given[param], strict=bool(tool.strict))
        for param, tool in tools.items()
    )


def check_schemas(schemas: Mapping[str, Mapping[str, Any]]) -> None:
    """By their parameters: those that come with one request. Raises InvalidRequest for one that is none, or too much with
    those before it.
    """
    together = Together()
    for param, schema in schemas.items():
        with _refusing(param):
            together.add(schema)
    for param, schema in schemas.items():
        with _refusing(param):
            Schema(schema, pattern_bytes=together.pattern_bytes)


@contextmanager
def _refusing(param: str) -> Iterator[None]:
    try:
        yield
    except SchemaRefused as refused:
        reason = str(refused).partition("\n")[0]
        raise InvalidRequest(f"invalid {param!r}: {reason}", param=param, code="invalid_json_schema") from refused


def refuse_duplicates(names: Sequence[str]) -> None:
    for place, name in enumerate(names):
        if name in names[:place]:
            raise InvalidRequest(f"two tools are named {name!r}", param=f"tools[{place}].name", code="invalid_value")
