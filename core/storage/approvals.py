"""Calls that wait for humans, and what these decide. The journal writes them, with the event that tells of each."""

from collections.abc import Sequence, Set
from dataclasses import dataclass, fields, replace
from typing import Any

import sqlalchemy as sa

from core.errors import InvalidRequest, NotFound
from core.events import TurnStatus
from core.storage import audit
from core.storage.audit import Apart, AuditRecord
from core.storage.database import Database
from core.storage.records import Approval, ApprovalStatus, Page

DAYS = 61
"""How old a decision may be whose turn goes on: other calls of it wait for 30 at most, and it is good for as long again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """To be written where the request still is as it was seen, and its text was not deleted meanwhile. digest: of what is
    approved; another one than was asked for where its arguments were edited. status: pending where these wait for somebody
    else. apart: the record's personal text, where the journal writes it.
    """

    approval: Approval
    status: ApprovalStatus
    arguments: str
    digest: str
    reason: str | None
    record: AuditRecord
    apart: Apart | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A turn whose calls were all decided on, and that nobody has continued. request: as it was accepted (JSON)."""

    turn_id: str
    organization_id: str
    conversation_id: str | None
    request: str


class _Late(Exception):
    """Takes the whole transaction back."""


class ApprovalStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, organization_id: str, approval_id: str) -> Approval:
        """Raises NotFound."""
        found = await self._find(organization_id, "a.id = :id", id=approval_id)
        if not found:
            raise NotFound(f"no approval request {approval_id[:100]!r}", code="approval_not_found")
        return found[0]

    async def of_turn(self, organization_id: str, turn_id: str) -> Sequence[Approval]:
        """In the order in which the model asked."""
        return await self._find(organization_id, "a.turn_id = :turn_id", turn_id=turn_id)

    async def askers(self, approval: Approval) -> Set[str]:
        """Ids of users: whose turn asked, and whose turns it continues, as far as that goes back."""
        async with self._database.tenant(approval.organization_id) as connection:
            return set((await connection.execute(_ASKERS, {"turn_id": approval.turn_id})).scalars())

    async def page(
        self, organization_id: str, status: ApprovalStatus | None, *, after: str | None, limit: int, descending: bool
    ) -> Page[Approval]:
        """after: the id of one of them; raises InvalidRequest when it is not."""
        if after is not None and not await self._find(organization_id, "a.id = :id", id=after):
            raise InvalidRequest(f"no {after[:100]!r} in this list", param="after", code="invalid_cursor")
        order, beyond = ("DESC", "p.id < :after") if descending else ("ASC", "p.id > :after")
        among = ([] if after is None else [beyond]) + ([_STORED_AS[status]] if status in _STORED_AS else [])
        rows = await self._find(
            organization_id,
            "true" if status is None else "a.effective = :status",
            among=" AND ".join(among) or "true",
            first=status is None,
            order=order,
            limit=limit + 1,
            **({} if status is None else {"status": status.value}),
            **({} if after is None else {"after": after}),
        )
        return Page(rows=rows[:limit], more=len(rows) > limit)

    async def decide(self, organization_id: str, decisions: Sequence[Decision]) -> Approval | None:
        """All of them with their audit records, or none; then one that somebody else decided on, or that has expired."""
        decision: Decision
        try:
            async with self._database.tenant(organization_id) as connection:
                for decision in decisions:
                    values = {
                        "id": decision.approval.id,
                        "was": decision.approval.digest,
                        "said": decision.approval.arguments,
                        "status": decision.status,
                        "arguments": decision.arguments,
                        "digest": decision.digest,
                        "reason": decision.reason,
                        "decided_by": decision.record.actor,
                    }
                    statement = _EDIT if decision.status is ApprovalStatus.PENDING else _DECIDE
                    if (await connection.execute(statement, values)).rowcount == 0:
                        raise _Late
                    await audit.insert(connection, decision.record)
        except _Late:
            return decision.approval
        return None

    async def for_journal(self, organization_id: str, decisions: Sequence[Decision]) -> Sequence[Decision]:
        """Nothing of them is written yet. Raises InvalidRequest for a reason that cannot be stored."""
        if any(one.reason is not None and not _storable(one.reason) for one in decisions):
            raise InvalidRequest("a text holds a character that cannot be stored", param="input", code="invalid_text")
        async with self._database.tenant(organization_id) as connection:
            return [replace(one, apart=await audit.apart(connection, one.record)) for one in decisions]

    async def note(self, record: AuditRecord) -> None:
        async with self._database.tenant(record.organization_id) as connection:
            await audit.insert(connection, record)

    async def due(self, *, turn_id: str | None, limit: int, days: int = DAYS) -> Sequence[Due]:
        """Those that go on by themselves: in conversations and in the background. Any of them, so that those which cannot yet
        keep no others waiting. turn_id: only this one. days: how old a decision may be.
        """
        async with self._database.everyone() as connection:
            rows = (await connection.execute(_DUE, {"turn_id": turn_id, "limit": limit, "days": days})).mappings().all()
        return [Due(**row) for row in rows]

    async def void(self, turn_id: str, record: AuditRecord) -> None:
        """What was decided of a turn's calls can never be carried out."""
        async with self._database.everyone() as connection:
            await connection.execute(_VOID, {"turn_id": turn_id})
            await audit.insert(connection, record)

    async def _find(
        self, organization_id: str, where: str, *, among: str = "true", first: bool = False, order: str = "ASC", **values: Any
    ) -> Sequence[Approval]:
        """among: what the rows themselves can tell, before anything is joined to them. first: no more of these rows than are
        asked for, since `where` leaves none out. where, among, order: constants of this file.
        """
        cut = f"ORDER BY p.id {order} LIMIT :limit" if first else ""
        query = sa.text(_FIND.format(where=where, among=among, cut=cut, order=order)).bindparams(
            *(sa.bindparam(name, type_=sa.Text) for name in values if name != "limit")
        )
        values = {"organization_id": organization_id, "limit": None, **values}
        async with self._database.tenant(organization_id) as connection:
            rows = (await connection.execute(query, values)).mappings().all()
        return [_approval(row) for row in rows]


