"""Which tier of limits a subject was given, and what it has used by the books: its turns. Knows no limit."""

from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from core.errors import NotFound
from core.storage import audit
from core.storage.audit import AuditRecord
from core.storage.database import Database
from core.storage.paging import check_id
from core.storage.records import Page
from core.storage.tables import api_keys, limit_tiers, organizations, turns, users


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """requests: since the day began. tokens: input and output, since the month began. Both in UTC."""

    requests: int
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenTier:
    """subject_id: an organisation, a user or a key."""

    subject_id: str
    organization_id: str
    tier: str
    set_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Whose:
    """role: of the user who it is, or whose key it is; None for an organisation."""

    organization_id: str
    role: str | None


class TierStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, subject_id: str) -> str | None:
        row = await self._database.reads.find(_FIND, subject_id)
        return None if row is None else str(row["tier"])

    async def whose(self, subject_id: str) -> Whose:
        """Raises NotFound for what is no organisation, user or key."""
        async with self._database.everyone() as connection:
            row = (await connection.execute(_WHOSE, {"subject_id": subject_id})).one_or_none()
        if row is None:
            raise NotFound(f"no organization, user or key {subject_id[:200]!r}", code="subject_not_found")
        return Whose(organization_id=row.organization_id, role=row.role)

    async def list(self, organization_id: str, *, after: str | None, limit: int, descending: bool) -> Page[GivenTier]:
        """By the ids of those who were given one. Raises InvalidRequest for a cursor that is the id of nobody who could be."""
        mine, column = limit_tiers.c.organization_id == organization_id, limit_tiers.c.subject_id
        query = sa.select(limit_tiers).where(mine)
        async with self._database.tenant(organization_id) as connection:
            if after is not None:
                check_id(after, "org|user|key|token")
                query = query.where(column < after if descending else column > after)
            rows = (await connection.execute(query.order_by(column.desc() if descending else column).limit(limit + 1))).all()
        return Page(rows=[GivenTier(**row._mapping) for row in rows[:limit]], more=len(rows) > limit)

    async def assign(self, organization_id: str, subject_id: str, tier: str | None, record: AuditRecord) -> None:
        """None takes it back."""
        async with self._database.tenant(organization_id) as connection:
            await audit.insert(connection, record)
            if tier is None:
                mine = limit_tiers.c.organization_id == organization_id
                await connection.execute(sa.delete(limit_tiers).where(mine, limit_tiers.c.subject_id == subject_id))
                return
            given = insert(limit_tiers).values(subject_id=subject_id, organization_id=organization_id, tier=tier)
            changed = {"tier": tier, "set_at": sa.func.now()}
            await connection.execute(given.on_conflict_do_update(index_elements=["subject_id"], set_=changed))

    async def used(self, organization_id: str, subject_id: str, *, until: datetime) -> Used:
        """What the subject's turns took before that moment, by the rows of those that have ended; requests also by others."""
        month = until.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        day = until.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        mine = sa.or_(turns.c.user_id == subject_id, turns.c.key_id == subject_id, turns.c.organization_id == subject_id)
        query = sa.select(
            sa.func.count().filter(turns.c.created_at >= day).label("requests"),
            # one that ran at that moment is counted when it ends
            sa.func.coalesce(
                sa.func.sum(turns.c.input_tokens + turns.c.output_tokens).filter(turns.c.ended_at < until), 0
            ).label("tokens"),
        ).where(turns.c.organization_id == organization_id, turns.c.created_at >= month, turns.c.created_at < until, mine)
        async with self._database.tenant(organization_id) as connection:
            row = (await connection.execute(query)).one()
        return Used(requests=row.requests, tokens=int(row.tokens))


_FIND = "SELECT subject_id, tier FROM limit_tiers WHERE subject_id = ANY($1::text[])"
_SUBJECT: "sa.BindParameter[str]" = sa.bindparam("subject_id")
_WHOSE = sa.union_all(
    sa.select(organizations.c.id.label("organization_id"), sa.null().label("role")).where(organizations.c.id == _SUBJECT),
    sa.select(users.c.organization_id, users.c.role).where(users.c.id == _SUBJECT),
    sa.select(users.c.organization_id, users.c.role)
    .join(api_keys, api_keys.c.user_id == users.c.id)
    .where(api_keys.c.id == _SUBJECT),
)
