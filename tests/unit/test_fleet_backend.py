"""The local engine as the platform sees it: a declaration, a real agent behind its socket, and chunks."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import jsonschema
import pytest

from core.fleet import protocol
from core.fleet.agent.engine import Engine
from core.fleet.protocol import FailureCode, Greeting, estimate_tokens
from core.llm.backends import fleet
from core.llm.backends.fleet import Declaration, open_model
from core.llm.contract import (
    CallChunk,
    Chunk,
    ContextExceeded,
    Finished,
    JsonFormat,
    ModelError,
    ModelRefused,
    ModelRequest,
    ModelTimedOut,
    ModelUnavailable,
    ReasoningChunk,
    Sampling,
    TextChunk,
    ToolChoice,
    ToolMode,
    ToolSpec,
)
from core.llm.declaration import validate_model
from core.llm.resilience import ResilientModel
from core.messages import FinishReason, Image, Reply, SystemMessage, Text, ToolCall, ToolResult, Usage, UserMessage
from tests.doubles.local_agent import answers, running_agent, start_agent
from tests.doubles.tiny_gguf import write_random, write_reciter

HELLO = ModelRequest(messages=(UserMessage(parts=(Text(text="hello"),)),))
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"enum": ["x", "y"]}},
    "required": ["a", "b"],
    "additionalProperties": False,
}
ADD = ToolSpec(name="add", description="adds", parameters=SCHEMA)
NOTE = ToolSpec(name="note", description="notes", parameters={"type": "object", "properties": {}})
WILD = Sampling(temperature=1.0, top_p=1.0, seed=5)


@pytest.fixture(scope="module")
def babbling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with running_agent(write_random(tmp_path_factory.mktemp("model") / "random.gguf", context=1024)) as socket:
        yield socket


async def ask(socket: Path, request: ModelRequest = HELLO) -> list[Chunk]:
    async with open_model(Declaration(name="local", backend="fleet", socket=socket)) as model:
        return [chunk async for chunk in model.stream(request)]


def text_of(chunks: list[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks if isinstance(chunk, TextChunk))


def arguments_of(chunks: list[Chunk]) -> str:
    return "".join(chunk.arguments for chunk in chunks if isinstance(chunk, CallChunk))


def last_of(chunks: list[Chunk]) -> Finished:
    last = chunks[-1]
    assert isinstance(last, Finished)
    return last


async def test_reasoning_text_and_calls_are_told_apart(tmp_path: Path) -> None:
    call = ["<tool_call>", '{"name": "add", ', '"arguments": {"a"', ': 1, "b": "x"}}', "</tool_call>"]
    script = ["<think>", "Hm", "…", "</think>", "\n\nLet me", " see.\n", *call]
    with running_agent(write_reciter(tmp_path / "model.gguf", script)) as socket:
        chunks = await ask(socket, replace(HELLO, tools=(ADD,)))
    reasoning = "".join(chunk.text for chunk in chunks if isinstance(chunk, ReasoningChunk))
    first = next(chunk for chunk in chunks if isinstance(chunk, CallChunk))
    assert (reasoning, text_of(chunks), first.name) == ("Hm…", "Let me see.", "add")
    assert json.loads(arguments_of(chunks)) == {"a": 1, "b": "x"}
    last = last_of(chunks)
    assert last.reason is FinishReason.TOOL_CALLS
    assert (last.usage.output, last.usage.reasoning) == (len(script), 3)


async def test_a_character_that_arrives_in_pieces_is_shown_whole(tmp_path: Path) -> None:
    in_bytes = ["ð", "Ł", "Ļ", "Ĥ"]  # 🙂 as the vocabulary writes its four bytes
    with running_agent(write_reciter(tmp_path / "model.gguf", in_bytes)) as socket:
        chunks = await ask(socket)
    assert [chunk for chunk in chunks if isinstance(chunk, TextChunk)] == [TextChunk(text="🙂")]


async def test_a_call_that_is_no_json_is_passed_on_as_written_when_grammars_are_off(tmp_path: Path) -> None:
    model = write_reciter(tmp_path / "model.gguf", ["<tool_call>", "add(1)", "</tool_call>"])
    with running_agent(model, "--no-grammar") as socket:
        chunks = await ask(socket, replace(HELLO, tools=(ADD,)))
    assert arguments_of(chunks) == "add(1)"
    assert last_of(chunks).reason is FinishReason.TOOL_CALLS


async def test_a_call_without_its_end_at_the_limit_is_an_incomplete_reply(tmp_path: Path) -> None:
    script = ["<tool_call>", '{"name": "add", "arguments": {', '"a": 1', ', "b": "x"}}']
    with running_agent(write_reciter(tmp_path / "model.gguf", script)) as socket:
        chunks = await ask(socket, replace(HELLO, tools=(ADD,), sampling=Sampling(max_output_tokens=3)))
    assert arguments_of(chunks) == '{"a": 1'
    assert last_of(chunks).reason is FinishReason.LENGTH


async def test_a_template_of_ones_own_takes_the_place_of_the_models(tmp_path: Path) -> None:
    (tmp_path / "template.jinja").write_text("{{ raise_exception('only for poets') }}")
    model = write_reciter(tmp_path / "model.gguf", ["hi"])
    with (
        running_agent(model, "--template", str(tmp_path / "template.jinja")) as socket,
        pytest.raises(ModelRefused, match="only for poets"),
    ):
        await ask(socket)


@pytest.mark.parametrize("seed", range(6))
async def test_a_model_that_babbles_calls_tools_as_their_schemas_want(babbling: Path, seed: int) -> None:
    sampling = replace(WILD, seed=seed)
    choice = ToolChoice(mode=ToolMode.REQUIRED, name="add")
    chunks = await ask(babbling, replace(HELLO, tools=(NOTE, ADD), tool_choice=choice, sampling=sampling))
    first = chunks[0]
    assert isinstance(first, CallChunk)
    assert first.name == "add"
    jsonschema.validate(json.loads(arguments_of(chunks)), SCHEMA)
    assert last_of(chunks).reason is FinishReason.TOOL_CALLS


async def test_a_tool_that_must_be_called_is_called_once_where_one_call_is_allowed(babbling: Path) -> None:
    request = replace(
        HELLO, tools=(NOTE, ADD), tool_choice=ToolChoice(mode=ToolMode.REQUIRED), parallel_tool_calls=False, sampling=WILD
    )
    calls = {chunk.index for chunk in await ask(babbling, request) if isinstance(chunk, CallChunk)}
    assert calls == {0}


async def test_a_model_that_babbles_answers_in_the_format_asked_for(babbling: Path) -> None:
    chunks = await ask(babbling, replace(HELLO, format=JsonFormat(schema=SCHEMA), sampling=WILD))
    jsonschema.validate(json.loads(text_of(chunks)), SCHEMA)


async def test_no_tool_may_be_called_means_no_call(tmp_path: Path) -> None:
    script = ["<tool_call>", '{"name": "add", "arguments": {}}', "</tool_call>"]
    with running_agent(write_reciter(tmp_path / "model.gguf", script)) as socket:
        chunks = await ask(socket, replace(HELLO, tools=(ADD,), tool_choice=ToolChoice(mode=ToolMode.NONE)))
    assert arguments_of(chunks) == ""
    assert last_of(chunks).reason is FinishReason.STOP


async def test_the_same_seed_says_the_same_and_another_something_else(babbling: Path) -> None:
    async def said(seed: int) -> str:
        return text_of(await ask(babbling, replace(HELLO, sampling=replace(WILD, seed=seed, max_output_tokens=40))))

    assert await said(1) == await said(1) != await said(2)


async def test_whose_request_it_is_reaches_the_agent(babbling: Path) -> None:
    request = replace(HELLO, sampling=replace(WILD, max_output_tokens=1))
    cached = [last_of(await ask(babbling, replace(request, owner=owner))).usage.cached for owner in ("a", "a", "b")]
    assert [tokens > 0 for tokens in cached] == [False, True, False]


async def test_without_a_temperature_the_likeliest_is_said_whatever_the_seed(babbling: Path) -> None:
    def greedy(seed: int) -> ModelRequest:
        return replace(HELLO, sampling=Sampling(temperature=0, seed=seed, max_output_tokens=40))

    assert text_of(await ask(babbling, greedy(1))) == text_of(await ask(babbling, greedy(2)))


async def test_penalties_change_what_is_said(babbling: Path) -> None:
    plain = Sampling(temperature=0, max_output_tokens=60)
    penalised = replace(plain, frequency_penalty=2.0, presence_penalty=2.0)
    assert text_of(await ask(babbling, replace(HELLO, sampling=plain))) != text_of(
        await ask(babbling, replace(HELLO, sampling=penalised))
    )


async def test_a_whole_conversation_is_understood(babbling: Path) -> None:
    messages = (
        SystemMessage(text="Be brief."),
        UserMessage(parts=(Text(text="one "), Text(text="two"))),
        Reply(text="", tool_calls=(ToolCall(id="call_1", name="add", arguments='{"a": 1}'),)),
        ToolResult(call_id="call_1", content="Traceback\n\ud800", failed=True),
        Reply(text="", tool_calls=(ToolCall(id="call_2", name="add", arguments="not json"),)),
        ToolResult(call_id="call_2", content=""),
    )
    request = ModelRequest(messages=messages, tools=(ADD,), sampling=replace(WILD, max_output_tokens=5))
    assert last_of(await ask(babbling, request)).usage.input > 50


@pytest.mark.parametrize(
    ("sampling", "field"),
    [
        (Sampling(temperature=float("nan")), "temperature"),
        (Sampling(temperature=-1), "temperature"),
        (Sampling(top_p=float("inf")), "top_p"),
        (Sampling(presence_penalty=3), "presence_penalty"),
        (Sampling(max_output_tokens=-1), "max_output_tokens"),
    ],
)
async def test_sampling_that_makes_no_sense_is_refused_by_name(babbling: Path, sampling: Sampling, field: str) -> None:
    with pytest.raises(ModelRefused, match=field):
        await ask(babbling, replace(HELLO, sampling=sampling))


async def test_an_image_is_refused(babbling: Path) -> None:
    message = UserMessage(parts=(Text(text="what is it?"), Image(url="https://example.com/cat.png")))
    with pytest.raises(ModelRefused, match="text only"):
        await ask(babbling, ModelRequest(messages=(message,)))


@pytest.mark.parametrize("size", [3_000, 10**6, 20 * 10**6])
async def test_a_prompt_that_does_not_fit_is_told_as_such(babbling: Path, size: int) -> None:
    message = UserMessage(parts=(Text(text="x" * size),))
    with pytest.raises(ContextExceeded, match=r"\d\d"):
        await ask(babbling, ModelRequest(messages=(message,)))


async def test_the_agent_tells_how_much_fits_before_anything_was_asked(babbling: Path) -> None:
    async with open_model(Declaration(name="local", backend="fleet", socket=babbling)) as model:
        assert model.context_tokens == 1024
    declared = Declaration(name="local", backend="fleet", socket=babbling, context_tokens=300)
    async with open_model(declared) as model:
        assert model.context_tokens == 300


async def test_an_agent_that_comes_later_is_found(tmp_path: Path) -> None:
    socket = tmp_path / "agent.sock"
    async with open_model(Declaration(name="local", backend="fleet", socket=socket)) as model:
        with pytest.raises(ModelUnavailable, match="is `paddock agent` running") as caught:
            await anext(model.stream(HELLO))
        assert (caught.value.retryable, caught.value.counts) == (True, True)
        with running_agent(write_reciter(tmp_path / "model.gguf", ["hi"])) as later:
            socket.symlink_to(later)
            assert text_of([chunk async for chunk in model.stream(HELLO)]) == "hi"
            assert model.context_tokens == 512


async def test_an_agent_that_is_killed_in_the_middle_is_an_outage(tmp_path: Path) -> None:
    model_file = write_reciter(tmp_path / "model.gguf", ["on ", "and "], endless=True, context=65536)
    socket = tmp_path / "agent.sock"
    with start_agent(socket, model_file, "--context", "65536") as process:
        while not answers(socket):
            assert process.poll() is None
            await asyncio.sleep(0.02)
        async with open_model(Declaration(name="local", backend="fleet", socket=socket)) as model:
            chunks = model.stream(HELLO)
            await anext(chunks)
            process.kill()
            with pytest.raises(ModelUnavailable, match="local agent of model 'local'") as caught:
                async for _ in chunks:
                    pass
    assert caught.value.retryable


async def test_something_else_at_the_socket_is_no_agent(tmp_path: Path) -> None:
    def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_unix_server(greet, tmp_path / "s"):
        with pytest.raises(ModelUnavailable, match="no agent"):
            await ask(tmp_path / "s")


async def test_a_sign_of_life_is_no_output_and_no_beginning_of_a_reply(tmp_path: Path) -> None:
    usage = Usage(input=1, output=1)
    alive, said = protocol.Text(text=""), [protocol.Text(text="hi"), protocol.Finished(reason=FinishReason.STOP, usage=usage)]
    greeting = Greeting(model="m", context_tokens=64, vocabulary=9, word_bytes=1.0, load_seconds=0.0)
    replies = [[alive, alive], [alive, *said]]  # the first breaks off

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(protocol.encode_line(greeting))
        await reader.readline()
        writer.writelines(protocol.encode_line(line) for line in replies.pop(0))
        writer.close()

    socket = tmp_path / "agent.sock"
    declaration = Declaration.model_validate(
        {"name": "m", "backend": "fleet", "socket": socket, "retries": {"base_seconds": 0.01}}
    )
    model = ResilientModel(
        fleet.FleetModel(declaration, socket), declaration, clock=time.monotonic, sleep=asyncio.sleep, random=Random(1)
    )
    async with await asyncio.start_unix_server(serve, socket):
        chunks = [chunk async for chunk in model.stream(HELLO)]
    assert chunks == [TextChunk(text="hi"), Finished(reason=FinishReason.STOP, usage=usage)]
    assert replies == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The sun had set long before they reached the village, and nobody was waiting for them.",
        "def fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)\n\nprint(fib(30))",
        '{"name": "code_interpreter", "arguments": {"code": "print(1234 * 5678)"}}',
        "3.14159265358979323846264338327950288419716939937510",
        "d41d8cd98f00b204e9800998ecf8427e",
        "QmFzZTY0IGlzIG5vdCBwcm9zZSwgYW5kIG5vIHRva2VuaXplciBsaWtlcyBpdC4=",
        "人生は一度きり。思い切り楽しもう。Жизнь одна. 🙂🙃",
        "\ud800\0\x01",
    ],
)
async def test_an_estimate_of_tokens_errs_high(tmp_path: Path, text: str) -> None:
    with closing(Engine(write_random(tmp_path / "random.gguf"))) as engine:
        words = engine.vocabulary
        assert estimate_tokens(text, words.word_bytes) >= len(words.tokenise(text))


@pytest.mark.parametrize("key", ["tpyo", "model"])
def test_a_typo_in_the_declaration_is_named(key: str) -> None:
    entry: dict[str, Any] = {"name": "local", "backend": "fleet", "socket": "/x", key: 1}
    with pytest.raises(ValueError, match=key):
        Declaration.model_validate(entry)


@pytest.mark.parametrize("directory", ["here", "there"])
def test_a_relative_socket_is_beside_the_configuration_wherever_the_server_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, directory: str
) -> None:
    (tmp_path / directory).mkdir()
    monkeypatch.chdir(tmp_path / directory)
    declared = validate_model({"name": "local", "backend": "fleet", "socket": "run/agent.sock"}, tmp_path)
    assert isinstance(declared, Declaration)
    assert declared.socket == tmp_path / "run" / "agent.sock"


@pytest.mark.parametrize(
    ("code", "kind"), [(FailureCode.BUSY, ModelUnavailable), (FailureCode.LATE, ModelTimedOut)], ids=["full", "late"]
)
def test_a_queue_that_is_full_and_one_that_takes_too_long_are_no_ill_health(code: FailureCode, kind: type[ModelError]) -> None:
    error = fleet._error(code, "the model is busy")
    assert type(error) is kind
    assert (error.retryable, error.counts) == (False, False)
