"""Whatever is done to a sealed log, in its database or to an export of it, is found, and the message names the record."""

import asyncio
import hashlib
import json
import os
import random
import shutil
import tracemalloc
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from api.commands.audit import command
from core.audit.signing import Signer
from core.audit.verification import Unreadable, verify
from core.storage.audit import AuditRecord, insert
from core.storage.audit_shapes import Filter
from core.storage.embedded.postgres import EmbeddedPostgres
from core.storage.tables import audit_personal
from tests.integration.audit_stand import AuditStand, audit_stand
from tests.integration.conftest import make_tenant

FIFTH, SEVENTH = 4, 6  # of the ten that are recorded


@pytest.fixture
async def stand(postgres: EmbeddedPostgres, tmp_path: Path) -> AsyncIterator[AuditStand]:
    async with audit_stand(postgres, tmp_path) as opened:
        yield opened


async def exported(stand: AuditStand, tmp_path: Path, *, form: str = "jsonl") -> tuple[Path, list[str]]:
    """An export of ten records, and their ids."""
    await stand.sealer.seal()
    ids = await stand.act(10)
    return await stand.fetch(await stand.export(format=form), tmp_path / "fetched"), list(ids)


async def found_in(stand: AuditStand, directory: Path, kept: Sequence[str] = ()) -> list[str]:
    return verify(directory, await stand.public_keys(), kept).problems


def named(problems: Sequence[str], record_id: str, what: str) -> bool:
    return any(record_id in problem and what in problem for problem in problems)


def stranger_to(record_id: str) -> str:
    """An id that no record has, right after this one's."""
    return record_id[:-1] + "x"


SWAP = """
    UPDATE audit_records r SET record = o.record FROM audit_records o
    WHERE (r.id, o.id) IN (('{fifth}', '{seventh}'), ('{seventh}', '{fifth}'))
"""
ADD = """
    INSERT INTO audit_records (id, organization_id, moment, record)
    SELECT '{stranger}', organization_id, moment, replace(record::text, '{fifth}', '{stranger}')::json
    FROM audit_records WHERE id = '{fifth}'
"""
IN_THE_DATABASE = {
    "edited": (
        "UPDATE audit_records SET record = replace(record::text, 'success', 'refused')::json WHERE id = '{fifth}'",
        "{fifth}",
        "was changed",
    ),
    "removed": ("DELETE FROM audit_records WHERE id = '{fifth}'", "{fourth}", "is missing; its place is after"),
    "swapped": (SWAP, "{fifth}", "stands in the wrong place"),
    "added": (ADD, "{stranger}", "was added"),
    "cut off at the tail": ("DELETE FROM audit_records WHERE id >= '{seventh}'", "{sixth}", "is missing; its place is after"),
    "moved to another organisation": (
        "UPDATE audit_records SET organization_id = 'org_x' WHERE id = '{fifth}'",
        "{fourth}",
        "is missing; its place is after",
    ),
}


@pytest.mark.parametrize("deed", IN_THE_DATABASE)
@pytest.mark.parametrize("form", ["jsonl", "parquet"])
async def test_what_is_done_to_a_record_in_the_database_is_found(
    stand: AuditStand, tmp_path: Path, form: str, deed: str
) -> None:
    statement, record, what = IN_THE_DATABASE[deed]
    ids = await stand.act(10)
    await stand.sealer.seal()
    names = {"fourth": ids[FIFTH - 1], "fifth": ids[FIFTH], "sixth": ids[SEVENTH - 1], "seventh": ids[SEVENTH]}
    names["stranger"] = stranger_to(ids[FIFTH])
    await stand.tamper(statement.format(**names))
    export = await stand.export(format=form)
    assert "are not those that were sealed" in " ".join(export.problems)
    problems = await found_in(stand, await stand.fetch(export, tmp_path / "fetched"))
    assert named(problems, record.format(**names), what), problems


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet", "ocsf"])
async def test_a_record_that_is_made_into_something_else_breaks_no_export_and_is_found(
    stand: AuditStand, tmp_path: Path, form: str
) -> None:
    ids = await stand.act(10)
    await stand.sealer.seal()
    for n, other in enumerate(['["x"]', '{"id":7}', '{"kind":\n"a"\n}', "null", '{"id":{"kind":1},"kind":[]}']):
        await stand.tamper("UPDATE audit_records SET record = $1::text::json WHERE id = $2", other, ids[n])
    export = await stand.export(format=form)
    assert export.error is None
    problems = await found_in(stand, await stand.fetch(export, tmp_path / "fetched"))
    assert sum("was changed" in problem or "is missing" in problem for problem in problems) == 5, problems


