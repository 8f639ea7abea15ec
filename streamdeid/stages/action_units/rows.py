"""RowFile: what FeatureExtraction writes, row by row, while it writes or afterwards."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np

from streamdeid.closing import Closing
from streamdeid.observations import ACTION_UNITS, ActionUnits

_CHUNK: Final = 64 * 1024
# The widest row there is, with all landmarks, is 6 KB.
_LONGEST_ROW: Final = 256 * 1024


class UnreadableRows(Exception):  # noqa: N818  a state of the file; its text completes "it wrote …"
    """The file holds something else than rows of action units."""


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One row.

    Attributes:
        frame: number of the frame; the first is 1.
        units: None where OpenFace saw no face. What such rows hold is constant and means nothing.
    """

    frame: int
    units: ActionUnits | None


class Columns:
    """Where the header says that each thing stands.

    Old versions write ", " between columns and new ones ",", and some add `face_id`.

    Raises:
        UnreadableRows: there is no column for the frame, for success or for one of the 17.
    """

    def __init__(self, header: bytes) -> None:
        names = [name.strip() for name in header.decode("ascii", "replace").split(",")]
        places = {name: place for place, name in reversed(list(enumerate(names)))}
        wanted = ["frame", "success", *(f"AU{unit:02}_r" for unit in ACTION_UNITS)]
        missing = [name for name in wanted if name not in places]
        if missing:
            raise UnreadableRows(f"a header without the column {missing[0]}: {_excerpt(header)}")
        self._count = len(names)
        self._frame, self._success, *self._intensity = (places[name] for name in wanted)
        presence = [places.get(f"AU{unit:02}_c") for unit in ACTION_UNITS]
        self._presence = [place for place in presence if place is not None]

    def row(self, line: bytes) -> Row:
        """What one line says.

        Raises:
            UnreadableRows: it has another number of columns than the header, or no numbers.
        """
        fields = line.split(b",")
        try:
            if len(fields) != self._count:
                raise ValueError
            frame, success = int(fields[self._frame]), float(fields[self._success])
            intensity = _numbers(fields, self._intensity)
            presence = _numbers(fields, self._presence)
        except ValueError:
            raise UnreadableRows(f"a row that is none: {_excerpt(line)}") from None
        if success != 1 or not np.isfinite(intensity).all():
            return Row(frame, None)
        present = presence > 0 if len(presence) == len(ACTION_UNITS) else None
        return Row(frame, ActionUnits(intensity, present))


class RowFile(Closing):
    """Rows in order of their frames; it is enough to hold the one that was last asked for.

    Args:
        path: need not exist yet.
        finished: nothing more will be written; a last line without an end counts, too.
    """

    def __init__(self, path: Path, *, finished: bool = False) -> None:
        self._path = path
        self._finished = finished
        self._file: BinaryIO | None = None
        self._columns: Columns | None = None
        self._lines: deque[bytes] = deque()
        self._rest = b""
        self._row: Row | None = None

    def find(self, frame: int) -> Row | None:
        """The first row of that frame or of a later one; None if it is not there, or not yet.

        Of several rows of one frame (several faces) the first counts: the others might not have
        been written yet.

        Args:
            frame: not less than in earlier calls.

        Raises:
            UnreadableRows: the file holds something else.
        """
        while self._row is None or self._row.frame < frame:
            line = self._next_line()
            if line is None:
                return None
            if self._columns is None:
                self._columns = Columns(line)
                continue
            row = self._columns.row(line)
            if row.frame < (1 if self._row is None else self._row.frame):
                raise UnreadableRows(f"frame {row.frame} out of turn: {_excerpt(line)}")
            self._row = row
        return self._row

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
            self._finished = True

    def _next_line(self) -> bytes | None:
        """The next line that is not blank and has ended."""
        while True:
            while self._lines:
                line = self._lines.popleft()
                if line.strip():
                    return line
            if not self._read():
                return None

    def _read(self) -> bool:
        """Read on; whether there was something."""
        if self._file is None:
            try:
                self._file = self._path.open("rb", buffering=0)
            except FileNotFoundError:
                return False
            except OSError as error:
                raise UnreadableRows(_unreadable(error)) from error
        chunk = self._file.read(_CHUNK)
        if not chunk and self._finished:
            chunk = b"\n" if self._rest else b""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > _LONGEST_ROW:
            raise UnreadableRows(f"a line that does not end: {_excerpt(self._rest)}")
        self._lines.extend(lines)
        return bool(chunk)


def last_frame(path: Path) -> int:
    """The frame of the last row of a finished file; 0 if it has no row, or does not exist.

    Raises:
        UnreadableRows: the file holds something else.
    """
    try:
        with path.open("rb") as file:
            header = file.readline(_LONGEST_ROW)
            begin = max(file.seek(0, 2) - _LONGEST_ROW, len(header))
            file.seek(begin)
            lines = [line for line in file.read().splitlines() if line.strip()]
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise UnreadableRows(_unreadable(error)) from error
    if not header.strip():
        return 0
    columns = Columns(header)
    return columns.row(lines[-1]).frame if lines else 0


def _numbers(
    fields: Sequence[bytes], places: Sequence[int]
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([float(fields[place]) for place in places])


def _unreadable(error: OSError) -> str:
    return f"a file that cannot be read: {error.strerror or error}"


def _excerpt(line: bytes) -> str:
    text = line[:60].decode("ascii", "replace")
    return repr(text + "…" if len(line) > 60 else text)
