"""Batches whose worker is slow, dies or is taken for dead, or whose file is damaged: they end, and nothing is left over."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from core.batches import work
from core.batches.answers import Answers
from core.bootstrap import Platform
from core.conversations.manager import TurnManager
from core.errors import Unavailable
from core.files.files import Files
from core.storage import batches as batch_store
from core.storage.batches import BatchStore
from core.storage.database import Database
from core.storage.records import Turn
from core.storage.tables import batch_lines, batches, blobs, turn_events, turns
from tests.integration.conftest import Stage, Tenant
from tests.integration.test_batches import CHAT, PATIENCE_SECONDS, begin, cleared, content, line, sdk, serving, until


@pytest.fixture(autouse=True)
async def _none_left(database: Database) -> AsyncIterator[None]:
    yield
    async with database.everyone() as connection:
        await connection.execute(sa.delete(batches))


async def turns_of(database: Database, tenant: Tenant) -> Sequence[Any]:
    query = sa.select(turns.c.id, turns.c.status).where(turns.c.organization_id == tenant.principal.organization_id)
    async with database.everyone() as connection:
        return (await connection.execute(query)).all()


async def texts_of(database: Database, tenant: Tenant) -> int:
    """Events of the organisation's turns."""
    mine = turn_events.c.organization_id == tenant.principal.organization_id
    async with database.everyone() as connection:
        return int(await connection.scalar(sa.select(sa.func.count()).select_from(turn_events).where(mine)) or 0)


async def taken_by_another(database: Database, batch_id: str) -> None:
    later = sa.func.now() + sa.cast(timedelta(hours=1), sa.Interval)
    async with database.everyone() as connection:
        values = {"worker": "another", "worked_until": later}
        await connection.execute(sa.update(batches).where(batches.c.id == batch_id).values(**values))


async def given_back(database: Database, batch_id: str, **values: Any) -> None:
    async with database.everyone() as connection:
        free = {"worked_until": sa.text("'-infinity'"), **values}
        await connection.execute(sa.update(batches).where(batches.c.id == batch_id).values(**free))


