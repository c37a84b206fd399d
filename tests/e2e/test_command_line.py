"""The `paddock` command as somebody types it, against a server started as a user starts it."""

import json
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.admin_commands import show_json
from api.terminal import plain
from core.storage.embedded.postgres import EmbeddedPostgres
from tests.e2e.paddock import CONFIG, PADDOCK, PATIENCE_SECONDS, ROOT, Up, environment, is_ready, make_home, paddock, started


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, new_database: Path) -> Iterator[Up]:
    directory = Path(tempfile.mkdtemp(prefix="paddock-e2e-"))
    with started(make_home(directory / "home", database=new_database), tmp_path_factory.mktemp("server") / "output") as up:
        up.wait_until_ready()
        yield up
        assert up.interrupt() == 0
    shutil.rmtree(directory)


def test_help_lists_every_command(tmp_path: Path) -> None:
    shown = paddock("--help", home=tmp_path)
    assert shown.returncode == 0
    for name in (
        "agent",
        "alerts",
        "approvals",
        "assistants",
        "audit",
        "chat",
        "doctor",
        "files",
        "keys",
        "migrate",
        "orgs",
        "replay",
        "sandbox",
        "scripted",
        "serve",
        "tools",
        "up",
        "users",
    ):
        assert f"\n  {name} " in shown.stdout
        assert paddock(name, "--help", home=tmp_path).stdout.startswith(f"Usage: paddock {name}")


def test_chat_shows_the_call_its_output_and_the_answer(server: Up) -> None:
    shown = paddock("chat", "What is 1234 * 5678?", home=server.home)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout == "python:\n  print(1234 * 5678)\noutput:\n  7006652\nIt is 7006652\n"


def test_chat_without_a_message_is_a_prompt_that_remembers(server: Up) -> None:
    shown = paddock("chat", home=server.home, stdin="hello\n\nWhat is 1234 * 5678?\n")
    assert shown.returncode == 0, shown.stderr
    assert "You said: hello" in shown.stdout
    assert "It is 7006652" in shown.stdout


def test_ctrl_c_says_cancelled_only_of_an_answer_that_was(server: Up) -> None:
    member = paddock("keys", "create", "member", home=server.home).stdout.strip()
    assert interrupted(server, member) == "left; what was begun goes on (a key with the scope admin would cancel it)"
    assert paddock("audit", "tail", "--kind", "turn.cancelled", home=server.home).stdout == ""
    assert interrupted(server, (server.home / "admin.key").read_text().strip()) == "cancelled"
    assert len(paddock("audit", "tail", "--kind", "turn.cancelled", home=server.home).stdout.splitlines()) == 1


