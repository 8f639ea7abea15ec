"""FrechetDistance: whether the de-identified video still moves and looks like the original."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Self

from streamdeid.metrics.batched import Batched
from streamdeid.metrics.feature_space import FeatureSpace
from streamdeid.metrics.metric import Cell
from streamdeid.observations import MotionFeatures
from streamdeid.pair import SIDES, Pair
from streamdeid.score import Score
from streamdeid.stats import RunningGaussian, State, StateReader

__all__ = ["FeatureSpace", "FrechetDistance"]

_UNIT: Final = "squared distance"
_DDOF: Final = 1  # as fsmetric, torchmetrics and clean-fid; cd-fvd has 0

# Rows of neighbouring moments see the same frames: halves taken row by row would be twins, and
# their distance no noise at all. So they take turns of as many frames as I3D needs for a first row.
_TURN: Final = 64

_HALVES = (0, 1)
_PARTS = {(side, half): f"{side}_{half}" for side in SIDES for half in _HALVES}


class FrechetDistance(Batched[Pair[MotionFeatures]]):
    """Squared Fréchet distance between the features of the two videos, and what of it is noise.

    `realism.<figure>` is the distance between all rows of both sides. It is biased: two samples of
    n rows of the *same* distribution are apart, the more the fewer rows (at dim 1024 by 45 for 16
    rows, 11 for 256, 1.5 for 2048). So it can be compared at equal n only.

    `realism.<figure>.noise_floor` is that bias, measured: the distance between two halves of the
    original, which take turns of 64 frames. Beside it stands `deidentified`, the mean distance of
    each half of the original to the *other* half of the de-identified video: as many rows, of other
    moments too. What that is above the floor (`above_floor`) has lost most of the bias: it is
    exactly 0 for a video against itself, about 0 for one that could be another take of the same
    scene, and may fall below. The rows of one moment in both videos are alike, so that the distance
    itself may well be below the floor.

    On 288 frames of a talking face, 35 rows, the floor of fid_i3d is 6.3, and a face made brighter
    by a tenth is 0.3 away, 0.2 above the floor. A mosaic of 4 pixels: 1.4 and 1.0; a blur of
    sigma 3: 5.7 and 4.2; a mosaic of 8 pixels: 11.6 and 9.1.

    Args:
        figure: "fid_i3d", "fvd", ...
        space: what the features are.

    Source: Heusel et al. 2017, arXiv:1706.08500 (FID); Unterthiner et al. 2018, arXiv:1812.01717
    (FVD); Chong and Forsyth 2020, arXiv:1911.07023 (its bias).
    """

    name: ClassVar[str] = "realism"
    live: ClassVar[bool] = False
    column_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, figure: str, space: FeatureSpace) -> None:
        super().__init__()
        self._figure = figure
        self._space = space
        self._parts = {part: RunningGaussian(space.dim) for part in _PARTS}
        self._scores: tuple[int, list[Score]] | None = None

    def columns(self, item: Pair[MotionFeatures]) -> Mapping[str, Cell]:  # noqa: ARG002
        return {}

    def update(self, item: Pair[MotionFeatures]) -> None:
        """Raises: ValueError if the features are no proper vectors: the model is broken."""
        item.map(self._space.vector)
        self._wait(item)

    def merge(self, other: Self) -> None:
        if self._settings() != other._settings():
            raise ValueError(f"cannot merge realism of {self._settings()} and {other._settings()}")
        self.settle()
        settled = other.settled()
        for part, gaussian in self._parts.items():
            gaussian.merge(settled._parts[part])
        self._scores = None

    def result(self) -> list[Score]:
        # A live display asks often, and a distance takes up to 3 seconds.
        rows = self._rows()
        if self._scores is None or self._scores[0] != rows:
            settled = self.settled()
            self._scores = rows, [settled._distance(), settled._noise_floor()]
        return list(self._scores[1])

    def to_state(self) -> State:
        parts = self.settled()._parts
        states = {name: parts[part].to_state() for part, name in _PARTS.items()}
        return {"settings": self._settings(), **states}

    def load_state(self, state: State) -> None:
        read = StateReader(state, type(self).__name__)
        stored = StateReader(read.child("settings"), type(self).__name__)
        for key, value in self._settings().items():
            stored.expect(key, value)
        parts = {p: RunningGaussian.from_state(read.child(name)) for p, name in _PARTS.items()}
        unpaired = any(parts[SIDES[0], h].count != parts[SIDES[1], h].count for h in _HALVES)
        if unpaired or {part.dim for part in parts.values()} != {self._space.dim}:
            raise ValueError("state of FrechetDistance: its parts do not belong together")
        self._parts, self._waiting, self._scores = parts, [], None

    def _settings(self) -> dict[str, Any]:
        return {"figure": self._figure, **self._space.to_state()}

    def _rows(self) -> int:
        return sum(self._parts[SIDES[0], half].count for half in _HALVES) + len(self._waiting)

    def _take(self, items: list[Pair[MotionFeatures]]) -> None:
        for half in _HALVES:
            mine = [item for item in items if item.original.first // _TURN % 2 == half]
            for side, rows in self._space.rows(mine).items():
                self._parts[side, half].update(rows)

    def _distance(self) -> Score:
        name, n, dim = f"realism.{self._figure}", self._rows(), self._space.dim
        details = {"n": n, "ddof": _DDOF, **self._space.to_record()}
        if n < 2:
            reason = self._space.why_too_few("a Fréchet distance", n)
            return Score(name, None, _UNIT, 0, reason=reason, details=details)
        original, deidentified = (self._whole(side).gaussian(_DDOF) for side in SIDES)
        warning = None
        if n <= dim:
            warning = (
                f"{n} rows say little of a covariance of {dim} dimensions: much of this distance "
                "may be noise. Compare it at equal n only, and with the noise floor."
            )
            details["warning"] = warning
        value = original.frechet_distance(deidentified)
        return Score(name, value, _UNIT, n, reason=warning, details=details)

    def _noise_floor(self) -> Score:
        name = f"realism.{self._figure}.noise_floor"
        counts = [self._parts[SIDES[0], half].count for half in _HALVES]
        details: dict[str, Any] = {
            "n": counts,
            "ddof": _DDOF,
            "halves": f"of the original, in turns of {_TURN} frames",
            "deidentified": None,
            "above_floor": None,
            **self._space.to_record(),
        }
        if min(counts) < 2:
            reason = (
                f"halves of the original, in turns of {_TURN} frames, need at least 2 rows of "
                f"features each, of {_TURN + self._space.frames_for(2)} frames with a face; "
                f"there are {counts[0]} and {counts[1]}"
            )
            return Score(name, None, _UNIT, 0, reason=reason, details=details)
        parts = {part: gaussian.gaussian(_DDOF) for part, gaussian in self._parts.items()}
        one, other = (parts[SIDES[0], half] for half in _HALVES)
        floor = one.frechet_distance(other)
        across = [
            parts[SIDES[0], half].frechet_distance(parts[SIDES[1], 1 - half]) for half in _HALVES
        ]
        mean = sum(across) / 2
        details |= {"deidentified": mean, "above_floor": mean - floor}
        return Score(name, floor, _UNIT, sum(counts), details=details)

    def _whole(self, side: str) -> RunningGaussian:
        whole = RunningGaussian(self._space.dim)
        for half in _HALVES:
            whole.merge(self._parts[side, half])
        return whole
