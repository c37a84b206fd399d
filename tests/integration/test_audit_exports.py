"""Exports of a real log, from the request to the verifier's word."""

import asyncio
import csv
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import boto3
import pyarrow.parquet
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from api.commands.audit import command
from core.audit.export import making
from core.audit.export.making import ExportMaker, object_key
from core.audit.exports import Exports
from core.audit.head import Head
from core.audit.signing import open_signer
from core.audit.verification import verify
from core.errors import InvalidRequest, NotFound
from core.identity.principals import Principal, Role, Scope
from core.identity.reach import Reach
from core.storage.audit import AuditRecord, Outcome, insert
from core.storage.audit_exports import Export, ExportStatus, ExportStore
from core.storage.audit_reading import Wanted, open_sealed_records
from core.storage.audit_seals import SealStore
from core.storage.audit_shapes import Filter
from core.storage.connection import DatabaseUnavailable
from core.storage.directory import Directory
from core.storage.embedded.postgres import EmbeddedPostgres
from core.storage.objects import ObjectsUnavailable, StoredObject, open_objects
from tests.integration.audit_stand import PATIENCE_SECONDS, AuditStand, PatientSealer, audit_stand, made_ago
from tests.integration.conftest import make_tenant, told
from tests.integration.test_objects import s3_server


@pytest.fixture
async def stand(postgres: EmbeddedPostgres, tmp_path: Path) -> AsyncIterator[AuditStand]:
    async with audit_stand(postgres, tmp_path) as opened:
        yield opened


def ids_in(directory: Path) -> list[str]:
    match next(directory.glob("records.*")):
        case file if file.suffix == ".csv":
            return [row["id"] for row in csv.DictReader(file.read_text().splitlines())]
        case file if file.suffix == ".parquet":
            return [row["id"] for row in pyarrow.parquet.read_table(file).to_pylist()]
        case file:
            lines = [json.loads(line) for line in file.read_text().splitlines()]
            return [line["metadata"]["uid"] if "metadata" in line else line["id"] for line in lines]


async def test_the_verifier_says_what_an_export_of_one_organization_cannot_prove(stand: AuditStand, tmp_path: Path) -> None:
    await stand.act(3)
    key, said = tmp_path / "audit.pub", []
    key.write_bytes(b"".join(await stand.public_keys()))
    for whose in (None, "all"):
        directory = await stand.fetch(await stand.export(organization_id=whose), tmp_path / str(whose))
        done = CliRunner().invoke(command, ["verify", str(directory), "--public-key", str(key)])
        assert done.output.endswith("nothing is wrong\n")
        said.append("that none was left out at the beginning or the end is the word of the server" in done.output)
    assert said == [True, False]


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet", "ocsf"])
async def test_an_export_has_what_was_done_in_its_order_and_verifies(stand: AuditStand, tmp_path: Path, form: str) -> None:
    strange = AuditRecord.by(
        stand.tenant.principal, "key.created", "=1+1", outcome=Outcome.REFUSED, details={"n": 1.5, "t": "a,\"b'\n\u2028"}
    )
    done = [*await stand.act(20), *await stand.record(strange)]
    export = await stand.export(format=form)
    assert (export.status, export.problems, export.error) == (ExportStatus.COMPLETED, [], None)
    directory = await stand.fetch(export, tmp_path / "fetched")
    report = verify(directory, await stand.public_keys())
    assert report.problems == []
    assert (report.records, report.organizations) == (export.records, 1)
    found = ids_in(directory)
    assert [id for id in found if id in done] == done
    assert len(found) == export.records


