"""LineWriter: a line of JSON at a time, to a file or to standard output."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Any, Final, Self, TextIO

from streamdeid.cli.console import forget_standard_output
from streamdeid.closing import Closing
from streamdeid.errors import OutputError
from streamdeid.report.to_json import STANDARD_OUTPUT

LONGEST_END_S: Final = 2.0
_MOST_WAITING: Final = 100
_LOOK_EVERY_S: Final = 0.1


class LineWriter(Closing):
    """Writes records in a thread of its own: a reader that does not read holds nobody up.

    Args:
        path: of the file; "-" is standard output; None: nobody wants lines.
        append: to what is there, instead of beginning anew.
        tell: called with a sentence when lines cannot be written, once.
        gone: called when whoever read standard output has gone.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        append: bool,
        tell: Callable[[str], None],
        gone: Callable[[], None],
    ) -> None:
        self._path = path
        self._append = append
        self._tell = tell
        self._gone = gone
        self._told = False
        self._over = Event()
        self._file: TextIO | None = None
        self._queue: Queue[str] = Queue(_MOST_WAITING)
        self._thread = Thread(target=self._write_all, name="lines", daemon=True)

    def __enter__(self) -> Self:
        """Raises: OutputError if the file cannot be opened."""
        if self._path is None:
            return self
        if self._path == Path(STANDARD_OUTPUT):
            self._file = sys.stdout
        else:
            try:
                cut_off = self._append and _is_cut_off(self._path)
                self._file = self._path.open("a" if self._append else "w", encoding="utf-8")
                if cut_off:
                    self._file.write("\n")  # else the first line is lost with half of another
            except OSError as error:
                raise OutputError(
                    f"--output {self._path} cannot be written: {error.strerror}."
                ) from error
        self._thread.start()
        return self

    def close(self) -> None:
        """Write what waits, for 2 s at most."""
        self._over.set()
        if self._file is not None:
            self._thread.join(LONGEST_END_S)

    def write(self, record: dict[str, Any]) -> None:
        """Write a record soon."""
        if self._file is None:
            return
        try:
            self._queue.put_nowait(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")
        except ValueError as error:  # a number that JSON has no word for
            self._complain(str(error))
        except Full:
            self._complain("lines are left out, because nobody reads them")

    def _write_all(self) -> None:
        file = self._file
        while file is not None and not (self._over.is_set() and self._queue.empty()):
            try:
                file.write(self._queue.get(timeout=_LOOK_EVERY_S))
                file.flush()
            except Empty:
                continue
            except BrokenPipeError:
                if file is sys.stdout:
                    forget_standard_output()
                    self._gone()
                break
            except (OSError, ValueError) as error:
                self._complain(str(getattr(error, "strerror", None) or error))
        if file is not None and file is not sys.stdout:
            with suppress(OSError):
                file.close()

    def _complain(self, why: str) -> None:
        if not self._told:
            self._told = True
            self._tell(f"--output {self._path}: {why}.")


def _is_cut_off(path: Path) -> bool:
    """Whether a file ends in the middle of a line, because whoever wrote it was killed."""
    if not path.is_file() or path.stat().st_size == 0:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"
