"""Who runs a turn. A lease is an epoch in the turn's row; the database's clock alone decides when one has run out."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from core.storage.database import Database
from core.storage.records import Turn
from core.storage.turns import turn_from


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphan:
    """A turn whose process is gone, now leased to us under a new epoch.

    request: as it was accepted (JSON). seconds: since its first event, by the database's clock. cancelled: somebody asked
    for that.
    """

    turn: Turn
    epoch: int
    request: str
    seconds: float
    cancelled: bool


class Leases:
    """owner: this process, under a name that no other process ever has."""

    def __init__(self, database: Database, *, owner: str, seconds: float) -> None:
        self._database = database
        self.owner = owner
        self.seconds = seconds

    async def renew(self, running: Sequence[str]) -> frozenset[str]:
        """Hold on to these turns for another `seconds`. Gives those that were lost: another process has taken or ended them."""
        parameters = {"ids": list(running), "owner": self.owner, "seconds": self.seconds}
        async with self._database.everyone() as connection:
            rows = (await connection.execute(_RENEW, parameters)).all()
        return frozenset(running) - {row.id for row in rows}

    async def cancelled(self, running: Sequence[str]) -> frozenset[str]:
        """Those of these turns that somebody asked to stop."""
        async with self._database.everyone() as connection:
            rows = (await connection.execute(_CANCELLED, {"ids": list(running)})).all()
        return frozenset(row.id for row in rows)

    async def take_orphans(self, *, limit: int) -> Sequence[Orphan]:
        """Take over turns whose lease has run out. Two processes never take the same one."""
        async with self._database.everyone() as connection:
            parameters = {"owner": self.owner, "seconds": self.seconds, "limit": limit}
            rows = (await connection.execute(_TAKE, parameters)).mappings().all()
        return [
            Orphan(
                turn=turn_from(row),
                epoch=row["lease_epoch"],
                request=row["request"],
                seconds=row["seconds"],
                cancelled=row["cancel_requested_at"] is not None,
            )
            for row in rows
        ]

    async def release(self, running: Sequence[str]) -> None:
        """Let go of these turns: whoever looks next may take them."""
        if running:
            async with self._database.everyone() as connection:
                await connection.execute(_RELEASE, {"ids": list(running), "owner": self.owner})


_RENEW = sa.text("""
    WITH mine AS (
        SELECT id FROM turns WHERE id = ANY(:ids) AND lease_owner = :owner AND status = 'running' ORDER BY id FOR NO KEY UPDATE
    )
    UPDATE turns t SET lease_expires_at = clock_timestamp() + make_interval(secs => :seconds)
    FROM mine WHERE t.id = mine.id RETURNING t.id
""")
_CANCELLED = sa.text("SELECT id FROM turns WHERE id = ANY(:ids) AND cancel_requested_at IS NOT NULL")
_RELEASE = sa.text("""
    UPDATE turns SET lease_expires_at = '-infinity' WHERE id = ANY(:ids) AND lease_owner = :owner AND status = 'running'
""")
_TAKE = sa.text("""
    WITH orphans AS (
        SELECT id FROM turns WHERE status = 'running' AND lease_expires_at < clock_timestamp()
        ORDER BY lease_expires_at LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE turns t SET lease_owner = :owner, lease_epoch = t.lease_epoch + 1,
        lease_expires_at = clock_timestamp() + make_interval(secs => :seconds)
    FROM orphans WHERE t.id = orphans.id
    RETURNING t.*, (
        SELECT COALESCE(extract(epoch FROM clock_timestamp() - min(e.created_at)), 0)::float8 FROM turn_events e
        WHERE e.turn_id = t.id
    ) AS seconds
""")
