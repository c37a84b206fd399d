"""What this process counts and measures, in a registry of its own, and how Prometheus is told. Knows nothing of the platform.

No label holds what a user wrote: routes are templates, models are the operator's names, tools of the registry go by their kind.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = prometheus_client.CONTENT_TYPE_PLAIN_0_0_4
OTHER = "other"
SHORT = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
LONG = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
GROUP = (1, 2, 4, 8, 16, 32, 64, 128, 256)
METHODS = frozenset(("GET", "POST", "DELETE", "OPTIONS", "HEAD", "PUT", "PATCH"))

Values = Mapping[str, float] | float
"""One value, or one for each value of the reading's label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What is read when it is asked for. total: it only grows. label: what tells its values apart."""

    name: str
    help: str
    read: Callable[[], Values]
    label: str | None = None
    total: bool = False


class Metrics:
    def __init__(self) -> None:
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each one
        self.registry = CollectorRegistry()
        self._readings = _Readings()
        self.registry.register(self._readings)
        ProcessCollector(registry=self.registry)
        self.requests = self._counter("requests", "Answered requests.", "method", "route", "status")
        self.request_seconds = self._histogram("request_seconds", "From request to last byte.", SHORT, "route")
        self.turns = self._counter("turns", "Ended turns.", "model", "outcome")
        self.turn_seconds = self._histogram("turn_seconds", "Of whole turns.", LONG, "model")
        self.model_calls = self._counter("model_calls", "Calls of models.", "model", "outcome")
        self.model_seconds = self._histogram("model_seconds", "Of calls of models.", LONG, "model")
        self.first_token_seconds = self._histogram("first_token_seconds", "Until a model's first token.", LONG, "model")
        self.tokens = self._counter("tokens", "Tokens that models took and gave.", "model", "kind")
        self.cost = self._counter("cost_dollars", "What they cost, by the prices in the configuration.", "model")
        self.tool_runs = self._counter("tool_runs", "Runs of tools.", "tool", "kind", "outcome")
        self.tool_seconds = self._histogram("tool_seconds", "Of runs of tools.", SHORT, "tool", "kind")
        self.sandbox_runs = self._counter("sandbox_runs", "Programs run in sandboxes.", "runtime", "outcome")
        self.sandbox_seconds = self._histogram("sandbox_seconds", "Of runs in sandboxes.", SHORT, "runtime")
        self.sandbox_cpu_seconds = self._counter("sandbox_cpu_seconds", "Processor time of guests.", "runtime")
        self.journal_group_turns = self._histogram("journal_group_turns", "Turns in one commit of the journal.", GROUP)
        self.journal_commit_seconds = self._histogram("journal_commit_seconds", "Of commits of the journal.", SHORT)

    def journal_group(self, turns: int, seconds: float) -> None:
        self.journal_group_turns.observe(turns)
        self.journal_commit_seconds.observe(seconds)

    def read(self, *readings: Reading) -> None:
        """To be read at each scrape from now on."""
        self._readings.all += readings

    def exposition(self) -> bytes:
        """In Prometheus's text format, version 0.0.4."""
        return generate_latest(self.registry)

    def _counter(self, name: str, help: str, *labels: str) -> Counter:
        return Counter(f"paddock_{name}", help, labels, registry=self.registry)

    def _histogram(self, name: str, help: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"paddock_{name}", help, labels, buckets=buckets, registry=self.registry)


class _Readings(Collector):
    def __init__(self) -> None:
        self.all: list[Reading] = []

    def collect(self) -> Iterable[Metric]:
        for reading in self.all:
            labels = () if reading.label is None else (reading.label,)
            family = (CounterMetricFamily if reading.total else GaugeMetricFamily)(
                f"paddock_{reading.name}", reading.help, labels=labels
            )
            value = reading.read()
            for label, number in value.items() if isinstance(value, Mapping) else [((), value)]:
                family.add_metric([label] if isinstance(label, str) else [], number)
            yield family
