"""What a caller may use, asked of a whole server: real Redis (stopped, emptied, started), real PostgreSQL, every endpoint."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from api.app import create_app
from core.bootstrap import Platform, open_platform
from core.config import Settings
from core.errors import RateLimited
from core.storage.limiter import (
    MOST_WAITING,
    SCRIPT,
    Allowance,
    CountersBusy,
    LimitCounters,
    Refused,
    Settlement,
    Subject,
    open_counters,
)
from tests.doubles.own_redis import OwnRedis, own_redis
from tests.integration.conftest import Stage, Tenant

WIDE = {
    "requests_per_minute": 100_000,
    "requests_per_day": 1_000_000,
    "tokens_per_minute": 10**9,
    "tokens_per_month": 10**12,
    "concurrent_turns": 1_000,
}
ANSWER = {"reply": "four"}
CHAT = {"model": "scripted", "messages": [{"role": "user", "content": "2 + 2?"}], "max_tokens": 50}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    platform: Platform
    client: httpx.AsyncClient
    redis: OwnRedis

    async def chat(self, **more: Any) -> httpx.Response:
        return await self.client.post("/v1/chat/completions", json={**CHAT, **more})


@pytest.fixture(scope="session")
def sandbox_socket(session_home: Path) -> Path:
    """Nobody's: no turn here runs a tool."""
    return session_home / "no-sandbox.sock"


@pytest.fixture
async def redis(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OwnRedis]:
    """It is away when it was stopped, and never because the machine stood still for half a second."""
    monkeypatch.setattr("core.storage.limiter.ANSWER_SECONDS", 60.0)
    async with own_redis() as server:
        yield server


@asynccontextmanager
async def serving(
    stage: Stage, tenant: Tenant, redis: OwnRedis, *rules: Mapping[str, Any], **tier: int
) -> AsyncIterator[Server]:
    """Everybody is in the tier, whose other limits are wide."""
    settings = Settings.model_validate(
        {
            "home": stage.home,
            "config": stage.home / "paddock.yaml",
            "models": [{"name": "scripted", "backend": "scripted", "script": list(rules or (ANSWER,))}],
            "tiers": {"tested": {**WIDE, **tier}, "narrow": {**WIDE, "requests_per_minute": 1}},
            "default_tier": "tested",
        }
    )
    headers = {"authorization": f"Bearer {tenant.secret}"}
    async with open_platform(settings, replace(stage.addresses, redis=redis.url)) as platform:
        transport = httpx.ASGITransport(create_app(platform))
        async with httpx.AsyncClient(transport=transport, base_url="http://paddock", headers=headers) as client:
            yield Server(platform=platform, client=client, redis=redis)


async def test_one_request_too_many_is_told_when_to_come_again(stage: Stage, tenant: Tenant, redis: OwnRedis) -> None:
    async with serving(stage, tenant, redis, requests_per_minute=2) as server:
        first, second, third = [await server.chat() for _ in range(3)]
    assert [first.status_code, second.status_code, third.status_code] == [200, 200, 429]
    error = third.json()["error"]
    assert (error["type"], error["code"], error["param"]) == ("requests", "rate_limit_exceeded", None)
    assert 1 <= int(third.headers["retry-after"]) <= 30
    assert first.headers["x-ratelimit-limit-requests"] == "2"
    assert first.headers["x-ratelimit-remaining-requests"] == "1"
    assert first.headers["x-ratelimit-reset-requests"] == "30s"
    assert third.headers["x-ratelimit-remaining-requests"] == "0"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("path", "body"), [("/v1/responses", {"model": "scripted", "input": "2 + 2?"}), ("/v1/chat/completions", CHAT)]
)
async def test_every_endpoint_counts_and_says_what_is_left(
    stage: Stage, tenant: Tenant, redis: OwnRedis, path: str, body: dict[str, Any], stream: bool
) -> None:
    async with serving(stage, tenant, redis, requests_per_minute=10) as server:
        answer = await server.client.post(path, json={**body, "stream": stream})
        models = await server.client.get("/v1/models")
    assert answer.status_code == 200
    assert answer.headers["x-ratelimit-remaining-requests"] == "9"
    assert int(answer.headers["x-ratelimit-remaining-tokens"]) < WIDE["tokens_per_minute"]
    assert "x-ratelimit-limit-requests" not in models.headers


