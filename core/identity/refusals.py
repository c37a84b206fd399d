"""Refused sign-ins and accesses, as the audit log has them. A caller who knocks on and on fills no table.

What is the same (who, what) is told once in a while, with the number of times that it happened since it was told before.
"""

import time
from collections.abc import Callable

from core.identity.principals import Principal
from core.storage.audit import PLATFORM, AuditRecord, Detail, Outcome
from core.storage.people import PeopleStore
from core.storage.records import Credential

QUIET_SECONDS = 10.0
REMEMBERED = 1_000


class Refusals:
    def __init__(self, people: PeopleStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._people = people
        self._clock = clock
        self._told: dict[tuple[str | None, str], tuple[float, int]] = {}  # when last, and how many since

    async def sign_in(self, known: Credential | None, code: str, request_id: str | None) -> None:
        """known: the key or token that opens nothing any more; None when nobody knows what was brought."""
        since = self._since(known.id if known else None, code)
        if since is None:
            return
        await self._people.note(
            AuditRecord(
                kind="sign_in.refused",
                organization_id=known.organization_id if known else PLATFORM,
                actor=known.user_id if known else "unknown",
                key_id=known.id if known else None,
                request_id=request_id,
                outcome=Outcome.REFUSED,
                details={"code": code, "before": since},
            )
        )

    async def access(self, principal: Principal, action: str, code: str) -> None:
        """action: the route's method and template."""
        since = self._since(principal.key_id, f"{action} {code}")
        if since is not None:
            details: dict[str, Detail] = {"action": action, "code": code, "before": since}
            record = AuditRecord.by(principal, "access.refused", None, outcome=Outcome.REFUSED, details=details)
            await self._people.note(record)

    def _since(self, who: str | None, what: str) -> int | None:
        """How many were not told since the last that was; None when this one is not told either."""
        now = self._clock()
        at, untold = self._told.get((who, what), (float("-inf"), 0))
        if now - at < QUIET_SECONDS:
            self._told[who, what] = at, untold + 1
            return None
        self._told.pop((who, what), None)
        while len(self._told) >= REMEMBERED:
            del self._told[next(iter(self._told))]  # the one that was told longest ago
        self._told[who, what] = now, 0
        return untold
