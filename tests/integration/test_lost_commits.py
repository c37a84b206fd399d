"""The writer loses its connection right after a commit, and what it has written moves on before it writes it again."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa

from core.errors import Conflict
from core.events import Recorded, TextDelta, TurnEnded, TurnQueued, TurnStarted, TurnStatus
from core.storage.audit import AuditRecord
from core.storage.database import Database
from core.storage.journal import Acceptance, Entry, Journal, LeaseLost, Places, open_journal
from core.storage.leases import Leases
from core.storage.tables import items, turns
from core.storage.turns import TurnStore
from tests.integration.conftest import Tenant
from tests.integration.test_journal import Reader, a_turn, acceptance, says

Meanwhile = Callable[[], Awaitable[None]]


class LosesAnAnswer:
    """A connection that is gone when its first commit is through."""

    def __init__(self, connection: Any, meanwhile: Meanwhile) -> None:
        self._connection = connection
        self._meanwhile = meanwhile

    async def fetch(self, *arguments: Any, **options: Any) -> Any:
        rows = await self._connection.fetch(*arguments, **options)
        if not self._connection.is_in_transaction():
            await self._lose()
        return rows

    async def execute(self, query: str, **options: Any) -> None:
        await self._connection.execute(query, **options)
        if query == "COMMIT":
            await self._lose()

    async def _lose(self) -> None:
        self._connection.terminate()
        await self._meanwhile()
        raise ConnectionResetError

    async def close(self, timeout: float) -> None:
        await self._connection.close(timeout=timeout)


@dataclass(frozen=True, slots=True, kw_only=True)
class LosingDatabase(Database):
    """Its first connection that is not a pool's loses an answer."""

    loses: list[Meanwhile]

    async def connect(self, settings: Mapping[str, str] | None = None) -> "asyncpg.Connection[Any]":
        connection: Any = await Database.connect(self, settings)
        return LosesAnAnswer(connection, self.loses.pop()) if self.loses else connection


@asynccontextmanager
async def losing(database: Database, meanwhile: Meanwhile) -> AsyncIterator[Journal]:
    lossy = LosingDatabase(
        app=database.app, system=database.system, leases=database.leases, reads=database.reads, loses=[meanwhile]
    )
    async with open_journal(lossy, on_commit=lambda ids: None) as journal:
        yield journal


def queued(tenant: Tenant) -> Acceptance:
    turn = replace(a_turn(tenant), status=TurnStatus.PENDING, queue=0)
    return replace(acceptance(turn), places=Places(of_one=1, of_all=99))


async def test_a_queued_turn_that_a_process_takes_before_its_acceptance_is_written_again_is_accepted(
    database: Database, tenant: Tenant
) -> None:
    leases, reader, asked = Leases(database, owner="other", seconds=10), Reader(), queued(tenant)

    async def take() -> None:
        assert [taken.turn.id for taken in await leases.take_queued(limit=9, cancelled=False)] == [asked.turn.id]

    async with losing(database, take) as journal:
        writer = journal.open_turn(asked, publish=reader.publish)
        await writer.record(Entry(event=TurnQueued()))
        assert reader.seen == await TurnStore(database).events(asked.turn.organization_id, asked.turn.id)
        heir = journal.continue_turn(replace(asked, lease_owner="other"), epoch=2, last_seq=1, publish=lambda _: None)
        await heir.record(Entry(event=TurnEnded(status=TurnStatus.COMPLETED)))


