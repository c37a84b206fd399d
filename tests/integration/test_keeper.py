"""Which server keeps: one at a time, the next one when it ends or loses its connection, and none twice at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest

from core.errors import Unavailable
from core.keeper import Job, Keeper
from core.storage.database import Database
from core.storage.election import KEEPER
from core.storage.embedded.postgres import EmbeddedPostgres


@dataclass
class Work:
    """A job that takes long; how many do it at the moment, and how many at most ever did."""

    now: int = 0
    most: int = 0
    begun: int = 0

    async def run(self) -> None:
        self.now, self.begun = self.now + 1, self.begun + 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(3600)
        finally:
            self.now -= 1


@asynccontextmanager
async def keeping(database: Database, *jobs: Job) -> AsyncIterator["asyncio.Task[None]"]:
    task = asyncio.create_task(Keeper(database, jobs).run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def until(condition: object, work: Work) -> None:
    async with asyncio.timeout(60):
        while (work.now, work.begun) != condition:
            await asyncio.sleep(0.05)


async def test_one_server_works_and_the_next_takes_over_when_it_ends(database: Database) -> None:
    work = Work()
    job = Job(name="work", every_seconds=1, run=work.run)
    async with keeping(database, job) as first:
        await until((1, 1), work)
        async with keeping(database, job):
            await asyncio.sleep(0.5)
            assert work.now == 1
            first.cancel()
            await until((1, 2), work)
    assert (work.now, work.most) == (0, 1)


async def test_a_server_that_loses_its_connection_stops_working_and_is_elected_anew(
    database: Database, postgres: EmbeddedPostgres
) -> None:
    work = Work()
    async with keeping(database, Job(name="work", every_seconds=1, run=work.run)):
        await until((1, 1), work)
        connection = await asyncpg.connect(postgres.owner_url)
        query = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = $1::bigint & 4294967295"
        assert await connection.fetchval(query, KEEPER)
        await connection.close()
        await until((1, 2), work)
    assert work.most == 1


async def test_a_server_that_postgresql_refused_to_elect_is_elected_later(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, refusals, ask = Work(), [asyncpg.DiskFullError("no space left on device")], asyncpg.Connection.fetchval

    async def fetchval(connection: "asyncpg.Connection[Any]", query: str, *values: Any, **options: Any) -> Any:
        if refusals and "pg_try_advisory_lock" in query:
            raise refusals.pop()
        return await ask(connection, query, *values, **options)

    monkeypatch.setattr(asyncpg.Connection, "fetchval", fetchval)
    async with keeping(database, Job(name="work", every_seconds=1, run=work.run)):
        await until((1, 1), work)
    assert refusals == []


@pytest.mark.parametrize("failure", [Unavailable("not now"), RuntimeError("a defect")], ids=["wait", "defect"])
async def test_a_job_that_fails_is_tried_again_and_the_others_go_on(database: Database, failure: Exception) -> None:
    work, tried = Work(), 0

    async def failing() -> None:
        nonlocal tried
        tried += 1
        raise failure

    jobs = (Job(name="failing", every_seconds=0.01, run=failing), Job(name="work", every_seconds=1, run=work.run))
    async with keeping(database, *jobs), asyncio.timeout(60):
        while tried < 3:
            await asyncio.sleep(0.02)
        assert (work.now, work.begun) == (1, 1)
