import asyncio
import json
import random
import socket
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from pydantic import ValidationError

from core.llm.backends.openai import Declaration, open_model
from core.llm.contract import (
    Chunk,
    ContextExceeded,
    Finished,
    Model,
    ModelBusy,
    ModelError,
    ModelRefused,
    ModelRequest,
    ModelTimedOut,
    ModelUnavailable,
    Sampling,
    TextChunk,
)
from core.llm.failures import LONGEST_WAIT_SECONDS
from core.messages import FinishReason, Reply, Text, ToolCall, Usage, UserMessage
from tests.doubles.raw_peer import Answer, End, RawPeer, delta, ending, raw_peer, sse

KEY = "sk-very-secret"
HELLO = ModelRequest(messages=[UserMessage(parts=(Text(text="Hello"),))])
COUNTED = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
GOOD = sse(delta(role="assistant", content=""), delta(content="Hel"), delta(content="lo ü😀"), ending(), COUNTED)
GOOD_CHUNKS = [
    TextChunk(text="Hel"),
    TextChunk(text="lo ü😀"),
    Finished(reason=FinishReason.STOP, usage=Usage(input=3, output=2)),
]


def declared(**fields: Any) -> Declaration:
    return Declaration.model_validate({"name": "m", "backend": "openai", "model": "upstream-m", "api_key": KEY, **fields})


@asynccontextmanager
async def opened(*answers: Answer, **fields: Any) -> AsyncIterator[tuple[Model, RawPeer]]:
    async with raw_peer(*answers) as peer, open_model(declared(api_base=peer.address, **fields)) as model:
        yield model, peer


async def whole(model: Model, request: ModelRequest = HELLO) -> list[Chunk]:
    async with aclosing(model.stream(request)) as chunks:
        return [chunk async for chunk in chunks]


async def failure(answer: Answer) -> ModelError:
    async with opened(answer) as (model, _):
        with pytest.raises(ModelError) as caught:
            await whole(model)
        return caught.value


def refusal(status: int, error: Any = None, **fields: Any) -> Answer:
    body = json.dumps({"error": error or {"message": "told by the provider"}}).encode()
    return Answer(status=status, content_type="application/json", pieces=[body], **fields)


@pytest.mark.parametrize("seed", range(20))
async def test_a_stream_reads_the_same_wherever_its_bytes_are_split(seed: int) -> None:
    chance = random.Random(seed)
    cuts = sorted(chance.sample(range(1, len(GOOD)), chance.randint(1, 30)))
    pieces = [GOOD[start:end] for start, end in zip([0, *cuts], [*cuts, len(GOOD)], strict=True)]
    async with opened(Answer(pieces=pieces)) as (model, _):
        assert await whole(model) == GOOD_CHUNKS


@pytest.mark.parametrize("asked", [True, False])
async def test_reasoning_goes_back_with_its_calls_where_the_provider_wants_it(asked: bool) -> None:
    call = (ToolCall(id="a", name="f", arguments="{}"),)
    replies = [Reply(reasoning="hm", tool_calls=call), Reply(tool_calls=call), Reply(text="Yes", reasoning="so")]
    async with opened(Answer(pieces=[GOOD]), reasoning_back=asked) as (model, peer):
        await whole(model, ModelRequest(messages=[*HELLO.messages, *replies]))
    told = [message.get("reasoning_content") for message in peer.received[0].body["messages"]]
    assert told == ([None, "hm", " ", None] if asked else [None] * 4)


async def test_the_request_is_what_the_provider_expects() -> None:
    async with opened(Answer(pieces=[GOOD]), headers={"X-Team": "blue"}, extra_body={"top_k": 4, "model": "x"}) as (
        model,
        peer,
    ):
        await whole(model, ModelRequest(messages=HELLO.messages, sampling=Sampling(max_output_tokens=5)))
    head, body = peer.received[0].head, peer.received[0].body
    assert head.startswith("POST /v1/chat/completions HTTP/1.1\r\n")
    assert f"Authorization: Bearer {KEY}\r\n" in head
    assert "X-Team: blue\r\n" in head
    assert body == {
        "model": "upstream-m",
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 5,
        "top_k": 4,
    }


async def test_the_wire_can_be_bent_for_other_servers() -> None:
    options = {"api_key": None, "stream_usage": False, "max_tokens_parameter": "max_completion_tokens"}
    async with opened(Answer(pieces=[GOOD]), **options) as (model, peer):
        await whole(model, ModelRequest(messages=HELLO.messages, sampling=Sampling(max_output_tokens=5)))
    assert "Authorization" not in peer.received[0].head
    assert peer.received[0].body.keys() == {"model", "messages", "stream", "max_completion_tokens"}