async def test_a_record_that_is_added_for_an_organization_that_had_none_is_found(stand: AuditStand, tmp_path: Path) -> None:
    ids = await stand.act(10)
    await stand.sealer.seal()
    stranger = stranger_to(ids[FIFTH])
    statement = ADD.replace("organization_id, moment, replace", "'org_new', moment, replace")
    await stand.tamper(statement.format(fifth=ids[FIFTH], stranger=stranger))
    export = await stand.export(organization_id="all")
    problems = await found_in(stand, await stand.fetch(export, tmp_path / "fetched"))
    assert named(problems, stranger, "was added"), problems


async def test_a_log_whose_end_was_cut_off_with_its_seals_is_found_by_a_checkpoint_that_was_kept(
    stand: AuditStand, tmp_path: Path
) -> None:
    """And by the server, unless somebody has it forget what it signed."""
    await stand.act(3)
    await stand.sealer.seal()
    await stand.act(3)
    await stand.sealer.seal()
    kept = await stand.sealer.head()
    assert kept is not None
    await stand.tamper("DELETE FROM audit_records WHERE moment >= (SELECT max(first_moment) FROM audit_checkpoints)")
    await stand.tamper("DELETE FROM audit_sections WHERE checkpoint = (SELECT max(number) FROM audit_checkpoints)")
    await stand.tamper("DELETE FROM audit_checkpoints WHERE number = (SELECT max(number) FROM audit_checkpoints)")
    assert (await stand.export()).problems != []
    (stand.home / "audit.head").unlink()
    directory = await stand.fetch(await stand.export(), tmp_path / "fetched")
    assert await found_in(stand, directory) == []
    problems = await found_in(stand, directory, [kept])
    assert any("is not the one that you have kept: the log was rewritten" in problem for problem in problems), problems


async def test_newest_records_of_an_organization_that_were_removed_with_their_seal_are_found_whatever_is_sealed_after(
    stand: AuditStand, tmp_path: Path
) -> None:
    """By who can write to the database and has no signing key: no gap is left, since sealing goes on from the seal before."""
    other, who = await make_tenant(stand.database, "two"), stand.tenant.principal.organization_id
    for _ in range(2):
        await stand.act(2)
        await stand.act(1, tenant=other)
        await stand.sealer.seal()
    newest = "(SELECT max(number) FROM audit_checkpoints)"
    moment = f"(SELECT first_moment FROM audit_checkpoints WHERE number = {newest})"
    await stand.tamper(f"DELETE FROM audit_records WHERE organization_id = '{who}' AND moment >= {moment}")
    await stand.tamper(f"DELETE FROM audit_sections WHERE organization_id = '{who}' AND checkpoint = {newest}")
    await stand.act(2)
    await stand.sealer.seal()
    exports = [await stand.export(), await stand.export(organization_id=other.principal.organization_id)]
    for n, export in enumerate(exports):
        problems = await found_in(stand, await stand.fetch(export, tmp_path / f"fetched-{n}"))
        assert any("checkpoint 2: its seals are not those that were signed" in problem for problem in problems), problems


async def test_an_organization_that_is_left_out_of_an_export_of_all_is_found_whatever_places_the_others_claim(
    stand: AuditStand, tmp_path: Path
) -> None:
    """By who has the signing key: in a tree of six, the fifth's path is that of the third of four as well."""
    await stand.sealer.seal()
    tenants = [await make_tenant(stand.database, f"tenant {n}") for n in range(6)]
    await stand.sealer.seal()
    for tenant in tenants:
        await stand.act(1, tenant=tenant)
    directory = await stand.fetch(await stand.export(organization_id="all"), tmp_path / "all")

    def leave_one_out(proofs: list[dict[str, Any]]) -> None:
        sections = next(proof["sections"] for proof in proofs if len(proof["sections"]) == 6)
        del sections[5]
        for section in sections:
            section["of"] = 5
        sections[4].update(place=2, of=4)

    rewritten(directory, leave_one_out)
    problems = " ".join(await found_in(stand, directory))
    assert "do not lead to the signed root" not in problems
    assert "its organizations are not in places of one tree" in problems


