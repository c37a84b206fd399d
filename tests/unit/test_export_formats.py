"""What an export's files say, byte for byte: golden files hold it, of records with all that may stand in one."""

import csv
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from core.audit.export.formats import COLUMNS, FORMATS
from core.storage.audit import AuditRecord, Outcome, line

GOLDEN = Path(__file__).parent / "golden_exports"
DIGEST = "5e" * 32
DETAILS: dict[str, Any] = {"n": -1.5, "many": 2**53, "none": None, "yes": True, "t": "a,\"b'\n\u2028\\ é😀", "personal": "x"}
KINDS = ("turn.started", "user.signed_in", "sign_in.refused", "user.created", "key.revoked", "organization.updated", "x")
STRANGE = ("plain", 'a"b', "a,", "a\\b", "a\nb\r", "é\u2028😀", "%s %(id)s {id}", ',"details":', "\x00\ud800", "", "null", " ")
FORMULAS = ("=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "'=1", "''-1", "'plain", " =1", "x=1")
CHANGED = (
    '["x"]',
    "=1",
    "-1",
    '{"id":7}',
    "null",
    "",
    "no json",
    '{"id":{"kind":1},"kind":[]}',
    '{"kind":\n"a"\n}',
    "é\u2028😀",
)
EDITS = (
    '"details":{]}',
    '"details":{\n}',
    '"details":{}}',
    '"details":"x',
    '"outcome":"won"',
    '"kind":7',
    '"time":"noon"',
    '"id":["x"]',
)


def records() -> list[str]:
    """Each kind with each outcome, each strange text in each place, much and nothing in the details."""
    begin = datetime(2026, 11, 21, 10, 0, 0, 999_999, UTC)
    made: list[dict[str, Any]] = [{"kind": kind, "outcome": outcome} for kind in KINDS for outcome in Outcome]
    for text in STRANGE:
        made += [{"object": text}, {"request_id": text, "key_id": text}, {"details": {text: text}}]
    made += [
        {"digest": DIGEST, "key_id": "key_1", "request_id": "req_1"},
        {"details": DETAILS},
        {"details": {"t": "x" * 5_000}},
    ]
    made += [{"object": text, "request_id": text} for text in FORMULAS]
    records = [
        AuditRecord(
            **{"kind": "tool.changed", "organization_id": f"org_{n % 3}", "actor": "user_1", **fields},
            id=f"aud_{n:032x}",
            at=begin + timedelta(milliseconds=n * 1.7),
        )
        for n, fields in enumerate(made)
    ]
    personal = {"subject": "user_9", "hmac": DIGEST}
    return [line(record, personal if n % 5 == 0 else None) for n, record in enumerate(records)]


def written(form: str, lines: Sequence[str], directory: Path, *, at_once: int = 50) -> Path:
    name, writer = FORMATS[form]
    with (directory / name).open("wb") as file:
        opened = writer(file)
        for start in range(0, len(lines), at_once):
            opened.write(lines[start : start + at_once])
        opened.write([])
        opened.close()
    return directory / name


@pytest.mark.parametrize("form", ["jsonl", "csv", "ocsf"])
def test_the_bytes_of_an_export_never_change(tmp_path: Path, form: str) -> None:
    file = written(form, records(), tmp_path)
    assert file.read_bytes() == (GOLDEN / file.name).read_bytes()


def test_a_parquet_export_has_the_cells_that_its_records_say(tmp_path: Path) -> None:
    lines = records()
    table = pyarrow.parquet.read_table(written("parquet", lines, tmp_path))
    assert table.schema.equals(pyarrow.schema([(name, pyarrow.string()) for name in COLUMNS]))
    for row, text in zip(table.to_pylist(), lines, strict=True):
        record = json.loads(text)
        assert row["record"] == text
        assert json.loads(row["details"]) == record["details"]
        assert {name: row[name] for name in COLUMNS[:-2]} == {name: record[name] for name in COLUMNS[:-2]}


@pytest.mark.parametrize("form", FORMATS)
def test_how_many_lines_come_at_once_changes_no_byte(tmp_path: Path, form: str) -> None:
    (tmp_path / "one").mkdir()
    one = written(form, records(), tmp_path / "one", at_once=1).read_bytes()
    assert one == written(form, records(), tmp_path, at_once=1_000).read_bytes()


def unguarded(cell: str) -> str:
    return re.sub(r"^'('*[=+\-@\t\r])", r"\1", cell)


def test_no_cell_of_a_csv_export_is_a_formula_and_each_can_be_read_back(tmp_path: Path) -> None:
    lines = [*records(), "=1", "-1"]
    with written("csv", lines, tmp_path).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert not [cell for row in rows for cell in row.values() if cell[:1] in tuple("=+-@\t\r")]
    for row, text in zip(rows[:-2], lines[:-2], strict=True):
        record = json.loads(text)
        assert {name: unguarded(row[name]) for name in COLUMNS[:-2]} == {name: record[name] or "" for name in COLUMNS[:-2]}


def lines_in(file: Path) -> list[str]:
    """The records' own lines, as a reader of the format gets them."""
    match file.suffixes:
        case [".csv"]:
            with file.open(encoding="utf-8", newline="") as text:
                return [unguarded(row["record"]) for row in csv.DictReader(text)]
        case [".parquet"]:
            return [str(line) for line in pyarrow.parquet.read_table(file)["record"].to_pylist()]
        case _:
            return [json.loads(event)["raw_data"] for event in file.read_bytes().splitlines()]


@pytest.mark.parametrize("form", ["csv", "parquet", "ocsf"])
def test_what_is_no_record_is_written_as_it_is_and_spoils_none_beside_it(tmp_path: Path, form: str) -> None:
    whole = records()
    names = [edit.partition(":")[0] for edit in EDITS]
    edited = [re.sub(rf'{name}:("[^"]*"|{{.*?}})', edit, whole[0], count=1) for name, edit in zip(names, EDITS, strict=True)]
    assert whole[0] not in edited
    changed = [*CHANGED, *edited]
    lines = [line for pair in zip(whole, changed, strict=False) for line in pair] + whole[len(changed) :]
    assert lines_in(written(form, lines, tmp_path)) == lines
    (tmp_path / "whole").mkdir()
    beside = written(form, whole, tmp_path / "whole")
    if form == "ocsf":
        assert set(beside.read_bytes().splitlines()) <= set((tmp_path / beside.name).read_bytes().splitlines())