async def test_tokens_are_reserved_before_and_settled_with_what_was_used(stage: Stage, tenant: Tenant, redis: OwnRedis) -> None:
    async with serving(stage, tenant, redis, tokens_per_minute=6_000) as server:
        first = await server.chat(max_tokens=5_000)
        second = await server.chat(max_tokens=5_000)
    assert int(first.headers["x-ratelimit-remaining-tokens"]) < 1_000
    assert second.status_code == 200


async def test_more_tokens_than_are_left_this_minute_are_refused_as_tokens(
    stage: Stage, tenant: Tenant, redis: OwnRedis
) -> None:
    slow = {"reply": [{"pause_seconds": 30, "text": "four"}]}
    async with serving(stage, tenant, redis, slow, tokens_per_minute=6_000) as server:
        running = asyncio.create_task(server.chat(max_tokens=5_000))
        await until(lambda: server.platform.turns.running)
        refused = await server.chat(max_tokens=5_000)
        running.cancel()
        await asyncio.wait([running])
    assert refused.status_code == 429
    assert refused.json()["error"]["type"] == "tokens"


async def test_a_request_larger_than_a_whole_minute_waits_for_a_full_one_and_leaves_it_in_debt(
    stage: Stage, tenant: Tenant, redis: OwnRedis
) -> None:
    async with serving(stage, tenant, redis, {"reply": "four " * 300}, tokens_per_minute=100) as server:
        first = await server.chat(max_tokens=5_000)
        second = await server.chat(max_tokens=10)
    assert [first.status_code, second.status_code] == [200, 429]


async def test_the_turns_of_one_organization_at_once_are_bounded_and_a_cancelled_one_gives_its_place_back(
    stage: Stage, tenant: Tenant, redis: OwnRedis
) -> None:
    async with serving(stage, tenant, redis, {"reply": [{"pause_seconds": 30, "text": "four"}]}, concurrent_turns=1) as server:
        running = asyncio.create_task(server.chat())
        await until(lambda: server.platform.turns.running)
        refused = await server.chat()
        running.cancel()
        await asyncio.wait([running])
        await until(lambda: not server.platform.turns.running)
        next_one = asyncio.create_task(server.chat())
        await until(lambda: server.platform.turns.running)
        next_one.cancel()
        await asyncio.wait([next_one])
    assert refused.status_code == 429
    assert "turns at once" in refused.json()["error"]["message"]


