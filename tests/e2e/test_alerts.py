"""`paddock alerts`, on a server as a user starts it."""

from pathlib import Path

from tests.e2e.paddock import CONFIG, make_home, paddock, started

RULE = """
alerts:
  every_seconds: 0.2
  rules:
    here: {series: paddock_limiter_redis_up, above: 0, window_seconds: 1, severity: info, summary: Redis is here}
"""


def test_what_is_wrong_is_shown_from_the_shell(tmp_path: Path, session_home: Path, new_database: Path) -> None:
    home = make_home(session_home / "alerts", CONFIG + RULE, database=new_database)
    with started(home, tmp_path / "output") as up:
        url = up.wait_until_ready()
        up.wait_for(lambda: "here: Redis is here (1)" in paddock("alerts", "--url", url, home=home).stdout)
        shown = paddock("alerts", "--url", url, "--all", home=home)
        refused = paddock("alerts", "--url", url, "--key", "pk_wrong", home=home)
    assert shown.stdout.startswith("alert_")
    assert "firing   info     here" in shown.stdout
    assert refused.returncode == 1
    assert "does not know this key" in refused.stderr
