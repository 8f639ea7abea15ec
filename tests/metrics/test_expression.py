"""Agreement of action units as scipy and numpy have it, and what is said where there is none."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from streamdeid.metrics import ExpressionAgreement, ProxyAgreement
from streamdeid.observations import (
    ACTION_UNITS,
    ActionUnits,
    AuOrigin,
    AuValues,
    ExpressionReading,
)
from streamdeid.pair import Pair
from streamdeid.score import Score

OPENFACE = AuOrigin("OpenFace 2.2.0", ("online", "post-processed"), "FACS intensity, 0..5")
PROXY = AuOrigin("blendshape proxy", ("proxy",), "of the proxy", False, {4: "weak", 12: "good"})

Series = np.ndarray
"""(frames, 17)."""


def readings(
    original: Series,
    deidentified: Series,
    *,
    values: AuValues = "post-processed",
    present: Callable[[Series], Series] | None = None,
    rate: int = 25,
) -> list[ExpressionReading]:
    def units(row: Series) -> ActionUnits | None:
        if np.isnan(row).any():
            return None
        return ActionUnits(row, None if present is None else present(row))

    return [
        ExpressionReading(i, Fraction(i, rate), Pair(units(a), units(b)), values)
        for i, (a, b) in enumerate(zip(original, deidentified, strict=True))
    ]


def scores(items: Sequence[ExpressionReading], origin: AuOrigin = OPENFACE) -> Mapping[str, Score]:
    metric = ExpressionAgreement(origin)
    for item in items:
        metric.update(item)
    return {score.name: score for score in metric.result()}


def series(length: int, seed: int = 0) -> Series:
    """Movements that last some frames, as faces' do."""
    noise = np.random.default_rng(seed).normal(0, 1, (length + 8, len(ACTION_UNITS)))
    return np.array([noise[i : i + 8].mean(axis=0) for i in range(length)])


def test_correlation_errors_and_concordance_are_those_of_scipy_and_numpy() -> None:
    a = series(200)
    b = 0.7 * a + 0.1 + 0.2 * series(200, 1)
    a[40:50], b[45:60] = np.nan, np.nan  # lost faces
    found = scores(readings(a, b))
    known = ~(np.isnan(a[:, 0]) | np.isnan(b[:, 0]))
    for column, unit in enumerate(ACTION_UNITS):
        x, y = a[known, column], b[known, column]
        expected = {
            "pcc": stats.pearsonr(x, y).statistic,
            "rmse": np.sqrt(np.mean((x - y) ** 2)),
            "mae": np.mean(np.abs(x - y)),
            "ccc": 2 * np.cov(x, y, ddof=0)[0, 1]
            / (x.var() + y.var() + (x.mean() - y.mean()) ** 2),
        }  # fmt: skip
        for measure, value in expected.items():
            score = found[f"expression.au{unit:02}.{measure}"]
            assert score.value == pytest.approx(value, rel=1e-9)
            assert score.count == known.sum() == 180
            assert score.details["values"] == "post-processed"
            assert score.details["source"] == "OpenFace 2.2.0"
    assert found["expression.mean.pcc"].value == pytest.approx(
        np.mean([found[f"expression.au{unit:02}.pcc"].value for unit in ACTION_UNITS])
    )
    coverage = found["expression.coverage"]
    assert (coverage.value, coverage.count) == (0.9, 200)
    assert coverage.details["with_units_original"] == 190
    json.dumps([score.to_record() for score in found.values()], allow_nan=False)


def test_a_video_agrees_with_itself() -> None:
    a = series(80)
    found = scores(readings(a, a, present=lambda row: row > 0))
    for unit in ACTION_UNITS:
        name = f"expression.au{unit:02}"
        assert found[f"{name}.pcc"].value == 1
        assert found[f"{name}.ccc"].value == 1
        assert found[f"{name}.rmse"].value == found[f"{name}.mae"].value == 0
        assert found[f"{name}.f1"].value == 1
    assert found["expression.lag_s"].value == 0


