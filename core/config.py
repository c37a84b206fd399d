"""What an operator can set, and where it comes from: defaults, then `paddock.yaml`, then `PADDOCK_*` variables.

It knows no model: each entry of `models` is checked by a class that is passed in.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from yarl import URL

from core.config_alerts import Alerts
from core.config_errors import Mistakes
from core.config_file import ConfigFile, Key, read_config_file
from core.config_section import Neighbour, Section, beside
from core.environment import CLIENT_VARIABLES, ENVIRONMENT, places
from core.errors import ConfigurationError

PREFIX = "PADDOCK_"
PLACES = {"home", "config"}
NOT_VARIABLES = {
    ("secrets",),
    ("home",),
    ("config",),
    ("models",),
    ("security_headers",),
    ("tiers",),
    ("tokens",),
    ("otlp_headers",),
    ("alerts", "rules"),
    ("alerts", "receivers"),
}
LISTS = {
    ("limits", "background_retries"),
    ("egress", "allow_private"),
    ("cors_origins",),
    ("trusted_proxies",),
    ("metrics_networks",),
}
PATHS = {("audit", "key_file"), ("sealing_key_file",), ("sandbox_socket",)}
SECURITY_HEADERS = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "strict-transport-security": "max-age=31536000",
}


def _origin(text: str) -> str:
    parts = urlsplit(text)
    if text != "*" and (
        parts.scheme not in ("http", "https") or not parts.netloc or text != f"{parts.scheme}://{parts.netloc}"
    ):
        raise ValueError("expected '*' or an origin like 'https://app.example.com'")
    return text


def _address(schemes: tuple[str, ...]) -> Callable[[SecretStr], SecretStr]:
    def check(value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(tuple(f"{scheme}://" for scheme in schemes)):
            raise ValueError(f"expected an address that begins with {' or '.join(f'{scheme}://' for scheme in schemes)}")
        return value

    return check


def _taken_apart(value: SecretStr) -> SecretStr:
    """What cannot be, each library that reads it answers in its own way, with a part of the password in its words."""
    url = value.get_secret_value()
    if not _has_parts(url):
        scheme = url.partition(":")[0]
        advice = "what is special in a password is written as %40 (for @), %2F (for /) and so on"
        raise ValueError(f"expected an address like '{scheme}://user:password@host:port/...'; {advice}")
    return value


def _has_parts(url: str) -> bool:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises for what is no number
        if parts.scheme == "postgresql":
            parse_qsl(parts.query, strict_parsing=bool(parts.query))
    except ValueError:
        return False
    behind = parts.path + parts.fragment + ("" if parts.path or ":" not in parts.netloc else parts.query)
    cut_short = parts.netloc and "@" not in parts.netloc and "@" in behind
    if parts.scheme != "postgresql":
        return not cut_short
    # Of two, asyncpg takes the first as the password's end, others the last.
    return not (cut_short or parts.netloc.endswith(":") or parts.netloc.count("@") > 1)


def _trustworthy(url: str) -> str:
    """Who can write the answer on its way can write everybody's tokens."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return url
    if parts.scheme != "http" or not _is_loopback(parts.hostname or ""):
        raise ValueError("expected an address that begins with https:// (http:// on this machine's loopback alone)")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _origin_of_secret(text: str) -> str:
    if text == "*" or URL(_origin(text)).origin() != URL(text):
        raise ValueError("expected an origin like 'https://api.example.com'")
    return str(URL(text).origin())


def _header_value(value: SecretStr) -> SecretStr:
    """Long enough to be found in an answer that repeats it."""
    text = value.get_secret_value().strip()
    if not 8 <= len(text) <= 8192 or not text.isascii() or not text.isprintable():
        raise ValueError("expected 8 to 8192 characters of printable ASCII")
    return SecretStr(text)


Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
Origin = Annotated[str, AfterValidator(_origin)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_address(("postgresql",))), AfterValidator(_taken_apart)]
RedisUrl = Annotated[SecretStr, AfterValidator(_address(("redis", "rediss", "unix"))), AfterValidator(_taken_apart)]
ObjectsUrl = Annotated[SecretStr, AfterValidator(_address(("file", "s3")))]


