"""What a rule says of what servers measured: pure functions of both. Knows no store and nobody who is told."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.config_alerts import AlertRule
from core.storage.alerts import History, Sample
from core.telemetry.series import selector

GONE_AFTER = 3
"""Samples that a server has missed, when it is no more."""
SLACK = 1.5
"""Samples come a little late."""
MEASURED = 0.5
"""The part of its window of which a gauge's samples must tell more than."""


@dataclass(frozen=True, slots=True)
class Verdict:
    value: float
    wrong: bool


def judge(rule: AlertRule, history: History, *, every_seconds: float) -> Verdict | None:
    """None when nothing can be said: no server has measured for long enough."""
    since = history.now - timedelta(seconds=rule.window_seconds)
    value = (
        _growth(rule, history, since, every_seconds)
        if selector(rule.series).grows
        else _level(rule, history, since, every_seconds)
    )
    if value is None:
        return None
    wrong = value > rule.above if rule.above is not None else value < (rule.below or 0.0)
    return Verdict(value, wrong and not _too_little(rule, history, since))


def _growth(rule: AlertRule, history: History, since: datetime, every_seconds: float) -> float | None:
    if rule.below is not None and not any(_covers(samples, since, every_seconds) for samples in history.samples.values()):
        return None
    grown = _grown(rule.series, history, since)
    if rule.per is None:
        return grown
    of = _grown(rule.per, history, since)
    return grown / of if of else 0.0


def _too_little(rule: AlertRule, history: History, since: datetime) -> bool:
    return rule.per is not None and _grown(rule.per, history, since) < rule.at_least


def _grown(series: str, history: History, since: datetime) -> float:
    """On all servers together. Each one that starts has a name of its own, so that none ever counts back."""
    total = 0.0
    for samples in history.samples.values():
        values = [sample.series[series] for sample in _from(samples, since) if series in sample.series]
        total += values[-1] - values[0] if values else 0.0
    return total


def _from(samples: Sequence[Sample], since: datetime) -> Sequence[Sample]:
    """Those since then, and the last one before, from which it grew."""
    before = sum(sample.at < since for sample in samples)
    return samples[max(before - 1, 0) :]


def _level(rule: AlertRule, history: History, since: datetime, every_seconds: float) -> float | None:
    """Of the server that is worst: what its gauge kept to all the time."""
    alive = history.now - timedelta(seconds=GONE_AFTER * every_seconds)
    kept, worst = (min, max) if rule.above is not None else (max, min)
    levels = []
    for samples in history.samples.values():
        if samples[-1].at >= alive and _covers(samples, since, every_seconds):
            values = [sample.series[rule.series] for sample in samples if sample.at >= since and rule.series in sample.series]
            # the database may have been away, and with it what would have been noted: one look is not all the window
            measured = len(values) * every_seconds > rule.window_seconds * MEASURED
            levels += [kept(values)] if measured else []
    return worst(levels) if levels else None


def _covers(samples: Sequence[Sample], since: datetime, every_seconds: float) -> bool:
    return samples[0].at <= since + timedelta(seconds=SLACK * every_seconds)
