"""Whose limits a caller's turn counts against, and how wide they are. Knows no counter.

An organisation always has a tier: the one it was given, or the default. A user or a key is limited by itself only when it was
given a tier of its own; its organisation's holds beside it.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from core.errors import InvalidRequest, NotFound, PermissionDenied
from core.identity.principals import Principal, Role, Scope
from core.storage.audit import AuditRecord
from core.storage.limiter import Allowance, Subject
from core.storage.records import Page
from core.storage.tiers import GivenTier, TierStore, Used, Whose

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """tier, allowance: None for a user or a key that is limited by its organisation alone."""

    subject_id: str
    organization_id: str
    tier: str | None
    allowance: Allowance | None
    used: Used


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

    async def given(self, principal: Principal, *, after: str | None, limit: int, descending: bool) -> Page[GivenTier]:
        """Those of the principal's organisation that were given a tier. Raises InvalidRequest."""
        principal.require(Scope.ADMIN, Scope.AUDIT)
        return await self._store.list(principal.organization_id, after=after, limit=limit, descending=descending)

    async def get(self, principal: Principal, subject_id: str) -> "Limits":
        """Raises NotFound, also for another organisation's."""
        principal.require(Scope.ADMIN, Scope.AUDIT)
        home = (await self._whose(principal, subject_id)).organization_id
        tier = await self._store.find(subject_id) or (self.default if subject_id == home else None)
        used = await self._store.used(home, subject_id, until=datetime.now(UTC))
        allowance = None if tier is None else self._allowance(tier)
        return Limits(subject_id=subject_id, organization_id=home, tier=tier, allowance=allowance, used=used)

    async def assign(self, principal: Principal, subject_id: str, tier: str | None) -> "Limits":
        """None takes it back. An organisation's is the operator's to give; those of its users and keys are its own affair.

        Holds here at once and elsewhere within FRESH_SECONDS. Raises PermissionDenied, NotFound, InvalidRequest.
        """
        principal.require(Scope.ADMIN)
        whose = await self._whose(principal, subject_id)
        home = whose.organization_id
        if subject_id == home:
            principal.require(Scope.OPERATOR)
        if whose.role == Role.OWNER and principal.role is not Role.OWNER and Scope.OPERATOR not in principal.scopes:
            raise PermissionDenied("only an owner changes what belongs to an owner")
        if tier is not None and tier not in self.declared:
            known = ", ".join(map(repr, self.declared))
            raise InvalidRequest(f"unknown tier {tier[:200]!r}; declared: {known}", param="tier", code="unknown_tier")
        record = AuditRecord.by(principal, "limit.changed", subject_id, organization_id=home, details={"tier": tier})
        await self._store.assign(home, subject_id, tier, record)
        self._known.pop(subject_id, None)
        return await self.get(principal, subject_id)

    async def _whose(self, principal: Principal, subject_id: str) -> Whose:
        whose = await self._store.whose(subject_id)
        if whose.organization_id != principal.organization_id and Scope.OPERATOR not in principal.scopes:
            raise NotFound(f"no organization, user or key {subject_id[:200]!r}", code="subject_not_found")
        return whose

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
