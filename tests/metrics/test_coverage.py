"""Coverage counts frames as a plain loop over them does."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from streamdeid.frame import Frame
from streamdeid.metrics import Coverage
from streamdeid.observations import Box, Face, Sighting
from streamdeid.pair import Pair

FACE = Face(np.zeros((478, 3), np.float32), Box(10.0, 20.0, 30.5, 44.0), presence=0.75)


def sighting(face: Face | None = None, **more: int) -> Sighting:
    frame = Frame(np.zeros((2, 2, 3), np.uint8), 0, 0, Fraction(1, 25))
    return Sighting(frame, face, **more)  # type: ignore[arg-type]


BOTH = Pair(
    sighting(FACE, detected=True, faces_in_view=2), sighting(FACE, detected=False, faces_in_view=1)
)
LOST = Pair(sighting(FACE, faces_in_view=1), sighting(None, track_dropped=True))
INVENTED = Pair(sighting(None), sighting(FACE, detected=True, faces_in_view=3))
NEITHER = Pair(sighting(None), sighting(None))


def test_it_counts_what_was_found_lost_and_invented() -> None:
    coverage = Coverage()
    for item in (BOTH, BOTH, LOST, INVENTED, NEITHER, LOST, LOST):
        coverage.update(item)
    assert coverage.to_record() == {
        "paired": 7,
        "original": {
            "with_face": 5, "detected": 2, "several_faces": 2, "tracks_dropped": 0,
        },
        "deidentified": {
            "with_face": 3, "detected": 1, "several_faces": 1, "tracks_dropped": 3,
        },
        "face_in_both": 2,
        "face_in_neither": 1,
        "lost_by_deidentified": 3,
        "invented_by_deidentified": 1,
    }  # fmt: skip
    assert coverage.result() == []


def test_a_row_says_where_the_face_is() -> None:
    cells = Coverage().columns(LOST)
    assert tuple(cells) == Coverage.column_names
    assert {k: v for k, v in cells.items() if k.startswith("original.")} == {
        "original.face": True,
        "original.detected": False,
        "original.presence": 0.75,
        "original.faces_in_view": 1,
        "original.box_left": 10.0,
        "original.box_top": 20.0,
        "original.box_right": 30.5,
        "original.box_bottom": 44.0,
    }
    assert cells["deidentified.face"] is False
    assert cells["deidentified.box_left"] is None
    assert cells["deidentified.presence"] is None


def test_a_state_that_contradicts_itself_is_refused() -> None:
    coverage = Coverage()
    coverage.update(BOTH)
    with pytest.raises(ValueError, match="pairs is 5, its parts 1"):
        Coverage().load_state({**coverage.to_state(), "pairs": 5})
