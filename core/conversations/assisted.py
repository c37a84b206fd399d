"""What becomes of a request whose model is an assistant: the assistant's settings, and the request's on top.

Instructions add up, the assistant's first. Tools add up. Of limits the lower one counts; of other parameters the request's,
where it says something. The model is the assistant's. What comes out is an ordinary request, and what is kept of the turn, so
that no change of the assistant touches a turn that has begun.
"""

from collections.abc import Sequence
from dataclasses import fields, replace

from core.assistants.assistants import Assistants
from core.assistants.definition import Definition, read_definition
from core.conversations.request import TurnRequest
from core.errors import InvalidRequest
from core.identity.principals import Principal
from core.llm.contract import Sampling
from core.llm.router import ModelRouter
from core.tools.catalog import Caller, Selection


async def assisted(principal: Principal, request: TurnRequest, assistants: Assistants, models: ModelRouter) -> TurnRequest:
    """The request itself when its model is none of the organisation's assistants.

    Raises InvalidRequest when the assistant's model is not declared any more, or where the request names the tools that may be
    called and the assistant brings others.
    """
    if request.model is None or (assistant := await assistants.named(principal.organization_id, request.model)) is None:
        return request
    definition = read_definition(assistant.definition)
    if definition.model not in models.names:
        message = f"assistant {assistant.name!r} needs the model {definition.model!r}, which is not declared on this server"
        raise InvalidRequest(message, param="model", code="assistant_model_not_found")
    if request.narrowed and (definition.builtins or definition.registry):
        message = f"assistant {assistant.name!r} brings tools of its own, so which may be called cannot be chosen here"
        raise InvalidRequest(message, param="tool_choice", code="unsupported_value")
    merged = merge(request, definition)
    told = {"id": assistant.id, "name": assistant.name, "version": assistant.version}
    return replace(merged, echo={**request.echo, "assistant": told, "prices": models.prices(definition.model).model_dump()})


def merge(request: TurnRequest, definition: Definition) -> TurnRequest:
    instructions = [text for text in (definition.instructions, request.instructions) if text]
    return replace(
        request,
        model=definition.model,
        instructions="\n\n".join(instructions) or None,
        builtins=tuple(dict.fromkeys((*definition.builtins, *request.builtins))),
        registry=_tools(definition, request.registry),
        sampling=_sampling(definition.sampling, request.sampling),
        max_tool_calls=_lower(definition.max_tool_calls, request.max_tool_calls),
        parallel_tool_calls=definition.parallel_tool_calls and request.parallel_tool_calls,
        truncate=definition.truncate or request.truncate,
    )


def _tools(definition: Definition, asked: Selection | None) -> Selection | None:
    """Those that the assistant names are granted with it; what the request asks for is judged by who asks."""
    selections = [selection for selection in (definition.registry, asked) if selection is not None]
    if not selections:
        return None
    everything = any(selection.names is None for selection in (asked, definition.registry) if selection is not None)
    wanted = () if asked is None else asked.names or ()
    asking = tuple(rule for selection in selections for rule in selection.asking)
    names = None if everything else tuple(wanted)
    return Selection(
        names=names,
        granted=definition.granted,
        asking=asking,
        callers=_callers([selection for selection in selections if selection is asked or selection.names is None]),
        granted_callers=_callers([selection for selection in selections if selection is definition.registry]),
    )


def _callers(selections: Sequence[Selection]) -> tuple[Caller, ...]:
    """Who calls what they select."""
    return tuple(dict.fromkeys(caller for selection in selections for caller in selection.callers)) or (Caller.DIRECT,)


def _sampling(assistants: Sampling, asked: Sampling) -> Sampling:
    said = {field.name: value for field in fields(Sampling) if (value := getattr(asked, field.name)) not in (None, ())}
    most = _lower(assistants.max_output_tokens, asked.max_output_tokens)
    return replace(assistants, **{**said, "max_output_tokens": most})


def _lower(one: int | None, other: int | None) -> int | None:
    return min((limit for limit in (one, other) if limit is not None), default=None)
