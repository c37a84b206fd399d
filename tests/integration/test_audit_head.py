"""Nothing is signed on top of a log that is not the one that was signed, whatever somebody has put into the database."""

import asyncio
import errno
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.audit.head import Head
from core.audit.notes import Rewritten
from core.audit.signing import open_signer
from core.audit.verification import verify
from core.audit.waiting import SealDelay
from core.errors import ConfigurationError, Unavailable
from core.storage.audit import AuditRecord
from core.storage.audit_seals import Batch, Checkpoint, SealStore
from core.storage.audit_shapes import Filter
from core.storage.embedded.postgres import EmbeddedPostgres
from tests.integration.audit_stand import AuditStand, PatientSealer, audit_stand, made_ago

CUT = "DELETE FROM audit_checkpoints WHERE number >= $1", "DELETE FROM audit_sections WHERE checkpoint >= $1"


@pytest.fixture
async def stand(postgres: EmbeddedPostgres, tmp_path: Path) -> AsyncIterator[AuditStand]:
    async with audit_stand(postgres, tmp_path) as opened:
        yield opened


async def sealed(stand: AuditStand, checkpoints: int) -> list[str]:
    """The ids of the last record of each."""
    ids = []
    for _ in range(checkpoints):
        ids.append((await stand.act(3))[-1])
        await stand.sealer.seal()
    return ids


async def cut_off(stand: AuditStand, number: int) -> None:
    for statement in CUT:
        await stand.tamper(statement, number)


def another(stand: AuditStand, file: str = "audit.head", key: str = "audit.key") -> PatientSealer:
    """As after a restart, or on another host."""
    seals, signer = SealStore(stand.database), open_signer(stand.home / key)
    return PatientSealer(seals, signer, Head(seals, signer, stand.home / file), stand.owner)


async def in_the_database(stand: AuditStand) -> int:
    last = await SealStore(stand.database).last()
    return last.number if last else 0


async def kinds(stand: AuditStand) -> list[str]:
    page = await stand.log.page(
        stand.tenant.principal,
        Filter(kinds=("audit.*",)),
        organization_id="platform",
        after=None,
        limit=20,
        descending=True,
    )
    return [event.record["kind"] for event in page.rows]


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_history_that_was_cut_off_is_not_signed_anew_and_exports_say_so(
    stand: AuditStand, tmp_path: Path, caplog: pytest.LogCaptureFixture, restarted: bool
) -> None:
    ids = await sealed(stand, 3)
    await stand.tamper("DELETE FROM audit_records WHERE id = $1", ids[1])
    await cut_off(stand, 2)
    await stand.act(3)
    sealer = another(stand) if restarted else stand.sealer
    with caplog.at_level(logging.CRITICAL):
        assert [await sealer.seal() for _ in range(3)] == [0, 0, 0]
    assert len(caplog.records) == 1
    assert str(stand.home / "audit.head") in caplog.text
    assert await in_the_database(stand) == 1
    directory = await stand.fetch(await stand.export(organization_id="all"), tmp_path / "x")
    problems = verify(directory, await stand.public_keys()).problems
    assert any("ends at checkpoint 1, but checkpoint 3 was signed" in problem for problem in problems), problems
    assert str(stand.home) not in "".join(problems)


async def test_a_checkpoint_that_was_replaced_or_added_without_the_key_is_not_sealed_upon(stand: AuditStand) -> None:
    await sealed(stand, 3)
    note = await stand.sealer.head()
    assert note is not None
    whole = "UPDATE audit_checkpoints SET note = $1 WHERE number = 3"
    await stand.tamper(whole, note.replace("\nsealed 2", "\nsealed 1"))
    await stand.act(1)
    assert await stand.sealer.seal() == 0
    assert "checkpoint 3 in the database is not the one that was signed" in (stand.sealer.problem or "")
    await stand.tamper(whole, note)
    await stand.tamper("UPDATE audit_checkpoints SET number = 4 WHERE number = 3")
    assert await stand.sealer.seal() == 0
    await stand.tamper("UPDATE audit_checkpoints SET number = 3 WHERE number = 4")
    assert (await stand.sealer.seal(), stand.sealer.problem) == (1, None)
    stranger = another(stand, "strangers.head", "strangers.key")
    await stand.act(1)
    assert await stranger.seal() > 0  # it remembers nothing, so it takes what is there: that is recorded
    assert "audit.head_accepted" in await kinds(stand)
    await stand.act(1)
    assert await stand.sealer.seal() == 0
    assert "signed by no key of this server" in (stand.sealer.problem or "")