def _storable(text: str) -> bool:
    """As PostgreSQL's `text`."""
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _approval(row: sa.RowMapping) -> Approval:
    values = {field.name: row[field.name] for field in fields(Approval)}
    return Approval(**{**values, "status": ApprovalStatus(row["effective"]), "turn_status": TurnStatus(row["turn_status"])})


_STORED_AS = {
    ApprovalStatus.PENDING: "p.status = 'pending'",
    ApprovalStatus.APPROVED: "p.status = 'approved'",
    ApprovalStatus.DENIED: "p.status = 'denied'",
    ApprovalStatus.EXPIRED: "p.status IN ('pending', 'approved')",
}
"""Only among these rows are there any of the status; all may be void."""
_GOOD_SECONDS = "GREATEST(make_interval(secs => p.expires_seconds), interval '1 day')"
_LAST_WORD = "max(COALESCE(p.decided_at, p.expires_at))"
"""When the last call of a turn was decided on, or could be no more: from then on it can go on, and its approvals are good."""
_FIND = f"""
    SELECT a.*, NULL AS status FROM (
        SELECT p.id, p.organization_id, p.turn_id, p.conversation_id, p.user_id, p.key_id, p.tool, p.version_digest,
            p.arguments, p.digest, p.four_eyes, p.expires_seconds, p.edited, p.edited_by, p.reason, p.decided_by, p.decided_at,
            p.expires_at, p.created_at, asked.status AS turn_status, next.id AS next_turn_id, t.digest AS current_digest,
            CASE WHEN NOT asked.stored THEN 'void'
                 WHEN p.status = 'pending' AND p.expires_at <= clock_timestamp() THEN 'expired'
                 WHEN p.status = 'pending' AND next.id IS NOT NULL THEN 'void'
                 WHEN p.status = 'approved' AND next.id IS NULL AND clock_timestamp() >=
                    (SELECT {_LAST_WORD} FROM approvals p WHERE p.turn_id = asked.id) + {_GOOD_SECONDS} THEN 'expired'
                 ELSE p.status END AS effective
        FROM (SELECT * FROM approvals p WHERE p.organization_id = :organization_id AND {{among}} {{cut}}) p
        JOIN turns asked ON asked.id = p.turn_id
        LEFT JOIN turns next ON next.continues = p.turn_id
        LEFT JOIN tools t ON t.organization_id = p.organization_id AND t.name = p.tool AND t.deleted_at IS NULL
    ) a WHERE {{where}} ORDER BY a.id {{order}} LIMIT :limit
"""  # noqa: S608 - made of the constants above
_ASKERS = sa.text("""
    WITH RECURSIVE asked AS (
        SELECT id, user_id, continues FROM turns WHERE id = :turn_id
        UNION SELECT t.id, t.user_id, t.continues FROM turns t JOIN asked ON t.id = asked.continues
    ) SELECT DISTINCT user_id FROM asked
""")
_DECIDE = sa.text("""
    UPDATE approvals SET status = :status, arguments = :arguments, digest = CAST(:digest AS text), reason = :reason,
        edited = edited OR digest <> CAST(:digest AS text), decided_by = :decided_by, decided_at = clock_timestamp()
    WHERE id = :id AND status = 'pending' AND digest = :was AND arguments = :said AND expires_at > clock_timestamp()
""")
_EDIT = sa.text("""
    UPDATE approvals SET arguments = :arguments, digest = :digest, edited = true, edited_by = :decided_by,
        expires_at = clock_timestamp() + make_interval(secs => expires_seconds)
    WHERE id = :id AND status = CAST(:status AS text) AND digest = :was AND arguments = :said AND expires_at > clock_timestamp()
""")
_DUE = sa.text(f"""
    SELECT t.id AS turn_id, t.organization_id, t.conversation_id, t.request
    FROM turns t CROSS JOIN LATERAL (
        SELECT bool_or(p.status = 'pending' AND p.expires_at > clock_timestamp()) AS waits,
            {_LAST_WORD} + max({_GOOD_SECONDS}) FILTER (WHERE p.status IN ('approved', 'denied')) AS good_until
        FROM approvals p WHERE p.turn_id = t.id
    ) asked
    WHERE t.id IN (
        SELECT d.turn_id FROM approvals d
        WHERE d.status IN ('approved', 'denied') AND d.decided_at > now() - make_interval(days => :days)
            AND (CAST(:turn_id AS text) IS NULL OR d.turn_id = :turn_id)
            AND NOT EXISTS (SELECT FROM turns n WHERE n.continues = d.turn_id)
    ) AND t.stored AND t.status = 'completed' AND (t.conversation_id IS NOT NULL OR t.queue IS NOT NULL)
    AND NOT asked.waits AND asked.good_until > clock_timestamp()
    ORDER BY random() LIMIT :limit
""")  # noqa: S608 - made of the constants above
_VOID = sa.text("""
    WITH asked AS (SELECT id FROM approvals WHERE turn_id = :turn_id ORDER BY id FOR NO KEY UPDATE)
    UPDATE approvals a SET status = 'void' FROM asked WHERE a.id = asked.id
""")