def test_presence_agrees_as_f1_has_it() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.random((2, 100, len(ACTION_UNITS)))
    a[:, 3] = b[:, 3] = 0
    found = scores(readings(a, b, present=lambda row: row > 0.6))
    for column, unit in enumerate(ACTION_UNITS):
        score = found[f"expression.au{unit:02}.f1"]
        x, y = a[:, column] > 0.6, b[:, column] > 0.6
        if unit == ACTION_UNITS[3]:
            assert score.value is None
            assert score.reason == "it is shown on neither side"
            continue
        precision, recall = (x & y).sum() / y.sum(), (x & y).sum() / x.sum()
        assert score.value == pytest.approx(2 * precision * recall / (precision + recall))


@pytest.mark.parametrize("frames", [-12, -1, 0, 5, 12])
@pytest.mark.parametrize("rate", [10, 25, 50])
def test_a_face_that_is_late_is_late_by_that_much(frames: int, rate: int) -> None:
    whole = series(400, 3)
    start = 100
    a, b = whole[start : start + 200], whole[start - frames : start - frames + 200]
    found = scores(readings(a, b + 0.01 * series(200, 5), rate=rate))
    lag = found["expression.lag_s"]
    if abs(frames) / rate > 0.5:
        assert lag.value != frames / rate
        assert (lag.details["pcc"] or 0) < 0.9
        return
    assert lag.value == pytest.approx(frames / rate)
    assert lag.details["pcc"] == pytest.approx(1, abs=0.01)
    assert lag.details["pcc_without_shift"] <= lag.details["pcc"]
    assert lag.reason is None


def test_a_shift_between_faces_that_have_nothing_in_common_says_that_it_may_be_chance() -> None:
    rng = np.random.default_rng(8)
    found = scores(readings(*rng.normal(0, 1, (2, 300, len(ACTION_UNITS)))))
    assert "may be chance" in str(found["expression.lag_s"].reason)


def test_an_interruption_does_not_stretch_the_shift() -> None:
    whole = series(405, 3)
    items = [
        ExpressionReading(
            item.index, item.time + (60 if item.index >= 200 else 0), item.units, item.values
        )
        for item in readings(whole[5:], whole[:-5])
    ]
    assert scores(items)["expression.lag_s"].value == pytest.approx(0.2)


def test_a_unit_that_never_changes_has_no_correlation_and_is_not_in_the_mean() -> None:
    a, b = series(60), series(60, 1)
    a[:, 0] = 0.1  # AU1, in the original
    b[:, 1] = 0.1  # AU2, in the other one
    a[:, 2] = b[:, 2] = 0  # AU4
    found = scores(readings(a, b))
    for unit, where in ((1, "in the original"), (2, "de-identified"), (4, "either video")):
        score = found[f"expression.au{unit:02}.pcc"]
        assert score.value is None
        assert where in str(score.reason)
        assert found[f"expression.au{unit:02}.rmse"].value is not None
    assert found["expression.mean.pcc"].details["action_units"] == list(ACTION_UNITS[3:])
    assert found["expression.au01.ccc"].value == pytest.approx(0)
    assert found["expression.au04.ccc"].value is None


def test_weak_proxies_are_given_but_not_part_of_the_mean() -> None:
    a = series(60)
    b = a.copy()
    b[:, ACTION_UNITS.index(4)] *= -1
    found = scores(readings(a, b, values="proxy"), PROXY)
    assert found["expression.au04.pcc"].value == pytest.approx(-1)
    assert found["expression.au04.pcc"].details["reliability"] == "weak"
    assert found["expression.mean.pcc"].value == pytest.approx(1)
    assert 4 not in found["expression.mean.pcc"].details["action_units"]
    assert found["expression.lag_s"].details["pcc_without_shift"] == pytest.approx(1)
    for measure in ("rmse", "mae"):
        assert found[f"expression.mean.{measure}"].value is None
        assert "a unit of its own" in str(found[f"expression.mean.{measure}"].reason)
    assert "does not tell presence" in str(found["expression.au12.f1"].reason)


