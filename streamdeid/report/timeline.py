"""Timeline: one row per frame pair, written while the run goes on."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from streamdeid.errors import OutputError
from streamdeid.report.rows import Cell, RowWriter, open_rows, plain_cell

FIRST_COLUMNS: Final[dict[str, type]] = {"index": int, "time_s": float}


class Timeline:
    """Rows of a run in a file: CSV, JSON Lines or Parquet, as its suffix says.

    The metrics of a run work side by side, and each knows a part of what is to be said about a
    frame pair. A row is written once all its `parts` are there, in order of index. Each metric
    gives its parts in order of index: so when a row is whole, a lower one that is not will never
    be, and goes out with empty cells. What waits is what the metrics are apart, and never more
    than `most_waiting` rows.

    CSV and JSON Lines are flushed after every row, so that `tail -f` works; Parquet can be read
    once it is closed. A missing cell, or one that is not finite, is empty in CSV and null
    elsewhere; true and false are 1 and 0 in CSV.

    Args:
        path: its suffix is .csv, .jsonl or .parquet.
        columns: names in order; `index` and `time_s` always come before them. A mapping also gives
            their types (float, int, bool), which Parquet keeps; names alone mean float.
        parts: how many calls of `append` make a row.
        most_waiting: rows held at most for a metric that has fallen behind.
        append: keep the rows that are there, those of a run that is gone on with; the index
            begins anew.
    """

    def __init__(
        self,
        path: str | Path,
        columns: Sequence[str] | Mapping[str, type],
        *,
        parts: int = 1,
        most_waiting: int = 4096,
        append: bool = False,
    ) -> None:
        types = dict(columns) if isinstance(columns, Mapping) else dict.fromkeys(columns, float)
        self.path = Path(path)
        self.columns: dict[str, type] = FIRST_COLUMNS | types
        self._parts = parts
        self._most_waiting = most_waiting
        self._append = append
        self._waiting: dict[int, tuple[int, dict[str, Cell]]] = {}
        self._last = -1
        self._lock = threading.Lock()
        self._writer: RowWriter | None = None
        self._failure: OutputError | None = None

    def __enter__(self) -> Self:
        """Open the file; what it held is gone, unless rows are appended.

        Raises:
            OutputError: it cannot be written or appended to, or pyarrow is missing for Parquet.
        """
        with self._explained():
            self._writer = open_rows(self.path, self.columns, append=self._append)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except OutputError:
            if error is None:  # an error that is already on its way says more than this one
                raise

    def append(self, index: int, values: Mapping[str, Cell]) -> None:
        """Add one part of the row of pair `index`; from any thread.

        `values` may leave columns out. After a failure every call raises the same error again.

        Raises:
            OutputError: the file cannot be written.
            KeyError: a column that was not announced.
        """
        unknown = values.keys() - self.columns.keys()
        if unknown:
            raise KeyError(f"the timeline has no column {', '.join(sorted(unknown))}")
        with self._lock:
            if self._failure is not None:
                raise self._failure
            if index <= self._last:
                return  # the row went out without this part: its metric was too far behind
            count, row = self._waiting.get(index, (0, {}))
            self._waiting[index] = (count + 1, row | dict(values))
            if count + 1 >= self._parts:
                self._write_until(index)
            elif len(self._waiting) > self._most_waiting:
                self._write_until(min(self._waiting))

    def close(self) -> None:
        """Write what still waits, with empty cells for what is missing, and close the file.

        Raises:
            OutputError: the file cannot be written, and nobody has been told yet.
        """
        with self._lock:
            writer, known = self._writer, self._failure
            if writer is None:
                return
            try:
                if self._waiting and known is None:
                    self._write_until(max(self._waiting))
            finally:
                self._writer = None
                try:
                    with self._explained():
                        writer.close()
                except OutputError:
                    if known is None:
                        raise

    def _write_until(self, index: int) -> None:
        """Write the waiting rows up to `index`, whole or not. The lock is held."""
        if self._writer is None:
            raise ValueError("the timeline is not open: enter it with a with statement")
        for due in sorted(waiting for waiting in self._waiting if waiting <= index):
            _, row = self._waiting.pop(due)
            row["index"] = due
            with self._explained():
                self._writer.write({name: plain_cell(row.get(name)) for name in self.columns})
            self._last = due

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            self._failure = OutputError(f"the timeline {self.path} cannot be written: {reason}.")
            raise self._failure from error
