"""What `paddock audit tail` says when the server has less than it was asked for."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner

from api.commands.audit import command

RECORD = {"time": "2026-11-21T10:00:00.000", "kind": "key.created", "outcome": "success", "actor": "user_1", "object": None}


@contextmanager
def server(answer: dict[str, Any]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = Thread(target=listening.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_address[1]}"
        finally:
            listening.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("lines", "until", "told"),
    [
        ("5", 1_000, "records until 1970-01-01T00:16:40 are in the archive: `paddock audit export` has them\n"),
        ("5", None, ""),
        ("1", 1_000, ""),
    ],
)
def test_a_tail_that_ends_at_the_archive_says_where_the_others_are(lines: str, until: int | None, told: str) -> None:
    event = {"id": "aud_1", "record": {**RECORD, "details": {}}}
    with server({"data": [event], "has_more": False, "last_id": "aud_1", "archived_until": until}) as url:
        done = CliRunner().invoke(command, ["--url", url, "--key", "pk_x", "tail", "-n", lines])
    assert done.exit_code == 0, done.output
    assert done.stderr == told
    assert "key.created" in done.stdout