async def test_a_database_that_is_ahead_by_what_was_signed_is_gone_on_from(stand: AuditStand) -> None:
    """A process that died between its commit and its note; another server's file that is from long ago."""
    await sealed(stand, 1)
    early = (stand.home / "audit.head").read_text()
    await sealed(stand, 2)
    (stand.home / "older.head").write_text(early)
    await stand.act(1)
    older = another(stand, "older.head")
    assert (await older.seal(), older.problem) == (1, None)
    assert await older.head() == (await SealStore(stand.database).last()).note  # type: ignore[union-attr]
    await stand.act(1)
    assert (await stand.sealer.seal(), stand.sealer.problem) == (1, None)
    assert "audit.head_accepted" not in await kinds(stand)


async def test_a_key_that_was_changed_after_the_head_was_written_goes_on(stand: AuditStand) -> None:
    await sealed(stand, 1)
    early = (stand.home / "audit.head").read_text()
    await sealed(stand, 1)
    (stand.home / "audit.head").write_text(early)
    (stand.home / "audit.key").unlink()
    sealer = another(stand)
    await stand.act(1)
    assert (await sealer.seal(), sealer.problem) == (1, None)


async def test_after_a_restore_the_log_goes_on_once_the_operator_deletes_the_file_and_a_record_says_so(
    stand: AuditStand, tmp_path: Path
) -> None:
    await sealed(stand, 3)
    await stand.tamper(
        "DELETE FROM audit_records WHERE moment >= (SELECT first_moment FROM audit_checkpoints WHERE number = 3)"
    )
    await cut_off(stand, 3)
    await stand.act(1)
    assert await stand.sealer.seal() == 0
    (stand.home / "audit.head").unlink()
    assert await stand.sealer.seal() > 0
    assert (await kinds(stand))[0] == "audit.head_accepted"
    directory = await stand.fetch(await stand.export(organization_id="all"), tmp_path / "x")
    assert verify(directory, await stand.public_keys()).problems == []


async def test_a_head_that_cannot_be_written_is_remembered_until_a_restart(
    stand: AuditStand, caplog: pytest.LogCaptureFixture
) -> None:
    sealer = another(stand, "nowhere/audit.head")
    for _ in range(3):
        await stand.act(1)
        await sealer.seal()
    assert caplog.text.count("is remembered until a restart only") == 1
    await cut_off(stand, 3)
    await stand.act(1)
    assert await sealer.seal() == 0
    assert "checkpoint 3 was signed" in (sealer.problem or "")


@pytest.mark.parametrize("text", ["", "x", "a\n1\nx\ny\nz\n\nq"])
async def test_a_head_that_is_none_is_not_gone_on_from(stand: AuditStand, text: str) -> None:
    await sealed(stand, 1)
    (stand.home / "audit.head").write_text(text)
    await stand.act(1)
    assert await stand.sealer.seal() == 0
    assert "is no checkpoint" in (stand.sealer.problem or "")