def short_leases(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr(batch_store, "WORK_SECONDS", seconds)
    monkeypatch.setattr(BatchStore.hold, "__kwdefaults__", {"seconds": seconds})
    monkeypatch.setattr(work, "RENEW_SECONDS", seconds / 3, raising=False)


async def test_a_step_that_takes_longer_than_its_lease_is_done_once(
    stage: Stage, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    short_leases(monkeypatch, 1.5)
    attempts, answer, write = 0, Answers._answer, Answers.write

    async def slow(self: Answers, *given: Any) -> Any:
        await asyncio.sleep(0.4)
        return await answer(self, *given)

    async def counted(self: Answers, *given: Any, **more: Any) -> Any:
        nonlocal attempts
        attempts += 1
        return await write(self, *given, **more)

    monkeypatch.setattr(Answers, "_answer", slow)
    monkeypatch.setattr(Answers, "write", counted)
    async with serving(stage) as platform, sdk(platform, tenant) as client:
        batch = await begin(client, [line(f"n-{n}", "hi") for n in range(10)])
        done = await until(client, batch, "completed")
        assert len(await content(client, done.output_file_id)) == 10
    assert attempts == 1


async def test_a_step_stops_when_its_batch_is_somebody_elses(
    stage: Stage, tenant: Tenant, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def endless(self: Answers, *given: Any, **more: Any) -> Any:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    monkeypatch.setattr(Answers, "write", endless)
    monkeypatch.setattr(work, "RENEW_SECONDS", 0.1, raising=False)
    async with serving(stage) as platform, sdk(platform, tenant) as client, asyncio.timeout(PATIENCE_SECONDS):
        batch = await begin(client, [line("n", "hi")])
        await begun.wait()
        await taken_by_another(database, batch.id)
        await stopped.wait()


@pytest.mark.parametrize("how", ["cancelled", "expired"])
@pytest.mark.parametrize("places", [0, 2], ids=["waiting", "running"])
async def test_a_turn_that_nobody_has_noted_goes_with_its_batch(
    stage: Stage, tenant: Tenant, database: Database, monkeypatch: pytest.MonkeyPatch, how: str, places: int
) -> None:
    died, began = asyncio.Event(), BatchStore.began

    async def dies(self: BatchStore, *given: Any) -> bool:
        died.set()
        await asyncio.Event().wait()
        return True

    monkeypatch.setattr(BatchStore, "began", dies)
    monkeypatch.setattr(work, "LAST_SECONDS", 0.1, raising=False)  # as if it were killed
    async with serving(stage, background_turns=places) as platform, sdk(platform, tenant) as client:
        batch = await begin(client, [line("n", "slow", url=CHAT)], endpoint=CHAT)
        await asyncio.wait_for(died.wait(), PATIENCE_SECONDS)
        if how == "cancelled":
            await client.batches.cancel(batch.id)
    monkeypatch.setattr(BatchStore, "began", began)
    await given_back(database, batch.id, **({"expires_at": sa.func.now()} if how == "expired" else {}))
    async with serving(stage) as platform, sdk(platform, tenant) as client:
        ended = await until(client, batch, how)
        await cleared(database)
        (turn,) = await turns_of(database, tenant)
        told = {**await content(client, ended.output_file_id), **await content(client, ended.error_file_id)}
        assert turn.status == "cancelled"
        assert told["n"]["response"]["request_id"] == turn.id
    assert await texts_of(database, tenant) == 0


@pytest.mark.parametrize("noticed", [True, False], ids=["noticed", "unnoticed"])
async def test_a_turn_that_comes_too_late_for_its_line_is_stopped_and_its_text_goes(
    stage: Stage, tenant: Tenant, database: Database, monkeypatch: pytest.MonkeyPatch, noticed: bool
) -> None:
    """Its worker was taken for dead while it began the line. noticed: it has found out before the turn was accepted."""
    monkeypatch.setattr(work, "RENEW_SECONDS", 0.1 if noticed else 100.0, raising=False)
    started, go, start = asyncio.Event(), asyncio.Event(), TurnManager.start

    async def slow(self: TurnManager, *given: Any, **more: Any) -> Turn:
        turn = await start(self, *given, **more)
        started.set()
        await go.wait()
        return turn

    monkeypatch.setattr(TurnManager, "start", slow)
    async with serving(stage) as platform, sdk(platform, tenant) as client:
        batch = await begin(client, [line("n", "slow", url=CHAT)], endpoint=CHAT)
        await asyncio.wait_for(started.wait(), PATIENCE_SECONDS)
        await taken_by_another(database, batch.id)
        async with database.everyone() as connection:
            await connection.execute(sa.update(batch_lines).values(error="{}"))
        await asyncio.sleep(0.5)
        go.set()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while [turn.status for turn in await turns_of(database, tenant)] != ["cancelled"]:
                await asyncio.sleep(0.1)
            while await texts_of(database, tenant):
                await asyncio.sleep(0.1)


async def test_a_worker_that_was_taken_for_dead_begins_no_more_lines(
    stage: Stage, tenant: Tenant, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "RENEW_SECONDS", 100.0, raising=False)
    start, started = TurnManager.start, 0

    async def counted(self: TurnManager, *given: Any, **more: Any) -> Turn:
        nonlocal started
        started += 1
        await taken_by_another(database, batch.id)
        return await start(self, *given, **more)

    monkeypatch.setattr(TurnManager, "start", counted)
    async with serving(stage) as platform, sdk(platform, tenant) as client:
        batch = await begin(client, [line(f"n-{n}", "hi") for n in range(3)])
        async with asyncio.timeout(PATIENCE_SECONDS):
            while [turn.status for turn in await turns_of(database, tenant)] != ["completed"]:
                await asyncio.sleep(0.1)
        await asyncio.sleep(0.5)
    assert started == 1


async def test_a_turn_that_two_workers_note_goes_on(
    stage: Stage, tenant: Tenant, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = BatchStore.began

    async def twice(self: BatchStore, *given: Any) -> bool:
        await began(self, *given)  # the other one, which has found the turn by its name
        return await began(self, *given)

    monkeypatch.setattr(BatchStore, "began", twice)
    async with serving(stage) as platform, sdk(platform, tenant) as client:
        done = await until(client, await begin(client, [line("n", "hi")]), "completed")
        assert list(await content(client, done.output_file_id)) == ["n"]


async def test_a_line_that_was_never_asked_has_an_error_and_no_response(
    stage: Stage, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "IN_FLIGHT", 0)
    async with serving(stage) as platform, sdk(platform, tenant) as client:
        batch = await until(client, await begin(client, [line("n", "hi")]), "in_progress")
        await client.batches.cancel(batch.id)
        told = await content(client, (await until(client, batch, "cancelled")).error_file_id)
    assert (told["n"]["response"], told["n"]["error"]["code"]) == (None, "batch_cancelled")


async def damage(platform: Platform, database: Database, tenant: Tenant) -> None:
    """The only object of the organisation."""

    async def other() -> AsyncGenerator[bytes, None]:
        yield b"rotten"

    async with database.everyone() as connection:
        mine = blobs.c.organization_id == tenant.principal.organization_id
        key = await connection.scalar(sa.select(blobs.c.key).where(mine))
    assert key is not None
    await platform.objects.put(key, other())


async def test_a_batch_whose_file_is_damaged_fails_and_the_same_bytes_again_mend_it(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    given = line("n", "hi").encode()
    async with serving(stage) as platform, sdk(platform, tenant) as client:
        file = await client.files.create(file=("in.jsonl", given), purpose="batch")
        await damage(platform, database, tenant)
        wanted: Any = {"input_file_id": file.id, "endpoint": "/v1/responses", "completion_window": "24h"}
        failed = await until(client, await client.batches.create(**wanted), "failed")
        assert failed.errors is not None
        assert failed.errors.data is not None
        assert failed.errors.data[0].code == "file_damaged"
        again = await client.files.create(file=("again.jsonl", given), purpose="batch")
        assert (await client.files.content(again.id)).content == given
        await until(client, await client.batches.create(**wanted), "completed")


async def test_a_batch_whose_file_cannot_be_read_ends_when_its_time_is_over(
    stage: Stage, tenant: Tenant, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(self: Files, *given: Any, **more: Any) -> bytes:
        raise Unavailable("object storage is away")

    monkeypatch.setattr(Files, "read", away)
    async with serving(stage) as platform, sdk(platform, tenant) as client:
        batch = await begin(client, [line("n", "hi")])
        await asyncio.sleep(2)
        assert (await client.batches.retrieve(batch.id)).status == "validating"
        await given_back(database, batch.id, expires_at=sa.func.now())
        ended = await until(client, batch, "expired")
        assert ended.errors is not None
        assert ended.errors.data is not None
        assert ended.errors.data[0].code == "batch_expired"


async def test_what_an_older_server_has_noted_of_a_line_is_told_as_it_was(
    stage: Stage, tenant: Tenant, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "IN_FLIGHT", 0)
    monkeypatch.setattr(work, "LOOK_SECONDS", 0.1)
    older = {"code": "model_not_found", "message": "unknown model"}
    async with serving(stage) as platform, sdk(platform, tenant) as client:
        batch = await until(client, await begin(client, [line("n", "hi")]), "in_progress")
        async with database.everyone() as connection:
            await connection.execute(sa.update(batch_lines).values(error=json.dumps(older)))
        told = await content(client, (await until(client, batch, "completed")).error_file_id)
    assert (told["n"]["response"], told["n"]["error"]) == (None, older)


async def test_a_batch_whose_lines_were_all_answered_in_time_is_completed_whenever_somebody_looks(
    stage: Stage, tenant: Tenant, database: Database
) -> None:
    async with serving(stage) as platform, sdk(platform, tenant) as http:
        batch = await begin(http, [line("a", "hi"), line("b", "hi")])
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(await turns_of(database, tenant)) < 2:
                await asyncio.sleep(0.02)
            await taken_by_another(database, batch.id)
            while {turn.status for turn in await turns_of(database, tenant)} != {"completed"}:
                await asyncio.sleep(0.05)
        await given_back(database, batch.id, expires_at=sa.text("now() - interval '1 second'"))
        done = await until(http, batch, "completed", "expired")
        assert (done.status, done.request_counts.completed, done.errors) == ("completed", 2, None)
