"""Judges every rule: what is wrong becomes one alert, until it is right again; each receiver is to be told of both."""

import json
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime

from core.alerts.judging import Verdict, judge
from core.config_alerts import AlertRule
from core.ids import new_id
from core.storage.alerts import Alert, AlertMessage, AlertStore

KEPT_DAYS = 90.0
log = logging.getLogger(__name__)


class Watch:
    def __init__(
        self, store: AlertStore, rules: Mapping[str, AlertRule], receivers: Sequence[str], *, every_seconds: float
    ) -> None:
        self._store = store
        self._rules = rules
        self._receivers = receivers
        self._every_seconds = every_seconds
        self._longest = max((rule.window_seconds for rule in rules.values()), default=0.0) + 2 * every_seconds

    async def judge_all(self) -> None:
        """Once. Raises PaddockError."""
        history, firing = await self._store.history(self._longest), await self._store.firing()
        for name, rule in self._rules.items():
            verdict = judge(rule, history, every_seconds=self._every_seconds)
            await self._follow(name, rule, firing.get(name), verdict, history.now)
        for name in firing.keys() - self._rules.keys():
            await self._resolve(firing[name], None, firing[name].value, history.now)
        await self._store.forget(KEPT_DAYS)

    async def _follow(self, name: str, rule: AlertRule, alert: Alert | None, verdict: Verdict | None, now: datetime) -> None:
        if verdict is None:
            return
        if verdict.wrong and alert is None:
            await self._fire(name, rule, verdict.value, now)
        elif verdict.wrong and alert is not None:
            await self._store.note(alert.id, verdict.value)
        elif alert is not None:
            await self._resolve(alert, rule, verdict.value, now)

    async def _fire(self, name: str, rule: AlertRule, value: float, now: datetime) -> None:
        alert = Alert(id=new_id("alert"), rule=name, severity=rule.severity, summary=rule.summary, value=value, created_at=now)
        if await self._store.fire(alert, self._messages(alert, rule, now)):
            log.warning("alert %s: %s (%g)", name, rule.summary, value)

    async def _resolve(self, alert: Alert, rule: AlertRule | None, value: float, now: datetime) -> None:
        """rule: None when it is no more."""
        over = Alert(
            id=alert.id,
            rule=alert.rule,
            severity=alert.severity,
            summary=alert.summary,
            value=value,
            created_at=alert.created_at,
            resolved_at=now,
        )
        if await self._store.resolve(over, self._messages(over, rule, now)):
            log.warning("alert %s is over (%g)", alert.rule, value)

    def _messages(self, alert: Alert, rule: AlertRule | None, now: datetime) -> list[AlertMessage]:
        body = json.dumps(
            {
                "type": "alert.firing" if alert.resolved_at is None else "alert.resolved",
                "timestamp": now.isoformat(),
                "data": {
                    **told(alert),
                    "condition": None if rule is None else rule.model_dump(exclude={"summary", "severity"}),
                },
            }
        )
        return [AlertMessage(id=new_id("msg"), alert_id=alert.id, receiver=name, body=body) for name in self._receivers]


def told(alert: Alert) -> dict[str, object]:
    """As messages and the API show it."""
    return {
        "id": alert.id,
        "object": "alert",
        "rule": alert.rule,
        "status": "firing" if alert.resolved_at is None else "resolved",
        "severity": alert.severity,
        "summary": alert.summary,
        "value": alert.value,
        "created_at": int(alert.created_at.timestamp()),
        "resolved_at": None if alert.resolved_at is None else int(alert.resolved_at.timestamp()),
    }