async def test_a_checkpoint_that_was_kept_of_another_log_is_found_and_one_that_is_not_there_is_told(
    stand: AuditStand, tmp_path: Path
) -> None:
    directory, _ = await exported(stand, tmp_path)
    kept = await stand.sealer.head()
    assert kept is not None
    origin, elsewhere = kept.split("\n")[0], "paddock.audit/other"
    other = stand.signer.note(elsewhere, kept.partition("\n\n")[0].replace(origin, elsewhere) + "\n")
    (problem,) = await found_in(stand, directory, [kept, other])
    assert problem.endswith("which you have kept, is of another log, paddock.audit/other")
    earlier = kept.replace("\n2\n", "\n0\n")
    report = verify(directory, await stand.public_keys(), [kept, earlier])
    assert (report.problems, report.not_compared) == ([], [0])


async def test_a_file_beside_those_of_the_export_is_found(stand: AuditStand, tmp_path: Path) -> None:
    directory, _ = await exported(stand, tmp_path)
    (directory / "records.csv").write_text("id,time,kind\naud_forged,now,key.created\n")
    assert await found_in(stand, directory) == ["'records.csv' is no file of this export: nothing in it was checked"]


async def test_the_verdict_names_the_export_and_nothing_in_it_can_write_a_line_of_its_own(
    stand: AuditStand, tmp_path: Path
) -> None:
    directory, _ = await exported(stand, tmp_path)
    (tmp_path / "key").write_bytes(b"".join(await stand.public_keys()))
    (tmp_path / "kept").write_text((await stand.sealer.head() or "").replace("\n2\n", "\n0\n"))
    asked = ["verify", str(directory), "--public-key", str(tmp_path / "key")]
    manifest = json.loads((directory / "manifest.json").read_text())
    done = CliRunner().invoke(command, [*asked, "--checkpoint", str(tmp_path / "kept")])
    assert done.exit_code == 0, done.output
    assert f"export {manifest['id']} of {manifest['organization']}, made at {manifest['made_at']}" in done.stdout
    assert "checkpoint 0, which you have kept, is not among those of this export: it was not compared" in done.stdout
    for forged in ("\ud800", "x\nan empty log: 9 records; nothing is wrong", "\u202e", "\x1b[2J", "\r"):
        for name in ("filter", "id", "organization", "made_at", "problems"):
            value: Any = {"filter": {"kinds": forged}, "problems": [forged]}.get(name, forged)
            (directory / "manifest.json").write_text(json.dumps({**manifest, name: value}))
            done = CliRunner().invoke(command, asked)
            assert done.exit_code in (1, 2), (name, forged)
            assert isinstance(done.exception, SystemExit), (name, forged)
            assert not any(line.startswith("an empty log") for line in done.output.splitlines())
            assert all(line.isprintable() for line in done.output.split("\n"))


async def test_a_log_that_ends_before_a_checkpoint_that_was_kept_was_cut_off(stand: AuditStand, tmp_path: Path) -> None:
    directory, _ = await exported(stand, tmp_path)
    await stand.act(3)
    await stand.sealer.seal()
    kept = await stand.sealer.head()
    assert kept is not None
    problems = await found_in(stand, directory, [kept])
    assert any("what came after was cut off" in problem for problem in problems), problems


Lines = list[bytes]


def id_of(line: bytes) -> str:
    return line[line.index(b"aud_") :][:36].decode()


def edited(lines: Lines) -> Lines:
    return [*lines[:-6], lines[-6].replace(b"success", b"refused"), *lines[-5:]]


def removed(lines: Lines) -> Lines:
    return [*lines[:-6], *lines[-5:]]


def swapped(lines: Lines) -> Lines:
    return [*lines[:-6], lines[-4], lines[-5], lines[-6], *lines[-3:]]


def added(lines: Lines) -> Lines:
    known = id_of(lines[-6]).encode()
    return [*lines[:-5], lines[-6].replace(known, stranger_to(known.decode()).encode()), *lines[-5:]]


def doubled(lines: Lines) -> Lines:
    return [*lines[:-6], lines[-6], *lines[-6:]]


def cut_off(lines: Lines) -> Lines:
    return lines[:-2]


