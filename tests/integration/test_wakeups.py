"""Hints between processes, through a real Redis."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
import redis.asyncio

from core.storage import wakeups
from core.storage.wakeups import CHANNEL, MOST_NEWS, open_wakeups


async def test_news_that_come_together_go_together_and_none_is_lost(redis_url: str) -> None:
    turn_ids = {f"resp_{n}" for n in range(100)}
    async with redis.asyncio.from_url(redis_url) as client, client.pubsub() as subscription, open_wakeups(redis_url) as hints:
        await subscription.subscribe(CHANNEL)
        for turn_id in turn_ids:
            hints.publish([turn_id])
        heard: list[str] = []
        messages = 0
        while set(heard) != turn_ids:
            message = await subscription.get_message(ignore_subscribe_messages=True, timeout=10)
            if message is not None:
                heard += message["data"].decode().split(" ")
                messages += 1
    assert len(heard) == len(turn_ids)
    assert messages < 10


async def test_a_reader_in_another_process_is_woken_by_a_hint(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakeups, "POLL_SECONDS", 60.0)
    async with asyncio.timeout(30), open_wakeups(redis_url) as here, open_wakeups(redis_url) as there:
        waiting = asyncio.create_task(there.wait("resp_1"))
        while not waiting.done():  # also before the subscription stands, when a hint finds nobody
            here.publish(["resp_2", "resp_1"])
            await asyncio.sleep(0.01)
        await waiting


async def test_a_hint_that_comes_while_somebody_reads_is_heard_when_he_waits(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakeups, "POLL_SECONDS", 60.0)
    async with asyncio.timeout(30), open_wakeups(redis_url) as hints:
        with hints.heard("resp_1") as news:
            waiting = asyncio.create_task(hints.wait("resp_1"))
            while not waiting.done():
                hints.publish(["resp_1"])
                await asyncio.sleep(0.01)
            await news()


@dataclass
class Relay:
    """A Redis behind an address. What goes over a connection before this one is swallowed, and the connection stays."""

    url: str = ""
    first: float = 0
    made: int = 0

    def carry_only_new_ones(self) -> None:
        self.first = self.made


@asynccontextmanager
async def relayed(redis_url: str) -> AsyncIterator[Relay]:
    relay = Relay()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mine, relay.made = relay.made, relay.made + 1
        there, back = await asyncio.open_unix_connection(urlsplit(redis_url).path)
        await asyncio.gather(pour(mine, reader, back), pour(mine, there, writer), return_exceptions=True)

    async def pour(mine: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            while data := await reader.read(65536):
                if mine >= relay.first:
                    writer.write(data)

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as server:
        relay.url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
        yield relay


async def test_a_redis_that_is_gone_without_a_word_is_looked_for_again(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakeups, "POLL_SECONDS", 60.0)
    monkeypatch.setattr(wakeups, "QUIET_SECONDS", 0.2)
    async with (
        asyncio.timeout(30),
        relayed(redis_url) as relay,
        open_wakeups(relay.url) as there,
        open_wakeups(redis_url) as here,
    ):
        for _ in range(2):
            waiting = asyncio.create_task(there.wait("resp_1"))
            while not waiting.done():
                here.publish(["resp_1"])
                await asyncio.sleep(0.05)
            await asyncio.sleep(1)  # longer than it may be quiet: it answers when it is asked
            assert relay.made == 1 + bool(relay.first)
            relay.carry_only_new_ones()


async def test_a_redis_that_takes_connections_and_never_answers_keeps_no_hints(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakeups, "SEND_SECONDS", 0.2)
    async with (
        redis.asyncio.from_url(redis_url) as client,
        client.pubsub() as subscription,
        relayed(redis_url) as relay,
        open_wakeups(relay.url) as hints,
    ):
        await subscription.subscribe(CHANNEL)
        relay.first = math.inf
        for first in range(0, 5 * MOST_NEWS, 100):
            hints.publish([f"resp_{n}" for n in range(first, first + 100)])
            await asyncio.sleep(0)
        await asyncio.sleep(1)  # each lot is given up, and none is kept for later
        relay.carry_only_new_ones()
        heard: set[str] = set()
        async with asyncio.timeout(30):
            while "resp_new" not in heard:
                hints.publish(["resp_new"])
                if message := await subscription.get_message(ignore_subscribe_messages=True, timeout=0.1):
                    heard |= set(message["data"].decode().split(" "))
        assert heard == {"resp_new"}
