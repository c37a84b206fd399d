"""What a rule says of what servers measured."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.alerts.judging import Verdict, judge
from core.config_alerts import RULES, AlertRule
from core.storage.alerts import History, Sample
from core.telemetry.series import selector
from sandbox import RuntimeUnavailable

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
EVERY = 10.0
FAILED, ALL, GAUGE = 'paddock_turns_total{outcome="failed"}', "paddock_turns_total", "paddock_limiter_redis_up"


def rule(**changes: Any) -> AlertRule:
    return AlertRule.model_validate({"series": FAILED, "window_seconds": 60, "summary": "it is wrong", **changes})


def history(*servers: Sequence[float], redis: Sequence[float] = ()) -> History:
    """Each server's values of FAILED, the last one now; ALL is ten times as much. redis: the gauge of one more server."""
    told = {f"s{n}": [{FAILED: value, ALL: value * 10} for value in values] for n, values in enumerate(servers)}
    told["redis"] = [{GAUGE: value} for value in redis]
    return History(
        now=NOW,
        samples={
            server: [
                Sample(at=NOW - timedelta(seconds=EVERY * (len(values) - 1 - n)), series=value)
                for n, value in enumerate(values)
            ]
            for server, values in told.items()
            if values
        },
    )


def wrong(a_rule: AlertRule, seen: History) -> bool | None:
    verdict = judge(a_rule, seen, every_seconds=EVERY)
    return None if verdict is None else verdict.wrong


def test_what_grew_in_the_window_counts_on_all_servers_together() -> None:
    seen = history([100, 103], [0, 0, 0, 4])
    assert judge(rule(above=6), seen, every_seconds=EVERY) == Verdict(7, True)
    assert wrong(rule(above=7), seen) is False


def test_what_grew_before_the_window_is_over() -> None:
    assert wrong(rule(above=0), history([0, 50, *[50] * 7])) is False
    assert wrong(rule(above=0), history([0, 50, *[50] * 5])) is True


def test_a_share_counts_only_where_there_was_enough_of_the_whole() -> None:
    seen = history([0, 2])
    assert judge(rule(per=ALL, above=0.05, at_least=20), seen, every_seconds=EVERY) == Verdict(0.1, True)
    assert wrong(rule(per=ALL, above=0.05, at_least=21), seen) is False
    assert wrong(rule(per=ALL, above=0.05), history([5, 5])) is False


def test_a_gauge_is_wrong_once_it_was_all_the_window_on_one_server() -> None:
    gauge = rule(series=GAUGE, below=1)
    assert wrong(gauge, history(redis=[0] * 8)) is True
    assert wrong(gauge, history(redis=[0, 0, 0, 1, 0, 0, 0, 0])) is False
    assert wrong(gauge, history(redis=[0, 0])) is None


def after_a_gap(*redis: float) -> History:
    """What was noted since PostgreSQL is back; before it was away all was well."""
    told = [(90.0, 1.0), *((EVERY * (len(redis) - n) - EVERY, value) for n, value in enumerate(redis))]
    samples = [Sample(at=NOW - timedelta(seconds=ago), series={GAUGE: value}) for ago, value in told]
    return History(now=NOW, samples={"redis": samples})


def test_a_window_in_which_next_to_nothing_was_noted_says_nothing_of_a_gauge() -> None:
    gauge = rule(series=GAUGE, below=1)
    for noted in ([0], [0] * 3):
        assert wrong(gauge, after_a_gap(*noted)) is None
    assert wrong(gauge, after_a_gap(*[0] * 6)) is True


def test_one_sample_that_was_missed_takes_nothing_from_a_gauge() -> None:
    seen = history(redis=[0] * 8)
    samples = [sample for n, sample in enumerate(seen.samples["redis"]) if n != 4]
    assert wrong(rule(series=GAUGE, below=1), History(now=NOW, samples={"redis": samples})) is True


def test_a_server_that_is_gone_has_no_gauge() -> None:
    seen = history(redis=[0] * 20)
    assert wrong(rule(series=GAUGE, below=1), History(now=NOW + timedelta(seconds=40), samples=seen.samples)) is None


def test_too_little_of_something_is_said_only_after_a_whole_window() -> None:
    quiet = rule(below=1)
    assert wrong(quiet, history([3, 3])) is None
    assert wrong(quiet, history([3] * 8)) is True
    assert wrong(quiet, history([])) is None


def test_a_series_that_nobody_noted_has_not_grown() -> None:
    assert judge(rule(series="paddock_limiter_local_total", above=0), history([1, 9]), every_seconds=EVERY) == Verdict(0, False)


@pytest.mark.parametrize(
    ("text", "takes"),
    [
        ("paddock_turns_total", True),
        ('paddock_turns_total{outcome="failed"}', True),
        ('paddock_turns_total{outcome=~"fail.*|x", model!="b"}', True),
        ('paddock_turns_total{outcome=~"fail"}', False),
        ('paddock_turns_total{outcome!~"fail.*"}', False),
        ('paddock_turns_total{outcome="fail.d"}', False),
        ("paddock_turns_total{}", True),
    ],
)
def test_a_selector_takes_by_labels_as_promql_does(text: str, takes: bool) -> None:
    assert selector(text).takes({"model": "a", "outcome": "failed"}) is takes


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("paddock_turn_total", "did you mean 'paddock_turns_total'"),
        ("up", "unknown series"),
        ("", "expected a series"),
        ("rate(paddock_turns_total[5m])", "expected a series"),
        ('paddock_turns_total{tenant="a"}', "it has: model, outcome"),
        ("paddock_turns_total{outcome=failed}", "expected matchers"),
        ('paddock_turns_total{outcome="a" model="b"}', "expected matchers"),
        ('paddock_turns_total{outcome=~"("}', "is no pattern"),
    ],
)
def test_a_selector_that_means_nothing_is_told_what_there_is(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        selector(text)


def all_below(kind: type) -> list[str]:
    return [kind.__name__, *(name for child in kind.__subclasses__() for name in all_below(child))]


@pytest.mark.parametrize("outcome", all_below(RuntimeUnavailable))
def test_whatever_keeps_a_sandbox_from_being_had_is_seen_by_the_rule_about_that(outcome: str) -> None:
    taken = selector(RULES["sandboxes_unavailable"]["series"])
    assert taken.takes({"runtime": "wasmtime", "outcome": outcome})
