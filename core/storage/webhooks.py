"""Who is told of what, by webhook, and each delivery until it is made or given up. It sends nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from core.errors import Conflict, NotFound
from core.storage.audit import AuditRecord, insert
from core.storage.database import Database, hold
from core.storage.paging import page_by_id
from core.storage.records import Page
from core.storage.tables import webhook_deliveries, webhook_endpoints

ATTEMPT_SECONDS = 60.0
"""After which an attempt that nobody told the end of was cut off, and is made again."""
HELD_HOURS = 24
"""For how long a delivery waits for an endpoint that is disabled: longer than all attempts take."""
KEPT_DAYS = 30
MOST_ENDPOINTS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """secret: sealed; whoever has opened it can sign for us."""

    id: str
    organization_id: str
    url: str = field(repr=False)
    events: Sequence[str]
    secret: str = field(repr=False)
    enabled: bool
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """object_id: what it tells of. Waiting while it is neither delivered nor given up. error: of the last attempt."""

    id: str
    organization_id: str
    endpoint_id: str
    event: str
    object_id: str
    attempts: int
    next_at: datetime
    delivered_at: datetime | None
    given_up_at: datetime | None
    error: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """attempts: with this one."""

    id: str
    organization_id: str
    endpoint_id: str
    event: str
    object_id: str
    attempts: int
    created_at: datetime
    url: str = field(repr=False)
    secret: str = field(repr=False)


class WebhookStore:
    """Every change is written with its record, whose organisation is the owner's and whose object the endpoint or delivery."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, record: AuditRecord, *, url: str, events: Sequence[str], secret: str) -> Endpoint:
        """Raises Conflict when there are too many."""
        home = record.organization_id
        values = {"id": record.object, "organization_id": home, "url": url, "events": list(events), "secret": secret}
        async with self._database.tenant(home) as connection:
            await hold(connection, "webhooks", home)
            known = (await connection.execute(sa.select(sa.func.count()).select_from(webhook_endpoints))).scalar_one()
            if known >= MOST_ENDPOINTS:
                raise Conflict(f"an organization has at most {MOST_ENDPOINTS} webhooks", code="too_many_webhooks")
            query = sa.insert(webhook_endpoints).values(**values, enabled=True).returning(webhook_endpoints)
            row = (await connection.execute(query)).mappings().one()
            await insert(connection, record)
        return Endpoint(**row)

    async def list(self, organization_id: str, *, after: str | None, limit: int, descending: bool) -> Page[Endpoint]:
        mine = webhook_endpoints.c.organization_id == organization_id
        async with self._database.tenant(organization_id) as connection:
            rows, more = await page_by_id(
                connection, webhook_endpoints, mine, prefix="whk", after=after, limit=limit, descending=descending
            )
        return Page(rows=[Endpoint(**row) for row in rows], more=more)

    async def get(self, organization_id: str, endpoint_id: str) -> Endpoint:
        """Raises NotFound."""
        async with self._database.tenant(organization_id) as connection:
            row = (
                await connection.execute(sa.select(webhook_endpoints).where(_endpoint(organization_id, endpoint_id)))
            ).mappings()
            return _found(row.one_or_none(), endpoint_id)

    async def set(self, record: AuditRecord, values: Mapping[str, object]) -> Endpoint:
        """Raises NotFound. values: of the row's columns."""
        home, endpoint_id = record.organization_id, record.object or ""
        query = sa.update(webhook_endpoints).where(_endpoint(home, endpoint_id)).values(**values).returning(webhook_endpoints)
        async with self._database.tenant(home) as connection:
            endpoint = _found((await connection.execute(query)).mappings().one_or_none(), endpoint_id)
            await insert(connection, record)
        return endpoint

    async def delete(self, record: AuditRecord) -> None:
        """With its deliveries. Raises NotFound."""
        home, endpoint_id = record.organization_id, record.object or ""
        async with self._database.tenant(home) as connection:
            query = sa.delete(webhook_endpoints).where(_endpoint(home, endpoint_id))
            if (await connection.execute(query)).rowcount == 0:
                raise _no_webhook(endpoint_id)
            await insert(connection, record)

    async def deliveries(
        self,
        organization_id: str,
        *,
        state: str | None,
        endpoint_id: str | None,
        after: str | None,
        limit: int,
        descending: bool,
    ) -> Page[Delivery]:
        """state: waiting, delivered or dead; None for all."""
        mine = [webhook_deliveries.c.organization_id == organization_id]
        if state is not None:
            mine.append(_STATES[state])
        if endpoint_id is not None:
            mine.append(webhook_deliveries.c.endpoint_id == endpoint_id)
        async with self._database.tenant(organization_id) as connection:
            rows, more = await page_by_id(
                connection, webhook_deliveries, *mine, prefix="evt", after=after, limit=limit, descending=descending
            )
        return Page(rows=[Delivery(**row) for row in rows], more=more)

    async def send_again(self, record: AuditRecord) -> Delivery:
        """From its first attempt on, at once; with its old id, by which the receiver may know it.

        Raises NotFound, and Conflict while it waits, or its endpoint is disabled.
        """
        home, delivery_id = record.organization_id, record.object or ""
        this = sa.and_(webhook_deliveries.c.organization_id == home, webhook_deliveries.c.id == delivery_id)
        fresh = {"attempts": 0, "next_at": sa.func.now(), "delivered_at": None, "given_up_at": None}
        its = webhook_endpoints.c.id == webhook_deliveries.c.endpoint_id
        enabled = sa.select(webhook_endpoints.c.enabled).where(its).scalar_subquery()
        query = sa.update(webhook_deliveries).where(this, sa.not_(_STATES["waiting"]), enabled).values(fresh)
        async with self._database.tenant(home) as connection:
            row = (await connection.execute(query.returning(webhook_deliveries))).mappings().one_or_none()
            if row is None:
                match await connection.scalar(sa.select(enabled).where(this)):
                    case True:
                        raise Conflict(f"delivery {delivery_id!r} is being tried still", code="delivery_waiting")
                    case False:
                        raise Conflict(f"the webhook of {delivery_id!r} is disabled: enable it first", code="webhook_disabled")
                raise NotFound(f"no delivery {delivery_id!r}", code="delivery_not_found")
            await insert(connection, record)
        return Delivery(**row)

    # What follows is of the system: all tenants'.

    async def reseal(self, current: str, resealed: Callable[[str, str], str]) -> None:
        """Keep what it gives for an endpoint's id and its secret. current: how those begin that need nothing."""
        old = sa.select(webhook_endpoints.c.id, webhook_endpoints.c.secret).with_for_update()
        query = old.where(sa.not_(webhook_endpoints.c.secret.startswith(current, autoescape=True)))
        async with self._database.everyone() as connection:
            for row in (await connection.execute(query.order_by(webhook_endpoints.c.id))).all():
                new = sa.update(webhook_endpoints).where(webhook_endpoints.c.id == row.id)
                await connection.execute(new.values(secret=resealed(row.id, row.secret)))

    async def take(self, most: int, *, share: int, share_of_organization: int, busy: Sequence[str] = ()) -> Sequence[Due]:
        """Deliveries to be tried now, by nobody else meanwhile: of each organisation in turn, and of its endpoints in turn.

        Those of endpoints that are disabled wait. share: at most so many of an endpoint. busy: organisations and endpoints of
        which none is taken.
        """
        shares = {"share": share, "share_of_organization": share_of_organization}
        values = {"most": most, **shares, "busy": list(busy), "seconds": ATTEMPT_SECONDS}
        async with self._database.everyone() as connection:
            rows = (await connection.execute(_TAKE, values)).mappings().all()
        return [Due(**row) for row in rows]

    async def delivered(self, delivery_id: str) -> None:
        async with self._database.everyone() as connection:
            await connection.execute(_DELIVERED, {"id": delivery_id})

    async def failed(self, delivery_id: str, error: str, *, again_seconds: float | None) -> None:
        """again_seconds: until the next attempt; None: it is given up."""
        async with self._database.everyone() as connection:
            await connection.execute(_FAILED, {"id": delivery_id, "error": error[:500], "seconds": again_seconds})

    async def sweep(self) -> None:
        """What has waited HELD_HOURS for an endpoint that is disabled is given up. What is older than KEPT_DAYS, and waits no
        more, goes.
        """
        async with self._database.everyone() as connection:
            await connection.execute(_GIVE_UP, {"hours": HELD_HOURS})
            await connection.execute(_SWEEP, {"days": KEPT_DAYS})


