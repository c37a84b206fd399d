"""The admin API from the command line. It knows no resource; what the server refuses is a message, not a traceback."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from shutil import copyfileobj
from typing import Any, BinaryIO
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import click
from openai import APIConnectionError, APIStatusError, AuthenticationError, NotFoundError, OpenAI

from api.chat import message_of, plain
from api.client import Server

Json = dict[str, Any]
PATIENCE_SECONDS = 900.0  # a dry run takes as long as its tool may


class Admin:
    """Paths are those below /admin/v1. Every method raises `ClickException`."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._client = OpenAI(base_url=f"{server.url}/admin/v1", api_key=server.key, max_retries=0, timeout=PATIENCE_SECONDS)

    def get(self, path: str, **query: Any) -> Json:
        with self._told():
            return self._client.get(path, cast_to=Json, options={"params": query})

    def find(self, path: str) -> Json | None:
        """None when there is no such thing."""
        with self._told():
            try:
                return self._client.get(path, cast_to=Json)
            except NotFoundError:
                return None

    def all(self, path: str, **query: Any) -> Iterator[Json]:
        """Page after page."""
        page: Json = {"has_more": True}
        while page["has_more"]:
            after = {"after": page["last_id"]} if page.get("last_id") else {}
            page = self.get(path, **query, **after)
            yield from page["data"]

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Json:
        with self._told():
            return self._client.post(path, body=dict(body or {}), cast_to=Json)

    def delete(self, path: str) -> Json:
        with self._told():
            return self._client.delete(path, cast_to=Json)

    def save(self, path: str, target: BinaryIO) -> int:
        """The bytes of a file, however many, into the target; how many they were."""
        headers = {"authorization": f"Bearer {self._server.key}"}
        request = Request(f"{self._server.url}/admin/v1{path}", headers=headers)  # noqa: S310 - the server's address
        try:
            with urlopen(request, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310
                copyfileobj(answer, target, 2**18)
        except HTTPError as exc:
            with exc:
                raise click.ClickException(f"{path}: the server answers {exc.code} {exc.reason}") from exc
        except OSError as exc:
            raise self._server.unreachable() from exc
        return target.tell()

    def close(self) -> None:
        self._client.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except AuthenticationError as exc:
            raise self._server.refused() from exc
        except APIConnectionError as exc:
            raise self._server.unreachable() from exc
        except APIStatusError as exc:
            raise click.ClickException(plain(message_of(exc))) from exc
