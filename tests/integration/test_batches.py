"""Batches as OpenAI's SDK has them: a file of requests becomes a file of answers, and what is refused fails alone."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import openai
import pytest
import sqlalchemy as sa
from openai.types import Batch

from api.app import create_app
from api.batches import WIRES
from core.batches import work
from core.batches.answers import Answers
from core.bootstrap import Platform, open_platform
from core.config import TIERS, Settings
from core.conversations.manager import TurnManager
from core.events import Recorded
from core.files.files import Files
from core.identity.principals import Principal
from core.storage.database import Database
from core.storage.tables import audit_records, batch_lines, batches, turn_events, turns
from tests.integration.conftest import Stage, Tenant, told

PATIENCE_SECONDS = 60
RESPONSES, CHAT = "/v1/responses", "/v1/chat/completions"
SCRIPT = [
    {"when": {"contains": "breaks"}, "reply": {"error": {"status": 400, "message": "no"}}},
    {"when": {"contains": "slow"}, "pace_seconds": 0.05, "piece_characters": 1, "reply": {"text": "slow " * 500}},
    {"reply": {"text": "You said: {last_user_text}"}},
]


@asynccontextmanager
async def serving(
    stage: Stage, *, room: int = 2**30, tier: Mapping[str, int] | None = None, **limits: float
) -> AsyncIterator[Platform]:
    """room: bytes of files that an organisation may keep. tier: everybody's limits, where they are not the usual ones."""
    made = Settings.model_validate(
        {
            "home": stage.home,
            "config": stage.home / "paddock.yaml",
            "models": [{"name": "scripted", "backend": "scripted", "script": SCRIPT, "retries": {"attempts": 1}}],
            "limits": limits,
            "files": {"organization_bytes": room},
            **({"tiers": {"tested": tier}, "default_tier": "tested"} if tier else {}),
        }
    )
    async with open_platform(made, stage.addresses, WIRES) as platform:
        yield platform


@asynccontextmanager
async def sdk(platform: Platform, tenant: Tenant) -> AsyncIterator[openai.AsyncOpenAI]:
    http = httpx.AsyncClient(transport=httpx.ASGITransport(create_app(platform), raise_app_exceptions=False))
    base = "http://paddock/v1"
    async with openai.AsyncOpenAI(base_url=base, api_key=tenant.secret, http_client=http, max_retries=0) as opened:
        yield opened


def line(custom_id: str, text: str, *, url: str = RESPONSES, **more: Any) -> str:
    asked = {"input": text} if url == RESPONSES else {"model": "scripted", "messages": [{"role": "user", "content": text}]}
    return json.dumps({"custom_id": custom_id, "method": "POST", "url": url, "body": {**asked, **more}})


async def begin(client: openai.AsyncOpenAI, lines: Sequence[str], *, endpoint: Any = RESPONSES, **more: Any) -> Batch:
    file = await client.files.create(file=("in.jsonl", "\n".join(lines).encode("utf-8", "surrogateescape")), purpose="batch")
    return await client.batches.create(input_file_id=file.id, endpoint=endpoint, completion_window="24h", **more)


async def until(client: openai.AsyncOpenAI, batch: Batch, *statuses: str) -> Batch:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while batch.status not in statuses:
            await asyncio.sleep(0.1)
            batch = await client.batches.retrieve(batch.id)
        return batch


async def content(client: openai.AsyncOpenAI, file_id: str | None) -> dict[str, Any]:
    """By custom_id."""
    if file_id is None:
        return {}
    text = (await client.files.content(file_id)).text
    return {told["custom_id"]: told for told in map(json.loads, text.splitlines())}


