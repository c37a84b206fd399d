"""The process that writes an export's records: what it writes is described, and neither it nor its maker outlives the other."""

import hashlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.audit.export.formats import FORMATS
from core.audit.export.records_file import LINES_AT_ONCE, RecordsFile
from tests.unit.test_export_formats import records, written

GONE = (BrokenPipeError, ConnectionResetError)
ORPHAN = """
import multiprocessing, os, signal, sys
from pathlib import Path
from core.audit.export.records_file import RecordsFile
file = RecordsFile(Path(sys.argv[1]), "csv")
file.write(["x"] * 10)
print(multiprocessing.active_children()[0].pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def give(file: RecordsFile, lines: list[str]) -> None:
    file.write(lines)
    file.close()


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_written_is_described_and_is_the_same_however_it_comes(tmp_path: Path, form: str) -> None:
    lines = records() * (2 * LINES_AT_ONCE // len(records()) + 1)
    (tmp_path / "here").mkdir()
    file = RecordsFile(tmp_path, form)
    for part in (lines[:1], [], lines[1:]):
        file.write(part)
    told = file.close()
    whole = (tmp_path / FORMATS[form][0]).read_bytes()
    assert told == {"name": FORMATS[form][0], "bytes": len(whole), "sha256": hashlib.sha256(whole).hexdigest()}
    if form != "parquet":
        assert whole == written(form, lines, tmp_path / "here").read_bytes()


def test_a_writer_that_is_killed_is_an_error_and_nobody_waits_for_it(tmp_path: Path) -> None:
    for n, lines in enumerate(([], ["x" * 1_000] * 10 * LINES_AT_ONCE)):
        (tmp_path / str(n)).mkdir()
        file = RecordsFile(tmp_path / str(n), "csv")
        for process in multiprocessing.active_children():
            os.kill(process.pid or 0, signal.SIGKILL)
            process.join()
        with pytest.raises(GONE):
            give(file, lines)


def test_a_file_that_is_there_already_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "records.csv").write_text("mine")
    file = RecordsFile(tmp_path, "csv")
    with pytest.raises(GONE):
        give(file, [])
    assert (tmp_path / "records.csv").read_text() == "mine"


def test_a_writer_ends_with_the_process_that_opened_it(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", ORPHAN, str(tmp_path)], stdout=subprocess.PIPE, timeout=60, text=True)
    assert ended.returncode == -signal.SIGKILL
    writer = Path("/proc") / ended.stdout.strip()
    deadline = time.monotonic() + 30
    while writer.exists() and "(zombie)" not in (writer / "status").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
