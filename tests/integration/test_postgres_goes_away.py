"""Turns on a PostgreSQL of the test's own that is stopped, killed and started again under them."""

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from sqlalchemy import make_url

from api.app import create_app
from core.bootstrap import Platform
from core.errors import Unavailable
from core.events import Recorded, TurnStatus
from core.storage import journal
from core.storage.database import open_database
from core.storage.embedded.postgres import EmbeddedPostgres, open_postgres
from core.storage.migrate import migrate
from tests.conftest import quiet
from tests.integration.conftest import Stage, Tenant, make_tenant
from tests.integration.test_turns import HELLO, SLOW, asking, end, items, play, read, text

PATIENCE_SECONDS = 60
STORY = SLOW | {"pace_seconds": 0.02, "reply": {"text": "slow " * 40}}


@pytest.fixture
def home() -> Iterator[Path]:
    """Short: the server's socket is in it."""
    place = Path(tempfile.mkdtemp(prefix="paddock-own-"))
    yield place
    shutil.rmtree(place)


@dataclass(slots=True)
class OwnServer:
    """A migrated server that can be stopped and started again on the same data."""

    home: Path
    durable: bool
    stack: AsyncExitStack
    server: EmbeddedPostgres

    async def stop(self) -> None:
        await self.stack.aclose()

    async def start(self) -> None:
        self.server = await self.stack.enter_async_context(open_postgres(self.home, durable=self.durable, notify=quiet))

    async def kill_a_backend(self) -> None:
        """As the kernel does when memory is short: all others are ended too, and the server recovers from its log."""
        connection = await asyncpg.connect(self.server.owner_url)
        pid = await connection.fetchval("SELECT pid FROM pg_stat_activity WHERE application_name = 'paddock' LIMIT 1")
        await connection.close()
        os.kill(pid, signal.SIGKILL)


@asynccontextmanager
async def own_server(home: Path, *, durable: bool) -> AsyncIterator[OwnServer]:
    async with AsyncExitStack() as stack:
        opened = await stack.enter_async_context(open_postgres(home, durable=durable, notify=quiet))
        login = make_url(opened.server_url).username
        assert login is not None
        await migrate(opened.owner_url, server_login=login)
        yield OwnServer(home=home, durable=durable, stack=stack, server=opened)


@dataclass(frozen=True, slots=True)
class Scene:
    server: OwnServer
    platform: Platform
    tenant: Tenant


@asynccontextmanager
async def scene(
    home: Path, stage: Stage, *rules: Mapping[str, Any], durable: bool = False, lease_seconds: int = 1
) -> AsyncIterator[Scene]:
    async with own_server(home, durable=durable) as server, asyncio.timeout(PATIENCE_SECONDS):
        addresses = replace(stage.addresses, database=server.server.server_url)
        async with open_database(addresses.database) as database:
            tenant = await make_tenant(database, "one")
        async with replace(stage, addresses=addresses).open_with(*rules, lease_seconds=lease_seconds) as platform:
            yield Scene(server, platform, tenant)


async def _until_it_speaks(platform: Platform, tenant: Tenant, turn_id: str) -> list[Recorded]:
    async with aclosing(platform.turns.follow(tenant.principal, turn_id)) as events:
        seen: list[Recorded] = []
        async for recorded in events:
            seen.append(recorded)
            if len(seen) == 5:
                break
        return seen


async def _stored(at: Scene, turn_id: str) -> Sequence[Recorded]:
    with suppress(Unavailable):  # a connection of the pool that died with the server is noticed by who uses it
        await at.platform.turns.events(at.tenant.principal, turn_id)
    return await at.platform.turns.events(at.tenant.principal, turn_id)


