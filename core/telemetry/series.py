"""The series that a server exposes, by name, and selectors that pick some of one by their labels. It holds no value.

No label holds what a user wrote: routes are templates, models are the operator's names, tools of the registry go by their kind.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum

PREFIX = "paddock_"
SHORT = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
LONG = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
GROUP = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Kind(StrEnum):
    COUNTER = "counter"  # only grows
    GAUGE = "gauge"
    HISTOGRAM = "histogram"  # its parts only grow


@dataclass(frozen=True, slots=True)
class Family:
    """labels: their names. buckets: a histogram's."""

    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


def _counter(help: str, *labels: str) -> Family:
    return Family(Kind.COUNTER, help, labels)


def _gauge(help: str, *labels: str) -> Family:
    return Family(Kind.GAUGE, help, labels)


def _histogram(help: str, buckets: tuple[float, ...], *labels: str) -> Family:
    return Family(Kind.HISTOGRAM, help, labels, buckets)


FAMILIES: Mapping[str, Family] = {
    "requests": _counter("Answered requests.", "method", "route", "status"),
    "request_seconds": _histogram("From request to last byte.", SHORT, "route"),
    "turns": _counter("Ended turns.", "model", "outcome"),
    "turn_seconds": _histogram("Of whole turns.", LONG, "model"),
    "turns_running": _gauge("Turns that run in this process."),
    "turns_waiting": _gauge("Turns in the background that no process has taken yet, of all servers together.", "queue"),
    "queue_seconds": _histogram("Until turns in the background began.", LONG),
    "model_calls": _counter("Calls of models.", "model", "outcome"),
    "model_seconds": _histogram("Of calls of models.", LONG, "model"),
    "first_token_seconds": _histogram("Until a model's first token.", LONG, "model"),
    "tokens": _counter("Tokens that models took and gave.", "model", "kind"),
    "cost_dollars": _counter("What they cost, by the prices in the configuration.", "model"),
    "tool_runs": _counter("Runs of tools.", "tool", "kind", "outcome"),
    "tool_seconds": _histogram("Of runs of tools.", SHORT, "tool", "kind"),
    "sandbox_runs": _counter("Programs run in sandboxes.", "runtime", "outcome"),
    "sandbox_seconds": _histogram("Of runs in sandboxes.", SHORT, "runtime"),
    "sandbox_cpu_seconds": _counter("Processor time of guests.", "runtime"),
    "journal_group_turns": _histogram("Turns in one commit of the journal.", GROUP),
    "journal_commit_seconds": _histogram("Of commits of the journal.", SHORT),
    "journal_waiting": _gauge("Turns with something to commit."),
    "database_connections": _gauge("Connections in use.", "role"),
    "audit_unsealed_seconds": _gauge("How long the oldest record of the audit log has waited to be sealed."),
    "limiter_redis_up": _gauge("1 while limits are counted in Redis."),
    "limiter_refusals": _counter("Turns over a limit.", "limit"),
    "limiter_local": _counter("Turns let in without Redis."),
}


def _series() -> Mapping[str, tuple[Kind, tuple[str, ...]]]:
    """Each series by its whole name: whether it is a gauge, and its labels."""
    found: dict[str, tuple[Kind, tuple[str, ...]]] = {}
    for name, family in FAMILIES.items():
        match family.kind:
            case Kind.COUNTER:
                found[f"{PREFIX}{name}_total"] = (Kind.COUNTER, family.labels)
            case Kind.GAUGE:
                found[f"{PREFIX}{name}"] = (Kind.GAUGE, family.labels)
            case Kind.HISTOGRAM:
                for part in ("sum", "count"):
                    found[f"{PREFIX}{name}_{part}"] = (Kind.COUNTER, family.labels)
                found[f"{PREFIX}{name}_bucket"] = (Kind.COUNTER, (*family.labels, "le"))
    return found


SERIES = _series()
SELECTOR = re.compile(r"(?P<name>\w+)(?:\{(?P<matchers>.*)\})?")
MATCHER = re.compile(r'\s*(?P<label>\w+)\s*(?P<how>=~|!~|!=|=)\s*"(?P<value>[^"\\]*(?:\\.[^"\\]*)*)"\s*(?:,|$)')


@dataclass(frozen=True, slots=True)
class Selector:
    """text: as written: `paddock_turns_total{outcome=~"failed|incomplete"}`, PromQL's matchers with Python's patterns.

    grows: it is no gauge.
    """

    text: str
    name: str
    grows: bool
    takes: Callable[[Mapping[str, str]], bool]


def selector(text: str) -> Selector:
    """Raises ValueError, which says what is known."""
    found = SELECTOR.fullmatch(text.strip())
    if found is None:
        raise ValueError("expected a series and its labels, like 'paddock_turns_total{outcome=\"failed\"}'")
    name = found["name"]
    if name not in SERIES:
        close = get_close_matches(name, SERIES, n=1)
        raise ValueError(
            f"unknown series {name!r}" + (f"; did you mean {close[0]!r}?" if close else "; GET /metrics shows all")
        )
    kind, labels = SERIES[name]
    matchers = _matchers(found["matchers"] or "", name, labels)
    return Selector(
        text,
        name,
        kind is not Kind.GAUGE,
        lambda told: all(bool(pattern.fullmatch(told.get(label, ""))) is wanted for label, pattern, wanted in matchers),
    )


def _matchers(text: str, name: str, labels: tuple[str, ...]) -> list[tuple[str, "re.Pattern[str]", bool]]:
    found, at = [], 0
    while at < len(text):
        matcher = MATCHER.match(text, at)
        if matcher is None:
            raise ValueError(f"expected matchers like 'label=\"value\"', separated by commas, at {text[at:][:40]!r}")
        label, how, value = matcher["label"], matcher["how"], matcher["value"]
        if label not in labels:
            raise ValueError(f"{name} has no label {label!r}; it has: {', '.join(labels) or 'none'}")
        try:
            pattern = re.compile(value if "~" in how else re.escape(value))
        except re.error as exc:
            raise ValueError(f"{value!r} is no pattern: {exc}") from exc
        found.append((label, pattern, not how.startswith("!")))
        at = matcher.end()
    return found