def half_gone(lines: Lines) -> Lines:
    return [*lines[:-1], lines[-1][: len(lines[-1]) // 2]]


IN_THE_EXPORT: dict[Callable[[Lines], Lines], tuple[int | None, str]] = {
    # the deed; the record that the message names (from the last on), and what it says
    edited: (-6, "was changed"),
    removed: (-7, "is missing; its place is after"),
    swapped: (-6, "stands in the wrong place"),
    added: (None, "was added"),
    doubled: (-6, "was added"),
    cut_off: (-3, "is missing; its place is after"),
}


@pytest.mark.parametrize("form", ["jsonl", "csv", "ocsf"])
async def test_what_is_done_to_a_record_in_the_export_is_found(stand: AuditStand, tmp_path: Path, form: str) -> None:
    directory, _ = await exported(stand, tmp_path, form=form)
    file = next(directory.glob("records.*"))
    lines = file.read_bytes().splitlines(keepends=True)
    for deed, (place, what) in IN_THE_EXPORT.items():
        file.write_bytes(b"".join(deed(lines)))
        problems = await found_in(stand, directory)
        assert any(file.name in problem for problem in problems)
        record = stranger_to(id_of(lines[-6])) if place is None else id_of(lines[place])
        assert named(problems, record, what), (deed, problems)
    file.write_bytes(b"".join(half_gone(lines)))
    assert any("record 12 of org_" in problem and "was changed" in problem for problem in await found_in(stand, directory))


async def test_what_is_done_to_a_record_in_a_parquet_export_is_found(stand: AuditStand, tmp_path: Path) -> None:
    directory, _ = await exported(stand, tmp_path, form="parquet")
    file = directory / "records.parquet"
    rows = pyarrow.parquet.read_table(file)
    changes = {
        "was changed": rows.set_column(11, "record", [[r.replace("success", "refused") for r in rows["record"].to_pylist()]]),
        "its columns do not say what its record says": rows.set_column(9, "outcome", [["refused"] * len(rows)]),
        "is missing; its place is after": rows.slice(0, 7),
        "was added": pyarrow.concat_tables([rows, rows.slice(0, 1)]),
    }
    for what, changed in changes.items():
        pyarrow.parquet.write_table(changed, file)
        problems = await found_in(stand, directory)
        assert any(what in problem and "aud_" in problem for problem in problems), (what, problems)


def rewritten(directory: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    proofs = [json.loads(line) for line in (directory / "proofs.jsonl").read_text().splitlines()]
    change(proofs)
    (directory / "proofs.jsonl").write_text("".join(json.dumps(proof) + "\n" for proof in proofs))


async def test_what_is_done_to_the_proofs_is_found(stand: AuditStand, tmp_path: Path) -> None:
    for _ in range(3):
        await stand.act(2)
        await stand.sealer.seal()
    await make_tenant(stand.database, "two")
    whole = await stand.fetch(await stand.export(), tmp_path / "whole")
    deeds: dict[str, Callable[[list[dict[str, Any]]], object]] = {
        "some are missing": lambda proofs: proofs.pop(1),
        "checkpoints are missing": lambda proofs: proofs.pop(),
        "follows checkpoint 3": lambda proofs: proofs.insert(1, proofs.pop(2)),
        "so far, not": lambda proofs: proofs[1].update(sections=[]),
        "signature is by none": lambda proofs: proofs[1].update(note=str(proofs[1]["note"]).replace("sealed 2", "sealed 1")),
        "it cannot be read": lambda proofs: proofs[1].update(note="x"),
        "do not lead to the signed root": lambda proofs: proofs[1].update(sections=proofs[2]["sections"]),
    }
    for n, (what, deed) in enumerate(deeds.items()):
        directory = tmp_path / f"copy-{n}"
        shutil.copytree(whole, directory)
        rewritten(directory, deed)
        problems = await found_in(stand, directory)
        assert any(what in problem for problem in problems), (what, problems)
    everybodys = await stand.fetch(await stand.export(organization_id="all"), tmp_path / "all")
    rewritten(everybodys, lambda proofs: [proof["sections"].pop() for proof in proofs if len(proof["sections"]) == 2])
    assert any("of 2 organizations 1 are there" in problem for problem in await found_in(stand, everybodys))


async def test_an_export_that_another_key_signed_is_found(stand: AuditStand, tmp_path: Path) -> None:
    directory, _ = await exported(stand, tmp_path)
    other = Signer.of(Ed25519PrivateKey.generate())
    problems = verify(directory, [other.public_key.encode()]).problems
    assert any(problem.startswith("manifest.json: its signature is by none of the given keys") for problem in problems)
    assert any(problem.startswith("checkpoint 1: its signature is by none of the given keys") for problem in problems)
    (directory / "manifest.sig").write_bytes(other.sign((directory / "manifest.json").read_bytes()))
    assert any("manifest.json: its signature" in problem for problem in await found_in(stand, directory))


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet", "ocsf"])
async def test_one_flipped_byte_anywhere_is_found_and_never_breaks_the_verifier(
    stand: AuditStand, tmp_path: Path, form: str
) -> None:
    directory, _ = await exported(stand, tmp_path, form=form)
    keys, chance = await stand.public_keys(), random.Random(4)
    for file in sorted(directory.iterdir()):
        whole = file.read_bytes()
        for _ in range(40):
            place = chance.randrange(len(whole))
            file.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << chance.randrange(8))]) + whole[place + 1 :])
            try:
                assert verify(directory, keys).problems, (file.name, place)
            except Unreadable:
                continue
        file.write_bytes(whole)
    assert verify(directory, keys).problems == []


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet", "ocsf"])
async def test_a_file_that_was_cut_or_lengthened_anywhere_is_found_and_never_breaks_the_verifier(
    stand: AuditStand, tmp_path: Path, form: str
) -> None:
    directory, _ = await exported(stand, tmp_path, form=form)
    keys, chance = await stand.public_keys(), random.Random(3)
    for file in sorted(directory.iterdir()):
        whole = file.read_bytes()
        for place in (1, len(whole) - 1, *(chance.randrange(1, len(whole)) for _ in range(10))):
            begin, rest = whole[:place], whole[place:]
            for bytes_instead in (begin, rest, whole + begin, begin + bytes(50) + rest, begin + b"\n\n" + rest):
                file.write_bytes(bytes_instead)
                try:
                    assert verify(directory, keys).problems, (file.name, place)
                except Unreadable:
                    continue
        file.unlink()
        with pytest.raises(Unreadable, match=file.name):
            verify(directory, keys)
        file.mkdir()
        with pytest.raises(Unreadable, match=file.name):
            verify(directory, keys)
        file.rmdir()
        file.write_bytes(whole)
    assert verify(directory, keys).problems == []


