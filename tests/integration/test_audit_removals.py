"""Records that the archiver moves or removes while they are exported are missed by nobody; what somebody else removes is."""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.audit.export import making
from core.audit.export.archived import ArchivedRecords
from core.audit.export.making import ExportMaker
from core.audit.export.proofs import Proven, prove
from core.audit.merkle import leaf_hash
from core.audit.verification import verify
from core.storage.audit import PLATFORM, AuditRecord, line
from core.storage.audit_exports import Export, ExportStatus, ExportStore
from core.storage.audit_reading import SealedRecords, Wanted, open_sealed_records
from core.storage.audit_shapes import Filter
from core.storage.embedded.postgres import EmbeddedPostgres
from tests.integration.audit_stand import AuditStand, audit_stand, made_ago

EVERYTHING = Wanted(organization_id=None, filter=Filter())


@pytest.fixture
async def stand(postgres: EmbeddedPostgres, tmp_path: Path) -> AsyncIterator[AuditStand]:
    async with audit_stand(postgres, tmp_path) as opened:
        yield opened


async def sealed(stand: AuditStand, times: int = 5, *, days: int = 400) -> Sequence[str]:
    """Records that were sealed so long ago."""
    ids = await stand.act(times)
    await stand.seal_ago(days)
    return ids


def ids_of(proven: Sequence[Proven]) -> list[str]:
    return [json.loads(line)["id"] for one in proven for line in one.lines]


# --- the archiver meets an export ---


async def test_records_that_are_archived_after_their_page_was_read_are_not_missed(stand: AuditStand) -> None:
    ids = await sealed(stand)
    async with open_sealed_records(stand.database.address, EVERYTHING) as records:
        archived = ArchivedRecords(records, stand.objects, EVERYTHING)
        page = await records.page(1, 1)
        await stand.archiver().run()
        proven = [prove(one) for one in await archived.added_to(page)]
    assert ([one.problems for one in proven], archived.take_problems()) == ([[]], [])
    assert [id for id in ids_of(proven) if id in ids] == list(ids)


async def test_records_that_are_archived_and_removed_while_their_page_is_read_are_not_missed(stand: AuditStand) -> None:
    class Interrupted(SealedRecords):
        async def _rows(self, *args: object) -> object:  # type: ignore[override]
            await stand.archiver(keep_days=365).run()
            return await super()._rows(*args)  # type: ignore[arg-type]

    ids = await sealed(stand)
    async with open_sealed_records(stand.database.address, EVERYTHING) as records:
        interrupted = Interrupted(records._connection, EVERYTHING)
        archived = ArchivedRecords(interrupted, stand.objects, EVERYTHING)
        proven = [prove(one) for one in await archived.added_to(await interrupted.page(1, 1))]
    assert ([one.problems for one in proven], archived.take_problems()) == ([[]], [])
    assert [id for id in ids_of(proven) if id in ids] == list(ids)


async def test_an_archive_that_is_removed_after_a_page_named_it_is_no_problem(stand: AuditStand) -> None:
    ids = await sealed(stand)
    await stand.archiver().run()
    async with open_sealed_records(stand.database.address, EVERYTHING) as records:
        archived = ArchivedRecords(records, stand.objects, EVERYTHING)
        page = await records.page(1, 1)
        await stand.archiver(archive_days=None, keep_days=365).run()
        proven = [prove(one) for one in await archived.added_to(page)]
    assert ([one.problems for one in proven], archived.take_problems()) == ([[]], [])
    assert proven[0].removed >= len(ids)


# --- what is removed says so in the log, sealed ---


FORGED = """
    INSERT INTO audit_archives (id, first_checkpoint, last_checkpoint, records, latest, bytes, sha256, parts, removed_at)
    VALUES ('archive_' || repeat('0', 32), $1, $1, 1, now() - interval '400 days', 1, '', '{}', now())
"""
GONE = """
    DELETE FROM audit_records r USING audit_checkpoints c
    WHERE c.number = $1 AND r.moment >= c.first_moment AND r.moment < c.end_moment
"""
HASHES_GONE = "UPDATE audit_sections SET leaves = NULL WHERE checkpoint = $1"
UNSAID = "that its time was over"


