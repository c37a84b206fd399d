"""When records were made and sealed is what was signed of it: columns beside it, and clocks of servers, move nothing."""

import hashlib
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Self

import pytest
import sqlalchemy as sa

from core.audit.sealing import Sealer
from core.audit.verification import Report, verify
from core.storage.audit import PLATFORM, AuditRecord, line
from core.storage.audit_seals import Batch, Checkpoint
from core.storage.audit_shapes import Filter
from core.storage.embedded.postgres import EmbeddedPostgres
from tests.integration.audit_stand import AuditStand, audit_stand, made_ago

DAY = timedelta(days=1)


@pytest.fixture
async def stand(postgres: EmbeddedPostgres, tmp_path: Path) -> AsyncIterator[AuditStand]:
    async with audit_stand(postgres, tmp_path) as opened:
        yield opened


async def checked(stand: AuditStand, directory: Path, wanted: Filter, *, whose: str | None = "all") -> tuple[Report, str]:
    export = await stand.export(wanted=wanted, organization_id=whose)
    assert export.error is None
    report = verify(await stand.fetch(export, directory), await stand.public_keys())
    return report, (directory / "records.jsonl").read_text()


async def made(stand: AuditStand, *days: float) -> list[str]:
    """The id of a record of so many days ago in each checkpoint. The first one has others beside it."""
    ids = []
    for one in days:
        record = made_ago(AuditRecord.by(stand.tenant.principal, "tool.disabled", "tool_x"), one)
        ids += await stand.record(record)
        await stand.seal_ago(one)
    return ids


async def objects_of(stand: AuditStand) -> list[str]:
    """The oldest first."""
    return sorted([found.key async for found in stand.objects.list("audit/archives/")])


# --- exports of a time ---

MOVED = "UPDATE audit_checkpoints SET earliest = earliest - $1::interval, latest = latest - $1::interval WHERE number <= $2"


@pytest.mark.parametrize("whose", [None, "all"])
async def test_times_beside_a_checkpoint_take_no_record_out_of_an_export(
    stand: AuditStand, tmp_path: Path, whose: str | None
) -> None:
    ids = await made(stand, 0, 0, 0)
    now = datetime.now(UTC)
    for n, (by, wanted) in enumerate(
        (
            (90 * DAY, Filter(since=now - DAY)),
            (-180 * DAY, Filter(until=now + DAY)),
            (50 * DAY, Filter(since=now - DAY, until=now + DAY)),
        )
    ):
        await stand.tamper(MOVED, by, 2 if n != 1 else 3)
        report, told = await checked(stand, tmp_path / str(n), wanted, whose=whose)
        assert report.problems == []
        assert all(id in told for id in ids)


@pytest.mark.parametrize("whose", [None, "all"])
async def test_checkpoints_of_another_time_are_left_out_with_proof(
    stand: AuditStand, tmp_path: Path, whose: str | None
) -> None:
    await stand.sealer.seal()
    await stand.tamper("DELETE FROM audit_sections")
    await stand.tamper("DELETE FROM audit_checkpoints")
    await stand.tamper("DELETE FROM audit_records")
    (stand.home / "audit.head").unlink()
    ids = await made(stand, 90, 80, 70, 60, 50)
    now = datetime.now(UTC)
    for n, (since, until, first, last) in enumerate(
        (
            (85, 55, 2, 4),
            (None, 75, 1, 2),
            (65, None, 4, None),
            (75, 65, 3, 3),
            (78, 72, 0, 0),
            (None, 100, 0, 0),
            (1, None, 6, None),
        )
    ):
        wanted = Filter(since=since and now - since * DAY, until=until and now - until * DAY)
        report, told = await checked(stand, tmp_path / str(n), wanted, whose=whose)
        assert report.problems == [], (since, until)
        assert (report.first, last or report.last) == (first, report.last), (since, until)
        shown = [id for id, days in zip(ids, (90, 80, 70, 60, 50), strict=True) if (since or 999) > days > (until or -1)]
        assert [id for id in ids if id in told] == shown, (since, until)


