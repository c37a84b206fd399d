"""Puts time limits, retries and a circuit breaker around a model, and checks what it says. Knows no provider.

A reply is asked for again only while nothing of it was passed on: what a caller has seen is never taken back.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from random import Random

from core.llm.breaker import Breaker
from core.llm.contract import Chunk, Finished, Model, ModelBusy, ModelError, ModelRequest, ModelTimedOut, ModelUnavailable
from core.llm.declaration import ModelDeclaration
from core.llm.patience import Patience
from core.llm.wellformed import ReplyChecker

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]


class ResilientModel:
    """`Model`'s promises, and these: the last chunk, and no other, is Finished; see `ReplyChecker` for the rest."""

    def __init__(self, model: Model, declaration: ModelDeclaration, *, clock: Clock, sleep: Sleep, random: Random) -> None:
        self._model = model
        self._declaration = declaration
        self._name = declaration.name
        self._breaker = Breaker(declaration.name, declaration.breaker, clock=clock)
        self._clock = clock
        self._sleep = sleep
        self._random = random

    @property
    def context_tokens(self) -> int | None:
        return self._model.context_tokens

    @property
    def accepts_images(self) -> bool:
        return self._model.accepts_images

    def count_tokens(self, text: str) -> int:
        return self._model.count_tokens(text)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Chunk, None]:
        """Raises ModelError. Closing it, or cancelling who waits for it, closes the connection before it returns."""
        request = self._with_defaults(request)
        ends_at = self._clock() + self._declaration.timeouts.total
        passed_on = False
        for attempt in range(1, self._declaration.retries.attempts + 1):
            reply = self._attempt(request, ends_at)
            try:
                async for chunk in reply:
                    passed_on = True
                    yield chunk
                return
            except ModelError as error:
                pause = self._pause_after(error, attempt)
                if passed_on or pause is None or self._clock() + pause >= ends_at:
                    raise
            finally:
                await reply.aclose()
            await self._sleep(pause)

    async def _attempt(self, request: ModelRequest, ends_at: float) -> AsyncGenerator[Chunk, None]:
        probe = self._breaker.admit()
        verdict = self._breaker.abandoned
        checker = ReplyChecker(request, count_tokens=self._model.count_tokens, new_call_id=self._new_call_id)
        chunks = self._model.stream(request)
        patience = Patience()
        limit, awaited = self._declaration.timeouts.first_token, "its first token"
        try:
            while not isinstance(chunk := await self._next(chunks, patience, limit, awaited, ends_at), Finished):
                if (checked := checker.check(chunk)) is not None:
                    yield checked
                if probe:
                    self._breaker.heard()
                    probe = False
                limit, awaited = self._declaration.timeouts.between_tokens, "the next token"
            verdict = self._breaker.succeeded
        except ModelError as error:
            verdict = self._breaker.failed if error.counts else self._breaker.abandoned
            raise
        finally:
            verdict(probe)
            patience.close()
            await chunks.aclose()
        yield checker.finish(chunk)

    async def _next(
        self, chunks: AsyncGenerator[Chunk, None], patience: Patience, limit: float, awaited: str, ends_at: float
    ) -> Chunk:
        remaining = ends_at - self._clock()
        if remaining < limit:
            limit, awaited = remaining, f"a whole reply within {self._declaration.timeouts.total:g} s"
        try:
            return await patience.wait(anext(chunks), limit)
        except TimeoutError as exc:
            raise ModelTimedOut(f"gave up waiting for {awaited} of model {self._name!r}", retryable=True) from exc
        except StopAsyncIteration as exc:
            raise ModelUnavailable(f"model {self._name!r} ended its reply without saying so", retryable=True) from exc

    def _pause_after(self, error: ModelError, attempt: int) -> float | None:
        """Exponential back-off with full jitter; None when asking again is no use."""
        retries = self._declaration.retries
        asked_for = error.retry_after or 0.0
        passes = error.retryable and (error.counts or isinstance(error, ModelBusy))  # an open breaker stays open for longer
        if not passes or attempt == retries.attempts or asked_for > retries.max_seconds:
            return None
        ceiling = min(retries.max_seconds, retries.base_seconds * 2 ** (attempt - 1))
        return max(asked_for, self._random.uniform(0, ceiling))

    def _with_defaults(self, request: ModelRequest) -> ModelRequest:
        default = self._declaration.max_output_tokens
        if default is None or request.sampling.max_output_tokens is not None:
            return request
        return replace(request, sampling=replace(request.sampling, max_output_tokens=default))

    def _new_call_id(self) -> str:
        return f"call_{self._random.getrandbits(96):024x}"
