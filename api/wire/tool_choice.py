"""The choice among a request's tools: of one that must be called, or of some that may be, and the way to ours."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Discriminator, Field

from api.wire.body import Array, Body, dotted
from api.wire.tools import Name, Tools
from core.compact import dump
from core.errors import InvalidRequest
from core.llm.contract import ToolChoice, ToolMode
from core.tools.catalog import Caller, Selection


class NamedFunction(Body):
    type: Literal["function"]
    name: str


class NamedBuiltin(Body):
    type: Literal["code_interpreter"]


class NamedMcp(Body):
    type: Literal["mcp"]
    server_label: Literal["registry"]
    name: Name


class AllowedMcp(Body):
    """name: none for all that the request has of the registry."""

    type: Literal["mcp"]
    server_label: Literal["registry"]
    name: Name | None = None


AllowedMode = Literal["auto", "required"]
AllowedTool = Annotated[NamedFunction | NamedBuiltin | AllowedMcp, Discriminator("type")]


class AllowedTools(Body):
    """Of the request's tools these are offered, as long as the turn takes, and no others."""

    type: Literal["allowed_tools"]
    mode: AllowedMode
    tools: Annotated[Array[AllowedTool], Field(max_length=128)]


NamedChoice = Annotated[NamedFunction | NamedBuiltin | NamedMcp | AllowedTools, Discriminator("type")]
Choice = Literal["none", "auto", "required"] | NamedChoice


def narrowed(tools: Tools, choice: Choice | None) -> Tools:
    """To those that the choice allows, where it lists some. Raises InvalidRequest for one that is not there."""
    if not isinstance(choice, AllowedTools):
        return tools
    named, registered = set[str](), list[AllowedMcp]()
    for place, allowed in enumerate(choice.tools):
        if not _has(tools, allowed):
            raise not_given(allowed, "tool_choice", "tools", place)
        match allowed:
            case NamedFunction(name=name) | NamedBuiltin(type=name):
                named.add(name)
            case AllowedMcp():
                registered.append(allowed)
    builtins = tuple(name for name in tools.builtins if name in named)
    return Tools(
        functions=tuple(function for function in tools.functions if function.name in named),
        builtins=builtins,
        registry=_registry(tools, registered, coding=builtins == tools.builtins),
    )


def not_given(allowed: Body, *path: str | int) -> InvalidRequest:
    told = dump(allowed.model_dump(exclude_unset=True))
    return InvalidRequest(f"no tool of the request is {told}", param=dotted(path), code="invalid_value")


def _has(tools: Tools, allowed: NamedFunction | NamedBuiltin | AllowedMcp) -> bool:
    match allowed:
        case NamedFunction(name=name):
            return name in [function.name for function in tools.functions]
        case NamedBuiltin(type=name):
            return name in tools.builtins
        case AllowedMcp(name=name):
            registry = tools.registry
            return registry is not None and (name is None or registry.names is None or name in registry.names)


def _registry(tools: Tools, allowed: Sequence[AllowedMcp], *, coding: bool) -> Selection | None:
    """What of it is allowed. coding: the model may write the code that calls its tools, if it could before."""
    registry, names = tools.registry, {one.name for one in allowed}
    if registry is None or not allowed:
        return None
    if not coding:  # with nobody else to call them, they are refused when the turn begins
        callers = tuple(caller for caller in registry.callers if caller is not Caller.PROGRAMMATIC)
        registry = replace(registry, callers=callers or registry.callers)
    if None in names:
        return registry
    known = sorted(filter(None, names)) if registry.names is None else registry.names
    return replace(registry, names=tuple(name for name in known if name in names))


def to_choice(choice: Choice | None, tools: Tools) -> ToolChoice:
    """What the registry has to say about it is found out when the turn begins."""
    if isinstance(choice, AllowedTools):
        choice = choice.mode
    if isinstance(choice, str | None):
        return to_mode(choice, tools.names or ("registry",) if tools.registry else tools.names)
    if isinstance(choice, NamedMcp) and tools.registry and tools.registry.names is None:
        return ToolChoice(mode=ToolMode.REQUIRED, name=choice.name)
    return must_call(choice.type if isinstance(choice, NamedBuiltin) else choice.name, tools.names)


def to_mode(choice: str | None, offered: Sequence[str]) -> ToolChoice:
    mode = ToolMode(choice or "auto")
    if mode is ToolMode.REQUIRED and not offered:
        raise InvalidRequest("a tool is required but none is given", param="tool_choice", code="invalid_value")
    return ToolChoice(mode=mode)


def must_call(name: str, offered: Sequence[str]) -> ToolChoice:
    if name not in offered:
        raise InvalidRequest(f"unknown tool {name!r}; given: {sorted(offered)}", param="tool_choice", code="invalid_value")
    return ToolChoice(mode=ToolMode.REQUIRED, name=name)
