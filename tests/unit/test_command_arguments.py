"""What the commands over the admin API make of ids, JSON and files that are none: a message, and nothing is asked."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from api.cli import paddock
from tests.doubles.web import Web, open_web


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with open_web() as opened:
        yield opened


async def run(web: Web, *words: str, stdin: str = "") -> Result:
    given = {"PADDOCK_KEY": "pk_key", "PADDOCK_URL": web.origin}
    return await asyncio.to_thread(CliRunner().invoke, paddock, words, input=stdin, env=given)


COMMANDS = [
    ("keys", "revoke", "{}"),
    ("keys", "rotate", "{}"),
    ("users", "change", "{}", "--stopped"),
    ("users", "delete", "{}", "--yes"),
    ("orgs", "change", "{}", "--stopped"),
    ("tools", "show", "{}"),
    ("tools", "delete", "{}", "--yes"),
    ("assistants", "delete", "{}", "--yes"),
    ("approvals", "deny", "{}"),
    ("replay", "{}"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
async def test_an_id_leads_nowhere_else(web: Web, command: tuple[str, ...]) -> None:
    """The server knows nothing here, so that every command fails."""
    asked = await run(web, *(word.format("../users/usr_1?x#") for word in command))
    assert asked.exit_code == 1
    (request,) = web.requests
    assert b"/..%2Fusers%2Fusr_1%3Fx%23" in request.split(b" ")[1]


@pytest.mark.parametrize("command", [*COMMANDS, ("files", "delete", "{}"), ("files", "download", "{}", "x")], ids=" ".join)
@pytest.mark.parametrize("text", ["", ".", ".."])
async def test_what_can_be_no_id_is_said_and_not_sent(web: Web, command: tuple[str, ...], text: str) -> None:
    asked = await run(web, *(word.format(text) for word in command))
    assert (asked.exit_code, asked.output, web.requests) == (1, f"Error: {text!r} is no name or id\n", [])


async def test_a_user_is_deleted_only_after_a_yes(web: Web) -> None:
    web.says("/admin/v1/users/usr_1")
    assert (await run(web, "users", "delete", "usr_1", stdin="n\n")).exit_code == 1
    assert web.requests == []
    assert (await run(web, "users", "delete", "usr_1", stdin="y\n")).output.endswith("deleted usr_1\n")


@pytest.mark.parametrize("command", [("tools", "test", "double", "{}"), ("approvals", "approve", "x", "--arguments", "{}")])
@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e400", '"\udcff"', '"\\ud800"', "[" * 100_000])
async def test_what_is_json_for_python_alone_is_said(web: Web, command: tuple[str, ...], number: str) -> None:
    asked = await run(web, *(word.replace("{}", f'{{"x": {number}}}') for word in command))
    assert (asked.exit_code, web.requests) == (2, [])
    assert "not JSON: " in asked.output.splitlines()[-1]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "name: a\nx: .inf\n"),
        ("a.yaml", "name: a\nx: .nan\n"),
        ("a.json", '{"name": "a", "x": NaN}'),
        ("a.yaml", 'name: "a\\ud800"\n'),
        ("a.yaml", "name: a\nx: &again [*again]\n"),
        ("a.yaml", "name: a\nx: " + "[" * 5_000 + "\n"),
        ("a.yaml", "name: a\n2026-11-22: b\n"),
    ],
)
@pytest.mark.parametrize("group", ["tools", "assistants"])
async def test_a_file_of_what_is_no_json_is_said(web: Web, tmp_path: Path, group: str, name: str, text: str) -> None:
    file = tmp_path / name
    file.write_text(text)
    asked = await run(web, group, "add", str(file))
    (line,) = asked.output.splitlines()
    assert (asked.exit_code, line.startswith(f"Error: {file}: "), web.requests) == (1, True, [])


@pytest.mark.parametrize("group", ["tools", "assistants"])
async def test_which_of_several_files_is_refused_is_said(web: Web, tmp_path: Path, group: str) -> None:
    web.says(
        f"/admin/v1/{group}", json.dumps({"error": {"message": "no 'x' here", "code": "y"}}).encode(), status="400 Bad Request"
    )
    (tmp_path / "a.yaml").write_text("name: a\n")
    (tmp_path / "b.yaml").write_text("name: b\n")
    asked = await run(web, group, "add", str(tmp_path / "b.yaml"), str(tmp_path / "a.yaml"))
    assert asked.output == f"Error: {tmp_path / 'b.yaml'}: no 'x' here\n"