@pytest.mark.parametrize("endpoint", [RESPONSES, CHAT])
async def test_each_line_is_answered_as_its_route_would(
    stage: Stage, tenant: Tenant, database: Database, endpoint: str
) -> None:
    async with serving(stage) as platform, sdk(platform, tenant) as client:
        batch = await begin(client, [line(f"n-{n}", f"{n}", url=endpoint) for n in range(5)], endpoint=endpoint)
        assert batch.status == "validating"
        done = await until(client, batch, "completed")
        assert done.request_counts is not None
        assert (done.request_counts.total, done.request_counts.completed, done.request_counts.failed) == (5, 5, 0)
        assert done.error_file_id is None
        told = await content(client, done.output_file_id)
        assert sorted(told) == [f"n-{n}" for n in range(5)]
        body = told["n-3"]["response"]["body"]
        said = body["output"][0]["content"][0]["text"] if endpoint == RESPONSES else body["choices"][0]["message"]["content"]
        assert (told["n-3"]["response"]["status_code"], told["n-3"]["error"], said) == (200, None, "You said: 3")
        assert [one.id async for one in client.batches.list()] == [batch.id]
        await cleared(database)
        async with database.tenant(tenant.principal.organization_id) as connection:
            kept = (await connection.execute(sa.select(sa.func.count()).select_from(turn_events))).scalar_one()
            of_batch = sa.select(audit_records.c.kind).where(audit_records.c.object == batch.id).order_by(audit_records.c.id)
            kinds = (await connection.execute(of_batch)).scalars()
            assert list(kinds) == ["batch.created", "batch.ended"]
        assert (kept > 0) == (endpoint == RESPONSES), "the text of an unstored chat goes with its batch"


