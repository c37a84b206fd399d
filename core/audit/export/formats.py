"""An export's records in one of four shapes. In each the record's own line is there, word for word: its hash is of that.

A line that was changed in the database may be anything: it is written as it is, without columns, for the verifier to tell.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, BinaryIO, Protocol

import orjson
from pydantic_core import to_json

from core.audit.export.ocsf import event_of

PARSED = ("id", "time", "kind", "organization", "actor", "key", "request", "object", "digest", "outcome")
COLUMNS = (*PARSED, "details", "record")
DETAILS, PERSONAL = ',"details":', ',"personal":'
FORMULA = r"^('*[=+\-@\t\r])"
ROW_GROUP = 32_768
NO_RECORD = (ValueError, KeyError, TypeError, AttributeError)
"""What is raised where a line is no record of ours."""


class Writer(Protocol):
    def write(self, lines: Sequence[str]) -> None: ...

    def close(self) -> None:
        """Writes what is left; the file stays open."""
        ...


class JsonLines:
    """A line is a record."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, lines: Sequence[str]) -> None:
        if lines:
            self._file.write(("\n".join(lines) + "\n").encode())

    def close(self) -> None:
        pass


class Ocsf(JsonLines):
    """A line is an event of the Open Cybersecurity Schema Framework, with the record as `raw_data`."""

    def write(self, lines: Sequence[str]) -> None:
        self._file.writelines(map(self._event, lines))

    def _event(self, line: str) -> bytes:
        try:
            event = event_of(orjson.loads(line), line)
            text = orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)
        except NO_RECORD:
            return to_json({"raw_data": line}, ensure_ascii=True) + b"\n"
        return text if text.isascii() else to_json(event, ensure_ascii=True) + b"\n"  # Unicode has ends of lines too


class Csv:
    """With a header; all text is in quotes, what is empty is not; `details` is JSON.

    Spreadsheets run what begins like a formula: it gets a `'` before it, and so does what would then be taken for such a one.
    """

    def __init__(self, file: BinaryIO) -> None:
        import pyarrow.compute
        import pyarrow.csv

        self._file, self._replaced = file, pyarrow.compute.replace_substring_regex
        self._file.write((",".join(COLUMNS) + "\n").encode())
        self._csv, self._options = pyarrow.csv, pyarrow.csv.WriteOptions(include_header=False)
        self._columns = Columns()

    def write(self, lines: Sequence[str]) -> None:
        if lines:
            table = self._columns.of(lines)
            cells = [self._replaced(column, pattern=FORMULA, replacement=r"'\1") for column in table.columns]
            self._csv.write_csv(table.from_arrays(cells, COLUMNS), self._file, self._options)

    def close(self) -> None:
        pass


class Parquet:
    """Columns of strings, compressed with zstd."""

    def __init__(self, file: BinaryIO) -> None:
        import pyarrow.parquet

        self._columns = Columns()
        self._concat = pyarrow.concat_tables
        self._writer = pyarrow.parquet.ParquetWriter(file, self._columns.schema, compression="zstd")
        self._waiting: list[Any] = []

    def write(self, lines: Sequence[str]) -> None:
        if lines:
            self._waiting.append(self._columns.of(lines))
        if sum(map(len, self._waiting)) >= ROW_GROUP:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(self._concat(self._waiting))
            self._waiting.clear()


class Columns:
    """Records as a table of Arrow's, which writes it several times as fast as we could."""

    def __init__(self) -> None:
        import pyarrow

        self._arrow = pyarrow
        self.schema = pyarrow.schema([(name, pyarrow.string()) for name in COLUMNS])

    def of(self, lines: Sequence[str]) -> Any:
        try:
            return self._table([_cells(line) for line in lines])
        except (self._arrow.ArrowException, *NO_RECORD):
            return self._arrow.concat_tables([self._one(line) for line in lines])

    def _one(self, line: str) -> Any:
        try:
            return self._table([_cells(line)])
        except (self._arrow.ArrowException, *NO_RECORD):
            return self._arrow.Table.from_pylist([{"record": line}], schema=self.schema)

    def _table(self, rows: Sequence[Sequence[str | None]]) -> Any:
        arrays = [self._arrow.array(column, self._arrow.string()) for column in zip(*rows, strict=True)]
        return self._arrow.Table.from_arrays(arrays, schema=self.schema)


def _cells(line: str) -> tuple[str | None, ...]:
    """Raises one of NO_RECORD. Before `details` and after them no text has a bare quote: what is between is not parsed."""
    end = line.index(DETAILS)
    details = line[end + len(DETAILS) : line.rindex(PERSONAL)]
    return (*_parsed_cells(orjson.loads(line[:end] + "}")), details, line)


_parsed_cells = itemgetter(*PARSED)


FORMATS: Mapping[str, tuple[str, Callable[[BinaryIO], Writer]]] = {
    "jsonl": ("records.jsonl", JsonLines),
    "csv": ("records.csv", Csv),
    "parquet": ("records.parquet", Parquet),
    "ocsf": ("records.ocsf.jsonl", Ocsf),
}
"""By name: the file and what writes it."""
