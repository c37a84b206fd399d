"""The declared models by name. Knows backends by their file's name only."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from random import Random

from core.errors import ConfigurationError, NotFound
from core.llm import backends
from core.llm.contract import Model
from core.llm.declaration import ModelDeclaration, Prices
from core.llm.observed import ObservedModel
from core.llm.resilience import Clock, ResilientModel, Sleep
from core.telemetry.telemetry import Telemetry, silent


@dataclass(frozen=True, slots=True)
class _Opened:
    model: Model
    prices: Prices


class ModelRouter:
    def __init__(self, opened: Mapping[str, _Opened]) -> None:
        self._opened = opened

    @property
    def names(self) -> tuple[str, ...]:
        """As declared; the first is the default."""
        return tuple(self._opened)

    def get(self, name: str) -> Model:
        return self._find(name).model

    def prices(self, name: str) -> Prices:
        return self._find(name).prices

    def _find(self, name: str) -> _Opened:
        """Raises NotFound."""
        if name not in self._opened:
            available = ", ".join(self._opened) or "none is declared"
            raise NotFound(f"unknown model {name[:200]!r}; available: {available}", param="model", code="model_not_found")
        return self._opened[name]


@asynccontextmanager
async def open_router(
    declarations: Sequence[ModelDeclaration],
    *,
    telemetry: Telemetry | None = None,
    clock: Clock = time.monotonic,
    sleep: Sleep = asyncio.sleep,
    random: Random | None = None,
) -> AsyncIterator[ModelRouter]:
    """Asks no provider, so one that is down does not keep the server from starting. Raises ConfigurationError."""
    opened: dict[str, _Opened] = {}
    async with AsyncExitStack() as stack:
        for declaration in declarations:
            if declaration.name in opened:
                raise ConfigurationError(f"two models are named {declaration.name!r}", param="models")
            backend = backends.load(declaration.backend)
            model = await stack.enter_async_context(backend.open_model(declaration))
            resilient = ResilientModel(model, declaration, clock=clock, sleep=sleep, random=random or Random())  # noqa: S311
            observed = ObservedModel(resilient, declaration, telemetry or silent())
            opened[declaration.name] = _Opened(observed, declaration.prices)
        yield ModelRouter(opened)
