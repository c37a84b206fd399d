"""Assistants over a real database: versions, names, who may, and what a turn makes of one."""

import asyncio
from dataclasses import replace

import pytest
import sqlalchemy as sa

from core.assistants.definition import Definition, read_definition
from core.conversations.assisted import merge
from core.conversations.request import TurnRequest
from core.errors import Conflict, InvalidRequest, NotFound, PermissionDenied
from core.events import ToolReturned, TurnStatus
from core.identity.principals import Scope
from core.llm.contract import Sampling
from core.storage.database import Database
from core.storage.tables import audit_records, turns
from core.tools.catalog import Caller, Pin, Selection
from tests.integration.conftest import Stage, Tenant
from tests.integration.test_turns import HELLO, asking, read

CALLS = (
    {"when": {"after_tool": True}, "reply": "It is {last_tool_result}."},
    {
        "when": {"contains": "times"},
        "reply": {"tool_calls": [{"name": "code_interpreter", "arguments": {"code": "print(6*7)"}}]},
    },
)
PLAIN = Definition(model="scripted", instructions="Be kind.", builtins=("code_interpreter",))


async def test_a_change_makes_a_version_and_none_is_lost(stage: Stage, tenant: Tenant) -> None:
    who = tenant.principal
    async with stage.open_with(HELLO) as platform:
        assistants = platform.assistants
        first = await assistants.create(who, "helper", PLAIN)
        same = await assistants.change(who, "helper", {"instructions": "Be kind."})
        assert (first.version, same.version, same.digest) == (1, 1, first.digest)
        texts = [f"text {n}" for n in range(5)]
        await asyncio.gather(*(assistants.change(who, first.id, {"instructions": text}) for text in texts))
        page = await assistants.versions(who.organization_id, "helper", after=None, limit=9, descending=False)
        assert [row.version for row in page.rows] == [1, 2, 3, 4, 5, 6]
        assert sorted(read_definition(row.definition).instructions or "" for row in page.rows[1:]) == texts
        assert all(read_definition(row.definition).builtins == PLAIN.builtins for row in page.rows)
        assert await assistants.get(who.organization_id, "helper", version=1) == replace(first)
        after = await assistants.versions(who.organization_id, "helper", after=5, limit=9, descending=False)
        assert [row.version for row in after.rows] == [6]


async def test_assistants_can_be_listed_and_deleted_page_by_page(stage: Stage, tenant: Tenant) -> None:
    who = tenant.principal
    async with stage.open_with(HELLO) as platform:
        made = {(await platform.assistants.create(who, f"helper {n}", PLAIN)).id for n in range(5)}
        seen, after = set(), None
        while (page := await platform.assistants.list(who.organization_id, after=after, limit=2, descending=True)).rows:
            for one in page.rows:
                await platform.assistants.delete(who, one.id)
                seen.add(after := one.id)
        assert seen == made


async def test_names_are_one_assistants_and_no_models_and_free_again_after_its_end(stage: Stage, tenant: Tenant) -> None:
    who = tenant.principal
    async with stage.open_with(HELLO) as platform:
        made = await asyncio.gather(
            *(platform.assistants.create(who, "helper", PLAIN) for _ in range(4)), return_exceptions=True
        )
        assert sum(isinstance(one, Conflict) for one in made) == 3
        for name, error in (("scripted", Conflict), ("default", InvalidRequest), ("asst_1", InvalidRequest)):
            with pytest.raises(error, match=name):
                await platform.assistants.create(who, name, PLAIN)
        deleted = await platform.assistants.delete(who, "helper")
        with pytest.raises(NotFound):
            await platform.assistants.get(who.organization_id, deleted.id)
        assert (await platform.assistants.create(who, "helper", PLAIN)).id != deleted.id


