"""What an operator writes under `alerts`, and what Paddock says of it."""

from pathlib import Path

import pytest

from core.webhooks.signing import new_secret
from tests.unit.test_config import complaint, load

RULE = "alerts:\n  rules:\n    mine:\n      series: paddock_turns_total\n      above: 1\n      summary: too many\n"
OPS = "alerts:\n  receivers:\n    ops:\n      url: https://example.com/hook\n      secret: SECRET\n"


def test_rules_are_known_without_a_word_and_nobody_is_told(tmp_path: Path) -> None:
    alerts = load(tmp_path).alerts
    assert {"requests_failing", "turns_failing", "limits_without_redis"} <= alerts.rules.keys()
    assert alerts.receivers == {}


def test_one_word_changes_a_known_rule_and_null_turns_it_off(tmp_path: Path) -> None:
    rules = load(tmp_path, "alerts: {rules: {turns_failing: {above: 0.5}, journal_slow: null}}").alerts.rules
    assert (rules["turns_failing"].above, rules["turns_failing"].at_least) == (0.5, 10)
    assert "journal_slow" not in rules


def test_a_rule_and_a_receiver_of_ones_own_stand_beside_the_known_ones(tmp_path: Path) -> None:
    assert {"mine", "turns_failing"} <= load(tmp_path, RULE).alerts.rules.keys()
    secret = new_secret()
    alerts = load(tmp_path, OPS.replace("SECRET", "${HOOK}"), HOOK=secret).alerts
    assert alerts.receivers["ops"].secret.get_secret_value() == secret
    assert secret not in repr(alerts)
    assert "hook" not in repr(alerts.receivers["ops"])


@pytest.mark.parametrize(
    ("was", "instead", "said"),
    [
        ("turns_total", "turn_total", "line 4: alerts.rules.mine.series: unknown series 'paddock_turn_total'; did you mean"),
        ("turns_total", "turns_total{id='a'}", "line 4: alerts.rules.mine.series: expected matchers"),
        ("turns_total", 'turns_total{tenant="a"}', "line 4: alerts.rules.mine.series: paddock_turns_total has no label"),
        ("above: 1", "over: 1", "line 5: alerts.rules.mine.over: unknown key"),
        ("above: 1", "above: .inf", "line 5: alerts.rules.mine.above: Input should be a finite number"),
        ("above: 1", "at_least: 1", "line 3: alerts.rules.mine: needs either above or below"),
        ("above: 1", "above: 1\n      below: 2", "line 3: alerts.rules.mine: needs either above or below"),
        ("above: 1", "above: 1\n      per: paddock_turns_running", "line 3: alerts.rules.mine: `per` is for series that grow"),
        ("above: 1", "above: 1\n      window_seconds: 20", "line 1: alerts: the window of rule 'mine' must be at least twice"),
        ("above: 1", "above: 1\n      severity: loud", "line 6: alerts.rules.mine.severity: Input should be"),
        ("summary: too many", "summary: ''", "line 6: alerts.rules.mine.summary: String should have at least 1"),
        ("mine:", "My rule:", "line 3: alerts.rules.My rule"),
    ],
)
def test_a_rule_that_means_nothing_is_told_with_line_and_key(tmp_path: Path, was: str, instead: str, said: str) -> None:
    assert f"paddock.yaml {said}" in complaint(tmp_path, RULE.replace(was, instead))


@pytest.mark.parametrize(
    ("was", "instead", "said"),
    [
        ("https://example.com/hook", "ftp://hush.example", "line 4: alerts.receivers.ops.url: expected an http(s) address"),
        ("https://example.com/hook", "https://me:hush@example.com", "line 4: alerts.receivers.ops.url: expected an http(s)"),
        ("SECRET", "whsec_hush", "line 5: alerts.receivers.ops.secret: expected 'whsec_'"),
        ("url: https://example.com/hook", "x: 1", "line 3: alerts.receivers.ops.url: is missing"),
    ],
)
def test_a_receiver_that_cannot_be_told_is_refused_and_its_secret_not_repeated(
    tmp_path: Path, was: str, instead: str, said: str
) -> None:
    found = complaint(tmp_path, OPS.replace(was, instead))
    assert f"paddock.yaml {said}" in found
    assert "hush" not in found
