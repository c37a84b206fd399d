"""A model that is counted and traced. Knows no provider and no turn."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from core.llm.contract import Chunk, Finished, Model, ModelError, ModelRequest, TextChunk
from core.llm.declaration import ModelDeclaration
from core.llm.taken import Taken
from core.messages import Message, Reply, SystemMessage, Text, ToolResult, UserMessage
from core.telemetry.telemetry import CANCELLED, FAILED, OK, Telemetry


class ObservedModel:
    """`Model`'s promises. What the provider is sent says which span it is part of."""

    def __init__(self, model: Model, declaration: ModelDeclaration, telemetry: Telemetry) -> None:
        self._model = model
        self._declaration = declaration
        self._telemetry = telemetry

    @property
    def context_tokens(self) -> int | None:
        return self._model.context_tokens

    @property
    def accepts_images(self) -> bool:
        return self._model.accepts_images

    def count_tokens(self, text: str) -> int:
        return self._model.count_tokens(text)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Chunk, None]:
        watch = self._telemetry.model_call(self._declaration.name, self._declaration.backend, _sampling(request))
        said: list[str] | None = [] if watch.wants_content else None
        if said is not None:
            watch.add_content("input", _told(request.messages))
        outcome, taken = FAILED, Taken(request, self._model)
        try:
            async with aclosing(self._model.stream(request)) as chunks:
                with watch.current():  # until the provider has answered it, and no longer: whoever reads us goes on meanwhile
                    chunk = await anext(chunks)
                watch.heard()
                while not isinstance(chunk, Finished):
                    if said is not None and isinstance(chunk, TextChunk):
                        said.append(chunk.text)
                    taken.hear(chunk)
                    yield chunk
                    chunk = await anext(chunks)
                taken.hear(chunk)
                watch.finished(chunk.reason)
                outcome = OK
                yield chunk
        except ModelError as error:
            outcome = error.code
            taken.failed()
            raise
        except (asyncio.CancelledError, GeneratorExit):
            outcome = outcome if outcome == OK else CANCELLED
            raise
        finally:
            if said is not None:
                watch.add_content("output", _told([Reply(text="".join(said))]))
            usage = taken.usage
            watch.took(usage, self._declaration.prices.cost(usage))
            watch.end(outcome)


def _sampling(request: ModelRequest) -> dict[str, str | int | float | bool | tuple[str, ...]]:
    sampling = request.sampling
    known = {
        "gen_ai.request.max_tokens": sampling.max_output_tokens,
        "gen_ai.request.temperature": sampling.temperature,
        "gen_ai.request.top_p": sampling.top_p,
        "gen_ai.request.seed": sampling.seed,
    }
    return {name: value for name, value in known.items() if value is not None}


def _told(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """As the conventions for generative AI write messages."""
    told: list[dict[str, Any]] = []
    for message in messages:
        match message:
            case SystemMessage(text=text):
                told.append(_message("system", text))
            case UserMessage(parts=parts):
                told.append(_message("user", "".join(part.text for part in parts if isinstance(part, Text))))
            case Reply(text=text, refusal=refusal):
                told.append(_message("assistant", text + refusal))
            case ToolResult(content=text):
                told.append(_message("tool", text))
    return told


def _message(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": text}]}