class Limits(Section):
    """What one request or turn may take. tool_retries: failures of one tool in a turn before the turn ends.

    background_turns: how many this server runs at once, of those that wait in the queue and that another server has left.
    background_retries: seconds before each next try of one whose model was away; after as many it fails.
    idempotency_bytes: of the answers that one organisation has under idempotency keys.
    """

    request_body_bytes: Annotated[int, Field(ge=1024, le=2**30)] = 10_000_000
    max_steps: Annotated[int, Field(ge=1, le=1000)] = 10
    turn_seconds: Seconds = 600
    tool_retries: Annotated[int, Field(ge=0, le=100)] = 3
    lease_seconds: Annotated[float, Field(ge=1, le=300, allow_inf_nan=False)] = 10
    background_turns: Annotated[int, Field(ge=0, le=10_000)] = 8
    background_retries: Annotated[tuple[Seconds, ...], Field(max_length=8)] = (5, 30)
    idempotency_bytes: Annotated[int, Field(ge=0, le=2**50)] = 2**30
    queued_turns: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    queued_turns_of_organization: Annotated[int, Field(ge=1, le=1_000_000)] = 1_000


class Files(Section):
    """largest_bytes: of one file. organization_bytes: of all that an organisation keeps; the same bytes count once.

    organization_files: how many it keeps, for empty ones need a row too.
    """

    largest_bytes: Annotated[int, Field(ge=1, le=5 * 2**30)] = 512 * 2**20
    organization_bytes: Annotated[int, Field(ge=0, le=2**50)] = 10 * 2**30
    organization_files: Annotated[int, Field(ge=0, le=10_000_000)] = 100_000