async def test_a_parquet_text_that_is_no_unicode_is_found_at_its_record(stand: AuditStand, tmp_path: Path) -> None:
    directory, _ = await exported(stand, tmp_path, form="parquet")
    file = directory / "records.parquet"
    table = pyarrow.parquet.read_table(file)
    column = table.schema.get_field_index("actor")
    actors = [actor.encode() for actor in table.column(column).to_pylist()]
    actors[2] = b"\xff" + actors[2]
    broken = pyarrow.array(actors, pyarrow.binary()).view(pyarrow.string())
    pyarrow.parquet.write_table(table.set_column(column, "actor", broken), file)
    name = table.column("id")[2].as_py()
    assert any(name in problem for problem in await found_in(stand, directory))


async def test_records_that_are_hidden_without_a_filter_are_found(stand: AuditStand, tmp_path: Path) -> None:
    """A server that lies: it exports some records only, and says that these are all."""
    await stand.act(5)
    directory = await stand.fetch(await stand.export(wanted=Filter(kinds=("tool.*",))), tmp_path / "fetched")
    assert await found_in(stand, directory) == []
    manifest = json.loads((directory / "manifest.json").read_text())
    manifest["filter"] = {"kinds": [], "since": None, "until": None}
    (directory / "manifest.json").write_text(json.dumps(manifest))
    (directory / "manifest.sig").write_bytes(stand.signer.sign((directory / "manifest.json").read_bytes()))
    problems = await found_in(stand, directory)
    assert any("are hidden" in problem for problem in problems), problems


GONE = object()


