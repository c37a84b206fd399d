"""The audit log as auditors use it: reading it, what signs it, erasing a person from it. Who may is decided here."""

from collections.abc import Sequence
from datetime import datetime

from core.errors import InvalidRequest, NotFound
from core.identity.principals import Principal, Scope
from core.identity.reach import Reach
from core.storage.audit import PLATFORM, AuditRecord
from core.storage.audit_events import AuditEvent, EventStore
from core.storage.audit_seals import Checkpoint, SealStore, SigningKey
from core.storage.audit_shapes import Filter
from core.storage.records import Page

EVERYBODY = "all"
"""What an operator says for the organisation, to see those of all."""


class AuditLog:
    def __init__(self, events: EventStore, seals: SealStore, reach: Reach) -> None:
        self._events = events
        self._seals = seals
        self._reach = reach

    async def page(
        self,
        principal: Principal,
        wanted: Filter,
        *,
        organization_id: str | None,
        after: str | None,
        limit: int,
        descending: bool,
    ) -> Page[AuditEvent]:
        """organization_id: the principal's own when it is left out; another, PLATFORM or EVERYBODY for operators.

        Raises NotFound.
        """
        whose = await organization_of(self._reach, principal, organization_id)
        return await self._events.page(whose, wanted, after=after, limit=limit, descending=descending)

    async def archived_until(self, principal: Principal, organization_id: str | None) -> datetime | None:
        """Records that were made until then may have left the database: exports alone have those. None: all are in lists."""
        return await self._events.archived_until(await organization_of(self._reach, principal, organization_id))

    async def get(self, principal: Principal, record_id: str) -> AuditEvent:
        """Raises NotFound."""
        principal.require(Scope.ADMIN, Scope.AUDIT)
        reach = None if Scope.OPERATOR in principal.scopes else principal.organization_id
        return await self._events.get(reach, record_id)

    async def erase(self, principal: Principal, subject: str, *, organization_id: str | None = None) -> int:
        """Remove what is kept of a person; returns how many records lost their personal text. The proof is as it was.

        Raises NotFound, InvalidRequest for EVERYBODY: a person is one organisation's.
        """
        principal.require(Scope.ADMIN)
        home = await organization_of(self._reach, principal, organization_id)
        if home is None:
            message = f"a person is erased from one organization, not from {EVERYBODY!r}"
            raise InvalidRequest(message, param="organization_id", code="invalid_value")
        record = AuditRecord.by(principal, "audit.subject_erased", subject, organization_id=home)
        return await self._events.erase(home, subject, record)

    async def checkpoints(self, principal: Principal, *, after: int, limit: int) -> Sequence[Checkpoint]:
        principal.require(Scope.ADMIN, Scope.AUDIT)
        return await self._seals.checkpoints(after + 1, after + limit)

    async def latest_checkpoint(self, principal: Principal) -> Checkpoint:
        """Raises NotFound while nothing is sealed."""
        principal.require(Scope.ADMIN, Scope.AUDIT)
        last = await self._seals.last()
        if last is None:
            raise NotFound("nothing is sealed yet", code="checkpoint_not_found")
        return last

    async def keys(self, principal: Principal) -> Sequence[SigningKey]:
        principal.require(Scope.ADMIN, Scope.AUDIT)
        return await self._seals.keys()


async def organization_of(reach: Reach, principal: Principal, organization_id: str | None) -> str | None:
    """Whose records a principal may see of those asked for: one organisation's, or None for everybody's. Raises NotFound."""
    principal.require(Scope.ADMIN, Scope.AUDIT)
    if organization_id in (EVERYBODY, PLATFORM) and Scope.OPERATOR in principal.scopes:
        return None if organization_id == EVERYBODY else organization_id
    return await reach.organization(principal, organization_id)
