"""What `paddock doctor` finds: it asks whom it speaks of, and says what they said."""

import json
import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from api.doctor import Finding, examine
from core.config import Settings, load_settings
from core.llm.declaration import declaration_of
from tests.doubles.web import Web, open_web

CHECKS = {"database": "no answer in 2 s", "journal": "ok", "sandbox": "no sandbox host answers at '/run/x\x1b[31m'"}


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[Web]:
    """What answers where the server of this home did last."""
    async with open_web() as opened:
        (tmp_path / "up.lock").write_text(opened.origin)
        yield opened


def settings(home: Path, text: str = "", **variables: str) -> Settings:
    (home / "paddock.yaml").write_text(text)
    return load_settings(declaration_of, {"PADDOCK_HOME": str(home), **variables})


async def section(settings: Settings, title: str) -> Sequence[Finding]:
    found = [findings async for name, findings in examine(settings) if name == title]
    return found[0]


async def test_a_socket_that_a_dead_sandbox_host_left_is_no_sandbox_host(tmp_path: Path) -> None:
    left = tmp_path / "sandbox.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(left))
    host = (await section(settings(tmp_path, PADDOCK_SANDBOX_SOCKET=str(left)), "sandboxes"))[-1]
    assert (host.subject, host.present, host.needed) == ("sandbox host", False, True)
    assert f"no sandbox host answers at '{left}'" in host.detail


async def test_a_sandbox_host_that_answers_is_found(tmp_path: Path, sandbox_socket: Path) -> None:
    host = (await section(settings(tmp_path, PADDOCK_SANDBOX_SOCKET=str(sandbox_socket)), "sandboxes"))[-1]
    assert (host.subject, host.present) == ("sandbox host", True)


async def test_a_server_that_is_not_ready_is_shown_with_what_is_not_ok(tmp_path: Path, web: Web) -> None:
    body = json.dumps({"status": "unavailable", "checks": CHECKS}).encode()
    web.says("/health/ready", body, status="503 Service Unavailable")
    (server,) = await section(settings(tmp_path), "server")
    assert (server.subject, server.present) == (web.origin, False)
    assert server.detail == "not ready: database: no answer in 2 s; sandbox: no sandbox host answers at '/run/x[31m'"
    assert "start it" not in server.advice


@pytest.mark.parametrize("body", [b"<html>busy</html>", b"[]", b'{"checks": {"database": 1}}', b"\xff"])
async def test_what_answers_otherwise_is_no_server_of_ours(tmp_path: Path, web: Web, body: bytes) -> None:
    web.says("/health/ready", body, status="503 Service Unavailable")
    (server,) = await section(settings(tmp_path), "server")
    assert (server.present, server.detail) == (False, "it answers with 503, and not as Paddock does")


async def test_nobody_there_is_a_server_to_start(tmp_path: Path, web: Web) -> None:
    with socket.socket() as silent:  # has a port, and does not listen
        silent.bind(("127.0.0.1", 0))
        (tmp_path / "up.lock").write_text(f"http://127.0.0.1:{silent.getsockname()[1]}")
        (server,) = await section(settings(tmp_path), "server")
    assert (server.present, server.advice) == (False, "start it with `paddock up` (or `make up`)")


async def test_the_socket_of_an_agent_is_looked_for_beside_the_configuration(tmp_path: Path) -> None:
    text = "models: [{name: m, backend: fleet, socket: run/agent.sock}]\n"
    (tmp_path / "run").mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "run" / "agent.sock"))
    (model,) = await section(settings(tmp_path, text), "models")
    assert "Connection refused" in model.detail  # and not that no such file is there