async def test_a_month_that_is_used_up_is_not_asked_for_again(stage: Stage, tenant: Tenant, redis: OwnRedis) -> None:
    async with serving(stage, tenant, redis, tokens_per_month=200) as server:
        answers = [await server.chat(max_tokens=100) for _ in range(30)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert refused[0].json()["error"]["code"] == "insufficient_quota"
    assert refused[0].headers["x-should-retry"] == "false"


async def test_a_reply_that_is_cut_off_is_paid_for(stage: Stage, tenant: Tenant, redis: OwnRedis) -> None:
    """Else whoever hangs up before the end talks for nothing."""
    chatty = {"reply": [{"pause_seconds": 0.05, "text": "word "}] * 100}
    async with serving(stage, tenant, redis, chatty, tokens_per_month=80) as server:
        request = server.client.build_request("POST", "/v1/chat/completions", json={**CHAT, "stream": True})
        task = asyncio.create_task(server.client.send(request))
        await until(lambda: any(len(running.feed.events) > 10 for running in server.platform.turns.running.values()))
        task.cancel()
        await asyncio.wait([task])
        await until(lambda: not server.platform.turns.running)
        after = await server.chat()
    assert after.status_code == 429


async def test_redis_stops_and_starts_in_the_middle_of_a_load_and_nobody_notices(
    stage: Stage, tenant: Tenant, redis: OwnRedis, caplog: pytest.LogCaptureFixture
) -> None:
    statuses: list[int] = []
    async with serving(stage, tenant, redis) as server:
        load = asyncio.create_task(_load(server, statuses))
        await until(lambda: len(statuses) > 20)
        await redis.stop()
        await until(lambda: server.platform.limiter.away)
        before = len(statuses)
        await until(lambda: len(statuses) > before + 20)
        seen = (await server.client.get("/metrics")).text
        await redis.start()
        await until(lambda: not server.platform.limiter.away)
        before = len(statuses)
        await until(lambda: len(statuses) > before + 20)
        load.cancel()
        await asyncio.wait([load])
    assert set(statuses) == {200}
    assert "paddock_limiter_redis_up 0.0" in seen
    assert "paddock_limiter_local_total 0.0" not in seen
    lines = [record.message for record in caplog.records if record.name == "core.storage.limiter"]
    assert len(lines) == 2, "one when it goes, one when it is back"


async def _load(server: Server, statuses: list[int]) -> None:
    while True:
        statuses += [answer.status_code for answer in await asyncio.gather(*(server.chat() for _ in range(4)))]


async def test_without_redis_this_process_still_limits(stage: Stage, tenant: Tenant, redis: OwnRedis) -> None:
    async with serving(stage, tenant, redis, requests_per_minute=3, concurrent_turns=5) as server:
        await redis.stop()
        answers = [await server.chat() for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]


async def test_a_redis_that_answers_and_counts_nothing_is_away_and_that_is_said_once(
    stage: Stage, tenant: Tenant, redis: OwnRedis, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(stage, tenant, redis, requests_per_minute=6) as server, Redis.from_url(redis.url) as theirs:
        await theirs.config_set("maxmemory", 1)
        statuses = [(await server.chat()).status_code for _ in range(7)]
        full = (await server.client.get("/metrics")).text
        await theirs.config_set("maxmemory", 0)
        statuses += [(await server.chat()).status_code for _ in range(2)]
        free = (await server.client.get("/metrics")).text
    assert statuses == [200] * 6 + [429] + [200] * 2
    assert "paddock_limiter_redis_up 0.0" in full
    assert "paddock_limiter_redis_up 1.0" in free
    lines = [record.message for record in caplog.records if record.name == "core.storage.limiter"]
    assert len(lines) == 2, lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    id: str
    organization_id: str
    user_id: str
    key_id: str


def turns_of(tenant: Tenant) -> Iterator[Turn]:
    who = tenant.principal
    for number in count():
        yield Turn(id=f"turn_{number}", organization_id=who.organization_id, user_id=who.user_id, key_id=who.key_id)


async def test_turns_that_redis_takes_over_give_their_places_back_to_the_process_that_let_them_in(
    stage: Stage, tenant: Tenant, redis: OwnRedis
) -> None:
    """Redis comes back between two of their model calls, whose tokens are counted once each."""
    turns = turns_of(tenant)
    async with serving(stage, tenant, redis, concurrent_turns=2, tokens_per_minute=100_000) as server:
        limiter = server.platform.limiter
        await redis.stop()
        let_in = [await limiter.admit(next(turns), tokens=40_000) for _ in range(2)]
        with pytest.raises(RateLimited, match="2 turns at once"):
            await limiter.admit(next(turns), tokens=10)
        for grant in let_in:
            await grant.reserve(40_000)
            grant.spend(10)
        await redis.start()
        await until(lambda: not limiter.away)
        for grant in let_in:
            await grant.reserve(40_000)
            grant.spend(10)
            grant.end()
        await redis.stop()
        for grant in [await limiter.admit(next(turns), tokens=40_000) for _ in range(2)]:
            grant.end()
    assert limiter.let_in_locally == 4


async def test_what_a_silent_redis_counts_when_it_wakes_is_given_back(
    stage: Stage, tenant: Tenant, redis: OwnRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its question was in the socket when everybody stopped waiting for its answer."""
    monkeypatch.setattr("core.storage.limiter.ANSWER_SECONDS", 1.0)
    turns, home = turns_of(tenant), tenant.principal.organization_id
    async with serving(stage, tenant, redis, concurrent_turns=2) as server:
        limiter = server.platform.limiter
        (await limiter.admit(next(turns), tokens=1)).end()
        redis.freeze()
        for grant in await asyncio.gather(*(limiter.admit(next(turns), tokens=50_000) for _ in range(2))):
            await grant.reserve(50_000)
            grant.spend(10)
            grant.end()
        redis.thaw()
        await until(lambda: not limiter.away)
        (await limiter.admit(next(turns), tokens=10)).end()
    async with Redis.from_url(redis.url) as theirs:
        assert await theirs.hmget(f"paddock:limits:{{{home}}}:{home}", "month_tokens", "held") == [b"20", b"0"]


@pytest.mark.parametrize("next_tokens", [5_000, 6_000], ids=["as many", "more"])
async def test_a_redis_that_is_silent_between_two_calls_of_a_model_gives_no_month_back(
    stage: Stage, tenant: Tenant, redis: OwnRedis, monkeypatch: pytest.MonkeyPatch, next_tokens: int
) -> None:
    monkeypatch.setattr("core.storage.limiter.ANSWER_SECONDS", 1.0)
    turns = turns_of(tenant)
    async with serving(stage, tenant, redis) as server:
        limiter = server.platform.limiter
        before = await limiter.admit(next(turns), tokens=10_000)
        before.spend(10_000)
        before.end()
        grant = await limiter.resume(next(turns), tokens=5_000)
        grant.spend(100)
        redis.freeze()
        await grant.reserve(next_tokens)
        grant.spend(100)
        grant.end()
        redis.thaw()
        await until(lambda: not limiter.away)
        (await limiter.admit(next(turns), tokens=10)).end()
        used, held = await counted(limiter._counters, tenant.principal.organization_id)
    assert 10_200 <= used <= 10_300  # what nobody answered may count twice
    assert held == 0


async def test_what_ended_while_redis_was_a_replica_is_counted_when_it_is_none_any_more(
    stage: Stage, tenant: Tenant, redis: OwnRedis
) -> None:
    turns = turns_of(tenant)
    async with serving(stage, tenant, redis) as server, Redis.from_url(redis.url) as theirs:
        limiter = server.platform.limiter
        grant = await limiter.admit(next(turns), tokens=50_000)
        await theirs.execute_command("REPLICAOF", "127.0.0.1", "1")
        for _ in range(3):
            other = await limiter.admit(next(turns), tokens=1_000)
            other.spend(1_000)
            other.end()
        grant.spend(10)
        grant.end()
        await limiter._counters.drain()
        assert limiter.away
        await theirs.execute_command("REPLICAOF", "NO", "ONE")
        (await limiter.admit(next(turns), tokens=10)).end()
        assert await counted(limiter._counters, tenant.principal.organization_id) == (3_010, 0)


async def test_a_turn_that_redis_let_in_takes_no_place_of_another_when_it_ends_without(
    stage: Stage, tenant: Tenant, redis: OwnRedis
) -> None:
    """Refused its month's tokens by Redis, or resumed here while Redis is away: the process never counted it."""
    turns = turns_of(tenant)
    async with serving(stage, tenant, redis, concurrent_turns=2, tokens_per_month=1_000) as server:
        limiter = server.platform.limiter
        greedy = await limiter.admit(next(turns), tokens=900)
        await greedy.reserve(900)
        greedy.spend(900)
        with pytest.raises(RateLimited, match="tokens a month"):
            await greedy.reserve(900)
        await redis.stop()
        running = [await limiter.admit(next(turns), tokens=10) for _ in range(2)]
        resumed = await limiter.resume(next(turns), tokens=10)
        for grant in (greedy, resumed):
            grant.end()
        with pytest.raises(RateLimited, match="2 turns at once"):
            await limiter.admit(next(turns), tokens=10)
        for grant in running:
            grant.end()


async def test_a_reservation_that_is_just_being_settled_is_not_renewed(stage: Stage, tenant: Tenant, redis: OwnRedis) -> None:
    """It would come back behind its settlement, take a turn's place for half a minute and be charged whole."""
    turns = turns_of(tenant)
    async with serving(stage, tenant, redis, concurrent_turns=1) as server:
        limiter = server.platform.limiter
        grant = await limiter.admit(next(turns), tokens=400)
        await grant.reserve(400)
        asking = asyncio.create_task(grant.reserve(500))
        await asyncio.sleep(0)  # the question is in the line
        limiter.renew()
        await asking
        limiter.renew()
        grant.end()
        (await limiter.admit(next(turns), tokens=400)).end()


@pytest.mark.parametrize("tokens", [400, 900, 995])  # as many as before; others; more than the month has
async def test_a_turn_that_is_cancelled_while_it_reserves_is_settled_with_what_it_used(
    stage: Stage, tenant: Tenant, redis: OwnRedis, tokens: int
) -> None:
    turns = turns_of(tenant)
    tier = {"concurrent_turns": 1, "tokens_per_month": 1_000, "tokens_per_minute": 1_000}
    async with serving(stage, tenant, redis, **tier) as server:
        limiter = server.platform.limiter
        grant = await limiter.admit(next(turns), tokens=400)
        await grant.reserve(400)
        grant.spend(10)
        asking = asyncio.create_task(grant.reserve(tokens))
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking])
        limiter.renew()
        grant.end()
        with pytest.raises(RateLimited, match="tokens a m"):
            await limiter.admit(next(turns), tokens=991)
        (await limiter.admit(next(turns), tokens=990)).end()


async def test_a_turn_that_is_cancelled_before_it_hears_that_it_is_let_in_takes_nobodys_place(counters: LimitCounters) -> None:
    limited = [subject(concurrent_turns=1, tokens_per_month=1_000, tokens_per_minute=1_000)]
    asking = asyncio.create_task(counters.admit(limited, "turn_1", tokens=900, seconds=30))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking])
    assert not isinstance(await counters.admit(limited, "turn_2", tokens=1_000, seconds=30), Refused)


