"""What a gateway and a local agent say to each other. Knows neither llama.cpp nor the platform's model contract.

The agent listens on a Unix socket (mode 0600 in a directory of mode 0700) and speaks one JSON object a line, UTF-8:

    agent    {"kind": "greeting", "model": "demo", "context_tokens": 1024, ...}    at once; reading it is the health check
    gateway  {"messages": [...], "tools": [...], "temperature": 0, ...}            an `Ask`: at most one a connection
    agent    {"kind": "reasoning" | "text" | "call", ...} ...                      as the model writes
    agent    {"kind": "finished", ...} or {"kind": "failed", "code": ..., ...}     exactly one of them, last

A text that is empty says that the model works and has nothing to show yet: it reads, or what it wrote is held back.
Messages and tools have the shape of OpenAI's chat completions, except that a call's `arguments` are the parsed object where
they parse. Closing the connection is how a request is cancelled, whether it waits, reads its prompt or writes.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, TypeAdapter

from core.messages import FinishReason, Usage

LINE_BYTES = 16 * 2**20
"""A longer line ends the connection."""

Penalty = Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """load_seconds: what loading the model took. word_bytes: see `estimate_tokens`."""

    model: str
    context_tokens: int
    vocabulary: int
    word_bytes: float
    load_seconds: float
    kind: Literal["greeting"] = "greeting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request. None leaves the choice to the model file, then to the agent.

    tool_name: the one tool that must be called, with tool_choice `required`.
    reasoning_effort: for templates that know it; `none` tells those that can to do without thinking.
    json_answer: the text must be JSON; with `json_schema`, JSON that the schema accepts.
    owner: whose request it is, in any words; only one with the same words finds its beginning read already.
    """

    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]] = field(default_factory=list)
    tool_choice: Literal["auto", "none", "required"] = "auto"
    tool_name: str | None = None
    parallel_tool_calls: bool = True
    json_answer: bool = False
    json_schema: dict[str, Any] | None = None
    temperature: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    presence_penalty: Penalty = 0.0
    frequency_penalty: Penalty = 0.0
    max_output_tokens: Annotated[int, Field(ge=0)] | None = None
    stop: list[str] = field(default_factory=list)
    seed: int | None = None
    reasoning_effort: str | None = None
    owner: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    text: str
    kind: Literal["text"] = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasoning:
    text: str
    kind: Literal["reasoning"] = "reasoning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A piece of a call: the first one for an `index` carries id and name; arguments are verbatim and may be malformed."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""
    kind: Literal["call"] = "call"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    reason: FinishReason
    usage: Usage
    kind: Literal["finished"] = "finished"


class FailureCode(StrEnum):
    BUSY = "busy"  # the queue is full
    LATE = "late"  # it waited too long in the queue
    CONTEXT = "context"  # the prompt does not fit
    REFUSED = "refused"  # the request is wrong, or the model's template will not have it
    BROKEN = "broken"  # llama.cpp gave up on this request


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    code: FailureCode
    message: str
    kind: Literal["failed"] = "failed"


Piece = Text | Reasoning | Call | Finished
Line = Annotated[Greeting | Text | Reasoning | Call | Finished | Failed, Discriminator("kind")]

_WORD_BYTES = b"abcdefghijklmnopqrstuvwxyz "

_ASK: TypeAdapter[Ask] = TypeAdapter(Ask)
_LINE: TypeAdapter[Line] = TypeAdapter(Line)


class AgentFailure(Exception):
    """A request that the agent will not or cannot serve; the connection carries it as `Failed`."""

    def __init__(self, code: FailureCode, message: str) -> None:
        super().__init__(message)
        self.code = code


def encode_ask(ask: Mapping[str, Any]) -> bytes:
    """ask: fields of `Ask`. Lone surrogates, which no tokenizer knows, become question marks."""
    return json.dumps(ask, ensure_ascii=False, default=dict).encode("utf-8", "replace") + b"\n"


def decode_ask(line: bytes) -> Ask:
    """Raises pydantic's ValidationError."""
    return _ASK.validate_json(line)


def encode_line(line: Line) -> bytes:
    return _LINE.dump_json(line) + b"\n"


def decode_line(line: bytes) -> Line:
    """Raises pydantic's ValidationError."""
    return _LINE.validate_json(line)


def estimate_tokens(text: str, word_bytes: float) -> int:
    """How many tokens a text is, erring high, without asking the agent.

    Words of small letters are shared out by `word_bytes`, measured by the agent on words that its vocabulary is bad at; every
    other byte (digits, capitals, punctuation, other alphabets) counts as a token, which is the most that a byte can be.
    Measured with seven vocabularies: prose and code 1.3 to 1.9 times the truth, JSON, base64 and hexadecimal 0.8 to 1.4.
    Random small letters can be 1.8 times as many as estimated; the agent counts exactly and refuses what does not fit.
    """
    data = text.encode("utf-8", "replace")
    other = len(data.translate(None, _WORD_BYTES))
    return other + math.ceil((len(data) - other) / word_bytes)