def signed_anew(stand: AuditStand, directory: Path, **said: Any) -> None:
    """By who has the signing key: the manifest says what is there now, and what else it is to say. GONE: not that."""
    manifest = {**json.loads((directory / "manifest.json").read_text()), **said}
    manifest = {name: value for name, value in manifest.items() if value is not GONE}
    for file in manifest["files"]:
        data = (directory / file["name"]).read_bytes()
        file.update(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    text = json.dumps(manifest).encode()
    (directory / "manifest.json").write_bytes(text)
    (directory / "manifest.sig").write_bytes(stand.signer.sign(text))


async def test_a_log_that_is_gone_is_found_by_a_checkpoint_that_was_kept(stand: AuditStand, tmp_path: Path) -> None:
    directory, _ = await exported(stand, tmp_path)
    kept = await stand.sealer.head()
    assert kept is not None
    for file in ("records.jsonl", "proofs.jsonl"):
        (directory / file).write_text("")
    signed_anew(stand, directory, records=0, checkpoints={"first": 0, "last": 0}, head=None)
    (problem,) = await found_in(stand, directory, [kept])
    assert problem.startswith("the log ends at checkpoint 0, but you have kept checkpoint 2")


async def test_a_log_that_was_cut_off_is_found_by_a_checkpoint_that_was_kept_in_the_first_format_too(
    stand: AuditStand, tmp_path: Path
) -> None:
    """Which proves nothing else of its end, and the verifier says so."""
    directory, _ = await exported(stand, tmp_path)
    kept, proofs = await stand.sealer.head(), (directory / "proofs.jsonl").read_text().splitlines(keepends=True)
    assert kept is not None
    records = (directory / "records.jsonl").read_text().splitlines(keepends=True)
    own = sum(section["size"] for section in json.loads(proofs[0])["sections"])
    (directory / "proofs.jsonl").write_text(proofs[0])
    (directory / "records.jsonl").write_text("".join(records[:own]))
    first_format = {"manifest": "paddock.audit.export/1", "head": GONE, "before": GONE, "removal": GONE}
    signed_anew(stand, directory, records=own, checkpoints={"first": 1, "last": 1}, **first_format)
    (problem,) = await found_in(stand, directory, [kept])
    assert problem.startswith("the log ends at checkpoint 1, but you have kept checkpoint 2")
    (tmp_path / "key").write_text(stand.signer.public_key)
    done = CliRunner().invoke(command, ["verify", str(directory), "--public-key", str(tmp_path / "key")])
    assert (done.exit_code, "an export of an earlier version: that the log ends where it does" in done.stdout) == (0, True)


async def test_a_column_that_is_there_twice_is_found(stand: AuditStand, tmp_path: Path) -> None:
    """A reader takes the one that lies, and the verifier the other."""
    directory, _ = await exported(stand, tmp_path, form="csv")
    file = directory / "records.csv"
    header, *rows = file.read_text().splitlines()
    file.write_text("\n".join([f"actor,{header}", *(f'"user_x",{row}' for row in rows)]) + "\n")
    signed_anew(stand, directory)
    assert await found_in(stand, directory) == [
        "records.csv: it has more than one column 'actor': none of them is to be trusted"
    ]
    directory = await stand.fetch(await stand.export(format="parquet"), tmp_path / "parquet")
    file = directory / "records.parquet"
    table = pyarrow.parquet.read_table(file)
    lie = pyarrow.array(["user_x"] * len(table), pyarrow.string())
    names = ["actor", *table.column_names]
    pyarrow.parquet.write_table(pyarrow.Table.from_arrays([lie, *table.columns], names=names), file)
    signed_anew(stand, directory)
    assert await found_in(stand, directory) == [
        "records.parquet: it has more than one column 'actor': none of them is to be trusted"
    ]


async def test_details_that_say_a_thing_twice_or_another_kind_of_thing_are_found(stand: AuditStand, tmp_path: Path) -> None:
    who = stand.tenant.principal
    await stand.record(AuditRecord.by(who, "tool.disabled", "x", details={"n": 1}))
    directory = await stand.fetch(await stand.export(format="csv"), tmp_path / "fetched")
    file = directory / "records.csv"
    whole = file.read_text()
    for lie in ('{""n"":2,""n"":1}', '{""n"":true}', '{""n"":1,""m"":null}', "{}"):
        file.write_text(whole.replace(',"{""n"":1}",', f',"{lie}",'))
        signed_anew(stand, directory)
        assert len(await found_in(stand, directory)) == 1, lie


LIES: dict[str, Callable[[dict[str, Any]], object]] = {
    "time": lambda event: event.update(time=0),
    "original_time": lambda event: event["metadata"].update(original_time="1970-01-01T00:00:00+00:00"),
    "tenant": lambda event: event["metadata"].update(tenant_uid="org_x"),
    "resources": lambda event: event.update(resources=[{"uid": "tool_x", "type": "tool"}]),
    "credential": lambda event: event["actor"]["user"].update(credential_uid="key_x"),
    "user": lambda event: event.update(user={"uid": "user_x"}),
    "details": lambda event: event["unmapped"].update(details={"never": "said"}),
    "digest": lambda event: event["unmapped"].update(digest="00"),
    "status": lambda event: event.update(status="Failure", status_id=2),
    "class": lambda event: event.update(class_uid=3002),
    "request": lambda event: event["api"].update(request={"uid": "req_x"}),
    "something more": lambda event: event.update(message="it was user_x"),
    "something less": lambda event: event.pop("user"),
}


async def test_an_event_that_says_anything_else_than_its_record_is_found(stand: AuditStand, tmp_path: Path) -> None:
    directory, _ = await exported(stand, tmp_path, form="ocsf")
    file = directory / "records.ocsf.jsonl"
    *before, last = file.read_text().splitlines()
    name = json.loads(last)["metadata"]["uid"]
    for what, lie in LIES.items():
        event = json.loads(last)
        lie(event)
        file.write_text("\n".join([*before, json.dumps(event)]) + "\n")
        signed_anew(stand, directory)
        (problem,) = await found_in(stand, directory)
        assert named([problem], name, "the event does not say what its raw_data says"), what
    file.write_text("\n".join([*before, '{"time":0,' + last[1:]]) + "\n")
    signed_anew(stand, directory)
    assert any("it cannot be read" in problem for problem in await found_in(stand, directory))


async def test_a_strange_line_that_is_repeated_is_told_each_time_and_looked_for_no_longer(
    stand: AuditStand, tmp_path: Path
) -> None:
    directory, _ = await exported(stand, tmp_path)
    file = directory / "records.jsonl"
    whole = file.read_text()
    file.write_text("{}\n" * 3 + whole)
    assert sum("was added" in problem for problem in await found_in(stand, directory)) == 3
    file.write_text("{}\n" * 2_000 + whole)
    problems = await found_in(stand, directory)
    assert (len(problems), problems[-1]) == (1_001, "there are more problems; it is useless to look further")


async def test_only_regular_files_are_read(stand: AuditStand, tmp_path: Path) -> None:
    directory, _ = await exported(stand, tmp_path)
    for file in sorted(directory.iterdir()):
        kept = tmp_path / "kept"
        file.rename(kept)
        file.symlink_to(kept)
        with pytest.raises(Unreadable, match=f"{file.name}: it is no regular file"):
            await found_in(stand, directory)
        file.unlink()
        os.mkfifo(file)
        with pytest.raises(Unreadable, match=f"{file.name}: it is no regular file"):
            await found_in(stand, directory)
        file.unlink()
        kept.rename(file)
    assert await found_in(stand, directory) == []


async def test_what_is_larger_than_an_honest_export_has_it_is_not_taken_into_memory(stand: AuditStand, tmp_path: Path) -> None:
    directory, _ = await exported(stand, tmp_path)
    rewritten(directory, lambda proofs: proofs[0].update(more=[{}] * 600_000))
    signed_anew(stand, directory)
    assert "proofs.jsonl, line 1: it cannot be read: it was changed" in await found_in(stand, directory)
    tracemalloc.start()
    try:
        with (directory / "manifest.sig").open("r+b") as file:
            file.truncate(2**27)
        problems = await found_in(stand, directory)
        assert tracemalloc.get_traced_memory()[1] < 2**26
    finally:
        tracemalloc.stop()
    assert any(problem.startswith("manifest.json: its signature is by none") for problem in problems)


async def test_a_removal_that_is_no_unicode_is_signed_by_nobody(stand: AuditStand, tmp_path: Path) -> None:
    directory, _ = await exported(stand, tmp_path)

    def remove(proofs: list[dict[str, Any]]) -> None:
        proofs[-1]["sections"][0].update(removed=True, leaves="", shown=[])

    rewritten(directory, remove)
    removal = {"first": 1, "last": 10**6, "archive": "\ud800", "sha256": "", "signature": ""}
    signed_anew(stand, directory, removal=removal)
    problems = await found_in(stand, directory)
    assert any("the word for it is signed by none of the given keys" in problem for problem in problems), problems


async def test_personal_text_that_is_not_what_was_recorded_is_told_and_not_shown(stand: AuditStand) -> None:
    """The server's login may remove personal text and write some: that is what erasing and recording need."""
    who = stand.tenant.principal
    changed, added, kept = (
        AuditRecord.by(who, "user.updated", f"user_{n}", subject="user_9", personal=text)
        for n, text in enumerate(({"name": "Mallory"}, {}, {"name": "Ada"}))
    )
    await stand.record(changed, added, kept)
    forged = {"organization_id": who.organization_id, "subject": "user_9", "text": '{"name":"Alice"}'}
    async with stand.database.everyone() as connection:
        await connection.execute(sa.delete(audit_personal).where(audit_personal.c.record_id == changed.id))
        for record in (changed, added):
            await connection.execute(sa.insert(audit_personal).values(record_id=record.id, **forged))
    events = [await stand.log.get(who, record.id) for record in (changed, added, kept)]
    told = [(event.personal, event.personal_changed) for event in events]
    assert told == [(None, True), (None, True), ({"name": "Ada"}, False)]
    await stand.tamper("UPDATE audit_records SET record = '[7]' WHERE id = $1", kept.id)
    assert (await stand.log.get(who, kept.id)).personal_changed
    assert await stand.log.erase(who, "user_9") == 3
    assert not (await stand.log.get(who, changed.id)).personal_changed


async def test_personal_text_is_erased_and_the_proof_stays_whole(stand: AuditStand, tmp_path: Path) -> None:
    who = stand.tenant.principal
    told = AuditRecord.by(who, "user.updated", "user_9", subject="user_9", personal={"name": "Ada Lovelace"})
    await stand.record(told)
    assert (await stand.log.get(who, told.id)).personal == {"name": "Ada Lovelace"}
    assert await stand.log.erase(who, "user_9") == 1
    assert (await stand.log.get(who, told.id)).personal is None
    directory = await stand.fetch(await stand.export(), tmp_path / "fetched")
    assert await found_in(stand, directory) == []
    assert b"Lovelace" not in b"".join(file.read_bytes() for file in directory.iterdir())


async def test_an_erasure_waits_for_what_is_being_written_about_the_person(stand: AuditStand) -> None:
    who = stand.tenant.principal
    about = {"subject": "user_9", "personal": {"name": "Ada Lovelace"}}
    told = [AuditRecord.by(who, "user.updated", "user_9", **about) for _ in range(2)]
    await stand.record(told[0])
    async with stand.database.tenant(who.organization_id) as connection:
        await insert(connection, told[1])
        erasing = asyncio.create_task(stand.log.erase(who, "user_9"))
        await asyncio.sleep(0.3)
        assert not erasing.done()
    assert await erasing == 2
    assert [(await stand.log.get(who, record.id)).personal for record in told] == [None, None]


async def test_hashes_that_were_taken_out_with_their_records_are_not_taken_for_age(stand: AuditStand, tmp_path: Path) -> None:
    await stand.act(10)
    await stand.sealer.seal()
    who = stand.tenant.principal.organization_id
    await stand.tamper("DELETE FROM audit_records WHERE organization_id = $1", who)
    await stand.tamper("UPDATE audit_sections SET leaves = NULL WHERE organization_id = $1", who)
    export = await stand.export()
    assert "no archive of theirs is" in " ".join(export.problems)
    assert await found_in(stand, await stand.fetch(export, tmp_path / "fetched"))


async def test_a_record_whose_columns_were_changed_is_in_a_filtered_export_all_the_same(
    stand: AuditStand, tmp_path: Path
) -> None:
    first, *_ = await stand.act(3)
    await stand.sealer.seal()
    await stand.tamper("UPDATE audit_records SET id = 'aud_' || repeat('0', 32) WHERE id = $1", first)
    recent = Filter(since=datetime.now(UTC) - timedelta(hours=1))
    directory = await stand.fetch(await stand.export(wanted=recent), tmp_path / "fetched")
    assert first.encode() in (directory / "records.jsonl").read_bytes()


HOSTILE: dict[str, Callable[[dict[str, Any]], object]] = {
    "endless records": lambda manifest: manifest.update(records=float("inf")),
    "endless bytes": lambda manifest: manifest["files"][0].update(bytes=float("inf")),
    "a number of problems": lambda manifest: manifest.update(problems=7),
    "no problems at all": lambda manifest: manifest.update(problems=None),
    "a number for a name": lambda manifest: manifest["files"][0].update(name=5),
    "a name with a null": lambda manifest: manifest["files"][0].update(name="a\0b"),
    "a name that is no Unicode": lambda manifest: manifest["files"][0].update(name="\ud800"),
}


@pytest.mark.parametrize("deed", HOSTILE)
async def test_a_manifest_that_says_nonsense_never_breaks_the_verifier(stand: AuditStand, tmp_path: Path, deed: str) -> None:
    directory = await stand.fetch(await stand.export(), tmp_path / "fetched")
    manifest = json.loads((directory / "manifest.json").read_text())
    HOSTILE[deed](manifest)
    (directory / "manifest.json").write_text(json.dumps(manifest))
    with suppress(Unreadable):
        assert await found_in(stand, directory)


async def test_a_parquet_column_of_impossible_dates_never_breaks_the_verifier(stand: AuditStand, tmp_path: Path) -> None:
    directory = await stand.fetch(await stand.export(format="parquet"), tmp_path / "fetched")
    file = directory / "records.parquet"
    table = pyarrow.parquet.read_table(file)
    for kind, stored, value in (
        (pyarrow.date32(), pyarrow.int32(), 2**31 - 1),
        (pyarrow.timestamp("us"), pyarrow.int64(), 2**62),
        (pyarrow.timestamp("ns"), pyarrow.int64(), 1),
    ):
        column = pyarrow.array([value] * len(table), stored).view(kind)
        pyarrow.parquet.write_table(table.set_column(0, "id", column), file)
        assert await found_in(stand, directory)
