"""What the admin commands make of servers that refuse, lie, break off or are not there: a message, never a traceback."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from typing import Any

import click
import pytest
from click.testing import CliRunner

from api.admin import Admin
from api.client import Server
from api.commands import replay
from tests.doubles.web import Web, open_web


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with open_web() as opened:
        yield opened


async def asking(url: str, ask: Callable[[Admin], Any], *, key: str = "pk_key") -> Any:
    with closing(Admin(Server(url=url, key=key))) as admin:
        return await asyncio.to_thread(ask, admin)


async def said(url: str, ask: Callable[[Admin], Any] = lambda admin: admin.get("/x"), *, key: str = "pk_key") -> str:
    with pytest.raises(click.ClickException) as refused:
        await asking(url, ask, key=key)
    return refused.value.message


async def test_pages_are_read_to_the_last_with_the_key(web: Web) -> None:
    async def pages(writer: asyncio.StreamWriter) -> None:
        more = b"after=a" not in web.requests[-1]
        body = b'{"data": [1], "has_more": true, "last_id": "a"}' if more else b'{"data": [2], "has_more": false}'
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    web.answers["/admin/v1/x"] = pages
    assert await asking(web.origin, lambda admin: list(admin.all("/x", limit=1))) == [1, 2]
    assert b"GET /admin/v1/x?limit=1&after=a " in web.requests[-1]
    assert b"authorization: bearer pk_key" in web.requests[-1].lower()


@pytest.mark.parametrize(
    ("differences", "unverified", "code", "last"),
    [
        (0, 0, 0, "no difference"),
        (2, 0, 1, "2 differences"),
        (0, 1, 1, "no difference; 1 pure call could not be run again"),
        (1, 2, 1, "1 difference; 2 pure calls could not be run again"),
    ],
)
async def test_a_replay_that_could_not_run_all_of_it_again_does_not_end_well(
    web: Web, differences: int, unverified: int, code: int, last: str
) -> None:
    body = json.dumps({"steps": [], "differences": differences, "unverified": unverified}).encode()
    web.answers["/admin/v1/turns/resp_1/replay"] = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (
        len(body),
        body,
    )
    asked = ["resp_1", "--url", web.origin, "--key", "pk_key"]
    ran = await asyncio.to_thread(CliRunner().invoke, replay.command, asked)
    assert (ran.exit_code, ran.output) == (code, f"{last}\n")


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        ("400 Bad Request", b'{"error": {"message": "no \\u001b[2Jsuch thing"}}', "no [2Jsuch thing"),
        ("401 Unauthorized", b"{}", "does not know this key"),
        ("500 Internal Server Error", b"<html>", "the server answers 500 Internal Server Error"),
        ("503 Service Unavailable", b'{"error": {"message": 7}}', "the server answers 503 Service Unavailable"),
        ("403 Forbidden", b'["error"]', "the server answers 403 Forbidden"),
        ("200 OK", b"<html>", "is no Paddock"),
        ("200 OK", b"[1]", "is no Paddock"),
        ("200 OK", b"\xff\xfe{", "is no Paddock"),
    ],
)
async def test_what_a_server_refuses_or_makes_up_is_a_message(web: Web, status: str, body: bytes, message: str) -> None:
    web.says("/admin/v1/x", body, status=status)
    assert message in await said(web.origin)
    assert message in await said(web.origin, lambda admin: admin.post("/x", {"a": 1}))


async def test_what_is_not_there_is_none_and_a_refusal_is_still_one(web: Web) -> None:
    web.says("/admin/v1/refused", b'{"error": {"message": "no"}}', status="403 Forbidden")
    assert await asking(web.origin, lambda admin: admin.find("/nothing")) is None
    assert await said(web.origin, lambda admin: admin.find("/refused")) == "no"


async def test_a_file_is_saved_whole_or_its_refusal_is_told(web: Web) -> None:
    web.says("/admin/v1/file", bytes(range(256)) * 4096)
    web.says("/admin/v1/cut", b"half", Content_Length="8")
    web.says("/admin/v1/gone", b'{"error": {"message": "it is gone"}}', status="410 Gone")
    saved = io.BytesIO()
    assert await asking(web.origin, lambda admin: admin.save("/file", saved)) == 2**20
    assert saved.getvalue() == bytes(range(256)) * 4096
    assert "no server answers" in await said(web.origin, lambda admin: admin.save("/cut", io.BytesIO()))
    assert await said(web.origin, lambda admin: admin.save("/gone", io.BytesIO())) == "it is gone"


async def test_the_key_follows_no_redirect_to_another_server(web: Web) -> None:
    async with open_web() as elsewhere:
        elsewhere.says("/admin/v1/x", b'{"found": true}')
        web.says("/admin/v1/x", b"", status="307 Temporary Redirect", Location=f"{elsewhere.origin}/admin/v1/x")
        assert await asking(web.origin, lambda admin: admin.get("/x")) == {"found": True}
    assert b"pk_key" in web.requests[0]
    assert b"pk_key" not in elsewhere.requests[0]


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect"])
@pytest.mark.parametrize("ask", [lambda admin: admin.delete("/x/1"), lambda admin: admin.post("/x/1", {"active": False})])
async def test_what_is_to_change_something_is_not_redirected(web: Web, ask: Callable[[Admin], Any], status: str) -> None:
    """Of most redirects a client makes a question, whose answer says nothing of what was to be done."""
    async with open_web() as elsewhere:
        elsewhere.says("/admin/v1/x/1", b'{"deleted": true}')
        web.says("/admin/v1/x/1", b"", status=status, Location=f"{elsewhere.origin}/admin/v1/x/1")
        expected = f"the server at {web.origin} redirects to {elsewhere.origin}: set PADDOCK_URL to that"
        assert await said(web.origin, ask) == expected
    assert elsewhere.requests == []
    web.says("/admin/v1/x/1", b"", status=status, Location="/sign-in?next=x")
    assert await said(web.origin, ask) == (
        f"the server at {web.origin} redirects to {web.origin}/sign-in?next=x: set PADDOCK_URL to that"
    )


@pytest.mark.parametrize("key", ["schlüssel", "pk_\x00", "pk_\r\nx: y"])
async def test_a_key_that_can_be_none_is_refused_and_smuggles_no_header(web: Web, key: str) -> None:
    web.says("/admin/v1/x", b"{}", status="401 Unauthorized")
    message = await said(web.origin, key=key)
    assert "does not know this key" in message or "no server answers" in message
    assert all(b"x: y" not in request for request in web.requests)


async def test_a_server_that_is_not_there_or_speaks_something_else_is_told(web: Web) -> None:
    web.answers["/admin/v1/x"] = b"SSH-2.0-OpenSSH_9.2\r\n"
    assert "no server answers at" in await said(web.origin)
    assert "no server answers at http://127.0.0.1:9" in await said("http://127.0.0.1:9")
    assert "no server answers at http://nowhere.invalid" in await said("http://nowhere.invalid")
