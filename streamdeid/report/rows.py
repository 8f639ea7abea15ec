"""Rows of a table into a file, one format a class."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

from streamdeid.errors import OutputError

Cell: TypeAlias = float | int | bool | None

ROWS_PER_GROUP: Final = 4096
_LONGEST_LINE: Final = 1 << 16  # bytes; a row of all metrics takes 4,000


class RowWriter(Protocol):
    """What a format of file can do."""

    def write(self, row: Mapping[str, Cell]) -> None:
        """Add one row: a cell for each column, in order of the columns."""
        ...

    def close(self) -> None:
        """Finish the file."""
        ...


def open_rows(path: Path, columns: Mapping[str, type], *, append: bool = False) -> RowWriter:
    """A file of the format that the suffix of `path` names.

    Args:
        append: keep the rows that are there; False: begin a new file.

    Raises:
        OSError: the file cannot be opened for writing.
        OutputError: the suffix is unknown, pyarrow is missing for Parquet, or nothing can be
            appended: to Parquet, or to rows of other columns.
    """
    formats: dict[str, type[CsvRows | JsonRows | ParquetRows]] = {
        ".csv": CsvRows,
        ".jsonl": JsonRows,
        ".parquet": ParquetRows,
    }
    if path.suffix not in formats:
        raise OutputError(f"{path}: the name of a timeline ends in {', '.join(formats)}.")
    return formats[path.suffix](path, columns, append=append)


def plain_cell(value: Cell) -> Cell:
    """`value` as a number of Python's own; None where it is not finite."""
    if value is None or not math.isfinite(value):
        return None
    item = getattr(value, "item", None)  # numpy's scalars, which json does not know
    plain: Cell = item() if item else value
    return plain


class CsvRows:
    """A header, and a line a row. In the file as soon as written: the buffer is one line."""

    def __init__(self, path: Path, columns: Mapping[str, type], *, append: bool = False) -> None:
        begun = append and _whole_lines(path) > 0
        if begun:
            with path.open(encoding="utf-8", newline="") as file:
                if next(csv.reader(file), []) != list(columns):
                    raise OutputError(
                        f"the timeline {path} is there, with other columns than the rows that come "
                        "now: give another name."
                    )
        self._file = path.open("a" if begun else "w", encoding="utf-8", newline="", buffering=1)
        self._rows = csv.writer(self._file, lineterminator="\n")
        try:
            if not begun:
                self._rows.writerow(columns)
        except OSError:
            close_broken(self)
            raise

    def write(self, row: Mapping[str, Cell]) -> None:
        # 1 and 0 are read as booleans or numbers everywhere; True, true and TRUE are not
        cells = row.values()
        self._rows.writerow([int(cell) if isinstance(cell, bool) else cell for cell in cells])

    def close(self) -> None:
        self._file.close()


class JsonRows:
    """An object a line."""

    def __init__(
        self,
        path: Path,
        columns: Mapping[str, type],  # noqa: ARG002
        *,
        append: bool = False,
    ) -> None:
        begun = append and _whole_lines(path) > 0
        self._file = path.open("a" if begun else "w", encoding="utf-8", buffering=1)

    def write(self, row: Mapping[str, Cell]) -> None:
        self._file.write(json.dumps(row, allow_nan=False) + "\n")

    def close(self) -> None:
        self._file.close()


class ParquetRows:
    """Columns with their types, in row groups of 4096: no more than one of them in memory."""

    def __init__(self, path: Path, columns: Mapping[str, type], *, append: bool = False) -> None:
        if append:
            raise OutputError(
                f"the timeline {path} cannot be gone on with, as Parquet takes no more rows once "
                "it is closed: name it .csv or .jsonl."
            )
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError as error:
            raise OutputError(
                f'the timeline {path} needs pyarrow: pip install "streamdeid[parquet]", '
                "or name it .csv or .jsonl."
            ) from error
        kinds = {float: pa.float64(), int: pa.int64(), bool: pa.bool_()}
        self._schema: Any = pa.schema([(name, kinds[kind]) for name, kind in columns.items()])
        self._columns = dict(columns)
        self._new_table = pa.Table.from_pydict
        self._group: dict[str, list[Cell]] = {name: [] for name in columns}
        self._writer: Any = pq.ParquetWriter(path, self._schema)

    def write(self, row: Mapping[str, Cell]) -> None:
        for name, kind in self._columns.items():
            cell = row[name]
            self._group[name].append(None if cell is None else kind(cell))
        if len(self._group["index"]) >= ROWS_PER_GROUP:
            self._write_group()

    def close(self) -> None:
        try:
            if self._group["index"]:
                self._write_group()
        finally:
            self._writer.close()

    def _write_group(self) -> None:
        self._writer.write_table(self._new_table(self._group, schema=self._schema))
        self._group = {name: [] for name in self._columns}


def _whole_lines(path: Path) -> int:
    """Bytes of the whole lines of a file; half a line, left by who was killed, is cut off."""
    if not path.exists():
        return 0
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        begin = file.seek(max(size - _LONGEST_LINE, 0))
        end = begin + file.read().rfind(b"\n") + 1
        file.truncate(end)
    return end


def close_broken(rows: RowWriter) -> None:
    """Close a file whose last write failed: closing tries that write again, and fails again."""
    try:
        rows.close()
    except OSError:
        return
