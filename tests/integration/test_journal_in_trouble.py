"""The journal when PostgreSQL hangs, refuses, goes away or is killed, and when its own writer stops."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa

from core.errors import Conflict, InvalidRequest, NotFound, Unauthenticated, Unavailable
from core.events import TextDelta, TurnEnded, TurnStarted, TurnStatus
from core.identity.keys import Keys
from core.storage import journal as journal_module
from core.storage.connection import SILENT_SECONDS, DatabaseUnavailable, connect
from core.storage.conversations import ConversationStore
from core.storage.database import Database, open_database
from core.storage.directory import Directory
from core.storage.embedded.postgres import EmbeddedPostgres
from core.storage.journal import Entry, KeyRevoked, open_journal
from core.storage.turns import TurnStore
from tests.integration.conftest import Tenant
from tests.integration.test_journal import a_turn, acceptance, journal, opened, says
from tests.integration.test_lost_commits import queued
from tests.integration.test_migrations import database_of_its_own

__all__ = ["journal"]  # the fixture
PATIENCE_SECONDS = 20
ENDED = TurnEnded(status=TurnStatus.COMPLETED)


def delta(text: str) -> Entry:
    return Entry(event=TextDelta(item=0, text=text))


@asynccontextmanager
async def owner(postgres: EmbeddedPostgres) -> "AsyncIterator[asyncpg.Connection[Any]]":
    connection = await asyncpg.connect(postgres.owner_url, server_settings={"search_path": "paddock"})
    try:
        yield connection
    finally:
        await connection.close()


async def test_a_database_that_hangs_stops_the_turns_that_wait_and_no_later_one(
    journal: journal_module.Journal, postgres: EmbeddedPostgres, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, reader = opened(journal, a_turn(tenant))
    await stuck.record(Entry(event=TurnStarted()))
    async with owner(postgres) as connection, asyncio.timeout(PATIENCE_SECONDS), connection.transaction():
        await connection.execute("LOCK TABLE turn_events IN ACCESS EXCLUSIVE MODE")
        with monkeypatch.context() as impatient:
            impatient.setattr(journal_module, "WRITE_SECONDS", 0.3)
            impatient.setattr(journal_module, "GIVE_UP_SECONDS", 0.1)
            with pytest.raises(DatabaseUnavailable):
                await stuck.record(delta("never"))
    later, _ = opened(journal, a_turn(tenant))
    await later.record(Entry(event=TurnStarted()))
    assert [recorded.event for recorded in reader.seen] == [TurnStarted()]


@asynccontextmanager
async def full_disk(postgres: EmbeddedPostgres, table: str, organization_id: str) -> AsyncIterator[None]:
    """PostgreSQL answers one organisation's writes as it does when the disk is full."""
    async with owner(postgres) as connection:
        await connection.execute(f"""
            CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
            CREATE TRIGGER full_disk BEFORE INSERT ON {table} FOR EACH ROW
                WHEN (NEW.organization_id = '{organization_id}') EXECUTE FUNCTION full_disk()
        """)
        try:
            yield
        finally:
            await connection.execute("DROP FUNCTION full_disk CASCADE")


