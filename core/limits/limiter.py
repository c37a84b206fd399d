"""The one place that lets a turn begin: what it may take is reserved before, and settled when it is over, however it ends.

Counts in Redis, or in this process alone while Redis is away. Days and months are counted by Redis too; what it has forgotten
is counted anew from the books while requests go on.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Protocol

from core.errors import PaddockError, RateLimited
from core.limits.local import LocalBuckets
from core.limits.standing import STANDING, Meter, Standing
from core.limits.tiers import Caller, Tiers
from core.storage.limiter import CountersAway, Left, LimitCounters, Refused, Settlement, Subject
from core.storage.tiers import TierStore

HELD_SECONDS = 30.0
"""How long a reservation stays when nobody renews it: what a process that was killed leaves behind."""
HELD_BY_OTHERS_SECONDS = 30.0
"""How long a turn that runs waits for tokens of its month that others hold, and may give back."""
TOKENS_HELD = "tokens_held"
"""The code of a refusal for tokens that others hold."""
SAID = {
    "concurrent_turns": "{limit} turns at once",
    "requests_per_minute": "{limit} requests a minute",
    "requests_per_day": "{limit} requests a day",
    "tokens_per_minute": "{limit} tokens a minute",
    "tokens_per_month": "{limit} tokens a month",
}
log = logging.getLogger(__name__)


class Counted(Caller, Protocol):
    """A turn."""

    @property
    def id(self) -> str: ...


class Limiter:
    def __init__(self, *, tiers: Tiers, counters: LimitCounters, store: TierStore) -> None:
        self.tiers = tiers
        self._counters = counters
        self._store = store
        self._local = LocalBuckets()
        self._running: dict[str, Grant] = {}
        self._seeding: set[asyncio.Task[None]] = set()
        self.refused = dict.fromkeys(SAID, 0)
        self.let_in_locally = 0

    @property
    def away(self) -> bool:
        """Redis is, or it refuses to count, and this process counts for itself."""
        return self._counters.away or self._counters.refusing

    async def admit(self, turn: Counted, *, tokens: int) -> "Grant":
        """Count the turn and reserve the tokens of its first model call. The grant must be ended. Raises RateLimited, and
        Unavailable where too many ask at once.
        """
        subjects = await self.tiers.of(turn)
        try:
            left, local = await self._counters.admit(subjects, turn.id, tokens=tokens, seconds=HELD_SECONDS), None
        except CountersAway:
            left, local = self._local.admit(subjects, tokens=tokens), self._local
        if isinstance(left, Refused):
            self.refused[left.limit] += 1
            raise _refusal(subjects, left)
        self.let_in_locally += local is not None
        STANDING.set(_standing(subjects, left))
        self._count_what_was_before(subjects, left)
        since = [row.since for row in left] if local is None else []
        grant = Grant(
            self._counters,
            subjects,
            turn.id,
            reserved=tokens,
            since=since,
            local=local,
            on_end=self._over,
            refused=self.refused,
        )
        return self._open(grant)

    async def resume(self, turn: Counted, *, tokens: int) -> "Grant":
        """For a turn that was let in before, by a process that is gone: counted again as running, never refused.

        Under a name of its own: what that process had reserved runs out and is charged.
        """
        subjects = await self.tiers.of(turn)
        name = f"{turn.id}.{token_hex(4)}"
        grant = Grant(self._counters, subjects, name, reserved=0, since=[], on_end=self._over, refused=self.refused)
        if await grant.try_to_reserve(tokens) is not None:
            log.info("turn %s goes on though its month's tokens are used up, or held", turn.id)
        return self._open(grant)

    def _open(self, grant: "Grant") -> "Grant":
        self._running[grant.turn_id] = grant
        return grant

    def _over(self, grant: "Grant") -> None:
        if self._running.pop(grant.turn_id, None) is None:
            return
        self._counters.settle(grant.settlement())
        grant.leave_local()

    async def run(self) -> None:
        """Hold on to the reservations of the turns that run here, until cancelled."""
        while True:
            await asyncio.sleep(HELD_SECONDS / 3)
            self.renew()

    def renew(self) -> None:
        together: defaultdict[tuple[str, ...], list[Grant]] = defaultdict(list)
        for grant in self._running.values():
            if grant.since:
                together[tuple(subject.id for subject in grant.subjects)].append(grant)
        for grants in together.values():
            self._counters.renew([grant.settlement() for grant in grants], seconds=HELD_SECONDS)

    async def close(self) -> None:
        for task in self._seeding:
            task.cancel()
        await asyncio.gather(*self._seeding, return_exceptions=True)

    def _count_what_was_before(self, subjects: Sequence[Subject], left: Sequence[Left]) -> None:
        for subject, row in zip(subjects, left, strict=True):
            if row.unseeded:
                self._in_background(self._seed(subject, row.since))

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work, name="limits from the books")
        self._seeding.add(task)
        task.add_done_callback(self._seeding.discard)

    async def _seed(self, subject: Subject, since: str) -> None:
        until = datetime.fromtimestamp(float(since), UTC)
        try:
            used = await self._store.used(subject.organization_id, subject.id, until=until)
        except PaddockError as exc:  # asked for again in a minute
            log.warning("what %s used before cannot be counted: %s", subject.id, exc.message)
            return
        day, month = (until - datetime.fromtimestamp(0, UTC)).days, until.year * 12 + until.month
        self._counters.seed(subject, since, day=day, requests=used.requests, month=month, tokens=used.tokens)


class Grant:
    """What one turn was let in with. since: of each subject; empty when Redis does not know of it, or is being asked.

    local: the buckets that count it until Redis does. reserved: for the model call that comes or runs.
    used: since that was reserved.
    """

    def __init__(
        self,
        counters: LimitCounters,
        subjects: Sequence[Subject],
        turn_id: str,
        *,
        reserved: int,
        since: Sequence[str],
        on_end: Callable[["Grant"], None],
        refused: dict[str, int],
        local: LocalBuckets | None = None,
    ) -> None:
        """refused: how often each limit was in the way."""
        self.subjects = subjects
        self.turn_id = turn_id
        self.reserved = reserved
        self.since = since
        self.used = 0
        self._counters = counters
        self._on_end = on_end
        self._refused = refused
        self._local = local
        self._ready = reserved > 0

    async def reserve(self, tokens: int) -> None:
        """Before each model call; the first one's are reserved already. Raises RateLimited when the month's are used up, or
        others hold them for too long.
        """
        if self._ready:
            self._ready = False
            return
        refused, waited = await self.try_to_reserve(tokens), 0.0
        while refused is not None and 0 < refused.seconds <= HELD_BY_OTHERS_SECONDS - waited:
            await self.try_to_reserve(1)  # it goes on counting as a turn that runs
            await asyncio.sleep(refused.seconds)
            waited += refused.seconds
            refused = await self.try_to_reserve(tokens)
        if refused is not None:
            self._refused[refused.limit] += 1
            raise _refusal(self.subjects, refused)

    async def try_to_reserve(self, tokens: int) -> Refused | None:
        """What was reserved before is settled either way."""
        done, since = self.settlement(), self.since
        self.since = []  # what is being settled is not renewed: it would come back behind its settlement, for ever
        try:
            left = await self._counters.extend(done, tokens=tokens, seconds=HELD_SECONDS)
        except CountersAway:
            self._give_back(done, since)
            return None
        except asyncio.CancelledError:
            self._hold(0, [])
            raise
        if isinstance(left, Refused):
            self._hold(0, [])
            return left
        self._hold(tokens, [row.since for row in left])
        return None

    def _give_back(self, done: Settlement, since: Sequence[str]) -> None:
        """Nobody knows whether Redis has settled it, or will: nothing is held on to, and at worst one call counts twice."""
        if self._local is not None:
            self.since = since
            return
        self._counters.settle(replace(done, used=0, since=[""] * len(done.since)))
        self.reserved, self.since = 0, []

    def _hold(self, reserved: int, since: Sequence[str]) -> None:
        """What was before is settled."""
        self.leave_local()
        self.reserved, self.since, self.used = reserved, since, 0

    def spend(self, tokens: int) -> None:
        """After each model call: what it took, input and output."""
        self.used += tokens

    def end(self) -> None:
        """The turn is over. It is counted before whatever this process asks next; a second time changes nothing."""
        self._on_end(self)

    def leave_local(self) -> None:
        """It is over, or Redis counts it from here on; a second time changes nothing."""
        if self._local is not None:
            self._local.settle(self.subjects, reserved=self.reserved, used=self.used)
            self._local = None

    def settlement(self) -> Settlement:
        reserved = self.reserved if self.since else 0
        since = self.since or [""] * len(self.subjects)
        return Settlement(subjects=self.subjects, turn_id=self.turn_id, reserved=reserved, used=self.used, since=since)


def _standing(subjects: Sequence[Subject], left: Sequence[Left]) -> Standing:
    rows = list(zip(subjects, left, strict=True))
    tightest, row = min(rows, key=lambda pair: pair[1].requests)
    requests = Meter(limit=tightest.allowance.requests_per_minute, remaining=row.requests)
    tightest, row = min(rows, key=lambda pair: pair[1].tokens)
    return Standing(requests=requests, tokens=Meter(limit=tightest.allowance.tokens_per_minute, remaining=max(0, row.tokens)))


def _refusal(subjects: Sequence[Subject], refused: Refused) -> RateLimited:
    subject = subjects[refused.subject]
    allowance = subject.allowance
    STANDING.set(
        Standing(
            requests=Meter(limit=allowance.requests_per_minute, remaining=refused.requests),
            tokens=Meter(limit=allowance.tokens_per_minute, remaining=max(0, refused.tokens)),
        )
    )
    said = SAID[refused.limit].format(limit=getattr(allowance, refused.limit))
    whose = "organization" if subject.id == subject.organization_id else "user or key"
    of_month = refused.limit == "tokens_per_month"
    month = of_month and refused.seconds == 0
    held = ", and requests that run hold what is left of them" if of_month and not month else ""
    return RateLimited(
        f"rate limit reached: the {whose} {subject.id} is limited to {said}{held}",
        retry_after=_until_next_month(datetime.now(UTC)) if month else refused.seconds,
        used_up="insufficient_quota" if month else "tokens" if refused.limit.startswith("tokens") else "requests",
        code="insufficient_quota" if month else TOKENS_HELD if of_month else None,
    )


def _until_next_month(now: datetime) -> float:
    first = (now.replace(day=1) + timedelta(days=32)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first - now).total_seconds()
