"""Starting, stopping and killing the server, as users do, and all that they may have got wrong before."""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from openai import APIError, OpenAI

from api.home import DEFAULT_CONFIG
from core.accounts import server_account
from core.config import load_settings
from core.llm.declaration import declaration_of
from core.storage.embedded.places import owned_directory
from tests.e2e.paddock import CONFIG, PADDOCK, ROOT, Up, environment, is_ready, make_home, paddock, started, wait_until_gone


@pytest.fixture
def home() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="paddock-e2e-"))
    yield make_home(directory / "home")
    shutil.rmtree(directory)


@pytest.fixture
def used_home(new_database: Path) -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="paddock-e2e-"))
    yield make_home(directory / "home", database=new_database)
    shutil.rmtree(directory)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "output"


def running_as(up: Up, word: str) -> list[int]:
    return [pid for pid, name in up.descendants().items() if word in name]


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_serves_until_it_is_told_to_stop_and_leaves_nothing(home: Path, output: Path, stop: signal.Signals) -> None:
    with started(home, output, anew=True) as up:
        url = up.wait_until_ready()
        assert up.output.splitlines()[-1] == f"Paddock is ready at {url}"
        assert is_ready(url)
        assert (home / "admin.key").stat().st_mode & 0o777 == 0o600
        children = up.descendants()
        assert any("postgres" in name for name in children.values())
        up.process.send_signal(stop)
        assert up.process.wait(60) == 0
        wait_until_gone(children)
        assert not is_ready(url)


def test_a_kill_leaves_nothing_running_and_the_next_start_has_all_data(used_home: Path, output: Path) -> None:
    with started(used_home, output) as up:
        up.wait_until_ready()
        key = (used_home / "admin.key").read_text()
        children = up.descendants()
        assert len(children) >= 3
        up.process.kill()
        up.process.wait()
        wait_until_gone(children)
    with started(used_home, output) as up:
        url = up.wait_until_ready()
        assert (used_home / "admin.key").read_text() == key
        assert "hello" in paddock("chat", "hello", home=used_home, PADDOCK_URL=url).stdout


def test_a_second_one_beside_the_first_is_told_where_the_first_answers(used_home: Path, output: Path) -> None:
    with started(used_home, output) as up:
        url = up.wait_until_ready()
        second = paddock("up", home=used_home, PADDOCK_PORT=url.rpartition(":")[2])
        assert second.returncode == 1
        assert f"already runs on {used_home} and answers at {url}" in second.stderr
        assert is_ready(url)


