"""The Fréchet distance: both ways of keeping a Gaussian, scipy's root, and published tools."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from streamdeid.errors import NotEnoughSamples
from streamdeid.stats import Gaussian, RunningGaussian, frechet_distance


def features(rows: int, dim: int, shift: float = 0.0, spread: float = 1.0) -> np.ndarray:
    """The same numbers on every machine, for a tool elsewhere to be given as well."""
    i, j = np.mgrid[1 : rows + 1, 1 : dim + 1]
    waves = np.sin(i * i * 0.37 + i * j * 1.3 + j) / np.sqrt(j)
    return np.array(shift + spread * waves, np.float64)


def changed(rows: int, dim: int) -> np.ndarray:
    drift = 0.3 * np.cos(np.arange(rows)[:, None] * 0.9 + np.arange(dim))
    return features(rows, dim, 0.1, 1.2) + drift


def seen(rows: np.ndarray) -> RunningGaussian:
    running = RunningGaussian(rows.shape[1])
    running.update(rows)
    return running


def between(a: np.ndarray, b: np.ndarray) -> float:
    return seen(a).gaussian().frechet_distance(seen(b).gaussian())


def by_sqrtm(a: np.ndarray, b: np.ndarray) -> float:
    """As the published tools do it: a matrix root of a product, without its imaginary part."""
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that a singular matrix has no root
        root = sqrtm(cov_a @ cov_b)
    apart = a.mean(axis=0) - b.mean(axis=0)
    return float(apart @ apart + np.trace(cov_a + cov_b - 2 * np.real(root)))


# clean-fid 0.1.35 (`frechet_distance`) and torchmetrics 1.9.0 (`_compute_fid`), float64, ddof 1.
PUBLISHED = {
    300: (0.9356309408004098, 0.9356309408004089),
    40: (1.002027253465016, 1.0020272534650143),
    6: (1.557131991740894, 1.5571319935943375),
}


@pytest.mark.parametrize("rows", PUBLISHED)
def test_it_is_that_of_clean_fid_and_torchmetrics(rows: int) -> None:
    a, b = features(rows, 24), changed(rows, 24)
    # Of 6 rows in 24 dimensions the tools take the root of a singular product, with eigenvalues
    # that are rounding errors of 1e-16: their roots, 1e-8 each, are what they are off by.
    rel = 1e-12 if rows > 24 else 1e-6
    for published in PUBLISHED[rows]:
        assert between(a, b) == pytest.approx(published, rel=rel)
        covs = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
        distance = frechet_distance(a.mean(axis=0), covs[0], b.mean(axis=0), covs[1])
        assert distance == pytest.approx(published, rel=rel)


@pytest.mark.parametrize(("rows", "dim"), [(400, 64), (64, 64), (65, 64), (20, 64), (2, 64)])
def test_it_is_that_of_scipy_sqrtm(rows: int, dim: int) -> None:
    a, b = features(rows, dim), changed(rows, dim)
    # Where rows ≤ dim the root of the product is right to the root of the rounding, 1e-8.
    assert between(a, b) == pytest.approx(by_sqrtm(a, b), rel=1e-10 if rows > 2 * dim else 1e-6)


@pytest.mark.parametrize("rows", [2, 12, 24])
def test_foundand_covariance_say_the_same(rows: int) -> None:
    """A few rows are kept as they are; here they are also made into a full covariance."""
    a, b = features(rows, 24), changed(rows, 24)
    full = frechet_distance(
        a.mean(axis=0), np.cov(a, rowvar=False), b.mean(axis=0), np.cov(b, rowvar=False)
    )
    assert between(a, b) == pytest.approx(full, rel=1e-10)


def test_one_side_may_have_foundand_the_other_a_covariance() -> None:
    a, b = features(10, 24), changed(200, 24)
    assert between(a, b) == pytest.approx(by_sqrtm(a, b), rel=1e-6)


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(2, 12),
    m=st.integers(2, 12),
    size=st.sampled_from([1e-6, 1.0, 1e6]),
    offset=st.sampled_from([0.0, 1e4]),
)
def test_it_is_a_distance(seed: int, n: int, m: int, size: float, offset: float) -> None:
    rng = np.random.default_rng(seed)
    a, b = offset + size * rng.normal(0, 1, (n, 6)), offset + size * rng.normal(0.5, 2, (m, 6))
    distance = between(a, b)
    assert distance >= 0.0
    assert distance == between(b, a)
    assert between(a, a) == 0.0
    # The root of the square is a metric: no way is shorter than the straight one.
    c = offset + size * rng.normal(-0.5, 1, (n, 6))
    assert distance**0.5 <= (between(a, c) ** 0.5 + between(c, b) ** 0.5) * (1 + 1e-6)


@pytest.mark.parametrize("rows", [50, 500])
def test_a_video_is_at_no_distance_from_itself(rows: int) -> None:
    """Few rows and many; the usual root of a product gives 1e-4 here, or less than nothing."""
    a = features(rows, 128) * np.exp(-np.arange(128) / 9)  # a steep spectrum, as features have
    assert between(a, a) == 0.0
    assert between(a, a[::-1]) <= 1e-9 * np.var(a, axis=0, ddof=1).sum()


def test_directions_in_which_nothing_happens_do_no_harm() -> None:
    """Where A never moves its covariance has eigenvalues of 1e-17; B moves there a great deal."""
    a, b = changed(300, 64), 10 * features(300, 64)
    a[:, 4:] = 3.0
    rest = [x - x.mean(axis=0) for x in (a, b)]
    few = Gaussian(a.mean(axis=0), rest[0] / 299**0.5).frechet_distance(
        Gaussian(b.mean(axis=0), rest[1] / 299**0.5)
    )
    mixed = np.linalg.qr(np.random.default_rng(1).normal(0, 1, (64, 64)))[0]
    assert between(a @ mixed, b @ mixed) == pytest.approx(few, rel=1e-11)


@pytest.mark.parametrize("rows", [3, 40])
def test_constant_features_have_a_distance(rows: int) -> None:
    black, grey = np.zeros((rows, 8)), np.full((rows, 8), 2.0)
    assert between(black, grey) == 32.0
    assert between(grey, grey) == 0.0
    moving = features(rows, 8)
    expected = float((moving.mean(axis=0) ** 2).sum() + moving.var(axis=0, ddof=1).sum())
    assert between(black, moving) == pytest.approx(expected, rel=1e-12)


def test_known_gaussians() -> None:
    """Of commuting covariances it is Σ (√a - √b)²: Dowson and Landau, their equation for d²."""
    a, b = np.diag([1.0, 4.0, 0.0]), np.diag([9.0, 0.0, 0.25])
    assert frechet_distance([0, 0, 0], a, [1, 0, 2], b) == pytest.approx(5 + 4 + 4 + 0.25)


def test_ddof_is_what_covariances_are_divided_by() -> None:
    rows = features(5, 8)
    for ddof in (0, 1):
        factor = seen(rows).gaussian(ddof).factor
        np.testing.assert_allclose(factor.T @ factor, np.cov(rows.T, ddof=ddof), atol=1e-14)


def test_memory_is_bounded_by_a_square() -> None:
    running = RunningGaussian(16)
    for row in features(200, 16):
        running.update(row)
        kept = running.to_state()["rows"]
        assert isinstance(kept, np.ndarray)
        assert len(kept) == (running.count if running.count <= 16 else 0)
    np.testing.assert_allclose(
        running.gaussian().factor.T @ running.gaussian().factor,
        np.cov(features(200, 16), rowvar=False),
        atol=1e-13,
    )


def test_few_foundgive_the_same_bits_in_any_order() -> None:
    a, b = features(20, 24), changed(20, 24)
    assert between(a, b) == between(a[::-1], np.roll(b, 7, axis=0))


@pytest.mark.parametrize(
    ("covariance", "says"),
    [
        (np.zeros((2, 3)), r"expected a covariance of shape \(dim, dim\)"),
        (np.full((2, 2), np.nan), "NaN or infinite"),
        (np.array([[1.0, 2.0], [0.0, 1.0]]), "not symmetric"),
        (np.array([[1.0, 2.0], [2.0, 1.0]]), "eigenvalue -1: it must not be negative"),
        (np.eye(3), "mean and covariance have shapes"),
    ],
)
def test_what_is_no_covariance_is_refused(covariance: np.ndarray, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        frechet_distance([0.0, 0.0], covariance, [0.0, 0.0], np.eye(2))


def test_gaussians_of_different_dim_do_not_meet() -> None:
    with pytest.raises(ValueError, match="dim 2 and 3"):
        Gaussian(np.zeros(2), np.eye(2)).frechet_distance(Gaussian(np.zeros(3), np.eye(3)))


def test_one_vector_has_no_covariance() -> None:
    with pytest.raises(NotEnoughSamples, match="needs at least 2 vectors; there are 1"):
        seen(features(1, 4)).gaussian()


def test_a_state_that_contradicts_itself_is_refused() -> None:
    few, many = seen(features(3, 4)).to_state(), seen(features(9, 4)).to_state()
    for state in (
        {**few, "count": 2},
        {**many, "count": 10},
        {**many, "rows": few["rows"]},
        {**few, "covariance": many["covariance"]},
        {**few, "dim": 4, "rows": np.zeros((9, 4)), "count": 9},
    ):
        with pytest.raises(ValueError, match="state of RunningGaussian"):
            RunningGaussian.from_state(state)
