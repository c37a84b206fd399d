"""A model whose calls are paid for: reserved before each one, counted after it, also where a reply is cut off."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from core.limits.limiter import Grant
from core.llm.contract import CallChunk, Chunk, Finished, Model, ModelError, ModelRequest
from core.llm.tokens import count_request
from core.messages import Usage

ASSUMED_OUTPUT = 1_000
"""Tokens of a reply to a request that does not bound it: reserved, and settled with what it was."""


def demand(request: ModelRequest, model: Model) -> int:
    """The most that one call is expected to take: input, and output, but no more of it than the model can write."""
    output = request.sampling.max_output_tokens or ASSUMED_OUTPUT
    room = output if model.context_tokens is None else model.context_tokens
    return count_request(request, model.count_tokens) + min(output, room)


def estimate(request: ModelRequest, said: str, model: Model) -> Usage:
    """What a call took whose model could not say it: it was cut off after so much."""
    return Usage(input=count_request(request, model.count_tokens), output=model.count_tokens(said))


class MeteredModel:
    """`Model`'s promises; `stream` raises RateLimited as well. tell: is told what each call took, however it ends."""

    def __init__(self, model: Model, grant: Grant, tell: Callable[[Usage], None]) -> None:
        self._model = model
        self._grant = grant
        self._tell = tell

    @property
    def context_tokens(self) -> int | None:
        return self._model.context_tokens

    @property
    def accepts_images(self) -> bool:
        return self._model.accepts_images

    def count_tokens(self, text: str) -> int:
        return self._model.count_tokens(text)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Chunk, None]:
        await self._grant.reserve(demand(request, self._model))
        said: list[str] = []
        usage: Usage | None = None
        try:
            async with aclosing(self._model.stream(request)) as chunks:
                async for chunk in chunks:
                    if isinstance(chunk, Finished):
                        usage = chunk.usage
                    else:
                        said.append(chunk.arguments if isinstance(chunk, CallChunk) else chunk.text)
                    yield chunk
        except ModelError:
            if not said:
                usage = Usage()  # it never answered
            raise
        finally:
            if usage is None:
                usage = estimate(request, "".join(said), self._model)
            self._grant.spend(usage.input + usage.output)
            self._tell(usage)
