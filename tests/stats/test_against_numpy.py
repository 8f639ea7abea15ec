"""Statistics held against numpy and scipy over all values, and in the places where sums fail."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from scipy.spatial.distance import cdist

from streamdeid.errors import NotEnoughSamples
from streamdeid.stats import (
    RunningComoments,
    RunningCovariance,
    RunningHistogram,
    RunningMoments,
    RunningSpread,
)

BATCHES = (1, 1, 2, 7, 30, 59)  # sizes of pieces in which 100 rows are given


def tolerance(mean: float, std: float) -> float:
    """Relative error of a variance whose mean is stored with one rounding.

    The condition number of a variance is 2·|mean|/std: half a unit in the last place of the mean
    moves it by so much (Chan, Golub and LeVeque 1983). Raw sums have the *square* of |mean|/std
    here: at mean 1e9 and spread 1 no digit of theirs is right.
    """
    return 1e-13 + 2 * abs(mean) / std * float(np.finfo(np.float64).eps)


def in_batches(rows: np.ndarray) -> list[np.ndarray]:
    return np.split(rows, np.cumsum(BATCHES)[:-1])


@pytest.mark.parametrize(
    ("mean", "spread"), [(0.0, 1.0), (1e9, 1.0), (-3.0, 1e-6), (1e-12, 1e-12), (1e150, 1e140)]
)
def test_moments_equal_numpy_however_large_the_mean(mean: float, spread: float) -> None:
    rng = np.random.default_rng(1)
    # Integers times the spread: exact in float64 beside 1e9, so that numpy sees the same numbers.
    x = mean + spread * rng.integers(-8, 9, 100).astype(float)
    moments = RunningMoments()
    for batch in in_batches(x):
        moments.update(batch)
    assert moments.count == 100
    assert (moments.min, moments.max) == (x.min(), x.max())
    rel = tolerance(mean, x.std())
    assert moments.mean == pytest.approx(x.mean(), rel=1e-15, abs=1e-15 * spread)
    assert moments.variance() == pytest.approx(x.var(ddof=1), rel=rel)
    assert moments.variance(ddof=0) == pytest.approx(x.var(), rel=rel)
    assert moments.std() == pytest.approx(x.std(ddof=1), rel=rel)


@pytest.mark.parametrize("value", [0.1, 1e9 + 0.1, -1 / 3])
def test_a_constant_has_exactly_no_spread(value: float) -> None:
    moments, together, cloud = RunningMoments(), RunningComoments(), RunningCovariance(dim=2)
    for size in BATCHES:
        x = np.full(size, value)
        moments.update(x)
        together.update(x, 2 * x)
        cloud.update(np.stack([x, x], axis=1))
    assert moments.mean == value
    assert moments.variance() == 0.0
    assert together.variance_x()[0] == 0.0
    assert (cloud.covariance() == 0.0).all()
    assert np.isnan(together.pearson()).all()


def test_huge_counts_stay_exact() -> None:
    """2**62 values from doubling: the count must not pass through a 32-bit or a float sum."""
    moments, together = RunningMoments(), RunningComoments()
    histogram = RunningHistogram(low=0.0, high=4.0, bins=4)
    moments.update([1.0, 3.0])
    together.update([1.0, 3.0], [3.0, 1.0])
    histogram.update([1.0, 3.0])
    for _ in range(61):
        moments.merge(RunningMoments.from_state(moments.to_state()))
        together.merge(RunningComoments.from_state(together.to_state()))
        histogram.merge(RunningHistogram.from_state(histogram.to_state()))
    assert moments.count == together.count == histogram.count == 2**62
    assert moments.mean == 2.0
    assert moments.variance(ddof=0) == 1.0
    assert together.pearson()[0] == pytest.approx(-1.0)
    assert histogram.quantile(0.25) == pytest.approx(1.25, abs=1.0)


def test_a_few_values_count_beside_very_many() -> None:
    moments = RunningMoments()
    moments.update([0.0, 0.0])
    for _ in range(39):
        moments.merge(RunningMoments.from_state(moments.to_state()))
    moments.update(1.0)
    n = 2**40 + 1
    assert moments.count == n
    assert moments.mean == pytest.approx(1 / n, rel=1e-12)
    assert moments.variance(ddof=0) == pytest.approx((1 - 1 / n) / n, rel=1e-12)


@pytest.mark.parametrize("offset", [0.0, 1e9])
def test_covariance_and_spread_equal_numpy(offset: float) -> None:
    rng = np.random.default_rng(2)
    x = offset + rng.integers(-9, 10, (100, 4)).astype(float)
    cloud, spread = RunningCovariance(dim=4), RunningSpread()
    for batch in in_batches(x):
        cloud.update(batch)
        spread.update(batch)
    np.testing.assert_allclose(cloud.mean, x.mean(axis=0), rtol=1e-15, atol=1e-14)
    for ddof in (0, 1):
        want = np.cov(x, rowvar=False, ddof=ddof)
        rel = tolerance(offset, 5.0)
        np.testing.assert_allclose(cloud.covariance(ddof), want, rtol=rel, atol=rel * want.max())
        assert cloud.total_variance(ddof) == pytest.approx(np.trace(want), rel=rel)
        assert spread.total_variance(ddof) == pytest.approx(np.trace(want), rel=rel)
    np.testing.assert_allclose(spread.mean, x.mean(axis=0), rtol=1e-15, atol=1e-14)
    np.testing.assert_array_equal(cloud.covariance(), cloud.covariance().T)


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 20),
    m=st.integers(1, 20),
    dim=st.integers(1, 5),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_rms_distance_is_that_of_all_pairs(seed: int, n: int, m: int, dim: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(0, 1, (n, dim)), rng.normal(rng.normal(0, 3, dim), 2, (m, dim))
    here, there = RunningSpread(), RunningSpread()
    here.update(a)
    there.update(b)
    want = np.sqrt((cdist(a, b) ** 2).mean())
    assert here.rms_distance(there) == pytest.approx(want, rel=1e-12)
    assert there.rms_distance(here) == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_comoments_equal_scipy_in_every_column(offset: float) -> None:
    rng = np.random.default_rng(3)
    x = offset + rng.normal(0, 1, (100, 3))
    y = x * [1.0, -0.5, 0.0] + rng.normal(0, 0.3, (100, 3)) + [0.1, offset, 2.0]
    together = RunningComoments(columns=3)
    for xs, ys in zip(in_batches(x), in_batches(y), strict=True):
        together.update(xs, ys)
    np.testing.assert_allclose(together.mean_x, x.mean(axis=0), rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(together.mean_y, y.mean(axis=0), rtol=1e-14, atol=1e-15)
    rel = tolerance(offset, 0.3)  # of the smallest spread there is
    np.testing.assert_allclose(together.variance_x(), x.var(axis=0, ddof=1), rtol=rel)
    np.testing.assert_allclose(together.variance_y(0), y.var(axis=0), rtol=rel)
    covariance = [np.cov(x[:, k], y[:, k])[0, 1] for k in range(3)]
    np.testing.assert_allclose(together.covariance(), covariance, rtol=rel, atol=rel)
    pearson = [scipy_stats.pearsonr(x[:, k], y[:, k]).statistic for k in range(3)]
    np.testing.assert_allclose(together.pearson(), pearson, rtol=rel, atol=rel)
    np.testing.assert_allclose(together.rmse(), np.sqrt(((x - y) ** 2).mean(axis=0)), rtol=1e-13)
    np.testing.assert_allclose(together.mae(), np.abs(x - y).mean(axis=0), rtol=1e-13)
    lin = [
        2 * np.cov(x[:, k], y[:, k], ddof=0)[0, 1]
        / (x[:, k].var() + y[:, k].var() + (x[:, k].mean() - y[:, k].mean()) ** 2)
        for k in range(3)
    ]  # fmt: skip
    np.testing.assert_allclose(together.ccc(), lin, rtol=rel, atol=rel)


def test_a_stream_agrees_with_itself_exactly() -> None:
    x = np.random.default_rng(4).normal(0.3, 0.1, (100, 5))
    together = RunningComoments(columns=5)
    for batch in in_batches(x):
        together.update(batch, batch)
    assert (together.pearson() == 1.0).all()
    assert (together.ccc() == 1.0).all()
    assert (together.rmse() == 0.0).all()
    assert (together.mae() == 0.0).all()


def test_small_errors_keep_their_digits() -> None:
    """Out of variances and means this RMSE would be 0 or 1e-8: 1e-10 squared is below their ulp."""
    x = np.random.default_rng(5).normal(0, 1, 100)
    y = x + 2.0**-33
    together = RunningComoments()
    together.update(x, y)
    assert together.rmse()[0] == pytest.approx(np.sqrt(((x - y) ** 2).mean()), rel=1e-12)


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 60),
    q=st.floats(0.0, 1.0),
    shape=st.sampled_from(["even", "two heaps", "ties", "grid"]),
)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_quantiles_are_within_a_bin_of_numpy(seed: int, n: int, q: float, shape: str) -> None:
    rng = np.random.default_rng(seed)
    x = {
        "even": lambda: rng.uniform(0, 2, n),
        "two heaps": lambda: np.where(rng.random(n) < 0.5, 0.1, 1.9) + rng.uniform(0, 0.05, n),
        "ties": lambda: rng.choice([0.3, 0.31, 1.2], n),
        "grid": lambda: rng.integers(0, 21, n) / 10,  # on the edges of bins, 0 and 2 included
    }[shape]()
    histogram = RunningHistogram(low=0.0, high=2.0, bins=20)
    histogram.update(x)
    assert abs(histogram.quantile(q) - np.quantile(x, q)) <= 0.1 + 1e-12
    assert x.min() <= histogram.quantile(q) <= x.max()
    assert histogram.quantile(0.0) == x.min()
    assert histogram.quantile(1.0) == x.max()


def test_the_histogram_counts_as_numpy_does_and_loses_nothing_outside() -> None:
    x = np.array([-1e300, -0.5, 0.0, 0.24, 0.25, 0.99, 1.0, 1.01, 7.0, 1e300])
    histogram = RunningHistogram(low=0.0, high=1.0, bins=4)
    histogram.update(x)
    assert histogram.counts.tolist() == np.histogram(x, bins=4, range=(0.0, 1.0))[0].tolist()
    assert (histogram.below, histogram.above, histogram.count) == (2, 3, 10)
    assert histogram.quantile(1.0) == 1e300


def test_values_on_edges_go_where_numpy_puts_them() -> None:
    edges = np.linspace(0.0, 2.0, 2001)
    histogram = RunningHistogram(low=0.0, high=2.0, bins=2000)
    histogram.update(edges)
    # An edge is a rounded number, so it may fall to either side of itself, here as in numpy.
    assert np.abs(np.cumsum(histogram.counts - np.histogram(edges, edges)[0])).max() <= 1


def test_too_little_data_is_said_in_a_sentence() -> None:
    moments = RunningMoments()
    with pytest.raises(NotEnoughSamples, match="a mean needs at least 1 values; there are 0"):
        _ = moments.mean
    moments.update(3.0)
    with pytest.raises(NotEnoughSamples, match="standard deviation with ddof 1 needs at least 2"):
        moments.std()
    assert moments.std(ddof=0) == 0.0


@pytest.mark.parametrize("shape", [(3, 2), (4,), (1, 1, 3)])
def test_vectors_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    for statistic in (RunningCovariance(dim=3), RunningSpread()):
        statistic.update([[1.0, 2.0, 3.0]])
        with pytest.raises(ValueError, match="expected vectors of shape"):
            statistic.update(np.zeros(shape))


def test_columns_come_in_pairs() -> None:
    with pytest.raises(ValueError, match="they must come in pairs"):
        RunningComoments().update([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="expected numbers of shape"):
        RunningMoments().update([[1.0]])


@pytest.mark.parametrize(
    ("low", "high", "bins"), [(1.0, 1.0, 3), (0.0, 1.0, 0), (0.0, float("inf"), 3)]
)
def test_an_impossible_histogram_is_refused(low: float, high: float, bins: int) -> None:
    with pytest.raises(ValueError, match="no histogram"):
        RunningHistogram(low, high, bins)


@pytest.mark.parametrize("q", [-0.1, 1.1, float("nan")])
def test_a_quantile_is_asked_for_by_a_share(q: float) -> None:
    histogram = RunningHistogram(0.0, 1.0, 3)
    histogram.update(0.5)
    with pytest.raises(ValueError, match="a share from 0 to 1"):
        histogram.quantile(q)


def test_spreads_of_different_lengths_do_not_meet() -> None:
    short, long = RunningSpread(), RunningSpread()
    short.update([1.0, 2.0])
    long.update([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="cannot merge vectors of lengths 2 and 3"):
        short.merge(long)
    with pytest.raises(ValueError, match="lengths 2 and 3"):
        short.rms_distance(long)