def test_a_port_in_use_is_told_before_anything_is_started(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = paddock("up", home=home, PADDOCK_PORT=str(port))
    assert refused.returncode == 1
    assert f"port {port} on 127.0.0.1 cannot be used (Address already in use)" in refused.stderr
    assert f"PADDOCK_PORT={port + 1}" in refused.stderr
    assert not (home / "postgres").exists()


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (CONFIG.replace("script:", "scirpt:"), "paddock.yaml line 5: models[0].scirpt: unknown key; did you mean 'script'?"),
        ("port: 8080\n", "`models` is missing: declare at least one model"),
        ("models: [", "paddock.yaml line 1: "),
        ("models:\n  - {name: m, backend: fleet, file: nowhere.gguf}\n", "model 'm': there is no file"),
    ],
)
def test_a_mistake_in_the_configuration_is_told_and_nothing_stays_behind(home: Path, config: str, said: str) -> None:
    (home / "paddock.yaml").write_text(config)
    refused = paddock("up", home=home, PADDOCK_PORT="0")
    assert refused.returncode == 1
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("kind", ["a file", "below a file", "not ours"])
def test_a_home_that_cannot_be_one_is_told(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "file"
    file.write_text("")
    place = {"a file": file, "below a file": file / "home", "not ours": Path("/proc/paddock")}[kind]
    refused = paddock("up", home=place)
    assert refused.returncode == 1
    assert f"PADDOCK_HOME: cannot keep files in {place}" in refused.stderr


def test_a_home_with_an_odd_and_long_name_works_like_any_other(output: Path, tmp_path: Path) -> None:
    home = make_home(tmp_path / "with space, ünïcode" / ("x" * 120))
    with started(home, output) as up:
        assert is_ready(up.wait_until_ready())
        assert up.interrupt() == 0


def test_a_data_directory_of_a_newer_version_is_refused_and_kept(home: Path) -> None:
    data = owned_directory(home / "postgres" / "99", server_account())
    (data / "PG_VERSION").write_text("99\n")
    refused = paddock("up", home=home, PADDOCK_PORT="0")
    assert refused.returncode == 1
    assert "was written by PostgreSQL 99" in refused.stderr
    assert [path.name for path in (home / "postgres").iterdir()] == ["99"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's data")
@pytest.mark.parametrize("command", ["up", "migrate"])
def test_the_home_of_somebody_else_stays_as_it_is(tmp_path: Path, command: str) -> None:
    data = tmp_path / "home" / "postgres" / "18"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("18\n")
    os.chown(data, 54_321, -1)
    refused = paddock(command, home=tmp_path / "home")
    assert refused.returncode == 1
    assert f"{data} belongs to user id 54321: run as that user" in refused.stderr
    assert sorted(path.name for path in (tmp_path / "home").rglob("*")) == ["18", "PG_VERSION", "postgres"]


def test_too_few_open_files_are_told_before_anything_is_started(home: Path) -> None:
    few = ["sh", "-c", 'ulimit -n 64 && exec "$@"', "sh", *PADDOCK, "up"]
    refused = subprocess.run(few, env=environment(home), cwd=ROOT, capture_output=True, text=True)
    assert (refused.returncode, "Traceback" in refused.stderr) == (1, False)
    assert "this process may open 64 files, and needs 256" in refused.stderr
    assert not (home / "logs").exists()


def test_a_soft_limit_of_open_files_is_raised(home: Path) -> None:
    few = ["sh", "-c", 'ulimit -S -n 64 && exec "$@"', "sh", *PADDOCK, "up"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        given = environment(home, PADDOCK_PORT=str(taken.getsockname()[1]))
        refused = subprocess.run(few, env=given, cwd=ROOT, capture_output=True, text=True)
    assert "cannot be used (Address already in use)" in refused.stderr


def test_nothing_in_a_home_can_be_written_by_others_whatever_the_umask(home: Path, output: Path) -> None:
    before = os.umask(0)
    try:
        with started(home, output, anew=True) as up:
            up.wait_until_ready()
            made = [home / "objects", *home.glob("*.key"), *(home / "run").rglob("*")]
            assert [path for path in made if path.stat().st_mode & 0o022 and not path.is_socket()] == []
            assert up.interrupt() == 0
    finally:
        os.umask(before)


def test_the_first_start_writes_a_configuration_that_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "paddock.yaml").write_text(DEFAULT_CONFIG)
    settings = load_settings(declaration_of, {"PADDOCK_HOME": str(tmp_path)})
    assert [model["name"] for model in settings.models] == ["paddock-demo"]
    uncommented = DEFAULT_CONFIG.replace("# host:", "host:").replace("# port:", "port:")
    (tmp_path / "paddock.yaml").write_text(uncommented)
    assert load_settings(declaration_of, {"PADDOCK_HOME": str(tmp_path)}).port == 8080


def test_ctrl_c_at_any_moment_of_the_start_ends_it_cleanly(home: Path, output: Path) -> None:
    for after_seconds in (0.1, 0.4, 0.8, 1.2, 1.8, 2.5, 3.5, None):
        with started(home, output, anew=True) as up:
            if after_seconds is None:
                up.wait_for(lambda up=up: bool(up.descendants()))
            else:
                time.sleep(after_seconds)
            children = up.descendants()
            assert up.interrupt() in (0, 1, 130, -signal.SIGINT)  # click's, or Python's own before there is a handler
            wait_until_gone(children)
            heard = "stopping" in up.output  # before that Python may still be importing, and slowly so
            servers = [name for name in children.values() if re.search("postgres|redis|sandbox", name)]
            assert "Traceback" not in up.output if heard else not servers, (after_seconds, children, up.output)
    assert heard
    with started(home, output) as up:
        assert is_ready(up.wait_until_ready())


def test_ctrl_c_twice_does_not_wait_for_a_request_that_runs(used_home: Path, output: Path) -> None:
    with started(used_home, output) as up:
        url = up.wait_until_ready()
        children = up.descendants()
        first_piece = threading.Event()
        asking = threading.Thread(target=stream_slowly, args=(url, (used_home / "admin.key").read_text().strip(), first_piece))
        asking.start()
        assert first_piece.wait(60)
        up.process.send_signal(signal.SIGINT)
        up.wait_for(lambda: "stopping" in up.output)
        time.sleep(0.5)  # two that come together count as one
        up.process.send_signal(signal.SIGINT)
        assert up.process.wait(60) == 130
        assert up.output.endswith("stopped at once\n")
        wait_until_gone(children)
        asking.join()


@pytest.mark.parametrize("word", ["redis-server", "sandbox.host"])
def test_a_helper_that_is_killed_is_started_again_and_the_operator_is_told(used_home: Path, output: Path, word: str) -> None:
    with started(used_home, output) as up:
        url = up.wait_until_ready()
        first = min(running_as(up, word))
        os.kill(first, signal.SIGKILL)
        up.wait_for(lambda: bool(running_as(up, word)) and first not in running_as(up, word) and is_ready(url))
        assert "SIGKILL" in up.output
        answer = paddock("chat", "What is 1234 * 5678?", home=used_home, PADDOCK_URL=url)
        assert "7006652" in answer.stdout, answer.stderr
        assert up.interrupt() == 0


def test_a_database_that_is_killed_ends_the_server_with_a_message_and_loses_nothing(used_home: Path, output: Path) -> None:
    with started(used_home, output) as up:
        up.wait_until_ready()
        key = (used_home / "admin.key").read_text()
        children = up.descendants()
        os.kill(min(running_as(up, "postgres -D")), signal.SIGKILL)
        assert up.process.wait(60) == 1
        assert "the database ended; what was stored is kept, start again" in up.output
        wait_until_gone(children)
    with started(used_home, output) as up:
        up.wait_until_ready()
        assert (used_home / "admin.key").read_text() == key


def stream_slowly(url: str, key: str, first_piece: threading.Event) -> None:
    """Reads until the server hangs up."""
    with suppress(APIError), OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0) as client:
        for event in client.responses.create(model="scripted", input="a slow one", stream=True):
            if event.type == "response.output_text.delta":
                first_piece.set()
