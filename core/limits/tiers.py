"""Whose limits a caller's turn counts against, and how wide they are. Knows no counter.

An organisation always has a tier: the one it was given, or the default. A user or a key is limited by itself only when it was
given a tier of its own; its organisation's holds beside it.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from core.errors import InvalidRequest
from core.storage.limiter import Allowance, Subject
from core.storage.tiers import TierStore

FRESH_SECONDS = 5.0
"""How long a tier that was changed may still be the old one in another process."""
MOST = 50_000
log = logging.getLogger(__name__)


class Caller(Protocol):
    """A principal, or a turn that is somebody's."""

    @property
    def organization_id(self) -> str: ...
    @property
    def user_id(self) -> str: ...
    @property
    def key_id(self) -> str: ...


class Tiers:
    def __init__(
        self,
        declared: Mapping[str, Allowance],
        default: str,
        store: TierStore,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.declared = declared
        self.default = default
        self._store = store
        self._clock = clock
        self._known: dict[str, tuple[float, str | None]] = {}

    async def of(self, caller: Caller) -> Sequence[Subject]:
        """The organisation first. Raises Unavailable."""
        home = caller.organization_id
        ids = (home, caller.user_id, caller.key_id)
        names = await asyncio.gather(*(self._find(subject_id) for subject_id in ids)) if self._stale(ids) else self._cached(ids)
        named = zip(ids, (names[0] or self.default, *names[1:]), strict=True)
        return [
            Subject(id=subject_id, organization_id=home, allowance=self._allowance(name))
            for subject_id, name in named
            if name is not None
        ]

    async def assign(self, organization_id: str, subject_id: str, tier: str | None) -> None:
        """Holds here at once and elsewhere within FRESH_SECONDS. Raises InvalidRequest, NotFound."""
        if tier is not None and tier not in self.declared:
            raise InvalidRequest(f"unknown tier {tier[:200]!r}; declared: {', '.join(self.declared)}", param="tier")
        await self._store.assign(organization_id, subject_id, tier)
        self._known.pop(subject_id, None)

    def _stale(self, ids: Sequence[str]) -> bool:
        now = self._clock()
        return any(self._known.get(subject_id, (0.0, None))[0] <= now for subject_id in ids)

    def _cached(self, ids: Sequence[str]) -> list[str | None]:
        return [self._known[subject_id][1] for subject_id in ids]

    async def _find(self, subject_id: str) -> str | None:
        name = await self._store.find(subject_id)
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[subject_id] = (self._clock() + FRESH_SECONDS, name)
        return name

    def _allowance(self, name: str) -> Allowance:
        """A tier that the configuration has lost counts as the strictest one that is left."""
        if name in self.declared:
            return self.declared[name]
        log.warning("a tier %r was given to somebody, and is not declared: the strictest one holds", name)
        return min(self.declared.values(), key=lambda allowance: allowance.requests_per_minute)
