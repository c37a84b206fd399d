"""What limits cost a turn: from the question to Redis's answer for organisation, user and key, and the end's bookkeeping."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.config import TIERS
from core.limits.limiter import Limiter
from core.limits.tiers import Tiers
from core.storage.limiter import Allowance, open_counters
from tests.benchmarks.figures import Figure, percentile
from tests.doubles.own_redis import own_redis

TURNS, CALLERS = 4_000, 32
WIDEST = Allowance(**TIERS["house"].model_dump())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    id: str
    organization_id: str = "org_1"
    user_id: str = "user_1"
    key_id: str = "key_1"


@dataclass(frozen=True, slots=True)
class _Nothing:
    requests: int = 0
    tokens: int = 0


class _Books:
    """Everybody has a tier of their own, so that all three are counted; nobody used anything before."""

    async def find(self, _subject_id: str) -> str:
        return "house"

    async def used(self, *_of: object, until: object) -> _Nothing:
        return _Nothing()


def measure() -> Sequence[Figure]:
    return asyncio.run(_measure())


async def _measure() -> Sequence[Figure]:
    books: Any = _Books()
    async with own_redis() as redis, open_counters(redis.url) as counters:
        limiter = Limiter(tiers=Tiers({"house": WIDEST}, "house", books), counters=counters, store=books)
        await _turns(limiter, "warm", 200)
        alone = await _turns(limiter, "alone", TURNS)
        crowd = await asyncio.gather(*(_turns(limiter, f"crowd{n}", TURNS // CALLERS) for n in range(CALLERS)))
        await counters.drain()
        await limiter.close()
    together = [seconds for caller in crowd for seconds in caller]
    return [
        Figure(what="limits of a turn: p50", unit="ms", ours=percentile(alone, 50) * 1e3, at_most=0.5),
        Figure(what="limits of a turn: p99", unit="ms", ours=percentile(alone, 99) * 1e3),
        Figure(what=f"limits of a turn, {CALLERS} at once: p50", unit="ms", ours=percentile(together, 50) * 1e3),
    ]


async def _turns(limiter: Limiter, name: str, count: int) -> list[float]:
    """Seconds of each, one after another."""
    spent = []
    for n in range(count):
        began = time.perf_counter()
        grant = await limiter.admit(_Turn(id=f"turn_{name}_{n}"), tokens=500)
        grant.spend(300)
        grant.end()
        spent.append(time.perf_counter() - began)
    return spent
