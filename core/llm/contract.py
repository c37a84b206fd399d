"""What the platform asks of a model, and what every backend promises back.

A backend speaks one vendor's wire. It knows no turn, tenant, retry or limit: those wrap it (`core/llm/resilience.py`).
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from core.errors import PaddockError
from core.messages import FinishReason, Message, Usage

if TYPE_CHECKING:
    from core.llm.declaration import ModelDeclaration


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """A tool as the model sees it. parameters: a JSON Schema (draft 2020-12) of type object."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    strict: bool = False


class ToolMode(StrEnum):
    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolChoice:
    """name: the one tool that must be called; then `mode` is REQUIRED."""

    mode: ToolMode = ToolMode.AUTO
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonFormat:
    """The answer must be JSON; with a schema, JSON that the schema accepts. A backend does what it can.

    strict: a turn whose answer does not fit the schema has failed.
    """

    schema: Mapping[str, Any] | None = None
    name: str = "answer"
    description: str | None = None
    strict: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """None leaves the choice to the model's own default. Penalties and temperature as OpenAI defines them."""

    temperature: float | None = None
    top_p: float | None = None
    max_output_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    reasoning_effort: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What the client tells OpenAI of who asks, of what to cache and how long, and of how much to say. Opaque to us, and in no
    log: a name may be in it.
    """

    prompt_cache_key: str | None = field(default=None, repr=False)
    prompt_cache_retention: str | None = field(default=None, repr=False)
    safety_identifier: str | None = field(default=None, repr=False)
    user: str | None = field(default=None, repr=False)
    verbosity: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """labels: sent by a backend that knows that they are taken. owner: stands for the organisation, without being its id. A
    backend that keeps what it read for the next request may use it for the same owner only: how fast an answer comes would tell
    others what was asked.
    """

    messages: Sequence[Message]
    tools: Sequence[ToolSpec] = ()
    tool_choice: ToolChoice = field(default_factory=ToolChoice)
    parallel_tool_calls: bool = True
    sampling: Sampling = field(default_factory=Sampling)
    format: JsonFormat | None = None
    labels: Labels = field(default_factory=Labels)
    owner: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TextChunk:
    """refusal: the model will not answer, and says so in a field of its own."""

    text: str
    refusal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasoningChunk:
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallChunk:
    """A piece of a tool call. The first piece for an `index` carries id and name; calls do not interleave."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The last chunk of every reply, exactly once."""

    reason: FinishReason
    usage: Usage


Chunk = TextChunk | ReasoningChunk | CallChunk | Finished


class Model(Protocol):
    """One declared model."""

    @property
    def context_tokens(self) -> int | None:
        """How many tokens fit, input and output together; None when the backend cannot say."""
        ...

    @property
    def accepts_images(self) -> bool: ...

    def count_tokens(self, text: str) -> int:
        """An estimate that errs high; cheap, never blocks."""
        ...

    def stream(self, request: ModelRequest) -> AsyncGenerator[Chunk, None]:
        """Ask once. Closing the generator stops the model and frees what it held.

        Strings in chunks are valid Unicode (no lone surrogates). Raises `ModelError`.
        """
        ...


class BackendModule(Protocol):
    """What a file in `core/llm/backends/` provides.

    `Declaration` subclasses `ModelDeclaration` with the keys that only this backend understands; `open_model` is given an
    instance of that very subclass (which a protocol cannot say, so `Any`). Opening asks nobody: a provider that is down, or
    comes later, is found out by the first `stream`.
    """

    @property
    def Declaration(self) -> "type[ModelDeclaration]": ...

    def open_model(self, declaration: Any, /) -> AbstractAsyncContextManager[Model]: ...


class ModelError(PaddockError):
    """The model did not answer.

    retryable: asking again may help. counts: it is a sign of the provider's ill health (the breaker counts it).
    retry_after: seconds the provider asked us to wait.
    """

    code = "model_error"

    def __init__(self, message: str, *, retryable: bool, counts: bool = True, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.counts = counts
        self.retry_after = retry_after


class ModelRefused(ModelError):
    """The provider says the request itself is wrong (4xx): asking again cannot help."""

    code = "model_refused"

    def __init__(self, message: str) -> None:
        super().__init__(message, retryable=False, counts=False)


class ContextExceeded(ModelRefused):
    """The messages do not fit the model's context."""

    code = "context_length_exceeded"


class ModelUnavailable(ModelError):
    """No answer: connection refused, 5xx, breaker open, queue full."""

    code = "model_unavailable"


class ModelBusy(ModelUnavailable):
    """The provider is well and takes no more for now (429): asking again helps, and no breaker counts it."""

    code = "rate_limit_exceeded"

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message, retryable=True, counts=False, retry_after=retry_after)


class ModelTimedOut(ModelError):
    code = "model_timeout"