async def test_a_write_that_is_refused_stores_nothing_of_its_group_and_others_all(
    journal: journal_module.Journal, postgres: EmbeddedPostgres, database: Database, tenant: Tenant, other_tenant: Tenant
) -> None:
    poor, rich = a_turn(tenant), a_turn(other_tenant)
    async with full_disk(postgres, "turn_events", poor.organization_id):
        (poor_writer, _), (rich_writer, reader) = opened(journal, poor), opened(journal, rich)
        refused, kept = poor_writer.record(Entry(event=TurnStarted())), rich_writer.record(Entry(event=TurnStarted()))
        with pytest.raises(Unavailable) as why:
            await refused
        await kept
    assert (why.value.code, why.value.message) == ("journal_refused", "the journal could not be written: DiskFullError")
    assert len(reader.seen) == 1
    async with database.everyone() as connection:
        for table, column in (("turns", "id"), ("items", "turn_id"), ("turn_events", "turn_id")):
            count = sa.text(f"SELECT count(*) FROM {table} WHERE {column} = :id")
            assert (await connection.execute(count, {"id": poor.id})).scalar_one() == 0
    with pytest.raises(Unavailable):
        poor_writer.record(delta("after"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Given(Database):
    """Gives these connections, the last one first, and then is away."""

    left: list[Any]

    async def connect(self, settings: Mapping[str, str] | None = None) -> "asyncpg.Connection[Any]":
        if not self.left:
            raise DatabaseUnavailable("nobody is there")
        connection: asyncpg.Connection[Any] = self.left.pop()
        return connection


class Hesitates:
    """A connection whose first statement PostgreSQL says no to, though nothing is wrong with it."""

    def __init__(self, connection: Any, refusal: Exception) -> None:
        self._connection = connection
        self._refusals = [refusal]

    async def execute(self, query: str, **options: Any) -> Any:
        return await self._connection.execute(query, **options)

    async def fetch(self, *arguments: Any, **options: Any) -> Any:
        if self._refusals:
            raise self._refusals.pop()
        return await self._connection.fetch(*arguments, **options)

    async def close(self, timeout: float) -> None:
        await self._connection.close(timeout=timeout)


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("refusal", [asyncpg.DeadlockDetectedError, asyncpg.InvalidCachedStatementError])
async def test_what_postgresql_says_no_to_once_is_written_the_second_time(
    database: Database, tenant: Tenant, refusal: type[Exception], waits: bool
) -> None:
    troubled = Given(
        app=database.app, system=database.system, leases=database.leases, reads=database.reads,
        left=[await database.connect(), Hesitates(await database.connect(), refusal("not now"))],
    )  # fmt: skip
    async with open_journal(troubled, on_commit=lambda ids: None) as journal:
        asked = queued(tenant) if waits else acceptance(a_turn(tenant))
        await journal.open_turn(asked, publish=lambda _: None).record(Entry(event=TurnStarted()))
    for connection in troubled.left:
        await connection.close(timeout=1)


class Full:
    """A connection of a server whose disk is full, and that ends of it."""

    def __init__(self) -> None:
        self._asked = 0

    async def fetch(self, *_: object, **__: object) -> Any:
        self._asked += 1
        raise asyncpg.DiskFullError("could not extend file") if self._asked == 1 else ConnectionResetError()

    async def close(self, timeout: float) -> None:
        """It is gone."""


async def test_a_server_that_goes_away_while_turns_are_written_one_by_one_is_waited_for_once(
    database: Database, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "GIVE_UP_SECONDS", 0.3)
    troubled = Given(app=database.app, system=database.system, leases=database.leases, reads=database.reads, left=[Full()])
    async with open_journal(troubled, on_commit=lambda ids: None) as journal, asyncio.timeout(10):
        records = [opened(journal, a_turn(tenant))[0].record(Entry(event=TurnStarted())) for _ in range(60)]
        for record in records:
            with pytest.raises(DatabaseUnavailable):
                await record


READ_ONLY = "SET default_transaction_read_only = on"


async def test_a_journal_that_was_left_on_a_standby_goes_on_with_the_server_that_took_its_place(
    journal: journal_module.Journal, tenant: Tenant
) -> None:
    writer, reader = opened(journal, a_turn(tenant))
    await writer.record(Entry(event=TurnStarted()))
    assert journal._connection is not None
    await journal._connection.execute(READ_ONLY)
    await writer.record(delta("after"))
    assert len(reader.seen) == 2


async def test_a_pool_that_was_left_on_a_standby_is_not_ready_and_goes_on_with_the_server_that_took_its_place(
    database: Database, tenant: Tenant
) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(3):
            connection = await stack.enter_async_context(database.everyone())
            await connection.execute(sa.text(READ_ONLY))
    with pytest.raises(DatabaseUnavailable):
        await database.ping()
    for _ in range(3):  # the pool gives what was given back first
        await database.ping()
        async with database.everyone() as connection:
            assert await connection.scalar(sa.text("SHOW transaction_read_only")) == "off"


async def test_a_server_that_may_only_be_read_is_not_connected_to(postgres: EmbeddedPostgres) -> None:
    async with database_of_its_own(postgres, "standby"), owner(postgres) as connection:
        await connection.execute("ALTER DATABASE standby SET default_transaction_read_only = on")
        standby = sa.make_url(postgres.server_url).set(database="standby").render_as_string(hide_password=False)
        with pytest.raises(DatabaseUnavailable):
            await connect(standby, "paddock_system")


async def test_a_full_disk_is_an_outage_and_not_a_bug(postgres: EmbeddedPostgres, database: Database, tenant: Tenant) -> None:
    store, who = ConversationStore(database), tenant.principal.organization_id
    async with full_disk(postgres, "items", who):
        with pytest.raises(DatabaseUnavailable, match="DiskFullError"):
            await store.create(who, metadata={}, items=[says("x")])
    async with database.tenant(who) as connection:
        assert (await connection.execute(sa.text("SELECT count(*) FROM conversations"))).scalar_one() == 0


async def test_a_turn_is_not_accepted_under_a_key_that_was_revoked_a_moment_ago(
    journal: journal_module.Journal, database: Database, tenant: Tenant
) -> None:
    await Keys(Directory(database)).revoke(tenant.principal, tenant.principal.key_id)
    for follows in ([], [Entry(event=ENDED)]):  # also when it ends in the group that would have accepted it
        turn = a_turn(tenant)
        writer, reader = opened(journal, turn)
        records = [writer.record(entry) for entry in (Entry(event=TurnStarted()), *follows)]
        for record in records:
            with pytest.raises(KeyRevoked):
                await record
        with pytest.raises(Unauthenticated):
            writer.record(Entry(event=ENDED))
        assert reader.seen == []
        async with database.everyone() as connection:
            count = sa.text("SELECT count(*) FROM turns WHERE id = :id")
            assert (await connection.execute(count, {"id": turn.id})).scalar_one() == 0


async def test_a_turn_is_not_accepted_in_another_tenants_conversation(
    journal: journal_module.Journal, database: Database, tenant: Tenant, other_tenant: Tenant
) -> None:
    theirs = await ConversationStore(database).create(other_tenant.principal.organization_id, metadata={}, items=[])
    writer, _ = opened(journal, a_turn(tenant, conversation_id=theirs.id))
    with pytest.raises(Conflict):
        await writer.record(Entry(event=TurnStarted()))


async def test_who_stops_waiting_for_a_record_hurts_nobody(
    journal: journal_module.Journal, database: Database, tenant: Tenant
) -> None:
    bad, _ = opened(journal, a_turn(tenant))
    bad.record(delta("\ud800"))
    journal._line[bad].durable.cancel()
    good, _ = opened(journal, a_turn(tenant))
    await good.record(Entry(event=TurnStarted()))
    lost, _ = opened(journal, a_turn(tenant))
    await lost.record(Entry(event=TurnStarted()))
    async with database.everyone() as connection:
        await connection.execute(sa.text("UPDATE turns SET lease_epoch = 7 WHERE id = :id"), {"id": lost.turn.id})
    lost.record(delta("in flight"))
    await asyncio.sleep(0)
    lost.record(delta("behind it")).cancel()
    await good.record(delta("fine"))
    await good.record(delta("still fine"))


async def test_closing_waits_for_what_is_being_written(database: Database, tenant: Tenant) -> None:
    async with open_journal(database, on_commit=lambda ids: None) as closing:
        writer, reader = opened(closing, a_turn(tenant))
        await writer.record(Entry(event=TurnStarted()))
        last = writer.record(delta("last"))
        await asyncio.sleep(0)  # the writer has taken it out of the line
    await last
    assert len(reader.seen) == 2


async def test_a_writer_that_has_stopped_leaves_nobody_waiting(database: Database, tenant: Tenant) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        async with open_journal(database, on_commit=lambda ids: None) as stopping:
            writer, _ = opened(stopping, a_turn(tenant))
            await writer.record(Entry(event=TurnStarted()))
            in_flight = writer.record(delta("a"))
            await asyncio.sleep(0)
            in_line = writer.record(delta("b"))
            [task] = [task for task in asyncio.all_tasks() if task.get_name() == "journal"]
            task.cancel()
            outcomes = await asyncio.gather(in_flight, in_line, return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [Unavailable, Unavailable]


async def test_a_server_that_refuses_the_connection_is_an_outage(server_url: str) -> None:
    async with open_database(server_url.replace("/paddock?", "/no_such_database?")) as nowhere:
        with pytest.raises(DatabaseUnavailable, match="InvalidCatalogNameError"):
            await nowhere.ping()
        with pytest.raises(DatabaseUnavailable):
            await Directory(nowhere).identities.find("x")


@pytest.mark.parametrize("text", ["resp_\x00", "resp_\ud800", "\udfff" * 9])
async def test_an_id_that_is_no_text_is_the_callers_mistake(database: Database, tenant: Tenant, text: str) -> None:
    who = tenant.principal.organization_id
    for attempt in (
        TurnStore(database).get(who, text),
        TurnStore(database).input_items(who, text, after=None, limit=1, descending=False),
        ConversationStore(database).get(who, text),
        ConversationStore(database).get_item(who, "conv_x", text),
        Directory(database).identities.keys(who, kind="key", user_id=None, after=text, limit=1, descending=True),
        Keys(Directory(database)).revoke(tenant.principal, text),
    ):
        with pytest.raises((InvalidRequest, NotFound)):
            await attempt


async def test_a_server_over_tcp_that_is_gone_without_a_word_is_noticed(server_url: str) -> None:
    """Cut off by a firewall or a failover: the kernel ends the connection, and nobody waits for a quarter of an hour."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(f"{url.query['host']}/.s.PGSQL.{url.port or 5432}")
        await asyncio.gather(pour(reader, back), pour(there, writer), return_exceptions=True)

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            while data := await reader.read(65536):
                writer.write(data)

    url = sa.make_url(server_url)
    async with await asyncio.start_server(relay, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        over_tcp = url.set(host=host, port=port, query={}).render_as_string(hide_password=False)
        connection: Any = await connect(over_tcp, "paddock_system")
        held = connection._transport.get_extra_info("socket")
        assert held.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == SILENT_SECONDS * 1000
        assert held.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()