async def test_checkpoints_that_lead_to_the_head_are_proven_over_many(
    stand: AuditStand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.audit.head.STRIDE", 2)
    await sealed(stand, 7)
    await stand.head.newest()
    assert [(await stand.head.proven(number)).number for number in (1, 7, 2, 5)] == [1, 7, 2, 5]
    await stand.tamper("UPDATE audit_checkpoints SET note = (SELECT note FROM audit_checkpoints WHERE number = 1)")
    for number in (3, 4, 7):
        with pytest.raises(Rewritten, match=r"does not follow|does not lead|some are not"):
            await stand.head.proven(number)


async def test_who_was_not_elected_since_the_last_change_of_keys_knows_what_the_others_signed(stand: AuditStand) -> None:
    async def started(key: str) -> list[PatientSealer]:
        servers = [another(stand, "a.head", key), another(stand, "b.head", key)]
        for server in servers:
            await server._head.know_key()
            await server.announce()
        return servers

    async def seals(server: PatientSealer) -> None:
        await stand.act(1)
        assert (await server.seal() > 0, server.problem) == (True, None)

    a, b = await started("k0.key")
    await seals(b)
    await seals(a)
    a, _ = await started("k1.key")
    await seals(a)
    _, b = await started("k2.key")
    await seals(b)


async def test_what_is_sealed_while_somebody_looks_is_no_alarm(stand: AuditStand) -> None:
    class Looking(SealStore):
        """Whoever asks for the newest checkpoint has the answer later, and somebody does between two steps of the sealer."""

        asking: asyncio.Task[Checkpoint | None] | None = None

        async def last(self) -> Checkpoint | None:
            found = await super().last()
            asked.set()
            await asyncio.sleep(0.3)
            return found

        async def next_batch(self, first_moment: int, *, limit: int) -> Batch | None:
            batch = await super().next_batch(first_moment, limit=limit)
            if batch is not None:
                asked.clear()
                self.asking = asyncio.create_task(head.newest())
                await asked.wait()
            return batch

    await sealed(stand, 2)
    asked, seals = asyncio.Event(), Looking(stand.database)
    head = Head(seals, stand.signer, stand.home / "audit.head")
    await stand.act(1)
    assert await PatientSealer(seals, stand.signer, head, stand.owner).seal() > 0
    assert seals.asking is not None
    await seals.asking


async def test_checkpoints_that_lead_to_the_head_are_remembered_one_in_many(stand: AuditStand) -> None:
    await sealed(stand, 5)
    assert len(stand.head._leading) == len(stand.head._numbers) <= 2
    assert (await stand.head.proven(2)).number == 2


async def test_a_head_that_cannot_be_written_leaves_nothing_unfinished(
    stand: AuditStand, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("core.audit.head.os.fsync", full)
    await sealed(stand, 1)
    assert "No space left on device: the head of the audit log is remembered until a restart only" in caplog.text
    assert list(stand.home.glob(".audit.head-*")) == []


async def test_a_head_that_is_closed_to_the_server_is_told_at_its_start_and_not_as_a_changed_log(stand: AuditStand) -> None:
    await sealed(stand, 1)
    file = stand.home / "audit.head"
    file.unlink()
    file.mkdir()  # as root may read any file
    head = Head(SealStore(stand.database), open_signer(stand.home / "audit.key"), file)
    with pytest.raises(ConfigurationError, match=f"{file} cannot be used: Is a directory.*Keep it"):
        await head.know_key()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
async def test_a_head_that_cannot_be_opened_for_want_of_descriptors_is_no_alarm_and_sealing_goes_on_later(
    stand: AuditStand, number: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await sealed(stand, 1)
    await stand.act(3)
    read_text = Path.read_text

    def none_left(path: Path) -> str:
        if path.name == "audit.head":
            raise OSError(number, os.strerror(number), str(path))
        return read_text(path)

    monkeypatch.setattr(Path, "read_text", none_left)
    with pytest.raises(Unavailable, match="cannot be read now"):
        await stand.sealer.seal()
    assert (stand.sealer.problem, await in_the_database(stand)) == (None, 1)
    assert "the audit log was changed" not in caplog.text
    monkeypatch.undo()
    assert await stand.sealer.seal() == 3


async def test_a_head_that_cannot_be_read_any_more_is_an_alarm_that_says_so_and_not_that_the_log_was_changed(
    stand: AuditStand, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await sealed(stand, 1)

    def broken(path: Path) -> str:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    monkeypatch.setattr(Path, "read_text", broken)
    assert await stand.sealer.seal() == 0
    await stand.archiver().run()
    told = f"nothing of the audit log is sealed, archived or removed: {stand.home / 'audit.head'} cannot be used: Input/output"
    assert caplog.text.count(told) == 2
    assert "the audit log was changed" not in caplog.text
    export = await stand.export()
    assert export.problems == ["audit.head cannot be read (Input/output error): what was signed last is not known"]


async def test_what_is_wrong_with_the_head_is_told_without_where_it_is(
    stand: AuditStand, caplog: pytest.LogCaptureFixture
) -> None:
    await sealed(stand, 1)
    (stand.home / "audit.head").write_bytes(b"\xff\xfe")
    export = await stand.export()
    assert export.problems == ["audit.head is not the text that was written"]
    assert f"delete {stand.home / 'audit.head'}" in caplog.text


async def test_a_checkpoint_whose_end_was_moved_ahead_stops_no_sealing_unseen(
    stand: AuditStand, caplog: pytest.LogCaptureFixture
) -> None:
    """What is recorded until that moment would never be sealed."""
    await sealed(stand, 1)
    moved = "UPDATE audit_checkpoints SET end_moment = end_moment + $1"
    await stand.tamper(moved, 10**9)
    await stand.act(3)
    assert await stand.sealer.seal() == 0
    assert "ends after all that was ever written there" in (stand.sealer.problem or "")
    assert "the audit log was changed: checkpoint 1 in the database ends after" in caplog.text
    assert await stand.seals.unsealed() is not None
    await stand.tamper(moved, -(10**9))
    assert (await stand.sealer.seal(), stand.sealer.problem) == (3, None)


async def test_how_long_records_wait_to_be_sealed_is_known(stand: AuditStand) -> None:
    delay = SealDelay(stand.seals)
    await sealed(stand, 1)
    await delay.look()
    assert delay.seconds == 0
    await stand.record(made_ago(AuditRecord.by(stand.tenant.principal, "tool.disabled", "tool_x"), 1))
    await stand.act(1)
    await delay.look()
    assert isinstance(delay.seconds, float)
    assert 86_400 <= delay.seconds < 2 * 86_400
