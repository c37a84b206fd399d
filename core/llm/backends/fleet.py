"""The local engine: asks an agent (`core/fleet`), which runs a GGUF model with llama.cpp in a process of its own."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, Self, assert_never

from pydantic import Field, model_validator

from core.config_section import Neighbour
from core.errors import ConfigurationError
from core.fleet import protocol
from core.fleet.client import AgentUnreachable, RequestTooLong, connect
from core.fleet.protocol import FailureCode, Greeting
from core.llm.chat_request import request_body
from core.llm.contract import (
    CallChunk,
    Chunk,
    ContextExceeded,
    Finished,
    Model,
    ModelError,
    ModelRefused,
    ModelRequest,
    ModelTimedOut,
    ModelUnavailable,
    ReasoningChunk,
    TextChunk,
)
from core.llm.declaration import ModelDeclaration

GREETING_SECONDS = 1.0


class Declaration(ModelDeclaration):
    """One of: file, a GGUF that `paddock up` starts an agent for (`demo`: the one that ships), and socket, where an agent of
    one's own listens, as given to `paddock agent --socket`. gpu_layers: how many an accelerator takes.
    """

    file: str | None = None
    socket: Neighbour | None = None
    gpu_layers: Annotated[int, Field(ge=0, le=10_000)] = 0

    @model_validator(mode="after")
    def _one_agent(self) -> Self:
        if (self.file is None) == (self.socket is None):
            raise ValueError("a local model needs either `file` or `socket`")
        return self


@asynccontextmanager
async def open_model(declaration: Declaration) -> AsyncIterator[Model]:
    """An agent that is there already tells its facts at once; one that comes later, with the first request.

    Raises ConfigurationError for a `file`: whoever starts its agent puts the agent's socket in its place.
    """
    if declaration.socket is None:
        raise ConfigurationError(f"model {declaration.name!r}: only `paddock up` starts an agent for a file; give its socket")
    model = FleetModel(declaration, declaration.socket)
    with suppress(AgentUnreachable, TimeoutError):
        async with asyncio.timeout(GREETING_SECONDS), connect(declaration.socket) as connection:
            model.learn(connection.greeting)
    yield model


class FleetModel:
    def __init__(self, declaration: Declaration, socket: Path) -> None:
        self._declaration = declaration
        self._socket = socket
        self._context_tokens = declaration.context_tokens
        self._word_bytes = 1.0

    def learn(self, greeting: Greeting) -> None:
        """The model may be another one after its agent was restarted."""
        self._context_tokens = min(greeting.context_tokens, self._declaration.context_tokens or greeting.context_tokens)
        self._word_bytes = greeting.word_bytes

    @property
    def context_tokens(self) -> int | None:
        return self._context_tokens

    @property
    def accepts_images(self) -> bool:
        return False

    def count_tokens(self, text: str) -> int:
        return protocol.estimate_tokens(text, self._word_bytes)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Chunk, None]:
        ask = _ask(request)
        try:
            async with connect(self._socket) as connection:
                self.learn(connection.greeting)
                async with aclosing(connection.ask(ask)) as lines:
                    async for line in lines:
                        chunk = self._chunk(line)
                        yield chunk
                        if isinstance(chunk, Finished):
                            return
        except RequestTooLong as exc:
            raise ContextExceeded(str(exc)) from exc
        except AgentUnreachable as exc:
            advice = f"the local agent of model {self._declaration.name!r} is not there: {exc}; is `paddock agent` running?"
            raise ModelUnavailable(advice, retryable=True) from exc
        raise ModelUnavailable(f"the local agent of model {self._declaration.name!r} stopped in the middle", retryable=True)

    def _chunk(self, line: protocol.Line) -> Chunk:
        match line:
            case protocol.Text(text=text):
                return TextChunk(text=text)
            case protocol.Reasoning(text=text):
                return ReasoningChunk(text=text)
            case protocol.Call(index=index, id=call_id, name=name, arguments=arguments):
                return CallChunk(index=index, id=call_id, name=name, arguments=arguments)
            case protocol.Finished(reason=reason, usage=usage):
                return Finished(reason=reason, usage=usage)
            case protocol.Failed(code=code, message=message):
                raise _error(code, message)
            case Greeting():
                raise AgentUnreachable("it greeted twice")
            case _:
                assert_never(line)


def _ask(request: ModelRequest) -> dict[str, Any]:
    """The request as `protocol.Ask` has it: what OpenAI nests is flat, calls' arguments are objects. Raises ModelRefused."""
    body = request_body(request, max_tokens_parameter="max_output_tokens")
    ask = {**body, "messages": [_message(message) for message in body["messages"]], "owner": request.owner}
    choice = ask.get("tool_choice")
    if isinstance(choice, dict):
        ask |= {"tool_choice": "required", "tool_name": choice["function"]["name"]}
    wanted = ask.pop("response_format", None)
    if wanted:
        ask |= {"json_answer": True, "json_schema": wanted.get("json_schema", {}).get("schema")}
    return ask


def _message(message: dict[str, Any]) -> dict[str, Any]:
    content = message["content"]
    if isinstance(content, list):
        if any(part["type"] != "text" for part in content):
            raise ModelRefused("this model reads text only, and the request has an image")
        content = "".join(part["text"] for part in content)
    told = {**message, "content": content or ""}
    if calls := message.get("tool_calls"):
        told["tool_calls"] = [{**call, "function": _function(**call["function"])} for call in calls]
    return told


def _function(name: str, arguments: str) -> dict[str, Any]:
    """Templates write the arguments as JSON, or look into them: they are an object, whatever the model wrote."""
    return {"name": name, "arguments": json.loads(arguments)}


def _error(code: FailureCode, message: str) -> ModelError:
    match code:
        case FailureCode.BUSY:
            return ModelUnavailable(message, retryable=False, counts=False)
        case FailureCode.LATE:
            return ModelTimedOut(message, retryable=False, counts=False)
        case FailureCode.CONTEXT:
            return ContextExceeded(message)
        case FailureCode.REFUSED:
            return ModelRefused(message)
        case FailureCode.BROKEN:
            return ModelUnavailable(message, retryable=True)