async def test_nothing_more_of_a_turn_that_was_taken_over_is_written_by_who_accepted_it(
    database: Database, tenant: Tenant
) -> None:
    leases, reader, asked = Leases(database, owner="other", seconds=10), Reader(), acceptance(a_turn(tenant), lease_seconds=0)

    async def take() -> None:
        assert [taken.turn.id for taken in await leases.take_orphans(limit=9)] == [asked.turn.id]

    async with losing(database, take) as journal:
        writer = journal.open_turn(asked, publish=reader.publish)
        await writer.record(Entry(event=TurnStarted()))
        for late in (TextDelta(item=0, text="late"), TurnEnded(status=TurnStatus.FAILED)):
            with pytest.raises(LeaseLost):
                await writer.record(Entry(event=late))
    assert reader.seen == [Recorded(1, TurnStarted())]
    assert await TurnStore(database).events(asked.turn.organization_id, asked.turn.id) == reader.seen
    assert (await TurnStore(database).get(asked.turn.organization_id, asked.turn.id)).status is TurnStatus.RUNNING


async def test_a_turn_under_the_id_of_another_organizations_is_not_accepted(
    database: Database, tenant: Tenant, other_tenant: Tenant
) -> None:
    async with open_journal(database, on_commit=lambda ids: None) as journal:
        theirs = acceptance(a_turn(other_tenant), lease_seconds=0)
        await journal.open_turn(theirs, publish=lambda _: None).record(Entry(event=TurnStarted()))
        await Leases(database, owner="other", seconds=10).take_orphans(limit=9)
        mine = acceptance(replace(a_turn(tenant), id=theirs.turn.id))
        with pytest.raises(Conflict):
            await journal.open_turn(mine, publish=lambda _: None).record(Entry(event=TurnStarted()))


@pytest.mark.parametrize("at_once", [True, False], ids=["accepted in the same group", "accepted before"])
async def test_a_response_that_is_deleted_before_its_end_is_written_again_is_told_and_stays_deleted(
    database: Database, tenant: Tenant, at_once: bool
) -> None:
    reader, asked, store = Reader(), acceptance(a_turn(tenant), lease_seconds=0), TurnStore(database)
    who = tenant.principal.organization_id
    end = Entry(event=TurnEnded(status=TurnStatus.COMPLETED), outputs=(says("secret"),))

    async def delete() -> None:
        await store.delete(asked.turn.id, AuditRecord.by(tenant.principal, "turn.deleted", asked.turn.id))

    async with losing(database, delete) as journal:
        if at_once:
            writer = journal.open_turn(asked, publish=reader.publish)
            writer.record(Entry(event=TurnStarted()))
        else:
            async with open_journal(database, on_commit=lambda ids: None) as before:
                await before.open_turn(asked, publish=reader.publish).record(Entry(event=TurnStarted()))
            await Leases(database, owner="me", seconds=10).take_orphans(limit=9)
            writer = journal.continue_turn(asked, epoch=2, last_seq=1, publish=reader.publish)
        writer.record(Entry(event=TextDelta(item=0, text="secret")))
        await writer.record(end)
    assert reader.seen[-1] == Recorded(3, end.event)
    assert await store.events(who, asked.turn.id) == []
    async with database.everyone() as connection:
        kept = (await connection.execute(sa.select(items.c.id).where(items.c.turn_id == asked.turn.id))).all()
        status = await connection.scalar(sa.select(turns.c.status).where(turns.c.id == asked.turn.id))
    assert (kept, status) == ([], "completed")


async def test_nothing_is_said_to_be_written_of_a_turn_that_somebody_has_ended_by_hand(
    database: Database, tenant: Tenant
) -> None:
    asked, reader = acceptance(a_turn(tenant)), Reader()
    async with open_journal(database, on_commit=lambda ids: None) as journal:
        writer = journal.open_turn(asked, publish=reader.publish)
        await writer.record(Entry(event=TurnStarted()))
        async with database.everyone() as connection:
            by_hand = sa.update(turns).where(turns.c.id == asked.turn.id).values(status="cancelled", ended_at=sa.func.now())
            await connection.execute(by_hand)
        with pytest.raises(LeaseLost):
            await writer.record(Entry(event=TextDelta(item=0, text="late")))
    assert reader.seen == [Recorded(1, TurnStarted())]
