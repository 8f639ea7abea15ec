"""Coverage: which frames the scores rest on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from streamdeid.metrics.metric import Cell
from streamdeid.observations import Sighting
from streamdeid.pair import SIDES, Pair
from streamdeid.score import Score
from streamdeid.stats import State, StateReader

_OF_A_SIDE = ("with_face", "detected", "several_faces", "tracks_dropped")
_OF_BOTH = ("face_in_both", "face_in_neither", "lost_by_deidentified", "invented_by_deidentified")
_COLUMNS = (
    "face", "detected", "presence", "faces_in_view",
    "box_left", "box_top", "box_right", "box_bottom",
)  # fmt: skip


class Coverage:
    """In how many frame pairs a face was followed, seen by a detector, lost or invented.

    A face that is followed is not yet one that is there: a tracker goes on in a coarse mosaic in
    which nobody can be seen. `detected` counts the frames in which a detector saw it as well;
    detectors look only now and then while a track holds, so it is not a share of `with_face`.
    """

    name: ClassVar[str] = "coverage"
    live: ClassVar[bool] = True
    column_names: ClassVar[tuple[str, ...]] = tuple(f"{s}.{c}" for s in SIDES for c in _COLUMNS)

    def __init__(self) -> None:
        self._pairs = 0
        self._sides = {side: dict.fromkeys(_OF_A_SIDE, 0) for side in SIDES}
        self._both = dict.fromkeys(_OF_BOTH, 0)

    def columns(self, item: Pair[Sighting]) -> Mapping[str, Cell]:
        return {f"{side}.{k}": v for side, seen in item.items() for k, v in _cells(seen).items()}

    def update(self, item: Pair[Sighting]) -> None:
        self._pairs += 1
        for side, seen in item.items():
            counts = self._sides[side]
            counts["with_face"] += seen.face is not None
            counts["detected"] += seen.detected
            counts["several_faces"] += seen.faces_in_view > 1
            counts["tracks_dropped"] += seen.track_dropped
        self._both[_outcome(item)] += 1

    def merge(self, other: Self) -> None:
        self._pairs += other._pairs
        for side in SIDES:
            self._sides[side] = _sum(self._sides[side], other._sides[side])
        self._both = _sum(self._both, other._both)

    def result(self) -> Sequence[Score]:
        """None: counts are no scores. The report holds them as `to_record` gives them."""
        return []

    def to_record(self) -> dict[str, Any]:
        """The counts as the report holds them.

        `paired`: the frame pairs seen; of them those with the `face_in_both` or `face_in_neither`,
        `lost_by_deidentified` (a face in the original only) and `invented_by_deidentified` (in the
        de-identified only). For each side `with_face`, `detected`, `several_faces` (a detector's
        last look found more than one) and `tracks_dropped`.
        """
        sides = {side: dict(self._sides[side]) for side in SIDES}
        return {"paired": self._pairs, **self._both, **sides}

    def to_state(self) -> State:
        return {"pairs": self._pairs, **{s: {**c} for s, c in self._sides.items()}, **self._both}

    def load_state(self, state: State) -> None:
        read = StateReader(state, type(self).__name__)
        pairs = read.integer("pairs", minimum=0)
        both = {key: read.integer(key, minimum=0) for key in _OF_BOTH}
        if sum(both.values()) != pairs:
            raise ValueError(f"state of Coverage: pairs is {pairs}, its parts {sum(both.values())}")
        sides = {}
        for side in SIDES:
            counts = StateReader(read.child(side), f"Coverage, {side}")
            sides[side] = {key: counts.integer(key, minimum=0) for key in _OF_A_SIDE}
        self._pairs, self._sides, self._both = pairs, sides, both


def _outcome(item: Pair[Sighting]) -> str:
    match item.original.face is not None, item.deidentified.face is not None:
        case True, True:
            return "face_in_both"
        case True, False:
            return "lost_by_deidentified"
        case False, True:
            return "invented_by_deidentified"
    return "face_in_neither"


def _cells(seen: Sighting) -> dict[str, Cell]:
    face, box = seen.face, seen.face.box if seen.face else None
    return {
        "face": face is not None,
        "detected": seen.detected,
        "presence": float(face.presence) if face else None,
        "faces_in_view": seen.faces_in_view,
        "box_left": float(box.left) if box else None,
        "box_top": float(box.top) if box else None,
        "box_right": float(box.right) if box else None,
        "box_bottom": float(box.bottom) if box else None,
    }


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {key: count + other[key] for key, count in one.items()}
