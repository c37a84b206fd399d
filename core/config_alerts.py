"""`alerts` in the configuration: what is wrong with a server, by its own metrics, and who is told."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from core.config_section import Section
from core.telemetry.series import selector
from core.webhooks.receiver import check_url
from core.webhooks.signing import key_of

Number = Annotated[float, Field(allow_inf_nan=False)]


def _known(text: str) -> str:
    selector(text)
    return text


def _url(value: SecretStr) -> SecretStr:
    check_url(value.get_secret_value())
    return value


def _secret(value: SecretStr) -> SecretStr:
    key_of(value.get_secret_value())
    return value


Select = Annotated[str, Field(max_length=500), AfterValidator(_known)]


class AlertRule(Section):
    """One of `above` and `below`. A series that grows counts by how much it grew in the window, on all servers together.

    per: divided by how much that grew, if that was `at_least` so much. A gauge counts when it was there all the window, on one
    server or more.
    """

    series: Select
    per: Select | None = None
    at_least: Annotated[Number, Field(gt=0)] = 1
    above: Number | None = None
    below: Number | None = None
    window_seconds: Annotated[float, Field(ge=0.2, le=21_600)] = 300
    severity: Literal["info", "warning", "critical"] = "warning"
    summary: Annotated[str, Field(min_length=1, max_length=500)]

    @model_validator(mode="after")
    def _makes_sense(self) -> "AlertRule":
        if (self.above is None) == (self.below is None):
            raise ValueError("needs either above or below")
        if self.per is not None and not (selector(self.series).grows and selector(self.per).grows):
            raise ValueError("`per` is for series that grow: counters, and the parts of histograms")
        return self


class Receiver(Section):
    """Gets each message with a Standard Webhooks signature. secret: `whsec_` and base64, as receivers are given it."""

    url: Annotated[SecretStr, AfterValidator(_url)]
    secret: Annotated[SecretStr, AfterValidator(_secret)]


RULES: Mapping[str, Mapping[str, Any]] = {
    "requests_failing": {
        "series": 'paddock_requests_total{status=~"5.."}',
        "per": "paddock_requests_total",
        "at_least": 20,
        "above": 0.05,
        "severity": "critical",
        "summary": "more than 5 % of all requests fail by a fault of ours",
    },
    "turns_failing": {
        "series": 'paddock_turns_total{outcome="failed"}',
        "per": "paddock_turns_total",
        "at_least": 10,
        "above": 0.1,
        "severity": "critical",
        "summary": "more than a tenth of all turns fail",
    },
    "queue_slow": {
        "series": "paddock_queue_seconds_sum",
        "per": "paddock_queue_seconds_count",
        "at_least": 5,
        "above": 60,
        "summary": "turns in the background wait more than a minute until they begin, on average",
    },
    "models_failing": {
        "series": 'paddock_model_calls_total{outcome!~"ok|cancelled|model_refused|context_length_exceeded"}',
        "per": "paddock_model_calls_total",
        "at_least": 10,
        "above": 0.2,
        "summary": "more than a fifth of all calls of models fail",
    },
    "models_slow": {
        "series": "paddock_first_token_seconds_sum",
        "per": "paddock_first_token_seconds_count",
        "at_least": 10,
        "above": 20,
        "summary": "models take more than 20 s to their first token, on average",
    },
    "sandboxes_unavailable": {
        "series": 'paddock_sandbox_runs_total{outcome=~"RuntimeUnavailable|HostGone|SandboxBusy"}',
        "above": 5,
        "severity": "critical",
        "summary": "sandboxes cannot be had: their host is down, or all are taken",
    },
    "journal_slow": {
        "series": "paddock_journal_commit_seconds_sum",
        "per": "paddock_journal_commit_seconds_count",
        "at_least": 20,
        "above": 0.25,
        "summary": "PostgreSQL takes more than 250 ms for a commit of the journal, on average",
    },
    "audit_unsealed": {
        "series": "paddock_audit_unsealed_seconds",
        "above": 300,
        "window_seconds": 60,
        "severity": "critical",
        "summary": "records of the audit log wait more than five minutes to be sealed: until then whoever can write to the"
        " database can change them unseen",
    },
    "limits_without_redis": {
        "series": "paddock_limiter_redis_up",
        "below": 1,
        "window_seconds": 60,
        "summary": "Redis is away: each server limits by itself",
    },
}


def _with_known_rules(given: object) -> object:
    """What an operator says of a known rule changes it; null turns it off."""
    if not isinstance(given, Mapping):
        return given
    rules = {**RULES, **given}
    for name in RULES.keys() & given.keys():
        if isinstance(given[name], Mapping):
            rules[name] = {**RULES[name], **given[name]}
    return {name: rule for name, rule in rules.items() if rule is not None}


Name = Annotated[str, Field(pattern=r"^[a-z0-9_.-]{1,64}$")]


class Alerts(Section):
    """every_seconds: how often servers note their metrics and rules are judged. rules: beside those that are known."""

    every_seconds: Annotated[float, Field(ge=0.1, le=300)] = 15
    rules: Annotated[Mapping[Name, AlertRule], BeforeValidator(_with_known_rules), Field(validate_default=True)] = {}
    receivers: Annotated[Mapping[Name, Receiver], Field(repr=False)] = {}

    @model_validator(mode="after")
    def _windows_hold_samples(self) -> "Alerts":
        for name, rule in self.rules.items():
            if rule.window_seconds < 2 * self.every_seconds:
                raise ValueError(f"the window of rule {name!r} must be at least twice every_seconds")
        return self
