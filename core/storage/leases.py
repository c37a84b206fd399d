"""Who runs a turn. A lease is an epoch in the turn's row; the database's clock alone decides when one has run out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from core.storage.database import Database
from core.storage.records import Turn
from core.storage.tables import REVOKED, turns
from core.storage.turns import turn_from

TAKEN_MEANWHILE = 20
"""How many at the head of a queue may be in other processes' hands before one of these finds nothing there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphan:
    """A turn whose process is gone, now leased to us under a new epoch.

    request: as it was accepted (JSON). seconds: how long it was in the hands of processes since it began, by the database's
    clock. cancelled: somebody asked for that. revoked: its key opens nothing any more.
    """

    turn: Turn
    epoch: int
    request: str
    seconds: float
    cancelled: bool
    revoked: bool


class Leases:
    """owner: this process, under a name that no other process ever has."""

    def __init__(self, database: Database, *, owner: str, seconds: float) -> None:
        self._database = database
        self.owner = owner
        self.seconds = seconds

    async def renew(self, running: Sequence[str]) -> frozenset[str]:
        """Hold on to these turns for another `seconds`. Gives those that were lost: another process has taken or ended them."""
        parameters = {"ids": list(running), "owner": self.owner, "seconds": self.seconds}
        async with self._database.leasing() as connection:
            rows = (await connection.execute(_RENEW, parameters)).all()
        return frozenset(running) - {row.id for row in rows}

    async def cancelled(self, running: Sequence[str]) -> frozenset[str]:
        """Those of these turns that somebody asked to stop."""
        async with self._database.everyone() as connection:
            rows = (await connection.execute(_CANCELLED, {"ids": list(running)})).all()
        return frozenset(row.id for row in rows)

    async def take_orphans(self, *, limit: int, queued: bool = False, cancelled: bool = False) -> Sequence[Orphan]:
        """Take over turns whose lease has run out. Two processes never take the same one.

        queued: those that run in the background, and no others. cancelled: only those that are to be ended.
        """
        return await self._take(_TAKE, {"limit": limit, "queued": queued, "cancelled": cancelled})

    async def take_queued(self, *, limit: int, cancelled: bool) -> Sequence[Orphan]:
        """Take turns that wait for a process: fairly, the organisation's first that has the fewest running; of these,
        whose turn it is.

        cancelled: only those that are to be ended.
        """
        looked_at = limit + TAKEN_MEANWHILE
        return await self._take(_TAKE_QUEUED, {"limit": limit, "looked_at": looked_at, "cancelled": cancelled})

    async def _take(self, statement: sa.TextClause, parameters: Mapping[str, object]) -> Sequence[Orphan]:
        async with self._database.everyone() as connection:
            mine = {"owner": self.owner, "seconds": self.seconds}
            rows = (await connection.execute(statement, {**parameters, **mine})).mappings().all()
        return [
            Orphan(
                turn=turn_from(row),
                epoch=row["lease_epoch"],
                request=row["request"],
                seconds=row["seconds"],
                cancelled=row["cancel_requested_at"] is not None,
                revoked=row["revoked"],
            )
            for row in rows
        ]

    async def put_back(self, orphan: Orphan) -> None:
        """A turn of which nothing was written here: it counts as not taken, and is free when its lease runs out."""
        async with self._database.everyone() as connection:
            await connection.execute(_PUT_BACK, {"id": orphan.turn.id, "owner": self.owner, "epoch": orphan.epoch})

    async def release(self, running: Sequence[str]) -> None:
        """Let go of these turns: whoever looks next may take them."""
        if running:
            async with self._database.everyone() as connection:
                await connection.execute(_RELEASE, {"ids": list(running), "owner": self.owner})


