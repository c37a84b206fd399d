"""Refused sign-ins and accesses, as the audit log has them. A caller who knocks on and on fills no table.

What is the same (who, what) is told when it happens first; those of the next ten seconds are another record, with their count.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from core.errors import PaddockError
from core.storage.audit import PLATFORM, AuditRecord, Detail, Outcome
from core.storage.people import PeopleStore

QUIET_SECONDS = 10.0
LOOK_SECONDS = 1.0
REMEMBERED = 1_000
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """action: the route's method and template, of an access. By default it is somebody whom nobody knows."""

    kind: str
    code: str
    action: str | None = None
    organization_id: str = PLATFORM
    actor: str = "unknown"
    key_id: str | None = None


@dataclass(slots=True)
class Quiet:
    """until: when the refusal may be told again. untold: how many of it have not been told."""

    until: float = float("-inf")
    untold: int = 0


class Refusals:
    def __init__(self, people: PeopleStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._people = people
        self._clock = clock
        self._quiet: dict[Refusal, Quiet] = {}  # those that were told longest ago are first

    async def tell(self, refusal: Refusal, request_id: str | None) -> None:
        quiet = self._quiet.setdefault(refusal, Quiet())
        quiet.untold += 1
        if quiet.until <= self._clock():
            await self._tell(refusal, quiet, request_id)
        if len(self._quiet) > REMEMBERED:
            oldest = next(iter(self._quiet))
            await self._forget(oldest, self._quiet[oldest])

    async def run(self) -> None:
        """Until cancelled: what was not told as it happened is told when its ten seconds are over."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.settle(until=self._clock())

    async def settle(self, *, until: float = float("inf")) -> None:
        """Tell what is due until then; what cannot be told now is kept for the next ten seconds."""
        for refusal, quiet in [(refusal, quiet) for refusal, quiet in self._quiet.items() if quiet.until <= until]:
            try:
                await (self._tell(refusal, quiet) if quiet.untold else self._forget(refusal, quiet))
            except PaddockError as exc:
                log.warning("refusals have to wait for the audit log: %s", exc.message)
                return

    async def _forget(self, refusal: Refusal, quiet: Quiet) -> None:
        self._quiet.pop(refusal, None)
        if quiet.untold:
            await self._tell(refusal, quiet)

    async def _tell(self, refusal: Refusal, quiet: Quiet, request_id: str | None = None) -> None:
        """request_id: of the one that is told as it happens. What could not be told stays untold."""
        count, quiet.until = quiet.untold, self._clock() + QUIET_SECONDS
        if refusal in self._quiet:
            self._quiet[refusal] = self._quiet.pop(refusal)
        await self._people.note(_record(refusal, count, request_id))
        quiet.untold -= count


def _record(refusal: Refusal, count: int, request_id: str | None) -> AuditRecord:
    details: dict[str, Detail] = {"code": refusal.code, "count": count}
    if refusal.action is not None:
        details["action"] = refusal.action
    return AuditRecord(
        kind=refusal.kind,
        organization_id=refusal.organization_id,
        actor=refusal.actor,
        key_id=refusal.key_id,
        request_id=request_id,
        outcome=Outcome.REFUSED,
        details=details,
    )
