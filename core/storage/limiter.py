"""The counters of limits, in Redis: one fixed script, one connection, what is asked at the same time sent together.

Knows what a subject has used, not what it is or why it is limited. Commands reach Redis in the order in which they were given,
so that a turn's end is counted before the next request of the same caller. Without Redis every question is refused at once,
what is to be told from then on is kept (the newest `KEPT`) and told when it is back, or counts again. What was under way when
Redis went is not told again: it may have been counted. What was asked then is given back later, for the same reason.
"""

import asyncio
import hashlib
import logging
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, ReadOnlyError, RedisError

from core.errors import Unavailable

SCRIPT = Path(__file__).with_name("limiter.lua")
ANSWER_SECONDS = 0.5
TOGETHER = 100
"""Commands in one batch, so that a crowd does not make Redis look dead."""
MOST_WAITING = 50 * TOGETHER
"""Beyond that Redis is too slow for so many, and no other is let in. Uncounted, a crowd would be a way around limits."""
RETRY_SECONDS = 1.0
KEPT = 100_000
AWAY = (RedisError, OSError)
log = logging.getLogger(__name__)


class CountersAway(Unavailable):
    """Redis does not answer: limit with what is known here."""

    code = "redis_unavailable"


class CountersBusy(Unavailable):
    """Redis answers, and too many wait for it."""

    code = "limiter_busy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What one subject may use. Minutes are buckets that fill evenly; days and months are UTC's."""

    requests_per_minute: int
    requests_per_day: int
    tokens_per_minute: int
    tokens_per_month: int
    concurrent_turns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """organization_id: all subjects of one call have the same. A user's or key's own id, or the organisation's."""

    id: str
    organization_id: str
    allowance: Allowance


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """requests, tokens: left of this minute's; tokens may be negative.

    since: names the counting, which a Redis that lost its memory begins anew. unseeded: it lacks what was before it.
    """

    since: str
    unseeded: bool
    requests: int
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """subject: its place among those that were asked for. limit: the name of a field of `Allowance`.

    seconds: until it may pass; 0 when a month's tokens are used up, not held by others. requests, tokens: as in `Left`.
    """

    subject: int
    limit: str
    seconds: float
    requests: int
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """A reservation (tokens) of a turn that is over, with what was used; since: of each subject, as its reservation told it.

    Where that was never heard it is "": given back is what is there, if it is there.
    """

    subjects: Sequence[Subject]
    turn_id: str
    reserved: int
    used: int
    since: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Command:
    keys: Sequence[str]
    arguments: Sequence[object]
    answer: "asyncio.Future[Any] | None" = None


