"""RunningLags against plain numpy over all values, with gaps, and with the shifts it must find."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamdeid.stats import RunningLags

REACH = 4


def plain(index: np.ndarray, x: np.ndarray, y: np.ndarray, lag: int) -> np.ndarray:
    """Correlation of x at step t with y at step t + lag, by looking all steps up."""
    place = {int(step): row for row, step in enumerate(index)}
    pairs = [(place[t], place[t + lag]) for t in map(int, index) if t + lag in place]
    if len(pairs) < 2:
        return np.full(x.shape[1], np.nan)
    a, b = x[[i for i, _ in pairs]], y[[j for _, j in pairs]]
    return np.array([np.corrcoef(a[:, c], b[:, c])[0, 1] for c in range(x.shape[1])])


@given(
    seed=st.integers(0, 2**32 - 1),
    length=st.integers(2, 60),
    gaps=st.integers(1, 9),
    batch=st.integers(1, 70),
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_correlations_are_those_of_numpy_at_every_lag(
    seed: int, length: int, gaps: int, batch: int
) -> None:
    rng = np.random.default_rng(seed)
    index = np.cumsum(rng.choice([1, 1, 1, gaps], length)) + 1000
    x = rng.normal(50, 2, (length, 3))
    y = 0.5 * np.roll(x, 2, axis=0) + rng.normal(0, 1, (length, 3))
    lags = RunningLags(3, REACH)
    for start in range(0, length, batch):
        lags.update(*(part[start : start + batch] for part in (index, x, y)))
    for lag, found in zip(lags.lags, lags.pearson(), strict=True):
        np.testing.assert_allclose(found, plain(index, x, y, lag), atol=1e-9)


def test_a_series_that_comes_five_steps_later_correlates_by_one_at_lag_five() -> None:
    rng = np.random.default_rng(1)
    series = rng.normal(0, 1, (400, 2))
    lags = RunningLags(2, 8)
    lags.update(np.arange(395), series[5:], series[:-5])
    best = lags.pearson().mean(axis=1).argmax()
    assert lags.lags[best] == 5
    assert lags.pearson()[best] == pytest.approx([1.0, 1.0])


def test_a_series_that_never_changes_has_no_correlation_at_any_lag() -> None:
    lags = RunningLags(2, 3)
    for step in range(50):
        lags.update([step], [[0.1, step % 7]], [[step % 5, 0.3]])
    assert np.isnan(lags.pearson()).all()


def test_another_recording_forms_no_pairs_with_the_one_before() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(0, 1, (2, 30, 1))
    one, other = RunningLags(1, 3), RunningLags(1, 3)
    one.update(np.arange(30), x, y)
    other.update(np.arange(30), y, x)
    in_a_row = RunningLags(1, 3)
    in_a_row.update([*range(30), *range(30)], np.r_[x, y], np.r_[y, x])
    one.merge(other)
    np.testing.assert_allclose(one.pearson(), in_a_row.pearson(), atol=1e-12)
    np.testing.assert_allclose(one.pearson()[3], np.corrcoef(np.r_[x, y].T, np.r_[y, x].T)[0, 1])
