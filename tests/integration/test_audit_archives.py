"""Records that left the database for object storage are exported and proven as before; those whose time is over are gone."""

import gzip
import hashlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Self

import pytest
import sqlalchemy as sa

from core.audit import archiving
from core.audit.verification import verify
from core.errors import Conflict
from core.storage.audit import AuditRecord
from core.storage.audit_archives import ArchiveStore
from core.storage.audit_shapes import BrokenArchive, Filter, newest_in
from core.storage.embedded.postgres import EmbeddedPostgres
from core.storage.objects import read
from tests.integration.audit_stand import AuditStand, audit_stand
from tests.integration.conftest import make_tenant


@pytest.fixture
async def stand(postgres: EmbeddedPostgres, tmp_path: Path) -> AsyncIterator[AuditStand]:
    async with audit_stand(postgres, tmp_path) as opened:
        yield opened


async def archived(stand: AuditStand, times: int = 10, *, days: int = 10) -> list[str]:
    """Records that were sealed in three checkpoints, and archived."""
    ids: list[str] = []
    for _ in range(3):
        ids += await stand.act(times)
        await stand.seal_ago(days)
    await stand.archiver().run()
    return ids


async def in_the_database(stand: AuditStand) -> set[str]:
    async with stand.database.everyone() as connection:
        return set((await connection.execute(sa.text("SELECT id FROM audit_records"))).scalars())


async def objects_of(stand: AuditStand) -> list[str]:
    return [found.key async for found in stand.objects.list("audit/archives/")]


SHADOW = """
    CREATE TEMP TABLE audit_archives (id text, first_checkpoint bigint, last_checkpoint bigint, removed_at timestamptz);
    GRANT ALL ON pg_temp.audit_archives TO PUBLIC;
    INSERT INTO pg_temp.audit_archives VALUES ('archive_x', 1, 1, NULL);
    CREATE FUNCTION pg_temp.f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        UPDATE paddock.audit_records SET record = replace(record::text, 'success', 'refused')::json;
        RETURN NEW;
    END $$;
    CREATE TRIGGER t BEFORE UPDATE ON pg_temp.audit_archives FOR EACH ROW EXECUTE FUNCTION pg_temp.f()
"""


async def test_the_servers_login_neither_releases_nor_changes_anything_through_tables_of_its_own(stand: AuditStand) -> None:
    ids = await stand.act(5)
    await stand.sealer.seal()
    connection = await stand.database.connect()
    try:
        await connection.execute(SHADOW)
        assert await connection.fetchval("SELECT audit_release('archive_x')") == 0
        assert await connection.fetchval("SELECT audit_forget('archive_x')") == 0
        assert await connection.fetchval("SELECT count(*) FROM audit_records WHERE outcome = 'refused'") == 0
    finally:
        await connection.close()
    assert set(ids) <= await in_the_database(stand)


async def test_an_object_that_unfolds_without_end_is_no_archive_and_is_not_unfolded(monkeypatch: pytest.MonkeyPatch) -> None:
    def packed(text: bytes) -> bytes:
        return gzip.compress(b'[7,["' + text + b'"]]', mtime=0)

    assert newest_in(packed(b"x") + packed(b"y")) == 7
    monkeypatch.setattr("core.storage.audit_shapes.LARGEST_UNFOLDED", 2**20)
    for large in (packed(b" " * 2**20), packed(b" " * 2**19) * 2, gzip.compress(b"[7,[]"), gzip.compress(b"[7")):
        with pytest.raises(BrokenArchive):
            newest_in(large)


async def one_byte(value: bytes) -> AsyncIterator[bytes]:
    yield value


async def test_archived_records_are_exported_in_their_places_and_verify(stand: AuditStand, tmp_path: Path) -> None:
    other = await make_tenant(stand.database, "two")
    theirs = await stand.act(5, tenant=other)
    ids = await archived(stand)
    assert (await in_the_database(stand)).isdisjoint({*ids, *theirs})
    late = await stand.act(5)
    own = await stand.fetch(await stand.export(), tmp_path / "own")
    everybodys = await stand.fetch(await stand.export(organization_id="all", format="parquet"), tmp_path / "all")
    for directory in (own, everybodys):
        report = verify(directory, await stand.public_keys())
        assert (report.problems, report.removed, report.hidden) == ([], 0, 0)
    told = [json.loads(line)["id"] for line in (own / "records.jsonl").read_text().splitlines()]
    assert [id for id in told if id in {*ids, *late}] == [*ids, *late]
    assert set(told).isdisjoint(theirs)


async def test_a_filter_takes_the_same_of_what_is_archived(stand: AuditStand, tmp_path: Path) -> None:
    wanted = await stand.act(4, "tool.enabled")
    await archived(stand)
    now = datetime.now(UTC)
    for n, filter in enumerate(
        (
            Filter(kinds=("tool.e*", "x.y"), until=now + timedelta(days=1)),
            Filter(kinds=("tool.enabled",), since=now - timedelta(days=11)),
        )
    ):
        export = await stand.export(wanted=filter)
        directory = await stand.fetch(export, tmp_path / str(n))
        assert [json.loads(line)["id"] for line in (directory / "records.jsonl").read_text().splitlines()] == list(wanted)
        assert verify(directory, await stand.public_keys()).problems == []


