"""The model that ships, as a user first meets it: no configuration, no network, no key of a provider."""

from pathlib import Path

from api.home import DEFAULT_CONFIG
from tests.e2e.paddock import make_home, paddock, started


def test_the_first_start_answers_by_running_code(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home", DEFAULT_CONFIG)
    with started(home, tmp_path / "output") as up:
        up.wait_until_ready()
        said = paddock("chat", "What is 1234 * 5678?", home=home)
        assert up.interrupt() == 0
    assert said.returncode == 0, said.stderr
    assert "7006652" in said.stdout
    assert "print(1234 * 5678)" in said.stdout
