"""What a process does for the turns that it runs, while it is busy with those of others."""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

from core.conversations.upkeep import Upkeep


class Leases:
    seconds = 0.15

    def __init__(self) -> None:
        self.renewed = asyncio.Semaphore(0)
        self.orphans: list[Any] = [object()]

    async def renew(self, running: Sequence[str]) -> frozenset[str]:
        assert list(running) == ["resp_mine"]
        self.renewed.release()
        return frozenset()

    async def cancelled(self, _running: Sequence[str]) -> frozenset[str]:
        return frozenset()

    async def take_orphans(self, *, limit: int) -> list[Any]:
        taken, self.orphans = self.orphans[:limit], self.orphans[limit:]
        return taken


class StuckAdoption:
    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.left: Sequence[object] = []

    async def take(self, _orphan: object) -> None:
        self.begun.set()
        await asyncio.Event().wait()

    async def let_go(self, taken: Sequence[object]) -> None:
        self.left = taken


class NoHints:
    async def wait(self, _channel: str) -> None:
        await asyncio.Event().wait()


async def test_leases_are_renewed_while_a_turn_of_another_process_is_slow_to_go_on_here() -> None:
    leases, adoption = Leases(), StuckAdoption()
    mine = SimpleNamespace(holds_lease=True, turn=SimpleNamespace(stored=True))
    doubles: Any = {"leases": leases, "adoption": adoption, "identities": None, "wakeups": NoHints()}
    upkeep = Upkeep(**doubles, running=cast(Any, {"resp_mine": mine}))
    keeping = asyncio.create_task(upkeep.run())
    async with asyncio.timeout(10):
        await adoption.begun.wait()
        for _ in range(3):
            await leases.renewed.acquire()
    keeping.cancel()
    await asyncio.wait([keeping])
    assert len(adoption.left) == 1, "what it had in hand is free"
