"""Files over a real database and a real directory: kept once, counted, held on to, and gone without a trace."""

import asyncio
import hashlib
import resource
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Self

import pytest
import sqlalchemy as sa

from core.config import Files as FileLimits
from core.errors import InvalidRequest, NotFound, TooLarge, Unavailable
from core.files.files import FileDamaged, Files
from core.files.names import checked_name
from core.storage.database import Database
from core.storage.files import Allowed, FileInUse, FileStore, StorageUsedUp
from core.storage.objects import ObjectsFull, open_objects
from core.storage.records import File
from core.storage.tables import audit_records, blobs, files
from tests.integration.conftest import Tenant

LIMITS = FileLimits(largest_bytes=1000, organization_bytes=2500, organization_files=9)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "objects"


@pytest.fixture
async def shelf(database: Database, folder: Path) -> AsyncIterator[Files]:
    async with open_objects(f"file://{folder}") as objects:
        yield Files(FileStore(database), objects, LIMITS)


def on_disk(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def pieces_of(*pieces: bytes) -> AsyncGenerator[bytes, None]:
    for piece in pieces:
        yield piece


async def put(shelf: Files, tenant: Tenant, content: bytes, *, name: str = "a.txt", seconds: int | None = None) -> File:
    async with shelf.receiving(tenant.principal, least=len(content), most=len(content)) as upload:
        await shelf.receive(upload, pieces_of(content))
        return await shelf.keep(upload, filename=name, purpose="user_data", seconds=seconds)


async def whole(shelf: Files, tenant: Tenant, file_id: str) -> bytes:
    _, pieces = await shelf.content(tenant.principal, file_id)
    async with aclosing(pieces):
        return b"".join([piece async for piece in pieces])


async def rows_of(database: Database, tenant: Tenant, table: sa.Table) -> int:
    async with database.tenant(tenant.principal.organization_id) as connection:
        return int(await connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0)


async def test_the_same_bytes_are_kept_once_in_an_organization_and_go_with_their_last_file(
    shelf: Files, folder: Path, database: Database, tenant: Tenant, other_tenant: Tenant
) -> None:
    first, second = await put(shelf, tenant, b"same"), await put(shelf, tenant, b"same", name="b.txt")
    theirs = await put(shelf, other_tenant, b"same")
    assert first.sha256 == second.sha256 == theirs.sha256 == hashlib.sha256(b"same").hexdigest()
    assert first.blob_key == second.blob_key != theirs.blob_key
    assert len(on_disk(folder)) == 2
    await shelf.delete(tenant.principal, first.id)
    assert await whole(shelf, tenant, second.id) == b"same"
    await shelf.delete(tenant.principal, second.id)
    assert len(on_disk(folder)) == 1
    assert await whole(shelf, other_tenant, theirs.id) == b"same"
    assert await rows_of(database, tenant, blobs) == 0


async def test_files_that_come_and_go_at_once_lose_no_bytes_and_leave_none(
    shelf: Files, folder: Path, database: Database, tenant: Tenant
) -> None:
    async def come_and_go() -> None:
        for _ in range(5):
            file = await put(shelf, tenant, b"x" * 100)
            assert await whole(shelf, tenant, file.id) == b"x" * 100
            await shelf.delete(tenant.principal, file.id)

    kept = await put(shelf, tenant, b"y")
    await asyncio.gather(*(come_and_go() for _ in range(6)))
    assert len(on_disk(folder)) == await rows_of(database, tenant, blobs) == 1
    assert await whole(shelf, tenant, kept.id) == b"y"


async def test_another_organizations_file_is_not_there(shelf: Files, tenant: Tenant, other_tenant: Tenant) -> None:
    file = await put(shelf, tenant, b"mine")
    who = other_tenant.principal
    for attempt in (
        shelf.get(who.organization_id, file.id),
        shelf.content(who, file.id),
        shelf.read(who.organization_id, file.id, limit_bytes=9),
        shelf.delete(who, file.id),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert not (await shelf.list(who.organization_id, purpose=None, after=None, limit=9, descending=True)).rows
    assert not (await shelf.list(who.organization_id, purpose=None, after=file.id, limit=9, descending=True)).rows
    with pytest.raises(InvalidRequest, match="in this list"):
        await shelf.list(who.organization_id, purpose=None, after="nonsense", limit=9, descending=True)
    assert await whole(shelf, tenant, file.id) == b"mine"


async def test_files_can_be_listed_and_deleted_page_by_page(shelf: Files, tenant: Tenant) -> None:
    who = tenant.principal
    made = {(await put(shelf, tenant, str(n).encode())).id for n in range(5)}
    seen, after = set(), None
    while (page := await shelf.list(who.organization_id, purpose=None, after=after, limit=2, descending=False)).rows:
        for file in page.rows:
            await shelf.delete(who, file.id)
            seen.add(after := file.id)
    assert seen == made


async def test_what_is_too_large_is_refused_before_or_while_it_comes_and_leaves_nothing(
    shelf: Files, folder: Path, database: Database, tenant: Tenant
) -> None:
    with pytest.raises(TooLarge, match="1000 bytes"):
        await put(shelf, tenant, b"x" * 1001)
    with pytest.raises(TooLarge, match="1000 bytes"):
        async with shelf.receiving(tenant.principal, least=0, most=10**9) as upload:
            await shelf.receive(upload, pieces_of(*[b"x" * 100] * 11))
    assert not on_disk(folder)
    assert await rows_of(database, tenant, blobs) == 0


async def test_an_organization_keeps_no_more_than_it_may_uploads_on_their_way_included(
    shelf: Files, database: Database, tenant: Tenant, other_tenant: Tenant
) -> None:
    await put(shelf, tenant, b"a" * 1000)
    await put(shelf, tenant, b"a" * 1000)  # the same bytes count once
    async with shelf.receiving(tenant.principal, least=900, most=1000):
        with pytest.raises(StorageUsedUp, match="of which 500 are left"):
            await put(shelf, tenant, b"b" * 501)
        async with shelf.receiving(tenant.principal, least=0, most=1000) as upload:
            with pytest.raises(TooLarge, match="the 500 bytes that there is room for"):
                await shelf.receive(upload, pieces_of(b"c" * 501))
    await put(shelf, tenant, b"b" * 501)
    await put(shelf, other_tenant, b"b" * 1000)


async def test_files_that_weigh_nothing_are_counted_too(shelf: Files, tenant: Tenant, other_tenant: Tenant) -> None:
    for _ in range(9):
        await put(shelf, tenant, b"")
    with pytest.raises(StorageUsedUp, match="9 files"):
        await put(shelf, tenant, b"")
    await put(shelf, other_tenant, b"")


async def test_of_uploads_that_come_at_once_no_more_are_kept_than_there_may_be(
    shelf: Files, folder: Path, database: Database, tenant: Tenant
) -> None:
    for _ in range(8):
        await put(shelf, tenant, b"")
    who = tenant.principal
    async with shelf.receiving(who, least=0, most=10) as one, shelf.receiving(who, least=0, most=10) as other:
        await shelf.receive(one, pieces_of(b"1"))
        await shelf.receive(other, pieces_of(b"2"))
        await shelf.keep(one, filename="x", purpose="user_data", seconds=None)
        with pytest.raises(StorageUsedUp, match="9 files"):
            await shelf.keep(other, filename="x", purpose="user_data", seconds=None)
    assert await rows_of(database, tenant, files) == 9
    assert len(on_disk(folder)) == await rows_of(database, tenant, blobs) == 2


async def test_an_upload_that_breaks_off_leaves_nothing(shelf: Files, folder: Path, database: Database, tenant: Tenant) -> None:
    begun = asyncio.Event()

    async def stalls() -> AsyncGenerator[bytes, None]:
        yield b"half"
        begun.set()
        await asyncio.Event().wait()

    async def upload() -> None:
        async with shelf.receiving(tenant.principal, least=0, most=100) as upload:
            await shelf.receive(upload, stalls())

    task = asyncio.create_task(upload())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not on_disk(folder)
    assert await rows_of(database, tenant, blobs) == 0


async def test_what_a_process_that_died_left_is_swept_and_what_is_being_uploaded_is_not(
    shelf: Files, folder: Path, database: Database, tenant: Tenant
) -> None:
    organization_id = tenant.principal.organization_id
    store = FileStore(database)
    for name, hours in (("dead", 3), ("alive", 1)):
        key = f"files/{organization_id}/{name}"
        await store.reserve(organization_id, key, least=0, most=10, allowed=Allowed(bytes=1000, files=10))
        (folder / f"files/{organization_id}").mkdir(parents=True, exist_ok=True)
        (folder / f"{key}~").write_bytes(b"half of it")
        async with database.everyone() as connection:
            made = sa.func.now() - sa.text(f"interval '{hours} hours'")
            await connection.execute(sa.update(blobs).where(blobs.c.key == key).values(created_at=made))
    await shelf.sweep()
    assert [path.name for path in on_disk(folder)] == ["alive~"]
    assert await rows_of(database, tenant, blobs) == 1


async def test_a_server_whose_clock_is_ahead_takes_no_upload_of_another(
    shelf: Files, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ahead(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(hours=3)

    async def slowly() -> AsyncGenerator[bytes, None]:
        yield b"half"
        with monkeypatch.context() as patched:
            patched.setattr("core.files.files.datetime", Ahead)
            await shelf.sweep()
        yield b"whole"

    async with shelf.receiving(tenant.principal, least=0, most=100) as upload:
        await shelf.receive(upload, slowly())
        file = await shelf.keep(upload, filename="a", purpose="user_data", seconds=None)
    assert await whole(shelf, tenant, file.id) == b"halfwhole"


async def test_a_file_that_was_kept_is_no_garbage_whatever_its_upload_believes(
    shelf: Files, database: Database, tenant: Tenant
) -> None:
    """As when the client leaves after the commit and before its answer."""
    async with shelf.receiving(tenant.principal, least=0, most=100) as upload:
        await shelf.receive(upload, pieces_of(b"kept"))
        file = await shelf.keep(upload, filename="a", purpose="user_data", seconds=None)
        upload.kept = False
    assert await whole(shelf, tenant, file.id) == b"kept"


async def test_a_file_whose_time_is_over_is_not_there_and_its_bytes_go(
    shelf: Files, folder: Path, database: Database, tenant: Tenant
) -> None:
    file, stays = await put(shelf, tenant, b"short", seconds=3600), await put(shelf, tenant, b"long")
    assert file.expires_at is not None
    assert (file.expires_at - file.created_at).total_seconds() == pytest.approx(3600, abs=60)
    async with database.everyone() as connection:
        await connection.execute(sa.update(files).where(files.c.id == file.id).values(expires_at=sa.func.now()))
    with pytest.raises(NotFound):
        await shelf.get(tenant.principal.organization_id, file.id)
    listed = await shelf.list(tenant.principal.organization_id, purpose=None, after=None, limit=9, descending=True)
    assert [row.id for row in listed.rows] == [stays.id]
    await shelf.sweep()
    assert len(on_disk(folder)) == 1
    assert await rows_of(database, tenant, files) == 1


async def test_a_pinned_file_stays_until_its_holder_lets_go(
    shelf: Files, database: Database, tenant: Tenant, other_tenant: Tenant
) -> None:
    store, organization_id = FileStore(database), tenant.principal.organization_id
    file = await put(shelf, tenant, b"module", seconds=3600)
    for _ in range(2):
        async with database.tenant(organization_id) as connection:
            await store.pin(connection, organization_id, file.id, "tool fx")
    with pytest.raises(NotFound):
        async with database.tenant(other_tenant.principal.organization_id) as connection:
            await store.pin(connection, other_tenant.principal.organization_id, file.id, "tool of mine")
    assert (await shelf.get(organization_id, file.id)).expires_at is None
    with pytest.raises(FileInUse, match="tool fx"):
        await shelf.delete(tenant.principal, file.id)
    async with database.tenant(organization_id) as connection:
        await store.unpin(connection, organization_id, "tool fx")
    await shelf.delete(tenant.principal, file.id)


async def test_bytes_that_rotted_are_not_given_to_who_reads_them_whole(shelf: Files, folder: Path, tenant: Tenant) -> None:
    file = await put(shelf, tenant, b"component")
    assert await shelf.read(tenant.principal.organization_id, file.id, limit_bytes=9) == b"component"
    with pytest.raises(TooLarge):
        await shelf.read(tenant.principal.organization_id, file.id, limit_bytes=8)
    (folder / f"{file.blob_key}~").write_bytes(b"componenT")
    with pytest.raises(Unavailable, match="damaged"):
        await shelf.read(tenant.principal.organization_id, file.id, limit_bytes=9)


@pytest.mark.parametrize("rotten", [b"componenT", b"component and more", None], ids=["changed", "longer", "gone"])
async def test_bytes_that_rotted_are_not_taken_for_an_upload_which_mends_all_files_that_have_them(
    shelf: Files, folder: Path, database: Database, tenant: Tenant, rotten: bytes | None
) -> None:
    who = tenant.principal
    first, second = await put(shelf, tenant, b"component"), await put(shelf, tenant, b"component")
    stored = folder / f"{first.blob_key}~"
    stored.unlink() if rotten is None else stored.write_bytes(rotten)
    for _ in range(2):
        with pytest.raises(FileDamaged):
            await shelf.read(who.organization_id, first.id, limit_bytes=9)
    assert (await shelf.get(who.organization_id, first.id)).sha256 == first.sha256
    third = await put(shelf, tenant, b"component")
    for file in (first, second, third):
        assert await shelf.read(who.organization_id, file.id, limit_bytes=9) == b"component"
    await shelf.sweep()
    assert len(on_disk(folder)) == await rows_of(database, tenant, blobs) == 1
    for file in (first, second, third):
        assert await whole(shelf, tenant, file.id) == b"component"
        await shelf.delete(who, file.id)
    assert len(on_disk(folder)) == await rows_of(database, tenant, blobs) == 0


async def test_what_is_done_with_a_file_is_in_the_audit_log_without_its_name(
    shelf: Files, database: Database, tenant: Tenant
) -> None:
    file = await put(shelf, tenant, b"x", name="my salary.txt")
    await whole(shelf, tenant, file.id)
    await shelf.delete(tenant.principal, file.id)
    query = sa.select(sa.cast(audit_records.c.record, sa.Text)).order_by(audit_records.c.id)
    async with database.everyone() as connection:
        told = [text for text in await connection.scalars(query) if file.id in text]
    assert len(told) == 3
    for text, kind in zip(told, ("file.uploaded", "file.read", "file.deleted"), strict=True):
        assert f'"{kind}"' in text
        assert file.sha256 in text
        assert "salary" not in text


async def test_a_full_disk_is_told_and_leaves_nothing(shelf: Files, folder: Path, database: Database, tenant: Tenant) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))  # this process writes no longer file, as on a disk without room
    try:
        with pytest.raises(ObjectsFull, match="full"):
            await put(shelf, tenant, b"x" * 101)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert not on_disk(folder)
    assert await rows_of(database, tenant, blobs) == 0
    await put(shelf, tenant, b"x" * 101)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\report.pdf", "report.pdf"),
        ("/etc/", None),
        ("..", None),
        ("", None),
        ("  ", None),
        ("a\r\nset-cookie: b", None),
        ("a\x00b", None),
        ("invoice\u202efdp.exe", None),
        ("\ud800", None),
        ("x" * 256, None),
        ("über 图.txt", "über 图.txt"),
    ],
)
def test_a_name_is_no_path_and_hides_nothing(given: str, kept: str | None) -> None:
    if kept is not None:
        assert checked_name(given) == kept
    else:
        with pytest.raises(InvalidRequest):
            checked_name(given)
