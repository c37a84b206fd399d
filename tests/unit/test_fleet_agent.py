"""A real agent process against clients that hang up, crowd and lie: whatever one of them does, the next is served."""

import asyncio
import json
import signal
import socket as sockets
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, closing, suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from core.fleet.agent import engine, server
from core.fleet.agent.engine import CHUNK_SECONDS, CHUNK_TOKENS, Engine
from core.fleet.agent.server import Queue, Server
from core.fleet.agent.task import Preparation
from core.fleet.client import AgentUnreachable, connect
from core.fleet.protocol import AgentFailure, Failed, FailureCode, Finished, Line, Text
from core.messages import FinishReason
from tests.doubles.local_agent import running_agent, start_agent
from tests.doubles.tiny_gguf import TEMPLATE, write_random, write_reciter

HELLO = {"messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An agent whose model goes on for many seconds unless it is told how many tokens are wanted."""
    model = write_reciter(tmp_path_factory.mktemp("model") / "endless.gguf", ["on ", "and "], endless=True, context=65536)
    with running_agent(model, "--context", "65536") as socket:
        yield socket


async def answer(socket: Path, **ask: Any) -> list[Line]:
    async with connect(socket) as connection:
        return [line async for line in connection.ask({**HELLO, **ask})]


async def is_served(socket: Path) -> bool:
    *_, last = await answer(socket, max_output_tokens=3)
    return isinstance(last, Finished)


@asynccontextmanager
async def writing(socket: Path) -> AsyncIterator[None]:
    """Somebody's request is being written, and would be for long; at the end they hang up."""
    async with connect(socket) as connection, aclosing(connection.ask(HELLO)) as lines:
        assert isinstance(await anext(lines), Text)
        yield


async def send(socket: Path, data: bytes) -> dict[str, Any]:
    """The last line that comes back for raw bytes."""
    reader, writer = await asyncio.open_unix_connection(socket)
    try:
        writer.write(data)
        await writer.drain()
        lines = [line async for line in reader]
        return dict(json.loads(lines[-1]))
    finally:
        writer.close()


async def test_a_reply_ends_at_the_number_of_tokens_that_was_asked_for(endless: Path) -> None:
    *texts, last = await answer(endless, max_output_tokens=3)
    assert "".join(line.text for line in texts if isinstance(line, Text)) == "on and on "
    assert isinstance(last, Finished)
    assert (last.reason, last.usage.output) == (FinishReason.LENGTH, 3)


async def test_no_tokens_wanted_is_an_empty_reply(endless: Path) -> None:
    [last] = await answer(endless, max_output_tokens=0)
    assert isinstance(last, Finished)
    assert (last.reason, last.usage.output) == (FinishReason.LENGTH, 0)


async def test_a_prompt_that_continues_the_last_one_is_not_read_again(endless: Path) -> None:
    long = {"messages": [{"role": "user", "content": "tell me " * 100}]}
    await answer(endless, **long, max_output_tokens=1)
    *_, last = await answer(endless, **long, max_output_tokens=1)
    assert isinstance(last, Finished)
    assert last.usage.cached == last.usage.input - 1


async def test_what_one_owner_asked_is_not_found_out_by_another(endless: Path) -> None:
    long = {"messages": [{"role": "user", "content": "tell me " * 100}], "max_output_tokens": 1}
    cached = []
    for owner in ("a", "a", "b", "b", "a", None, None, "a"):
        *_, last = await answer(endless, **long, owner=owner)
        assert isinstance(last, Finished)
        cached.append(last.usage.cached)
    whole = last.usage.input - 1
    assert cached == [0, whole, 0, whole, 0, 0, whole, 0]


async def test_stop_sequences_end_the_reply_and_are_not_shown(endless: Path) -> None:
    *texts, last = await answer(endless, stop=["", "d o"], max_output_tokens=50)
    assert "".join(line.text for line in texts if isinstance(line, Text)) == "on an"
    assert isinstance(last, Finished)
    assert last.reason is FinishReason.STOP


async def test_a_model_that_works_and_has_nothing_to_show_gives_signs_of_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "SILENT_SECONDS", 0.0)
    held_back = {"stop": ["on and " * 9], "max_output_tokens": 3}
    with closing(Engine(write_reciter(tmp_path / "model.gguf", ["on ", "and "], endless=True, context=4096))) as model:
        async with Server(model, Preparation(model), name="m", use_grammar=True).listen(tmp_path / "agent.sock"):
            *lines, last = await answer(
                tmp_path / "agent.sock", messages=[{"role": "user", "content": "x" * 1000}], **held_back
            )
    signs = [line for line in lines if line == Text(text="")]
    assert len(signs) > 1000 // CHUNK_TOKENS + 3
    assert [line for line in lines if line not in signs] == [Text(text="on and on ")]
    assert isinstance(last, Finished)
    assert (last.reason, last.usage.output) == (FinishReason.LENGTH, 3)