def resigned(stand: AuditStand, directory: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """As a server that lies would sign it."""
    file = directory / "manifest.json"
    manifest = json.loads(file.read_text())
    change(manifest)
    for entry in manifest["files"]:
        data = (directory / entry["name"]).read_bytes()
        entry.update(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    file.write_text(json.dumps(manifest))
    (directory / "manifest.sig").write_bytes(stand.signer.sign(file.read_bytes()))


async def test_an_end_that_is_cut_wrongly_is_found_by_the_verifier(stand: AuditStand, tmp_path: Path) -> None:
    await stand.tamper("DELETE FROM audit_records")  # of today, not sealed yet
    await made(stand, 90, 80, 70, 60, 50)
    now = datetime.now(UTC)
    wanted = Filter(since=now - 95 * DAY, until=now - 65 * DAY)
    export = await stand.export(wanted=wanted, organization_id="all")
    keys = await stand.public_keys()

    async def problems_after(name: str, change: Callable[[dict[str, Any]], object]) -> str:
        directory = await stand.fetch(export, tmp_path / name)
        resigned(stand, directory, change)
        return " ".join(verify(directory, keys).problems)

    def until(days: int) -> Callable[[dict[str, Any]], object]:
        return lambda manifest: manifest["filter"].update(until=(now - days * DAY).isoformat())

    assert await problems_after("as it is", lambda manifest: None) == ""
    assert "is left out, though it may have records" in await problems_after("later", until(55))
    left_out = tmp_path / "shorter" / "left_out.jsonl"

    def shorten(manifest: dict[str, Any]) -> None:
        left_out.write_text("".join(left_out.read_text().splitlines(keepends=True)[:-1]))

    assert "is not the newest of the log" in await problems_after("shorter", shorten)

    def drop(manifest: dict[str, Any]) -> None:
        manifest["files"] = [entry for entry in manifest["files"] if entry["name"] != "left_out.jsonl"]
        (tmp_path / "dropped" / "left_out.jsonl").unlink()

    assert "is not the newest of the log" in await problems_after("dropped", drop)
    late = await stand.export(wanted=Filter(since=now - 65 * DAY), organization_id="all")
    for name, change, said in (
        ("earlier", lambda m: m["filter"].update(since=(now - 75 * DAY).isoformat()), "is left out, though"),
        ("none before", lambda m: m.update(before=None), "those before it are missing"),
        ("no filter", lambda m: m.update(filter={}), "is left out, though"),
    ):
        directory = await stand.fetch(late, tmp_path / name)
        resigned(stand, directory, change)
        assert said in " ".join(verify(directory, keys).problems), name


async def test_records_whose_id_column_lies_are_exported_by_the_time_that_is_sealed(stand: AuditStand, tmp_path: Path) -> None:
    (id,) = await stand.act(1)
    await stand.tamper("UPDATE audit_records SET id = 'aud_000000000001' || substr(id, 17) WHERE id = $1", id)
    (other,) = await stand.act(1)
    await stand.tamper("""UPDATE audit_records SET record = '{"id":7,"kind":"x"}' WHERE id = $1""", other)
    await stand.sealer.seal()
    report, told = await checked(stand, tmp_path / "x", Filter(since=datetime.now(UTC) - DAY))
    assert report.problems == []
    assert id in told


# --- logs of earlier versions ---


class EarlierSealer(Sealer):
    """Its notes do not say when records were made."""

    def _note(self, number: int, root: bytes, batch: Batch, last: Checkpoint | None) -> str:
        text = super()._note(number, root, batch, last).partition("\n\n")[0]
        lines = [line for line in text.split("\n") if not line.startswith("made ")]
        return self._signer.note(lines[0], "\n".join(lines) + "\n")


async def test_a_log_of_an_earlier_version_goes_on_and_its_checkpoints_are_left_out_of_nothing_that_may_be_theirs(
    stand: AuditStand, tmp_path: Path
) -> None:
    now, earlier = datetime.now(UTC), EarlierSealer(stand.seals, stand.signer, stand.head)
    records = [made_ago(AuditRecord.by(stand.tenant.principal, "tool.disabled", "tool_x"), days) for days in (90, 80)]
    ids = []
    for record, days in zip(records, (90, 80), strict=True):
        ids += await stand.record(record)
        stand.seals.age = days * DAY
        await earlier.seal()
    stand.seals.age = timedelta()
    (stand.home / "audit.head").unlink()  # the earlier version had none
    ids += await made(stand, 70, 60)
    for n, (since, until, first, last) in enumerate(
        ((None, None, 1, None), (85, None, 2, None), (75, None, 3, None), (None, 100, 1, 2), (None, 65, 1, 3))
    ):
        wanted = Filter(since=since and now - since * DAY, until=until and now - until * DAY)
        report, _ = await checked(stand, tmp_path / str(n), wanted)
        assert report.problems == [], (since, until)
        assert (report.first, report.last) == (first, last or report.last), (since, until)


EARLIER = Path(__file__).parents[1] / "earlier_exports"


@pytest.mark.parametrize("name", ["everything", "own", "some"])
def test_an_export_of_an_earlier_version_verifies(name: str) -> None:
    """Made before checkpoints said when their records were made; of `everything` seven records had been removed by age."""
    kept = (EARLIER / "kept.checkpoint").read_text()
    report = verify(EARLIER / name, [(EARLIER / "audit.pub").read_bytes()], [kept])
    assert (report.problems, report.not_compared) == ([], [])
    assert report.records > 0


# --- archiving, and removing by age ---

AGED = "UPDATE audit_checkpoints SET {0} = {0} - interval '4000 days'"


async def archived(stand: AuditStand, days: float) -> Sequence[str]:
    ids = await stand.act(3)
    await stand.seal_ago(days)
    await stand.archiver(archive_days=90).run()
    return ids


@pytest.mark.parametrize("column", ["sealed_at", "latest", "earliest"])
async def test_records_that_are_called_old_by_the_database_alone_are_neither_archived_nor_removed(
    stand: AuditStand, tmp_path: Path, column: str
) -> None:
    ids = await stand.act(3)
    await stand.sealer.seal()
    await stand.tamper(AGED.format(column))
    await stand.archiver(archive_days=90, keep_days=2555).run()
    assert await objects_of(stand) == []
    report, told = await checked(stand, tmp_path / "x", Filter())
    assert (report.problems, report.removed) == ([], 0)
    assert all(id in told for id in ids)


MOVED_BACK = "UPDATE audit_archives SET first_checkpoint = -1, last_checkpoint = 1 WHERE first_checkpoint = 2"
RESEALED = "UPDATE audit_checkpoints SET note = replace(note, 'sealed 2', 'sealed 1')"


@pytest.mark.parametrize(
    "deeds",
    [
        ("UPDATE audit_archives SET latest = latest - interval '4000 days'", AGED.format("sealed_at")),
        (AGED.format("sealed_at"), RESEALED),
        (MOVED_BACK, AGED.format("sealed_at")),
        ("DELETE FROM audit_archives", "UPDATE audit_checkpoints SET sealed_at = now()"),
    ],
)
async def test_no_archive_is_removed_before_its_time_whatever_the_database_says(
    stand: AuditStand, monkeypatch: pytest.MonkeyPatch, deeds: Sequence[str]
) -> None:
    await archived(stand, 3000)
    await archived(stand, 100)
    monkeypatch.setattr("core.audit.archiving.PATIENCE", -DAY)  # of the sweeper
    objects = await objects_of(stand)
    assert len(objects) == 2
    for statement in deeds:
        await stand.tamper(statement)
    await stand.archiver(keep_days=2555).run()
    assert objects[1] in await objects_of(stand)


class Elsewhen(datetime):
    ahead = timedelta()

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return super().now(tz) + cls.ahead


def set_clock(monkeypatch: pytest.MonkeyPatch, ahead: timedelta) -> None:
    """Of the server that records, and seals."""
    real = time.time_ns

    class Clock:
        @staticmethod
        def time_ns() -> int:
            return real() + int(ahead.total_seconds()) * 10**9

    monkeypatch.setattr("core.storage.audit.time", Clock)
    monkeypatch.setattr("core.storage.audit.datetime", type("Then", (Elsewhen,), {"ahead": ahead}))


async def test_a_record_from_the_future_stops_neither_archiving_nor_removing(
    stand: AuditStand, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        set_clock(patch, 7_000 * DAY)
        await stand.act(1)
    await stand.seal_ago(400)
    await archived(stand, 400)
    assert len(await objects_of(stand)) == 1
    await stand.archiver(archive_days=90, keep_days=365).run()
    assert await objects_of(stand) == []


async def test_a_checkpoint_of_the_future_stops_no_archiving(stand: AuditStand) -> None:
    """The database's clock was ahead for a while."""
    for days in (400, -7_000, 399):
        await stand.act(1)
        await stand.seal_ago(days)
    await stand.archiver(archive_days=90).run()
    async with stand.database.everyone() as connection:
        assert await connection.scalar(sa.text("SELECT max(last_checkpoint) FROM audit_archives")) == 3


@pytest.mark.parametrize("hours", [-48, 48])
async def test_a_removal_by_a_server_whose_clock_is_wrong_is_known_to_exports(
    stand: AuditStand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    await archived(stand, 400)
    with monkeypatch.context() as patch:
        set_clock(patch, timedelta(hours=hours))
        await stand.archiver(archive_days=None, keep_days=365).run()
    await stand.act(1)
    report, _ = await checked(stand, tmp_path / "x", Filter())
    assert (report.problems, report.removed > 0) == ([], True)


# --- the word that a removal was one by age ---

FORGED = """
    INSERT INTO audit_archives (id, first_checkpoint, last_checkpoint, records, latest, bytes, sha256, parts, removed_at)
    VALUES ('archive_' || repeat('0', 32), 1, 1, 1, now() - interval '400 days', 1, '', '{}', now())
"""
GONE = (
    "DELETE FROM audit_records WHERE moment < (SELECT end_moment FROM audit_checkpoints WHERE number = 1)",
    "UPDATE audit_sections SET leaves = NULL WHERE checkpoint = 1",
    FORGED,
)


async def forged(stand: AuditStand, **details: Any) -> None:
    """By who can write to the database: recorded, and sealed by the server like all else."""
    word = AuditRecord(
        kind="audit.removed",
        organization_id=PLATFORM,
        actor="system",
        object="archive_" + "0" * 32,
        digest="",
        details={"first_checkpoint": 1, "last_checkpoint": 1, "records": 1, **details},
    )
    statement = "INSERT INTO audit_records (id, organization_id, record) VALUES ($1, $2, $3::text::json)"
    await stand.tamper(statement, word.id, PLATFORM, line(word))
    for deed in GONE:
        await stand.tamper(deed)


@pytest.mark.parametrize("details", [{}, {"signature": "x"}, {"signature": "A" * 86 + "=="}, {"signature": 7}])
async def test_a_removal_that_somebody_records_before_it_is_sealed_does_not_count(
    stand: AuditStand, tmp_path: Path, details: dict[str, Any]
) -> None:
    await stand.act(3)
    await stand.sealer.seal()
    await forged(stand, **details)
    await stand.sealer.seal()
    report, _ = await checked(stand, tmp_path / "x", Filter())
    assert any("that its time was over" in problem for problem in report.problems), report.problems
    assert any("no word of the log says" in problem for problem in report.problems), report.problems


async def test_a_removal_that_an_earlier_version_recorded_is_believed_as_before(stand: AuditStand, tmp_path: Path) -> None:
    await stand.act(3)
    earlier = EarlierSealer(stand.seals, stand.signer, stand.head)
    await earlier.seal()
    await forged(stand)  # as the earlier version's archiver did, without a signature
    await earlier.seal()
    await stand.act(1)
    for whose in ("all", None):
        report, _ = await checked(stand, tmp_path / str(whose), Filter(), whose=whose)
        assert (report.problems, report.removed > 0) == ([], True)


async def test_the_word_of_a_removal_is_checked_with_the_auditors_keys(stand: AuditStand, tmp_path: Path) -> None:
    await archived(stand, 400)
    await stand.archiver(archive_days=None, keep_days=365).run()
    await made(stand, 0)
    for wanted in (Filter(), Filter(kinds=("tool.*",))):
        export = await stand.export(organization_id="all", wanted=wanted)
        for n, (change, said) in enumerate(
            (
                (lambda m: None, ""),
                (lambda m: m["removal"].update(last=9), "the word for it is signed by none"),
                (lambda m: m["removal"].update(signature=None), "nobody has signed that their time was over"),
                (lambda m: m.update(removal=None), "no word of the log says"),
                (lambda m: m.update(removed=0), "are marked as removed"),
            )
        ):
            directory = await stand.fetch(export, tmp_path / f"{n} {len(wanted.kinds)}")
            resigned(stand, directory, change)
            problems = " ".join(verify(directory, await stand.public_keys()).problems)
            assert said in problems, (n, problems)
            assert bool(said) == bool(problems), problems
