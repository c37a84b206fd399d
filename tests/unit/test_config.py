"""What an operator writes, and what Paddock says of it."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from core.config import Settings, load_settings
from core.environment import passed_on
from core.errors import ConfigurationError
from core.llm.declaration import declaration_of

MODEL = "models:\n  - name: gpt\n    backend: openai\n    model: gpt-5\n    api_key: sk-secret\n"


def load(home: Path, text: str | None = None, **variables: str) -> Settings:
    if text is not None:
        (home / "paddock.yaml").write_text(text)
    return load_settings(declaration_of, {"PADDOCK_HOME": str(home), **variables})


def complaint(home: Path, text: str | None = None, **variables: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(home, text, **variables)
    return str(caught.value).replace(f"{home}/", "")


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert (settings.host, settings.port, settings.home) == ("127.0.0.1", 8080, tmp_path)
    assert settings.config == tmp_path / "paddock.yaml"
    assert settings.limits.request_body_bytes == 10_000_000
    assert settings.models == ()


def test_a_variable_wins_over_the_file_and_the_file_over_the_default(tmp_path: Path) -> None:
    settings = load(tmp_path, "port: 9000\nhost: 0.0.0.0\nlimits:\n  max_steps: 4\n", PADDOCK_PORT="9001")
    assert (settings.port, settings.host, settings.limits.max_steps) == (9001, "0.0.0.0", 4)


def test_a_variable_reaches_into_a_section_and_fills_lists(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        "limits:\n  max_steps: 4\n",
        PADDOCK_LIMITS_TURN_SECONDS="30",
        PADDOCK_CORS_ORIGINS="https://a.example, https://b.example",
        PADDOCK_TRUSTED_PROXIES="10.0.0.0/8",
    )
    assert (settings.limits.turn_seconds, settings.limits.max_steps) == (30, 4)
    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert [str(network) for network in settings.trusted_proxies] == ["10.0.0.0/8"]


def test_an_empty_variable_counts_as_not_set(tmp_path: Path) -> None:
    assert load(tmp_path, PADDOCK_PORT="").port == 8080


def test_a_typo_in_a_models_key_names_file_line_and_key_and_what_was_meant(tmp_path: Path) -> None:
    text = MODEL.replace("api_key", "api_kee")
    assert "paddock.yaml line 5: models[0].api_kee: unknown key; did you mean 'api_key'?" in complaint(tmp_path, text)


def test_a_typo_at_the_top_and_in_a_section_is_found_too(tmp_path: Path) -> None:
    said = complaint(tmp_path, "prot: 80\nlimits:\n  max_stebs: 3\n")
    assert "paddock.yaml line 1: prot: unknown key; did you mean 'port'?" in said
    assert "paddock.yaml line 3: limits.max_stebs: unknown key; did you mean 'max_steps'?" in said


def test_a_key_that_is_nowhere_near_is_answered_with_the_keys_there_are(tmp_path: Path) -> None:
    assert (
        "limits.zzz: unknown key; known here: background_retries, background_turns, idempotency_bytes, lease_seconds, max_steps"
        in complaint(tmp_path, "limits: {zzz: 1}")
    )


def test_a_missing_key_is_told_with_the_line_of_its_entry(tmp_path: Path) -> None:
    said = complaint(tmp_path, "port: 1\nmodels:\n  - backend: openai\n    model: gpt-5\n")
    assert "paddock.yaml line 3: models[0].name: is missing" in said


def test_an_unknown_backend_is_answered_with_the_ones_there_are(tmp_path: Path) -> None:
    said = complaint(tmp_path, MODEL.replace("backend: openai", "backend: opneai"))
    assert "paddock.yaml line 3: models[0].backend: unknown backend 'opneai'; available:" in said


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("port: eighty\n", "line 1: port: Input should be a valid integer"),
        ("port: 70000\n", "line 1: port: Input should be less than or equal to 65535"),
        ("models: gpt\n", "line 1: models: "),
        ("models:\n  - gpt\n", "line 2: models[0]: "),
        ("limits: 3\n", "line 1: limits: "),
        ("cors_origins: [app.example.com]\n", "line 1: cors_origins[0]: expected '*' or an origin"),
        ("trusted_proxies: [here]\n", "line 1: trusted_proxies[0]: expected a network like '10.0.0.0/8'"),
        ("trusted_proxies: 10.0.0.0/8\n", "line 1: trusted_proxies: expected a list"),
        ("database_url: mysql://x\n", "line 1: database_url: expected an address that begins with postgresql://"),
        ("home: /tmp\n", "line 1: home: cannot be set in a file; set the environment variable PADDOCK_HOME"),
        ("- port\n", "line 1: expected `name: value` lines, found list"),
        ("port: 1\nport: 2\n", "line 1: port: is written twice (line 2 too)"),
        ("port: [1\nhost: x\n", "line 2: "),
        ("\tport: 1\n", "line 1: "),
        ("a: &a [*a]\n", "a[0]: refers to itself"),
        ("port: !!python/object:os.system x\n", "line 1: could not determine a constructor"),
        ("port: \x00\n", "unacceptable character"),
        ("host: x\nport: 2026-99-99\n", "line 2: expected a valid timestamp; quote it where it is a text"),
        ("host: x\n2026-99-99: 1\n", "line 2: expected a valid timestamp"),
        ("port: !!int x\n", "line 1: expected a valid int"),
        ("port: !!int ''\n", "line 1: expected a valid int"),
        ("port: !!bool x\n", "line 1: expected a valid bool"),
        ("port: !!timestamp x\n", "line 1: expected a valid timestamp"),
        ("host: x\nport: " + "[" * 3000, "paddock.yaml: nested too deeply"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, part: str) -> None:
    assert part in complaint(tmp_path, text)


def test_a_file_that_is_not_text_or_a_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "paddock.yaml").write_bytes(b"\xff\xfe\x00")
    assert "paddock.yaml: cannot be read" in complaint(tmp_path)
    (tmp_path / "paddock.yaml").unlink()
    (tmp_path / "paddock.yaml").mkdir()
    assert "paddock.yaml: cannot be read" in complaint(tmp_path)


def test_an_empty_file_is_a_file_of_defaults(tmp_path: Path) -> None:
    assert load(tmp_path, "# nothing yet\n").port == 8080


def test_the_wrong_variable_is_named_not_the_file(tmp_path: Path) -> None:
    said = complaint(tmp_path, "port: 8080\n", PADDOCK_PORT="eighty", PADDOCK_LIMITS_MAX_STEPS="0")
    assert "PADDOCK_PORT: Input should be a valid integer" in said
    assert "PADDOCK_LIMITS_MAX_STEPS: Input should be greater" in said


def test_a_variable_that_looks_like_a_typo_is_refused_and_any_other_is_not_ours(tmp_path: Path) -> None:
    assert "PADDOCK_PROT: unknown variable; did you mean PADDOCK_PORT?" in complaint(tmp_path, PADDOCK_PROT="1")
    assert load(tmp_path, PADDOCK_SERVICE_HOST="10.0.0.1", PADDOCK_OPENAI_SECRET="x").port == 8080


def test_values_take_variables_and_defaults(tmp_path: Path) -> None:
    text = MODEL.replace("sk-secret", "${KEY}").replace("gpt-5", "${WHICH:-gpt-4}-mini")
    (model,) = load(tmp_path, text, KEY="sk-1").models
    assert (model["api_key"], model["model"]) == ("sk-1", "gpt-4-mini")


def test_an_unset_variable_is_named_with_line_and_key(tmp_path: Path) -> None:
    said = complaint(tmp_path, MODEL.replace("sk-secret", "${MISSING_KEY}"))
    assert "paddock.yaml line 5: models[0].api_key: the environment variable MISSING_KEY is not set" in said


def test_a_dollar_that_is_no_variable_stays_and_a_broken_one_is_told(tmp_path: Path) -> None:
    (model,) = load(tmp_path, MODEL.replace("sk-secret", "a$b$${c}")).models
    assert model["api_key"] == "a$b${c}"
    assert "expected ${NAME}" in complaint(tmp_path, MODEL.replace("sk-secret", '"${not a name}"'))


def test_two_models_of_one_name_are_refused(tmp_path: Path) -> None:
    text = MODEL + MODEL.removeprefix("models:\n")
    assert "line 6: models[1].name: 'gpt' is the name of another model above" in complaint(tmp_path, text)


def test_a_given_configuration_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    assert "PADDOCK_CONFIG: gone.yaml does not exist" in complaint(tmp_path, PADDOCK_CONFIG=str(tmp_path / "gone.yaml"))


@pytest.mark.parametrize("variables", [{}, {"PADDOCK_DATABASE_URL": "postgresql://u:hunter2@db/paddock"}])
def test_no_secret_is_in_the_text_of_settings_or_of_an_error(tmp_path: Path, variables: Mapping[str, str]) -> None:
    shown = repr(load(tmp_path, MODEL, **variables))
    assert "sk-secret" not in shown
    assert "hunter2" not in shown
    said = complaint(tmp_path, MODEL.replace("sk-secret", "[sk-secret]"), PADDOCK_REDIS_URL="http://hunter2")
    assert "sk-secret" not in said
    assert "hunter2" not in said


def test_pauses_between_tries_are_a_list_of_the_operators_own(tmp_path: Path) -> None:
    assert load(tmp_path).limits.background_retries == (5, 30)
    assert load(tmp_path, "limits:\n  background_retries: [1, 60, 3600]\n").limits.background_retries == (1, 60, 3600)
    assert load(tmp_path, "limits:\n  background_retries: []\n").limits.background_retries == ()
    assert load(tmp_path, PADDOCK_LIMITS_BACKGROUND_RETRIES="2, 20").limits.background_retries == (2, 20)


@pytest.mark.parametrize(
    ("retries", "said"),
    [
        ("[5, -1]", "paddock.yaml line 2: limits.background_retries[1]: Input should be greater than 0"),
        ("[5, soon]", "paddock.yaml line 2: limits.background_retries[1]: Input should be a valid number"),
        ("5", "paddock.yaml line 2: limits.background_retries: expected a list"),
        ("[1, 1, 1, 1, 1, 1, 1, 1, 1]", "paddock.yaml line 2: limits.background_retries: Tuple should have at most 8 items"),
    ],
)
def test_a_pause_that_is_none_is_told_with_its_line(tmp_path: Path, retries: str, said: str) -> None:
    assert said in complaint(tmp_path, f"limits:\n  background_retries: {retries}\n")


def test_streams_are_kept_for_ever_unless_the_operator_says_for_how_long(tmp_path: Path) -> None:
    assert load(tmp_path).retention.events_days is None
    assert load(tmp_path, "retention:\n  events_days: 30\n").retention.events_days == 30
    assert load(tmp_path, PADDOCK_RETENTION_EVENTS_DAYS="7.5").retention.events_days == 7.5
    said = complaint(tmp_path, "retention:\n  events_days: 0.5\n  event_days: 3\n")
    assert "paddock.yaml line 2: retention.events_days: Input should be greater than or equal to 1" in said
    assert "paddock.yaml line 3: retention.event_days: unknown key; did you mean 'events_days'?" in said


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("audit:\n  archive_days: off\n", "line 2: audit.archive_days: expected a number, or null for none"),
        ("audit:\n  keep_days: yes\n", "line 2: audit.keep_days: expected a number, or null for none"),
        ("retention:\n  events_days: yes\n", "line 2: retention.events_days: expected a number, or null for none"),
        ("limits:\n  max_steps: true\n", "line 2: limits.max_steps: expected a number"),
        ("limits:\n  background_retries: [5, on]\n", "line 2: limits.background_retries: expected a number"),
        ("host: x\nport: true\n", "line 2: port: expected a number"),
        ("tiers:\n  t: {requests_per_minute: yes}\n", "line 2: tiers.t.requests_per_minute: expected a number"),
        ("trusted_proxies: [yes]\n", "line 1: trusted_proxies: expected something else"),
        ("log_level: off\n", "line 1: log_level: expected something else"),
        (MODEL + "    context_tokens: on\n", "line 6: models[0].context_tokens: expected a number, or null for none"),
        (MODEL + "    retries: {attempts: yes}\n", "line 6: models[0].retries.attempts: expected a number"),
        (MODEL + "    prices:\n      input: yes\n", "line 7: models[0].prices.input: expected a number"),
    ],
)
def test_yes_and_off_are_no_numbers(tmp_path: Path, text: str, key: str) -> None:
    said = complaint(tmp_path, text)
    assert f"paddock.yaml {key}" in said
    assert "yes, no, on and off are true and false in YAML" in said


def test_yes_and_off_are_what_they_say_where_that_means_something(tmp_path: Path) -> None:
    settings = load(tmp_path, f"trace_messages: on\n{MODEL}    stream_usage: off\n    extra_body: {{think: yes}}\n")
    assert (settings.trace_messages, settings.models[0]["stream_usage"]) == (True, False)


@pytest.mark.parametrize("directory", ["here", "there"])
def test_a_file_that_is_named_in_the_configuration_is_its_neighbour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, directory: str
) -> None:
    (tmp_path / directory).mkdir()
    monkeypatch.chdir(tmp_path / directory)
    monkeypatch.setenv("HOME", "/home/ada")
    tokens = "tokens: {issuer: i, audience: a, key_file: keys/jwks.json, organization: org_1}\n"
    settings = load(
        tmp_path, f"audit: {{key_file: audit.pem}}\nsealing_key_file: ~/sealing.key\nsandbox_socket: /run/a.sock\n{tokens}"
    )
    assert settings.tokens is not None
    assert (settings.audit.key_file, settings.tokens.key_file) == (tmp_path / "audit.pem", tmp_path / "keys" / "jwks.json")
    assert (settings.sealing_key_file, settings.sandbox_socket) == (Path("/home/ada/sealing.key"), Path("/run/a.sock"))


def test_a_file_that_is_named_in_a_variable_is_looked_for_where_the_variable_was_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", "/home/ada")
    settings = load(
        tmp_path,
        PADDOCK_AUDIT_KEY_FILE="audit.pem",
        PADDOCK_SEALING_KEY_FILE="~/sealing.key",
        PADDOCK_SANDBOX_SOCKET="../sandbox.sock",
    )
    assert (settings.audit.key_file, settings.sealing_key_file) == (tmp_path / "here/audit.pem", Path("/home/ada/sealing.key"))
    assert settings.sandbox_socket == tmp_path / "sandbox.sock"


@pytest.mark.parametrize("name", ["DATABASE", "DATABASE_OWNER", "REDIS"])
@pytest.mark.parametrize(
    "rest",
    [
        "u:hunter2@db:port/paddock",
        "u:hunter2@db:99999/paddock",
        "u:hunter2/@db/paddock",
        "u:hunter2#@db/paddock",
        "u:hunter2?@db/paddock",
        "u:12/hunter2@db/paddock",
        "u:12?hunter2@db/paddock",
        "u:12?hunter=2@db/paddock",
        "u:[hunter2@db/paddock",
    ],
)
def test_an_address_that_cannot_be_taken_apart_is_told_without_its_password(tmp_path: Path, name: str, rest: str) -> None:
    scheme = "redis" if name == "REDIS" else "postgresql"
    advice = "expected an address like"
    assert f"PADDOCK_{name}_URL: {advice}" in (said := complaint(tmp_path, **{f"PADDOCK_{name}_URL": f"{scheme}://{rest}"}))
    assert f"paddock.yaml line 1: {name.lower()}_url: {advice}" in complaint(
        tmp_path, f"{name.lower()}_url: '{scheme}://{rest}'"
    )
    assert "hunter2" not in said
    if scheme == "postgresql":  # Redis takes the last @ for the one before the host
        for rest in ("u:p@hunter2:x@db/paddock", "u:hunter2@db:/paddock"):
            assert advice in complaint(tmp_path, **{f"PADDOCK_{name}_URL": f"postgresql://{rest}"})


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hunter%402%2F%23@db:5432/paddock?ssl=require",
        "postgresql://u@/paddock?host=/run/postgres",
        "postgresql://u@[::1]:5432/paddock",
        "postgresql://db/paddock?user=u@server&password=p@ss",
        "postgresql://u:p@db/paddock@x",
        "redis://h:6379/0?password=p@ss",
        "redis://h?client_name=me@x",
        "rediss://u:p@ss@h:6379/0",
        "unix://u@/run/redis.sock?password=p@x",
        "redis://h:/0",
        "redis://h:6379/0?x=1&",
    ],
)
def test_an_address_that_the_libraries_understand_is_taken(tmp_path: Path, url: str) -> None:
    name = "DATABASE" if url.startswith("postgresql") else "REDIS"
    settings = load(tmp_path, **{f"PADDOCK_{name}_URL": url})
    taken = settings.database_url or settings.redis_url
    assert taken is not None
    assert taken.get_secret_value() == url


def test_a_key_file_that_lay_in_the_working_directory_is_not_made_anew_beside_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere := tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(elsewhere)
    (elsewhere / "sealing.key").write_text("k")
    moved = "line 1: sealing_key_file: is sealing.key now, beside this file, and not elsewhere/sealing.key"
    assert moved in complaint(tmp_path, "sealing_key_file: sealing.key")
    (tmp_path / "sealing.key").write_text("k")
    assert load(tmp_path, "sealing_key_file: sealing.key").sealing_key_file == tmp_path / "sealing.key"


def test_children_get_paths_and_accelerators_and_nothing_that_sounds_secret() -> None:
    plain = {
        "PATH": "/bin",
        "LC_ALL": "C",
        "CUDA_VISIBLE_DEVICES": "0",
        "NVIDIA_DRIVER_CAPABILITIES": "all",
        "OMP_NUM_THREADS": "2",
    }
    secret = ("NVIDIA_API_KEY", "LLAMA_API_KEY", "LLAMA_ARG_API_KEY_FILE", "VK_TOKEN", "HIP_CLIENT_SECRET", "GGML_password")
    assert passed_on({**plain, **dict.fromkeys(secret, "x"), "OPENAI_API_KEY": "x"}) == plain


@pytest.mark.parametrize(
    ("variables", "endpoint"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://host/otlp"}, "https://host/otlp/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://host/otlp/"}, "https://host/otlp/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://host:4318"}, "http://host:4318/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://host/otlp"}, "https://host/otlp"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://host/"}, "https://host/"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://a/t", "OTEL_EXPORTER_OTLP_ENDPOINT": "https://b"}, "https://a/t"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://host", "OTEL_SDK_DISABLED": "true"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "x:1", "PADDOCK_OTLP_ENDPOINT": "http://host:4318"}, "http://host:4318/v1/traces"),
        ({"PADDOCK_OTLP_ENDPOINT": "http://host:4318/"}, "http://host:4318/v1/traces"),
        ({"PADDOCK_OTLP_ENDPOINT": "http://host:4318/mine"}, "http://host:4318/mine"),
    ],
)
def test_traces_go_where_the_setting_or_opentelemetrys_variables_say(
    tmp_path: Path, variables: Mapping[str, str], endpoint: str | None
) -> None:
    assert load(tmp_path, **variables).otlp_endpoint == endpoint


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "expected an address like 'http://127.0.0.1:4318"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "expected an address like 'http://127.0.0.1:4318"),
    ],
)
def test_what_is_wrong_in_opentelemetrys_variables_is_said_by_their_names(tmp_path: Path, variable: str, said: str) -> None:
    assert complaint(tmp_path, **{variable: "collector:4317"}).startswith(f"{variable}: {said}")
    ratio = complaint(tmp_path, OTEL_TRACES_SAMPLER="traceidratio", OTEL_TRACES_SAMPLER_ARG="half")
    assert ratio.startswith("OTEL_TRACES_SAMPLER_ARG: Input should be a valid number")
