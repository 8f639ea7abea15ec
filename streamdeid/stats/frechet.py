"""Fréchet distance between two Gaussians: the number behind FID and FVD."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from streamdeid.stats.batch import Floats

_EPS = float(np.finfo(np.float64).eps)
_FAR = 1e4  # times what rounding leaves: a smaller pivot may be little else


@dataclass(frozen=True, slots=True, eq=False)
class Gaussian:
    """A mean, and a factor of the covariance instead of the covariance itself.

    Attributes:
        mean: shape (dim,).
        factor: shape (rank, dim), with factorᵀ·factor the covariance. The centred rows of a sample
            over √(n - ddof) are one: so few rows need no covariance of dim × dim.
    """

    mean: Floats
    factor: Floats

    def frechet_distance(self, other: Gaussian) -> float:
        """Squared Fréchet distance, a number ≥ 0; the same to the last bit from either side.

        |μa - μb|² + |X|² + |Y|² - 2·‖X·Yᵀ‖₁ with factors X, Y and the nuclear norm (the sum of
        singular values): exactly |μa - μb|² + tr(A + B - 2·(A·B)^½), because the eigenvalues of A·B
        are the squared singular values of X·Yᵀ. No matrix root is taken of a product, so that
        singular covariances do no harm: `scipy.linalg.sqrtm` of such a product is complex, and
        with the imaginary part dropped gives distances below 0. What of the spread is not more than
        rounding counts as 0, so that equal samples are at 0 exactly.

        Source: Dowson and Landau 1982, doi:10.1016/0047-259X(82)90077-X.

        Raises:
            ValueError: if the vectors of the two have different lengths.
        """
        if self.mean.shape != other.mean.shape:
            raise ValueError(
                f"no distance between Gaussians of dim {self.mean.size} and {other.mean.size}"
            )
        # The singular values of a matrix and of its transpose differ in their last bits.
        x, y = sorted((self.factor, other.factor), key=lambda f: (len(f), f.tobytes()))
        between = self.mean - other.mean
        shared = float(np.linalg.svd(x @ y.T, compute_uv=False).sum())
        spread = float(np.vdot(x, x)) + float(np.vdot(y, y))
        apart = spread - 2.0 * shared
        rounding = max(self.factor.shape[1], 1) * _EPS * spread
        return float(between @ between) + (apart if apart > rounding else 0.0)


def frechet_distance(
    mean_a: ArrayLike, cov_a: ArrayLike, mean_b: ArrayLike, cov_b: ArrayLike
) -> float:
    """Squared Fréchet distance between two Gaussians, of means and covariances.

    Args:
        mean_a, mean_b: shape (dim,).
        cov_a, cov_b: shape (dim, dim), symmetric and positive semi-definite; they may be singular.

    Returns:
        A number ≥ 0, in squared units of the feature. From either side the same to the last bit.

    Raises:
        ValueError: if shapes do not go together, or a covariance is not what it must be.

    >>> frechet_distance([0.0], [[1.0]], [3.0], [[4.0]])
    10.0
    """
    a = Gaussian(np.asarray(mean_a, np.float64), factor_of(cov_a))
    b = Gaussian(np.asarray(mean_b, np.float64), factor_of(cov_b))
    for gaussian in (a, b):
        if gaussian.mean.shape != gaussian.factor.shape[1:]:
            shapes = f"{gaussian.mean.shape} and {gaussian.factor.shape[1:] * 2}"
            raise ValueError(f"mean and covariance have shapes {shapes}")
    return a.frechet_distance(b)


def factor_of(covariance: ArrayLike) -> Floats:
    """F of shape (rank, dim) with Fᵀ·F = `covariance`.

    Cholesky's, which takes a tenth of the time of eigenvectors, where no pivot comes near to
    rounding. Else by eigenvectors, and directions in which there is nothing but rounding are left
    out: the root of a rounding error of 1e-16 is 1e-8, and a thousand of these show.

    Args:
        covariance: shape (dim, dim), symmetric and positive semi-definite.

    Raises:
        ValueError: if it is not.
    """
    c = np.asarray(covariance, np.float64)
    if c.ndim != 2 or c.shape[0] != c.shape[1]:
        raise ValueError(f"expected a covariance of shape (dim, dim), got shape {c.shape}")
    if not np.isfinite(c).all():
        raise ValueError("a covariance holds values that are NaN or infinite")
    size = float(np.abs(c).max(initial=0.0))
    uneven = c - c.T
    if float(np.abs(uneven, out=uneven).max(initial=0.0)) > 1e-6 * size:
        raise ValueError("a covariance is not symmetric")
    del uneven  # 8 MiB at dim 1024
    with suppress(np.linalg.LinAlgError):
        lower = np.linalg.cholesky(c)
        pivots = np.diag(lower) ** 2
        if pivots.min(initial=np.inf) > _FAR * len(c) * _EPS * pivots.max(initial=0.0):
            return np.ascontiguousarray(lower.T)
    values, vectors = np.linalg.eigh(c)
    largest = float(np.abs(values).max(initial=0.0))
    if float(values.min(initial=0.0)) < -1e-6 * largest:
        raise ValueError(f"a covariance has the eigenvalue {values[0]:g}: it must not be negative")
    kept = values > largest * len(c) * _EPS
    factor: Floats = np.ascontiguousarray((vectors[:, kept] * np.sqrt(values[kept])).T)
    return factor
