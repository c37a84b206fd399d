"""What every backend promises. A new file in core/llm/backends has to pass this; `model_peers.py` says how it is reached."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from pathlib import Path

import pytest
from pydantic import ValidationError

from core.llm import backends
from core.llm.contract import CallChunk, Chunk, Finished, Model, ModelRequest, ModelUnavailable, TextChunk, ToolSpec
from core.llm.declaration import ModelDeclaration, validate_model
from core.messages import FinishReason, Reply, SystemMessage, Text, ToolCall, ToolResult, UserMessage
from tests.contract.model_peers import PEERS, Peer, Scenario

# LiteLLM's own use of pydantic, not ours.
pytestmark = pytest.mark.filterwarnings("ignore:Accessing the 'model_:pydantic.PydanticDeprecatedSince211")

TOOLS = [
    ToolSpec(name=name, description="d", parameters={"type": "object", "properties": {argument: {"type": "integer"}}})
    for name, argument in (("f", "x"), ("g", "y"))
]
GO = ModelRequest(messages=[UserMessage(parts=(Text(text="go"),))])
GO_WITH_TOOLS = ModelRequest(messages=GO.messages, tools=TOOLS)

Opened = Callable[[Scenario], AbstractAsyncContextManager[tuple[Model, Peer]]]


@pytest.fixture(params=backends.available())
def backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    assert name in PEERS, f"tests/contract/model_peers.py does not say how to reach {name!r}"
    return name


@pytest.fixture
def opened(backend: str, tmp_path: Path) -> Opened:
    @asynccontextmanager
    async def open_model(scenario: Scenario) -> AsyncIterator[tuple[Model, Peer]]:
        async with PEERS[backend](scenario, tmp_path) as peer:
            declaration = validate_model({"name": "tested", "backend": backend, **peer.entry})
            async with backends.load(backend).open_model(declaration) as model:
                yield model, peer

    return open_model


async def whole(model: Model, request: ModelRequest = GO) -> list[Chunk]:
    async with aclosing(model.stream(request)) as chunks:
        return [chunk async for chunk in chunks]


async def begun(model: Model) -> str:
    """The first words of a reply that is then given up."""
    async with aclosing(model.stream(GO)) as chunks:
        async for chunk in chunks:
            if isinstance(chunk, TextChunk) and chunk.text:
                return chunk.text
    raise AssertionError("it said nothing")


def text_of(chunks: list[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks if isinstance(chunk, TextChunk))


def calls_of(chunks: list[Chunk]) -> list[ToolCall]:
    calls: list[ToolCall] = []
    for chunk in chunks:
        match chunk:
            case CallChunk(index=index, id=call_id, name=name, arguments=arguments) if index == len(calls):
                calls.append(ToolCall(id=call_id, name=name, arguments=arguments))
            case CallChunk(index=index, arguments=arguments):
                assert index == len(calls) - 1, "calls interleave"
                calls[-1] = ToolCall(id=calls[-1].id, name=calls[-1].name, arguments=calls[-1].arguments + arguments)
            case _:
                pass
    return calls


async def test_text_comes_in_pieces_and_ends_once_with_its_usage(opened: Opened) -> None:
    async with opened(Scenario.TEXT) as (model, _):
        chunks = await whole(model)
    *said, last = chunks
    assert text_of(chunks) == "Hello world"
    assert len(said) > 1
    assert not any(isinstance(chunk, Finished) for chunk in said)
    assert isinstance(last, Finished)
    assert last.reason is FinishReason.STOP
    assert last.usage.input > 0
    assert last.usage.output > 0


async def test_a_call_has_id_name_and_arguments(opened: Opened) -> None:
    async with opened(Scenario.CALL) as (model, _):
        chunks = await whole(model, GO_WITH_TOOLS)
    (call,) = calls_of(chunks)
    assert call.id
    assert (call.name, json.loads(call.arguments)) == ("f", {"x": 1})
    assert isinstance(last := chunks[-1], Finished)
    assert last.reason is FinishReason.TOOL_CALLS


async def test_several_calls_come_one_after_another_with_ids_of_their_own(opened: Opened) -> None:
    async with opened(Scenario.CALLS) as (model, _):
        calls = calls_of(await whole(model, GO_WITH_TOOLS))
    assert [(call.name, json.loads(call.arguments)) for call in calls] == [("f", {"x": 1}), ("g", {"y": 2})]
    assert len({call.id for call in calls} - {""}) == 2


async def test_every_kind_of_message_is_understood(opened: Opened) -> None:
    messages = [
        SystemMessage(text="Be brief."),
        UserMessage(parts=(Text(text="What is"), Text(text=" it?"))),
        Reply(text="Let me see.", reasoning="hm", tool_calls=(ToolCall(id="a", name="f", arguments='{"x": 1}'),)),
        ToolResult(call_id="a", content="42"),
        Reply(tool_calls=(ToolCall(id="b", name="f", arguments="{malformed"), ToolCall(id="c", name="g", arguments="{}"))),
        ToolResult(call_id="b", content="what?", failed=True),
        ToolResult(call_id="c", content=""),
        Reply(),
        UserMessage(parts=(Text(text="go"),)),
    ]
    async with opened(Scenario.TEXT) as (model, _):
        assert text_of(await whole(model, ModelRequest(messages=messages, tools=TOOLS))) == "Hello world"


async def test_requests_that_come_together_are_all_answered(opened: Opened) -> None:
    async with opened(Scenario.TEXT) as (model, _):
        answers = await asyncio.gather(*(whole(model) for _ in range(6)))
    assert [text_of(chunks) for chunks in answers] == ["Hello world"] * 6


async def test_closing_early_frees_what_was_held(opened: Opened) -> None:
    async with opened(Scenario.ENDLESS) as (model, peer):
        assert await begun(model)
        await peer.left_alone()
        assert await begun(model)


async def test_cancelling_who_waits_frees_what_was_held(opened: Opened) -> None:
    async with opened(Scenario.ENDLESS) as (model, peer):
        begins = asyncio.Event()

        async def listen() -> None:
            async with aclosing(model.stream(GO)) as chunks:
                async for _ in chunks:
                    begins.set()

        listening = asyncio.create_task(listen())
        await begins.wait()
        listening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listening
        await peer.left_alone()
        assert await begun(model)


async def test_nobody_there_is_found_out_by_asking_and_not_by_opening(opened: Opened) -> None:
    async with opened(Scenario.DOWN) as (model, _):
        assert model.count_tokens("hello") > 0
        with pytest.raises(ModelUnavailable) as caught:
            await whole(model)
    assert caught.value.retryable


async def test_after_a_failure_the_model_can_be_asked_again(opened: Opened) -> None:
    async with opened(Scenario.DOWN) as (model, _):
        for _ in range(3):
            with pytest.raises(ModelUnavailable):
                await whole(model)


async def test_a_key_that_it_does_not_know_is_a_mistake_in_the_declaration(backend: str, tmp_path: Path) -> None:
    async with PEERS[backend](Scenario.DOWN, tmp_path) as peer:
        entry = {"name": "tested", "backend": backend, **peer.entry}
        assert isinstance(validate_model(entry), ModelDeclaration)
        with pytest.raises(ValidationError) as caught:
            validate_model({**entry, "tpyo": 1})
    assert [error["loc"] for error in caught.value.errors()] == [("tpyo",)]