async def problems_of(stand: AuditStand, directory: Path, *, organization_id: str | None = None) -> list[str]:
    export = await stand.export(organization_id=organization_id)
    assert export.error is None
    return verify(await stand.fetch(export, directory), await stand.public_keys()).problems


async def test_a_removal_whose_record_cannot_be_sealed_yet_is_no_tampering(stand: AuditStand) -> None:
    await sealed(stand)
    await stand.archiver().run()
    stand.sealer.patience = 0.2
    async with stand.database.everyone() as writing:
        await writing.exec_driver_sql("SELECT pg_current_xact_id()")
        await stand.archiver(archive_days=None, keep_days=365).run()
        held_up = await stand.export()
    assert (held_up.status, list(held_up.problems)) == (ExportStatus.FAILED, [])
    assert held_up.error is not None
    assert "ask for the export again later" in held_up.error
    again = await stand.export()
    assert (again.status, list(again.problems)) == (ExportStatus.COMPLETED, [])


async def test_what_was_not_made_says_so_for_a_day_where_exports_are_not_kept(stand: AuditStand) -> None:
    store, who = ExportStore(stand.database), stand.tenant.principal
    cancelled = await stand.exports.create(who, Filter(), format="jsonl")
    await stand.exports.delete(who, cancelled.id)
    assert await store.outlived(days=0) == []
    await stand.tamper("UPDATE audit_exports SET ended_at = ended_at - interval '25 hours'")
    assert [one.id for one in await store.outlived(days=0)] == [cancelled.id]
    assert await store.outlived(days=2) == []


@pytest.mark.parametrize("whose", [None, "all"])
async def test_a_removal_that_somebody_made_look_like_one_by_age_is_found(
    stand: AuditStand, tmp_path: Path, whose: str | None
) -> None:
    await sealed(stand)
    for statement in (GONE, HASHES_GONE, FORGED):
        await stand.tamper(statement, 1)
    problems = await problems_of(stand, tmp_path / "x", organization_id=whose)
    assert any("up to checkpoint 1 are gone" in problem and UNSAID in problem for problem in problems), problems


async def test_a_forged_removal_beside_a_real_one_is_found_and_the_real_one_is_none(stand: AuditStand, tmp_path: Path) -> None:
    await sealed(stand)
    await stand.archiver().run()
    await stand.archiver(archive_days=None, keep_days=365).run()
    await stand.sealer.seal()
    await sealed(stand, days=0)
    for statement in (GONE, HASHES_GONE, FORGED):
        await stand.tamper(statement, 3)
    problems = await problems_of(stand, tmp_path / "x")
    (told,) = (problem for problem in problems if UNSAID in problem)
    assert "up to checkpoint 3 are gone" in told
    assert "of none after checkpoint 1" in told


async def test_an_archive_that_somebody_calls_removed_or_lengthens_is_found(stand: AuditStand, tmp_path: Path) -> None:
    for days in (800, 400):
        await sealed(stand, days=days)
        await stand.archiver().run()
    await stand.archiver(archive_days=None, keep_days=500).run()  # of the first
    await sealed(stand, days=0)
    for deed in (
        "UPDATE audit_archives SET removed_at = now() WHERE first_checkpoint = 2",
        "DELETE FROM audit_archives WHERE first_checkpoint = 2",
        "UPDATE audit_archives SET last_checkpoint = 2 WHERE first_checkpoint = 1",
    ):
        await stand.tamper(HASHES_GONE, 2)
        await stand.tamper(deed)
        problems = await problems_of(stand, tmp_path / str(len(list(tmp_path.iterdir()))))
        assert any("up to checkpoint 2 are gone" in problem and UNSAID in problem for problem in problems), (deed, problems)
        assert not any("checkpoint 1:" in problem for problem in problems), (deed, problems)


