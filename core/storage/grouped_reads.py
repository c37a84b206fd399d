"""Reads of one row by a unique key that many ask for at once: one statement answers all who asked while the last one ran."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import asyncpg

from core.storage.connection import LOST, REFUSED, DatabaseUnavailable, refusal

ANSWER_SECONDS = 10.0


class GroupedReads:
    """It has one connection of its own, opened at the first question and again after it was lost."""

    def __init__(self, connect: "Callable[[], Awaitable[asyncpg.Connection[Any]]]") -> None:
        self._connect = connect
        self._connection: asyncpg.Connection[Any] | None = None
        self._asked: dict[str, dict[str, asyncio.Future[asyncpg.Record | None]]] = {}
        self._answering: asyncio.Task[None] | None = None

    async def find(self, query: str, key: str) -> "asyncpg.Record | None":
        """query: takes the keys as one array, and gives the key first in each row. The answer is no older than the question.

        Raises DatabaseUnavailable.
        """
        asked = self._asked.setdefault(query, {})
        if key not in asked:
            asked[key] = asyncio.get_running_loop().create_future()
        answer = asked[key]
        if self._answering is None or self._answering.done():
            self._answering = asyncio.create_task(self._answer(), name="grouped reads")
        return await asyncio.shield(answer)

    async def close(self) -> None:
        if self._answering is not None:
            await asyncio.wait([self._answering])
        await self._disconnect()

    async def _answer(self) -> None:
        while self._asked:
            query = next(iter(self._asked))  # the one that has waited longest: each has its turn
            asked = self._asked.pop(query)
            try:
                found = {row[0]: row for row in await self._fetch(query, list(asked))}
            except (DatabaseUnavailable, asyncpg.PostgresError) as exc:
                for answer in asked.values():
                    answer.set_exception(exc)
                    answer.exception()  # seen, also where who asked has left
            else:
                for key, answer in asked.items():
                    answer.set_result(found.get(key))

    async def _fetch(self, query: str, keys: list[str]) -> list[asyncpg.Record]:
        """A connection that was lost meanwhile is replaced once."""
        known = self._connection
        try:
            if self._connection is None:
                self._connection = await self._connect()
            return await self._connection.fetch(query, keys, timeout=ANSWER_SECONDS)
        except (*LOST, TimeoutError) as exc:
            await self._disconnect()
            if known is None or isinstance(exc, TimeoutError):
                raise DatabaseUnavailable(f"PostgreSQL does not answer: {type(exc).__name__}") from exc
        except REFUSED as exc:
            raise refusal(exc) from exc
        return await self._fetch(query, keys)

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*LOST, TimeoutError):
                await connection.close(timeout=1)