async def test_an_archive_that_is_changed_or_gone_is_found_and_the_records_are_named(stand: AuditStand, tmp_path: Path) -> None:
    ids = await archived(stand)
    (key,) = await objects_of(stand)
    whole = await read(stand.objects, key, limit_bytes=2**20)
    await stand.objects.put(key, one_byte(whole[:40] + bytes([whole[40] ^ 1]) + whole[41:]))
    export = await stand.export()
    assert "its SHA-256 is not the one that was noted" in export.problems[0]
    await stand.objects.delete(key)
    export = await stand.export()
    assert "archive archive_" in export.problems[0]
    problems = verify(await stand.fetch(export, tmp_path / "gone"), await stand.public_keys()).problems
    assert sum("is missing" in problem for problem in problems) >= len(ids)


HOSTILE = (
    b"x",
    b"{}",
    b"[1]",
    b"7",
    b'[[1],["x"]]',
    b'[1e999,["x"]]',
    b'["x",[]]',
    b'[1,["\\ud800"]]',
    b"[1,7]",
    b"[" * 10**5,
    b"\xff",
)


async def test_whatever_stands_in_an_archives_place_an_export_is_made_and_names_what_is_missing(
    stand: AuditStand, tmp_path: Path
) -> None:
    ids = await archived(stand)
    (key,) = await objects_of(stand)
    for n, text in enumerate(HOSTILE):
        forged = gzip.compress(text)
        await stand.objects.put(key, one_byte(forged))
        parts = json.dumps({stand.tenant.principal.organization_id: [0, len(forged)]})
        await stand.tamper("UPDATE audit_archives SET parts = $1", parts)
        export = await stand.export()
        assert (export.error, len(export.problems) > 1) == (None, True), text
        problems = verify(await stand.fetch(export, tmp_path / str(n)), await stand.public_keys()).problems
        assert sum("is missing" in problem or "was changed" in problem for problem in problems) >= len(ids), text


async def test_one_archived_record_that_is_edited_is_named(stand: AuditStand, tmp_path: Path) -> None:
    """By somebody who can write both stores: the archive's digest is made to fit."""
    ids = await archived(stand)
    (key,) = await objects_of(stand)
    text = gzip.decompress(await read(stand.objects, key, limit_bytes=2**20)).decode()
    place = text.index(ids[7])
    forged = gzip.compress((text[:place] + text[place:].replace("success", "refused", 1)).encode())
    await stand.objects.put(key, one_byte(forged))
    parts = json.dumps({stand.tenant.principal.organization_id: [0, len(forged)]})
    digest = hashlib.sha256(forged).hexdigest()
    await stand.tamper("UPDATE audit_archives SET sha256 = $1, bytes = $2, parts = $3", digest, len(forged), parts)
    problems = verify(await stand.fetch(await stand.export(), tmp_path / "x"), await stand.public_keys()).problems
    assert any(ids[7] in problem and "was changed" in problem for problem in problems), problems


async def test_a_record_that_is_added_among_archived_ones_is_found(stand: AuditStand, tmp_path: Path) -> None:
    await archived(stand)
    stranger = AuditRecord.by(stand.tenant.principal, "tool.disabled", "tool_x")
    await stand.record(stranger)
    await stand.tamper("UPDATE audit_records SET moment = (SELECT first_moment FROM audit_checkpoints WHERE number = 2)")
    problems = verify(await stand.fetch(await stand.export(), tmp_path / "x"), await stand.public_keys()).problems
    assert any(stranger.id in problem and "was added" in problem for problem in problems), problems


async def test_records_whose_time_is_over_are_gone_and_the_proof_of_the_others_is_whole(
    stand: AuditStand, tmp_path: Path
) -> None:
    await stand.record(
        AuditRecord.by(stand.tenant.principal, "user.updated", "user_9", subject="user_9", personal={"name": "Ada"})
    )
    ids = await archived(stand, days=400)
    young = await stand.act(3)
    await stand.sealer.seal()
    await stand.archiver(archive_days=90, keep_days=365).run()
    assert await objects_of(stand) == []
    directory = await stand.fetch(await stand.export(), tmp_path / "x")
    report = verify(directory, await stand.public_keys())
    assert report.problems == []
    assert report.removed == report.hidden >= len(ids)
    told = (directory / "records.jsonl").read_text()
    assert all(id in told for id in young)
    assert not any(id in told for id in ids)
    async with stand.database.everyone() as connection:
        assert await connection.scalar(sa.text("SELECT count(*) FROM audit_personal WHERE subject = 'user_9'")) == 0


