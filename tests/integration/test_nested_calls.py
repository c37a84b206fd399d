"""Calls that code makes inside a call: judged, recorded one by one, and after a crash not done twice."""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa

from core.bootstrap import Platform
from core.errors import InvalidRequest
from core.events import NestedDispatched, NestedReturned, Recorded, ToolDispatched, TurnStatus
from core.storage.database import Database
from core.tools.approval import Asking
from core.tools.catalog import Caller, Selection
from core.tools.definition import Manifest
from core.tools.permissions import Per, Period, Permissions, Quota
from core.tools.registry import Conditions
from core.tools.telling import UNKNOWN
from tests.integration.conftest import Stage, Tenant
from tests.integration.test_recovery import Control, cut
from tests.integration.test_turns import asking, results, text

PATIENCE_SECONDS = 60
CALL = {"when": {"tool_results": 0}, "reply": {"tool_calls": [{"name": "plan", "arguments": {"n": 3}}]}}
STORY = (CALL, {"when": {"tool_results": 1}, "reply": {"text": "All is done."}})
EVERYBODY = Conditions(permissions=Permissions(organization=True), quotas=(), enabled=True)
NOBODY = Conditions(permissions=Permissions(), quotas=(), enabled=True)
PLAN = "from paddock import call, ToolError\ndef main(n):\n    return [call('step', n=i)['did'] for i in range(n)]\n"
STEP = "def main(n):\n    return {'did': n}\n"


def manifest(name: str, code: str, *, tools: Sequence[str] = (), effect: str = "effectful", **more: Any) -> Manifest:
    return Manifest.model_validate(
        {
            "name": name,
            "description": "Does it",
            "parameters": {
                "type": "object",
                "properties": {"n": {"type": "integer"}},
                "required": ["n"],
                "additionalProperties": False,
            },
            "runtime": {"kind": "python", "code": code},
            "capabilities": {"tools": list(tools)},
            "effect": effect,
            **more,
        }
    )


async def add(platform: Platform, tenant: Tenant, made: Manifest, conditions: Conditions = EVERYBODY) -> None:
    await platform.tools.create(tenant.principal, made, conditions)


async def play(platform: Platform, tenant: Tenant) -> Control:
    turn = await platform.turns.start(tenant.principal, asking("go", registry=Selection()))
    await platform.turns.wait(tenant.principal, turn.id)
    return Control(turn, await platform.turns.events(tenant.principal, turn.id))


async def told(
    stage: Stage, tenant: Tenant, plan: Manifest, step: Manifest, conditions: Conditions = NOBODY
) -> tuple[bool, str]:
    """What the model is told of `plan`, whose code may call `step`."""
    async with stage.open_with(*STORY) as platform, asyncio.timeout(PATIENCE_SECONDS):
        await add(platform, tenant, step, conditions)
        await add(platform, tenant, plan)
        [result] = results((await play(platform, tenant)).events)
    return result


async def ledger(database: Database, turn_id: str) -> Mapping[str, str]:
    async with database.everyone() as connection:
        query = sa.text("SELECT call_path, state FROM tool_ledger WHERE turn_id = :id ORDER BY call_path")
        return {row.call_path.partition("/")[2]: row.state for row in await connection.execute(query, {"id": turn_id})}


