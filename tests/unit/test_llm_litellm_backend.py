import json
import logging
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from core.llm.backends.litellm import Declaration, open_model
from core.llm.contract import (
    Chunk,
    ContextExceeded,
    Finished,
    Model,
    ModelBusy,
    ModelError,
    ModelRefused,
    ModelRequest,
    ModelUnavailable,
    Sampling,
    TextChunk,
    ToolSpec,
)
from core.messages import FinishReason, Image, Reply, Text, ToolCall, ToolResult, Usage, UserMessage
from tests.doubles.raw_peer import Answer, End, RawPeer, delta, ending, raw_peer, sse

# LiteLLM's own use of pydantic, not ours.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Accessing the 'model_:pydantic.PydanticDeprecatedSince211"),
    pytest.mark.filterwarnings("ignore:Items? .* using the `ReadOnly` qualifier:UserWarning"),
]

KEY = "sk-very-secret"
PROMPT = "a word that is nowhere else"
HELLO = ModelRequest(messages=[UserMessage(parts=(Text(text=PROMPT),))])
GOOD = sse(delta(content="Hi"), ending(), {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}})
FINISHED = Finished(reason=FinishReason.STOP, usage=Usage(input=3, output=2))


@asynccontextmanager
async def opened(*answers: Answer, **fields: Any) -> AsyncIterator[tuple[Model, RawPeer]]:
    async with raw_peer(*answers) as peer:
        entry = {"name": "m", "backend": "litellm", "model": "openai/m", "api_key": KEY, "api_base": peer.address, **fields}
        async with open_model(Declaration.model_validate(entry)) as model:
            yield model, peer


def test_where_it_is_not_installed_it_is_told_what_brings_it_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "litellm", None)
    with pytest.raises(ValidationError, match=r"uv sync .*--extra litellm") as refused:
        Declaration.model_validate({"name": "m", "backend": "litellm", "model": "openai/m"})
    assert "pip install" not in str(refused.value)


async def whole(model: Model, request: ModelRequest = HELLO) -> list[Chunk]:
    async with aclosing(model.stream(request)) as chunks:
        return [chunk async for chunk in chunks]


async def failure(answer: Answer, request: ModelRequest = HELLO, **fields: Any) -> ModelError:
    async with opened(answer, **fields) as (model, peer):
        with pytest.raises(ModelError) as caught:
            await whole(model, request)
        assert len(peer.received) <= 1, "asking again is not LiteLLM's business"
        return caught.value


def refusal(status: int, **error: Any) -> Answer:
    body = json.dumps({"error": {"message": f"the provider repeats {KEY}", **error}}).encode()
    return Answer(status=status, content_type="application/json", pieces=[body], headers=["Retry-After: 7"])


async def test_the_request_reaches_the_provider_whole() -> None:
    tool = ToolSpec(name="f", description="d", parameters={"type": "object"})
    request = ModelRequest(messages=HELLO.messages, tools=[tool], sampling=Sampling(max_output_tokens=5, temperature=0.0))
    async with opened(Answer(pieces=[GOOD]), options={"top_k": 4}) as (model, peer):
        assert await whole(model, request) == [TextChunk(text="Hi"), FINISHED]
    body = peer.received[0].body
    assert (body["model"], body["temperature"], body["max_tokens"], body["top_k"]) == ("m", 0.0, 5, 4)
    assert body["tools"][0]["function"]["name"] == "f"
    assert f"Authorization: Bearer {KEY}".lower() in peer.received[0].head.lower()


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, ModelRefused, False),
        (401, ModelUnavailable, False),
        (403, ModelUnavailable, False),
        (404, ModelRefused, False),
        (422, ModelRefused, False),
        (429, ModelBusy, True),
        (500, ModelUnavailable, True),
        (503, ModelUnavailable, True),
    ],
)
async def test_each_status_has_its_meaning_and_our_key_is_in_no_message(
    status: int, kind: type[ModelError], retryable: bool
) -> None:
    error = await failure(refusal(status))
    assert (type(error), error.retryable) == (kind, retryable)
    assert KEY not in error.message
    assert error.retry_after == (7 if retryable else None)


@pytest.mark.parametrize("model", ["openai/m", "anthropic/claude-x"])
async def test_a_provider_that_is_asked_too_often_is_well_and_says_when_to_come_again(model: str) -> None:
    error = await failure(refusal(429), model=model)
    assert (type(error), error.counts, error.retry_after) == (ModelBusy, False, 7)


async def test_an_exhausted_quota_is_not_asked_again() -> None:
    error = await failure(refusal(429, code="insufficient_quota"))
    assert (type(error), error.retryable, error.counts) == (ModelUnavailable, False, False)


async def test_messages_that_do_not_fit_are_told_apart() -> None:
    answer = refusal(400, message="This model's maximum context length is 10 tokens", code="context_length_exceeded")
    assert isinstance(await failure(answer), ContextExceeded)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(pieces=[b"<html>not a model at all</html>"]),
        Answer(),
        Answer(pieces=[b"data: {nonsense\n\n"]),
        Answer(pieces=[sse(delta(content="a"), done=False)]),
        Answer(pieces=[sse(delta(content="a"), done=False)], end=End.CUT),
        Answer(pieces=[sse(delta(content="a"), {"error": {"message": f"gone {KEY}", "code": 503}})]),
    ],
    ids=["a web page", "empty", "no JSON", "ends early", "cut", "error in the stream"],
)
async def test_what_is_no_whole_answer_is_unavailable(answer: Answer) -> None:
    error = await failure(answer)
    assert isinstance(error, ModelUnavailable)
    assert error.retryable
    assert KEY not in error.message