def test_a_machine_that_reads_slowly_is_given_less_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, looks = count(step=2 * CHUNK_SECONDS), count()
    with closing(Engine(write_reciter(tmp_path / "model.gguf", ["hi"]))) as slow:
        monkeypatch.setattr("core.fleet.agent.engine.time.monotonic", lambda: next(clock))
        slow.read([7] * (128 + 64 + 32 + 16 + 1), lambda: next(looks) < 0)
    assert next(looks) == 5


@pytest.mark.parametrize(("limit", "most"), [("max 100000", 64), ("150000 100000", 2), ("50000 100000", 1), (None, 64)])
def test_a_container_has_no_more_threads_than_processors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str | None, most: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)))
    monkeypatch.setattr(engine, "CPU_QUOTA", tmp_path / "cpu.max")
    if limit is not None:
        (tmp_path / "cpu.max").write_text(f"{limit}\n")
    assert engine.processors() == most


async def test_hanging_up_while_the_model_writes_frees_it(endless: Path) -> None:
    async with writing(endless):
        pass
    assert await is_served(endless)


async def test_hanging_up_while_the_prompt_is_read_frees_the_model(endless: Path) -> None:
    prompt = {"messages": [{"role": "user", "content": "x" * 60_000}]}
    async with connect(endless) as connection:
        asking = asyncio.create_task(anext(connection.ask(prompt)))
        await asyncio.sleep(0.5)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    assert await is_served(endless)


@pytest.mark.parametrize("said", [b"", b'{"messages": ', json.dumps(HELLO).encode() + b"\n"])
async def test_hanging_up_without_waiting_for_anything_hurts_nobody(endless: Path, said: bytes) -> None:
    for _ in range(20):
        with sockets.socket(sockets.AF_UNIX) as client:
            client.connect(str(endless))
            client.sendall(said)
    assert await is_served(endless)


async def test_who_waits_is_served_in_order_and_who_hangs_up_loses_the_place(endless: Path) -> None:
    served: list[int] = []

    async def wait(number: int) -> None:
        assert await is_served(endless)
        served.append(number)

    async with asyncio.TaskGroup() as group, writing(endless):
        waiting = []
        for number in range(4):
            waiting.append(group.create_task(wait(number)))
            await asyncio.sleep(0.5)
        waiting[1].cancel()
        await asyncio.sleep(0.5)
        assert served == []
    assert served == [0, 2, 3]


async def test_a_full_queue_turns_the_next_one_away_at_once(endless: Path) -> None:
    async with asyncio.TaskGroup() as group, writing(endless):
        waiting = [group.create_task(is_served(endless)) for _ in range(30)]
        await asyncio.sleep(2)
        [failed] = await answer(endless)
        assert isinstance(failed, Failed)
        assert (failed.code, failed.message) == (
            FailureCode.BUSY,
            "the model is busy and 30 requests are waiting already",
        )
    assert all(task.result() for task in waiting)


async def test_waiting_too_long_ends_and_frees_the_place() -> None:
    queue = Queue(places=1, seconds=0.01)
    async with queue.turn():
        with pytest.raises(AgentFailure, match=r"busy for 0\.01 s") as caught:
            async with queue.turn():
                raise AssertionError("two at a time")
        assert caught.value.code is FailureCode.LATE
        assert queue.waiting == 0
    async with queue.turn():
        pass


@pytest.mark.parametrize("steps", range(6))
async def test_hanging_up_at_the_very_moment_of_being_called_is_not_missed(steps: int) -> None:
    queue = Queue()

    async def wait_and_stay() -> None:
        async with queue.turn():
            await asyncio.Event().wait()

    async with queue.turn():
        waiting = asyncio.create_task(wait_and_stay())
        await asyncio.sleep(0.01)
    for _ in range(steps):
        await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting}, timeout=60)
    assert waiting.cancelled()
    async with queue.turn():
        pass


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"\n", "malformed request"),
        (b"nonsense\n", "malformed request"),
        (b"[]\n", "malformed request"),
        (b'"\xff\xfe\0"\n', "malformed request"),
        (b'{"messages": "hello"}\n', "malformed request"),
        (b'{"messages": [{"role": "user", "content": "\\ud800"}]}\n', "malformed request"),
        (b'{"messages": ' + b"[" * 100_000 + b"\n", "malformed request"),
        (b'{"messages": [], "temperature": NaN}\n', "malformed request"),
        (b'{"messages": [], "temperature": 1e999}\n', "malformed request"),
        (b'{"messages": [], "max_output_tokens": -1}\n', "malformed request"),
        (b'{"messages": [], "top_p": "all"}\n', "malformed request"),
        (b'{"messages": [{}]}\n', "refuses this conversation"),
        (b'{"messages": [{"role": {}, "content": 5}]}\n', "refuses this conversation"),
        (b'{"messages": [], "tools": [{"function": []}]}\n', "`function` with a `name`"),
    ],
    ids=range(14),
)
async def test_what_is_no_request_is_refused_and_the_next_is_served(endless: Path, line: bytes, told: str) -> None:
    refusal = await send(endless, line)
    assert (refusal["kind"], refusal["code"]) == ("failed", "refused")
    assert told in refusal["message"]
    assert await is_served(endless)