STRANGE = (
    *(
        "\u2028\u2029\x85\x0b\x1c",
        "\r\n",
        "\t",
        "\x00",
        "\ud800x\udfff",
        "\ufeff",
        "\u202e",
        "😀" * 50,
        "",
        " ",
        "null",
        "NaN",
        "-1",
    ),
    *("\\", "\\u0000", '"', '""', "'", "'=x", "=cmd|' /C calc'!A0", ",", "{}", ',"details":{},"personal":', "%s%n", "${x}"),
)


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet", "ocsf"])
async def test_whatever_text_stands_in_a_record_its_export_verifies(stand: AuditStand, tmp_path: Path, form: str) -> None:
    who = stand.tenant.principal
    for text in STRANGE:
        details = {"t": text, "n": None, "f": 1e300, "i": 2**70, "yes": True, text: "x" * 100_000}
        await stand.record(AuditRecord.by(who, "key.created", text, digest=text, details=details))
    directory = await stand.fetch(await stand.export(format=form), tmp_path / "fetched")
    report = verify(directory, await stand.public_keys())
    assert (report.problems, report.records > len(STRANGE)) == ([], True)


async def test_an_export_that_is_cancelled_while_it_is_made_is_made_no_further(stand: AuditStand, tmp_path: Path) -> None:
    await stand.act(10)
    who = stand.tenant.principal
    asked = await stand.exports.create(who, Filter(), format="csv")
    making = asyncio.create_task(stand.maker.make_all())
    while (await stand.exports.get(who, asked.id)).status is not ExportStatus.RUNNING:
        await asyncio.sleep(0.01)
    assert (await stand.exports.delete(who, asked.id)).status is ExportStatus.CANCELLED
    await making
    assert (await stand.exports.get(who, asked.id)).status is ExportStatus.CANCELLED
    assert [found.key async for found in stand.objects.list("audit/exports/")] == []
    assert list((tmp_path / "exports").iterdir()) == []


async def test_an_export_that_finds_no_place_in_object_storage_is_tried_again_and_then_says_so(
    stand: AuditStand, tmp_path: Path
) -> None:
    (tmp_path / "objects" / "audit").write_text("no directory")
    asked = await stand.exports.create(stand.tenant.principal, Filter(), format="jsonl")
    for _ in range(2):
        with pytest.raises(ObjectsUnavailable):
            await stand.maker.make_all()
    await stand.maker.make_all()
    export = await stand.exports.get(stand.tenant.principal, asked.id)
    assert (export.status, export.attempts) == (ExportStatus.FAILED, 3)
    assert export.error == "its files cannot be stored: the object directory does not answer: Not a directory"
    assert list((tmp_path / "exports").iterdir()) == []


async def test_an_export_of_nothing_is_an_export_and_verifies(stand: AuditStand, tmp_path: Path) -> None:
    await stand.act(3)
    nothing = await stand.export(wanted=Filter(kinds=("weather.changed",)))
    before = await stand.export(wanted=Filter(until=datetime(2020, 1, 1, tzinfo=UTC)), format="parquet")
    for name, export in (("nothing", nothing), ("before", before)):
        report = verify(await stand.fetch(export, tmp_path / name), await stand.public_keys())
        assert (report.problems, report.records, export.records) == ([], 0, 0)


async def test_an_operator_exports_everybodys_and_a_tenant_never_does(stand: AuditStand, tmp_path: Path) -> None:
    other = await make_tenant(stand.database, "two")
    mine, theirs = await stand.act(5), await stand.act(5, tenant=other)
    everything = await stand.fetch(await stand.export(organization_id="all"), tmp_path / "all")
    assert {*mine, *theirs} <= set(ids_in(everything))
    report = verify(everything, await stand.public_keys())
    assert (report.problems, report.organizations) == ([], 3)  # the log's own affairs are `platform`'s
    own = await stand.fetch(await stand.export(), tmp_path / "own")
    assert set(ids_in(own)).isdisjoint(theirs)
    assert verify(own, await stand.public_keys()).problems == []


async def test_an_export_that_is_another_organizations_is_not_there(stand: AuditStand) -> None:
    other = await make_tenant(stand.database, "two")
    export = await stand.export()
    for attempt in (
        stand.exports.get(other.principal, export.id),
        stand.exports.open_file(other.principal, export.id, "manifest.json"),
        stand.exports.delete(other.principal, export.id),
    ):
        with pytest.raises(NotFound):
            await attempt


