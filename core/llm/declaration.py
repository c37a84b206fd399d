"""What can be said of a model in `paddock.yaml`; what only one backend understands is declared in that backend's file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from core.config_section import Section
from core.llm import backends
from core.messages import Usage

Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
Dollars = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Schema(Section):
    """A part of a model's entry."""


class Timeouts(Schema):
    """between_tokens also bounds the wait for the end after the last token; total covers all attempts and pauses."""

    connect: Seconds = 10
    first_token: Seconds = 120
    between_tokens: Seconds = 30
    total: Seconds = 900


class Retries(Schema):
    """attempts counts the first one. A provider that asks for a longer wait than max_seconds is not asked again."""

    attempts: Annotated[int, Field(ge=1, le=20)] = 3
    base_seconds: Seconds = 0.5
    max_seconds: Seconds = 20


class Breaker(Schema):
    """Opens after so many failures in a row within the window; then nobody is let through until the cooldown is over."""

    failures: Annotated[int, Field(ge=1)] = 5
    window_seconds: Seconds = 60
    cooldown_seconds: Seconds = 30


class Prices(Schema):
    """Per million tokens. Cached input costs what other input costs unless it has a price of its own."""

    input: Dollars = 0
    output: Dollars = 0
    cached_input: Dollars | None = None

    def cost(self, usage: Usage) -> float:
        cached_price = self.input if self.cached_input is None else self.cached_input
        fresh = usage.input - usage.cached
        return (fresh * self.input + usage.cached * cached_price + usage.output * self.output) / 1_000_000


def _known(backend: str) -> str:
    if backend not in backends.available():
        raise ValueError(f"unknown backend {backend!r}; available: {', '.join(backends.available())}")
    return backend


class ModelDeclaration(Schema):
    """What every backend's entry has; a backend adds its own keys in a subclass, `Declaration` in its file.

    max_output_tokens: for requests that do not say. None: the provider decides.
    """

    name: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[!-~]+$")]
    backend: Annotated[str, AfterValidator(_known)]
    context_tokens: Annotated[int, Field(gt=0)] | None = None
    max_output_tokens: Annotated[int, Field(gt=0)] | None = None
    accepts_images: bool = False
    prices: Prices = Prices()
    timeouts: Timeouts = Timeouts()
    retries: Retries = Retries()
    breaker: Breaker = Breaker()


class _Head(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)
    backend: Annotated[str, AfterValidator(_known)]


def declaration_of(raw: Mapping[str, Any]) -> type[ModelDeclaration]:
    """The class that checks `raw`: its backend's own. Raises pydantic's ValidationError when there is no such backend."""
    return backends.load(_Head.model_validate(raw).backend).Declaration


def validate_model(raw: Mapping[str, Any], directory: Path = Path()) -> ModelDeclaration:
    """directory: where `raw` is written down. Raises pydantic's ValidationError; its `loc`s are paths in `raw`.

    Its `errors()` shows secrets unless called with `include_input=False`.
    """
    return declaration_of(raw).model_validate(raw, context=directory)