@pytest.mark.parametrize("told", ["application/json; charset=utf-8", "Application/JSON", "text/plain", "text/event-stream"])
async def test_a_provider_that_ignores_stream_works_too(told: str) -> None:
    answer = {"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 3}}
    pieces = [b"\n", b'\n {"id":', b"1," + json.dumps(answer).encode()[1:]]
    async with opened(Answer(pieces=pieces, content_type=told)) as (model, _):
        assert await whole(model) == [
            TextChunk(text="Hello"),
            Finished(reason=FinishReason.STOP, usage=Usage(input=3)),
        ]


async def test_an_end_without_done_is_an_end() -> None:
    async with opened(Answer(pieces=[sse(delta(content="a"), ending("length"), done=False)])) as (model, _):
        assert (await whole(model))[-1] == Finished(reason=FinishReason.LENGTH, usage=Usage())


@pytest.mark.parametrize("more", [b"data: [DONE]\n\n", b'data: {"cost": 1}\n\n', b"data: nonsense\n\n"])
async def test_what_comes_behind_the_end_is_not_read(more: bytes) -> None:
    async with opened(Answer(pieces=[GOOD + more])) as (model, _):
        assert await whole(model) == GOOD_CHUNKS


async def test_a_whole_answer_that_says_nothing_is_unavailable() -> None:
    async with opened(Answer(pieces=[b'{"choices": null}'], content_type="application/json")) as (model, _):
        with pytest.raises(ModelUnavailable):
            await whole(model)


@pytest.mark.parametrize("done", [b"data: [DONE]\n\n", b"data:[DONE]\n\n", b"data: [DONE] \n\n", b"data:  [DONE]\t\n\n"])
async def test_done_without_a_reason_is_an_end(done: bytes) -> None:
    async with opened(Answer(pieces=[sse(delta(content="a"), done=False) + done])) as (model, _):
        assert (await whole(model))[-1] == Finished(reason=FinishReason.STOP, usage=Usage())


async def test_a_provider_that_leaves_the_connection_open_after_done_is_not_waited_for() -> None:
    async with opened(Answer(pieces=[GOOD], end=End.HANG)) as (model, peer):
        assert await whole(model) == GOOD_CHUNKS
        await peer.left_alone()


async def test_requests_one_after_another_share_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.llm.backends.openai.END_OF_BODY_SECONDS", 60.0)  # the end comes, if the machine stands still too
    async with opened(Answer(pieces=[GOOD])) as (model, peer):
        for _ in range(5):
            await whole(model)
        assert peer.connections == 1


@pytest.mark.parametrize(
    ("pieces", "end"),
    [
        ([sse(delta(content="a"), done=False)], End.COMPLETE),
        ([sse(delta(content="a"), done=False)], End.CUT),
        ([], End.COMPLETE),
        ([b"data: {nonsense\n\n"], End.HANG),
        ([b"data: []\n\n"], End.HANG),
        ([b"<html>not a model at all</html>"], End.COMPLETE),
        ([b"data: " + b"x" * 5_000_000], End.HANG),
    ],
    ids=["ends early", "cut", "empty", "no JSON", "no object", "a web page", "an endless line"],
)
async def test_what_is_no_whole_answer_is_unavailable(pieces: list[bytes], end: End) -> None:
    error = await failure(Answer(pieces=pieces, end=end))
    assert isinstance(error, ModelUnavailable)
    assert error.retryable
    assert error.counts


@pytest.mark.parametrize(
    ("status", "kind", "retryable", "counts"),
    [
        (400, ModelRefused, False, False),
        (404, ModelRefused, False, False),
        (413, ModelRefused, False, False),
        (422, ModelRefused, False, False),
        (401, ModelUnavailable, False, False),
        (403, ModelUnavailable, False, False),
        (402, ModelUnavailable, False, False),
        (408, ModelUnavailable, True, True),
        (409, ModelUnavailable, True, True),
        (429, ModelBusy, True, False),
        (500, ModelUnavailable, True, True),
        (503, ModelUnavailable, True, True),
        (529, ModelUnavailable, True, True),
        (302, ModelUnavailable, False, True),
    ],
)
async def test_each_status_has_its_meaning(status: int, kind: type[ModelError], retryable: bool, counts: bool) -> None:
    error = await failure(refusal(status))
    assert type(error) is kind
    assert (error.retryable, error.counts) == (retryable, counts)
    assert str(status) in error.message


@pytest.mark.parametrize(
    "error",
    [
        {"message": "no", "code": "context_length_exceeded"},
        {"message": "This model's maximum context length is 8192 tokens. However, ..."},
        {"message": "the request exceeds the available context size, try increasing it"},
        {"message": "prompt is too long: 210000 tokens > 200000 maximum"},
        {"message": "Input is too long for requested model."},
    ],
)
async def test_messages_that_do_not_fit_are_told_apart(error: dict[str, str]) -> None:
    assert isinstance(await failure(refusal(400, error)), ContextExceeded)


async def test_an_exhausted_quota_is_not_asked_again() -> None:
    for told in ({"code": "insufficient_quota"}, {"code": None, "type": "insufficient_quota"}):
        error = await failure(refusal(429, {"message": "You exceeded your current quota", **told}))
        assert (type(error), error.retryable, error.counts) == (ModelUnavailable, False, False)


async def test_the_wait_the_provider_asks_for_is_passed_on() -> None:
    assert (await failure(refusal(429, headers=["Retry-After: 7"]))).retry_after == 7
    assert (await failure(refusal(429, headers=["Retry-After: soon"]))).retry_after is None
    assert (await failure(refusal(429, headers=["Retry-After: -1"]))).retry_after == 0
    assert (await failure(refusal(429, headers=["Retry-After: inf"]))).retry_after is None
    assert (await failure(refusal(429, headers=["Retry-After: 1e300"]))).retry_after == LONGEST_WAIT_SECONDS
    assert (await failure(refusal(429, headers=[f"Retry-After: Mon, 1 Jan {'9' * 20} 00:00:00 GMT"]))).retry_after is None
    assert (await failure(refusal(429, headers=["Retry-After: Mon, 21 Nov 2005 01:00:00 GMT"]))).retry_after == 0


@pytest.mark.parametrize("status", [400, 401, 403, 429, 500])
async def test_our_key_is_in_no_message(status: int) -> None:
    error = await failure(refusal(status, {"message": f"Incorrect API key provided: {KEY}. {'x' * 450} {KEY}"}))
    assert KEY not in error.message
    assert KEY not in repr(error.__cause__)


async def test_our_key_is_in_no_message_from_inside_a_stream() -> None:
    error = await failure(Answer(pieces=[sse({"error": {"message": f"bad key {KEY}", "code": 500}})]))
    assert KEY not in error.message


async def test_refused_credentials_are_told_without_the_providers_words() -> None:
    error = await failure(refusal(401))
    assert "told by the provider" not in error.message
    assert "api_key" in error.message


async def test_a_providers_long_story_is_capped() -> None:
    error = await failure(Answer(status=400, content_type="text/html", pieces=[b"<p>" * 60_000]))
    assert len(error.message) < 700


async def test_nobody_listening_is_unavailable_and_worth_another_try() -> None:
    async with raw_peer(Answer()) as peer:
        address = peer.address
    async with open_model(declared(api_base=address)) as model:
        with pytest.raises(ModelUnavailable) as caught:
            await whole(model)
    assert caught.value.retryable
    assert "127.0.0.1" not in caught.value.message


async def test_a_host_that_does_not_exist_is_unavailable() -> None:
    async with open_model(declared(api_base="http://nowhere.invalid/v1")) as model:
        with pytest.raises(ModelUnavailable):
            await whole(model)


async def test_a_connection_that_takes_too_long_is_given_up() -> None:
    """A listener whose queue is full answers no further connection."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.socket() as first, socket.socket() as second:
        for client in (first, second):
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        address = f"http://127.0.0.1:{full.getsockname()[1]}"
        async with open_model(declared(api_base=address, timeouts={"connect": 0.05})) as model:
            with pytest.raises(ModelTimedOut):
                await whole(model)


async def test_closing_early_cuts_the_connection() -> None:
    async with opened(Answer(pieces=[sse(delta(content="a"), done=False)], end=End.HANG)) as (model, peer):
        chunks = model.stream(HELLO)
        assert await anext(chunks) == TextChunk(text="a")
        await chunks.aclose()
        await peer.left_alone()


async def test_cancelling_who_waits_cuts_the_connection() -> None:
    async with opened(Answer(end=End.HANG)) as (model, peer):
        task = asyncio.create_task(whole(model))
        while not peer.received:
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await peer.left_alone()


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"api_kye": KEY}, ("api_kye",)),
        ({"api_key": " \n"}, ("api_key",)),
        ({"api_key": "two\nlines"}, ("api_key",)),
        ({"api_key": 7}, ("api_key",)),
        ({"api_base": "ftp://x"}, ("api_base",)),
        ({"api_base": "http://"}, ("api_base",)),
        ({"api_base": "http://[::1"}, ("api_base",)),
        ({"api_base": "http://x/v1?key=1"}, ("api_base",)),
        ({"model": ""}, ("model",)),
        ({"headers": {"X-Team": ""}}, ("headers", "X-Team")),
        ({"timeouts": {"conect": KEY}}, ("timeouts", "conect")),
        ({"timeouts": {"connect": 0}}, ("timeouts", "connect")),
        ({"retries": {"attempts": 0}}, ("retries", "attempts")),
        ({"prices": {"input": -1}}, ("prices", "input")),
    ],
)
def test_a_mistake_in_the_declaration_is_told_with_its_place_and_without_its_value(fields: Any, place: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError) as caught:
        declared(**fields)
    assert [error["loc"] for error in caught.value.errors()] == [place]
    assert KEY not in str(caught.value)


def test_secrets_are_in_no_representation() -> None:
    declaration = declared(api_key=f"{KEY}\n", headers={"X-Other": "hidden"})
    assert KEY not in repr(declaration)
    assert "hidden" not in repr(declaration)
    assert declaration.api_key is not None
    assert declaration.api_key.get_secret_value() == KEY