async def test_an_export_of_others_is_an_operators_alone_whoever_asked_for_it(stand: AuditStand) -> None:
    other = await make_tenant(stand.database, "two")
    own, everybodys = await stand.export(), await stand.export(organization_id="all")
    theirs = await stand.export(organization_id=other.principal.organization_id)
    operator = stand.tenant.principal
    auditor = replace(operator, user_id="user_vera", role=Role.AUDITOR, scopes=frozenset({Scope.AUDIT}))

    async def seen(who: Principal, after: str | None, limit: int = 9) -> list[str]:
        page = await stand.exports.page(who, after=after, limit=limit, descending=False)
        return [export.id for export in page.rows]

    assert await seen(operator, None) == [own.id, everybodys.id, theirs.id]
    second = await stand.export()
    assert await seen(auditor, None) == [own.id, second.id]
    assert (await seen(auditor, None, limit=1), await seen(auditor, own.id, limit=1)) == ([own.id], [second.id])
    with pytest.raises(InvalidRequest):
        await seen(auditor, theirs.id)
    for export in (everybodys, theirs):
        for attempt in (
            stand.exports.get(auditor, export.id),
            stand.exports.open_file(auditor, export.id, "records.jsonl"),
            stand.exports.delete(auditor, export.id),
        ):
            with pytest.raises(NotFound):
                await attempt
        assert (await stand.exports.get(operator, export.id)).status is ExportStatus.COMPLETED


async def test_an_organization_is_told_who_exported_its_log_and_fetched_and_deleted_that(
    stand: AuditStand, tmp_path: Path
) -> None:
    other, who = await make_tenant(stand.database, "two"), stand.tenant.principal
    whose = other.principal.organization_id
    first = await stand.export(organization_id=whose)
    await stand.fetch(first, tmp_path / "fetched")
    await stand.exports.delete(who, first.id)
    second = await stand.export(organization_id=whose)
    await stand.tamper("UPDATE audit_exports SET ended_at = ended_at - interval '31 days'")
    await stand.maker.make_all()
    for home in (whose, who.organization_id):
        kinds = ("export.created", "export.downloaded", "export.deleted")
        records = [one for kind in kinds for one in await told(stand.database, home, kind)]
        assert [(one["kind"].removeprefix("export."), one["object"], one["actor"]) for one in records] == [
            *[("created", export.id, who.user_id) for export in (first, second)],
            *[("downloaded", first.id, who.user_id)] * 4,
            ("deleted", first.id, who.user_id),
            ("deleted", second.id, "system"),
        ]


async def test_a_file_that_is_not_there_was_not_downloaded(stand: AuditStand) -> None:
    export = await stand.export()
    async for found in stand.objects.list("audit/exports/"):
        await stand.objects.delete(found.key)
    with pytest.raises(NotFound):
        await stand.exports.open_file(stand.tenant.principal, export.id, "records.jsonl")
    assert await told(stand.database, stand.tenant.principal.organization_id, "export.downloaded") == []


async def test_an_export_that_lacks_what_was_not_sealed_yet_says_so_and_the_verifier_too(
    stand: AuditStand, tmp_path: Path
) -> None:
    (tmp_path / "key").write_bytes(b"".join(await stand.public_keys()))
    stand.sealer.patience = 0
    blocker = await asyncpg.connect(stand.owner)
    try:
        async with blocker.transaction():
            await blocker.execute("SELECT pg_current_xact_id()")
            (id,) = await stand.record(made_ago(AuditRecord.by(stand.tenant.principal, "tool.enabled", "x"), 1))
            lacking = await stand.fetch(await stand.export(), tmp_path / "lacking")
    finally:
        await blocker.close()
    stand.sealer.patience = PATIENCE_SECONDS
    whole = await stand.fetch(await stand.export(), tmp_path / "whole")
    said = []
    for directory in (lacking, whole):
        done = CliRunner().invoke(command, ["verify", str(directory), "--public-key", str(tmp_path / "key")])
        assert (done.exit_code, done.stdout.endswith("nothing is wrong\n")) == (0, True)
        said.append([line for line in done.stdout.splitlines() if line.startswith("NOTE")])
    made = datetime.fromtimestamp(int(id[4:16], 16) / 1000, UTC).isoformat(timespec="seconds")
    lacks = f"NOTE   records since {made} were not sealed yet when this was made: they are not in it"
    assert [[line.partition(" (")[0] for line in lines] for lines in said] == [[lacks], []]
    assert (id in ids_in(lacking), id in ids_in(whole)) == (False, True)