def interrupted(server: Up, key: str) -> str:
    """What is said last by a chat that gets its Ctrl-C in the middle of an answer."""
    given = environment(server.home, PADDOCK_KEY=key)
    command = [*PADDOCK, "chat", "a slow one"]
    with subprocess.Popen(command, env=given, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as asked:
        assert asked.stdout is not None
        assert asked.stdout.read(4) == "one "
        asked.send_signal(signal.SIGINT)
        said, problem = asked.communicate(timeout=PATIENCE_SECONDS)
    assert (asked.returncode, problem) == (1, "\nAborted!\n")
    return said.splitlines()[-1]


def test_chat_says_what_is_wrong(server: Up, tmp_path: Path) -> None:
    assert "no key: " in paddock("chat", "hello", home=tmp_path).stderr
    with socket.socket() as silent:  # has a port, and does not listen
        silent.bind(("127.0.0.1", 0))
        port = str(silent.getsockname()[1])
        unheard = paddock("chat", "x", home=server.home, PADDOCK_PORT=port)
    assert f"no server answers at http://127.0.0.1:{port}" in unheard.stderr
    assert "does not know this key" in paddock("chat", "x", "--key", "pk_wrong", home=server.home).stderr
    unknown = paddock("chat", "x", "--model", "nobody", home=server.home)
    assert unknown.returncode == 1
    assert "nobody" in unknown.stderr
    assert "Traceback" not in unknown.stderr


@pytest.mark.parametrize(
    ("variable", "value", "shown"),
    [
        ("PADDOCK_PORT", "abc", "'http://127.0.0.1:abc'"),
        ("PADDOCK_URL", "localhost:8080", "'localhost:8080'"),
        ("PADDOCK_URL", "http://[::1", "'http://[::1'"),
        ("PADDOCK_URL", "http://a b", "'http://a b'"),
    ],
)
def test_what_is_no_address_is_said(tmp_path: Path, variable: str, value: str, shown: str) -> None:
    for words in (["chat", "x"], ["tools", "list"]):
        refused = paddock(*words, home=tmp_path, PADDOCK_KEY="pk_any", **{variable: value})
        assert (refused.returncode, refused.stderr) == (
            1,
            f"Error: {shown} is no address of a server, as http://127.0.0.1:8080 is\n",
        )


def test_a_file_without_a_tool_is_said(server: Up, tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("# nothing yet\n")
    refused = paddock("tools", "add", str(tmp_path / "empty.yaml"), home=server.home)
    assert (refused.returncode, "expected a tool" in refused.stderr) == (1, True)


def test_what_a_model_or_a_guest_writes_cannot_drive_the_terminal() -> None:
    assert plain("a\x1b[2Jb\x07\x9b1mc\r\nd\te") == "a[2Jb1mc\nd\te"


def test_what_is_shown_as_json_is_whole_and_cannot_drive_the_terminal_either(capsys: pytest.CaptureFixture[str]) -> None:
    written = {"arguments": "a\x1b[2Jb\x9b1m caf\u00e9"}
    show_json(written)
    shown = capsys.readouterr().out
    assert json.loads(shown) == written
    assert "\x9b" not in shown
    assert "caf\u00e9" in shown


@pytest.mark.parametrize(("words", "told"), [("alerts", "No alert is firing"), ("approvals list", "no request for approval")])
def test_a_list_without_anything_in_it_says_so(server: Up, words: str, told: str) -> None:
    listed = paddock(*words.split(), home=server.home)
    assert (listed.returncode, listed.stdout) == (0, "")
    assert told in listed.stderr


def test_keys_are_made_listed_and_revoked(server: Up) -> None:
    made = paddock("keys", "create", "for a test", "--days", "1", home=server.home)
    secret = made.stdout.strip()
    assert secret.startswith("pk_"), made.stderr
    assert paddock("chat", "hello", "--key", secret, home=server.home).stdout == "You said: hello\n"
    (line,) = [line for line in paddock("keys", "list", home=server.home).stdout.splitlines() if "for a test" in line]
    assert "valid" in line
    assert secret not in line
    assert paddock("keys", "revoke", line.split()[0], home=server.home).returncode == 0
    assert paddock("chat", "hello", "--key", secret, home=server.home).stderr == "Error: the API key was revoked\n"
    refused = paddock("keys", "revoke", "key_nonsense", home=server.home)
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr


def test_a_tenant_is_set_up_and_stopped_from_the_shell(server: Up) -> None:
    """An organisation, its administrator's key, a user with a key of theirs that is rotated; then everybody is out."""

    def run(*arguments: str) -> str:
        done = paddock(*arguments, home=server.home)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    organization = run("orgs", "create", "Acme", "--external-id", "acme")
    assert f"{organization}  active   Acme" in run("orgs", "list")
    admin = run("keys", "create", "boss", "--scope", "admin", "--scope", "chat", "--organization", organization)
    user = run("users", "--key", admin, "create", "Ada", "--role", "member")
    assert f"{user}  member   active   Ada" in run("users", "--key", admin, "list")
    secret = run("keys", "--key", admin, "create", "laptop", "--user", user)
    assert run("chat", "hello", "--key", secret) == "You said: hello"
    (line,) = run("keys", "--key", admin, "list", "--user", user).splitlines()
    rotated = run("keys", "--key", admin, "rotate", line.split()[0], "--overlap", "1")
    assert run("chat", "hello", "--key", secret) == run("chat", "hello", "--key", rotated)
    assert run("users", "--key", admin, "change", user, "--stopped") == f"{user} is member, stopped"
    stopped = "Error: the API key's user or organization is deactivated\n"
    assert paddock("chat", "hello", "--key", rotated, home=server.home).stderr == stopped
    asked = paddock("users", "--key", admin, "delete", user, stdin="n\n", home=server.home)
    assert (asked.returncode, "gone for good" in asked.stdout) == (1, True)
    assert user in run("users", "--key", admin, "list")
    assert run("users", "--key", admin, "delete", user, "--yes") == f"deleted {user}"
    assert run("orgs", "change", organization, "--stopped") == f"{organization} is stopped"
    assert paddock("users", "--key", admin, "list", home=server.home).stderr == stopped


def test_doctor_finds_the_server_and_all_that_it_needs(server: Up) -> None:
    shown = paddock("doctor", home=server.home)
    assert shown.returncode == 0, shown.stdout
    assert f"yes  {server.url}: ready" in shown.stdout
    assert "yes  wasmtime: version" in shown.stdout
    assert "NO " not in shown.stdout


def test_doctor_ends_with_1_when_something_needed_is_missing(tmp_path: Path) -> None:
    (tmp_path / "paddock.yaml").write_text("models:\n  - {name: m, backend: fleet, file: nowhere.gguf}\n")
    shown = paddock("doctor", home=tmp_path, PADDOCK_DATABASE_URL="postgresql://nobody@127.0.0.1:9/none")
    assert shown.returncode == 1
    assert "NO   m: model 'm': there is no file" in shown.stdout
    assert "NO   PostgreSQL: " in shown.stdout
    assert "is PADDOCK_DATABASE_URL right" in shown.stdout


def test_a_scripted_model_is_served_to_whom_speaks_the_openai_wire(tmp_path: Path) -> None:
    script = tmp_path / "script.yaml"
    script.write_text("rules: nonsense\n")
    refused = paddock("scripted", str(script), home=tmp_path)
    assert refused.returncode == 1
    assert str(script) in refused.stderr
    assert "Traceback" not in refused.stderr


def test_serve_runs_on_stores_and_a_sandbox_of_the_operators_own(
    postgres: EmbeddedPostgres, redis_url: str, server: Up, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "paddock.yaml").write_text(CONFIG)
    elsewhere = {
        "PADDOCK_DATABASE_URL": postgres.server_url,
        "PADDOCK_REDIS_URL": redis_url,
        "PADDOCK_OBJECTS_URL": (tmp_path / "objects").as_uri(),
        "PADDOCK_SANDBOX_SOCKET": str(server.home / "run" / "sandbox" / "sandbox.sock"),
    }
    key = tmp_path / "key"
    assert "PADDOCK_DATABASE_OWNER_URL: not set" in paddock("migrate", home=home, **elsewhere).stderr
    owner = {"PADDOCK_DATABASE_OWNER_URL": postgres.owner_url}
    migrated = paddock("migrate", "--admin-key", str(key), home=home, **elsewhere, **owner)
    assert migrated.returncode == 0, migrated.stderr
    assert stat.S_IMODE(key.stat().st_mode) == 0o600

    with started(home, tmp_path / "output", command="serve", **elsewhere) as up:
        url = up.wait_until_ready()
        up.wait_for(lambda: is_ready(url))
        assert not up.descendants()
        asked = paddock("chat", "What is 1234 * 5678?", "--key", key.read_text().strip(), home=home, PADDOCK_URL=url)
        assert "It is 7006652" in asked.stdout, asked.stderr
        assert up.interrupt() == 0


def test_serve_names_what_it_was_not_given(tmp_path: Path) -> None:
    (tmp_path / "paddock.yaml").write_text(CONFIG)
    refused = paddock("serve", home=tmp_path)
    assert refused.returncode == 1
    assert "PADDOCK_DATABASE_URL, PADDOCK_REDIS_URL, PADDOCK_OBJECTS_URL, PADDOCK_SANDBOX_SOCKET: not set" in refused.stderr


def test_files_are_uploaded_listed_saved_and_deleted(server: Up, tmp_path: Path) -> None:
    source, copy = tmp_path / "module.wasm", tmp_path / "copy"
    source.write_bytes(bytes(range(256)) * 1_000)
    file_id = paddock("files", "upload", str(source), home=server.home).stdout.split()[0]
    assert f"{file_id}  " in paddock("files", "list", home=server.home).stdout
    assert paddock("files", "download", file_id, str(copy), home=server.home).returncode == 0
    assert copy.read_bytes() == source.read_bytes()
    assert "File exists" in paddock("files", "download", file_id, str(copy), home=server.home).stderr
    assert paddock("files", "delete", file_id, home=server.home).stdout == f"deleted {file_id}\n"
    gone = paddock("files", "download", file_id, str(tmp_path / "none"), home=server.home)
    assert (gone.returncode, (tmp_path / "none").exists()) == (1, False)
    assert f"no file '{file_id}'" in gone.stderr


def test_assistants_are_made_and_brought_to_what_a_file_says(server: Up, tmp_path: Path) -> None:
    document = tmp_path / "helper.yaml"
    tools = "tools: [{type: code_interpreter, container: {type: auto}}]\n"
    document.write_text(f"name: helper\nmodel: scripted\n{tools}")
    for said in ("made, version 1", "still version 1"):
        assert f"helper: {said}, with code_interpreter" in paddock("assistants", "add", str(document), home=server.home).stdout
    document.write_text(f"name: helper\nmodel: scripted\ninstructions: Be brief.\n{tools}")
    assert "helper: version 2" in paddock("assistants", "add", str(document), home=server.home).stdout
    assert "helper" in paddock("assistants", "list", home=server.home).stdout
    assert '"instructions": null' in paddock("assistants", "show", "helper", "--version", "1", home=server.home).stdout
    assert "It is 7006652" in paddock("chat", "--model", "helper", "What is 1234 * 5678?", home=server.home).stdout
    document.write_text("model: scripted\n")
    assert "expected an assistant" in paddock("assistants", "add", str(document), home=server.home).stderr
    assert paddock("assistants", "delete", "helper", "--yes", home=server.home).stdout == "deleted helper\n"
    assert "no assistant 'helper'" in paddock("assistants", "show", "helper", home=server.home).stderr
