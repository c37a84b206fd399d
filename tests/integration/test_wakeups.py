"""Hints between processes, through a real Redis."""

import asyncio

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


async def test_a_redis_that_takes_connections_and_never_answers_keeps_no_hints() -> None:
    silent: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: silent.append(writer), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with open_wakeups(f"redis://127.0.0.1:{port}/0") as wakeups:
        for first in range(0, 5 * MOST_NEWS, 100):
            wakeups.publish([f"resp_{n}" for n in range(first, first + 100)])
            await asyncio.sleep(0)
        assert wakeups.unsent <= MOST_NEWS
        async with asyncio.timeout(30):
            while wakeups.unsent:  # each lot is given up, and none is kept for later
                await asyncio.sleep(0.1)
    server.close()
    for writer in silent:
        writer.close()
    await asyncio.gather(*(writer.wait_closed() for writer in silent), return_exceptions=True)