class Audit(Section):
    """key_file: what checkpoints are signed with; several servers share one. `audit.key` in the home, where it is left out.

    seal_seconds: how often records are sealed. export_days: how long an export is kept. archive_days: when records leave the
    database for object storage; keep_days: when they are removed from there, for ever. None: never.
    """

    key_file: Neighbour | None = None
    seal_seconds: Annotated[float, Field(ge=0.05, le=3_600, allow_inf_nan=False)] = 5
    export_days: Annotated[float, Field(ge=0, le=36_500, allow_inf_nan=False)] = 30
    archive_days: Annotated[float, Field(ge=0, le=36_500, allow_inf_nan=False)] | None = 90
    keep_days: Annotated[float, Field(ge=1, le=36_500, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _archived_before_removed(self) -> "Audit":
        if self.keep_days is not None and (self.archive_days is None or self.archive_days > self.keep_days):
            raise ValueError("keep_days needs an archive_days that is not longer: what is removed was archived before")
        return self


class Retention(Section):
    """events_days: for how long after its end a turn's stream can be followed again. None: for as long as the conversation."""

    events_days: Annotated[float, Field(ge=1, le=36_500, allow_inf_nan=False)] | None = None


class Egress(Section):
    """allow_private: private and loopback ranges that tools and webhooks may speak to; link-local ones stay closed."""

    allow_private: tuple[IPv4Network | IPv6Network, ...] = ()


class Secret(Section):
    """A value that HTTP tools may send in a header. origins: the only places that it is sent to, whatever a tool asks for.

    organizations: whose tools may use it; everybody's where it is left out.
    """

    value: Annotated[SecretStr, AfterValidator(_header_value)]
    origins: Annotated[tuple[Annotated[str, AfterValidator(_origin_of_secret)], ...], Field(min_length=1)]
    organizations: tuple[str, ...] | None = None


Count = Annotated[int, Field(ge=1, le=10**15)]


class Tier(Section):
    """What an organisation may use; a user or a key too, where it was given a tier of its own. Days and months are UTC's."""

    requests_per_minute: Count
    requests_per_day: Count
    tokens_per_minute: Count
    tokens_per_month: Count
    concurrent_turns: Count


def _tier(*counts: int) -> Tier:
    return Tier.model_validate(dict(zip(Tier.model_fields, counts, strict=True)))


TIERS = {
    "free": _tier(60, 5_000, 100_000, 10_000_000, 4),
    "pro": _tier(600, 100_000, 1_000_000, 500_000_000, 32),
    "enterprise": _tier(6_000, 2_000_000, 20_000_000, 10_000_000_000, 256),
    "house": _tier(600_000, 500_000_000, 1_000_000_000, 10**13, 10_000),
}
"""`house` is for a server whose users are the operator's own people: it stops a program that has gone mad, and nobody else."""


def _with_known_tiers(given: Mapping[str, Tier]) -> Mapping[str, Tier]:
    return {**TIERS, **given}


class Tokens(Section):
    """Whose bearer tokens are taken beside API keys, and whom they stand for.

    algorithms: nothing that a token says of itself adds to them. jwks_url, key_file: one of them. organization,
    organization_claim: one of them; what the claim says is an organisation's external_id or id. role_claim: what it says holds
    for the token, and where a token has none, the user's own role. scopes: what a token opens at most. keep_seconds: for how
    long the last good keys count while the provider is down. longest_seconds: a token that expires later is refused.
    """

    issuer: Annotated[str, Field(min_length=1)]
    audience: Annotated[str, Field(min_length=1)]
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = ("RS256",)
    jwks_url: Annotated[str, AfterValidator(_trustworthy)] | None = None
    key_file: Neighbour | None = None
    organization: str | None = None
    organization_claim: str | None = None
    subject_claim: Annotated[str, Field(min_length=1)] = "sub"
    name_claim: Annotated[str, Field(min_length=1)] = "name"
    role_claim: str | None = None
    scopes: tuple[Literal["chat", "admin", "audit"], ...] = ("chat",)
    create_users: bool = False
    default_role: Literal["admin", "member", "auditor"] = "member"
    clock_skew_seconds: Annotated[int, Field(ge=0, le=300)] = 30
    longest_seconds: Annotated[int, Field(ge=60, le=366 * 86_400)] = 86_400
    refresh_seconds: Annotated[float, Field(ge=1, le=86_400)] = 300
    ask_again_seconds: Annotated[float, Field(ge=0.1, le=3_600)] = 30
    keep_seconds: Annotated[float, Field(ge=1, le=7 * 86_400)] = 3_600

    @model_validator(mode="after")
    def _one_of_each(self) -> "Tokens":
        if (self.jwks_url is None) == (self.key_file is None):
            raise ValueError("needs either jwks_url or key_file")
        if (self.organization is None) == (self.organization_claim is None):
            raise ValueError("needs either organization or organization_claim")
        return self


class _Whole(str):
    """A collector's address that nothing is added to, also where it has no path."""


def _with_path(given: object) -> object:
    if not isinstance(given, str) or isinstance(given, _Whole) or urlsplit(given).path not in ("", "/"):
        return given
    return f"{given.rstrip('/')}/v1/traces"


def _collector(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError("expected an address like 'http://127.0.0.1:4318/v1/traces'")
    return text


class Settings(Section):
    """home, config: places on disk. An address that is None means a server of our own, or a directory in `home`.

    database_owner_url: may create roles; only migrations use it. sandbox_socket: where a sandbox host of one's own listens.
    sealing_key_file: the keys of secrets in the database; several servers share one. None: `sealing.key` in the home.
    models: checked entries, as written; the first is the default. security_headers: sent with every response.
    metrics_networks: from where /metrics is read without a key. otlp_endpoint: where traces go, by OTLP over HTTP; trace_ratio:
    what part of those that nobody else began; trace_messages: with what was said in them.
    tiers: beside those that are known, or in place of one; default_tier: of an organisation that was given none.
    """

    home: Path
    config: Path
    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    database_url: DatabaseUrl | None = None
    database_owner_url: DatabaseUrl | None = None
    redis_url: RedisUrl | None = None
    objects_url: ObjectsUrl | None = None
    sandbox_socket: Neighbour | None = None
    sealing_key_file: Neighbour | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    cors_origins: tuple[Origin, ...] = ()
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    security_headers: Mapping[str, str] = SECURITY_HEADERS
    limits: Limits = Limits()
    audit: Audit = Audit()
    retention: Retention = Retention()
    egress: Egress = Egress()
    secrets: Mapping[Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,64}$")], Secret] = Field(default={}, repr=False)
    files: Files = Files()
    tiers: Annotated[Mapping[str, Tier], AfterValidator(_with_known_tiers)] = TIERS
    default_tier: str = "house"
    metrics_networks: tuple[IPv4Network | IPv6Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
    otlp_endpoint: Annotated[str, BeforeValidator(_with_path), AfterValidator(_collector)] | None = None
    otlp_headers: Mapping[str, SecretStr] = {}
    trace_ratio: Annotated[float, Field(ge=0, le=1)] = 1
    trace_messages: bool = False
    alerts: Alerts = Alerts()
    tokens: Tokens | None = None
    models: tuple[Mapping[str, Any], ...] = Field(default=(), repr=False)

    @field_validator("default_tier")
    @classmethod
    def _is_declared(cls, name: str, others: ValidationInfo) -> str:
        tiers = others.data.get("tiers", TIERS)
        if name not in tiers:
            raise ValueError(f"unknown tier {name!r}; declared: {', '.join(tiers)}")
        return name


DeclarationOf = Callable[[Mapping[str, Any]], type[BaseModel]]
"""From an entry of `models` to the class that checks it. Raises pydantic's ValidationError."""


def load_settings(declaration_of: DeclarationOf, environment: Mapping[str, str] = ENVIRONMENT) -> Settings:
    """Raises `ConfigurationError`: one line for each mistake, with file, line and key, or the variable's name."""
    home, config = places(environment)
    file = ConfigFile(path=config)
    if config.exists():
        file = read_config_file(config, environment)
    elif environment.get("PADDOCK_CONFIG"):
        raise ConfigurationError(f"PADDOCK_CONFIG: {config} does not exist")
    variables = dict(_variables(Settings, ()))
    set_by = {key: name for name, key in variables.items() if environment.get(name)}
    values = {**file.values, "home": home, "config": config}
    for key, variable in set_by.items():
        _put(values, key, environment[variable])
    for name, variable, value in _standard(environment):
        if name not in values:
            values[name] = value
            set_by[(name,)] = variable
    mistakes = Mistakes(file, set_by)
    _refuse_unknown(environment, variables, mistakes)
    for place in PLACES & file.values.keys():
        mistakes.add((place,), f"cannot be set in a file; set the environment variable {PREFIX}{place.upper()}")
    settings = mistakes.check(Settings, values)
    if settings is not None:
        _check_models(settings.models, declaration_of, mistakes)
    if settings is None or mistakes.found:
        raise ConfigurationError("\n".join(mistakes.found))
    return settings


def _variables(section: type[BaseModel], above: tuple[str, ...]) -> Iterator[tuple[str, Key]]:
    """The variable of each setting that is one value, or a list of them (separated by commas)."""
    for name, field in section.model_fields.items():
        key = (*above, name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from _variables(field.annotation, key)
        elif key not in NOT_VARIABLES:
            yield PREFIX + "_".join(key).upper(), key


def _refuse_unknown(environment: Mapping[str, str], variables: Mapping[str, Key], mistakes: Mistakes) -> None:
    """Only what looks like a typo: others may use the prefix for variables of their own."""
    known = {*variables, *CLIENT_VARIABLES, *(PREFIX + place.upper() for place in PLACES)}
    for name in sorted(name for name in environment if name.startswith(PREFIX) and name not in known):
        if close := get_close_matches(name, known, n=1, cutoff=0.88):
            mistakes.found.append(f"{name}: unknown variable; did you mean {close[0]}?")


def _put(values: dict[str, Any], key: Key, text: str) -> None:
    *sections, name = map(str, key)
    for section in sections:
        inner = values.get(section)
        values[section] = dict(inner) if isinstance(inner, dict) else {}
        values = values[section]
    if key in LISTS:
        values[name] = [entry.strip() for entry in text.split(",") if entry.strip()]
    else:
        values[name] = os.path.abspath(beside("", text)) if key in PATHS else text


def _standard(environment: Mapping[str, str]) -> Iterator[tuple[str, str, Any]]:
    """Setting, variable and value of OpenTelemetry's own variables, which count where nothing of ours says otherwise."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() != "true":
        if whole := environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
            yield "otlp_endpoint", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", _Whole(whole)
        elif root := environment.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
            yield "otlp_endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT", f"{root.rstrip('/')}/v1/traces"
    pairs = [pair.partition("=") for pair in environment.get("OTEL_EXPORTER_OTLP_HEADERS", "").split(",") if "=" in pair]
    if pairs:
        headers = {name.strip(): unquote(value.strip()) for name, _, value in pairs}
        yield "otlp_headers", "OTEL_EXPORTER_OTLP_HEADERS", headers
    ratio = environment.get("OTEL_TRACES_SAMPLER_ARG")
    if ratio and environment.get("OTEL_TRACES_SAMPLER", "").endswith("traceidratio"):
        yield "trace_ratio", "OTEL_TRACES_SAMPLER_ARG", ratio


def _check_models(models: Sequence[Mapping[str, Any]], declaration_of: DeclarationOf, mistakes: Mistakes) -> None:
    names: set[str] = set()
    for index, entry in enumerate(models):
        at: Key = ("models", index)
        try:
            declaration = declaration_of(entry)
        except ValidationError as exc:
            mistakes.add_all(exc, at)
            continue
        mistakes.check(declaration, entry, at)
        name = str(entry.get("name"))
        if name in names:
            mistakes.add((*at, "name"), f"{name!r} is the name of another model above")
        names.add(name)