async def test_code_calls_a_tool_that_its_manifest_grants_and_each_call_has_its_row(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    async with stage.open_with(*STORY) as platform, asyncio.timeout(PATIENCE_SECONDS):
        await add(platform, tenant, manifest("step", STEP), NOBODY)
        await add(platform, tenant, manifest("plan", PLAN, tools=["step"]))
        whole = await play(platform, tenant)
    assert results(whole.events) == [(False, "[0, 1, 2]")]
    assert await ledger(database, whole.turn.id) == {"": "completed", "0": "completed", "1": "completed", "2": "completed"}
    nested = [recorded.event for recorded in whole.events if isinstance(recorded.event, NestedDispatched)]
    assert [(event.path, event.tool, event.effect) for event in nested] == [((n,), "step", "effectful") for n in range(3)]


async def test_code_that_was_called_by_code_calls_on(stage: Stage, tenant: Tenant, database: Database) -> None:
    inner = "from paddock import call\ndef main(n):\n    return {'did': call('leaf', n=n)['did'] * 10}\n"
    async with stage.open_with(*STORY) as platform, asyncio.timeout(PATIENCE_SECONDS):
        await add(platform, tenant, manifest("leaf", STEP), NOBODY)
        await add(platform, tenant, manifest("step", inner, tools=["leaf"]), NOBODY)
        await add(platform, tenant, manifest("plan", PLAN, tools=["step"]))
        whole = await play(platform, tenant)
    assert results(whole.events) == [(False, "[0, 10, 20]")]
    assert list(await ledger(database, whole.turn.id)) == ["", "0", "0/0", "1", "1/0", "2", "2/0"]


WRONG = """
from paddock import call, ToolError
def main(n):
    try:
        {call}
    except ToolError as error:
        return str(error)
"""


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("return call('step', n='x')", "arguments do not fit the schema of 'step'"),
        ("return call('step')", "is a required property"),
        ("return call('step', n=1, m=2)", "arguments do not fit the schema"),
        ("return call('other', n=1)", "may not call a tool 'other'"),
        ("return call('plan', n=1)", "may not call a tool 'plan'"),
        ("return call('code_interpreter', code='1')", "may not call a tool"),
        ("return call('s' * 100_000, n=1)", "may not call a tool"),
        ("import wit_world; return wit_world.call_tool('step', 'no json')", "arguments are not JSON"),
        ("import wit_world; return wit_world.call_tool('step', '[1]')", "must be a JSON object"),
        ("import wit_world; return wit_world.call_tool('step', '{\"n\": 1, \"n\": 2}')", "given twice"),
        ("return [call('step', n=1) for _ in range(101)]", "at most 100 calls"),
    ],
)
async def test_a_call_that_is_not_valid_or_not_granted_is_refused_in_words(
    stage: Stage, tenant: Tenant, call: str, message: str
) -> None:
    code = WRONG.replace("{call}", call).replace("except ToolError as error", "except BaseException as error")
    failed, content = await told(
        stage, tenant, manifest("plan", code.replace("str(error)", "str(getattr(error, 'value', error))"), tools=["step"]),
        manifest("step", STEP),
    )  # fmt: skip
    assert message in content
    assert not failed


async def test_a_tool_that_is_turned_off_or_over_its_quota_is_refused_to_code_too(stage: Stage, tenant: Tenant) -> None:
    code = WRONG.replace("{call}", "call('step', n=1); call('step', n=2); return call('step', n=3)")
    quota = Quota(per=Per.ORGANIZATION, period=Period.DAY, calls=2)
    conditions = Conditions(permissions=Permissions(), quotas=(quota,), enabled=True)
    _, content = await told(stage, tenant, manifest("plan", code, tools=["step"]), manifest("step", STEP), conditions)
    assert "may be called 2 times in a day" in content


async def test_what_fails_inside_is_an_error_that_code_can_take(stage: Stage, tenant: Tenant) -> None:
    broken = manifest("step", "def main(n):\n    raise ValueError('no luck')\n")
    _, content = await told(
        stage, tenant, manifest("plan", WRONG.replace("{call}", "return call('step', n=1)"), tools=["step"]), broken
    )
    assert "no luck" in content


async def test_a_result_too_long_for_code_is_an_error_and_not_half_a_result(stage: Stage, tenant: Tenant) -> None:
    long = manifest("step", "def main(n):\n    return 'x' * 1_000_000\n", limits={"output_bytes": 2_000_000})
    _, content = await told(
        stage, tenant, manifest("plan", WRONG.replace("{call}", "return call('step', n=1)"), tools=["step"]), long
    )
    assert "code is given at most 1000000" in content


async def test_all_that_code_is_given_in_one_call_has_a_limit(stage: Stage, tenant: Tenant) -> None:
    """Whoever runs or reads the turn has it in memory."""
    long = manifest("step", "def main(n):\n    return 'x' * 900_000\n", limits={"output_bytes": 2_000_000})
    code = WRONG.replace("{call}", "return [call('step', n=1) for _ in range(12)]")
    _, content = await told(stage, tenant, manifest("plan", code, tools=["step"]), long)
    assert "not run: code is given at most 8000000 characters in all" in content