async def test_a_provider_that_does_not_exist_is_refused() -> None:
    assert isinstance(await failure(Answer(), model="nosuchprovider/m"), ModelRefused)


async def test_a_failure_inside_litellm_shows_no_traceback() -> None:
    error = await failure(Answer(pieces=[GOOD]), model="bedrock/anthropic.claude-x")
    assert "Traceback" not in error.message
    assert "site-packages" not in error.message


async def test_a_parameter_that_the_provider_does_not_know_is_refused_by_name_unless_it_may_be_dropped() -> None:
    request = ModelRequest(messages=HELLO.messages, sampling=Sampling(seed=3))
    refused = await failure(Answer(), request, model="anthropic/claude-x")
    assert isinstance(refused, ModelRefused)
    assert "seed" in refused.message
    sent = await failure(refusal(500), request, model="anthropic/claude-x", drop_params=True)
    assert isinstance(sent, ModelUnavailable)


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("anthropic/claude-x", {}),
        ("gemini/gemini-2.0-flash", {}),
        ("mistral/m", {}),
        ("ollama_chat/m", {}),
        ("bedrock/converse/m", {"credentials": {"aws_access_key_id": KEY, "aws_secret_access_key": KEY}}),
        ("openai/m", {}),
        ("azure/m", {"api_version": "2024-06-01"}),
    ],
)
async def test_a_redirect_takes_neither_prompt_nor_key_elsewhere(model: str, fields: dict[str, Any]) -> None:
    region = {"aws_region_name": "us-east-1"} if model.startswith("bedrock/") else {}
    async with raw_peer(Answer(pieces=[GOOD])) as elsewhere:
        location = elsewhere.address.replace("127.0.0.1", "localhost")
        redirect = Answer(status=307, headers=[f"Location: {location}"])
        async with opened(redirect, model=model, options=region, **fields) as (redirected, peer):
            with pytest.raises(ModelUnavailable):
                await whole(redirected)
        assert (len(peer.received), elsewhere.connections) == (1, 0)


async def test_a_request_that_litellm_cannot_write_says_nothing_of_the_providers_health() -> None:
    request = ModelRequest(messages=[UserMessage(parts=(Image(url="data:nonsense"),))])
    unwritten = await failure(Answer(), request, model="gemini/gemini-2.0-flash")
    assert (unwritten.counts, unwritten.retryable) == (False, False)
    cut = await failure(Answer(end=End.CUT), model="gemini/gemini-2.0-flash")
    assert (cut.counts, cut.retryable) == (True, True)


@pytest.mark.parametrize("model", ["anthropic/claude-x", "gemini/gemini-2.0-flash"])
@pytest.mark.parametrize("arguments", ['{"x":', "[1]", "[" * 100_000, '{"x": 1e999}', '{"x": "\\ud800"}', ""])
async def test_a_past_call_that_is_no_proper_one_is_sent_all_the_same(model: str, arguments: str) -> None:
    reply = Reply(tool_calls=(ToolCall(id="a", name="functions.python", arguments=arguments),))
    request = ModelRequest(messages=[*HELLO.messages, reply, ToolResult(call_id="a", content="it is not proper")])
    async with opened(refusal(400), model=model) as (opened_model, peer):
        with pytest.raises(ModelRefused):
            await whole(opened_model, request)
    assert '"functions_python"' in json.dumps(peer.received[0].body)


async def test_neither_prompt_nor_key_is_logged_or_printed(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    async with opened(Answer(pieces=[GOOD]), refusal(400), Answer(pieces=[b"data: {nonsense\n\n"])) as (model, _):
        await whole(model)
        for _attempt in range(2):
            with pytest.raises(ModelError):
                await whole(model)
    printed = "".join(capfd.readouterr()) + "".join(record.getMessage() for record in caplog.records)
    assert PROMPT not in printed
    assert KEY not in printed


def test_secrets_are_in_no_representation_and_no_error() -> None:
    entry = {"name": "m", "backend": "litellm", "model": "bedrock/m", "credentials": {"aws_secret_access_key": KEY}}
    assert KEY not in repr(Declaration.model_validate(entry))
    with pytest.raises(ValidationError) as caught:
        Declaration.model_validate({**entry, "api_key": [KEY], "tpyo": KEY})
    assert {error["loc"] for error in caught.value.errors()} == {("api_key",), ("tpyo",)}
    assert KEY not in str(caught.value)


def test_importing_it_with_our_settings_reads_no_env_file_and_asks_no_network(tmp_path: Path) -> None:
    """In a process of its own, where every connection fails loudly."""
    (tmp_path / ".env").write_text("PADDOCK_TEST_SENTINEL=1\n")
    program = """
import asyncio, os, socket, sys
def refuse(*_): raise AssertionError("LiteLLM asked the network")
socket.socket.connect = socket.getaddrinfo = refuse
from core.llm.backends.litellm import Declaration, open_model
async def main():
    async with open_model(Declaration(name="m", backend="litellm", model="openai/m")):
        assert "PADDOCK_TEST_SENTINEL" not in os.environ
asyncio.run(main())
"""
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path, env={"PYTHONPATH": str(root), "PATH": "/usr/bin"})
