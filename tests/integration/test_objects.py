"""One contract for both kinds of object storage, the S3 one spoken to a server in a process of its own."""

import asyncio
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, BinaryIO

import boto3
import pytest

from core.errors import ConfigurationError, InvalidRequest, NotFound, TooLarge
from core.storage import object_directory
from core.storage.objects import Objects, ObjectsUnavailable, open_objects, read

MEGABYTE = 2**20
PAGE = 100
"""Of the S3 server here. Amazon's have a thousand objects, and who fills one is long about it."""
MORE_THAN_A_PAGE = {"file": 2 * object_directory.PAGE + 100, "s3": 2 * PAGE + 50}


@contextmanager
def s3_server(log: Path) -> Iterator[str]:
    with log.open("wb") as output:
        command = (sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0")
        environment = {**os.environ, "MOTO_S3_DEFAULT_MAX_KEYS": str(PAGE)}
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    try:
        deadline = time.monotonic() + 60
        while not (found := re.search(rb"Running on (http://127\.0\.0\.1:\d+)", log.read_bytes())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield found[1].decode()
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with s3_server(tmp_path_factory.mktemp("s3") / "log") as endpoint:
        yield endpoint


@pytest.fixture(params=["file", "s3"])
async def objects(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Objects]:
    if request.param == "file":
        url = f"file://{tmp_path}/objects%20here"
    else:
        endpoint = request.getfixturevalue("s3")
        name = re.sub(r"\W", "-", tmp_path.name.lower())[-40:].strip("-")
        client = boto3.client(
            "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="s"
        )
        client.create_bucket(Bucket=name)
        client.close()
        url = f"s3://k:s@{name}/in/here?endpoint={endpoint}&region=us-east-1"
    async with open_objects(url) as opened:
        yield opened


async def body(*pieces: bytes) -> AsyncGenerator[bytes, None]:
    for piece in pieces:
        yield piece


async def keys(objects: Objects, prefix: str = "") -> list[str]:
    return [entry.key async for entry in objects.list(prefix)]


async def test_what_was_put_is_read_back(objects: Objects) -> None:
    stored = await objects.put("sha256/ab/cd", body(b"one ", b"", b"two"))
    assert (stored.key, stored.bytes) == ("sha256/ab/cd", 7)
    assert await read(objects, "sha256/ab/cd", limit_bytes=7) == b"one two"
    assert await objects.exists("sha256/ab/cd")


async def test_a_file_becomes_an_object_from_this_file_system_or_another(objects: Objects, tmp_path: Path) -> None:
    for n, folder in enumerate((tmp_path, Path("/dev/shm"))):
        with NamedTemporaryFile(dir=folder, delete=False) as file:
            file.write(b"x" * 3 * MEGABYTE)
        try:
            await objects.put(f"taken/{n}", body(b"before"))
            await objects.take(f"taken/{n}", Path(file.name))
        finally:
            Path(file.name).unlink(missing_ok=True)
        assert await read(objects, f"taken/{n}", limit_bytes=3 * MEGABYTE) == b"x" * 3 * MEGABYTE
    assert await keys(objects) == ["taken/0", "taken/1"]
    with pytest.raises(ObjectsUnavailable):
        await objects.take("taken/2", tmp_path / "nowhere")


@pytest.mark.parametrize("method", ["put", "take"])
async def test_what_is_given_up_amid_its_last_step_is_in_the_directory_before_its_caller_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    begun, go_on, publish = threading.Event(), threading.Event(), object_directory._publish

    def slowly(file: BinaryIO, unfinished: Path, path: Path) -> None:
        begun.set()
        go_on.wait(60)
        publish(file, unfinished, path)

    monkeypatch.setattr(object_directory, "_publish", slowly)
    given = tmp_path / "given"
    given.write_bytes(b"personal")
    async with open_objects(f"file://{tmp_path}/objects") as objects:
        storing: Any = objects.put("a", body(b"personal")) if method == "put" else objects.take("a", given)
        doing = asyncio.ensure_future(storing)
        await asyncio.to_thread(begun.wait, 60)
        doing.cancel()
        asyncio.get_running_loop().call_later(0.3, go_on.set)
        with pytest.raises(asyncio.CancelledError):
            await doing
        assert await keys(objects) == (["a"] if method == "put" else [])  # which who has put it removes
        await objects.delete("a")
    assert not [path for path in (tmp_path / "objects").rglob("*") if path.is_file()]


async def test_an_empty_object_is_an_object(objects: Objects) -> None:
    await objects.put("empty", body())
    assert await read(objects, "empty", limit_bytes=0) == b""


async def test_a_large_object_streams_in_pieces(objects: Objects) -> None:
    large = bytes(range(256)) * (12 * MEGABYTE // 256)
    await objects.put("large", body(*(large[at : at + MEGABYTE] for at in range(0, len(large), MEGABYTE))))
    pieces = [piece async for piece in objects.stream("large")]
    assert b"".join(pieces) == large
    assert len(pieces) > 10


async def test_a_second_put_replaces_the_first(objects: Objects) -> None:
    await objects.put("a", body(b"first, longer"))
    await objects.put("a", body(b"second"))
    assert await read(objects, "a", limit_bytes=100) == b"second"


async def test_what_is_not_there_is_not_found(objects: Objects) -> None:
    await objects.put("a/b", body(b"x"))
    for key in ("nothing", "a", "a/b/c"):
        with pytest.raises(NotFound):
            await read(objects, key, limit_bytes=100)
        assert not await objects.exists(key)
        await objects.delete(key)


async def test_a_deleted_object_is_gone(objects: Objects) -> None:
    await objects.put("a", body(b"x"))
    await objects.delete("a")
    assert not await objects.exists("a")
    assert await keys(objects) == []


async def test_objects_are_listed_in_order_of_key_by_the_beginning_of_it(objects: Objects) -> None:
    names = ["a", "a-b", "a.b", "a/b", "a/b/c", "a0", "b/1", "b/10", "b/2"]
    for name in reversed(names):
        await objects.put(name, body(b"x"))
    assert await keys(objects) == names
    assert await keys(objects, "b/1") == ["b/1", "b/10"]
    assert await keys(objects, "a/") == ["a/b", "a/b/c"]
    assert await keys(objects, "c") == []


async def test_more_objects_than_a_page_are_all_listed(objects: Objects, request: pytest.FixtureRequest) -> None:
    names = [f"n/{number:04}" for number in range(MORE_THAN_A_PAGE[request.node.callspec.params["objects"]])]
    for name in names:
        await objects.put(name, body(b""))
    assert await keys(objects) == names


@pytest.mark.parametrize("sent", [(b"x" * 11,), (b"x" * 6, b"x" * 6)])
async def test_a_body_over_the_limit_is_refused_and_leaves_nothing(objects: Objects, sent: tuple[bytes, ...]) -> None:
    with pytest.raises(TooLarge):
        await objects.put("big", body(*sent), limit_bytes=10)
    assert await keys(objects) == []


async def test_an_object_over_the_readers_limit_is_not_read_whole(objects: Objects) -> None:
    await objects.put("big", body(b"x" * 11))
    with pytest.raises(TooLarge):
        await read(objects, "big", limit_bytes=10)


async def test_a_put_that_is_given_up_leaves_what_was_there(objects: Objects) -> None:
    await objects.put("a", body(b"before"))
    arrived = asyncio.Event()

    async def endless() -> AsyncGenerator[bytes, None]:
        yield b"after"
        arrived.set()
        await asyncio.sleep(600)

    putting = asyncio.create_task(objects.put("a", endless()))
    await arrived.wait()
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    assert await read(objects, "a", limit_bytes=100) == b"before"
    assert await keys(objects) == ["a"]


async def test_a_reader_that_leaves_early_leaves_nothing_open(objects: Objects) -> None:
    await objects.put("a", body(b"x" * MEGABYTE))
    pieces = objects.stream("a")
    assert await anext(pieces)
    await pieces.aclose()
    await objects.delete("a")
    assert not await objects.exists("a")


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/",
        "/etc/passwd",
        "../x",
        "a/../../x",
        "a//b",
        "a/",
        ".",
        "..",
        "a/.",
        ".unfinished/x",
        "a\\b",
        "a\0b",
        "a b",
        "ü",
        "~",
    ],
)
async def test_a_key_that_could_leave_its_place_is_refused(objects: Objects, key: str) -> None:
    for act in (objects.exists(key), objects.delete(key), objects.put(key, body(b"x")), read(objects, key, limit_bytes=1)):
        with pytest.raises(InvalidRequest):
            await act
    assert await keys(objects) == []


async def test_a_key_of_any_length_is_refused_past_the_limit(objects: Objects) -> None:
    with pytest.raises(InvalidRequest):
        await objects.put("a/" * 300 + "a", body(b"x"))


async def test_it_says_that_it_can_be_written_to(objects: Objects) -> None:
    await objects.check()


async def test_a_directory_that_vanished_is_unavailable(tmp_path: Path) -> None:
    async with open_objects(f"file://{tmp_path}/objects") as objects:
        await objects.put("a", body(b"x"))
        (tmp_path / "objects" / ".unfinished").rmdir()
        with pytest.raises(ObjectsUnavailable):
            await objects.check()


async def test_what_a_crash_left_unfinished_goes_at_the_next_start(tmp_path: Path) -> None:
    left_over = tmp_path / "objects" / ".unfinished" / "half"
    left_over.parent.mkdir(parents=True)
    left_over.write_bytes(b"ha")
    async with open_objects(f"file://{tmp_path}/objects"):
        assert left_over.exists(), "another process may be writing it"
    os.utime(left_over, (0, 0))
    async with open_objects(f"file://{tmp_path}/objects") as objects:
        assert await keys(objects) == []
    assert not left_over.exists()


async def test_a_bucket_or_a_server_that_is_not_there_is_unavailable(s3: str) -> None:
    for url in (f"s3://k:s@nowhere?endpoint={s3}", "s3://k:s@nowhere?endpoint=http://127.0.0.1:9"):
        async with open_objects(f"{url}&region=us-east-1") as objects:
            with pytest.raises(ObjectsUnavailable):
                await objects.check()
            with pytest.raises(ObjectsUnavailable):
                await read(objects, "a", limit_bytes=1)


@pytest.mark.parametrize("url", ["file://relative/path", "file://", "s3://", "ftp://x/y", "s3://bucket?endpiont=http://x", "x"])
async def test_an_address_that_means_nothing_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="objects_url"):
        async with open_objects(url):
            pass
