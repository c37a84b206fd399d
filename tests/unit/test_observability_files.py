"""What is shipped for Prometheus and Grafana speaks of series that a server has, with labels that they have."""

import json
import re
from pathlib import Path

import pytest
import yaml

from core.config_alerts import RULES
from core.telemetry.series import SERIES, selector
from sandbox import RuntimeUnavailable
from tests.unit.test_alert_rules import all_below

FOLDER = Path(__file__).parents[2] / "deploy" / "observability"
RULE_FILE = yaml.safe_load((FOLDER / "rules.yaml").read_text())
DASHBOARD = json.loads((FOLDER / "grafana.json").read_text())
EXPRESSIONS = [rule["expr"] for group in RULE_FILE["groups"] for rule in group["rules"]] + [
    target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]
]
SELECTED = re.compile(r"paddock_\w+(?:\{[^}]*\})?")
GROUPED = re.compile(r"by \(([^)]*)\) \((?:rate|increase)?\(?(paddock_\w+)")


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_selects_what_is_exposed(expression: str) -> None:
    selected = SELECTED.findall(expression)
    assert selected or expression.startswith("up{")
    for text in selected:
        selector(text)
    for labels, series in GROUPED.findall(expression):
        assert {label.strip() for label in labels.split(",")} <= set(SERIES[series][1])


def test_prometheus_has_a_rule_for_each_one_that_is_known_here() -> None:
    watched = " ".join(EXPRESSIONS)
    for rule in RULES.values():
        assert selector(rule["series"]).name.removesuffix("_sum") in watched


def expression(alert: str) -> str:
    [found] = [rule["expr"] for group in RULE_FILE["groups"] for rule in group["rules"] if rule["alert"] == alert]
    return str(found)


def test_prometheus_sees_whatever_keeps_a_sandbox_from_being_had() -> None:
    [taken] = SELECTED.findall(expression("PaddockSandboxesUnavailable"))
    assert all(selector(taken).takes({"outcome": outcome}) for outcome in all_below(RuntimeUnavailable))


def test_prometheus_misses_what_a_server_cannot_tell_without_its_database() -> None:
    """`test_what_waits_is_told_again_when_postgresql_is_back` is about the series."""
    assert expression("PaddockDatabaseAway") == 'up{job="paddock"} == 1 unless on (instance) paddock_turns_waiting'


def test_prometheus_reads_the_rules_that_lie_beside_its_configuration() -> None:
    configuration = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())
    assert configuration["rule_files"] == ["rules.yaml"]
