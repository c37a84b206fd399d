"""An export's records in one of four shapes. In each the record's own line is there, word for word: its hash is of that."""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from core.audit.export.ocsf import event_of

COLUMNS = ("id", "time", "kind", "organization", "actor", "key", "request", "object", "digest", "outcome", "details", "record")
ROW_GROUP = 65_536


class Writer(Protocol):
    def write(self, lines: Sequence[str]) -> None: ...

    def close(self) -> None: ...


class JsonLines:
    """A line is a record."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("w", encoding="ascii", newline="")

    def write(self, lines: Sequence[str]) -> None:
        if lines:
            self._file.write("\n".join(lines) + "\n")

    def close(self) -> None:
        self._file.close()


class Ocsf(JsonLines):
    """A line is an event of the Open Cybersecurity Schema Framework, with the record as `raw_data`."""

    def write(self, lines: Sequence[str]) -> None:
        super().write([json.dumps(event_of(json.loads(line), line), separators=(",", ":")) for line in lines])


class Csv:
    """RFC 4180, with a header; `details` is JSON."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("w", encoding="ascii", newline="")
        self._writer = csv.writer(self._file)
        self._writer.writerow(COLUMNS)

    def write(self, lines: Sequence[str]) -> None:
        self._writer.writerows(map(_flat, lines))

    def close(self) -> None:
        self._file.close()


class Parquet:
    """Columns of strings, compressed with zstd."""

    def __init__(self, file: Path) -> None:
        import pyarrow
        import pyarrow.parquet

        self._arrow = pyarrow
        self._schema = pyarrow.schema([(name, pyarrow.string()) for name in COLUMNS])
        self._writer = pyarrow.parquet.ParquetWriter(file, self._schema, compression="zstd")
        self._rows: list[Sequence[str | None]] = []

    def write(self, lines: Sequence[str]) -> None:
        self._rows += map(_flat, lines)
        if len(self._rows) >= ROW_GROUP:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        columns = list(zip(*self._rows, strict=True)) or [()] * len(COLUMNS)
        arrays = [self._arrow.array(column, self._arrow.string()) for column in columns]
        self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))
        self._rows.clear()


def _flat(line: str) -> Sequence[str | None]:
    record: Mapping[str, Any] = json.loads(line)
    values = [record[name] for name in COLUMNS[:-2]]
    return [*values, json.dumps(record["details"], separators=(",", ":")), line]


FORMATS: Mapping[str, tuple[str, Callable[[Path], Writer]]] = {
    "jsonl": ("records.jsonl", JsonLines),
    "csv": ("records.csv", Csv),
    "parquet": ("records.parquet", Parquet),
    "ocsf": ("records.ocsf.jsonl", Ocsf),
}
"""By name: the file and what writes it."""
