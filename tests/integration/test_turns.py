"""Whole turns: a scripted model, the real sandbox, the real stores."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from core.bootstrap import Platform
from core.conversations.request import TurnRequest
from core.errors import Conflict, InvalidRequest, NotFound
from core.events import (
    Recorded,
    Replied,
    ReplyCut,
    TextDelta,
    ToolDispatched,
    ToolOutput,
    ToolReturned,
    TurnEnded,
    TurnStarted,
    TurnStatus,
)
from core.ids import new_id
from core.llm.contract import Chunk, ModelRequest, Sampling, ToolSpec
from core.llm.observed import ObservedModel
from core.messages import FunctionOutputItem, Image, Item, MessageItem, Role, Text, ToolCallItem
from core.storage import journal
from core.storage.database import Database
from core.storage.tables import tool_ledger
from tests.integration.conftest import Stage, Tenant

WEATHER = ToolSpec(name="weather", description="The weather", parameters={"type": "object"})


def says(text: str) -> MessageItem:
    return MessageItem(id=new_id("msg"), role=Role.USER, parts=(Text(text=text),))


def asking(text: str, **options: Any) -> TurnRequest:
    return TurnRequest(input=(says(text),), **options)


def code(source: str, **when: Any) -> dict[str, Any]:
    call = {"name": "code_interpreter", "arguments": {"code": source}}
    return {"when": when or {"tool_results": 0}, "reply": {"tool_calls": [call]}}


ANSWER = {"when": {"after_tool": True}, "reply": {"text": "It is {last_tool_result}."}}
HELLO = {"reply": {"text": "Hello there"}}
SLOW = {"pace_seconds": 0.05, "piece_characters": 1, "reply": {"text": "slow " * 100}}


async def play(platform: Platform, tenant: Tenant, request: TurnRequest) -> list[Recorded]:
    turn = await platform.turns.start(tenant.principal, request)
    return await read(platform, tenant, turn.id)


async def read(platform: Platform, tenant: Tenant, turn_id: str, after: int = 0) -> list[Recorded]:
    async with aclosing(platform.turns.follow(tenant.principal, turn_id, after=after)) as events:
        return [recorded async for recorded in events]


def results(events: Sequence[Recorded]) -> list[tuple[bool, str]]:
    return [(r.event.result.failed, r.event.result.content) for r in events if isinstance(r.event, ToolReturned)]


def end(events: Sequence[Recorded]) -> TurnEnded:
    last = events[-1].event
    assert isinstance(last, TurnEnded)
    return last


def text(events: Sequence[Recorded]) -> str:
    return "".join(r.event.text for r in events if isinstance(r.event, TextDelta))


async def items(platform: Platform, tenant: Tenant, conversation_id: str) -> Sequence[Item]:
    page = await platform.conversations.list_items(
        tenant.principal.organization_id, conversation_id, after=None, limit=100, descending=False
    )
    return page.rows


async def test_a_model_runs_code_in_the_sandbox_and_answers_with_its_result(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    async with stage.open_with(code("print(1234 * 5678)"), ANSWER) as platform:
        events = await play(platform, tenant, asking("What is 1234 * 5678?", builtins=("code_interpreter",)))
        assert results(events) == [(False, "7006652")]
        assert text(events) == "It is 7006652."
        assert end(events).status is TurnStatus.COMPLETED
        assert [r.seq for r in events] == list(range(1, len(events) + 1))
        assert [n for n, r in enumerate(events) if isinstance(r.event, TurnStarted)] == [0]
        assert any(isinstance(r.event, ToolOutput) for r in events)
        turn_id = next(r.event.call_id for r in events if isinstance(r.event, ToolDispatched))
    async with database.tenant(tenant.principal.organization_id) as connection:
        [row] = (await connection.execute(sa.select(tool_ledger).where(tool_ledger.c.call_path == turn_id))).all()
    assert (row.state, row.tool, row.effect) == ("completed", "code_interpreter", "pure")


async def test_a_turn_with_one_tool_waits_for_two_commits_while_the_model_is_not_at_work(
    stage: Stage, tenant: Tenant, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Accepted (the model is asked meanwhile), dispatched, and the end with what was returned; nothing else is in the
    way. Where the model is faster than the first commit, the first two are one.
    """
    monkeypatch.setattr(journal, "LINGER_SECONDS", 60.0)
    async with stage.open_with(code("print(1)"), ANSWER) as platform:
        turn = await platform.turns.start(tenant.principal, asking("go", builtins=("code_interpreter",)))
        assert (await platform.turns.wait(tenant.principal, turn.id)).status is TurnStatus.COMPLETED
    async with database.everyone() as connection:
        count = sa.text("SELECT count(DISTINCT created_at) FROM turn_events WHERE turn_id = :id")  # the time of its transaction
        assert await connection.scalar(count, {"id": turn.id}) in (2, 3)


