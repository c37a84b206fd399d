"""Alerts: what servers measured lately, what is or was wrong, and the messages about it, each until it is delivered."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from core.errors import NotFound
from core.storage.database import Database
from core.storage.paging import page_by_id
from core.storage.records import Page
from core.storage.tables import alert_messages, alerts, metric_samples

_ORDER = (alert_messages.c.created_at, alert_messages.c.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """series: of one server at one moment, value by selector."""

    at: datetime
    series: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """samples: of each server, the oldest first. now: the same clock's."""

    now: datetime
    samples: Mapping[str, Sequence[Sample]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """value: the last one that was wrong; once it is resolved, the one that was right again."""

    id: str
    rule: str
    severity: str
    summary: str
    value: float
    created_at: datetime
    resolved_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertMessage:
    """To one receiver; waiting while it is neither delivered nor given up. error: of the last attempt."""

    id: str
    alert_id: str
    receiver: str
    body: str
    attempts: int = 0
    next_at: datetime | None = None
    delivered_at: datetime | None = None
    given_up_at: datetime | None = None
    error: str | None = None


class AlertStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_sample(self, server: str, series: Mapping[str, float]) -> None:
        async with self._database.everyone() as connection:
            await connection.execute(sa.insert(metric_samples).values(server=server, series=json.dumps(dict(series))))

    async def history(self, seconds: float) -> History:
        """The last so many seconds of every server; what is older is forgotten."""
        old = metric_samples.c.at < sa.func.now() - timedelta(seconds=seconds)
        query = sa.select(metric_samples).order_by(metric_samples.c.server, metric_samples.c.at)
        async with self._database.everyone() as connection:
            await connection.execute(sa.delete(metric_samples).where(old))
            now: datetime = (await connection.execute(sa.select(sa.func.clock_timestamp()))).scalar_one()
            rows = (await connection.execute(query)).all()
        samples: dict[str, list[Sample]] = {}
        for row in rows:
            samples.setdefault(row.server, []).append(Sample(at=row.at, series=json.loads(row.series)))
        return History(now=now, samples=samples)

    async def firing(self) -> Mapping[str, Alert]:
        """By rule."""
        async with self._database.everyone() as connection:
            rows = (await connection.execute(sa.select(alerts).where(alerts.c.resolved_at.is_(None)))).mappings().all()
        return {row["rule"]: Alert(**row) for row in rows}

    async def fire(self, alert: Alert, messages: Sequence[AlertMessage]) -> bool:
        """False, and nothing is written, where the rule has a firing one already."""
        new = insert(alerts).values(
            id=alert.id,
            rule=alert.rule,
            severity=alert.severity,
            summary=alert.summary,
            value=alert.value,
            created_at=alert.created_at,
        )
        async with self._database.everyone() as connection:
            fired = (await connection.execute(new.on_conflict_do_nothing())).rowcount > 0
            if fired:
                await _put(connection, messages)
        return fired

    async def note(self, alert_id: str, value: float) -> None:
        async with self._database.everyone() as connection:
            await connection.execute(sa.update(alerts).where(alerts.c.id == alert_id).values(value=value))

    async def resolve(self, alert: Alert, messages: Sequence[AlertMessage]) -> bool:
        """alert: with `resolved_at`. False where it was resolved already."""
        mine = sa.and_(alerts.c.id == alert.id, alerts.c.resolved_at.is_(None))
        change = sa.update(alerts).where(mine).values(value=alert.value, resolved_at=alert.resolved_at)
        async with self._database.everyone() as connection:
            resolved = (await connection.execute(change)).rowcount > 0
            if resolved:
                await _put(connection, messages)
        return resolved

    async def forget(self, days: float) -> None:
        """What was resolved so long ago, with its messages."""
        old = alerts.c.resolved_at < sa.func.now() - timedelta(days=days)
        async with self._database.everyone() as connection:
            await connection.execute(sa.delete(alerts).where(old))

    async def due(self, limit: int) -> Sequence[AlertMessage]:
        """Messages whose time has come; a later one about the same alert waits for the earlier one.

        The database's clock says which is later: one server's may be behind another's.
        """
        earlier = alert_messages.alias()
        waits = sa.exists().where(
            earlier.c.alert_id == alert_messages.c.alert_id,
            earlier.c.receiver == alert_messages.c.receiver,
            sa.tuple_(earlier.c.created_at, earlier.c.id) < sa.tuple_(*_ORDER),
            earlier.c.delivered_at.is_(None),
            earlier.c.given_up_at.is_(None),
        )
        query = sa.select(alert_messages).where(
            alert_messages.c.delivered_at.is_(None),
            alert_messages.c.given_up_at.is_(None),
            alert_messages.c.next_at <= sa.func.now(),
            ~waits,
        )
        async with self._database.everyone() as connection:
            rows = (await connection.execute(query.order_by(*_ORDER).limit(limit))).mappings().all()
        return [_message(row) for row in rows]

    async def delivered(self, message_id: str) -> None:
        await self._attempted(message_id, delivered_at=sa.func.now(), error=None)

    async def failed(self, message_id: str, error: str, *, again_seconds: float | None) -> None:
        """again_seconds: until the next attempt; None when there is none."""
        if again_seconds is None:
            await self._attempted(message_id, given_up_at=sa.func.now(), error=error)
        else:
            await self._attempted(message_id, next_at=sa.func.now() + timedelta(seconds=again_seconds), error=error)

    async def _attempted(self, message_id: str, **values: object) -> None:
        change = sa.update(alert_messages).where(alert_messages.c.id == message_id)
        async with self._database.everyone() as connection:
            await connection.execute(change.values(attempts=alert_messages.c.attempts + 1, **values))

    async def page(self, *, firing: bool | None, after: str | None, limit: int, descending: bool) -> Page[Alert]:
        """firing: None for all. Raises InvalidRequest for a cursor that is no alert's id."""
        state = sa.true() if firing is None else alerts.c.resolved_at.is_(None) == firing
        async with self._database.everyone() as connection:
            rows, more = await page_by_id(
                connection, alerts, state, prefix="alert", after=after, limit=limit, descending=descending
            )
        return Page(rows=[Alert(**row) for row in rows], more=more)

    async def get(self, alert_id: str) -> tuple[Alert, Sequence[AlertMessage]]:
        """Raises NotFound."""
        mine = sa.select(alert_messages).where(alert_messages.c.alert_id == alert_id).order_by(*_ORDER)
        async with self._database.everyone() as connection:
            row = (await connection.execute(sa.select(alerts).where(alerts.c.id == alert_id))).mappings().one_or_none()
            if row is None:
                raise NotFound(f"no alert {alert_id[:200]!r}", code="alert_not_found")
            messages = (await connection.execute(mine)).mappings().all()
        return Alert(**row), [_message(message) for message in messages]


async def _put(connection: AsyncConnection, messages: Sequence[AlertMessage]) -> None:
    for message in messages:
        values = {"id": message.id, "alert_id": message.alert_id, "receiver": message.receiver, "body": message.body}
        await connection.execute(sa.insert(alert_messages).values(values))


def _message(row: sa.RowMapping) -> AlertMessage:
    return AlertMessage(**{name: value for name, value in row.items() if name != "created_at"})