@pytest.mark.parametrize("hashes", [False, True])
async def test_a_word_of_a_removal_that_somebody_put_into_a_sealed_checkpoint_does_not_count(
    stand: AuditStand, tmp_path: Path, hashes: bool
) -> None:
    """With the hash of the record made to fit, or not."""
    await sealed(stand, days=0)
    told = AuditRecord(kind="audit.other", organization_id=PLATFORM, actor="system", object="archive_" + "0" * 32)
    await stand.tamper(
        "INSERT INTO audit_records (id, organization_id, record) VALUES ($1, $2, $3::text::json)", told.id, PLATFORM, line(told)
    )
    await stand.sealer.seal()
    forged = line(told).replace("audit.other", "audit.removed").replace('"details":{}', '"details":{"last_checkpoint":1}')
    await stand.tamper("UPDATE audit_records SET record = $2::text::json WHERE id = $1", told.id, forged)
    if hashes:
        await stand.tamper(
            "UPDATE audit_sections SET leaves = $1 WHERE checkpoint = 2 AND organization_id = $2",
            leaf_hash(forged.encode()),
            PLATFORM,
        )
    for statement in (GONE, HASHES_GONE, FORGED):
        await stand.tamper(statement, 1)
    problems = await problems_of(stand, tmp_path / "x")
    assert any("up to checkpoint 1 are gone" in problem and UNSAID in problem for problem in problems), problems


@pytest.mark.parametrize("whose", [None, "all"])
async def test_removals_whose_records_were_archived_and_removed_themselves_are_no_problem(
    stand: AuditStand, tmp_path: Path, whose: str | None
) -> None:
    """Each time all that is there is archived, with the records of removals before, and then removed."""
    words = sa.text("SELECT count(*) FROM audit_records WHERE kind = 'audit.removed'")
    for n in range(3):
        await sealed(stand, days=0)
        await stand.archiver(archive_days=-2).run()
        async with stand.database.everyone() as connection:
            assert await connection.scalar(words) == 0
        assert await problems_of(stand, tmp_path / f"{n} archived", organization_id=whose) == []
        await stand.archiver(archive_days=None, keep_days=-2).run()
        assert await problems_of(stand, tmp_path / f"{n} removed", organization_id=whose) == []


async def test_an_export_of_what_was_long_ago_knows_a_removal_that_is_told_later(stand: AuditStand) -> None:
    await stand.record(made_ago(AuditRecord.by(stand.tenant.principal, "tool.disabled", "tool_x"), 400))
    await sealed(stand)
    await stand.archiver().run()
    await stand.archiver(archive_days=None, keep_days=365).run()
    export = await stand.export(wanted=Filter(until=datetime.now(UTC) - timedelta(days=300)))
    assert (export.error, export.problems, export.checkpoints) == (None, [], 1)


async def test_a_removal_amid_an_export_is_sealed_before_it_is_asked_for(
    stand: AuditStand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "PROGRESS_SECONDS", 0.05)  # before any export's process is ready

    class Removing(ExportStore):
        removed = False

        async def progress(self, export: Export, *, records: int, checkpoints: int, total: int) -> bool:
            if not self.removed:
                self.removed = True
                await stand.archiver(archive_days=None, keep_days=365).run()
            return await super().progress(export, records=records, checkpoints=checkpoints, total=total)

    await sealed(stand)
    await stand.archiver().run()
    stores = {"database": stand.database.address, "objects": f"file://{stand.home / 'objects'}"}
    store = Removing(stand.database)
    maker = ExportMaker(store, stand.objects, stand.sealer, stand.signer, stores=stores, home=stand.home, days=30)
    export = await replace(stand, maker=maker).export()
    assert (export.error, export.problems, store.removed) == (None, [], True)
