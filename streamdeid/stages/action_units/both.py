"""BothSources: OpenFace's action units, and beside them the stand-ins for the same faces."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Final, Protocol

import numpy as np

from streamdeid.observations import (
    ACTION_UNITS,
    ActionUnits,
    AuOrigin,
    AuValues,
    ExpressionReading,
    Sighting,
)
from streamdeid.pair import Pair
from streamdeid.stages.action_units.blendshapes import BlendshapeSource
from streamdeid.stages.stage import RunsProgram, Stage

Proxies = Pair[ActionUnits | None]

_COLUMNS: Final = len(ACTION_UNITS)


class OpenFace(Stage[Pair[Sighting], ExpressionReading], RunsProgram, Protocol):
    """What runs OpenFace: a stage that gives, besides others, one reading of `values` a pair."""

    @property
    def origin(self) -> AuOrigin: ...

    @property
    def values(self) -> AuValues: ...


class BothSources:
    """Gives the readings of both sources; OpenFace's final ones with the stand-ins beside them.

    Where the final ones come at the end of the video only, the stand-ins wait for them on disk,
    272 bytes a pair, in a file that has no name.

    Args:
        openface: closed with this stage.
        blendshapes: the stand-ins.
    """

    name = "both"
    delay: int | None = None
    stride = 1

    def __init__(self, openface: OpenFace, blendshapes: BlendshapeSource) -> None:
        self.openface = openface
        self.blendshapes = blendshapes
        at_the_end = openface.values == "post-processed"
        self._waiting: _OnDisk | deque[Proxies] = _OnDisk() if at_the_end else deque()

    @property
    def fault(self) -> str | None:
        """What went wrong with OpenFace, a sentence; None: nothing."""
        return self.openface.fault

    def record(self) -> dict[str, Any]:
        """What OpenFace was run, and how it went."""
        return self.openface.record()

    def push(self, item: Pair[Sighting]) -> Iterable[ExpressionReading]:
        for reading in self.blendshapes.push(item):
            self._waiting.append(reading.units)
            yield reading
        yield from self._beside(self.openface.push(item))

    def flush(self) -> Iterable[ExpressionReading]:
        yield from self._beside(self.openface.flush())

    def reset(self) -> None:
        self.openface.reset()

    def hurry(self) -> None:
        self.openface.hurry()

    def close(self) -> None:
        """End OpenFace and let go of the file. May be called twice."""
        self.openface.close()
        self._waiting.clear()

    def _beside(self, readings: Iterable[ExpressionReading]) -> Iterator[ExpressionReading]:
        for reading in readings:
            if reading.values == self.openface.values:
                yield replace(reading, proxies=self._waiting.popleft())
            else:
                yield reading


class _OnDisk:
    """Stand-ins, first in, first out; all must be in before the first comes out."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  as long as the stage
        self._read = 0

    def append(self, proxies: Proxies) -> None:
        nobody = np.full(_COLUMNS, np.nan)
        row = [nobody if units is None else units.intensity for _, units in proxies.items()]
        self._file.write(np.array(row, np.float64).tobytes())

    def popleft(self) -> Proxies:
        if self._read == 0:
            self._file.seek(0)
        self._read += 1
        row = np.frombuffer(self._file.read(2 * _COLUMNS * 8), np.float64).reshape(2, _COLUMNS)
        original, deidentified = (None if np.isnan(v[0]) else ActionUnits(v) for v in row)
        return Pair(original, deidentified)

    def clear(self) -> None:
        self._file.close()
