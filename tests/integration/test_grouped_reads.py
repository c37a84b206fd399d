"""The look-up that every request begins with: shared by all who ask at once, and never older than the question."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from core.errors import Unauthenticated
from core.identity.keys import Keys
from core.identity.sign_in import Identity
from core.storage.connection import DatabaseUnavailable, connect
from core.storage.database import Database
from core.storage.directory import Directory
from core.storage.embedded.postgres import EmbeddedPostgres
from core.storage.grouped_reads import GroupedReads
from tests.integration.conftest import Tenant

QUERY = "SELECT key, upper(key) FROM unnest($1::text[]) key WHERE key <> 'nobody'"


class CountingConnection:
    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.statements = 0

    async def fetch(self, *arguments: Any, **options: Any) -> Any:
        self.statements += 1
        return await self._connection.fetch(*arguments, **options)

    async def close(self, timeout: float) -> None:
        await self._connection.close(timeout=timeout)


@pytest.fixture
async def counted(database: Database) -> CountingConnection:
    return CountingConnection(await database.connect())


@pytest.fixture
async def reads(counted: CountingConnection) -> AsyncIterator[GroupedReads]:
    async def opened() -> Any:
        return counted

    reads = GroupedReads(opened)
    yield reads
    await reads.close()


async def test_all_who_ask_at_once_share_few_statements_and_get_their_own_answers(
    reads: GroupedReads, counted: CountingConnection
) -> None:
    keys = [*(f"key {n}" for n in range(100)), "nobody"]
    rows = await asyncio.gather(*(reads.find(QUERY, key) for key in keys * 2))
    assert [row and row[1] for row in rows] == [*(f"KEY {n}" for n in range(100)), None] * 2
    assert counted.statements == 1


async def test_one_question_that_is_asked_again_and_again_keeps_no_other_waiting() -> None:
    class Flooded:
        """Whenever it answers the one, that is asked again before it has."""

        def __init__(self) -> None:
            self.statements: list[str] = []

        async def fetch(self, query: str, keys: list[str], **_: object) -> list[tuple[str, ...]]:
            self.statements.append(query)
            if len(self.statements) < 50:
                if len(self.statements) == 1:
                    waiting.append(asyncio.create_task(reads.find("the other", "key")))
                if query == "the one":
                    waiting.append(asyncio.create_task(reads.find("the one", f"{len(self.statements)}")))
            await asyncio.sleep(0)
            return [(key,) for key in keys]

        async def close(self, timeout: float) -> None:
            """It was none."""

    async def opened() -> Any:
        return connection

    waiting: list[asyncio.Task[Any]] = []
    connection, reads = Flooded(), GroupedReads(opened)
    await reads.find("the one", "0")
    assert await waiting[0] == ("key",)
    assert connection.statements.index("the other") <= 2
    await asyncio.gather(*waiting)
    await reads.close()


async def test_who_asks_while_a_statement_runs_is_answered_by_a_newer_one(
    reads: GroupedReads, counted: CountingConnection
) -> None:
    slow = "SELECT key, clock_timestamp()::text FROM unnest($1::text[]) key, pg_sleep(0.1)"
    first = asyncio.create_task(reads.find(slow, "a"))
    while not counted.statements:
        await asyncio.sleep(0)
    second = await reads.find(slow, "a")
    one = await first
    assert one is not None
    assert second is not None
    assert second[1] > one[1]


async def test_who_leaves_takes_nobody_elses_answer_along(reads: GroupedReads) -> None:
    leaving, staying = asyncio.create_task(reads.find(QUERY, "a")), asyncio.create_task(reads.find(QUERY, "a"))
    await asyncio.sleep(0)
    leaving.cancel()
    row = await staying
    assert row is not None
    assert row[1] == "A"


async def test_a_statement_that_fails_is_told_to_all_who_asked_and_to_nobody_after(reads: GroupedReads) -> None:
    told = await asyncio.gather(*(reads.find("SELECT nonsense", key) for key in "ab"), return_exceptions=True)
    assert all(isinstance(answer, Exception) for answer in told)
    assert await reads.find(QUERY, "a") is not None


async def test_what_postgresql_says_no_to_for_now_is_an_outage_and_what_is_wrong_in_itself_is_not(reads: GroupedReads) -> None:
    on_a_standby = "SELECT key, set_config('transaction_read_only', 'on', true), lo_create(0) FROM unnest($1::text[]) key"
    with pytest.raises(DatabaseUnavailable, match="ReadOnlySQLTransactionError"):
        await reads.find(on_a_standby, "a")
    with pytest.raises(asyncpg.UndefinedColumnError):
        await reads.find("SELECT nonsense, $1::text[]", "a")
    assert await reads.find(QUERY, "a") is not None


async def test_a_connection_that_was_lost_is_replaced_unseen(
    database: Database, tenant: Tenant, postgres: EmbeddedPostgres
) -> None:
    identity = Identity(Directory(database))
    await identity.authenticate(tenant.secret)
    superuser = await asyncpg.connect(postgres.owner_url)
    lookup = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT k.secret_sha256%'"
    assert await superuser.fetchval(lookup)
    await superuser.close()
    assert await identity.authenticate(tenant.secret) == tenant.principal


async def test_a_revocation_holds_for_the_next_request(database: Database, tenant: Tenant) -> None:
    identity = Identity(Directory(database))
    await Keys(Directory(database)).revoke(tenant.principal, tenant.principal.key_id)
    with pytest.raises(Unauthenticated):
        await identity.authenticate(tenant.secret)


async def test_a_database_that_is_away_is_said_to_be_away() -> None:
    async def nowhere() -> Any:
        return await connect("postgresql://nobody@/nothing?host=/nonexistent", "paddock_system")

    reads = GroupedReads(nowhere)
    with pytest.raises(DatabaseUnavailable):
        await reads.find(QUERY, "a")
    await reads.close()