async def test_a_redis_that_forgot_everything_learns_the_month_from_the_books(
    stage: Stage, tenant: Tenant, redis: OwnRedis
) -> None:
    async with serving(stage, tenant, redis, {"reply": "four " * 100}, tokens_per_month=2_000) as server:
        while (await server.chat(max_tokens=300)).status_code == 200:
            pass
        await redis.stop()
        await redis.start()
        await until(lambda: not server.platform.limiter.away)
        statuses = []
        async with asyncio.timeout(60):
            while 429 not in statuses[1:]:  # the first ones may pass while the books are read
                statuses.append((await server.chat(max_tokens=300)).status_code)
    assert len(statuses) < 10


@pytest.mark.parametrize("first", ["a step of a turn that runs", "a request that is refused"])
async def test_whoever_comes_first_after_redis_forgot_keeps_nobody_from_asking_the_books(
    stage: Stage, tenant: Tenant, redis: OwnRedis, first: str
) -> None:
    async with serving(stage, tenant, redis, {"reply": "four " * 100}, tokens_per_month=2_000) as server:
        while (await server.chat(max_tokens=300)).status_code == 200:
            pass
        async with Redis.from_url(redis.url) as theirs:
            await theirs.flushall()
        if first == "a request that is refused":
            assert (await server.chat(max_tokens=5_000)).status_code == 429
        else:
            (await server.platform.limiter.resume(next(turns_of(tenant)), tokens=10)).end()
        statuses = []
        async with asyncio.timeout(60):
            while 429 not in statuses[1:]:
                statuses.append((await server.chat(max_tokens=300)).status_code)
    assert len(statuses) < 10


