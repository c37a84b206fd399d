"""What an operator writes, and what Paddock says of it."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from core.config import Settings, load_settings
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
