"""What a turn asks of the registry: what it may offer, whether a call may run now, and how many have run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from core.storage import audit
from core.storage.audit import AuditRecord
from core.storage.database import Database
from core.storage.tables import tool_versions, tools


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """What a turn has to know of a tool to offer it."""

    id: str
    name: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What decides, at this moment, whether a tool may be called. grants, quotas: see core/tools/permissions.py.

    role: of the caller's key now; None when the key is gone.
    """

    id: str
    organization_id: str
    name: str
    enabled: bool
    grants: Sequence[str]
    quotas: str
    deleted_at: datetime | None
    role: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """most: calls of the subject in each period, a `minute` or a `day` of UTC."""

    subject: str
    period: str
    most: int


class _Over(Exception):
    """Takes the whole transaction back: a call that is refused counts nowhere."""


class ToolCallStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def offered(
        self, organization_id: str, holders: Sequence[str] | None, *, names: Sequence[str] | None, most: int
    ) -> Sequence[Offered]:
        """Enabled tools that a caller of these grants may use, or (None) all of them, at most so many.

        names: None for whatever there is; no name asks nobody.
        """
        if names is not None and not names:
            return []
        query = sa.select(tools.c.id, tools.c.name, tools.c.digest).where(
            tools.c.organization_id == organization_id,
            tools.c.deleted_at.is_(None),
            tools.c.enabled,
        )
        if holders is not None:
            query = query.where(tools.c.grants.overlap(sa.cast(list(holders), ARRAY(sa.Text))))
        if names is not None:
            query = query.where(tools.c.name.in_(names))
        async with self._database.tenant(organization_id) as connection:
            rows = (await connection.execute(query.limit(most))).all()
        return [Offered(id=row.id, name=row.name, digest=row.digest) for row in rows]

    async def having(self, organization_id: str, digests: Sequence[str]) -> Sequence[Offered]:
        """Enabled tools with a version, current or not, of one of these digests: that is the one that they are given with."""
        if not digests:
            return []
        query = (
            sa.select(tools.c.id, tools.c.name, tool_versions.c.digest)
            .join(tool_versions, tool_versions.c.tool_id == tools.c.id)
            .where(
                tool_versions.c.organization_id == organization_id,
                tool_versions.c.digest.in_(digests),
                tools.c.deleted_at.is_(None),
                tools.c.enabled,
            )
            .distinct()
        )
        async with self._database.tenant(organization_id) as connection:
            rows = (await connection.execute(query)).all()
        return [Offered(id=row.id, name=row.name, digest=row.digest) for row in rows]

    async def manifests(self, organization_id: str, digests: Sequence[str]) -> Mapping[str, str]:
        """By digest, those of the organisation's that are there."""
        query = sa.select(tool_versions.c.digest, tool_versions.c.manifest).where(
            tool_versions.c.organization_id == organization_id, tool_versions.c.digest.in_(digests)
        )
        async with self._database.tenant(organization_id) as connection:
            return {row.digest: row.manifest for row in await connection.execute(query)}

    async def gate(self, tool_id: str, key_id: str) -> Gate | None:
        """Of any organisation: the caller compares. No older than the question; calls that ask at once share one statement."""
        row = await self._database.reads.find(_GATES, f"{tool_id} {key_id}")
        return None if row is None else Gate(**{name: row[name] for name in _SHOWN})

    async def note(self, record: AuditRecord) -> None:
        async with self._database.tenant(record.organization_id) as connection:
            await audit.insert(connection, record)

    async def count(self, tool: Gate, counters: Sequence[Counter]) -> Counter | None:
        """Counts one call in all of them, or in none: then it gives the one that is full."""
        try:
            async with self._database.tenant(tool.organization_id) as connection:
                for counter in counters:
                    values = {
                        "tool_id": tool.id,
                        "organization_id": tool.organization_id,
                        "subject": counter.subject,
                        "period": counter.period,
                        "most": counter.most,
                    }
                    if (await connection.execute(_COUNT, values)).one_or_none() is None:
                        raise _Over
        except _Over:
            return counter
        return None


_SHOWN = [field.name for field in fields(Gate)]
_GATES = """
    SELECT asked.pair, t.id, t.organization_id, t.name, t.enabled, t.grants, t.quotas, t.deleted_at,
        COALESCE(k.role, u.role) AS role
    FROM unnest($1::text[]) AS asked(pair)
    JOIN tools t ON t.id = split_part(asked.pair, ' ', 1)
    LEFT JOIN api_keys k ON k.id = split_part(asked.pair, ' ', 2) AND k.organization_id = t.organization_id
    LEFT JOIN users u ON u.id = k.user_id
"""
_COUNT = sa.text("""
    INSERT INTO tool_counts AS c (tool_id, subject, period, organization_id, starts_at, calls)
    VALUES (:tool_id, :subject, :period, :organization_id, date_trunc(:period, now(), 'UTC'), 1)
    ON CONFLICT (tool_id, subject, period) DO UPDATE SET
        calls = CASE WHEN c.starts_at < excluded.starts_at THEN 1 ELSE c.calls + 1 END,
        starts_at = GREATEST(c.starts_at, excluded.starts_at)
    WHERE c.starts_at < excluded.starts_at OR c.calls < :most
    RETURNING calls
""")
