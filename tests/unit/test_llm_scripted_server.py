import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest

from core.errors import ConfigurationError
from core.llm.scripted_server import open_server, serve

SCRIPT = """
rules:
  - {when: {contains: weather}, reply: {reasoning: hm, text: Looking., tool_calls: [{name: f, arguments: {x: 1}}, {name: g}]}}
  - {when: {after_tool: f}, reply: "It is {last_tool_result}."}
  - {when: {contains: forbidden}, reply: {refusal: "I cannot."}, piece_characters: 3}
  - {when: {contains: error}, reply: {error: {status: 429, message: slow down, code: busy, retry_after: 3}}}
  - {when: {contains: late}, reply: [{text: half}, {error: {status: 503, message: gone}}]}
  - {when: {contains: vanish}, reply: [{text: half}, {disconnect: true}]}
  - {when: {contains: never}, reply: {disconnect: true}}
  - {when: {contains: for ever}, reply: [{text: "a"}, {pause_seconds: 3600, text: "b"}]}
  - {reply: "Hello % 100%, {last_user_text} ü😀", piece_characters: 4, pace_seconds: 0.001, usage: {input: 3, output: 4}}
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    file = tmp_path / "script.yaml"
    file.write_text(SCRIPT)
    return file


@asynccontextmanager
async def served(script: Path) -> AsyncIterator[str]:
    """As the command serves it: a task that is cancelled in the end."""
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(script, "127.0.0.1", 0, ready=address.set_result))
    try:
        await asyncio.wait([task, address], return_when=asyncio.FIRST_COMPLETED)
        yield address.result()
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.fixture
async def client(script: Path) -> AsyncIterator[openai.AsyncOpenAI]:
    async with served(script) as address, openai.AsyncOpenAI(base_url=address, api_key="any", max_retries=0) as sdk:
        yield sdk


def said(*texts: str) -> Any:
    return [{"role": "user", "content": text} for text in texts]


async def test_the_sdk_reads_a_whole_answer(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="any%s", messages=said("you"))
    assert answer.choices[0].message.content == "Hello % 100%, you ü😀"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "any%s"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (3, 4, 7)


async def test_the_sdk_reads_a_stream_with_usage_where_it_asked_for_it(client: openai.AsyncOpenAI) -> None:
    options: Any = {"include_usage": True}
    stream = await client.chat.completions.create(model="m", messages=said("you"), stream=True, stream_options=options)
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == "Hello % 100%, you ü😀"
    assert [bool(chunk.usage) for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    stream = await client.chat.completions.create(model="m", messages=said("you"), stream=True)
    assert [chunk.usage async for chunk in stream if chunk.usage] == []


@pytest.mark.parametrize("streamed", [True, False])
async def test_the_sdk_plays_a_conversation_with_calls(client: openai.AsyncOpenAI, streamed: bool) -> None:
    async def ask(messages: Any) -> Any:
        if not streamed:
            return (await client.chat.completions.create(model="m", messages=messages)).choices[0].message
        async with client.chat.completions.stream(model="m", messages=messages) as stream:
            return (await stream.get_final_completion()).choices[0].message

    asking = await ask(said("weather"))
    assert asking.content == "Looking."
    first, second = asking.tool_calls
    assert (first.function.name, first.function.arguments) == ("f", '{"x": 1}')
    assert (second.function.name, second.function.arguments) == ("g", "{}")
    assert first.id != second.id
    result: Any = {"role": "tool", "tool_call_id": first.id, "content": [{"type": "text", "text": "42"}]}
    answer = await ask([*said("weather"), asking.to_dict(), result])
    assert answer.content == "It is 42."


@pytest.mark.parametrize("streamed", [True, False])
async def test_an_error_before_the_first_word_is_a_status(client: openai.AsyncOpenAI, streamed: bool) -> None:
    with pytest.raises(openai.RateLimitError, match="slow down") as caught:
        await client.chat.completions.create(model="m", messages=said("error"), stream=streamed)
    assert caught.value.response.headers["Retry-After"] == "3"
    assert caught.value.code == "busy"


async def test_an_error_after_the_first_word_is_an_event(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(model="m", messages=said("late"), stream=True)
    with pytest.raises(openai.APIError, match="gone"):
        await anext(chunk async for chunk in stream if not chunk.choices)


@pytest.mark.parametrize(("word", "streamed"), [("vanish", True), ("vanish", False), ("never", True), ("never", False)])
async def test_a_disconnect_is_one(script: Path, word: str, streamed: bool) -> None:
    async with served(script) as address, aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            async with session.post(
                f"{address}/chat/completions", json={"messages": said(word), "stream": streamed}
            ) as response:
                await response.read()


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"{}", b'{"messages": 7}', b'{"messages": [7]}', b'{"messages": [{}]}', b"\xff"]
    + [json.dumps({"messages": [message]}).encode() for message in (
        {"role": "user"},
        {"role": "user", "content": 7},
        {"role": "user", "content": [7]},
        {"role": "user", "content": [{"text": 7}]},
        {"role": "assistant", "tool_calls": [{}]},
        {"role": "assistant", "tool_calls": 7},
        {"role": "tool", "content": "a"},
        {"role": "tool", "content": "a", "tool_call_id": []},
    )],
)  # fmt: skip
async def test_nonsense_is_refused_with_an_error_object(script: Path, body: bytes) -> None:
    async with served(script) as address, aiohttp.ClientSession() as session:
        response = await session.post(f"{address}/chat/completions", data=body)
        assert response.status == 400
        assert "message" in (await response.json())["error"]


async def test_models_are_listed_and_other_paths_are_not_found(client: openai.AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == ["scripted"]
    with pytest.raises(openai.NotFoundError):
        await client.embeddings.create(model="m", input="a")


async def test_a_long_request_is_read(client: openai.AsyncOpenAI) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 3_000_000}}
    messages: Any = [{"role": "user", "content": [image, {"type": "text", "text": "you"}]}]
    answer = await client.chat.completions.create(model="m", messages=messages)
    assert answer.choices[0].message.content == "Hello % 100%, you ü😀"


async def test_stopping_cuts_the_streams_that_are_still_open(script: Path) -> None:
    async with aiohttp.ClientSession() as session:
        async with served(script) as address:
            response = await session.post(f"{address}/chat/completions", json={"messages": said("for ever"), "stream": True})
            await response.content.readline()
        with pytest.raises(aiohttp.ClientError):
            await response.read()
        response.close()


async def test_a_taken_port_and_a_broken_script_are_errors(script: Path) -> None:
    async with open_server([]) as address:
        port = int(address.split(":")[2].split("/")[0])
        with pytest.raises(OSError, match="address already in use"):
            await serve(script, "127.0.0.1", port)
    script.write_text("rules: 7")
    with pytest.raises(ConfigurationError):
        await serve(script, "127.0.0.1", 0)


async def test_it_can_be_served_over_ipv6() -> None:
    async with open_server([], host="::1") as address, aiohttp.ClientSession() as session:
        assert address.startswith("http://[::1]:")
        async with session.get(f"{address}/models") as response:
            assert response.status == 200


async def test_a_refusal_has_a_field_of_its_own(client: openai.AsyncOpenAI) -> None:
    whole = await client.chat.completions.create(model="any", messages=said("forbidden"))
    assert (whole.choices[0].message.content, whole.choices[0].message.refusal) == (None, "I cannot.")
    pieces = await client.chat.completions.create(model="any", messages=said("forbidden"), stream=True)
    assert "".join([piece.choices[0].delta.refusal or "" async for piece in pieces if piece.choices]) == "I cannot."
