"""Realism: distances of all rows, the floor of noise under them, and what is said without."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from streamdeid.metrics import FeatureSpace, FrechetDistance, KernelDiscrepancy
from streamdeid.observations import MotionFeatures
from streamdeid.pair import Pair
from streamdeid.score import Score
from streamdeid.stats import frechet_distance, polynomial_mmd

DIM = 12
SPACE = FeatureSpace("features", DIM, "average pool", "-1..1", "face, margin 0.3")


def rows(seed: int, count: int, shift: float = 0.0, spread: float = 1.0) -> np.ndarray:
    normal = np.random.default_rng(seed).normal(shift, spread, (count, DIM))
    return normal.astype(np.float32)


def pairs(a: np.ndarray, b: np.ndarray) -> list[Pair[MotionFeatures]]:
    """Rows as the network lets them out: one every 8 frames."""

    def side(features: np.ndarray) -> list[MotionFeatures]:
        logits = np.zeros(400, np.float32)
        return [MotionFeatures(row, logits, first=8 * i) for i, row in enumerate(features)]

    return [Pair(*both) for both in zip(side(a), side(b), strict=True)]


def seen(items: Sequence[Pair[MotionFeatures]]) -> FrechetDistance:
    metric = FrechetDistance("fid_i3d", SPACE)
    for item in items:
        metric.update(item)
    return metric


def scores(a: np.ndarray, b: np.ndarray) -> Mapping[str, Score]:
    found = {score.name: score for score in seen(pairs(a, b)).result()}
    json.dumps([score.to_record() for score in found.values()], allow_nan=False)
    return found


@pytest.mark.parametrize("count", [2, 9, 300])
def test_the_distance_is_that_of_all_rows(count: int) -> None:
    a, b = rows(1, count), rows(2, count, 0.2, 1.3)
    score = scores(a, b)["realism.fid_i3d"]
    wide = a.astype(float), b.astype(float)
    (mean_a, cov_a), (mean_b, cov_b) = ((x.mean(axis=0), np.cov(x, rowvar=False)) for x in wide)
    assert score.value == pytest.approx(frechet_distance(mean_a, cov_a, mean_b, cov_b), rel=1e-9)
    assert score.count == count


def test_a_video_is_at_no_distance_from_itself() -> None:
    """Nor is it above the floor, which is as high as so few rows make it."""
    a = rows(1, 60)
    found = scores(a, a)
    assert found["realism.fid_i3d"].value == pytest.approx(0.0, abs=1e-9)
    floor = found["realism.fid_i3d.noise_floor"]
    assert floor.value is not None
    assert floor.value > 1.0
    assert floor.details["deidentified"] == floor.value
    assert floor.details["above_floor"] == 0.0


def test_the_floor_is_the_distance_of_halves_that_take_turns() -> None:
    a, b = rows(1, 50), rows(2, 50, 0.2)
    floor = scores(a, b)["realism.fid_i3d.noise_floor"]
    second = np.arange(50) * 8 // 64 % 2 == 1

    def between(x: np.ndarray, y: np.ndarray) -> float:
        moments = [(z.mean(axis=0), np.cov(z.astype(float), rowvar=False)) for z in (x, y)]
        return frechet_distance(*moments[0], *moments[1])

    assert floor.details["n"] == [26, 24]
    assert floor.value == pytest.approx(between(a[~second], a[second]), rel=1e-5)
    across = between(a[~second], b[second]), between(a[second], b[~second])
    assert floor.details["deidentified"] == pytest.approx(np.mean(across), rel=1e-5)


def test_above_the_floor_is_what_is_no_noise() -> None:
    """Mean of 40 takes of 60 rows, of the same Gaussian and of one that is 0.5 off everywhere."""
    above = {
        shift: np.mean(
            [
                scores(rows(2 * k, 60), rows(2 * k + 1, 60, shift))[
                    "realism.fid_i3d.noise_floor"
                ].details["above_floor"]
                for k in range(40)
            ]
        )
        for shift in (0.0, 0.5)
    }
    assert above[0.0] == pytest.approx(0.0, abs=0.15)
    assert above[0.5] == pytest.approx(DIM * 0.25, abs=0.3)


def test_few_rows_carry_a_warning_that_cannot_be_missed() -> None:
    few = scores(rows(1, DIM), rows(2, DIM))["realism.fid_i3d"]
    assert few.value is not None
    assert few.details["warning"] == few.reason
    assert few.reason is not None
    assert few.reason.startswith("12 rows say little of a covariance of 12 dimensions")
    enough = scores(rows(1, DIM + 1), rows(2, DIM + 1))["realism.fid_i3d"]
    assert enough.reason is None
    assert "warning" not in enough.details


def test_every_record_says_what_the_features_are() -> None:
    for a in (rows(1, 1), rows(1, 60)):
        for score in (*seen(pairs(a, a)).result(), kernel(a, a)):
            record = score.to_record()
            assert record["dim"] == DIM
            assert record["layer"] == "average pool"
            assert record["input_range"] == "-1..1"
            assert record["crop"] == "face, margin 0.3"
            assert "n" in record


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_rows_say_how_many_frames_are_needed(count: int) -> None:
    found = scores(rows(1, count), rows(2, count))
    there = ("are 0", "is 1")[count]
    assert found["realism.fid_i3d"].reason == (
        "a Fréchet distance needs at least 2 rows of features, of 24 frames with a face; "
        f"there {there}"
    )
    assert found["realism.fid_i3d.noise_floor"].reason == (
        "halves of the original, in turns of 64 frames, need at least 2 rows of features each, "
        f"of 88 frames with a face; there are {count} and 0"
    )
    score = kernel(rows(1, count), rows(2, count))
    assert score.reason == (
        "a kernel discrepancy needs at least 2 rows of features, of 24 frames with a face; "
        f"there {there}"
    )


def test_clips_that_stand_apart_need_more_frames() -> None:
    clips = FeatureSpace("logits", 400, "logits", "-1..1", "face", length=16, stride=16)
    assert (clips.frames_for(1), clips.frames_for(2), clips.frames_for(10)) == (16, 32, 160)
    [score, _] = FrechetDistance("fvd", clips).result()
    assert score.name == "realism.fvd"
    assert score.reason is not None
    assert "of 32 frames" in score.reason


@pytest.mark.parametrize("count", [5, 60])
def test_black_and_constant_videos_have_finite_figures(count: int) -> None:
    black, grey = np.zeros((count, DIM), np.float32), np.full((count, DIM), 0.5, np.float32)
    assert scores(black, black)["realism.fid_i3d"].value == 0.0
    assert scores(black, grey)["realism.fid_i3d"].value == pytest.approx(3.0, rel=1e-12)
    assert kernel(black, grey).value == pytest.approx(1.25**3 - 1, rel=1e-12)
    moving = scores(grey, rows(1, count))
    assert all(score.value is None or np.isfinite(score.value) for score in moving.values())


def test_logits_are_taken_where_they_are_asked_for() -> None:
    space = FeatureSpace("logits", 3, "logits", "-1..1", "face")
    metric = FrechetDistance("fvd", space)
    for first in range(0, 80, 8):
        logits = np.full(3, first / 8, np.float32)
        item = MotionFeatures(np.full(5, np.nan, np.float32), logits, first)
        metric.update(Pair(item, MotionFeatures(item.features, logits + 2, first)))
    assert metric.result()[0].value == pytest.approx(12.0)


@pytest.mark.parametrize("fault", [np.zeros(DIM - 1), np.full(DIM, np.nan)])
def test_a_broken_model_is_named(fault: np.ndarray) -> None:
    item = MotionFeatures(fault.astype(np.float32), np.zeros(400, np.float32), 0)
    for metric in (FrechetDistance("fid_i3d", SPACE), KernelDiscrepancy("mmd", SPACE, 5, 0)):
        with pytest.raises(ValueError, match="the model is broken"):
            metric.update(Pair(item, item))


def kernel(a: np.ndarray, b: np.ndarray, size: int = 100) -> Score:
    metric = KernelDiscrepancy("mmd_i3d", SPACE, size, seed=3)
    for item in pairs(a, b):
        metric.update(item)
    [score] = metric.result()
    return score


def test_the_discrepancy_is_that_of_all_rows_while_there_is_room() -> None:
    a, b = rows(1, 60), rows(2, 60, 0.3)
    score, want = kernel(a, b), polynomial_mmd(a, b)
    assert score.value == pytest.approx(want.between_moments, rel=1e-12)
    assert score.details["kid"] == pytest.approx(want.kid, rel=1e-12)
    assert score.details["standard_error"] == pytest.approx(want.standard_error, rel=1e-12)
    assert (score.count, score.details["n"], score.details["drawn"]) == (60, 60, 60)


def test_the_discrepancy_of_a_draw_is_near_that_of_all() -> None:
    a, b = rows(1, 400), rows(2, 400, 0.3)
    score, whole = kernel(a, b, size=150), polynomial_mmd(a, b)
    assert (score.count, score.details["n"]) == (150, 400)
    error = score.details["standard_error"]
    assert abs(score.value - whole.between_moments) < 3 * error  # type: ignore[operator]
    assert kernel(a, a, size=150).value == 0.0


def test_rows_that_wait_are_in_the_result() -> None:
    """They are added 32 at a time; a result is asked for in between, and asked again."""
    items = pairs(rows(1, 70), rows(2, 70, 0.5))
    metric = seen([])
    for count, item in enumerate(items, start=1):
        metric.update(item)
        if count in (1, 31, 33, 70):
            told = [score.to_record() for score in metric.result()]
            assert told[0]["n"] == count
            assert told == [score.to_record() for score in metric.result()]
            assert told == [score.to_record() for score in seen(items[:count]).result()]


def test_states_of_another_kind_are_refused() -> None:
    state = seen(pairs(rows(1, 40), rows(2, 40))).to_state()
    mixed = {**state, "original_0": state["original_1"]}
    with pytest.raises(ValueError, match="its parts do not belong together"):
        FrechetDistance("fid_i3d", SPACE).load_state(mixed)
    metric = KernelDiscrepancy("mmd_i3d", SPACE, 5, seed=0)
    drawn = KernelDiscrepancy("mmd_i3d", SPACE, 6, seed=0).to_state()["drawn"]
    with pytest.raises(ValueError, match="its sample is of another draw"):
        metric.load_state({**metric.to_state(), "drawn": drawn})
