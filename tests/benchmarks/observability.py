"""What it costs to be watched, in processor time: a scrape of a server that has seen much, a note for alerts, a trace."""

import time
from collections.abc import Callable, Sequence

from prometheus_client import Counter, Histogram

from core.config_alerts import Alerts
from core.telemetry.metrics import Metrics
from core.telemetry.series import selector
from core.telemetry.tracing import outgoing
from tests.benchmarks.figures import Figure

ROUNDS = 50
SEEN = {
    "route": [f"/v1/route_{n}" for n in range(60)],
    "model": [f"model_{n}" for n in range(20)],
    "status": ["200", "400", "404", "429", "500"],
    "method": ["POST"],  # a route has one
    "outcome": ["ok", "failed", "cancelled", "model_unavailable"],
    "kind": ["input", "output", "cached", "reasoning"],
    "tool": ["registry", "code_interpreter"],
    "runtime": ["wasmtime", "gvisor"],
}


def measure() -> Sequence[Figure]:
    metrics = _busy()
    rules = Alerts().rules.values()
    selectors = [selector(text) for rule in rules for text in (rule.series, rule.per) if text is not None]
    lines = metrics.exposition().count(b"\n")
    return [
        Figure(what="/metrics", unit="ms", ours=_median(metrics.exposition) * 1e3, at_most=20, note=f"{lines:,} lines"),
        Figure(what="a note of a server's metrics for alerts", unit="ms", ours=_median(lambda: metrics.sums(selectors)) * 1e3),
        Figure(what="the trace told to a provider, where there is none", unit="us", ours=_median(_outgoing) * 1e6 / 1_000),
    ]


def _busy() -> Metrics:
    metrics = Metrics()
    for metric in vars(metrics).values():
        if isinstance(metric, Counter | Histogram):
            _fill(metric, metric._labelnames, ())
    return metrics


def _fill(metric: Counter | Histogram, names: Sequence[str], values: tuple[str, ...]) -> None:
    if names:
        for value in SEEN[names[0]]:
            _fill(metric, names[1:], (*values, value))
        return
    told = metric.labels(*values) if values else metric
    told.inc() if isinstance(told, Counter) else told.observe(0.02)


def _median(what: Callable[[], object]) -> float:
    spent = []
    for _ in range(ROUNDS):
        began = time.process_time()
        what()
        spent.append(time.process_time() - began)
    return sorted(spent)[ROUNDS // 2]


def _outgoing() -> None:
    for _ in range(1_000):
        outgoing()
