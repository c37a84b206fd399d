"""A bucket that takes its time: nothing is left in it, and nothing else waits for it."""

import asyncio
import socketserver
import threading
from collections.abc import AsyncGenerator, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.config import Files as FileLimits
from core.errors import Unavailable
from core.files.files import Files
from core.storage.database import Database
from core.storage.files import FileStore
from core.storage.objects import open_objects
from core.storage.tables import blobs
from tests.integration.conftest import Tenant


class SlowBucket:
    """It stores, and answers, what was sent when it may go on. broken: it answers 500 before. late: then."""

    def __init__(self) -> None:
        self.kept: set[str] = set()
        self.broken = self.late = False
        self.asked, self.go_on = threading.Event(), threading.Event()
        bucket = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None: ...

            def _answer(self, status: int) -> None:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.send_header("ETag", '"x"')
                self.end_headers()

            def do_PUT(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                bucket.asked.set()
                if bucket.broken:
                    return self._answer(500)
                bucket.go_on.wait(60)
                bucket.kept.add(self.path)
                return self._answer(500 if bucket.late else 200)

            def do_DELETE(self) -> None:
                bucket.kept.discard(self.path)
                self._answer(204)

            def do_HEAD(self) -> None:
                self._answer(200)

        class Server(socketserver.ThreadingMixIn, HTTPServer):
            daemon_threads = True

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"s3://k:s@bucket?endpoint=http://127.0.0.1:{self.server.server_port}&region=us-east-1"


@pytest.fixture
def bucket() -> Iterator[SlowBucket]:
    slow = SlowBucket()
    thread = threading.Thread(target=slow.server.serve_forever)
    thread.start()
    yield slow
    slow.go_on.set()
    slow.server.shutdown()
    slow.server.server_close()
    thread.join()


async def body() -> AsyncGenerator[bytes, None]:
    yield b"personal"


async def upload(files: Files, tenant: Tenant) -> None:
    async with files.receiving(tenant.principal, least=1, most=100) as received:
        await files.receive(received, body())


async def test_an_upload_that_is_given_up_leaves_no_object(bucket: SlowBucket, database: Database, tenant: Tenant) -> None:
    async with open_objects(bucket.url) as objects:
        uploading = asyncio.create_task(upload(Files(FileStore(database), objects, FileLimits()), tenant))
        await asyncio.to_thread(bucket.asked.wait, 60)
        uploading.cancel()
        asyncio.get_running_loop().call_later(0.5, bucket.go_on.set)
        with pytest.raises(asyncio.CancelledError):
            await uploading
    assert bucket.kept == set()


async def test_an_upload_that_nobody_answered_is_looked_after_when_it_cannot_arrive_any_more(
    bucket: SlowBucket, database: Database, tenant: Tenant
) -> None:
    bucket.broken = True
    async with open_objects(bucket.url) as objects:
        files = Files(FileStore(database), objects, FileLimits())
        with pytest.raises(Unavailable):
            await upload(files, tenant)
        async with database.tenant(tenant.principal.organization_id) as connection:
            left = (await connection.execute(sa.select(blobs))).one()
        bucket.kept.add(f"/bucket/{left.key}")  # it arrives after all
        await files.sweep()
        assert (left.bytes, len(bucket.kept)) == (0, 1)
        async with database.everyone() as connection:
            await connection.execute(sa.text("UPDATE blobs SET created_at = now() - interval '3 hours' WHERE files = 0"))
        await files.sweep()
    assert bucket.kept == set()


@pytest.mark.parametrize("twice", [False, True], ids=["late answer", "given up twice"])
async def test_an_upload_that_is_given_up_before_anybody_knows_what_came_of_it_is_looked_after_later(
    bucket: SlowBucket, database: Database, tenant: Tenant, twice: bool
) -> None:
    bucket.late = True
    async with open_objects(bucket.url) as objects:
        files = Files(FileStore(database), objects, FileLimits())
        uploading = asyncio.create_task(upload(files, tenant))
        await asyncio.to_thread(bucket.asked.wait, 60)
        uploading.cancel()
        await asyncio.sleep(0.2)
        if twice:
            uploading.cancel()
        else:
            bucket.go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await uploading
        async with database.tenant(tenant.principal.organization_id) as connection:
            assert (await connection.execute(sa.select(blobs.c.bytes))).scalars().all() == [0]
        bucket.go_on.set()  # else its client waits for an answer until it gives up


@pytest.mark.parametrize("late", [False, True], ids=["stored", "late answer"])
async def test_a_file_that_is_given_up_while_it_is_taken_leaves_no_object_or_says_so(
    bucket: SlowBucket, tmp_path: Path, late: bool
) -> None:
    bucket.late = late
    file = tmp_path / "records.csv"
    file.write_bytes(b"personal")
    async with open_objects(bucket.url) as objects:
        taking = asyncio.create_task(objects.take("exports/records.csv", file))
        await asyncio.to_thread(bucket.asked.wait, 60)
        taking.cancel()
        asyncio.get_running_loop().call_later(0.5, bucket.go_on.set)
        with pytest.raises(asyncio.CancelledError) as given_up:
            await taking
        assert isinstance(given_up.value.__cause__, Unavailable) == late
    assert late or bucket.kept == set()


async def test_a_bucket_that_never_answers_is_not_waited_for(bucket: SlowBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.storage.objects.LAST_SECONDS", 0.2, raising=False)
    async with open_objects(bucket.url) as objects:
        uploading = asyncio.create_task(objects.put("a", body()))
        await asyncio.to_thread(bucket.asked.wait, 60)
        uploading.cancel()
        ended, _ = await asyncio.wait([uploading], timeout=20)
        bucket.go_on.set()
        assert ended
        with pytest.raises(asyncio.CancelledError) as given_up:
            await uploading
        assert isinstance(given_up.value.__cause__, Unavailable)


async def test_slow_uploads_leave_the_server_ready(bucket: SlowBucket) -> None:
    async with open_objects(bucket.url) as objects:
        uploads = [asyncio.create_task(objects.put(f"a/{n}", body())) for n in range(8)]
        await asyncio.to_thread(bucket.asked.wait, 60)
        async with asyncio.timeout(30):
            await objects.check()
        assert not any(uploading.done() for uploading in uploads)
        bucket.go_on.set()
        await asyncio.gather(*uploads)


async def test_who_leaves_a_bucket_that_hangs_still_hears_a_second_signal(bucket: SlowBucket) -> None:
    kept_then: list[int] = []

    def signal() -> None:
        kept_then.append(len(bucket.kept))
        bucket.go_on.set()

    async with open_objects(bucket.url) as objects:
        uploading = asyncio.create_task(objects.put("a", body()))
        await asyncio.to_thread(bucket.asked.wait, 60)
        uploading.cancel()
        asyncio.get_running_loop().call_later(0.2, signal)
    assert (kept_then, len(bucket.kept)) == ([0], 1)