async def test_an_assistant_leans_on_a_declared_model_and_on_tools_that_are_there(stage: Stage, tenant: Tenant) -> None:
    who = tenant.principal
    async with stage.open_with(HELLO) as platform:
        create, change = platform.assistants.create, platform.assistants.change
        await create(who, "helper", PLAIN)
        with pytest.raises(InvalidRequest, match="unknown model 'gone'"):
            await create(who, "other", replace(PLAIN, model="gone"))
        for attempt in (
            create(who, "other", replace(PLAIN, model="helper")),
            create(who, "loop", replace(PLAIN, model="loop")),
            change(who, "helper", {"model": "helper"}),
        ):
            with pytest.raises(InvalidRequest, match="must be a declared model"):
                await attempt
        with pytest.raises(InvalidRequest, match="no tool 'fx'"):
            await create(who, "other", replace(PLAIN, registry=Selection(names=("fx",))))
        assert (await platform.assistants.get(who.organization_id, "helper")).version == 1


async def test_only_administrators_change_assistants_and_only_their_organizations(
    stage: Stage, tenant: Tenant, other_tenant: Tenant
) -> None:
    member = replace(tenant.principal, scopes=frozenset({Scope.CHAT}))
    who, organization_id = other_tenant.principal, other_tenant.principal.organization_id
    async with stage.open_with(HELLO) as platform:
        assistants = platform.assistants
        theirs = await assistants.create(tenant.principal, "helper", PLAIN)
        for attempt in (
            assistants.create(member, "mine", PLAIN),
            assistants.change(member, "helper", {"instructions": "x"}),
            assistants.delete(member, "helper"),
        ):
            with pytest.raises(PermissionDenied):
                await attempt
        for known_as in (theirs.id, "helper"):
            for attempt in (
                assistants.get(organization_id, known_as),
                assistants.get(organization_id, known_as, version=1),
                assistants.change(who, known_as, {"instructions": "x"}),
                assistants.delete(who, known_as),
                assistants.versions(organization_id, known_as, after=None, limit=9, descending=True),
            ):
                with pytest.raises(NotFound):
                    await attempt
        with pytest.raises(NotFound, match="unknown model 'helper'"):
            await platform.turns.start(who, asking("x", model="helper"))
        assert await assistants.named(organization_id, "helper") is None
        assert (await assistants.create(who, "helper", PLAIN)).version == 1


async def test_a_turn_keeps_the_version_that_it_began_with(stage: Stage, tenant: Tenant, database: Database) -> None:
    who = tenant.principal
    async with stage.open_with(*CALLS, HELLO) as platform:
        await platform.assistants.create(who, "helper", PLAIN)
        turn = await platform.turns.start(who, asking("6 times 7?", model="helper"))
        await platform.assistants.change(who, "helper", {"builtins": (), "instructions": "Be rude."})
        assert any(isinstance(event.event, ToolReturned) for event in await read(platform, tenant, turn.id))
        ended = await platform.turns.wait(who, turn.id)
        assert (ended.status, ended.model) == (TurnStatus.COMPLETED, "scripted")
        assert ended.echo["assistant"]["name"] == "helper"
        assert ended.echo["assistant"]["version"] == 1
        async with database.everyone() as connection:
            kept = await connection.scalar(sa.select(turns.c.request).where(turns.c.id == turn.id))
        assert "Be kind." in (kept or "")
        later = await platform.turns.start(who, asking("6 times 7?", model="helper"))
        assert (await platform.turns.wait(who, later.id)).echo["assistant"]["version"] == 2


async def test_which_tools_may_be_called_is_not_chosen_of_an_assistant_that_brings_some(stage: Stage, tenant: Tenant) -> None:
    async with stage.open_with(HELLO) as platform:
        for name, definition in {"coder": PLAIN, "talker": Definition(model="scripted", instructions="Be kind.")}.items():
            await platform.assistants.create(tenant.principal, name, definition)
        with pytest.raises(InvalidRequest) as refused:
            await platform.turns.start(tenant.principal, asking("x", model="coder", narrowed=True))
        assert (refused.value.code, refused.value.param) == ("unsupported_value", "tool_choice")
        turn = await platform.turns.start(tenant.principal, asking("x", model="talker", narrowed=True))
        assert (await platform.turns.wait(tenant.principal, turn.id)).status is TurnStatus.COMPLETED