async def test_a_turn_outlives_a_restart_of_postgresql(home: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "GIVE_UP_SECONDS", PATIENCE_SECONDS)
    async with scene(home, stage, STORY) as at:
        turn = await at.platform.turns.start(at.tenant.principal, asking("go"))
        reading = asyncio.create_task(read(at.platform, at.tenant, turn.id))
        await _until_it_speaks(at.platform, at.tenant, turn.id)
        await at.server.stop()
        await at.server.start()
        events = await reading
        assert end(events).status is TurnStatus.COMPLETED
        assert text(events) == "slow " * 40
        assert [recorded.seq for recorded in events] == list(range(1, len(events) + 1))
        assert await _stored(at, turn.id) == events


async def test_a_turn_outlives_the_crash_of_a_backend(home: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "GIVE_UP_SECONDS", PATIENCE_SECONDS)
    recovered = 30  # by when a busy machine has PostgreSQL's log read again
    async with scene(home, stage, STORY, durable=True, lease_seconds=recovered) as at:
        turn = await at.platform.turns.start(at.tenant.principal, asking("go"))
        reading = asyncio.create_task(read(at.platform, at.tenant, turn.id))
        await _until_it_speaks(at.platform, at.tenant, turn.id)
        await at.server.kill_a_backend()
        events = await reading
        assert text(events) == "slow " * 40
        assert await _stored(at, turn.id) == events


async def test_a_turn_whose_database_stays_away_stops_and_goes_on_when_it_is_back_with_nothing_taken_back(
    home: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "GIVE_UP_SECONDS", 0.2)
    monkeypatch.setattr("core.bootstrap.CHECK_SECONDS", 60.0)  # a machine that stands still is no server that is away
    async with scene(home, stage, STORY | {"times": 1}, HELLO) as at:
        principal = at.tenant.principal
        conversation = await at.platform.conversations.create(principal.organization_id, metadata={}, items=[])
        turn = await at.platform.turns.start(principal, asking("go", conversation_id=conversation.id))
        seen = await _until_it_speaks(at.platform, at.tenant, turn.id)
        await at.server.stop()
        with pytest.raises(Unavailable):
            await read(at.platform, at.tenant, turn.id)
        with pytest.raises(Unavailable):
            await at.platform.turns.start(principal, asking("anybody there?"))
        assert not (await at.platform.readiness()).ready
        assert not at.platform.turns.running
        await at.server.start()
        ended = await at.platform.turns.wait(principal, turn.id)
        assert ended.status is TurnStatus.COMPLETED
        stored = await read(at.platform, at.tenant, turn.id)
        assert stored[: len(seen)] == seen
        kept = await items(at.platform, at.tenant, conversation.id)
        cut, answer = [part.text for item in kept[1:] for part in item.parts]  # type: ignore[union-attr]
        assert cut
        assert answer == "Hello there"
        assert cut + answer == text(stored)
        assert (await at.platform.readiness()).ready
        assert text(await play(at.platform, at.tenant, asking("again", conversation_id=conversation.id))) == "Hello there"


async def test_who_waits_for_an_answer_when_the_database_goes_is_told_not_to_ask_again(
    home: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The turn was accepted, and goes on when the database is back: OpenAI's clients would have it twice."""
    monkeypatch.setattr(journal, "GIVE_UP_SECONDS", 0.2)
    async with scene(home, stage, STORY | {"times": 1}, HELLO) as at, AsyncExitStack() as stack:
        transport = httpx.ASGITransport(create_app(at.platform), raise_app_exceptions=False)
        headers = {"authorization": f"Bearer {at.tenant.secret}"}
        http = await stack.enter_async_context(
            httpx.AsyncClient(transport=transport, base_url="http://paddock", headers=headers)
        )
        asking_it = asyncio.create_task(http.post("/v1/responses", json={"input": "go"}, timeout=PATIENCE_SECONDS))
        while not (running := list(at.platform.turns.running)):
            await asyncio.sleep(0.01)
        await _until_it_speaks(at.platform, at.tenant, running[0])
        await at.server.stop()
        told = await asking_it
        assert (told.status_code, told.json()["error"]["code"]) == (503, "database_unavailable")
        assert told.headers["x-should-retry"] == "false"
        await at.server.start()
        assert (await at.platform.turns.wait(at.tenant.principal, running[0])).status is TurnStatus.COMPLETED
