"""API keys from the command line, through the admin API."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click
from openai import APIConnectionError, APIStatusError, AuthenticationError, OpenAI

from api.chat import message_of, plain
from api.client import Server


class Keys:
    def __init__(self, server: Server) -> None:
        self._server = server
        self._client = OpenAI(base_url=f"{server.url}/admin/v1", api_key=server.key, max_retries=1, timeout=30)

    def create(self, body: Mapping[str, Any]) -> dict[str, Any]:
        with self._told():
            return self._client.post("/keys", body=dict(body), cast_to=dict[str, Any])

    def all(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        with self._told():
            page: dict[str, Any] = {"has_more": True}
            while page["has_more"]:
                query = {"after": found[-1]["id"]} if found else {}
                page = self._client.get("/keys", cast_to=dict[str, Any], options={"params": query})
                found += page["data"]
        return found

    def revoke(self, key_id: str) -> dict[str, Any]:
        with self._told():
            return self._client.delete(f"/keys/{key_id}", cast_to=dict[str, Any])

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
