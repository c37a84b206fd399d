"""Assistants on the wire: what an administrator sends, and what it looks like. Tools have the shape of /v1/responses."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field

from api.wire.body import Body
from api.wire.response_body import unix
from api.wire.tools import CODE_INTERPRETER, CodeInterpreterTool, McpTool, encode_asking, split_tools
from core.assistants.definition import Definition, read_definition
from core.llm.contract import Sampling
from core.storage.records import AssistantVersion
from core.tools.catalog import Caller, Selection

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$", max_length=100)]
Model = Annotated[str, Field(min_length=1, max_length=200)]
Description = Annotated[str, Field(max_length=1_000)]
Instructions = Annotated[str, Field(max_length=256_000)]
ServerTool = Annotated[CodeInterpreterTool | McpTool, Discriminator("type")]
Tools = Annotated[list[ServerTool], Field(max_length=128)]
Tokens = Annotated[int, Field(ge=1, le=2**31 - 1)]


class Parameters(Body):
    """As in /v1/responses. max_output_tokens, max_tool_calls: the lower one counts, of these and the request's."""

    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    reasoning_effort: Effort | None = None
    max_output_tokens: Tokens | None = None
    max_tool_calls: Tokens | None = None
    parallel_tool_calls: bool = True
    truncation: Literal["auto", "disabled"] = "disabled"


class CreateAssistant(Body):
    """name: what clients give as `model`. Tools that `allowed_tools` names are granted to every caller of the assistant."""

    name: Name
    model: Model
    description: Description | None = None
    instructions: Instructions | None = None
    tools: Tools | None = None
    parameters: Parameters | None = None


class UpdateAssistant(Body):
    """What is left out stays as it is. tools, parameters: replaced as a whole."""

    model: Model | None = None
    description: Description | None = None
    instructions: Instructions | None = None
    tools: Tools | None = None
    parameters: Parameters | None = None


def changes_of(body: CreateAssistant | UpdateAssistant) -> dict[str, Any]:
    """What the body says, as fields of `Definition`."""
    changes: dict[str, Any] = {}
    for name in body.model_fields_set - {"name"}:
        match name, getattr(body, name):
            case "model", None:
                pass
            case "description", text:
                changes["description"] = text or ""
            case "tools", tools:
                split = split_tools(tools or [])
                changes |= {"builtins": split.builtins, "registry": split.registry}
            case "parameters", parameters:
                changes |= _parameters(parameters or Parameters.model_validate({}))
            case field, value:
                changes[field] = value
    return changes


def _parameters(given: Parameters) -> dict[str, Any]:
    named = {name: getattr(given, name) for name in _SAMPLING}
    return {
        "sampling": Sampling(**named),
        "max_tool_calls": given.max_tool_calls,
        "parallel_tool_calls": given.parallel_tool_calls,
        "truncate": given.truncation == "auto",
    }


_SAMPLING = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "reasoning_effort", "max_output_tokens")


def encode_assistant(assistant: AssistantVersion) -> dict[str, Any]:
    return {"id": assistant.id, **_body(assistant)}


def encode_version(assistant: AssistantVersion) -> dict[str, Any]:
    """id: also the cursor in a list of versions."""
    return {"id": f"{assistant.id}@{assistant.version}", **_body(assistant)}


def _body(assistant: AssistantVersion) -> dict[str, Any]:
    definition = read_definition(assistant.definition)
    return {
        "object": "assistant",
        "name": assistant.name,
        "version": assistant.version,
        "digest": assistant.digest,
        "description": definition.description,
        "model": definition.model,
        "instructions": definition.instructions,
        "tools": _tools(definition.builtins, definition.registry),
        "parameters": _encode_parameters(definition),
        "created_at": unix(assistant.created_at),
        "changed_at": unix(assistant.changed_at),
        "changed_by": assistant.created_by,
    }


def _tools(builtins: Sequence[str], registry: Selection | None) -> list[dict[str, Any]]:
    tools: list[dict[str, Any]] = [
        {"type": CODE_INTERPRETER, "container": {"type": "auto"}} for name in builtins if name == CODE_INTERPRETER
    ]
    if registry is not None:
        named = {} if registry.names is None else {"allowed_tools": list(registry.names)}
        asking = {"require_approval": encode_asking(registry.asking[0])} if registry.asking else {}
        callers = {} if registry.callers == (Caller.DIRECT,) else {"allowed_callers": list(registry.callers)}
        tools.append({"type": "mcp", "server_label": "registry", **named, **asking, **callers})
    return tools


def _encode_parameters(definition: Definition) -> dict[str, Any]:
    return {
        **{name: getattr(definition.sampling, name) for name in _SAMPLING},
        "max_tool_calls": definition.max_tool_calls,
        "parallel_tool_calls": definition.parallel_tool_calls,
        "truncation": "auto" if definition.truncate else "disabled",
    }
