"""The body of POST /v1/chat/completions: what it may hold, and the way to a `TurnRequest`."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field

from api.wire.body import (
    MOST_ELEMENTS,
    TOO_MANY_ELEMENTS,
    Array,
    Body,
    CacheRetention,
    JsonObject,
    Metadata,
    ServiceTier,
    Verbosity,
    only,
)
from api.wire.chat_answer import WIRE
from api.wire.chat_messages import AssistantMessage, Message, ToolMessage, items_of
from api.wire.tool_choice import AllowedMode, must_call, not_given, to_mode
from api.wire.tools import FunctionSchema, check_schemas, function_specs, refuse_duplicates
from core.conversations.request import TurnRequest
from core.errors import InvalidRequest
from core.llm.contract import JsonFormat, Labels, Sampling, ToolChoice, ToolSpec
from core.messages import Item

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class FunctionTool(Body):
    type: Literal["function"]
    function: FunctionSchema


class FunctionName(Body):
    name: str


class NamedFunction(Body):
    type: Literal["function"]
    function: FunctionName


class AllowedFunctions(Body):
    """Of the request's functions these are offered, and no others."""

    mode: AllowedMode
    tools: Annotated[Array[NamedFunction], Field(max_length=128)]


class AllowedChoice(Body):
    type: Literal["allowed_tools"]
    allowed_tools: AllowedFunctions


class TextFormat(Body):
    type: Literal["text"]


class JsonObjectFormat(Body):
    type: Literal["json_object"]


class NamedSchema(Body):
    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")
    schema_: JsonObject | None = Field(None, alias="schema")
    description: str | None = None
    strict: bool | None = None


class JsonSchemaFormat(Body):
    type: Literal["json_schema"]
    json_schema: NamedSchema


class StreamOptions(Body):
    """include_obfuscation: chunks are as long as what they say, with it and without."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


Choice = Literal["none", "auto", "required"] | Annotated[NamedFunction | AllowedChoice, Discriminator("type")]


class CreateChatCompletion(Body):
    messages: Annotated[Array[Message], Field(min_length=1)]
    model: str | None = None
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    logit_bias: only({}, None) = None  # type: ignore[valid-type]
    logprobs: only(False, None) = None  # type: ignore[valid-type]
    max_completion_tokens: int | None = Field(None, ge=1, le=2**31 - 1)
    max_tokens: int | None = Field(None, ge=1, le=2**31 - 1)
    metadata: Metadata | None = None
    modalities: only(["text"], None) = None  # type: ignore[valid-type]
    n: only(1, None) = None  # type: ignore[valid-type]
    parallel_tool_calls: bool | None = None
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    prompt_cache_key: str | None = Field(None, max_length=512)
    prompt_cache_retention: CacheRetention | None = None
    reasoning_effort: Effort | None = None
    response_format: Annotated[TextFormat | JsonObjectFormat | JsonSchemaFormat, Discriminator("type")] | None = None
    safety_identifier: str | None = Field(None, max_length=512)
    seed: int | None = Field(None, ge=-(2**63), le=2**63 - 1)
    service_tier: ServiceTier | None = None
    stop: str | Annotated[Array[str], Field(max_length=4)] | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    tool_choice: Choice | None = None
    tools: Annotated[Array[FunctionTool], Field(max_length=128)] | None = None
    top_logprobs: only(0, None) = None  # type: ignore[valid-type]
    top_p: float | None = Field(None, ge=0, le=1)
    user: str | None = Field(None, max_length=512)
    verbosity: Verbosity | None = None


def to_turn_request(body: CreateChatCompletion, *, origin: Mapping[str, Any]) -> TurnRequest:
    """origin: the request's and the trace's id, and the model's prices."""
    if body.stream_options is not None and not body.stream:
        raise InvalidRequest("stream_options is for streams", param="stream_options", code="invalid_value")
    _refuse_answers_to_nobody(body.messages)
    functions = _narrowed(_functions(body.tools or []), body.tool_choice)
    return TurnRequest(
        input=_items(body.messages),
        model=body.model,
        functions=functions,
        narrowed=isinstance(body.tool_choice, AllowedChoice),
        tool_choice=_choice(body.tool_choice, [function.name for function in functions]),
        parallel_tool_calls=body.parallel_tool_calls is not False,
        sampling=_sampling(body),
        format=_format(body),
        labels=_labels(body),
        store=bool(body.store),
        pauses=False,
        metadata=body.metadata or {},
        wire=WIRE,
        echo={**origin, "usage": bool(body.stream_options and body.stream_options.include_usage)},
    )


