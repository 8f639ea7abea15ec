"""CoveredSource: the plainest de-identification, for the demo and for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamdeid.engine.covering import CoveredSource, Method
from streamdeid.errors import SettingsError, SourceError
from streamdeid.frame import Image
from streamdeid.sources.file import FileSource


@pytest.mark.parametrize("method", ["pixelate", "blur", "blackout"])
def test_the_face_is_covered_in_every_frame_and_the_rest_is_left_alone(
    carphone_file: Path, method: Method
) -> None:
    with FileSource(carphone_file) as plain, CoveredSource(str(carphone_file), method) as covered:
        for before, after in zip(plain, covered, strict=True):
            changed = (before.image != after.image).any(axis=2)
            rows, columns = np.nonzero(changed)
            assert 0.05 < changed.mean() < 0.7
            middle = before.image.shape[0] // 2
            assert rows.min() < middle < rows.max()  # the face fills the middle of this clip
            assert not changed[:, 0].any()
            assert columns.size
            assert (before.pts, before.time_base) == (after.pts, after.time_base)


def test_more_strength_leaves_less_of_the_face(carphone_file: Path) -> None:
    def detail(strength: float) -> float:
        with CoveredSource(str(carphone_file), "blur", strength) as covered:
            image: Image = next(iter(covered)).image
        return float(np.abs(np.diff(image.astype(np.float64), axis=1)).mean())

    assert detail(0.2) > detail(1.0) > detail(3.0)


def test_a_method_or_strength_that_makes_no_sense_is_refused(carphone_file: Path) -> None:
    with pytest.raises(SettingsError, match="--method is 'erase'"):
        CoveredSource(str(carphone_file), "erase")  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="--strength is 0"):
        CoveredSource(str(carphone_file), "blur", 0.0)
    with pytest.raises(SourceError):
        CoveredSource("nowhere.mp4")