async def test_records_are_not_removed_because_a_servers_clock_is_ahead(
    stand: AuditStand, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ahead(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(days=3_000)

    await archived(stand, days=91)
    for module in ("core.storage.audit_archives", "core.audit.archiving"):
        monkeypatch.setattr(f"{module}.datetime", Ahead)
    await stand.archiver(archive_days=90, keep_days=2_555).run()
    assert len(await objects_of(stand)) == 1


async def test_what_the_archiver_does_is_in_the_log(stand: AuditStand) -> None:
    await archived(stand, days=400)
    await stand.archiver(archive_days=90, keep_days=365).run()
    page = await stand.log.page(
        stand.tenant.principal,
        Filter(kinds=("audit.removed", "audit.archived")),
        organization_id="platform",
        after=None,
        limit=10,
        descending=True,
    )
    told = [(row.record["kind"], row.record["details"]["last_checkpoint"], row.record["object"]) for row in page.rows]
    archive = told[0][2]
    assert told == [("audit.removed", 3, archive), ("audit.archived", 3, archive)]


async def test_the_list_says_until_when_records_are_in_the_archive_and_no_longer_once_they_are_removed(
    stand: AuditStand,
) -> None:
    other = await make_tenant(stand.database, "two")
    who = stand.tenant.principal
    assert await stand.log.archived_until(who, None) is None
    await archived(stand, days=400)
    async with stand.database.everyone() as connection:
        latest = await connection.scalar(sa.text("SELECT max(latest) FROM audit_archives"))
    assert await stand.log.archived_until(who, None) == latest
    assert await stand.log.archived_until(who, "all") == latest
    assert await stand.log.archived_until(other.principal, None) == latest  # its key was made before: that is a record
    assert await stand.log.archived_until((await make_tenant(stand.database, "three")).principal, None) is None
    await stand.archiver(archive_days=90, keep_days=365).run()
    assert await stand.log.archived_until(who, None) is None


async def test_young_records_and_a_few_of_them_stay(stand: AuditStand) -> None:
    ids = await stand.act(3)
    await stand.sealer.seal()
    await stand.archiver(archive_days=90).run()
    await stand.archiver(archive_days=None).run()
    await stand.archiver(archive_days=0).run()  # old enough, but a day is waited for more
    assert set(ids) <= await in_the_database(stand)
    assert await objects_of(stand) == []


async def test_an_archiver_that_was_cut_off_begins_again_and_its_object_is_swept_later(stand: AuditStand) -> None:
    left_over = "audit/archives/archive_0189b9d47400" + "0" * 20
    await stand.objects.put(left_over, one_byte(b"x"))
    await archived(stand)
    assert left_over not in await objects_of(stand)
    assert len(await objects_of(stand)) == 1
    await stand.archiver().run()
    assert len(await objects_of(stand)) == 1


@pytest.mark.parametrize("role", ["app", "system"])
async def test_no_role_of_the_server_can_change_what_it_noted_of_an_archive(stand: AuditStand, role: str) -> None:
    engine = stand.database.app if role == "app" else stand.database.system
    for statement in (
        "UPDATE audit_archives SET sha256 = ''",
        "DELETE FROM audit_archives",
        "UPDATE audit_sections SET size = 0",
    ):
        async with engine.connect() as connection:
            with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
                await connection.execute(sa.text(statement))


async def test_what_is_due_is_archived_where_a_server_was_ahead_of_the_database(stand: AuditStand) -> None:
    for days in (93, 90 - 5 / 86_400):
        await stand.act(1)
        await stand.seal_ago(days)
    await stand.tamper("UPDATE audit_checkpoints SET sealed_at = sealed_at - interval '10 seconds' WHERE number = 2")
    await stand.archiver(archive_days=90).run()
    async with stand.database.everyone() as connection:
        spans = (await connection.execute(sa.text("SELECT first_checkpoint, last_checkpoint FROM audit_archives"))).all()
    assert [tuple(span) for span in spans] == [(1, 1)]


async def test_an_object_whose_archive_came_to_nothing_does_not_stay_and_others_are_not_read_again(
    stand: AuditStand, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def keys() -> list[str]:
        return [found.key async for found in stand.objects.list("audit/archives/")]

    async def refuse(*_: object) -> None:
        raise Conflict("changed meanwhile", code="archive_conflict")

    await stand.act(1)
    await stand.seal_ago(5)
    with monkeypatch.context() as patched:
        patched.setattr(ArchiveStore, "add", refuse)
        with pytest.raises(Conflict):
            await stand.archiver(archive_days=1).run()
    assert await keys() == []
    data, _ = archiving.pack([(1, {"platform": ["{}"]})])
    left_over = f"audit/archives/archive_{1:032x}"
    await stand.objects.put(left_over, archiving._once(data))
    archiver = stand.archiver(archive_days=1)
    await archiver.run()
    monkeypatch.setattr(archiving, "read", refuse)
    await archiver.run()
    assert left_over in await keys()