def test_online_values_are_told_only_until_there_are_post_processed_ones() -> None:
    a, b = series(60), series(60, 1)
    online = readings(a, b, values="online")
    before = scores(online)["expression.au12.pcc"]
    assert before.details["values"] == "online"
    after = scores([*online, *readings(a, a)])["expression.au12.pcc"]
    assert after.details["values"] == "post-processed"
    assert (after.value, after.count) == (1, 60)


def test_a_fault_of_the_source_is_the_reason() -> None:
    sentence = "OpenFace ended with exit code 1 after 20 of 60 frames of the original."
    a = series(60)
    a[20:] = np.nan
    items = readings(a, a)
    broken = [
        ExpressionReading(i.index, i.time, i.units, i.values, sentence if i.index >= 20 else None)
        for i in items
    ]
    found = scores(broken)
    assert found["expression.au12.pcc"].value == 1
    assert found["expression.au12.pcc"].reason == sentence
    nothing = scores(broken[20:])
    for name, score in nothing.items():
        if name != "expression.coverage":
            assert (score.value, score.reason) == (None, sentence)


@pytest.mark.parametrize(
    ("original", "deidentified", "reason"),
    [
        (False, True, "no face with action units was seen in the original"),
        (True, False, "no face with action units was seen in the de-identified video"),
        (False, False, "was seen in the original nor in the de-identified video"),
    ],
)
def test_faces_that_are_not_there_are_the_reason(
    original: bool, deidentified: bool, reason: str
) -> None:
    a = series(40)
    nobody = np.full_like(a, np.nan)
    found = scores(readings(a if original else nobody, a if deidentified else nobody))
    assert reason in str(found["expression.mean.pcc"].reason)
    assert found["expression.coverage"].value == 0


def test_one_frame_pair_has_errors_but_no_correlation() -> None:
    found = scores(readings(series(1), series(1, 1)))
    assert found["expression.au01.rmse"].value is not None
    assert "at least 2" in str(found["expression.au01.pcc"].reason)
    assert "at least 2" in str(found["expression.lag_s"].reason)


def test_stand_ins_are_held_against_openface_on_each_side() -> None:
    rng = np.random.default_rng(9)
    a, b = series(80), series(80, 1)
    near, far = a + rng.normal(0, 0.1, a.shape), rng.normal(0, 1, b.shape)
    near[:, ACTION_UNITS.index(4)] *= -1
    metric = ProxyAgreement(OPENFACE, PROXY)
    for item, x, y in zip(readings(a, b), near, far, strict=True):
        metric.update(item)  # without stand-ins it counts for nothing
        metric.update(replace(item, proxies=Pair(ActionUnits(x), ActionUnits(y))))
    found = {score.name: score for score in metric.result()}
    for column, unit in enumerate(ACTION_UNITS):
        for side, units, proxies in (("original", a, near), ("deidentified", b, far)):
            expected = stats.pearsonr(units[:, column], proxies[:, column]).statistic
            score = found[f"expression_agreement.au{unit:02}.pcc.{side}"]
            assert score.value == pytest.approx(expected)
            assert score.count == 80
    assert found["expression_agreement.au04.pcc.original"].value == pytest.approx(-1, abs=0.1)
    assert found["expression_agreement.mean.pcc.original"].value == pytest.approx(1, abs=0.1)
    assert 4 not in found["expression_agreement.mean.pcc.original"].details["action_units"]


def test_stand_ins_without_openface_beside_them_say_what_is_missing() -> None:
    for score in ProxyAgreement(OPENFACE, PROXY).result():
        assert score.value is None
        assert "both OpenFace 2.2.0 and blendshape proxy give action units" in str(score.reason)
