"""What `paddock chat` and `paddock files` make of servers, keys and words that are none: a message, never a traceback."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from openai import Timeout

from api import chat
from api.cli import paddock
from tests.doubles.web import Web, open_web

MODELS = b'{"object": "list", "data": [{"id": "m", "object": "model", "created": 0, "owned_by": "paddock"}]}'


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with open_web() as opened:
        opened.says("/v1/models", MODELS)
        yield opened


async def run(*words: str, url: str = "", key: str = "pk_key", stdin: str | bytes = b"", **variables: str) -> Result:
    given = {"PADDOCK_KEY": key, **({"PADDOCK_URL": url} if url else {}), **variables}
    return await asyncio.to_thread(CliRunner().invoke, paddock, words, input=stdin, env=given)


def answered(body: dict[str, object]) -> bytes:
    """A response as a stream: begun, and at its end."""
    events = [("response.created", {**body, "status": "in_progress"}), ("response.completed", {**body, "status": "completed"})]
    return "".join(
        f"event: {kind}\ndata: {json.dumps({'type': kind, 'sequence_number': number, 'response': response})}\n\n"
        for number, (kind, response) in enumerate(events)
    ).encode()


@pytest.mark.parametrize("model", [(), ("--model", "m")])
async def test_a_server_that_takes_the_connection_and_says_nothing_is_told_soon(
    web: Web, monkeypatch: pytest.MonkeyPatch, model: tuple[str, ...]
) -> None:
    never = asyncio.Event()

    async def silent(_: asyncio.StreamWriter) -> None:
        await never.wait()

    monkeypatch.setattr(chat, "FIRST_PATIENCE", Timeout(0.1))
    web.answers["/v1/models"] = web.answers["/v1/responses"] = silent
    asked = await asyncio.wait_for(run("chat", *model, "hello", url=web.origin), 60)
    assert (asked.exit_code, asked.output.splitlines()) == (
        1,
        [f"Error: no server answers at {web.origin}; start one with `paddock up` (or `make up`)"],
    )


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b"{}", b'{"data": 3}'])
async def test_what_is_no_paddock_is_told(web: Web, body: bytes) -> None:
    web.says("/v1/models", body)
    asked = await run("chat", "hello", url=web.origin)
    assert (asked.exit_code, asked.output) == (1, f"Error: what answers at {web.origin} is no Paddock\n")


async def test_a_server_without_a_model_is_told(web: Web) -> None:
    web.says("/v1/models", b'{"object": "list", "data": []}')
    assert (await run("chat", "hello", url=web.origin)).output == f"Error: the server at {web.origin} has no model\n"


@pytest.mark.parametrize("words", [("chat", "hi"), ("files", "list"), ("keys", "list")])
@pytest.mark.parametrize("code", ["key_revoked", "key_expired", "deactivated"])
async def test_why_a_key_is_refused_is_what_the_server_says(web: Web, words: tuple[str, ...], code: str) -> None:
    body = json.dumps({"error": {"message": f"because of {code}", "type": "authentication_error", "code": code}}).encode()
    for path in ("/v1/models", "/v1/files", "/admin/v1/keys"):
        web.says(path, body, status="401 Unauthorized")
    asked = await run(*words, url=web.origin)
    assert (asked.exit_code, asked.output) == (1, f"Error: because of {code}\n")


@pytest.mark.parametrize("words", [("chat", "hi"), ("files", "list"), ("keys", "list")])
async def test_a_key_that_is_not_known_is_told_with_where_there_is_one(web: Web, words: tuple[str, ...]) -> None:
    body = json.dumps({"error": {"message": "the API key is not valid", "code": "invalid_api_key"}}).encode()
    for path in ("/v1/models", "/v1/files", "/admin/v1/keys"):
        web.says(path, body, status="401 Unauthorized")
    asked = await run(*words, url=web.origin)
    assert asked.output.startswith(f"Error: the API key is not valid: the server at {web.origin} does not know this key; ")
    assert "admin.key" in asked.output


@pytest.mark.parametrize("words", [("chat", "hi"), ("files", "list"), ("keys", "list")])
@pytest.mark.parametrize("key", ["ключ", "pk_\nx: y", "pk one", "pk_\x7f"])
async def test_what_can_be_no_key_is_said_and_not_sent(web: Web, words: tuple[str, ...], key: str) -> None:
    asked = await run(words[0], *(("--key", key, *words[1:])), url=web.origin)
    assert (asked.exit_code, asked.output, web.requests) == (
        1,
        "Error: that is no key: a key is printable ASCII without spaces, as pk_... is\n",
        [],
    )


@pytest.mark.parametrize("words", [("chat", "a\udcff"), ("users", "create", "a\udcff"), ("tools", "show", "a\udcff")])
async def test_bytes_that_are_no_text_are_said(web: Web, words: tuple[str, ...]) -> None:
    asked = await run(*words, url=web.origin)
    assert asked.exit_code == 1
    (line,) = asked.output.splitlines()
    assert line.startswith("Error: not valid as text: ")
    assert "\\udcff" in line


async def test_a_byte_that_is_no_text_does_not_end_a_conversation(web: Web) -> None:
    web.says("/v1/responses", answered({"id": "resp_1", "object": "response", "output": []}), Content_Type="text/event-stream")
    asked = await run("chat", url=web.origin, stdin=b"a\xff\nhello\n")
    assert asked.exit_code == 0, asked.output
    assert "Error: not valid as text: " in asked.output
    assert [json.loads(request.partition(b"\r\n\r\n")[2])["input"] for request in web.requests if b"POST" in request] == [
        "hello"
    ]


async def test_the_conversation_goes_on_where_the_last_answer_ended(web: Web) -> None:
    web.says("/v1/responses", answered({"id": "resp_1", "object": "response", "output": []}), Content_Type="text/event-stream")
    await run("chat", url=web.origin, stdin=b"one\ntwo\n")
    sent = [json.loads(request.partition(b"\r\n\r\n")[2]) for request in web.requests if b"POST" in request]
    assert [(one["input"], one.get("previous_response_id")) for one in sent] == [("one", None), ("two", "resp_1")]


async def test_doctor_looks_where_chat_asks(web: Web, tmp_path: Path) -> None:
    """The server of this home is noted; the variable says another one."""
    (tmp_path / "up.lock").write_text("http://127.0.0.1:9")
    web.says("/health/ready")
    here = {"PADDOCK_HOME": str(tmp_path), "PADDOCK_PORT": str(web.port)}
    assert f"yes  {web.origin}: ready" in (await run("doctor", **here)).output
