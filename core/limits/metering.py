"""A model whose calls are paid for: reserved before each one, counted after it, also where a reply is cut off."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from core.limits.limiter import Grant
from core.llm.contract import CallChunk, Chunk, Finished, Model, ModelError, ModelRequest
from core.llm.tokens import count_request

ASSUMED_OUTPUT = 1_000
"""Tokens of a reply to a request that does not bound it: reserved, and settled with what it was."""


def demand(request: ModelRequest, model: Model) -> int:
    """The most that one call is expected to take: input, and output, but no more of it than the model can write."""
    output = request.sampling.max_output_tokens or ASSUMED_OUTPUT
    room = output if model.context_tokens is None else model.context_tokens
    return count_request(request, model.count_tokens) + min(output, room)


class MeteredModel:
    """`Model`'s promises; `stream` raises RateLimited as well."""

    def __init__(self, model: Model, grant: Grant) -> None:
        self._model = model
        self._grant = grant

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
        taken: int | None = None
        try:
            async with aclosing(self._model.stream(request)) as chunks:
                async for chunk in chunks:
                    if isinstance(chunk, Finished):
                        taken = chunk.usage.input + chunk.usage.output
                    else:
                        said.append(chunk.arguments if isinstance(chunk, CallChunk) else chunk.text)
                    yield chunk
        except ModelError:
            if not said:
                taken = 0  # it never answered
            raise
        finally:
            if taken is None:
                taken = count_request(request, self._model.count_tokens) + self._model.count_tokens("".join(said))
            self._grant.spend(taken)