async def test_only_who_is_let_in_is_told_to_ask_the_books(counters: LimitCounters) -> None:
    limited = [subject(tokens_per_month=1_000)]
    done = Settlement(subjects=limited, turn_id="agent", reserved=0, used=5, since=[""])
    step = await counters.extend(done, tokens=10, seconds=30)
    assert isinstance(await counters.admit(limited, "turn_1", tokens=5_000, seconds=30), Refused)
    asked = [await counters.admit(limited, f"turn_{n}", tokens=10, seconds=30) for n in (2, 3)]
    told = [left[0].unseeded for left in (step, *asked) if not isinstance(left, Refused)]
    assert told == [False, True, False]  # again after a minute


async def test_tokens_that_others_hold_are_not_a_month_that_is_used_up(stage: Stage, tenant: Tenant, redis: OwnRedis) -> None:
    slow = {"reply": [{"text": "four"}, {"pause_seconds": 600, "text": "."}]}
    async with serving(stage, tenant, redis, slow, tokens_per_month=10_000_000) as server:
        holding = asyncio.create_task(server.chat(max_tokens=6_000_000))
        await until(lambda: server.platform.turns.running)
        refused = await server.chat(max_tokens=6_000_000)
        holding.cancel()
        await asyncio.wait([holding])
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "tokens_held")
    assert "requests that run hold what is left" in refused.json()["error"]["message"]
    assert (refused.headers["retry-after"], refused.headers.get("x-should-retry")) == ("1", None)


async def test_a_turn_that_runs_waits_for_what_others_hold(stage: Stage, tenant: Tenant, redis: OwnRedis) -> None:
    turns = turns_of(tenant)
    async with serving(stage, tenant, redis, tokens_per_month=1_000_000) as server:
        limiter = server.platform.limiter
        holding, running = [await limiter.admit(next(turns), tokens=tokens) for tokens in (900_000, 60_000)]
        await running.reserve(60_000)
        running.spend(1_000)
        waiting = asyncio.create_task(running.reserve(110_000))
        home = tenant.principal.organization_id
        while await counted(limiter._counters, home) != (1_000, 900_001):  # it keeps its place among those that run
            await asyncio.sleep(0.02)
        assert not waiting.done()
        holding.end()
        await asyncio.wait_for(waiting, 30)
        assert await counted(limiter._counters, home) == (1_000, 110_000)
        running.spend(500)
        running.end()
        assert await counted(limiter._counters, home) == (1_500, 0)


