"""`paddock sandbox` hands on to the sandbox host all that was asked for, and nothing else."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from api.cli import paddock
from sandbox import host
from tests.sandboxing import GUESTS

SOCKET = ("--socket", "/nowhere/sandbox.sock", "--guests", str(GUESTS))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[argparse.Namespace, Mapping[str, str]]]:
    """What a host was started with, in place of starting it, and its environment."""
    found: list[tuple[argparse.Namespace, Mapping[str, str]]] = []
    heard: list[argparse.Namespace] = []

    async def serve(options: argparse.Namespace) -> None:
        heard.append(options)

    def execve(path: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        assert (path, command[:4]) == (sys.executable, [sys.executable, "-P", "-m", "sandbox.host"])
        host.main(command[4:])
        found.append((heard.pop(), environment))

    monkeypatch.setattr(host, "serve", serve)
    monkeypatch.setattr(os, "execve", execve)
    return found


@pytest.mark.parametrize("walls", [True, False])
def test_walls_are_required_where_that_is_asked_for_and_no_environment_is_handed_on(
    asked: list[tuple[argparse.Namespace, Mapping[str, str]]], walls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PADDOCK_DATABASE_URL", "postgresql://secret")
    ran = CliRunner().invoke(paddock, ["sandbox", *SOCKET, "--permits", "3", *(["--require-walls"] if walls else [])])
    assert ran.exit_code == 0, ran.output
    [(options, environment)] = asked
    assert (options.require_walls, options.permits, options.socket) == (walls, 3, Path(SOCKET[1]))
    assert set(environment) == {"PATH", "LC_ALL"}
