"""Many turns in two processes, cancelled, left, deleted and cut off at random: what is stored is whole at the end."""

import asyncio
import random
from collections import Counter
from contextlib import aclosing, suppress
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa

from core.bootstrap import Platform
from core.errors import Conflict, NotFound
from core.events import Recorded, TurnEnded, TurnStarted, TurnStatus
from core.messages import ToolCallItem
from core.storage.database import Database
from core.storage.embedded.postgres import EmbeddedPostgres
from core.storage.journal import decode_event, decode_item
from tests.integration.conftest import Stage, Tenant
from tests.integration.test_turns import ANSWER, asking, code

TURNS = 60
STORY = {"when": {"contains": "story"}, "pace_seconds": 0.005, "piece_characters": 4, "reply": {"text": "word " * 30}}
RULES = (code("import time; print(1, flush=True); time.sleep(0.1); print(2)", contains="code"), ANSWER, STORY)


EXPIRE = sa.text("UPDATE turns SET lease_expires_at = now() - interval '1 s' WHERE id = :id")
CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%barred AS%' AND pid <> pg_backend_pid()"


class Storm:
    """One random life of a turn after another. Seeded, though the interleaving is not."""

    def __init__(self, platforms: list[Platform], tenant: Tenant, conversations: list[str], seed: int) -> None:
        self.platforms = platforms
        self.tenant = tenant
        self.conversations = conversations
        self.random = random.Random(seed)
        self.seen: dict[str, list[Recorded]] = {}
        self.refused = 0

    async def life(self) -> None:
        principal, dice = self.tenant.principal, self.random
        runs, other = dice.sample(self.platforms, 2)
        conversation = dice.choice([*self.conversations, None, None])
        builtins, store = ("code_interpreter",), dice.random() < 0.8
        request = asking(dice.choice(["story", "code"]), builtins=builtins, conversation_id=conversation, store=store)
        try:
            turn = await runs.turns.start(principal, request)
        except Conflict:
            self.refused += 1
            return
        reader = asyncio.create_task(self.read(runs if dice.random() < 0.5 or not store else other, turn.id))
        await asyncio.sleep(dice.random() * 0.3)
        match dice.choice(["stay", "cancel", "cancel elsewhere", "leave", "cancel twice", "delete", "stall"]):
            case "cancel":
                await self.quietly(runs.turns.cancel(principal, turn.id))
            case "cancel elsewhere":
                await self.quietly(other.turns.cancel(principal, turn.id))
            case "cancel twice":
                await asyncio.gather(*(self.quietly(p.turns.cancel(principal, turn.id)) for p in (runs, other, runs)))
            case "leave":
                reader.cancel()
            case "stall":
                async with runs.database.everyone() as connection:
                    await connection.execute(EXPIRE, {"id": turn.id})
            case "delete":
                with suppress(Conflict):
                    await self.quietly(other.turns.delete(principal, turn.id))
        with suppress(asyncio.CancelledError, NotFound):
            await reader

    async def read(self, platform: Platform, turn_id: str) -> None:
        seen = self.seen.setdefault(turn_id, [])
        async with aclosing(platform.turns.follow(self.tenant.principal, turn_id)) as events:
            async for recorded in events:
                seen.append(recorded)

    async def quietly(self, attempt: Any) -> None:
        """An unstored turn is not there for the other process, nor a deleted one for anybody."""
        with suppress(NotFound):
            await attempt


async def _cut_connections(postgres: EmbeddedPostgres) -> None:
    """Now and then, the connections that the journals write on."""
    connection = await asyncpg.connect(postgres.owner_url)
    try:
        while True:
            await asyncio.sleep(0.7)
            await connection.execute(CUT)
    finally:
        await connection.close()


@pytest.mark.parametrize("seed", [1, 2])
async def test_whatever_happens_to_turns_what_is_stored_is_whole(
    stage: Stage, tenant: Tenant, database: Database, postgres: EmbeddedPostgres, seed: int
) -> None:
    who = tenant.principal.organization_id
    async with stage.open_with(*RULES, lease_seconds=1) as one, stage.open_with(*RULES, lease_seconds=1) as two:
        conversations = [(await one.conversations.create(who, metadata={}, items=[])).id for _ in range(4)]
        storm = Storm([one, two], tenant, conversations, seed)
        cutting = asyncio.create_task(_cut_connections(postgres))
        async with asyncio.timeout(90):
            lives = [asyncio.create_task(_later(storm, n * 0.03)) for n in range(TURNS)]
            await asyncio.gather(*lives)
            while _played() or await _unended(database, who):
                await asyncio.sleep(0.05)
        cutting.cancel()
        with suppress(asyncio.CancelledError):
            await cutting
    assert storm.refused < TURNS
    await _check(database, who, storm)


def _played() -> bool:
    """Some turn has a task still: one of an unstored turn ends after its last reader has left, and nobody waits for it."""
    return any(task.get_name().startswith("resp_") for task in asyncio.all_tasks())


async def _unended(database: Database, who: str) -> bool:
    """Some turn has lost its process, and the one that goes on with it may be about to."""
    async with database.everyone() as connection:
        query = sa.text("SELECT count(*) FROM turns WHERE organization_id = :who AND status IN ('running', 'pending')")
        return bool(await connection.scalar(query, {"who": who}))


async def _later(storm: Storm, seconds: float) -> None:
    await asyncio.sleep(seconds)
    await storm.life()


async def _check(database: Database, who: str, storm: Storm) -> None:
    async with database.everyone() as connection:
        turns, events, items, ledger = [
            (
                await connection.execute(sa.text(f"SELECT * FROM {table} WHERE organization_id = :who {order}"), {"who": who})
            ).all()
            for table, order in (
                ("turns", ""),
                ("turn_events", "ORDER BY turn_id, seq"),
                ("items", "ORDER BY position"),
                ("tool_ledger", ""),
            )
        ]
    assert {turn.status for turn in turns} <= set(TurnStatus) - {TurnStatus.RUNNING}
    assert (
        len(turns) + storm.refused >= TURNS * 0.8
    )  # unstored ones without a tool that were cut short leave no row before their end
    journal: dict[str, list[Recorded]] = {}
    for row in events:
        journal.setdefault(row.turn_id, []).append(Recorded(row.seq, decode_event(row.payload)))
    for turn in turns:
        told = journal.get(turn.id, [])
        if not turn.stored:
            assert told == []
            continue
        assert [recorded.seq for recorded in told] == list(range(1, len(told) + 1))
        assert told[0].event == TurnStarted()
        ends = [recorded.event for recorded in told if isinstance(recorded.event, TurnEnded)]
        assert [end.status for end in ends] == [turn.status]
        assert isinstance(told[-1].event, TurnEnded)
        assert storm.seen[turn.id] == told[: len(storm.seen[turn.id])]
        mine = [decode_item(row.payload) for row in items if row.turn_id == turn.id]
        assert len(mine) >= 1
    assert max(Counter(row.id for row in items).values(), default=1) == 1
    stored = {turn.id for turn in turns if turn.stored}
    assert {row.state for row in ledger if row.turn_id in stored} <= {"completed", "outcome_unknown"}
    calls = [item for item in (decode_item(row.payload) for row in items) if isinstance(item, ToolCallItem)]
    assert {call.result.content for call in calls if call.result is not None and not call.result.failed} <= {"1\n2"}