class LimitCounters:
    """away: Redis does not answer. refusing: it answers that it counts nothing: it is full, a replica, or we may not write."""

    def __init__(self, client: redis.asyncio.Redis, script: str) -> None:
        self._client = client
        self._script = script
        self._sha = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()  # Redis's name for it
        self._line: deque[_Command] = deque()
        self._wake = asyncio.Event()
        self._refused: deque[_Command] = deque(maxlen=KEPT)
        self.away = False
        self.refusing = False

    async def admit(
        self, subjects: Sequence[Subject], turn_id: str, *, tokens: int, seconds: float
    ) -> Sequence[Left] | Refused:
        """Count a request and a running turn and reserve tokens, for all subjects or for none.

        Cancelling gives back the turn's place and the tokens. Raises CountersAway, CountersBusy.
        """
        if not self.away and len(self._line) >= MOST_WAITING:
            raise CountersBusy("too many requests wait to be counted: try again in a moment")
        first = Settlement(subjects=subjects, turn_id=turn_id, reserved=0, used=0, since=[""] * len(subjects))
        return await self._reserve("admit", first, tokens, seconds)

    async def extend(self, done: Settlement, *, tokens: int, seconds: float) -> Sequence[Left] | Refused:
        """Settle the reservation and make the turn's next one; only a month's limit refuses it. Raises CountersAway.

        Cancelling gives the next one back; what was settled is.
        """
        return await self._reserve("extend", done, tokens, seconds)

    def settle(self, done: Settlement) -> None:
        self._tell(_command("extend", done, 0, 0.0))

    def renew(self, running: Sequence[Settlement], *, seconds: float) -> None:
        """Hold on to these reservations, all of the same subjects, for so many seconds from now."""
        if not self.away:
            told = [value for one in running for value in (f"{one.turn_id}:{one.reserved}", *one.since)]
            self._tell(_Command(_keys(running[0].subjects), ("renew", seconds, *told)))

    def seed(self, subject: Subject, since: str, *, day: int, requests: int, month: int, tokens: int) -> None:
        """Add what was used before the counting began. day: since 1970; month: year * 12 + month."""
        self._tell(_Command(_keys([subject])[:1], ("seed", since, day, requests, month, tokens)))

    async def run(self) -> None:
        """Until cancelled."""
        batch: Sequence[_Command] = ()
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                try:
                    while self._line:
                        batch = [self._line.popleft() for _ in range(min(TOGETHER, len(self._line)))]
                        await self._send(batch)
                except AWAY as exc:
                    await self._wait_for_redis(batch, exc)
        finally:
            self.away = True
            for command in (*batch, *self._line):
                _tell_who_asked(command, CountersAway("the server is stopping"))

    async def drain(self) -> None:
        """Return when all that was told until now is counted, or Redis is away."""
        with suppress(CountersAway):
            await self._ask(_Command((), ("renew", 0)))

    async def _reserve(self, name: str, before: Settlement, tokens: int, seconds: float) -> Sequence[Left] | Refused:
        asked = self._ask(_command(name, before, tokens, seconds))
        try:
            return _verdict(await asked)
        except (asyncio.CancelledError, CountersAway):  # Redis may count it yet, and nobody would settle what comes of it
            self.settle(replace(before, reserved=tokens, used=0, since=[""] * len(before.since)))
            raise

    def _ask(self, command: _Command) -> "asyncio.Future[Any]":
        if self.away:
            raise CountersAway("Redis is away")
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._tell(_Command(command.keys, command.arguments, answer))
        return answer

    def _tell(self, command: _Command) -> None:
        if self.away and len(self._line) >= KEPT:
            self._line.popleft()
        self._line.append(command)
        self._wake.set()

    async def _send(self, batch: Sequence[_Command]) -> None:
        answers = await self._execute(batch)
        if any(isinstance(answer, NoScriptError) for answer in answers):  # a Redis that is new, or was flushed
            await self._client.script_load(self._script)
            unknown = [n for n, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
            for n, answer in zip(unknown, await self._execute([batch[n] for n in unknown]), strict=True):
                answers[n] = answer
        await self._notice_refusals(batch, answers)
        for command, answer in zip(batch, answers, strict=True):
            if isinstance(answer, RedisError) and command.answer is None and command.arguments[0] != "renew":
                self._refused.append(command)
            _tell_who_asked(command, answer)

    async def _notice_refusals(self, batch: Sequence[_Command], answers: Sequence[Any]) -> None:
        """Said once each way. Only a question that was answered shows that it counts: what is told may change nothing."""
        refusals = [answer for answer in answers if isinstance(answer, RedisError)]
        counts = any(command.keys and command.answer is not None for command in batch) and not refusals
        if refusals and not self.refusing:
            log.error("Redis refuses to count (%s): each process limits by itself", type(refusals[0]).__name__)
        elif counts and self.refusing:
            log.warning("Redis counts again: limits are those of all processes")
            self._line.extend(self._refused)
            self._refused.clear()
        self.refusing = bool(refusals) or (self.refusing and not counts)
        if any(
            isinstance(refusal, ReadOnlyError) or "-READONLY" in str(refusal) for refusal in refusals
        ):  # its address may lead to the new primary by now
            await self._client.connection_pool.disconnect()

    async def _execute(self, commands: Sequence[_Command]) -> list[Any]:
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command("EVALSHA", self._sha, len(command.keys), *command.keys, *command.arguments)
        return await pipeline.execute(raise_on_error=False)

    async def _wait_for_redis(self, batch: Sequence[_Command], why: Exception) -> None:
        """Whoever asked goes on without Redis."""
        self.away = True
        log.warning("Redis is away (%s): each process limits by itself", type(why).__name__)
        for command in (*batch, *self._line):
            _tell_who_asked(command, why)
        self._line = deque(command for command in self._line if command.answer is None)
        while self.away:
            await asyncio.sleep(RETRY_SECONDS)
            with suppress(*AWAY):
                await self._client.ping()
                self.away = False
        log.warning("Redis is back: limits are counted for all processes again")
        self._wake.set()


def _tell_who_asked(command: _Command, answer: Any) -> None:
    if command.answer is None or command.answer.done():
        return
    if isinstance(answer, Exception):
        command.answer.set_exception(CountersAway("Redis does not answer"))
    else:
        command.answer.set_result(answer)


def _keys(subjects: Sequence[Subject]) -> list[str]:
    """All of one organisation's keys are in one slot of a cluster."""
    names = [f"paddock:limits:{{{subject.organization_id}}}:{subject.id}" for subject in subjects]
    return [key for name in names for key in (name, f"{name}:running")]


def _command(name: str, done: Settlement, tokens: int, seconds: float) -> _Command:
    allowances = [
        (
            since,
            subject.allowance.requests_per_minute,
            subject.allowance.requests_per_day,
            subject.allowance.tokens_per_minute,
            subject.allowance.tokens_per_month,
            subject.allowance.concurrent_turns,
        )
        for subject, since in zip(done.subjects, done.since, strict=True)
    ]
    flat = [value for allowance in allowances for value in allowance]
    return _Command(_keys(done.subjects), (name, done.turn_id, done.reserved, done.used, tokens, seconds, *flat))


def _verdict(answer: list[Any]) -> Sequence[Left] | Refused:
    allowed, *told = answer
    if not allowed:
        subject, limit, milliseconds, requests, tokens = told
        return Refused(subject=subject, limit=limit.decode(), seconds=milliseconds / 1000, requests=requests, tokens=tokens)
    rows = zip(*[iter(told)] * 4, strict=True)
    return [
        Left(since=since.decode(), unseeded=bool(unseeded), requests=requests, tokens=tokens)
        for since, unseeded, requests, tokens in rows
    ]


@asynccontextmanager
async def open_counters(url: str) -> AsyncGenerator[LimitCounters, None]:
    """url: `redis://host:port/0` or `unix:///path`. Redis may be away, now or later."""
    client = redis.asyncio.from_url(
        url,
        socket_timeout=ANSWER_SECONDS,
        socket_connect_timeout=ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    counters = LimitCounters(client, SCRIPT.read_text())
    talking = asyncio.create_task(counters.run(), name="limits")
    try:
        yield counters
        await counters.drain()
    finally:
        while not talking.done():  # redis-py takes a cancellation that meets one of its timeouts for that timeout
            talking.cancel()
            await asyncio.wait([talking], timeout=0.2)
        await client.aclose()