async def test_a_step_that_others_leave_no_tokens_for_is_refused_in_the_end(
    stage: Stage, tenant: Tenant, redis: OwnRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.limits.limiter.HELD_BY_OTHERS_SECONDS", 2.0)
    turns = turns_of(tenant)
    async with serving(stage, tenant, redis, tokens_per_month=1_000_000) as server:
        holding, running = [await server.platform.limiter.admit(next(turns), tokens=tokens) for tokens in (900_000, 60_000)]
        await running.reserve(60_000)
        with pytest.raises(RateLimited) as refused:
            await running.reserve(110_000)
        assert (refused.value.code, refused.value.retry_after) == ("tokens_held", 1)
        assert server.platform.limiter.refused["tokens_per_month"] == 1
        holding.end()
        running.end()
        assert await counted(server.platform.limiter._counters, tenant.principal.organization_id) == (0, 0)


async def test_a_turn_that_goes_on_elsewhere_waits_for_nobody(stage: Stage, tenant: Tenant, redis: OwnRedis) -> None:
    turns = turns_of(tenant)
    async with serving(stage, tenant, redis, tokens_per_month=1_000_000) as server:
        limiter, home = server.platform.limiter, tenant.principal.organization_id
        holding = await limiter.admit(next(turns), tokens=900_000)
        async with asyncio.timeout(10):
            resumed = await limiter.resume(next(turns), tokens=110_000)
        assert await counted(limiter._counters, home) == (0, 900_000)
        resumed.end()
        holding.end()


async def test_a_turn_that_ran_when_redis_forgot_is_counted_once(stage: Stage, tenant: Tenant, redis: OwnRedis) -> None:
    turns = turns_of(tenant)
    slow = {"when": {"contains": "slow"}, "reply": [{"text": "four " * 100}, {"pause_seconds": 2, "text": "."}]}
    async with serving(stage, tenant, redis, slow, ANSWER, tokens_per_month=1_000_000) as server:
        running = asyncio.create_task(server.chat(messages=[{"role": "user", "content": "slow"}]))
        await until(lambda: server.platform.turns.running)
        async with Redis.from_url(redis.url) as theirs:
            await theirs.flushall()
        (await server.platform.limiter.resume(next(turns), tokens=10)).end()  # the counting begins before the turn ends
        taken = (await running).json()["usage"]["total_tokens"]
        await server.platform.journal.drain()
        taken += (await server.chat()).json()["usage"]["total_tokens"]
        await until(lambda: not server.platform.limiter._seeding)
        used, held = await counted(server.platform.limiter._counters, tenant.principal.organization_id)
    assert (used, held) == (taken, 0)


async def test_a_crowd_that_redis_is_too_slow_for_is_not_let_in_uncounted(redis: OwnRedis) -> None:
    async with Redis.from_url(redis.url) as client:
        counters, limited = LimitCounters(client, SCRIPT.read_text()), [subject(concurrent_turns=10_000)]
        crowd = [asyncio.create_task(counters.admit(limited, f"{n}", tokens=1, seconds=30)) for n in range(MOST_WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(CountersBusy):
            await counters.admit(limited, "one too many", tokens=1, seconds=30)
        talking = asyncio.create_task(counters.run())
        await counters.drain()
        assert all(task.done() and not isinstance(task.result(), Refused) for task in crowd)
        assert not isinstance(await counters.admit(limited, "later", tokens=1, seconds=30), Refused)
        talking.cancel()
        await asyncio.wait([talking])


async def test_a_script_that_was_flushed_is_loaded_again(stage: Stage, tenant: Tenant, redis: OwnRedis) -> None:
    async with serving(stage, tenant, redis, requests_per_minute=10) as server:
        await server.chat()
        await redis.flush_scripts()
        answer = await server.chat()
    assert answer.headers["x-ratelimit-remaining-requests"] == "8"


async def test_a_key_with_a_tier_of_its_own_is_held_to_both(stage: Stage, tenant: Tenant, redis: OwnRedis) -> None:
    async with serving(stage, tenant, redis) as server:
        key_id = tenant.principal.key_id
        given = await server.client.post(f"/admin/v1/limits/{key_id}", json={"tier": "narrow"})
        first, second = await server.chat(), await server.chat()
        listed = (await server.client.get("/admin/v1/limits")).json()["data"]
        await server.client.post(f"/admin/v1/limits/{key_id}", json={"tier": None})
        third = await server.chat()
    assert given.json()["allowance"]["requests_per_minute"] == 1
    assert [first.status_code, second.status_code, third.status_code] == [200, 429, 200]
    assert key_id in second.json()["error"]["message"]
    assert [(row["id"], row["tier"]) for row in listed] == [(key_id, "narrow")]


async def test_a_tier_is_read_with_what_was_used_by_the_books(stage: Stage, tenant: Tenant, redis: OwnRedis) -> None:
    async with serving(stage, tenant, redis) as server:
        answer = await server.client.post("/v1/responses", json={"model": "scripted", "input": "2 + 2?"})
        told = (await server.client.get(f"/admin/v1/limits/{tenant.principal.organization_id}")).json()
    assert told["tier"] == "tested"
    assert told["used"] == {"requests_today": 1, "tokens_this_month": answer.json()["usage"]["total_tokens"]}


@pytest.mark.parametrize(
    ("subject", "body", "status"),
    [
        ("org_unknown", {"tier": "free"}, 404),
        ("mine", {"tier": "platinum"}, 400),
        ("mine", {"tier": ""}, 400),
        ("mine", {"tier": 7}, 400),
        ("mine", {}, 400),
        ("mine", {"tier": "x" * 300}, 400),
        ("mine", {"tier": "free", "colour": "blue"}, 400),
        ("%00", {"tier": "free"}, 400),
    ],
)
async def test_a_tier_that_cannot_be_given_is_refused(
    stage: Stage, tenant: Tenant, redis: OwnRedis, subject: str, body: dict[str, Any], status: int
) -> None:
    subject = tenant.principal.organization_id if subject == "mine" else subject
    async with serving(stage, tenant, redis) as server:
        refused = await server.client.post(f"/admin/v1/limits/{subject}", json=body)
    assert refused.status_code == status


def subject(**tier: int) -> Subject:
    return Subject(id="org_a", organization_id="org_a", allowance=Allowance(**{**WIDE, **tier}))


@pytest.fixture
async def counters(redis: OwnRedis) -> AsyncIterator[LimitCounters]:
    async with open_counters(redis.url) as opened:
        yield opened


async def test_what_a_killed_process_had_reserved_runs_out_and_is_charged(counters: LimitCounters) -> None:
    limited = [subject(concurrent_turns=1, tokens_per_month=1_500)]
    _, refused = await asyncio.gather(  # they are sent together: the first has not run out when Redis judges the second
        counters.admit(limited, "turn_1", tokens=1_000, seconds=1), counters.admit(limited, "turn_2", tokens=100, seconds=30)
    )
    async with asyncio.timeout(30):
        while isinstance(await counters.admit(limited, "turn_3", tokens=100, seconds=30), Refused):
            await asyncio.sleep(0.05)
    too_much = await counters.admit([subject(tokens_per_month=1_500)], "turn_4", tokens=500, seconds=30)
    assert isinstance(refused, Refused)
    assert refused.limit == "concurrent_turns"
    assert isinstance(too_much, Refused)
    assert too_much.limit == "tokens_per_month"


async def counted(counters: LimitCounters, name: str) -> tuple[int, int]:
    """Of the month's tokens: used, and held."""
    await counters.drain()
    used, held = await counters._client.hmget(f"paddock:limits:{{{name}}}:{name}", "month_tokens", "held")
    return int(used), int(held)


async def test_a_reservation_that_ran_out_and_is_renewed_after_all_is_charged_once(counters: LimitCounters) -> None:
    """Its process was cut off from Redis for longer than reservations stay."""
    limited = [subject()]
    left = await counters.admit(limited, "turn_1", tokens=1_000, seconds=0.1)
    assert not isinstance(left, Refused)
    await asyncio.sleep(0.3)
    await counters.admit(limited, "turn_2", tokens=300, seconds=30)
    assert await counted(counters, "org_a") == (1_000, 300)
    done = Settlement(subjects=limited, turn_id="turn_1", reserved=1_000, used=50, since=[row.since for row in left])
    counters.renew([done], seconds=30)
    assert await counted(counters, "org_a") == (0, 1_300)
    counters.settle(done)
    assert await counted(counters, "org_a") == (50, 300)


async def test_a_renewal_that_finds_redis_empty_takes_nothing_from_others_when_it_is_settled(counters: LimitCounters) -> None:
    limited = [subject()]
    left = await counters.admit(limited, "turn_1", tokens=1_000, seconds=30)
    assert not isinstance(left, Refused)
    await counters._client.flushall()
    done = Settlement(subjects=limited, turn_id="turn_1", reserved=1_000, used=50, since=[row.since for row in left])
    counters.renew([done], seconds=30)
    await counters.admit(limited, "turn_2", tokens=300, seconds=30)
    counters.settle(done)
    assert await counted(counters, "org_a") == (50, 300)


@pytest.mark.parametrize("renewed", [False, True])
async def test_a_full_redis_that_evicts_the_running_turns_alone_changes_nobodys_month(
    counters: LimitCounters, renewed: bool
) -> None:
    limited = [subject()]
    await counters.extend(
        Settlement(subjects=limited, turn_id="turn_0", reserved=0, used=0, since=[""]), tokens=4_000, seconds=30
    )
    counters.settle(Settlement(subjects=limited, turn_id="turn_0", reserved=4_000, used=4_000, since=[""]))
    left = await counters.admit(limited, "turn_1", tokens=1_000, seconds=30)
    assert not isinstance(left, Refused)
    await counters._client.delete("paddock:limits:{org_a}:org_a:running")
    done = Settlement(subjects=limited, turn_id="turn_1", reserved=1_000, used=50, since=[row.since for row in left])
    if renewed:
        counters.renew([done], seconds=30)
        assert await counted(counters, "org_a") == (4_000, 1_000)
    counters.settle(done)
    assert await counted(counters, "org_a") == (4_050, 0)


async def test_what_a_dead_process_had_reserved_for_a_turn_that_another_goes_on_with_is_held_by_nobody_in_the_end(
    stage: Stage, tenant: Tenant, redis: OwnRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = turns_of(tenant)
    async with serving(stage, tenant, redis) as server, open_counters(redis.url) as counters:
        limiter = server.platform.limiter
        turn = next(turns)
        monkeypatch.setattr("core.limits.limiter.HELD_SECONDS", 0.3)
        await limiter.admit(turn, tokens=1_000)
        limiter._running.clear()  # as in a process that is gone
        resumed = await limiter.resume(turn, tokens=1_000)
        await resumed.reserve(1_000)
        resumed.spend(50)
        resumed.end()
        await server.platform.limiter._counters.drain()
        await asyncio.sleep(0.5)
        (await limiter.admit(next(turns), tokens=10)).end()
        await server.platform.limiter._counters.drain()
        assert await counted(counters, tenant.principal.organization_id) == (1_050, 0)


async def test_a_refusal_takes_nothing_from_anybody(counters: LimitCounters) -> None:
    open_to_all, closed = subject(), replace(subject(requests_per_minute=1), id="key_a")
    await counters.admit([closed], "turn_1", tokens=10, seconds=30)
    for n in range(5):
        refused = await counters.admit([open_to_all, closed], f"turn_x{n}", tokens=10, seconds=30)
        assert isinstance(refused, Refused)
    left = await counters.admit([open_to_all], "turn_2", tokens=10, seconds=30)
    assert not isinstance(left, Refused)
    assert left[0].requests == WIDE["requests_per_minute"] - 1


async def test_a_reservation_is_settled_once_however_often_it_is_told(counters: LimitCounters) -> None:
    limited = [subject(tokens_per_month=1_000)]
    left = await counters.admit(limited, "turn_1", tokens=900, seconds=30)
    assert not isinstance(left, Refused)
    done = Settlement(subjects=limited, turn_id="turn_1", reserved=900, used=100, since=[row.since for row in left])
    counters.settle(done)
    extended = await counters.extend(replace(done, reserved=0, used=0), tokens=900, seconds=30)
    beyond = await counters.extend(replace(done, turn_id="turn_2", reserved=0, used=0), tokens=1, seconds=30)
    assert not isinstance(extended, Refused)
    assert isinstance(beyond, Refused)


async def until(true: Any, seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.01)
