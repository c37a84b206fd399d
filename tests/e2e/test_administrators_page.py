"""The administrators' page, followed to the letter on a server as a user starts it."""

import json
import os
import re
import subprocess
from pathlib import Path

from core.config import load_settings
from core.llm.declaration import declaration_of
from core.webhooks.signing import new_secret
from tests.e2e.paddock import PADDOCK, ROOT, environment, make_home, started

PAGE = ROOT / "deploy" / "docs" / "administrators.md"
CONFIG = """
models:
  - name: paddock-demo
    backend: scripted
    script:
      - when: {contains: area, tool_results: 0}
        reply: {tool_calls: [{name: area, arguments: {width: 6, height: 7}}]}
      - when: {after_tool: true}
        reply: {text: "It is {last_tool_result}."}
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)


def test_every_command_does_what_the_page_says(tmp_path: Path, session_home: Path, new_database: Path) -> None:
    home = make_home(session_home / "administrators", CONFIG, database=new_database)
    (tmp_path / "paddock").write_text('#!/bin/sh\nPYTHONPATH="$ROOT" exec {} "{}" "{}" "{}" "$@"\n'.format(*PADDOCK))
    (tmp_path / "paddock").chmod(0o700)
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    with started(home, tmp_path / "output") as up:
        variables = {"PADDOCK_URL": up.wait_until_ready(), "ROOT": str(ROOT), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        script = "set -eu\n" + "\n".join(blocks("sh"))
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path, env=environment(home, **variables), capture_output=True, text=True, timeout=540,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    for said in (
        "Acme",
        "auditor",
        "Bob's laptop",
        "area: made, version 1",
        "42",
        "[71, 839, 1471, 6857]",
        "version 2",
        "surveyor",
        '"tier":"free"',
    ):
        assert said in done.stdout
    assert (tmp_path / "again.txt").read_text() == (tmp_path / "rooms.txt").read_text()
    assert "It is 42." in done.stdout
    assert json.loads((tmp_path / "webhook.json").read_text())["secret"].startswith("whsec_")
    assert '"object":"usage.report"' in done.stdout
    assert "paddock_turns_total{" in (tmp_path / "metrics.txt").read_text()


def test_every_setting_is_one(tmp_path: Path) -> None:
    variables = {"PADDOCK_HOME": str(tmp_path), "RATES_KEY": "a-secret-of-rates", "ALERT_SECRET": new_secret()}
    for block in blocks("yaml"):
        (tmp_path / "paddock.yaml").write_text(block)
        assert load_settings(declaration_of, variables)
