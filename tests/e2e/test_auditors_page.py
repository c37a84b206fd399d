"""The auditors' page, followed to the letter on a server as a user starts it."""

import os
import re
import subprocess
from pathlib import Path

from core.config import load_settings
from core.llm.declaration import declaration_of
from tests.e2e.paddock import PADDOCK, ROOT, environment, make_home, started

PAGE = ROOT / "deploy" / "docs" / "auditors.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)


def test_every_command_does_what_the_page_says(tmp_path: Path, session_home: Path, new_database: Path) -> None:
    home = make_home(session_home / "auditors", database=new_database)
    (tmp_path / "paddock").write_text('#!/bin/sh\nPYTHONPATH="$ROOT" exec {} "{}" "{}" "{}" "$@"\n'.format(*PADDOCK))
    (tmp_path / "paddock").chmod(0o700)
    with started(home, tmp_path / "output") as up:
        variables = {"PADDOCK_URL": up.wait_until_ready(), "ROOT": str(ROOT), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        script = "set -eu\n" + "\n".join(blocks("sh"))
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path, env=environment(home, **variables), capture_output=True, text=True, timeout=540,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.search(r"^WRONG  record 2 of org_\w+ was changed \(row 2, aud_\w+\)$", done.stderr, re.MULTILINE), done.stderr
    for said in (
        "key.created",
        "manifest.sig",
        "records.parquet",
        "found, as it should be",
        "the key is the same",
        "the personal text of",
        "audit.subject_erased",
    ):
        assert said in done.stdout
    assert done.stdout.count("nothing is wrong") == 2


def test_every_setting_is_one(tmp_path: Path) -> None:
    (block,) = blocks("yaml")
    (tmp_path / "paddock.yaml").write_text(block)
    assert load_settings(declaration_of, {"PADDOCK_HOME": str(tmp_path)}).audit.keep_days == 2555


def test_every_message_that_the_page_explains_is_one_of_the_verifiers() -> None:
    sources = "".join((ROOT / name).read_text() for name in ("core/audit/verification.py", "api/commands/audit.py"))
    told = re.sub(r'"\s*\n\s*f?"', "", sources)
    table = PAGE.read_text().partition("## What it says when something is wrong")[2].partition("\n## ")[0]
    for message in re.findall(r"^\| (.*?) \|", table, re.MULTILINE)[1:]:
        for quoted in re.findall(r"`(.*?)`", message):
            fixed = [
                part
                for part in re.split(r"\b\d+\b|\.\.\.|org_|aud_|[()]|records\.jsonl|\brow\b|\bafter\b", quoted)
                if len(part) > 8
            ]
            assert all(part.strip() in told for part in fixed), quoted