def _items(messages: list[Message]) -> tuple[Item, ...]:
    """An assistant's message is one item and one for each of its calls."""
    items = tuple(item for message in messages for item in items_of(message))
    if len(items) > MOST_ELEMENTS:
        message = f"invalid 'messages': at most {MOST_ELEMENTS} messages and tool calls are taken, got {len(items)}"
        raise InvalidRequest(message, param="messages", code=TOO_MANY_ELEMENTS)
    return items


def _refuse_answers_to_nobody(messages: list[Message]) -> None:
    """The model would be told that its call was interrupted."""
    asked = {call.id for message in messages if isinstance(message, AssistantMessage) for call in message.tool_calls or ()}
    for place, message in enumerate(messages):
        if isinstance(message, ToolMessage) and message.tool_call_id not in asked:
            told = f"no message has a tool call {message.tool_call_id!r}"
            raise InvalidRequest(told, param=f"messages[{place}].tool_call_id", code="tool_call_not_found")


def _functions(tools: list[FunctionTool]) -> tuple[ToolSpec, ...]:
    refuse_duplicates([tool.function.name for tool in tools])
    return function_specs({f"tools[{place}].function": tool.function for place, tool in enumerate(tools)})


def _narrowed(functions: tuple[ToolSpec, ...], choice: Choice | None) -> tuple[ToolSpec, ...]:
    """To those that the choice allows, where it lists some. Raises InvalidRequest for one that is not there."""
    if not isinstance(choice, AllowedChoice):
        return functions
    names, allowed = {function.name for function in functions}, choice.allowed_tools.tools
    for place, tool in enumerate(allowed):
        if tool.function.name not in names:
            raise not_given(tool, "tool_choice", "allowed_tools", "tools", place)
    names = {tool.function.name for tool in allowed}
    return tuple(function for function in functions if function.name in names)


def _choice(choice: Choice | None, offered: list[str]) -> ToolChoice:
    match choice:
        case NamedFunction(function=function):
            return must_call(function.name, offered)
        case AllowedChoice(allowed_tools=allowed):
            return to_mode(allowed.mode, offered)
        case _:
            return to_mode(choice, offered)


def _labels(body: CreateChatCompletion) -> Labels:
    return Labels(
        prompt_cache_key=body.prompt_cache_key,
        prompt_cache_retention=body.prompt_cache_retention,
        safety_identifier=body.safety_identifier,
        user=body.user,
        verbosity=body.verbosity,
    )


def _sampling(body: CreateChatCompletion) -> Sampling:
    most = body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens
    stop = (body.stop,) if isinstance(body.stop, str) else tuple(body.stop or ())
    return Sampling(
        temperature=body.temperature,
        top_p=body.top_p,
        max_output_tokens=most,
        stop=stop,
        seed=body.seed,
        presence_penalty=body.presence_penalty,
        frequency_penalty=body.frequency_penalty,
        reasoning_effort=body.reasoning_effort,
    )


def _format(body: CreateChatCompletion) -> JsonFormat | None:
    match body.response_format:
        case JsonSchemaFormat(json_schema=given):
            if given.schema_ is not None:
                check_schemas({"response_format.json_schema.schema": given.schema_})
            return JsonFormat(schema=given.schema_, name=given.name, description=given.description, strict=bool(given.strict))
        case JsonObjectFormat():
            return JsonFormat()
        case _:
            return None