@pytest.mark.parametrize(
    ("plan", "path", "message"),
    [
        (manifest("plan", PLAN, tools=["nothing"]), "capabilities.tools[0]", "no enabled tool 'nothing'"),
        (manifest("plan", PLAN, tools=["code_interpreter"]), "capabilities.tools[0]", "no enabled tool"),
        (manifest("plan", PLAN, tools=["plan"]), "capabilities.tools[0]", "no enabled tool 'plan'"),
        (manifest("plan", PLAN, tools=["asks"]), "capabilities.tools[0]", "needs a human's approval"),
        (manifest("plan", PLAN, tools=["step"], effect="idempotent"), "effect", "may call what is 'effectful'"),
        (manifest("plan", PLAN, tools=["step"], effect="pure"), "effect", "'pure' is refused"),
    ],
)
async def test_a_manifest_that_grants_what_cannot_be_is_refused_with_its_path(
    stage: Stage, tenant: Tenant, plan: Manifest, path: str, message: str
) -> None:
    async with stage.open_with(*STORY) as platform:
        await add(platform, tenant, manifest("step", STEP))
        await add(platform, tenant, manifest("asks", STEP, approval="always"))
        with pytest.raises(InvalidRequest, match=message) as refused:
            await add(platform, tenant, plan)
    assert refused.value.param == path


async def test_code_calls_the_version_that_its_tool_was_added_with_until_it_is_added_again(
    stage: Stage, tenant: Tenant
) -> None:
    """What a human approved and an auditor reads is all that can happen."""
    plan, new_step = manifest("plan", PLAN, tools=["step"]), manifest("step", STEP.replace("n}", "n + 10}"))
    async with stage.open_with(*STORY) as platform, asyncio.timeout(PATIENCE_SECONDS):
        await add(platform, tenant, manifest("step", STEP), NOBODY)
        await add(platform, tenant, plan)
        before = await platform.tools.get(tenant.principal, "plan")
        await platform.tools.add_version(tenant.principal, "step", new_step)
        assert results((await play(platform, tenant)).events) == [(False, "[0, 1, 2]")]
        after = await platform.tools.add_version(tenant.principal, "plan", plan)
        assert (after.version, after.digest != before.digest) == (2, True)
        assert results((await play(platform, tenant)).events) == [(False, "[10, 11, 12]")]
        old = await platform.tools.version(tenant.principal, "plan", 1)
        stored = Manifest.model_validate_json(old.manifest)
        with pytest.raises(InvalidRequest, match="the tools that it names are now") as refused:
            await platform.tools.add_version(tenant.principal, "plan", stored)
        assert refused.value.param == "runtime.tools"


async def test_a_tool_whose_code_calls_nothing_has_the_digest_that_it_had_before_code_could_call(
    stage: Stage, tenant: Tenant
) -> None:
    """Else whoever adds it again after an upgrade voids the approvals that wait."""
    async with stage.open_with(*STORY) as platform:
        await add(platform, tenant, manifest("step", STEP))
        stored = await platform.tools.version(tenant.principal, "step", 1)
    assert json.loads(stored.manifest)["runtime"] == {"kind": "python", "code": STEP}


