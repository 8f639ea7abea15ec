"""The kernel discrepancy: published tools, what it is of a sample itself, and its error."""

from __future__ import annotations

import numpy as np
import pytest

from streamdeid.errors import NotEnoughSamples
from streamdeid.stats import polynomial_mmd

from .test_frechet import changed, features


def test_it_is_that_of_torch_fidelity_and_torchmetrics() -> None:
    """torch-fidelity 0.4.0, `mmd2` of `kernel_poly` (degree 3, coef0 1): "unbiased" is KID's, and
    "u-statistic" leaves the same moment out. torchmetrics 1.9.0, `poly_mmd`, equals the first."""
    found = polynomial_mmd(features(40, 24), changed(40, 24))
    assert found.kid == pytest.approx(0.014425941647131957, rel=1e-9)
    assert found.between_moments == pytest.approx(0.02888102031867512, rel=1e-9)


def test_a_video_has_no_discrepancy_from_itself() -> None:
    a = features(40, 24)
    found = polynomial_mmd(a, a)
    assert found.between_moments == 0.0
    assert found.standard_error == 0.0
    assert found.kid < -0.01  # KID takes twins for strangers that happen to agree


def test_nor_has_one_of_as_many_dimensions_as_features_have() -> None:
    """Where numpy computes a product with itself otherwise than one of two matrices."""
    a = features(300, 1024)
    found = polynomial_mmd(a, a)
    assert found.between_moments == 0.0
    assert found.standard_error == 0.0
    assert found.kid < 0.0


def test_it_is_the_same_from_either_side() -> None:
    a, b = features(30, 12), changed(30, 12)
    here, there = polynomial_mmd(a, b), polynomial_mmd(b, a)
    assert here.between_moments == pytest.approx(there.between_moments, rel=1e-12)
    assert here.kid == pytest.approx(there.kid, rel=1e-12)


def test_it_is_without_bias_and_its_error_is_as_large_as_it_says() -> None:
    rng = np.random.default_rng(3)
    p, q = rng.normal(0, 1, (25, 4)), rng.normal(0.5, 1, (25, 4))  # all there is to draw from
    truth = kernel(p, p).mean() + kernel(q, q).mean() - 2 * kernel(p, q).mean()
    draws = [polynomial_mmd(rng.choice(p, 40), rng.choice(q, 40)) for _ in range(300)]
    values = np.array([draw.between_moments for draw in draws])
    errors = np.array([draw.standard_error for draw in draws])
    assert values.mean() == pytest.approx(truth, abs=3 * values.std() / 300**0.5)
    assert np.sqrt((errors**2).mean()) == pytest.approx(values.std(), rel=0.25)


def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray((a @ b.T / a.shape[1] + 1) ** 3)


def test_neighbours_that_are_alike_make_the_error_larger() -> None:
    """Ten times the same rows are not ten times as much to go by."""
    rng = np.random.default_rng(4)
    a, b = rng.normal(0, 1, (40, 4)), rng.normal(0.5, 1, (40, 4))
    few, many = polynomial_mmd(a, b), polynomial_mmd(np.repeat(a, 10, 0), np.repeat(b, 10, 0))
    assert few.standard_error is not None
    assert many.standard_error == pytest.approx(few.standard_error, rel=0.3)


def test_two_rows_give_a_value_and_three_an_error() -> None:
    assert polynomial_mmd(features(2, 4), changed(2, 4)).standard_error is None
    assert polynomial_mmd(features(3, 4), changed(3, 4)).standard_error is not None
    with pytest.raises(NotEnoughSamples, match="needs at least 2 vectors; there are 1"):
        polynomial_mmd(features(1, 4), changed(1, 4))


def test_rows_must_come_in_pairs() -> None:
    with pytest.raises(ValueError, match="rows must come in pairs"):
        polynomial_mmd(features(3, 4), features(4, 4))
