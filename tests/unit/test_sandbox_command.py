"""`paddock sandbox` hands on to the sandbox host all that was asked for."""

import argparse
from pathlib import Path

import pytest
from click.testing import CliRunner

from api.cli import paddock
from sandbox import host
from tests.sandboxing import GUESTS

SOCKET = ("--socket", "/nowhere/sandbox.sock", "--guests", str(GUESTS))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[argparse.Namespace]:
    """What a host was started with, in place of starting it."""
    found: list[argparse.Namespace] = []

    async def serve(options: argparse.Namespace) -> None:
        found.append(options)

    monkeypatch.setattr(host, "serve", serve)
    return found


@pytest.mark.parametrize("walls", [True, False])
def test_walls_are_required_where_that_is_asked_for(asked: list[argparse.Namespace], walls: bool) -> None:
    ran = CliRunner().invoke(paddock, ["sandbox", *SOCKET, "--permits", "3", *(["--require-walls"] if walls else [])])
    assert ran.exit_code == 0, ran.output
    assert [(options.require_walls, options.permits, options.socket) for options in asked] == [(walls, 3, Path(SOCKET[1]))]