async def test_a_line_without_an_end_is_hung_up_on(endless: Path) -> None:
    with pytest.raises(ConnectionError):
        await send(endless, b"x" * (40 * 2**20))
    assert await is_served(endless)


@pytest.mark.parametrize(
    "odd",
    [
        {"messages": [{"role": "user", "content": "nul \0, half \ud800, <|im_start|>, 🙂"}]},
        {"messages": [{"role": "user", "content": ""}]},
        {"seed": -(10**30)},
        {"seed": 0xFFFFFFFF},
        {"temperature": 1e-30, "top_p": 0},
        {"temperature": 100, "presence_penalty": 2, "frequency_penalty": -2},
        {"stop": [""] * 1000},
        {"tool_choice": "none", "tools": [{"type": "function", "function": {"name": "f"}}]},
        {"reasoning_effort": "none"},
    ],
)
async def test_odd_requests_are_answered(endless: Path, odd: dict[str, Any]) -> None:
    *_, last = await answer(endless, **{"max_output_tokens": 3, **odd})
    assert isinstance(last, Finished)


async def test_a_prompt_of_a_megabyte_is_told_that_it_does_not_fit(endless: Path) -> None:
    [failed] = await answer(endless, messages=[{"role": "user", "content": "word " * 200_000}])
    assert isinstance(failed, Failed)
    assert failed.code is FailureCode.CONTEXT
    assert "65536" in failed.message


async def test_a_tool_with_half_a_megabyte_of_schema_hurts_nobody(endless: Path) -> None:
    parameters = {"type": "object", "properties": {f"p{n}": {"enum": ["x" * 100]} for n in range(5000)}}
    tools = [{"type": "function", "function": {"name": "big", "parameters": parameters}}]
    *_, last = await answer(endless, tools=tools, tool_choice="required", max_output_tokens=3)
    assert isinstance(last, Finished | Failed)
    assert await is_served(endless)


def test_the_socket_is_nobody_elses(endless: Path) -> None:
    assert endless.stat().st_mode & 0o777 == 0o600
    assert endless.parent.stat().st_mode & 0o777 == 0o700


def test_a_second_agent_at_the_same_socket_gives_way(endless: Path, tmp_path: Path) -> None:
    code, said = ended(start_agent(endless, write_random(tmp_path / "model.gguf")))
    assert code == 1
    assert "another agent answers at" in said
    assert asyncio.run(is_served(endless))


async def listening(socket: Path, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        with suppress(AgentUnreachable):
            async with connect(socket):
                return
        await asyncio.sleep(0.02)
    raise AssertionError("the agent did not start")


def ended(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    with process:
        _, said = process.communicate(timeout=60)
    return process.returncode, said.decode()


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"PK\3\4 not a model", "is not a GGUF file"), (b"", "is not a GGUF file"), (b"GGUF\3\0\0\0garbage", "cannot load")],
)
def test_a_file_that_is_no_model_is_named(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "model.gguf").write_bytes(content)
    code, said = ended(start_agent(tmp_path / "agent.sock", tmp_path / "model.gguf"))
    assert code == 1
    assert told in said
    assert "Traceback" not in said


