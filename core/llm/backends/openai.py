"""Any server that speaks OpenAI's chat completions: OpenAI, vLLM, llama.cpp, Ollama and most others, over aiohttp.

Providers with a wire of their own are `litellm`'s.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any, Literal

import aiohttp
from pydantic import AfterValidator, Field, SecretStr
from yarl import URL

from core.llm.chat_reply import ReplyReader, error_from, parse_object
from core.llm.chat_request import request_body
from core.llm.contract import Chunk, Model, ModelError, ModelRequest, ModelTimedOut, ModelUnavailable
from core.llm.declaration import ModelDeclaration
from core.llm.failures import malformed, retry_after_seconds
from core.llm.sse import SseDecoder
from core.llm.tokens import estimate_tokens
from core.telemetry.tracing import outgoing

MAX_WHOLE_BYTES = 1 << 24  # of an answer that is not streamed
MAX_ERROR_BYTES = 1 << 16
END_OF_BODY_SECONDS = 0.05
OPENAI = "api.openai.com"


def _header_value(secret: SecretStr) -> SecretStr:
    """Without the line end that a secret read from a file often has."""
    value = secret.get_secret_value().strip()
    if not value:
        raise ValueError("is empty")
    if not (value.isascii() and value.isprintable()):
        raise ValueError("has characters that an HTTP header cannot carry")
    return SecretStr(value)


def _http_url(value: str) -> str:
    url = URL(value)
    if url.scheme not in ("http", "https") or not url.host or url.query_string or url.fragment:
        raise ValueError("is not an http(s) address without query and fragment")
    return value.rstrip("/")


HeaderValue = Annotated[SecretStr, AfterValidator(_header_value)]


class Declaration(ModelDeclaration):
    """model: the provider's name for it. headers: sent with every request, values secret. extra_body: added to every request.

    max_tokens_parameter: what the provider calls the limit on output; the default suits the server that `api_base` points to.
    stream_usage: ask for token counts with `stream_options`; false for servers that refuse the field. reasoning_back: send back
    what the model thought before its calls; DeepSeek's and Kimi's thinking models refuse the calls' results without.
    """

    model: Annotated[str, Field(min_length=1)]
    api_base: Annotated[str, AfterValidator(_http_url)] = "https://api.openai.com/v1"
    api_key: HeaderValue | None = None
    headers: Mapping[Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")], HeaderValue] = {}
    max_tokens_parameter: Literal["max_tokens", "max_completion_tokens"] | None = None
    stream_usage: bool = True
    reasoning_back: bool = False
    extra_body: Mapping[str, Any] = {}


@asynccontextmanager
async def open_model(declaration: Declaration) -> AsyncIterator[Model]:
    connector = aiohttp.TCPConnector(limit=0)  # how many may run at once is decided elsewhere
    timeout = aiohttp.ClientTimeout(total=None, connect=declaration.timeouts.connect)
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=timeout,
        headers=_headers(declaration),
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        yield OpenAIModel(declaration, session)


class OpenAIModel:
    def __init__(self, declaration: Declaration, session: aiohttp.ClientSession) -> None:
        self._declaration = declaration
        self._session = session
        self._name = declaration.name
        keys = [declaration.api_key] if declaration.api_key else []
        self._secrets = tuple(secret.get_secret_value() for secret in (*keys, *declaration.headers.values()))
        self._url = declaration.api_base + "/chat/completions"
        host = URL(self._url).host or ""
        self._of_openai = host == OPENAI or host.endswith(f".{OPENAI}")  # eu.api.openai.com and its like
        self._max_tokens_parameter = declaration.max_tokens_parameter or (
            "max_completion_tokens" if self._of_openai else "max_tokens"
        )

    @property
    def context_tokens(self) -> int | None:
        return self._declaration.context_tokens

    @property
    def accepts_images(self) -> bool:
        return self._declaration.accepts_images

    def count_tokens(self, text: str) -> int:
        return estimate_tokens(text)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Chunk, None]:
        response = await self._ask(request)
        try:
            answer = _Answer(self._name, response)
            if response.status != 200:
                raise self._refusal(response, await answer.whole(MAX_ERROR_BYTES))
            reader = ReplyReader(self._name, secrets=self._secrets)
            while not answer.over:
                for wire in await answer.next_objects():
                    for chunk in reader.read(wire):
                        yield chunk
            for chunk in reader.finish(cut_short=not answer.ended_properly):
                yield chunk
        finally:
            response.close()  # a connection whose answer was read whole is back in the pool by now; any other is cut

    async def _ask(self, request: ModelRequest) -> aiohttp.ClientResponse:
        body = {
            **self._declaration.extra_body,
            **request_body(
                request,
                max_tokens_parameter=self._max_tokens_parameter,
                reasoning_back=self._declaration.reasoning_back,
                of_openai=self._of_openai,
            ),
            "model": self._declaration.model,
            "stream": True,
        }
        if self._declaration.stream_usage:
            body["stream_options"] = {"include_usage": True}
        data = json.dumps(body, default=dict).encode()
        try:
            return await self._session.post(self._url, data=data, headers=outgoing(), allow_redirects=False)
        except aiohttp.ConnectionTimeoutError as exc:
            raise ModelTimedOut(f"the provider of model {self._name!r} could not be reached in time", retryable=True) from exc
        except (aiohttp.ClientError, OSError) as exc:
            raise _broken(self._name, exc) from exc

    def _refusal(self, response: aiohttp.ClientResponse, body: bytes) -> ModelError:
        retry_after = retry_after_seconds(response.headers.get("Retry-After"))
        try:
            wire = parse_object(self._name, body)
        except ModelUnavailable:
            wire = {"message": body.decode("utf-8", "replace")}
        return error_from(self._name, response.status, wire, retry_after=retry_after, secrets=self._secrets)


class _Answer:
    """What came back for one request: a stream of events or, where the server ignored `stream`, one object."""

    def __init__(self, name: str, response: aiohttp.ClientResponse) -> None:
        self._name = name
        self._response = response
        self._streamed = not response.headers.get("Content-Type", "").lower().startswith("application/json")
        self._decoder = SseDecoder()
        self._begun = False
        self.over = False
        self.ended_properly = False  # else only a finish reason tells a whole answer from one that was cut

    async def next_objects(self) -> list[dict[str, Any]]:
        received = await self._read()
        if not self._begun:
            self._begun = bool(received.strip())
            self._streamed = self._streamed and not received.lstrip().startswith(b"{")  # no event begins so, whatever its type
        if not self._streamed:
            self.over = self.ended_properly = True
            return [parse_object(self._name, received + await self.whole(MAX_WHOLE_BYTES))]
        self.over = not received
        try:
            events = self._decoder.feed(received) if received else self._decoder.close()
        except ValueError as exc:
            raise malformed(self._name, str(exc)) from exc
        events = [event.strip() for event in events]
        if b"[DONE]" in events:
            del events[events.index(b"[DONE]") :]  # some say it twice, or go on behind it
            self.over = self.ended_properly = True
            await self._reach_end()
        return [parse_object(self._name, event) for event in events if event]

    async def whole(self, max_bytes: int) -> bytes:
        """Up to max_bytes of it."""
        body = bytearray()
        while len(body) < max_bytes and (received := await self._read()):
            body += received
        return bytes(body[:max_bytes])

    async def _read(self) -> bytes:
        """Empty at the end."""
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as exc:
            raise _broken(self._name, exc) from exc

    async def _reach_end(self) -> None:
        """The body's last bytes are on their way behind [DONE]; once read, the connection can serve the next request."""
        with suppress(TimeoutError, ModelUnavailable):
            async with asyncio.timeout(END_OF_BODY_SECONDS):
                while await self._read():
                    pass


def _headers(declaration: Declaration) -> dict[str, str]:
    headers = {"Content-Type": "application/json", "Accept": "text/event-stream", "Accept-Encoding": "identity"}
    if declaration.api_key is not None:
        headers["Authorization"] = f"Bearer {declaration.api_key.get_secret_value()}"
    return headers | {name: value.get_secret_value() for name, value in declaration.headers.items()}


def _broken(name: str, exc: Exception) -> ModelUnavailable:
    return ModelUnavailable(f"the connection to the provider of model {name!r} failed ({type(exc).__name__})", retryable=True)