async def test_what_was_streamed_is_what_is_stored(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(code("print('hi')"), ANSWER) as platform:
        turn = await platform.turns.start(tenant.principal, asking("go", builtins=("code_interpreter",)))
        live = await read(platform, tenant, turn.id)
        assert await platform.turns.events(tenant.principal, turn.id) == live
        assert await read(platform, tenant, turn.id, after=3) == live[3:]
    async with stage.open_with(HELLO) as restarted:
        assert await read(restarted, tenant, turn.id) == live


async def test_bad_arguments_are_told_to_the_model_and_never_reach_the_sandbox(stage: Stage, tenant: Tenant) -> None:
    calls = [
        {"name": "code_interpreter", "arguments": "{not json"},
        {"name": "code_interpreter", "arguments": {"cod": "1"}},
        {"name": "code_interpreter", "arguments": "[1]"},
        {"name": "made_up", "arguments": {}},
    ]
    rule = {"when": {"tool_results": 0}, "reply": {"tool_calls": calls}}
    async with stage.open_with(rule, {"reply": {"text": "sorry"}}) as platform:
        events = await play(platform, tenant, asking("go", builtins=("code_interpreter",)))
    told = results(events)
    assert all(failed for failed, _ in told)
    assert [message.split(":")[0] for _, message in told] == [
        "arguments are not JSON",
        "arguments do not fit the schema of 'code_interpreter'",
        "arguments must be a JSON object, not list",
        "unknown tool 'made_up'; available",
    ]
    assert not any(isinstance(r.event, ToolDispatched) for r in events)
    assert text(events) == "sorry"


async def test_a_guest_that_fails_is_an_answer_to_the_model(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(code("print('before'); 1/0"), ANSWER) as platform:
        events = await play(platform, tenant, asking("go", builtins=("code_interpreter",)))
    [(failed, told)] = results(events)
    assert failed
    assert told.startswith("before\nTraceback")
    assert told.endswith("ZeroDivisionError: division by zero")
    assert end(events).status is TurnStatus.COMPLETED


async def test_a_clients_function_ends_the_turn_and_its_output_continues_the_next(stage: Stage, tenant: Tenant) -> None:
    asks = {"when": {"tool_results": 0}, "reply": {"tool_calls": [{"name": "weather", "arguments": {"city": "Oslo"}}]}}
    async with stage.open_with(asks, ANSWER) as platform:
        turn = await platform.turns.start(tenant.principal, asking("weather?", functions=(WEATHER,)))
        events = await read(platform, tenant, turn.id)
        assert end(events).status is TurnStatus.COMPLETED
        replied = next(r.event for r in events if isinstance(r.event, Replied))
        [call] = [item for item in replied.items if isinstance(item, ToolCallItem)]
        output = FunctionOutputItem(id=new_id("fco"), call_id=call.call.id, output="sunny")
        request = TurnRequest(input=(output,), previous_turn_id=turn.id, functions=(WEATHER,))
        assert text(await play(platform, tenant, request)) == "It is sunny."


async def test_a_model_that_repeats_itself_is_stopped(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(code("1", contains="go"), code("1", after_tool=True)) as platform:
        events = await play(platform, tenant, asking("go", builtins=("code_interpreter",)))
    assert (end(events).status, end(events).reason) == (TurnStatus.INCOMPLETE, "repetition")


async def test_a_model_that_never_stops_asking_is_made_to_answer_or_stopped(stage: Stage, tenant: Tenant) -> None:
    rules = [code(f"print({n})", tool_results=n) for n in range(6)]
    async with stage.open_with(*rules, max_steps=3) as platform:
        events = await play(platform, tenant, asking("go", builtins=("code_interpreter",)))
    assert len(results(events)) == 3
    assert (end(events).status, end(events).reason) == (TurnStatus.INCOMPLETE, "step_limit")


async def test_calls_over_the_callers_limit_are_not_run(stage: Stage, tenant: Tenant) -> None:
    two = {"reply": {"tool_calls": [{"name": "code_interpreter", "arguments": {"code": f"print({n})"}} for n in (1, 2)]}}
    async with stage.open_with({"when": {"tool_results": 0}, **two}, {"reply": {"text": "ok"}}) as platform:
        events = await play(platform, tenant, asking("go", builtins=("code_interpreter",), max_tool_calls=1))
    assert sorted(failed for failed, _ in results(events)) == [False, True]
    assert text(events) == "ok"


async def test_a_turn_that_takes_too_long_is_ended_incomplete(stage: Stage, tenant: Tenant) -> None:
    stuck = {"reply": [{"text": "slow"}, {"pause_seconds": 600, "text": "er"}]}
    async with stage.open_with(stuck, turn_seconds=2) as platform:
        events = await play(platform, tenant, asking("go"))
    assert (end(events).status, end(events).reason) == (TurnStatus.INCOMPLETE, "time_limit")
    assert text(events) == "slow"


async def test_cancelling_kills_the_guest_and_keeps_what_there_was(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(code("print('started', flush=True)\nwhile True: pass"), ANSWER) as platform:
        conversation = await platform.conversations.create(tenant.principal.organization_id, metadata={}, items=[])
        request = asking("go", builtins=("code_interpreter",), conversation_id=conversation.id)
        turn = await platform.turns.start(tenant.principal, request)
        async with aclosing(platform.turns.follow(tenant.principal, turn.id)) as events:
            async for recorded in events:
                if isinstance(recorded.event, ToolOutput):
                    break
        ended = await platform.turns.cancel(tenant.principal, turn.id)
        assert ended.status is TurnStatus.CANCELLED
        kept = await items(platform, tenant, conversation.id)
        assert [type(item).__name__ for item in kept] == ["MessageItem", "ToolCallItem"]
        again = await platform.turns.start(tenant.principal, replace(request, input=(says("x"),), builtins=()))
        await platform.turns.cancel(tenant.principal, again.id)


async def test_a_second_turn_in_a_conversation_is_refused_while_the_first_runs(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(SLOW) as platform:
        conversation = await platform.conversations.create(tenant.principal.organization_id, metadata={}, items=[])
        first = await platform.turns.start(tenant.principal, asking("a", conversation_id=conversation.id))
        with pytest.raises(Conflict, match="has a turn running"):
            await platform.turns.start(tenant.principal, asking("b", conversation_id=conversation.id))
        await platform.turns.cancel(tenant.principal, first.id)
        kept = await items(platform, tenant, conversation.id)
        assert [item.parts[0] for item in kept if isinstance(item, MessageItem) and item.role is Role.USER] == [Text(text="a")]


async def test_a_conversation_remembers(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(code("print(6 * 7)", contains="first"), ANSWER, HELLO) as platform:
        conversation = await platform.conversations.create(tenant.principal.organization_id, metadata={}, items=[])
        await play(platform, tenant, asking("first", builtins=("code_interpreter",), conversation_id=conversation.id))
        await play(platform, tenant, asking("second", conversation_id=conversation.id))
        kinds = [type(item).__name__ for item in await items(platform, tenant, conversation.id)]
        assert kinds == ["MessageItem", "ToolCallItem", "MessageItem", "MessageItem", "MessageItem"]


async def test_an_unstored_turn_stops_when_its_reader_leaves(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(SLOW) as platform:
        turn = await platform.turns.start(tenant.principal, asking("go", store=False))
        running = platform.turns.running[turn.id]
        async with aclosing(platform.turns.follow(tenant.principal, turn.id)) as events:
            async for recorded in events:
                if isinstance(recorded.event, TextDelta):
                    break
        assert (await running.ended()).status is TurnStatus.CANCELLED
        assert turn.id not in platform.turns.running
        with pytest.raises(NotFound):
            await platform.turns.get(tenant.principal, turn.id)


async def test_a_stored_turn_goes_on_when_its_reader_leaves(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(SLOW | {"pace_seconds": 0.001}) as platform:
        turn = await platform.turns.start(tenant.principal, asking("go"))
        async with aclosing(platform.turns.follow(tenant.principal, turn.id)) as events:
            async for _ in events:
                break
        assert (await platform.turns.wait(tenant.principal, turn.id)).status is TurnStatus.COMPLETED


async def test_a_revoked_key_stops_its_running_turn(stage: Stage, tenant: Tenant, other_tenant: Tenant) -> None:
    async with stage.open_with(SLOW) as platform:
        turn = await platform.turns.start(tenant.principal, asking("go"))
        await platform.keys.revoke(tenant.principal, tenant.principal.key_id)
        ended = await platform.turns.wait(tenant.principal, turn.id)
        assert (ended.status, ended.reason) == (TurnStatus.FAILED, "key_revoked")


async def test_another_tenants_turn_is_not_there(stage: Stage, tenant: Tenant, other_tenant: Tenant) -> None:
    async with stage.open_with(SLOW) as platform:
        turn = await platform.turns.start(tenant.principal, asking("go"))
        for attempt in (
            platform.turns.get(other_tenant.principal, turn.id),
            platform.turns.cancel(other_tenant.principal, turn.id),
            platform.turns.delete(other_tenant.principal, turn.id),
            read(platform, other_tenant, turn.id),
        ):
            with pytest.raises(NotFound):
                await attempt
        with pytest.raises(InvalidRequest) as refused:
            await platform.turns.start(other_tenant.principal, asking("x", previous_turn_id=turn.id))
        assert refused.value.code == "previous_response_not_found"
        await platform.turns.cancel(tenant.principal, turn.id)


async def test_a_turn_of_another_process_can_be_followed_and_cancelled(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(SLOW) as runs, stage.open_with(HELLO) as reads:
        turn = await runs.turns.start(tenant.principal, asking("go"))
        reader = asyncio.create_task(read(reads, tenant, turn.id))
        ended = await reads.turns.cancel(tenant.principal, turn.id)
        assert ended.status is TurnStatus.CANCELLED
        assert await reader == await reads.turns.events(tenant.principal, turn.id)


async def test_a_turn_whose_process_died_goes_on_in_another_and_closes_what_was_cut_off(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    async with stage.open_with(SLOW, lease_seconds=300) as dying:  # it looks for turns to go on with every 100 seconds
        turn = await dying.turns.start(tenant.principal, asking("go"))
        async with aclosing(dying.turns.follow(tenant.principal, turn.id)) as events:
            async for recorded in events:
                if isinstance(recorded.event, TextDelta):
                    break
        async with database.everyone() as connection:
            lost = "UPDATE turns SET lease_owner = 'gone', lease_expires_at = now() - interval '1 minute'"
            fenced = "lease_epoch = lease_epoch + 1"  # who had it neither renews its lease nor writes any more
            await connection.execute(sa.text(f"{lost}, {fenced} WHERE id = :id"), {"id": turn.id})
        async with stage.open_with(HELLO) as heir:
            ended = await heir.turns.wait(tenant.principal, turn.id)
            assert ended.status is TurnStatus.COMPLETED
            events = await read(heir, tenant, turn.id)
            assert [recorded.seq for recorded in events] == list(range(1, len(events) + 1))
            assert text(events).startswith("s")
            assert text(events).endswith("Hello there")
            assert sum(isinstance(recorded.event, ReplyCut) for recorded in events) == 1
            assert await read(dying, tenant, turn.id) == events


async def test_a_turn_of_a_platform_that_closes_goes_on_in_the_next_at_once(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(SLOW) as platform:
        turn = await platform.turns.start(tenant.principal, asking("go"))
    async with stage.open_with(HELLO, lease_seconds=300) as again, asyncio.timeout(60):
        assert (await again.turns.wait(tenant.principal, turn.id)).status is TurnStatus.COMPLETED
        assert text(await read(again, tenant, turn.id)).endswith("Hello there")


async def test_a_model_is_told_whose_request_it_is_and_not_who_that_is(
    stage: Stage, tenant: Tenant, other_tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    owners: list[str] = []
    stream = ObservedModel.stream

    def noted(self: ObservedModel, request: ModelRequest) -> AsyncGenerator[Chunk, None]:
        owners.append(str(request.owner))
        return stream(self, request)

    monkeypatch.setattr(ObservedModel, "stream", noted)
    async with stage.open_with(HELLO) as platform:
        for who in (tenant, other_tenant, tenant):
            await play(platform, who, asking("hello"))
    assert owners[0] == owners[2] != owners[1]
    assert tenant.principal.organization_id.partition("_")[2] not in owners[0]


async def test_output_tokens_are_counted_over_the_whole_turn(stage: Stage, tenant: Tenant) -> None:
    asks = code("print(1)") | {"usage": {"input": 5, "output": 10}}
    async with stage.open_with(asks, ANSWER) as platform:
        request = asking("go", builtins=("code_interpreter",), sampling=Sampling(max_output_tokens=10))
        events = await play(platform, tenant, request)
    assert (end(events).status, end(events).reason) == (TurnStatus.INCOMPLETE, "max_output_tokens")
    assert end(events).usage.output == 10


async def test_what_a_request_may_not_ask_is_refused_before_anything_is_stored(stage: Stage, tenant: Tenant) -> None:
    picture = MessageItem(id=new_id("msg"), role=Role.USER, parts=(Image(url="data:image/png;base64,AA=="),))
    async with stage.open_with(HELLO) as platform:
        for request, codes in (
            (asking("x", model="nope"), "model_not_found"),
            (TurnRequest(input=(picture,)), "unsupported_image"),
            (
                TurnRequest(input=(FunctionOutputItem(id="fco_1", call_id="c", output="", images=picture.parts),)),
                "unsupported_image",
            ),
            (asking("x", builtins=("rocket",)), "unknown_tool"),
            (asking("x", functions=(WEATHER, WEATHER)), "duplicate_tool"),
        ):
            with pytest.raises((InvalidRequest, NotFound)) as refused:
                await platform.turns.start(tenant.principal, request)
            assert refused.value.code == codes
        with pytest.raises(NotFound):
            await platform.turns.start(tenant.principal, asking("x", conversation_id="conv_no"))
        assert not platform.turns.running


async def test_a_model_that_takes_no_images_is_not_given_those_of_before(stage: Stage, tenant: Tenant) -> None:
    picture = MessageItem(id=new_id("msg"), role=Role.USER, parts=(Image(url="data:image/png;base64,AA=="),))
    async with stage.open_with(HELLO) as platform:
        conversation = await platform.conversations.create(tenant.principal.organization_id, metadata={}, items=[picture])
        with pytest.raises(InvalidRequest, match=picture.id) as refused:
            await platform.turns.start(tenant.principal, asking("and now?", conversation_id=conversation.id))
    assert (refused.value.param, refused.value.code) == ("conversation", "unsupported_image")


async def test_deleting_a_response_forgets_its_text(stage: Stage, tenant: Tenant, database: Database) -> None:
    async with stage.open_with(HELLO) as platform:
        turn = await platform.turns.start(tenant.principal, asking("secret question"))
        with pytest.raises(NotFound):
            await platform.turns.delete(tenant.principal, "resp_unknown")
        await platform.turns.wait(tenant.principal, turn.id)
        await platform.turns.delete(tenant.principal, turn.id)
        with pytest.raises(NotFound):
            await platform.turns.get(tenant.principal, turn.id)
    async with database.everyone() as connection:
        for table in ("turn_events", "items"):
            query = sa.text(f"SELECT count(*) FROM {table} WHERE turn_id = :id")
            assert (await connection.execute(query, {"id": turn.id})).scalar_one() == 0


async def test_the_platform_says_whether_it_is_ready(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.bootstrap.CHECK_SECONDS", 60.0)  # a machine that stands still is no server that is away
    async with stage.open_with(HELLO) as platform:
        readiness = await platform.readiness()
    assert readiness.ready, readiness.checks
    nowhere = replace(stage.addresses, sandbox=stage.home / "none.sock", redis="unix:///nowhere.sock")
    async with replace(stage, addresses=nowhere).open_with(HELLO) as platform:
        readiness = await platform.readiness()
    assert not readiness.ready
    assert "no sandbox host" in readiness.checks["sandbox"]
    assert readiness.checks["redis"] != "ok"


async def test_a_server_that_no_longer_takes_turns_from_the_queue_is_not_ready(stage: Stage) -> None:
    async with stage.open_with(HELLO) as platform:
        [runner] = [task for task in asyncio.all_tasks() if task.get_name() == "Runner"]
        runner.cancel()
        await asyncio.wait([runner])
        readiness = await platform.readiness()
    assert not readiness.ready
    assert readiness.checks["background"] == "Runner has stopped; the server must be started again"