async def test_an_assistant_whose_model_is_gone_says_so(stage: Stage, tenant: Tenant, database: Database) -> None:
    who = tenant.principal
    async with stage.open_with(HELLO) as platform:
        await platform.assistants.create(who, "helper", PLAIN)
        async with database.everyone() as connection:
            gone = sa.text("UPDATE assistant_versions SET definition = replace(definition, 'scripted', 'retired')")
            await connection.execute(gone)
        with pytest.raises(InvalidRequest, match="'helper' needs the model 'retired'") as refused:
            await platform.turns.start(who, asking("x", model="helper"))
        assert refused.value.code == "assistant_model_not_found"


async def test_what_is_done_with_an_assistant_is_in_the_audit_log(stage: Stage, tenant: Tenant, database: Database) -> None:
    who = tenant.principal
    async with stage.open_with(HELLO) as platform:
        made = await platform.assistants.create(who, "helper", PLAIN)
        await platform.assistants.change(who, "helper", {"instructions": "My secret recipe."})
        await platform.assistants.delete(who, "helper")
    query = sa.select(sa.cast(audit_records.c.record, sa.Text)).order_by(audit_records.c.id)
    async with database.everyone() as connection:
        told = [text for text in await connection.scalars(query) if made.id in text]
    kinds = ("assistant.created", "assistant.changed", "assistant.deleted")
    assert [f'"{kind}"' in text for text, kind in zip(told, kinds, strict=True)] == [True] * 3
    assert '"granted_tools":"code_interpreter"' in told[0]
    assert "secret" not in "".join(told)


def merged(**asked: object) -> TurnRequest:
    definition = Definition(
        model="m",
        instructions="First.",
        builtins=("code_interpreter",),
        registry=Selection(names=("fx",)),
        sampling=Sampling(temperature=0.1, max_output_tokens=100),
        max_tool_calls=5,
        parallel_tool_calls=False,
    )
    return merge(TurnRequest(input=(), model="helper", **asked), definition)  # type: ignore[arg-type]


def test_a_request_adds_to_its_assistant_and_overrides_what_is_no_limit() -> None:
    plain = merged()
    assert (plain.model, plain.instructions, plain.builtins) == ("m", "First.", ("code_interpreter",))
    assert plain.registry == Selection(names=(), granted=("fx",))
    assert (plain.sampling, plain.max_tool_calls) == (Sampling(temperature=0.1, max_output_tokens=100), 5)
    asked = merged(
        instructions="Second.",
        builtins=("code_interpreter",),
        registry=Selection(names=("own",)),
        sampling=Sampling(temperature=0.0, top_p=0.5, max_output_tokens=10_000),
        max_tool_calls=9,
    )
    assert asked.instructions == "First.\n\nSecond."
    assert asked.builtins == ("code_interpreter",)
    assert asked.registry == Selection(names=("own",), granted=("fx",))
    assert asked.sampling == Sampling(temperature=0.0, top_p=0.5, max_output_tokens=100)
    assert (asked.max_tool_calls, asked.parallel_tool_calls) == (5, False)
    assert merged(registry=Selection()).registry == Selection(names=None, granted=("fx",))


def test_who_calls_the_tools_of_an_assistant_is_said_by_the_assistant_and_who_calls_its_own_by_the_request() -> None:
    by_code, both = (Caller.PROGRAMMATIC,), (Caller.DIRECT, Caller.PROGRAMMATIC)
    asked = merged(registry=Selection(names=("own",), callers=by_code)).registry
    assert asked is not None
    assert asked == Selection(names=("own",), granted=("fx",), callers=by_code)
    pins = [Pin(tool_id="own", digest="d"), Pin(tool_id="fx", digest="d", granted=True)]
    assert [(pin.nested, pin.programmatic) for pin in map(asked.opened, pins)] == [(True, True), (False, False)]
    definition = Definition(model="m", registry=Selection(callers=by_code))
    everything = merge(TurnRequest(input=(), registry=Selection(names=("own",))), definition).registry
    assert everything is not None
    assert (everything.names, set(everything.callers)) == (None, set(both))
    assert merge(TurnRequest(input=()), definition).registry == Selection(callers=by_code, granted_callers=by_code)
