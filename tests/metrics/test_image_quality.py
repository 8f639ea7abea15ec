"""Image quality as a plain mean over frames, and what is said where there is none."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from streamdeid.metrics import ImageQuality
from streamdeid.metrics.image_quality import psnr
from streamdeid.observations import REGIONS, Likeness, QualityReading
from streamdeid.score import Score


def reading(**regions: Likeness) -> QualityReading:
    return QualityReading(regions, shorter_side=480)


def scores(readings: Sequence[QualityReading]) -> Mapping[str, Score]:
    metric = ImageQuality()
    for item in readings:
        metric.update(item)
    return {score.name: score for score in metric.result()}


def test_similarities_are_means_over_frames() -> None:
    rng = np.random.default_rng(1)
    values = rng.random((70, 3))
    found = scores([reading(frame=Likeness(*row)) for row in values.tolist()])
    for name, column in (("ssim", values[:, 0]), ("ms_ssim", values[:, 1])):
        score = found[f"quality.{name}.frame"]
        assert score.value == pytest.approx(column.mean(), rel=1e-12)
        assert score.std == pytest.approx(column.std(ddof=1), rel=1e-12)
        assert score.count == 70
        assert (score.details["min"], score.details["max"]) == (column.min(), column.max())
    json.dumps([score.to_record() for score in found.values()], allow_nan=False)


def test_psnr_is_that_of_the_mean_error_and_bears_frames_without_any() -> None:
    errors = [4.0, 0.0, 16.0, 0.0]
    score = scores([reading(frame=Likeness(1.0, 1.0, mse)) for mse in errors])["quality.psnr.frame"]
    assert score.value == pytest.approx(10 * np.log10(255**2 / 5.0), rel=1e-12)
    assert score.count == 4
    assert score.unit == "dB"
    by_frame = 10 * np.log10(255**2 / np.array([4.0, 16.0]))
    assert score.details["frame_mean"] == pytest.approx(by_frame.mean(), rel=1e-12)
    assert score.details["frame_std"] == pytest.approx(by_frame.std(ddof=1), rel=1e-12)
    assert score.details["identical_frames"] == 2
    assert score.details["mse"] == 5.0


def test_identical_videos_have_no_psnr_and_it_says_so() -> None:
    found = scores([reading(frame=Likeness(1.0, 1.0, 0.0))] * 3)
    score = found["quality.psnr.frame"]
    assert score.value is None
    assert (
        score.reason == "the pictures are identical: there is no noise, and the ratio is infinite"
    )
    assert score.details["identical_frames"] == 3
    assert found["quality.ssim.frame"].value == 1.0


def test_psnr_is_scikit_image_s() -> None:
    """peak_signal_noise_ratio(a, b, data_range=255) of an error of 25."""
    assert psnr(25.0) == pytest.approx(34.15140352195873, rel=1e-14)
    assert psnr(0.0) is None


def test_what_is_missing_is_missing_for_a_reason() -> None:
    found = scores([QualityReading({"frame": Likeness(0.9, None, 3.0)}, shorter_side=144)])
    reasons = {name: score.reason for name, score in found.items()}
    assert reasons["quality.ssim.face"] == "no face was found in the original video"
    assert reasons["quality.psnr.background"] == (
        "no face was found in either video, from which a background could be told"
    )
    assert reasons["quality.ms_ssim.frame"] == (
        "MS-SSIM needs 176 pixels on the pictures' shorter side; there are 144"
    )
    assert reasons["quality.ssim.frame"] is None


def test_a_face_in_the_corner_has_no_window() -> None:
    likeness = Likeness(None, None, 3.0)
    found = scores([reading(face=likeness, frame=Likeness(0.9, 0.8, 3.0))])
    for measure in ("ssim", "ms_ssim"):
        assert found[f"quality.{measure}.face"].reason == (
            "the face is too small, or too near the edge, for a window"
        )
    assert found["quality.psnr.face"].value is not None


def test_pairs_that_were_not_measured_do_not_count() -> None:
    skipped = QualityReading({}, shorter_side=480, resized=True)
    found = scores([skipped, reading(frame=Likeness(0.5, 0.5, 1.0)), skipped])
    assert found["quality.ssim.frame"].count == 1
    assert found["quality.ssim.frame"].details["resized_frames"] == 0


def test_the_record_says_that_one_side_was_resized() -> None:
    regions = {"frame": Likeness(0.5, 0.5, 1.0)}
    found = scores([QualityReading(regions, 480, resized=True)] * 2)
    for score in found.values():
        assert score.details["resized_frames"] == 2
        assert "the de-identified picture" in score.details["resized"]


def test_a_row_of_the_timeline_has_each_measure_of_each_region() -> None:
    item = reading(frame=Likeness(0.9, None, 25.0), face=Likeness(0.4, 0.3, 0.0))
    cells = ImageQuality().columns(item)
    assert {key: value for key, value in cells.items() if value is not None} == {
        "ssim.frame": 0.9,
        "psnr.frame": pytest.approx(34.1514035),
        "ssim.face": 0.4,
        "ms_ssim.face": 0.3,
    }
    assert len(cells) == 3 * len(REGIONS)