_COLUMNS = ", ".join(f"t.{column.name}" for column in turns.columns)
"""By name: of a `*` a newer release's migration would change what a running server has prepared."""
_RENEW = sa.text("""
    WITH mine AS (
        SELECT id FROM turns WHERE id = ANY(:ids) AND lease_owner = :owner AND status = 'running' ORDER BY id FOR NO KEY UPDATE
    )
    UPDATE turns t SET lease_expires_at = clock_timestamp() + make_interval(secs => :seconds)
    FROM mine WHERE t.id = mine.id RETURNING t.id
""")
_CANCELLED = sa.text("SELECT id FROM turns WHERE id = ANY(:ids) AND cancel_requested_at IS NOT NULL")
_RELEASE = sa.text("""
    WITH mine AS (
        SELECT id FROM turns WHERE id = ANY(:ids) AND lease_owner = :owner AND status = 'running'
        ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE turns t SET lease_expires_at = LEAST(lease_expires_at, clock_timestamp()) FROM mine WHERE t.id = mine.id
""")
_PUT_BACK = sa.text("""
    UPDATE turns SET lease_epoch = lease_epoch - 1
    WHERE id = :id AND lease_owner = :owner AND lease_epoch = :epoch AND status = 'running'
""")
# A turn has taken the time from started_at to the end of its lease. That after it, in which nobody had the turn, is none of its
# own: started_at is moved by as much.
_TAKE = sa.text(f"""
    WITH orphans AS (
        SELECT id, COALESCE(started_at, (
            SELECT e.created_at FROM turn_events e WHERE e.turn_id = turns.id ORDER BY e.seq LIMIT 1
        )) AS began
        FROM turns WHERE status = 'running' AND lease_expires_at < clock_timestamp()
            AND (queue IS NOT NULL) = :queued AND (cancel_requested_at IS NOT NULL OR NOT :cancelled)
        ORDER BY lease_expires_at LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE turns t SET lease_owner = :owner, lease_epoch = t.lease_epoch + 1,
        lease_expires_at = clock_timestamp() + make_interval(secs => :seconds),
        started_at = clock_timestamp() - (GREATEST(t.lease_expires_at, began) - began)
    FROM orphans WHERE t.id = orphans.id
    RETURNING {_COLUMNS}, COALESCE(extract(epoch FROM clock_timestamp() - t.started_at), 0)::float8 AS seconds,
        {REVOKED.format(key="t.key_id")} AS revoked
""")  # noqa: S608 - made of a constant
_TAKE_QUEUED = sa.text(f"""
    WITH RECURSIVE organizations AS (
        (SELECT organization_id FROM turns WHERE status = 'pending' AND NOT :cancelled ORDER BY organization_id LIMIT 1)
        UNION ALL
        SELECT (
            SELECT t.organization_id FROM turns t WHERE t.status = 'pending' AND t.organization_id > o.organization_id
            ORDER BY t.organization_id LIMIT 1
        ) FROM organizations o WHERE o.organization_id IS NOT NULL
    ), heads AS (
        SELECT head.id, head.queue, head.created_at, served.last, busy.turns
            + row_number() OVER (PARTITION BY o.organization_id, head.queue ORDER BY head.created_at, head.id) AS rank
        FROM organizations o CROSS JOIN LATERAL (
            SELECT count(*) AS turns FROM turns t
            WHERE t.organization_id = o.organization_id AND t.status = 'running' AND t.queue IS NOT NULL
        ) busy CROSS JOIN LATERAL (
            SELECT max(t.started_at) AS last FROM turns t
            WHERE t.organization_id = o.organization_id AND t.started_at IS NOT NULL AND t.queue IS NOT NULL
        ) served CROSS JOIN LATERAL (
            SELECT t.id, t.queue, t.created_at FROM turns t
            WHERE t.organization_id = o.organization_id AND t.status = 'pending' AND t.cancel_requested_at IS NULL
                AND (t.started_at IS NULL OR t.lease_expires_at < clock_timestamp())
            ORDER BY t.queue, t.created_at, t.id LIMIT :looked_at
        ) head
    ), cancelled AS (
        SELECT id, created_at FROM turns WHERE status = 'pending' AND cancel_requested_at IS NOT NULL
        ORDER BY created_at LIMIT :looked_at
    ), candidates AS (
        SELECT id, false AS waits, NULL::smallint AS queue, NULL::bigint AS rank, NULL::timestamptz AS last, created_at
        FROM cancelled
        UNION ALL
        SELECT id, true, queue, rank, last, created_at FROM heads
    ), chosen AS (
        SELECT locked.id FROM (SELECT id FROM candidates ORDER BY waits, queue, rank, last NULLS FIRST, created_at) ordered
        CROSS JOIN LATERAL (
            SELECT t.id FROM turns t WHERE t.id = ordered.id AND t.status = 'pending' FOR NO KEY UPDATE SKIP LOCKED
        ) locked LIMIT :limit
    )
    UPDATE turns t SET status = 'running', lease_owner = :owner, lease_epoch = t.lease_epoch + 1,
        lease_expires_at = clock_timestamp() + make_interval(secs => :seconds), started_at = clock_timestamp()
    FROM chosen WHERE t.id = chosen.id
    RETURNING {_COLUMNS}, 0::float8 AS seconds, {REVOKED.format(key="t.key_id")} AS revoked
""")  # noqa: S608 - made of a constant
