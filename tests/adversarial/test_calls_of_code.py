"""Tools that guests call, over the sandbox host's socket: what they wait for, and what ends while they wait."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from sandbox import (
    Answer,
    Capabilities,
    GuestCrashed,
    Invocation,
    LimitExceeded,
    OnCall,
    OnOutput,
    Outcome,
    SandboxClient,
    Stream,
    open_client,
    protocol,
    refuse_calls,
)
from sandbox.dispatcher import Sandbox
from sandbox.host import open_host
from sandbox.protocol import Kind
from tests.sandboxing import host_process, nowhere, program

pytestmark = pytest.mark.asyncio(loop_scope="module")
CALL = "from paddock import call\nprint(call('tool', n=1))"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def host(folder: Path) -> AsyncIterator[Path]:
    async with host_process(folder / "shared", "--permits", "1", "--workers", "3") as (path, _):
        yield path


async def run(client: SandboxClient, source: str, on_call: OnCall, **limits: float) -> Outcome:
    granted = Capabilities(tools=("tool",))
    return await client.run(replace(program(source, **limits), capabilities=granted), nowhere, on_call)


async def still_serves(client: SandboxClient) -> bool:
    return (await client.run(program("print(6 * 7)"), nowhere)).stdout == b"42\n"


async def echo(name: str, arguments: str) -> Answer:
    return Answer(text=arguments)


@pytest.mark.parametrize("value", ["ä☃😀", "\\x00\\n", "\\ud800", "x" * 500_000], ids=["text", "control", "surrogate", "long"])
async def test_arguments_and_results_cross_whole(client: SandboxClient, value: str) -> None:
    outcome = await run(client, f"from paddock import call\nprint(call('tool', v='{value}') == {{'v': '{value}'}})", echo)
    assert (outcome.stderr, outcome.stdout) == (b"", b"True\n" if value != "\\ud800" else b"False\n")


async def test_an_argument_has_any_name(client: SandboxClient) -> None:
    assert (await run(client, "from paddock import call\nprint(call('tool', _ask=1, name=2))", echo)).stdout == (
        b"{'_ask': 1, 'name': 2}\n"
    )


async def test_what_is_no_json_comes_as_text_and_a_failure_as_an_error(client: SandboxClient) -> None:
    async def answer(name: str, arguments: str) -> Answer:
        return Answer(text="it's no JSON", failed="fail" in arguments)

    source = """
from paddock import call, ToolError
print(call('tool'))
try:
    call('tool', fail=1)
