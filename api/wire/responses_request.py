"""The body of POST /v1/responses: what it may hold, and the way to a `TurnRequest`."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field

from api.wire.body import Array, Body, CacheRetention, JsonObject, Metadata, ServiceTier, Verbosity, only
from api.wire.input_items import InputItem, references, to_items
from api.wire.responses_stream import WIRE
from api.wire.tool_choice import AllowedTools, Choice, narrowed, to_choice
from api.wire.tools import CodeInterpreterTool, FunctionTool, McpTool, Tool, check_schemas, split_tools
from core.conversations.request import Queue, TurnRequest
from core.errors import InvalidRequest
from core.llm.contract import JsonFormat, Labels, Sampling
from core.messages import Item

OUTPUTS, REPORT = "code_interpreter_call.outputs", "paddock.report"

Include = Literal[
    "code_interpreter_call.outputs",
    "paddock.report",
    # What follows changes nothing here: it is always in the answer, or belongs to tools that are not offered.
    "reasoning.encrypted_content",
    "message.input_image.image_url",
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "computer_call_output.output.image_url",
]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Summary = Literal["auto", "concise", "detailed"]


class TextFormat(Body):
    type: Literal["text"]


class JsonObjectFormat(Body):
    type: Literal["json_object"]


class JsonSchemaFormat(Body):
    type: Literal["json_schema"]
    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")
    schema_: JsonObject = Field(alias="schema")
    description: str | None = None
    strict: bool | None = None


class TextOptions(Body):
    format: Annotated[TextFormat | JsonObjectFormat | JsonSchemaFormat, Discriminator("type")] | None = None
    verbosity: Verbosity | None = None


class ReasoningOptions(Body):
    """summary: the thoughts are told in the form of one, and whole, in whichever length it was asked for.

    generate_summary: its name of before.
    """

    effort: Effort | None = None
    summary: Summary | None = None
    generate_summary: Summary | None = None


class StreamOptions(Body):
    include_obfuscation: bool | None = None


class ConversationReference(Body):
    id: str


class CreateResponse(Body):
    input: str | Array[InputItem] | None = None
    model: str | None = None
    background: bool | None = None
    conversation: str | ConversationReference | None = None
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    include: Array[Include] | None = None
    instructions: str | None = None
    max_output_tokens: int | None = Field(None, ge=1, le=2**31 - 1)
    max_tool_calls: int | None = Field(None, ge=1, le=2**31 - 1)
    metadata: Metadata | None = None
    parallel_tool_calls: bool | None = None
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    previous_response_id: str | None = None
    prompt_cache_key: str | None = Field(None, max_length=512)
    prompt_cache_retention: CacheRetention | None = None
    reasoning: ReasoningOptions | None = None
    safety_identifier: str | None = Field(None, max_length=512)
    service_tier: ServiceTier | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    text: TextOptions | None = None
    tool_choice: Choice | None = None
    tools: Annotated[Array[Tool], Field(max_length=128)] | None = None
    top_logprobs: only(0, None) = None  # type: ignore[valid-type]
    top_p: float | None = Field(None, ge=0, le=1)
    truncation: Literal["auto", "disabled"] | None = None
    user: str | None = Field(None, max_length=512)


def to_turn_request(body: CreateResponse, *, origin: Mapping[str, Any], known: Mapping[str, Item]) -> TurnRequest:
    """origin: the request's and the trace's id and the model's prices, for the report. known: what was looked up for its input.

    Raises InvalidRequest, NotFound.
    """
    if body.stream_options is not None and not body.stream:
        raise InvalidRequest("stream_options is for streams", param="stream_options", code="invalid_value")
    if body.conversation is not None and body.previous_response_id is not None:
        raise InvalidRequest(
            "give either a conversation or a previous response", param="previous_response_id", code="mutually_exclusive"
        )
    if body.background and body.store is False:
        raise InvalidRequest("a response in the background must be stored", param="store", code="invalid_value")
    if not body.input and body.input != "" and body.conversation is None and body.previous_response_id is None:
        message = "missing required parameter: 'input', where neither a conversation nor a previous response has any"
        raise InvalidRequest(message, param="input", code="missing_required_parameter")
    tools = narrowed(split_tools(body.tools or []), body.tool_choice)
    conversation = body.conversation
    return TurnRequest(
        input=to_items([] if body.input is None else body.input, "input", known),
        referred=frozenset(references(body.input)),
        model=body.model,
        instructions=body.instructions,
        previous_turn_id=body.previous_response_id,
        conversation_id=conversation.id if isinstance(conversation, ConversationReference) else conversation,
        functions=tools.functions,
        builtins=tools.builtins,
        registry=tools.registry,
        narrowed=isinstance(body.tool_choice, AllowedTools),
        tool_choice=to_choice(body.tool_choice, tools),
        parallel_tool_calls=body.parallel_tool_calls is not False,
        max_tool_calls=body.max_tool_calls,
        sampling=_sampling(body),
        format=_format(body.text),
        labels=_labels(body),
        truncate=body.truncation == "auto",
        store=body.store is not False,
        pauses=body.store is not False,
        metadata=body.metadata or {},
        queue=Queue.BACKGROUND if body.background else None,
        wire=WIRE,
        echo=_echo(body, origin),
    )


def _sampling(body: CreateResponse) -> Sampling:
    return Sampling(
        temperature=body.temperature,
        top_p=body.top_p,
        max_output_tokens=body.max_output_tokens,
        presence_penalty=body.presence_penalty,
        frequency_penalty=body.frequency_penalty,
        reasoning_effort=body.reasoning.effort if body.reasoning else None,
    )


def _labels(body: CreateResponse) -> Labels:
    return Labels(
        prompt_cache_key=body.prompt_cache_key,
        prompt_cache_retention=body.prompt_cache_retention,
        safety_identifier=body.safety_identifier,
        user=body.user,
        verbosity=body.text.verbosity if body.text else None,
    )


def _format(text: TextOptions | None) -> JsonFormat | None:
    match text and text.format:
        case JsonSchemaFormat() as given:
            check_schemas({"text.format.schema": given.schema_})
            return JsonFormat(schema=given.schema_, name=given.name, description=given.description, strict=bool(given.strict))
        case JsonObjectFormat():
            return JsonFormat()
        case _:
            return None


# fmt: off
_ECHOED = (
    "background", "frequency_penalty", "instructions", "max_output_tokens", "max_tool_calls", "parallel_tool_calls",
    "presence_penalty",
    "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "temperature", "top_p", "truncation", "user",
)
# fmt: on


def _echo(body: CreateResponse, origin: Mapping[str, Any]) -> dict[str, Any]:
    """What the response object repeats of the request, and what its encoder has to know."""
    fields = {name: value for name in _ECHOED if (value := getattr(body, name)) is not None}
    summary = body.reasoning and (body.reasoning.summary or body.reasoning.generate_summary)
    if body.reasoning is not None:
        fields["reasoning"] = {"effort": body.reasoning.effort, "summary": summary}
    if body.text is not None and (body.text.format or body.text.verbosity):
        form = body.text.format or TextFormat(type="text")
        fields["text"] = {"format": form.model_dump(by_alias=True), "verbosity": body.text.verbosity or "medium"}
    if body.tools:
        fields["tools"] = [_tool(tool) for tool in body.tools]
    if body.tool_choice is not None:
        choice = body.tool_choice
        fields["tool_choice"] = choice if isinstance(choice, str) else choice.model_dump(exclude_unset=True)
    echo: dict[str, Any] = {"fields": fields, **origin}
    include = body.include or ()
    flags = {"outputs": OUTPUTS in include, "report": REPORT in include}
    flags["obfuscate"] = bool(body.stream_options and body.stream_options.include_obfuscation)
    flags["summary"] = bool(summary)
    return echo | {name: True for name, on in flags.items() if on}


def _tool(tool: Tool) -> dict[str, Any]:
    match tool:
        case FunctionTool():
            return {**tool.model_dump(), "strict": bool(tool.strict)}
        case CodeInterpreterTool():
            return tool.model_dump(exclude_none=True)
        case McpTool():
            return tool.model_dump()
