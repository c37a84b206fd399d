"""What this process counts and measures, in a registry of its own, and how Prometheus is told. It knows no platform."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from core.telemetry.series import FAMILIES, PREFIX, Kind, Selector

CONTENT_TYPE = prometheus_client.CONTENT_TYPE_PLAIN_0_0_4
OTHER = "other"
METHODS = frozenset(("GET", "POST", "DELETE", "OPTIONS", "HEAD", "PUT", "PATCH"))

Values = Mapping[str, float] | float
"""One value, or one for each value of the family's label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What is read when it is asked for."""

    name: str
    read: Callable[[], Values]


class Metrics:
    def __init__(self) -> None:
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each one
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = self._counter("requests")
        self.request_seconds = self._histogram("request_seconds")
        self.turns = self._counter("turns")
        self.turn_seconds = self._histogram("turn_seconds")
        self.queue_seconds = self._histogram("queue_seconds")
        self.model_calls = self._counter("model_calls")
        self.model_seconds = self._histogram("model_seconds")
        self.first_token_seconds = self._histogram("first_token_seconds")
        self.tokens = self._counter("tokens")
        self.cost = self._counter("cost_dollars")
        self.tool_runs = self._counter("tool_runs")
        self.tool_seconds = self._histogram("tool_seconds")
        self.sandbox_runs = self._counter("sandbox_runs")
        self.sandbox_seconds = self._histogram("sandbox_seconds")
        self.sandbox_cpu_seconds = self._counter("sandbox_cpu_seconds")
        self.journal_group_turns = self._histogram("journal_group_turns")
        self.journal_commit_seconds = self._histogram("journal_commit_seconds")

    def journal_group(self, turns: int, seconds: float) -> None:
        self.journal_group_turns.observe(turns)
        self.journal_commit_seconds.observe(seconds)

    def read(self, *readings: Reading) -> None:
        """To be read at each scrape from now on."""
        for reading in readings:
            self.registry.register(_Read(reading))

    def exposition(self) -> bytes:
        """In Prometheus's text format, version 0.0.4."""
        return generate_latest(self.registry)

    def sums(self, selectors: Sequence[Selector]) -> Mapping[str, float]:
        """Of what each selector takes now, by its text."""
        sums = {selector.text: 0.0 for selector in selectors}
        for family in self.registry.restricted_registry([selector.name for selector in selectors]).collect():
            for sample in family.samples:
                for selector in selectors:
                    if selector.name == sample.name and selector.takes(sample.labels):
                        sums[selector.text] += sample.value
        return sums

    def _counter(self, name: str) -> Counter:
        family = FAMILIES[name]
        return Counter(PREFIX + name, family.help, family.labels, registry=self.registry)

    def _histogram(self, name: str) -> Histogram:
        family = FAMILIES[name]
        return Histogram(PREFIX + name, family.help, family.labels, buckets=family.buckets, registry=self.registry)


class _Read(Collector):
    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def describe(self) -> Iterable[CounterMetricFamily | GaugeMetricFamily]:
        family = FAMILIES[self._reading.name]
        kind = CounterMetricFamily if family.kind is Kind.COUNTER else GaugeMetricFamily
        return [kind(PREFIX + self._reading.name, family.help, labels=family.labels)]

    def collect(self) -> Iterable[Metric]:
        value = self._reading.read()
        for metric in self.describe():
            for label, number in value.items() if isinstance(value, Mapping) else [((), value)]:
                metric.add_metric([label] if isinstance(label, str) else [], number)
            yield metric