async def test_a_filter_leaves_out_and_what_is_left_still_verifies(stand: AuditStand, tmp_path: Path) -> None:
    await stand.act(3)
    wanted = await stand.act(4, "tool.enabled")
    await stand.act(3)
    now = datetime.now(UTC)
    for n, filter in enumerate(
        (
            Filter(kinds=("tool.enabled",)),
            Filter(kinds=("tool.en*", "weather.*"), since=now - timedelta(hours=1), until=now + timedelta(hours=1)),
        )
    ):
        directory = await stand.fetch(await stand.export(wanted=filter), tmp_path / str(n))
        assert ids_in(directory) == list(wanted)
        report = verify(directory, await stand.public_keys())
        assert (report.problems, report.records) == ([], 4)


async def test_exports_that_are_asked_for_at_once_are_all_made_and_too_many_are_refused(
    stand: AuditStand, tmp_path: Path
) -> None:
    await stand.act(3)
    who = stand.tenant.principal
    asking = (stand.exports.create(who, Filter(), format=format) for format in ("jsonl", "csv") * 10)
    answers = await asyncio.gather(*asking, return_exceptions=True)
    asked = [answer for answer in answers if isinstance(answer, Export)]
    assert len(asked) == 5
    assert {str(answer) for answer in answers if not isinstance(answer, Export)} == {
        "5 exports are not finished yet: wait for one, or delete it"
    }
    more = [asked.pop() for _ in range(3)]
    for export in more:
        await stand.exports.delete(who, export.id)
    await stand.maker.make_all()
    for export in asked:
        directory = await stand.fetch(await stand.exports.get(who, export.id), tmp_path / export.id)
        assert verify(directory, await stand.public_keys()).problems == []


async def test_a_server_that_lost_its_office_writes_nothing_over_the_export_of_the_next_one(
    stand: AuditStand, tmp_path: Path
) -> None:
    await stand.exports.create(stand.tenant.principal, Filter(), format="jsonl")
    store = ExportStore(stand.database)
    late = await store.begin_next()
    assert late is not None
    await stand.maker.make_all()
    record = AuditRecord.by(stand.tenant.principal, "export.completed", late.id)
    assert not await store.progress(late, records=1, checkpoints=1, total=1)
    assert not await store.finish(late, record, {"status": ExportStatus.FAILED})
    made = await stand.exports.get(stand.tenant.principal, late.id)
    assert (made.status, made.attempts) == (ExportStatus.COMPLETED, 2)
    assert object_key(made, "records.jsonl") != object_key(late, "records.jsonl")
    assert verify(await stand.fetch(made, tmp_path / "fetched"), await stand.public_keys()).problems == []


async def test_an_export_that_a_restart_cuts_off_is_made_again_from_the_beginning(stand: AuditStand, tmp_path: Path) -> None:
    await stand.act(10)
    asked = await stand.exports.create(stand.tenant.principal, Filter(), format="jsonl")
    making = asyncio.create_task(stand.maker.make_all())
    while (await stand.exports.get(stand.tenant.principal, asked.id)).status is not ExportStatus.RUNNING:
        await asyncio.sleep(0.01)
    making.cancel()
    with suppress(asyncio.CancelledError):
        await making
    await stand.maker.make_all()
    export = await stand.exports.get(stand.tenant.principal, asked.id)
    assert (export.status, export.attempts) == (ExportStatus.COMPLETED, 2)
    assert len([found async for found in stand.objects.list("audit/exports/")]) == len(export.files)
    assert list((tmp_path / "exports").iterdir()) == []
    report = verify(await stand.fetch(export, tmp_path / "fetched"), await stand.public_keys())
    assert (report.problems, report.records) == ([], export.records)