def test_a_model_file_that_is_cut_short_is_named(tmp_path: Path) -> None:
    whole = write_random(tmp_path / "whole.gguf").read_bytes()
    (tmp_path / "model.gguf").write_bytes(whole[: len(whole) // 2])
    code, said = ended(start_agent(tmp_path / "agent.sock", tmp_path / "model.gguf"))
    assert code == 1
    assert "cannot load" in said


@pytest.mark.parametrize(
    ("options", "told"),
    [(("--model", "/nonexistent.gguf"), "No such file"), (("--template", "/nonexistent.jinja"), "No such file")],
)
def test_files_that_are_not_there_are_named(tmp_path: Path, options: tuple[str, str], told: str) -> None:
    model = write_random(tmp_path / "model.gguf")
    code, said = ended(start_agent(tmp_path / "agent.sock", model, *options))
    assert code == 1
    assert told in said


def test_a_template_that_does_not_compile_stops_the_agent(tmp_path: Path) -> None:
    model = write_random(tmp_path / "model.gguf", template="{% if %}")
    code, said = ended(start_agent(tmp_path / "agent.sock", model))
    assert code == 1
    assert "chat template does not compile" in said


async def test_a_template_that_never_ends_costs_its_own_request_only(tmp_path: Path) -> None:
    loop = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    template = "{% if messages[0].content == 'loop' %}" + loop + "{% endif %}" + TEMPLATE
    with running_agent(write_reciter(tmp_path / "model.gguf", ["hi"], template=template)) as socket:
        [failed] = await answer(socket, messages=[{"role": "user", "content": "loop"}])
        assert isinstance(failed, Failed)
        assert (failed.code, failed.message) == (FailureCode.REFUSED, "the chat template ran for more than 2 s")
        assert await is_served(socket)


async def test_told_to_stop_it_stops_while_it_writes_and_leaves_no_socket(tmp_path: Path) -> None:
    model = write_reciter(tmp_path / "endless.gguf", ["on ", "and "], endless=True, context=65536)
    socket = tmp_path / "agent.sock"
    with sockets.socket(sockets.AF_UNIX) as dead:
        dead.bind(str(socket))  # what a killed agent leaves behind
    with start_agent(socket, model, "--context", "65536") as process:
        await listening(socket, process)
        async with writing(socket):
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0
        assert not socket.exists()
        assert process.stderr is not None
        assert b"Traceback" not in process.stderr.read()


async def test_an_agent_that_stops_leaves_a_socket_that_another_made_in_the_place_of_its_own(tmp_path: Path) -> None:
    socket = tmp_path / "agent.sock"
    with start_agent(socket, write_random(tmp_path / "model.gguf")) as process, sockets.socket(sockets.AF_UNIX) as other:
        await listening(socket, process)
        socket.unlink()
        other.bind(str(socket))
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
        assert socket.exists()


@pytest.mark.parametrize("options", [{"top_p": 1.0, "json_answer": True}, {"json_answer": True}, {"top_p": 1.0}], ids=str)
async def test_a_temperature_next_to_nothing_is_none(tmp_path: Path, options: dict[str, Any]) -> None:
    """Scores divided by it are no numbers, and llama.cpp would end the process."""
    with running_agent(write_random(tmp_path / "model.gguf")) as socket:
        asked = {**options, "max_output_tokens": 20, "seed": 1}
        [coldest, nearly] = [await answer(socket, temperature=degrees, **asked) for degrees in (0, 1e-39)]
        assert nearly[:-1] == coldest[:-1]
        assert await is_served(socket)


@pytest.mark.parametrize("ask", [{"json_answer": True}, {}, {"temperature": 0}], ids=str)
async def test_a_model_that_computes_no_numbers_fails_the_request_alone(tmp_path: Path, ask: dict[str, Any]) -> None:
    model = tmp_path / "model.gguf"
    whole = write_random(model)
    data = bytearray(whole.read_bytes())
    data[-4096:] = b"\xff" * 4096  # NaN
    model.write_bytes(data)
    with running_agent(model) as socket:
        for _ in range(2):
            [failed] = await answer(socket, **ask)
            assert isinstance(failed, Failed)
            assert (failed.code, "no numbers" in failed.message) == (FailureCode.BROKEN, True)


@pytest.mark.parametrize("limit", [3, 200])
@pytest.mark.parametrize(
    ("script", "stop", "shown"),
    [
        (["\n\n", "\n\n\n"], "\n", ""),
        (["\n\n", "\n\n\n"], "\n\n\n\n", ""),
        (["A", "\n\n", "\n\n\n"], "\n", "A"),
        (["A", "\n\n", "\n\n\n"], "A\n\n\n", ""),
        (["\n\nB", "b"], "\nB", ""),
        (["\n", "B", "b"], "B", ""),
    ],
)
async def test_line_ends_that_are_not_shown_are_seen_by_stop_sequences(
    tmp_path: Path, script: list[str], stop: str, shown: str, limit: int
) -> None:
    with running_agent(write_reciter(tmp_path / "model.gguf", script, endless=True)) as socket:
        *texts, last = await answer(socket, stop=[stop], max_output_tokens=limit)
    assert "".join(line.text for line in texts if isinstance(line, Text)) == shown
    assert isinstance(last, Finished)
    assert last.reason is FinishReason.STOP