async def test_what_upkeep_does_is_not_the_deed_of_who_once_asked_for_the_batch(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    """Whose key may have been revoked since."""
    who = tenant.principal
    async with serving(stage) as platform, sdk(platform, tenant) as client:
        batch = await until(client, await begin(client, [line("a", "x", url=CHAT)], endpoint=CHAT), "completed")
        await cleared(database)
    (ended,) = await told(database, who.organization_id, "batch.ended")
    (deleted,) = await told(database, who.organization_id, "turn.deleted")
    assert (ended["object"], deleted["details"]) == (batch.id, {"batch": batch.id})
    for record in (ended, deleted):
        assert (record["actor"], record["key"], record["request"]) == ("system", None, None)


async def test_what_is_in_one_file_is_not_read_again_for_the_other(
    stage: Stage, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: Counter[str] = Counter()
    events = TurnManager.events

    async def counted(manager: TurnManager, principal: Principal, turn_id: str) -> Sequence[Recorded]:
        reads[turn_id] += 1
        return await events(manager, principal, turn_id)

    monkeypatch.setattr(TurnManager, "events", counted)
    async with serving(stage) as platform, sdk(platform, tenant) as client:
        lines = [*(line(f"n-{n}", f"{n}") for n in range(3)), line("breaks", "breaks")]
        done = await until(client, await begin(client, lines), "completed")
        answered = await content(client, done.output_file_id)
        assert sorted(answered) == ["n-0", "n-1", "n-2"]
        assert list(await content(client, done.error_file_id)) == ["breaks"]
    assert [reads[told["response"]["request_id"]] for told in answered.values()] == [1, 1, 1]


async def test_the_files_of_answers_are_kept_as_long_as_was_asked(stage: Stage, tenant: Tenant) -> None:
    kept = {"anchor": "created_at", "seconds": 7_200}
    async with serving(stage) as platform, sdk(platform, tenant) as client:
        lines = [line("good", "good"), line("breaks", "breaks")]
        done = await until(client, await begin(client, lines, output_expires_after=kept), "completed")
        assert done.output_file_id is not None
        assert done.error_file_id is not None
        made = [await client.files.retrieve(file_id) for file_id in (done.output_file_id, done.error_file_id)]
        assert all(7_195 <= (file.expires_at or 0) - file.created_at <= 7_205 for file in made)
        assert (await client.files.retrieve(done.input_file_id)).expires_at is None
        with pytest.raises(openai.BadRequestError) as refused:
            await begin(client, lines, output_expires_after={**kept, "seconds": 60})
        assert refused.value.param == "output_expires_after.seconds"


async def cleared(database: Database) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            async with database.everyone() as connection:
                if not (await connection.execute(sa.select(sa.func.count()).select_from(batch_lines))).scalar_one():
                    return
            await asyncio.sleep(0.2)


async def test_a_refused_request_fails_alone_and_says_why_as_its_route_would(stage: Stage, tenant: Tenant) -> None:
    refused = [
        line("unknown-field", "x", colour="blue"),
        line("stream", "x", stream=True),
        line("reference", "x", input=[{"id": "msg_1"}]),
        line("model", "x", model="nonsense"),
        line("surrogate", "x").replace('"x"', '"\\ud800"'),
        line("deep", "x").replace('"x"', "[" * 900 + "]" * 900),
    ]
    async with serving(stage) as platform, sdk(platform, tenant) as client:
        lines = [line("good", "good"), "", *refused, line("breaks", "breaks"), line("last", "last")]
        done = await until(client, await begin(client, lines), "completed")
        assert done.request_counts is not None
        assert (done.request_counts.completed, done.request_counts.failed) == (2, len(refused) + 1)
        assert done.errors is None
        assert sorted(await content(client, done.output_file_id)) == ["good", "last"]
        told = await content(client, done.error_file_id)
    statuses = {name: one["response"]["status_code"] for name, one in told.items()}
    assert statuses == {
        "unknown-field": 400,
        "stream": 400,
        "reference": 400,
        "model": 404,
        "surrogate": 400,
        "deep": 400,
        "breaks": 400,
    }
    assert {one["error"] for one in told.values()} == {None}
    assert all(one["response"]["request_id"] for one in told.values())
    codes = {name: one["response"]["body"]["error"]["code"] for name, one in told.items()}
    assert codes["unknown-field"] == "unknown_parameter"
    assert codes["stream"] == "unsupported_parameter"
    assert codes["reference"] == "unsupported_value"
    model = told["model"]["response"]["body"]["error"]
    assert (model["code"], model["param"], model["type"]) == ("model_not_found", "model", "invalid_request_error")


async def test_a_file_with_a_line_that_is_no_request_fails_before_any_line_runs(stage: Stage, tenant: Tenant) -> None:
    bad = ["{", line("other-url", "x", url=CHAT), line("good", "x"), '{"custom_id": "\udcff"}']
    async with serving(stage) as platform, sdk(platform, tenant) as client:
        failed = await until(client, await begin(client, [line("good", "good"), "", *bad]), "failed", "completed")
        assert failed.status == "failed"
        assert failed.errors is not None
        assert failed.errors.data is not None
        assert [(told.code, told.line, told.param) for told in failed.errors.data] == [
            ("invalid_json_line", 3, None),
            ("url_mismatch", 4, "url"),
            ("duplicate_custom_id", 5, "custom_id"),
            ("invalid_json_line", 6, None),
        ]
        assert failed.request_counts is not None
        assert failed.request_counts.total == 0
        assert (failed.output_file_id, failed.error_file_id) == (None, None)


async def test_a_file_without_requests_fails_and_what_is_no_batch_file_is_refused(stage: Stage, tenant: Tenant) -> None:
    async with serving(stage) as platform, sdk(platform, tenant) as client:
        failed = await until(client, await begin(client, [" ", ""]), "failed")
        assert failed.errors is not None
        assert failed.errors.data is not None
        assert failed.errors.data[0].code == "empty_file"
        other = await client.files.create(file=("a.txt", b"x"), purpose="user_data")
        with pytest.raises(openai.BadRequestError, match="purpose"):
            await client.batches.create(input_file_id=other.id, endpoint=RESPONSES, completion_window="24h")
        with pytest.raises(openai.NotFoundError):
            await client.batches.create(input_file_id="file_unknown", endpoint=RESPONSES, completion_window="24h")
        with pytest.raises(openai.BadRequestError, match="endpoint"):
            await client.batches.create(input_file_id=other.id, endpoint="/v1/embeddings", completion_window="24h")


async def test_a_cancelled_batch_keeps_what_was_answered_and_begins_no_more(
    stage: Stage, tenant: Tenant, other_tenant: Tenant
) -> None:
    async with serving(stage, background_turns=2) as platform, sdk(platform, tenant) as client:
        lines = [line("quick", "hi"), *(line(f"slow-{n}", "slow") for n in range(3))]
        batch = await begin(client, lines)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not (counts := (await client.batches.retrieve(batch.id)).request_counts) or not counts.completed:
                await asyncio.sleep(0.1)
        async with sdk(platform, other_tenant) as foreign:
            with pytest.raises(openai.NotFoundError):
                await foreign.batches.cancel(batch.id)
        assert (await client.batches.cancel(batch.id)).status in ("cancelling", "finalizing", "cancelled")
        ended = await until(client, batch, "cancelled")
        assert sorted(await content(client, ended.output_file_id)) == ["quick"]
        assert sorted(await content(client, ended.error_file_id)) == ["slow-0", "slow-1", "slow-2"]
        assert not platform.turns.running
        with pytest.raises(openai.ConflictError):
            await client.batches.cancel(batch.id)


@pytest.mark.parametrize("places", [{"queued_turns_of_organization": 2}, {"queued_turns": 2}])
async def test_lines_that_wait_for_a_place_in_the_queue_are_no_requests_yet(
    stage: Stage, tenant: Tenant, database: Database, monkeypatch: pytest.MonkeyPatch, places: dict[str, float]
) -> None:
    monkeypatch.setattr(work, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(work, "FULL_SECONDS", 0.05)
    monkeypatch.setattr("core.storage.batches.WORK_SECONDS", 5.0)  # so long a server that stops amid a take keeps the batch
    tier = {**TIERS["house"].model_dump(), "requests_per_day": 5}
    async with serving(stage, tier=tier, background_turns=0, **places) as platform, sdk(platform, tenant) as client:
        batch = await begin(client, [line(f"n-{n}", f"{n}") for n in range(3)])
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await begun(database, batch.id):
                await asyncio.sleep(0.05)
        await asyncio.sleep(2)  # in which the batch has come back for a place many times
        assert await begun(database, batch.id) == 1
        said = await client.chat.completions.create(model="scripted", messages=[{"role": "user", "content": "now"}])
        assert said.choices[0].message.content == "You said: now"
    async with serving(stage) as platform, sdk(platform, tenant) as client:
        done = await until(client, batch, "completed")
        assert sorted(await content(client, done.output_file_id)) == ["n-0", "n-1", "n-2"]


async def test_a_batch_goes_on_in_another_server_and_runs_no_line_twice(
    stage: Stage, tenant: Tenant, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "IN_FLIGHT", 2)
    async with serving(stage, background_turns=0) as platform, sdk(platform, tenant) as client:
        batch = await begin(client, [line(f"n-{n}", f"{n}") for n in range(4)])
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await begun(database, batch.id):
                await asyncio.sleep(0.05)
    async with database.everyone() as connection:  # as if it had been killed between a turn's acceptance and its note of it
        await connection.execute(sa.update(batch_lines).values(turn_id=None))
        await connection.execute(sa.update(batches).values(worked_until=sa.text("'-infinity'")))
    async with serving(stage) as platform, sdk(platform, tenant) as client:
        done = await until(client, batch, "completed")
        assert sorted(await content(client, done.output_file_id)) == [f"n-{n}" for n in range(4)]
        async with database.tenant(tenant.principal.organization_id) as connection:
            assert (await connection.execute(sa.select(sa.func.count()).select_from(turns))).scalar_one() == 4


async def begun(database: Database, batch_id: str) -> int:
    async with database.everyone() as connection:
        query = sa.select(sa.func.count()).where(batch_lines.c.batch_id == batch_id, batch_lines.c.turn_id.is_not(None))
        return int((await connection.execute(query)).scalar_one())


async def test_a_batch_whose_time_is_over_has_what_was_answered_until_then(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    async with serving(stage, background_turns=0) as platform, sdk(platform, tenant) as client:
        batch = await begin(client, [line("n", "hi")])
        await until(client, batch, "in_progress")
        async with database.everyone() as connection:
            await connection.execute(sa.update(batches).values(expires_at=sa.func.now()))
    async with serving(stage, background_turns=0) as platform, sdk(platform, tenant) as client:
        ended = await until(client, batch, "expired")
        assert ended.output_file_id is None
        assert list(await content(client, ended.error_file_id)) == ["n"]


async def test_an_input_is_not_read_for_a_batch_that_is_somebody_elses_by_now(
    stage: Stage, tenant: Tenant, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, free, read = asyncio.Event(), asyncio.Event(), Files.read

    async def slowly(self: Files, *given: Any, **more: Any) -> bytes:
        begun.set()
        await free.wait()
        return await read(self, *given, **more)

    monkeypatch.setattr(Files, "read", slowly)
    async with serving(stage) as platform, sdk(platform, tenant) as client:
        first, second = [await begin(client, [line(name, name)]) for name in "ab"]
        await begun.wait()
        async with asyncio.timeout(PATIENCE_SECONDS), database.everyone() as connection:
            query = sa.select(batches.c.id).where(batches.c.worker.is_not(None))
            while set((await connection.execute(query)).scalars()) < {first.id, second.id}:
                await asyncio.sleep(0.05)
        async with database.everyone() as connection:  # the second one waits, and somebody else takes it
            later = sa.func.now() + sa.func.make_interval(0, 0, 0, 0, 1)
            await connection.execute(
                sa.update(batches).where(batches.c.id == second.id).values(worker="another", worked_until=later)
            )
        read_by: list[str] = []

        async def noted(self: Files, organization_id: str, file_id: str, **more: Any) -> bytes:
            read_by.append(file_id)
            return await read(self, organization_id, file_id, **more)

        monkeypatch.setattr(Files, "read", noted)
        free.set()
        await until(client, first, "completed")
        assert second.input_file_id not in read_by


@pytest.mark.parametrize("failing", [False, True])
async def test_a_batch_that_takes_long_or_fails_keeps_no_other_waiting(
    stage: Stage, tenant: Tenant, monkeypatch: pytest.MonkeyPatch, failing: bool
) -> None:
    held, free = "", asyncio.Event()
    write = Answers.write

    async def slowly(self: Answers, principal: Principal, batch: Any, *, partly: bool) -> Any:
        if batch.id == held and not free.is_set():
            assert not failing, "a defect"
            await free.wait()
        return await write(self, principal, batch, partly=partly)

    monkeypatch.setattr(Answers, "write", slowly)
    async with serving(stage) as platform, sdk(platform, tenant) as client:
        first = await begin(client, [line("a", "one")])
        held = first.id
        await until(client, first, "finalizing")
        await until(client, await begin(client, [line("b", "two")]), "completed")
        assert (await client.batches.retrieve(first.id)).status == "finalizing"
        free.set()
        await until(client, first, "completed")


async def test_the_answers_of_a_batch_wait_until_their_organisation_has_room(
    stage: Stage, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "ROOM_SECONDS", 0.1)
    async with serving(stage, room=6_000) as platform, sdk(platform, tenant) as client:
        filling = await client.files.create(file=("a.txt", b"x" * 5_000), purpose="user_data")
        batch = await begin(client, [line(f"n-{n}", f"{n}") for n in range(3)])
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (waiting := await client.batches.retrieve(batch.id)).errors is None:
                await asyncio.sleep(0.1)
        assert waiting.status == "finalizing"
        assert waiting.errors.data is not None
        assert waiting.errors.data[0].code == "file_storage_exceeded"
        await client.files.delete(filling.id)
        done = await until(client, batch, "completed")
        assert done.errors is None
        assert sorted(await content(client, done.output_file_id)) == ["n-0", "n-1", "n-2"]


async def test_where_room_never_comes_a_batch_keeps_what_fits_and_says_what_does_not(
    stage: Stage, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "ROOM_DAYS", 0)
    async with serving(stage, room=3_000) as platform, sdk(platform, tenant) as client:
        done = await until(client, await begin(client, [line(f"n-{n}", f"{n}") for n in range(4)]), "completed")
        kept = sorted(await content(client, done.output_file_id))
        assert kept == ["n-0", "n-1"]
        assert done.errors is not None
        assert done.errors.data is not None
        assert done.errors.data[0].message == "there was no room for 2 of the lines"


async def test_a_worker_that_is_killed_before_it_ends_a_batch_leaves_no_second_file(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    async with serving(stage) as platform, sdk(platform, tenant) as client:
        done = await until(client, await begin(client, [line("n", "hi")]), "completed")
        await cleared(database)
        async with database.everyone() as connection:  # its files are kept, and nothing says so yet
            nothing = {"output_file_id": None, "ended_at": None, "worked_until": sa.text("'-infinity'")}
            await connection.execute(sa.update(batches).where(batches.c.id == done.id).values(status="finalizing", **nothing))
        again = await until(client, await client.batches.retrieve(done.id), "completed")
        assert again.output_file_id == done.output_file_id
        assert [file.purpose async for file in client.files.list()].count("batch_output") == 1


async def test_lines_of_a_key_that_was_revoked_are_refused(stage: Stage, tenant: Tenant, database: Database) -> None:
    async with serving(stage, background_turns=0) as platform, sdk(platform, tenant) as client:
        batch = await begin(client, [line("n", "hi")])
        await until(client, batch, "in_progress")
        await platform.keys.revoke(tenant.principal, tenant.principal.key_id)
    async with serving(stage) as platform, asyncio.timeout(PATIENCE_SECONDS):
        while (ended := await platform.batches.get(tenant.principal, batch.id)).ended_at is None:
            await asyncio.sleep(0.1)
        assert (ended.completed, ended.failed) == (0, 1)