except ToolError as e:
    print('E', e)"""
    assert (await run(client, source, answer)).stdout == b"it's no JSON\nE it's no JSON\n"


async def test_code_without_a_grant_asks_nobody(client: SandboxClient) -> None:
    async def never(name: str, arguments: str) -> Answer:
        raise AssertionError("nobody may be asked")

    outcome = await client.run(program(CALL), nowhere, never)
    assert b"paddock.ToolError: this code may not call a tool 'tool'" in outcome.stderr


async def test_a_waiting_guest_leaves_its_permit_to_what_it_called_however_deep(client: SandboxClient) -> None:
    """There is one permit."""

    async def answer(name: str, arguments: str) -> Answer:
        depth = int(arguments[6:-1])
        source = f"from paddock import call\nprint({depth} + call('tool', n={depth - 1}))" if depth else "print(0)"
        return Answer(text=(await run(client, source, answer)).stdout.decode())

    assert (await run(client, "from paddock import call\nprint(call('tool', n=2))", answer)).stdout == b"3\n"


async def test_more_programs_may_wait_than_there_are_workers_but_not_any_number(client: SandboxClient) -> None:
    """Somewhat more than twice as many as may run; who is refused is told, and nobody waits for ever."""

    async def answer(name: str, arguments: str) -> Answer:
        return Answer(text=(await client.run(program("print(1)"), nowhere)).stdout.decode())

    outcomes = await asyncio.gather(*(run(client, CALL, answer) for _ in range(12)))
    assert all(outcome.stdout == b"1\n" or b"too many programs wait" in outcome.stderr for outcome in outcomes)
    assert sum(outcome.stdout == b"1\n" for outcome in outcomes) >= 3
    assert await still_serves(client)


async def test_an_owner_may_call_however_many_programs_of_another_one_wait_for_what_they_called() -> None:
    called, slowly = asyncio.Queue[None](), asyncio.Event()

    async def slow(_name: str, _arguments: str) -> Answer:
        called.put_nowait(None)
        await slowly.wait()
        return Answer(text="1")

    sandbox = Sandbox({"wasmtime": Asking()}, permits=4, queue=64)
    granted = replace(program(""), capabilities=Capabilities(tools=("tool",)))
    waiting = [asyncio.create_task(sandbox.run(replace(granted, owner="many"), nowhere, slow)) for _ in range(7)]
    async with asyncio.timeout(10):
        for _ in waiting:
            await called.get()
    # Most of the places are taken: one more of that owner's stands in line, and the next but one is told.
    waiting += [asyncio.create_task(sandbox.run(replace(granted, owner="many"), nowhere, slow)) for _ in range(3)]
    refused = await asyncio.wait(waiting, timeout=10, return_when=asyncio.FIRST_COMPLETED)
    assert [task.result().stderr for task in refused[0]] == [b"too many programs wait for tools that they called"] * 2

    async with asyncio.timeout(10):
        assert (await sandbox.run(replace(granted, owner="few"), nowhere, echo)).stderr == b""
        slowly.set()
        assert [task.result().stderr for task in (await asyncio.wait(refused[1]))[0]] == [b""] * 8


async def test_the_wall_limit_goes_on_while_a_guest_waits_and_nobody_goes_on_answering(client: SandboxClient) -> None:
    ended = asyncio.Event()

    async def slow(name: str, arguments: str) -> Answer:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return Answer(text="1")

    with pytest.raises(LimitExceeded, match="wall_seconds"):
        await run(client, CALL, slow, wall_seconds=3)  # time enough to begin and to call, on a busy machine too
    assert ended.is_set()
    assert await still_serves(client)


async def test_a_guest_that_waits_uses_up_no_processor_time(client: SandboxClient) -> None:
    async def slow(name: str, arguments: str) -> Answer:
        await asyncio.sleep(1.5)
        return Answer(text="1")

    outcome = await run(client, CALL, slow, cpu_seconds=1.0)
    assert outcome.stdout == b"1\n"
    assert outcome.cpu_seconds < 1.0


async def test_an_answer_that_cannot_be_given_kills_the_guest_and_is_raised(client: SandboxClient) -> None:
    async def broken(name: str, arguments: str) -> Answer:
        raise ConnectionRefusedError("the database is gone")

    with pytest.raises(ConnectionRefusedError):
        await run(client, CALL, broken)
    assert await still_serves(client)


class Asking:
    """A runtime whose guest calls a tool and writes what it was refused with."""

    async def run(self, invocation: Invocation, on_output: OnOutput, on_call: OnCall = refuse_calls) -> Outcome:
        answer = await on_call("tool", "")
        if answer.failed:
            on_output(Stream.STDERR, answer.text.encode())
        return Outcome(exit_code=0)


class SlowToKill:
    """A runtime whose guest calls a tool, and dies half a second after it was told to."""

    async def run(self, invocation: Invocation, on_output: OnOutput, on_call: OnCall = refuse_calls) -> Outcome:
        try:
            await on_call("tool", "{}")
        finally:
            await asyncio.sleep(0.5)
        raise AssertionError("it was told to die")


async def test_an_answer_to_a_guest_that_is_being_killed_does_not_hide_why(folder: Path) -> None:
    async def late(name: str, arguments: str) -> Answer:
        await asyncio.sleep(0.4)
        return Answer(text="1")

    path = folder / "slow" / "host.sock"
    async with open_host(Sandbox({"wasmtime": SlowToKill()}, permits=1, queue=1), path), open_client(path) as client:
        with pytest.raises(LimitExceeded, match="wall_seconds"):
            await run(client, CALL, late, wall_seconds=0.2)


@pytest.mark.parametrize("name", ["tool", "other"])
async def test_a_program_that_asks_and_asks_whatever_it_is_told_is_stopped(client: SandboxClient, name: str) -> None:
    async def refuse(name: str, arguments: str) -> Answer:
        return Answer(text="no", failed=True)

    source = f"from paddock import call, ToolError\nwhile True:\n    try: call({name!r})\n    except ToolError: pass"
    with pytest.raises(GuestCrashed, match="asked for more than 1000 calls"):
        await run(client, source, refuse)
    assert await still_serves(client)


async def test_arguments_that_no_tool_takes_do_not_reach_the_host(client: SandboxClient) -> None:
    source = "from paddock import call\ncall('tool', v='x' * 1_100_000)"
    assert b"ToolError: the arguments are too long" in (await run(client, source, echo)).stderr


async def test_cancelling_while_a_guest_waits_frees_everything_at_once(client: SandboxClient) -> None:
    asked = asyncio.Event()

    async def never(name: str, arguments: str) -> Answer:
        asked.set()
        await asyncio.sleep(60)
        return Answer(text="1")

    running = asyncio.create_task(run(client, CALL, never))
    await asked.wait()
    running.cancel()
    async with asyncio.timeout(10):
        with pytest.raises(asyncio.CancelledError):
            await running
        assert await still_serves(client)


@pytest.mark.parametrize("frame", [protocol.answer(Answer(text="1")), protocol.frame(Kind.ANSWER, b"no json")])
async def test_an_answer_that_nobody_asked_for_ends_the_program(host: Path, client: SandboxClient, frame: bytes) -> None:
    reader, writer = await asyncio.open_unix_connection(str(host))
    writer.write(protocol.hello() + protocol.run(program("import time; time.sleep(60)")))
    await protocol.read_frame(reader)
    writer.write(frame)
    async with asyncio.timeout(10):
        assert await protocol.read_frame(reader) is None
    writer.close()
    assert await still_serves(client)


async def test_an_answer_that_is_not_to_be_understood_ends_the_program(host: Path, client: SandboxClient) -> None:
    reader, writer = await asyncio.open_unix_connection(str(host))
    asking = replace(program(CALL), capabilities=Capabilities(tools=("tool",)))
    writer.write(protocol.hello() + protocol.run(asking))
    await protocol.read_frame(reader)
    async with asyncio.timeout(10):
        assert await protocol.read_frame(reader) == (Kind.CALL, protocol.call("tool", '{"n": 1}')[5:])
        writer.write(protocol.frame(Kind.ANSWER, b'{"text": 3}'))
        said = await protocol.read_frame(reader)
        assert said is not None
        assert said[0] is Kind.FAILED
        assert await protocol.read_frame(reader) is None
    writer.close()
    assert await still_serves(client)