async def test_calls_that_go_in_a_circle_are_refused_when_the_circle_would_close(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(*STORY) as platform:
        await add(platform, tenant, manifest("a", STEP))
        await add(platform, tenant, manifest("b", STEP, tools=["a"]))
        await add(platform, tenant, manifest("c", STEP, tools=["b"]))
        with pytest.raises(InvalidRequest, match="in a circle: a -> c -> b -> a"):
            await platform.tools.add_version(tenant.principal, "a", manifest("a", STEP, tools=["c"]))
        await add(platform, tenant, manifest("d", STEP, tools=["c"]))
        with pytest.raises(InvalidRequest, match="3 deep at most"):
            await add(platform, tenant, manifest("e", STEP, tools=["d"]))


async def test_what_code_has_called_is_given_back_and_not_repeated_wherever_its_process_died(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    """The key of an idempotent call is the same each time, and a call that has returned is not dispatched again."""
    async with stage.open_with(*STORY, lease_seconds=1) as platform, asyncio.timeout(PATIENCE_SECONDS):
        await add(platform, tenant, manifest("step", STEP, effect="idempotent"), NOBODY)
        await add(platform, tenant, manifest("plan", PLAN, tools=["step"], effect="idempotent"))
        whole = await play(platform, tenant)
        copies = [await cut(database, whole, last) for last in range(1, len(whole.events))]
        for last, copy in enumerate(copies, start=1):
            turn = await platform.turns.wait(tenant.principal, copy)
            events = await platform.turns.events(tenant.principal, copy)
            assert turn.status is TurnStatus.COMPLETED, f"cut after {whole.events[last - 1]}: {turn}"
            assert results(events) == [(False, "[0, 1, 2]")]
            assert text(events).endswith("All is done.")
            assert dispatches_after_return(events) == []
            assert set((await ledger(database, copy)).values()) <= {"completed"}


def dispatches_after_return(events: Sequence[Recorded]) -> list[tuple[int, ...]]:
    returned, again = set(), []
    for recorded in events:
        match recorded.event:
            case NestedReturned(path=path):
                returned.add(path)
            case NestedDispatched(path=path) if path in returned:
                again.append(path)
    return again


async def test_effectful_calls_of_code_are_never_dispatched_twice(stage: Stage, tenant: Tenant, database: Database) -> None:
    async with stage.open_with(*STORY, lease_seconds=1) as platform, asyncio.timeout(PATIENCE_SECONDS):
        await add(platform, tenant, manifest("step", STEP), NOBODY)
        await add(platform, tenant, manifest("plan", PLAN, tools=["step"]))
        whole = await play(platform, tenant)
        dispatched = next(r.seq for r in whole.events if isinstance(r.event, ToolDispatched))
        after = [r for r in whole.events if r.seq >= dispatched and isinstance(r.event, ToolDispatched | NestedDispatched)]
        copies = [(recorded, await cut(database, whole, recorded.seq)) for recorded in after]
        for recorded, copy in copies:
            await platform.turns.wait(tenant.principal, copy)
            events = await platform.turns.events(tenant.principal, copy)
            assert results(events) == [(True, UNKNOWN)]
            paths = [r.event.path for r in events if isinstance(r.event, NestedDispatched)]
            assert len(paths) == len(set(paths)), f"cut after {recorded}"


async def test_code_that_calls_something_else_when_it_runs_again_is_stopped(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    code = "import time\nfrom paddock import call\ndef main(n):\n    return call('step', n=time.time_ns())\n"
    async with stage.open_with(*STORY, lease_seconds=1) as platform, asyncio.timeout(PATIENCE_SECONDS):
        await add(platform, tenant, manifest("step", STEP, effect="idempotent"), NOBODY)
        await add(platform, tenant, manifest("plan", code, tools=["step"], effect="idempotent"))
        whole = await play(platform, tenant)
        last = next(r.seq for r in whole.events if isinstance(r.event, NestedReturned))
        copy = await cut(database, whole, last)
        await platform.turns.wait(tenant.principal, copy)
        [(failed, content)] = results(await platform.turns.events(tenant.principal, copy))
    assert failed
    assert "called something else than before" in content


@dataclass(frozen=True)
class Again:
    """A turn that is cut off after `last` of its events, and goes on when its world has changed."""

    platform: Platform
    tenant: Tenant
    database: Database

    async def told(self, whole: Control, last: int, *changed: tuple[str, Conditions]) -> tuple[bool, str]:
        for name, conditions in changed:
            await self.platform.tools.change(self.tenant.principal, name, conditions)
        copy = await cut(self.database, whole, last)
        await self.platform.turns.wait(self.tenant.principal, copy)
        [result] = results(await self.platform.turns.events(self.tenant.principal, copy))
        return result


def last_of(whole: Control, kind: type) -> int:
    return max(recorded.seq for recorded in whole.events if isinstance(recorded.event, kind))


async def test_a_call_of_code_that_is_not_allowed_any_more_is_not_sent_again_after_a_crash(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    async with stage.open_with(*STORY, lease_seconds=1) as platform, asyncio.timeout(PATIENCE_SECONDS):
        await add(platform, tenant, manifest("step", STEP, effect="idempotent"), NOBODY)
        await add(platform, tenant, manifest("plan", PLAN, tools=["step"], effect="idempotent"))
        whole, again = await play(platform, tenant), Again(platform, tenant, database)
        last = last_of(whole, NestedDispatched)
        failed, content = await again.told(whole, last, ("step", Conditions(enabled=False)))
        assert failed
        assert UNKNOWN in content, "it was sent once"
        failed, content = await again.told(whole, last - 1)
        assert failed
        assert "not run: tool 'step' is turned off" in content


async def test_a_call_of_code_that_was_sent_before_a_crash_counts_once(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    quota = Quota(per=Per.ORGANIZATION, period=Period.DAY, calls=3)
    thrice = Conditions(permissions=Permissions(), quotas=(quota,), enabled=True)
    async with stage.open_with(*STORY, lease_seconds=1) as platform, asyncio.timeout(PATIENCE_SECONDS):
        await add(platform, tenant, manifest("step", STEP, effect="idempotent"), thrice)
        await add(platform, tenant, manifest("plan", PLAN, tools=["step"], effect="idempotent"))
        whole, again = await play(platform, tenant), Again(platform, tenant, database)
        assert await again.told(whole, last_of(whole, NestedDispatched)) == (False, "[0, 1, 2]")


async def test_a_call_of_code_that_was_refused_is_refused_again_when_the_code_runs_again(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    """Else its code would go another way than it went, and both ways would be gone."""
    code = WRONG.replace("{call}", "return call('step', n=1)['did']").replace("str(error)", "call('other', n=2)['did']")
    quota = Quota(per=Per.ORGANIZATION, period=Period.DAY, calls=1)
    once = Conditions(permissions=Permissions(), quotas=(quota,), enabled=True)
    async with stage.open_with(*STORY, lease_seconds=1) as platform, asyncio.timeout(PATIENCE_SECONDS):
        await add(platform, tenant, manifest("step", STEP, effect="idempotent"), once)
        await add(platform, tenant, manifest("other", STEP, effect="idempotent"), NOBODY)
        await add(platform, tenant, manifest("plan", code, tools=["step", "other"], effect="idempotent"))
        assert results((await play(platform, tenant)).events) == [(False, "1")]
        whole, again = await play(platform, tenant), Again(platform, tenant, database)
        assert results(whole.events) == [(False, "2")]
        assert await again.told(whole, last_of(whole, NestedReturned), ("step", Conditions(quotas=()))) == (False, "2")


async def test_code_that_fails_after_a_crash_tells_what_it_had_called_before(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    code = "from paddock import call\ndef main(n):\n    call('step', n=n)\n    raise ValueError('after that')\n"
    async with stage.open_with(*STORY, lease_seconds=1) as platform, asyncio.timeout(PATIENCE_SECONDS):
        await add(platform, tenant, manifest("step", STEP, effect="idempotent"), NOBODY)
        await add(platform, tenant, manifest("plan", code, tools=["step"], effect="idempotent"))
        whole, again = await play(platform, tenant), Again(platform, tenant, database)
        _, content = await again.told(whole, last_of(whole, NestedReturned))
    assert content.endswith("before it failed, its code had called 'step'")


async def test_what_a_tool_lets_its_code_call_is_not_what_its_caller_may_call(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    """Also where both are versions of one tool."""
    direct = {"when": {"tool_results": 0}, "reply": {"tool_calls": [{"name": "step", "arguments": {"n": 3}}]}}
    async with stage.open_with(direct, STORY[1], lease_seconds=1) as platform, asyncio.timeout(PATIENCE_SECONDS):
        await add(platform, tenant, manifest("step", STEP))
        await add(platform, tenant, manifest("plan", PLAN, tools=["step"]))
        await platform.tools.add_version(tenant.principal, "step", manifest("step", STEP.replace("n}", "n + 10}")))
        whole, again = await play(platform, tenant), Again(platform, tenant, database)
        assert results(whole.events) == [(False, '{"did": 13}')]
        told = await again.told(whole, 1, ("step", NOBODY))
    assert told == (True, "not run: this key may not use tool 'step'")


async def test_code_does_not_call_what_was_deleted_whatever_has_its_name_now(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(*STORY) as platform, asyncio.timeout(PATIENCE_SECONDS):
        await add(platform, tenant, manifest("step", STEP), NOBODY)
        await add(platform, tenant, manifest("plan", PLAN, tools=["step"]))
        await platform.tools.delete(tenant.principal, "step")
        await add(platform, tenant, manifest("step", STEP.replace("n}", "n + 10}")), NOBODY)
        [(failed, content)] = results((await play(platform, tenant)).events)
    assert failed
    assert "no enabled tool 'step' in the registry" in content


CODE = "from paddock import call\nprint(sum(call('step', n=i)['did'] for i in range(4)))"


def written(code: str) -> tuple[Any, ...]:
    """A model that writes this code."""
    call = {"name": "code_interpreter", "arguments": {"code": code}}
    return ({"when": {"tool_results": 0}, "reply": {"tool_calls": [call]}}, STORY[1])


async def programmed(platform: Platform, tenant: Tenant, selection: Selection, **more: Any) -> Sequence[Recorded]:
    request = asking("go", registry=selection, builtins=("code_interpreter",), **more)
    turn = await platform.turns.start(tenant.principal, request)
    await platform.turns.wait(tenant.principal, turn.id)
    return await platform.turns.events(tenant.principal, turn.id)


BY_CODE = Selection(callers=(Caller.PROGRAMMATIC,))


async def test_code_that_a_model_writes_calls_the_tools_that_the_request_lets_it(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    async with stage.open_with(*written(CODE)) as platform, asyncio.timeout(PATIENCE_SECONDS):
        await add(platform, tenant, manifest("step", STEP))
        events = await programmed(platform, tenant, BY_CODE)
        assert results(events) == [(False, "6")]
        dispatched = next(r.event for r in events if isinstance(r.event, ToolDispatched))
        assert dispatched.effect == "effectful", "code is no less than what it may call"
        both = Selection(callers=(Caller.DIRECT, Caller.PROGRAMMATIC))
        assert results(await programmed(platform, tenant, both)) == [(False, "6")]


@pytest.mark.parametrize(
    ("conditions", "selection", "told"),
    [
        (EVERYBODY, Selection(), "code here may call no tools|may not call a tool 'step'"),
        (NOBODY, BY_CODE, "may not call a tool 'step'"),
        (EVERYBODY, Selection(callers=BY_CODE.callers, asking=(Asking(others=True),)), "needs a human's approval"),
    ],
)
async def test_code_that_a_model_writes_calls_nothing_else(
    stage: Stage, tenant: Tenant, conditions: Conditions, selection: Selection, told: str
) -> None:
    async with stage.open_with(*written(CODE)) as platform, asyncio.timeout(PATIENCE_SECONDS):
        await add(platform, tenant, manifest("step", STEP), conditions)
        [(failed, content)] = results(await programmed(platform, tenant, selection))
    assert failed
    assert re.search(told, content)


async def test_without_an_interpreter_no_code_can_call(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(*STORY) as platform:
        await add(platform, tenant, manifest("step", STEP))
        with pytest.raises(InvalidRequest, match="is code of the tool 'code_interpreter', which is not given"):
            await platform.turns.start(tenant.principal, asking("go", registry=BY_CODE))


async def test_a_tool_for_code_alone_is_not_offered_to_the_model(stage: Stage, tenant: Tenant) -> None:
    call = {"name": "step", "arguments": {"n": 1}}
    story = ({"when": {"tool_results": 0}, "reply": {"tool_calls": [call]}}, STORY[1])
    async with stage.open_with(*story) as platform, asyncio.timeout(PATIENCE_SECONDS):
        await add(platform, tenant, manifest("step", STEP))
        [(failed, content)] = results(await programmed(platform, tenant, BY_CODE))
    assert failed
    assert "unknown tool 'step'" in content


async def test_code_that_fails_tells_what_it_had_called(stage: Stage, tenant: Tenant) -> None:
    code = "from paddock import call\ndef main(n):\n    call('step', n=n)\n    raise ValueError('after that')\n"
    failed, content = await told(stage, tenant, manifest("plan", code, tools=["step"]), manifest("step", STEP))
    assert failed
    assert content.endswith("ValueError: after that\nbefore it failed, its code had called 'step'")


async def test_calls_of_code_count_among_those_that_a_request_allows_also_after_a_crash(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    code = "from paddock import call, ToolError\ndef main(n):\n    done = 0\n    for i in range(n):\n"
    code += "        try:\n            call('step', n=i)\n            done += 1\n        except ToolError as error:\n"
    code += "            return [done, str(error)]\n    return [done]\n"
    told = '[2, "not run: the limit of tool calls for this turn is reached"]'
    async with stage.open_with(*STORY, lease_seconds=1) as platform, asyncio.timeout(PATIENCE_SECONDS):
        await add(platform, tenant, manifest("step", STEP, effect="idempotent"), NOBODY)
        await add(platform, tenant, manifest("plan", code, tools=["step"], effect="idempotent"))
        turn = await platform.turns.start(tenant.principal, asking("go", registry=Selection(), max_tool_calls=3))
        await platform.turns.wait(tenant.principal, turn.id)
        whole = Control(turn, await platform.turns.events(tenant.principal, turn.id))
        assert results(whole.events) == [(False, told)]
        first = next(r.seq for r in whole.events if isinstance(r.event, NestedReturned))
        copy = await cut(database, whole, first)
        await platform.turns.wait(tenant.principal, copy)
        assert results(await platform.turns.events(tenant.principal, copy)) == [(False, told)]
