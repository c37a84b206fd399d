"""The embedded Redis as the rate limiter meets it."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from core.storage.embedded.redis import open_redis
from tests.conftest import quiet


async def server_pid(url: str) -> int:
    async with Redis.from_url(url) as client:
        return int((await client.info("server"))["process_id"])


async def test_it_answers_on_a_private_socket_and_on_no_port(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        assert await client.set("greeting", "hello", ex=5)
        assert await client.get("greeting") == b"hello"
        settings = await client.config_get("*")
    assert settings["port"] == "0"
    assert settings["save"] == ""
    assert settings["maxmemory-policy"] == "volatile-ttl"
    assert Path(redis_url.removeprefix("unix://")).parent.stat().st_mode & 0o077 == 0


async def test_it_never_runs_as_root(redis_url: str) -> None:
    pid = await server_pid(redis_url)
    assert Path(f"/proc/{pid}").stat().st_uid != 0


async def test_a_killed_redis_is_started_again_and_the_operator_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    async with open_redis(tmp_path, notify=told.append) as url:
        first = await server_pid(url)
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(30):
            while await pid_or_none(url) in (None, first):
                await asyncio.sleep(0.05)
    assert any("SIGKILL" in message for message in told)


async def pid_or_none(url: str) -> int | None:
    try:
        return await server_pid(url)
    except (RedisError, OSError):
        return None


async def test_nothing_is_left_when_it_stops(tmp_path: Path) -> None:
    async with open_redis(tmp_path, notify=quiet) as url:
        pid = await server_pid(url)
        socket = Path(url.removeprefix("unix://"))
    assert not Path(f"/proc/{pid}").exists()
    assert not socket.exists()


@pytest.mark.parametrize("name", ["with space", "ünïcode, comma: colon", "x" * 150])
async def test_any_name_of_a_home_will_do(tmp_path: Path, name: str) -> None:
    home = tmp_path / name
    async with open_redis(home, notify=quiet) as url, Redis.from_url(url) as client:
        assert await client.ping()