async def test_an_export_that_is_cancelled_or_deleted_leaves_no_file(stand: AuditStand) -> None:
    await stand.act(3)
    who = stand.tenant.principal
    queued = await stand.exports.create(who, Filter(), format="jsonl")
    assert (await stand.exports.delete(who, queued.id)).status is ExportStatus.CANCELLED
    made = await stand.export()
    assert (await stand.exports.delete(who, made.id)).status is ExportStatus.DELETED
    assert (await stand.exports.delete(who, made.id)).status is ExportStatus.DELETED
    assert [found.key async for found in stand.objects.list("audit/exports/")] == []
    with pytest.raises(NotFound, match="it has: none"):
        await stand.exports.open_file(who, made.id, "manifest.json")


async def left_by(stand: AuditStand, export: Export) -> str:
    """The key of a file that an attempt had stored when it was cut off."""

    async def body() -> AsyncIterator[bytes]:
        yield b"x"

    return (await stand.objects.put(object_key(export, "records.jsonl"), body())).key


async def stored(stand: AuditStand) -> list[str]:
    return [found.key async for found in stand.objects.list("audit/exports/")]


async def begun(stand: AuditStand) -> Export:
    await stand.exports.create(stand.tenant.principal, Filter(), format="jsonl")
    export = await ExportStore(stand.database).begin_next()
    assert export is not None
    return export


async def test_files_of_an_export_that_is_cancelled_between_attempts_are_removed(stand: AuditStand) -> None:
    export = await begun(stand)
    await left_by(stand, export)
    assert (await stand.exports.delete(stand.tenant.principal, export.id)).status is ExportStatus.CANCELLED
    assert await stored(stand) == []


class CancelledAmid(ExportStore):
    """The export is cancelled when its process has begun: who cancels it is on a server that cannot clear anything."""

    async def progress(self, export: Export, *, records: int, checkpoints: int, total: int) -> bool:
        record = AuditRecord(kind="export.cancelled", organization_id=export.organization_id, actor="user_x", object=export.id)
        await self.end(record, ExportStatus.CANCELLED, was=[ExportStatus.RUNNING])
        return await super().progress(export, records=records, checkpoints=checkpoints, total=total)


def maker_of(stand: AuditStand, store: ExportStore) -> ExportMaker:
    stores = {"database": stand.database.address, "objects": f"file://{stand.home / 'objects'}"}
    return ExportMaker(store, stand.objects, stand.sealer, stand.signer, stores=stores, home=stand.home, days=30)


async def test_files_of_attempts_before_are_removed_when_an_export_is_cancelled_while_it_is_made(
    stand: AuditStand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "PROGRESS_SECONDS", 0.01)
    export = await begun(stand)
    await left_by(stand, export)
    await maker_of(stand, CancelledAmid(stand.database)).make_all()
    assert (await stand.exports.get(stand.tenant.principal, export.id)).status is ExportStatus.CANCELLED
    assert await stored(stand) == []


