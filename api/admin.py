"""The admin API from the command line. It knows no resource; what the server refuses is a message, not a traceback.

It asks by plain HTTP: OpenAI's client would take longer to import than most commands take.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO

import click
import httpx2

from api.client import Server
from api.terminal import plain

Json = dict[str, Any]
PATIENCE = httpx2.Timeout(900.0, connect=10.0)  # a dry run takes as long as its tool may


class Admin:
    """Paths are those below /admin/v1. Every method raises `ClickException`."""

    def __init__(self, server: Server) -> None:
        self._server = server
        headers = {b"authorization": f"Bearer {server.key}".encode()}
        self._client = httpx2.Client(base_url=f"{server.url}/admin/v1", headers=headers, timeout=PATIENCE)

    def get(self, path: str, **query: Any) -> Json:
        return self._asked("GET", path, params=query)

    def find(self, path: str) -> Json | None:
        """None when there is no such thing."""
        with self._answered("GET", path) as answer:
            return None if answer.status_code == httpx2.codes.NOT_FOUND else self._content(answer)

    def all(self, path: str, **query: Any) -> Iterator[Json]:
        """Page after page."""
        page: Json = {"has_more": True}
        while page["has_more"]:
            after = {"after": page["last_id"]} if page.get("last_id") else {}
            page = self.get(path, **query, **after)
            yield from page["data"]

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Json:
        return self._asked("POST", path, json=dict(body or {}))

    def delete(self, path: str) -> Json:
        return self._asked("DELETE", path)

    def save(self, path: str, target: BinaryIO) -> int:
        """The bytes of a file, however many, into the target; how many they were."""
        with self._answered("GET", path) as answer:
            self._refused(answer)
            for piece in answer.iter_bytes(2**18):
                target.write(piece)
        return target.tell()

    def close(self) -> None:
        self._client.close()

    def _asked(self, method: str, path: str, **content: Any) -> Json:
        with self._answered(method, path, **content) as answer:
            return self._content(answer)

    @contextmanager
    def _answered(self, method: str, path: str, **content: Any) -> Iterator[httpx2.Response]:
        try:
            with self._client.stream(method, path, **content, follow_redirects=method == "GET") as answer:
                self._refuse_redirect(answer, path)
                yield answer
        except httpx2.HTTPError as exc:
            raise self._server.unreachable() from exc

    def _refuse_redirect(self, answer: httpx2.Response, path: str) -> None:
        """Of what is to change something: a client that goes on would ask for the page there and find all well."""
        if answer.next_request is not None:
            target = str(answer.next_request.url).removesuffix(f"/admin/v1{path}")
            raise click.ClickException(
                plain(f"the server at {self._server.url} redirects to {target}: set PADDOCK_URL to that")
            )

    def _content(self, answer: httpx2.Response) -> Json:
        self._refused(answer)
        answer.read()
        content = _json(answer)
        if not isinstance(content, dict):
            raise click.ClickException(f"what answers at {self._server.url} is no Paddock")
        return content

    def _refused(self, answer: httpx2.Response) -> None:
        if answer.is_success:
            return
        answer.read()
        message, code = _error(answer)
        if answer.status_code == httpx2.codes.UNAUTHORIZED:
            raise self._server.refused(message, code)
        raise click.ClickException(plain(message))


def _error(answer: httpx2.Response) -> tuple[str, str | None]:
    """What is wrong, in words and as a code."""
    match _json(answer):
        case {"error": {"message": str(message), "code": str(code)}}:
            return message, code
        case {"error": {"message": str(message)}}:
            return message, None
        case _:
            return f"the server answers {answer.status_code} {answer.reason_phrase}", None


def _json(answer: httpx2.Response) -> Any:
    """None when it is none."""
    try:
        return answer.json()
    except ValueError:
        return None
