"""Providers with a wire of their own (Anthropic, Gemini, Bedrock and a hundred more), through LiteLLM.

It is optional (the extra `litellm`), slow to import and large, so it is imported when such a model is declared, and not before.
"""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import cache, wraps
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated, Any

from pydantic import AfterValidator, Field, SecretStr

from core.llm.chat_reply import ReplyReader, error_from
from core.llm.chat_request import request_body
from core.llm.contract import Chunk, Finished, Model, ModelError, ModelRequest
from core.llm.declaration import ModelDeclaration
from core.llm.failures import QUOTA, malformed, retry_after_seconds
from core.llm.tokens import estimate_tokens
from core.messages import Usage
from core.telemetry.tracing import outgoing

# Read by LiteLLM while it is imported; without them it downloads price lists and loads a `.env` file from where we run.
_BEFORE_IMPORT = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_OFFLINE_MODE": "True", "LITELLM_MODE": "PRODUCTION"}


INSTALL = "PATH=.venv-bootstrap/bin:$PATH uv sync --frozen --inexact --no-dev --extra litellm"
"""In the checkout, with the uv that `make up` installs where there was none."""


def _installed(backend: str) -> str:
    if find_spec("litellm") is None:
        raise ValueError(f"needs LiteLLM, which is not installed; where `make up` is run, `{INSTALL}` brings it")
    return backend


class Declaration(ModelDeclaration):
    """model: in LiteLLM's way, `provider/model`. options and credentials: further arguments for that provider, as LiteLLM names
    them (`vertex_project`, `aws_region_name`; `aws_secret_access_key`). drop_params: leave out what the provider does not know,
    where the request would otherwise be refused.
    """

    backend: Annotated[str, AfterValidator(_installed)]
    model: Annotated[str, Field(min_length=1)]
    api_key: SecretStr | None = None
    api_base: str | None = None
    api_version: str | None = None
    drop_params: bool = False
    options: Mapping[str, Any] = {}
    credentials: Mapping[str, SecretStr] = {}


@asynccontextmanager
async def open_model(declaration: Declaration) -> AsyncIterator[Model]:
    """Leaving closes the connections of all models of this backend: LiteLLM keeps them together."""
    litellm = await asyncio.to_thread(_import_quietly)
    try:
        yield LiteLLMModel(declaration, litellm)
    finally:
        await litellm.close_litellm_async_clients()
        worker = import_module("litellm.litellm_core_utils.logging_worker").GLOBAL_LOGGING_WORKER
        await worker.stop(discard_pending=True)


@cache
def _import_quietly() -> Any:
    """No prompt reaches LiteLLM's log or a callback. Its types are not strict, so it is `Any` in this file."""
    for name, value in _BEFORE_IMPORT.items():
        os.environ.setdefault(name, value)
    litellm: Any = import_module("litellm")
    litellm.suppress_debug_info = True
    litellm.turn_off_message_logging = True
    litellm.redact_messages_in_exceptions = True
    litellm.disable_streaming_logging = True
    litellm.callbacks = []
    for logger in ("LiteLLM", "openai"):
        logging.getLogger(logger).setLevel(logging.CRITICAL)
    handlers, openai = import_module("litellm.llms.custom_httpx.http_handler"), import_module("openai")
    for user in (handlers.AsyncHTTPHandler, handlers.HTTPHandler, openai.AsyncOpenAI):
        user.__init__ = _following_nobody(user.__init__)
    return litellm


def _following_nobody(init: Callable[..., None]) -> Callable[..., None]:
    """An answer of 307 would take the prompt, and the key in a header like `x-api-key`, to whatever host it names.

    LiteLLM has no setting for it.
    """

    @wraps(init)
    def initialise(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        self._client.follow_redirects = self.follow_redirects = False

    return initialise


class LiteLLMModel:
    def __init__(self, declaration: Declaration, litellm: Any) -> None:
        self._declaration = declaration
        self._litellm = litellm
        self._name = declaration.name
        keys = {"api_key": declaration.api_key} if declaration.api_key else {}
        self._credentials = {name: secret.get_secret_value() for name, secret in {**keys, **declaration.credentials}.items()}
        self._errors = (import_module("openai").OpenAIError, litellm.exceptions.BudgetExceededError)
        self._of_sending = (import_module("httpx").HTTPError, OSError)

    @property
    def context_tokens(self) -> int | None:
        return self._declaration.context_tokens

    @property
    def accepts_images(self) -> bool:
        return self._declaration.accepts_images

    def count_tokens(self, text: str) -> int:
        return estimate_tokens(text)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Chunk, None]:
        reader = ReplyReader(self._name, secrets=tuple(self._credentials.values()))
        try:
            answer = await self._litellm.acompletion(**self._arguments(request))
        except self._errors as exc:
            error = self._translated(exc)
            if self._is_before_sending(exc):
                error.retryable = error.counts = False
            raise error from exc
        try:
            said = False
            while (piece := await self._next(answer)) is not None:
                for chunk in reader.read(piece.model_dump()):
                    said = True
                    yield chunk
        finally:
            await answer.aclose()
        for chunk in reader.finish(cut_short=True):
            if isinstance(chunk, Finished) and not said and chunk.usage == Usage():  # LiteLLM ends well what never began
                raise malformed(self._name, "an empty answer")
            yield chunk

    def _arguments(self, request: ModelRequest) -> dict[str, Any]:
        declared = self._declaration
        return {
            **declared.options,
            **self._credentials,
            **request_body(request, max_tokens_parameter="max_tokens"),
            "model": declared.model,
            "api_base": declared.api_base,
            "api_version": declared.api_version,
            "drop_params": declared.drop_params,
            "stream": True,
            "stream_options": {"include_usage": True},
            "timeout": declared.timeouts.total,
            "num_retries": 0,
            "max_retries": 0,
            "extra_headers": {**declared.options.get("extra_headers", {}), **outgoing()},
        }

    async def _next(self, answer: Any) -> Any:
        try:
            return await anext(answer, None)
        except self._errors as exc:
            raise self._translated(exc) from exc

    def _is_before_sending(self, exc: Exception) -> bool:
        """LiteLLM could not write the request: no sign of the provider's health. It calls that a failed connection."""
        return isinstance(exc, self._litellm.exceptions.APIConnectionError) and not any(
            isinstance(cause, self._of_sending) or hasattr(cause, "status_code") for cause in _causes(exc)
        )

    def _translated(self, exc: Any) -> ModelError:
        """exc: LiteLLM's exceptions carry the status that the provider answered with, or the one it might have."""
        too_long = isinstance(exc, self._litellm.exceptions.ContextWindowExceededError)
        body = getattr(exc, "body", None)
        unpaid = isinstance(body, dict) and QUOTA in (body.get("code"), body.get("type"))
        message, *_ = (getattr(exc, "message", "") or str(exc)).split("Traceback (most recent call last)")
        return error_from(
            self._name,
            getattr(exc, "status_code", None) or 500,
            {"message": message, "code": "context_length_exceeded" if too_long else QUOTA if unpaid else None},
            retry_after=_retry_after(exc),
            secrets=tuple(self._credentials.values()),
        )


def _retry_after(exc: BaseException) -> float | None:
    """The provider's answer hangs on LiteLLM's exception, or on one that led to it."""
    for one in (exc, *_causes(exc)):
        headers = getattr(getattr(one, "response", None), "headers", None) or {}
        if (seconds := retry_after_seconds(headers.get("retry-after"))) is not None:
            return seconds
    return None


def _causes(exc: BaseException) -> list[BaseException]:
    chain = [exc]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) and cause not in chain:
        chain.append(cause)
    return chain[1:]
