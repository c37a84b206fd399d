"""A model whose calls are paid for: reserved before each one, counted after it, also where a reply is cut off."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from core.limits.limiter import Grant
from core.llm.contract import Chunk, Model, ModelError, ModelRequest
from core.llm.taken import Taken
from core.llm.tokens import count_request
from core.messages import Usage

ASSUMED_OUTPUT = 1_000
"""Tokens of a reply to a request that does not bound it: reserved, and settled with what it was."""


def demand(request: ModelRequest, model: Model) -> int:
    """The most that one call is expected to take: input, and output, but no more of it than the model can write."""
    output = request.sampling.max_output_tokens or ASSUMED_OUTPUT
    room = output if model.context_tokens is None else model.context_tokens
    return count_request(request, model.count_tokens) + min(output, room)


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
        taken = Taken(request, self._model)
        try:
            async with aclosing(self._model.stream(request)) as chunks:
                async for chunk in chunks:
                    taken.hear(chunk)
                    yield chunk
        except ModelError:
            taken.failed()
            raise
        finally:
            usage = taken.usage
            self._grant.spend(usage.input + usage.output)
            self._tell(usage)