async def tell(connection: AsyncConnection, organization_id: str, event: str, object_id: str) -> None:
    """Into an open transaction: a delivery to each endpoint that wants it. Of turns the journal's statement does the same."""
    values = {"organization_id": organization_id, "event": event, "object_id": object_id}
    await connection.execute(_TELL, values)


_STATES = {
    "waiting": sa.and_(webhook_deliveries.c.delivered_at.is_(None), webhook_deliveries.c.given_up_at.is_(None)),
    "delivered": webhook_deliveries.c.delivered_at.is_not(None),
    "dead": webhook_deliveries.c.given_up_at.is_not(None),
}
_TELL = sa.text("""
    INSERT INTO webhook_deliveries (id, organization_id, endpoint_id, event, object_id)
    SELECT 'evt_' || split_part(:object_id, '_', 2) || left(md5(e.id), 8), :organization_id, e.id, :event, :object_id
    FROM webhook_endpoints e
    WHERE e.organization_id = :organization_id AND e.enabled AND :event = ANY(e.events)
    ON CONFLICT DO NOTHING
""")
_TAKE = sa.text("""
    WITH due AS (
        SELECT d.id, d.organization_id, d.next_at, row_number() OVER (PARTITION BY d.endpoint_id ORDER BY d.next_at) AS place
        FROM webhook_deliveries d JOIN webhook_endpoints e ON e.id = d.endpoint_id
        WHERE d.delivered_at IS NULL AND d.given_up_at IS NULL AND d.next_at <= now() AND e.enabled
            AND d.endpoint_id <> ALL(CAST(:busy AS text[])) AND d.organization_id <> ALL(CAST(:busy AS text[]))
    ), ranked AS (
        SELECT id, next_at, row_number() OVER (PARTITION BY organization_id ORDER BY place, next_at) AS place
        FROM due WHERE place <= :share
    ), chosen AS (
        SELECT d.id FROM webhook_deliveries d JOIN ranked USING (id)
        WHERE ranked.place <= :share_of_organization AND d.delivered_at IS NULL AND d.given_up_at IS NULL AND d.next_at <= now()
        ORDER BY ranked.place, ranked.next_at LIMIT :most FOR NO KEY UPDATE OF d SKIP LOCKED
    )
    UPDATE webhook_deliveries d SET attempts = d.attempts + 1, next_at = now() + make_interval(secs => :seconds)
    FROM chosen, webhook_endpoints e WHERE d.id = chosen.id AND e.id = d.endpoint_id
    RETURNING d.id, d.organization_id, d.endpoint_id, d.event, d.object_id, d.attempts, d.created_at, e.url, e.secret
""")
_DELIVERED = sa.text("UPDATE webhook_deliveries SET delivered_at = now(), error = NULL WHERE id = :id")
_FAILED = sa.text("""
    UPDATE webhook_deliveries SET error = :error,
        next_at = COALESCE(now() + make_interval(secs => CAST(:seconds AS float8)), next_at),
        given_up_at = CASE WHEN CAST(:seconds AS float8) IS NULL THEN now() END
    WHERE id = :id
""")
_GIVE_UP = sa.text("""
    UPDATE webhook_deliveries d SET given_up_at = now(), error = 'the webhook was disabled'
    FROM webhook_endpoints e WHERE e.id = d.endpoint_id AND NOT e.enabled
        AND d.delivered_at IS NULL AND d.given_up_at IS NULL AND d.next_at <= now()
        AND d.created_at < now() - make_interval(hours => :hours)
""")
_SWEEP = sa.text("""
    DELETE FROM webhook_deliveries WHERE created_at < now() - make_interval(days => :days)
        AND (delivered_at IS NOT NULL OR given_up_at IS NOT NULL)
""")


def _endpoint(organization_id: str, endpoint_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(webhook_endpoints.c.organization_id == organization_id, webhook_endpoints.c.id == endpoint_id)


def _found(row: sa.RowMapping | None, endpoint_id: str) -> Endpoint:
    if row is None:
        raise _no_webhook(endpoint_id)
    return Endpoint(**row)


def _no_webhook(endpoint_id: str) -> NotFound:
    return NotFound(f"no webhook {endpoint_id!r}", code="webhook_not_found")