async def test_a_server_that_lost_its_office_removes_no_file_of_the_next_one(
    stand: AuditStand, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lost(ExportStore):
        """Another server begins the export again, and has stored a file, when this one has begun."""

        async def progress(self, export: Export, *, records: int, checkpoints: int, total: int) -> bool:
            heir = await self.begin_next()
            assert heir is not None
            heirs.append(await left_by(stand, heir))
            await self.end(_ended(heir), ExportStatus.CANCELLED, was=[ExportStatus.RUNNING])
            return False

    def _ended(export: Export) -> AuditRecord:
        return AuditRecord(kind="export.cancelled", organization_id=export.organization_id, actor="system", object=export.id)

    monkeypatch.setattr(making, "PROGRESS_SECONDS", 0.01)
    heirs: list[str] = []
    await stand.exports.create(stand.tenant.principal, Filter(), format="jsonl")
    await maker_of(stand, Lost(stand.database)).make_all()
    assert len(heirs) == 1
    assert await stored(stand) == heirs


async def test_files_of_an_export_that_failed_are_removed(stand: AuditStand) -> None:
    export = await begun(stand)
    await left_by(stand, export)
    store = ExportStore(stand.database)
    for _ in range(2):
        await store.begin_next()
    await stand.maker.make_all()
    failed = await stand.exports.get(stand.tenant.principal, export.id)
    assert (failed.status, failed.error) == (ExportStatus.FAILED, "it was cut off 3 times")
    assert await stored(stand) == []


async def test_an_export_ends_as_it_did_though_its_files_cannot_be_removed_and_they_are_once_it_is_old(
    stand: AuditStand, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(prefix: str = "") -> AsyncIterator[StoredObject]:
        raise ObjectsUnavailable("it does not answer")
        yield

    who, store = stand.tenant.principal, ExportStore(stand.database)
    cancelled = await begun(stand)
    left = [await left_by(stand, cancelled)]
    with monkeypatch.context() as patch:
        patch.setattr(stand.objects, "list", away)
        assert (await stand.exports.delete(who, cancelled.id)).status is ExportStatus.CANCELLED
        failed = await begun(stand)
        left.append(await left_by(stand, failed))
        for _ in range(2):
            await store.begin_next()
        await stand.maker.make_all()
    assert (await stand.exports.get(who, failed.id)).error == "it was cut off 3 times"
    await stand.maker.make_all()
    assert await stored(stand) == left
    await stand.tamper("UPDATE audit_exports SET ended_at = ended_at - interval '31 days'")
    await stand.maker.make_all()
    assert await stored(stand) == []
    assert {(await stand.exports.get(who, export.id)).status for export in (cancelled, failed)} == {ExportStatus.DELETED}


async def test_an_export_that_is_completed_while_it_is_deleted_is_deleted_and_that_is_recorded(stand: AuditStand) -> None:
    class Late(ExportStore):
        """It hears that an export is not wanted when it is made."""

        made = False

        async def end(self, record: AuditRecord, status: ExportStatus, *, was: Sequence[ExportStatus]) -> bool:
            if not self.made:
                self.made = True
                await stand.maker.make_all()
            return await super().end(record, status, was=was)

    who = stand.tenant.principal
    exports = Exports(Late(stand.database), stand.objects, Reach(Directory(stand.database)))
    asked = await exports.create(who, Filter(), format="jsonl")
    assert (await exports.delete(who, asked.id)).status is ExportStatus.DELETED
    page = await stand.log.page(who, Filter(kinds=("export.*",)), organization_id=None, after=None, limit=9, descending=True)
    assert [event.record["kind"] for event in page.rows] == ["export.deleted", "export.completed", "export.created"]
    assert [found.key async for found in stand.objects.list("audit/exports/")] == []


async def test_an_export_finds_the_credentials_of_its_bucket_in_the_environment(
    stand: AuditStand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    with s3_server(tmp_path / "s3.log") as endpoint:
        url = f"s3://audit?endpoint={endpoint}&region=us-east-1"
        client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
        client.create_bucket(Bucket="audit")
        client.close()
        async with open_objects(url) as bucket:
            stores = {"database": stand.database.address, "objects": url}
            store = ExportStore(stand.database)
            maker = ExportMaker(store, bucket, stand.sealer, stand.signer, stores=stores, home=tmp_path, days=30)
            there = replace(stand, objects=bucket, maker=maker)
            done = await there.act(3)
            await there.seal_ago(2)
            await there.archiver().run()
            assert [found.key async for found in bucket.list("audit/archives/")] != []
            export = await there.export(wanted=Filter(kinds=("tool.disabled",)))
    assert (export.status, export.records, export.problems, export.error) == (ExportStatus.COMPLETED, len(done), [], None)


async def test_reading_sealed_records_that_postgresql_refuses_is_a_database_that_is_unavailable(stand: AuditStand) -> None:
    elsewhere = await asyncpg.connect(stand.owner)
    try:
        async with elsewhere.transaction():
            await elsewhere.execute("LOCK TABLE paddock.audit_checkpoints")
            with pytest.raises(DatabaseUnavailable, match="refused a statement: QueryCanceledError"):
                async with open_sealed_records(
                    f"{stand.database.address}&statement_timeout=500", Wanted(organization_id=None, filter=Filter())
                ) as records:
                    await records.newest_until(1)
    finally:
        await elsewhere.close()


async def test_what_is_done_with_an_export_is_in_the_next_one(stand: AuditStand, tmp_path: Path) -> None:
    first = await stand.export()
    await stand.fetch(first, tmp_path / "first")
    await stand.exports.delete(stand.tenant.principal, first.id)
    second = await stand.fetch(await stand.export(wanted=Filter(kinds=("export.*",))), tmp_path / "second")
    records = [json.loads(line) for line in (second / "records.jsonl").read_text().splitlines()]
    told = [record["kind"] for record in records if record["object"] == first.id]
    assert told == ["export.created", "export.completed", *["export.downloaded"] * 4, "export.deleted"]
    assert {record["actor"] for record in records} == {stand.tenant.principal.user_id, "system"}


async def test_a_key_that_was_changed_is_announced_and_both_are_needed(stand: AuditStand, tmp_path: Path) -> None:
    await stand.act(3)
    await stand.sealer.seal()
    before = await stand.public_keys()
    (tmp_path / "audit.key").unlink()
    signer = open_signer(tmp_path / "audit.key")
    seals = SealStore(stand.database)
    later = PatientSealer(seals, signer, Head(seals, signer, tmp_path / "audit.head"), stand.owner)
    await later.announce()
    await later.announce()
    await stand.act(3)
    await later.seal()
    directory = await stand.fetch(await stand.export(), tmp_path / "fetched")
    assert verify(directory, await stand.public_keys()).problems == []
    assert any("signature is by none" in problem for problem in verify(directory, before).problems)
    assert (tmp_path / "audit.pub").read_bytes() in await stand.public_keys()
    page = await stand.log.page(
        stand.tenant.principal, Filter(), organization_id="platform", after=None, limit=10, descending=True
    )
    told = [(event.record["kind"], event.record["object"]) for event in page.rows]
    assert told == [("audit.key_announced", signer.id), ("audit.key_announced", stand.signer.id)]


async def test_an_export_waits_for_what_else_is_written_in_postgresql(stand: AuditStand, tmp_path: Path) -> None:
    who = stand.tenant.principal
    async with stand.database.everyone() as elsewhere:
        await elsewhere.execute(sa.text("SELECT pg_current_xact_id()"))
        done = await stand.act(3)
        asked = await stand.exports.create(who, Filter(), format="jsonl")
        making = asyncio.create_task(stand.maker.make_all())
        while (await stand.exports.get(who, asked.id)).status is not ExportStatus.RUNNING:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)  # time enough to seal without them
    await making
    assert set(done) < set(ids_in(await stand.fetch(await stand.exports.get(who, asked.id), tmp_path / "fetched")))


async def test_a_record_that_is_committed_late_is_sealed_after_those_that_were_not_held_up(
    stand: AuditStand, tmp_path: Path
) -> None:
    who = stand.tenant.principal
    late = AuditRecord.by(who, "tool.enabled", "tool_late")
    stand.sealer.patience = 0
    async with stand.database.tenant(who.organization_id) as connection:
        await insert(connection, late)
        await stand.act(3)
        await stand.sealer.seal()  # what is still open holds up those after it: their order is not known yet
        early = await stand.fetch(await stand.export(), tmp_path / "early")
    await stand.act(3)
    after = await stand.fetch(await stand.export(), tmp_path / "after")
    assert late.id not in ids_in(early)
    assert late.id in ids_in(after)
    for directory in (early, after):
        assert verify(directory, await stand.public_keys()).problems == []
