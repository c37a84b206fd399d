"""The audit log as an auditor has it: a key that reads and nothing else, records as they come, an export, a verdict offline."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from openai import OpenAI

from tests.e2e.conftest import Gateway
from tests.e2e.paddock import PADDOCK, ROOT, environment, paddock

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def auditor(gateway: Gateway, tmp_path: Path) -> Run:
    """`paddock audit` with the key of somebody who has the role auditor."""
    server = ("--url", gateway.url, "--key", gateway.key)
    user = paddock("users", *server, "create", "Vera", "--role", "auditor", home=tmp_path).stdout.split()[0]
    made = paddock("keys", *server, "create", "audit", "--user", user, "--scope", "audit", home=tmp_path)
    key = made.stdout.split()[0]

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return paddock("audit", "--url", gateway.url, "--key", key, *arguments, home=tmp_path)

    return run


def test_what_was_done_is_tailed_exported_and_verified_and_one_flipped_byte_is_named(
    gateway: Gateway, auditor: Run, tmp_path: Path
) -> None:
    public_key, note, directory = tmp_path / "audit.pub", tmp_path / "note", tmp_path / "export"
    with OpenAI(base_url=gateway.base_url, api_key=gateway.key) as client:
        response = client.responses.create(
            model="scripted",
            input="What is 1234 * 5678?",
            tools=[{"type": "code_interpreter", "container": {"type": "auto"}}],
        )
    told = auditor("tail", "--object", response.id).stdout
    kinds = ["turn.started", "model.replied", "tool.dispatched", "tool.returned", "model.replied", "turn.ended"]
    assert [line.split()[1] for line in told.splitlines()] == kinds
    assert "1234" not in told

    public_key.write_text(auditor("keys").stdout)
    note.write_text(auditor("checkpoint").stdout)
    saved = auditor("export", str(directory))
    assert saved.returncode == 0, saved.stderr
    offline = ("audit", "verify", str(directory), "--public-key", str(public_key))
    verified = paddock(*offline, home=tmp_path / "nothing")
    assert (verified.returncode, verified.stderr) == (0, "")
    assert verified.stdout.endswith("nothing is wrong\n")
    assert "the log ends at checkpoint" not in paddock(*offline, "--checkpoint", str(note), home=tmp_path).stderr

    records = directory / "records.jsonl"
    lines = records.read_text().splitlines(keepends=True)
    place = next(n for n, line in enumerate(lines) if response.id in line and "tool.returned" in line)
    lines[place] = lines[place].replace("success", "failure")
    records.write_text("".join(lines))
    wrong = paddock(*offline, home=tmp_path)
    assert wrong.returncode == 1
    assert lines[place][13:49] in wrong.stderr
    assert "was changed" in wrong.stderr


def test_an_auditor_reads_and_does_nothing_else(gateway: Gateway, auditor: Run) -> None:
    refused = auditor("erase", "user_1", "--yes")
    assert refused.returncode == 1
    assert "admin" in refused.stderr
    told = paddock(
        "audit", "--url", gateway.url, "--key", gateway.key, "tail", "--kind", "access.refused", home=Path("/nowhere")
    )
    assert "POST /admin/v1/audit/erasures" in told.stdout


def test_a_tail_that_follows_shows_what_comes(gateway: Gateway, tmp_path: Path) -> None:
    server = ("--url", gateway.url, "--key", gateway.key)

    def create(name: str) -> str:
        return paddock("users", *server, "create", name, home=tmp_path).stdout.split()[0]

    before = create("Nina")
    command = [*PADDOCK, "audit", *server, "tail", "-n", "1", "-f", "--kind", "user.created"]
    with subprocess.Popen(command, cwd=ROOT, env=environment(tmp_path), stdout=subprocess.PIPE, text=True) as following:
        try:
            assert following.stdout is not None
            assert before in following.stdout.readline()
            after = create("Otto")
            assert after in following.stdout.readline()
        finally:
            following.kill()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("tail", "--kind", "X; DROP"), "kind"),
        (("tail", "-n", "1000"), "-n"),
        (("export", "/proc/nothing"), "/proc/nothing"),
        (("export", "x", "--since", "yesterday"), "--since"),
        (("erase", "user_nobody", "--yes"), "admin"),
        (("verify", ".", "--public-key", "README.md"), "cannot be checked: a public key is expected in PEM"),
        (("verify", "."), "--public-key"),
    ],
)
def test_a_clumsy_command_is_told_what_is_wrong(auditor: Run, arguments: tuple[str, ...], told: str) -> None:
    refused = auditor(*arguments)
    assert refused.returncode in (1, 2)
    assert told in refused.stderr
    assert "Traceback" not in refused.stderr
