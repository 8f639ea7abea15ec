"""FinishedRows: post-processed rows of both sides, joined by the frames that were sent."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final

from streamdeid.closing import Closing
from streamdeid.observations import ActionUnits, AuValues, ExpressionReading
from streamdeid.pair import Pair
from streamdeid.stages.action_units.rows import Row, RowFile, UnreadableRows

VIDEOS: Final = Pair("the original video", "the de-identified video")
"""What sentences call the two sides."""

UNIT: Final = "intensity 0..5"
"""Of OpenFace's action units; online ones reach a little beyond."""

_SCALE: Final = (0.0, 5.0)


class Spool(Closing):
    """Which frames of the two videos are a pair, and when it is shown, for any number of pairs.

    On disk, some 15 bytes for each, in a file that has no name: it is gone with this process.
    """

    def __init__(self) -> None:
        # Fractions as text: they may be of any size.
        self._file = tempfile.TemporaryFile("w+", encoding="ascii")  # noqa: SIM115

    def close(self) -> None:
        """Forget all pairs."""
        self._file.close()

    def add(self, time: Fraction, frames: Pair[int]) -> None:
        """Note one pair.

        Args:
            time: seconds since the original began.
            frames: their numbers, as OpenFace counts: the first is 1.
        """
        self._file.write(f"{time} {frames.original} {frames.deidentified}\n")

    def __iter__(self) -> Iterator[tuple[Fraction, Pair[int]]]:
        """All that was noted, in order; no more can be added from here on."""
        self._file.seek(0)
        for line in self._file:
            time, original, deidentified = line.split()
            yield Fraction(time), Pair(int(original), int(deidentified))


class FinishedRows:
    """One reading for each pair, read row by row; can be iterated once.

    Args:
        spool: the pairs.
        paths: of the finished files; they are not looked at if there is a `fault`.
        fault: a sentence: there are no values, and why.

    Attributes:
        fault: as given, or what was found to be wrong with the rows; a sentence.
    """

    def __init__(self, spool: Spool, paths: Pair[Path], fault: str | None = None) -> None:
        self.fault = fault
        self._spool = spool
        self._paths = paths

    def __iter__(self) -> Iterator[ExpressionReading]:
        files = self._paths.map(lambda path: RowFile(path, finished=True))
        with files.original, files.deidentified:
            for index, (time, frames) in enumerate(self._spool):
                rows = self._rows(files, frames)
                if rows is None:
                    nobody: Pair[ActionUnits | None] = Pair(None, None)
                    yield ExpressionReading(index, time, nobody, "post-processed", self.fault)
                else:
                    yield joined(index, time, rows, frames, "post-processed")

    def _rows(self, files: Pair[RowFile], frames: Pair[int]) -> Pair[Row] | None:
        if self.fault is not None:
            return None
        original = self._row(files.original, frames.original, VIDEOS.original)
        deidentified = self._row(files.deidentified, frames.deidentified, VIDEOS.deidentified)
        if original is None or deidentified is None:
            return None
        return Pair(original, deidentified)

    def _row(self, file: RowFile, frame: int, video: str) -> Row | None:
        try:
            row = file.find(frame)
            if row is None:
                raise UnreadableRows(f"no row for frame {frame} or any after it")
            if row.units is not None:
                _check_scale(row.units, row.frame)
        except UnreadableRows as problem:
            self.fault = self.fault or f"OpenFace on {video} wrote {problem}."
            return None
        return row


def joined(
    index: int, time: Fraction, rows: Pair[Row], frames: Pair[int], values: AuValues
) -> ExpressionReading:
    """The reading of a pair.

    Args:
        rows: the first row of each side that is of the frame in question or of a later one.
        frames: those in question.
    """
    skipped = [
        f"OpenFace wrote no row for frame {frame} of {video}"
        for row, frame, video in (
            (rows.original, frames.original, VIDEOS.original),
            (rows.deidentified, frames.deidentified, VIDEOS.deidentified),
        )
        if row.frame != frame
    ]
    units = Pair(
        rows.original.units if rows.original.frame == frames.original else None,
        rows.deidentified.units if rows.deidentified.frame == frames.deidentified else None,
    )
    fault = f"{', and '.join(skipped)}." if skipped else None
    return ExpressionReading(index, time, units, values, fault)


def _check_scale(units: ActionUnits, frame: int) -> None:
    """Raw predictions go below 0, and many do: a file that was not rewritten is found out."""
    low, high = float(units.intensity.min()), float(units.intensity.max())
    if low < _SCALE[0] or high > _SCALE[1]:
        value = low if low < _SCALE[0] else high
        raise UnreadableRows(
            f"rows that are not post-processed: an intensity of {value:g} in frame {frame}"
        )
