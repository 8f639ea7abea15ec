"""Maximum mean discrepancy with a polynomial kernel: the number behind KID."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from streamdeid.errors import NotEnoughSamples
from streamdeid.stats.batch import Floats, as_vectors

_BLOCKS = 20  # of consecutive rows; one row each if there are fewer rows


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """How far apart the distributions behind two samples are, MMD² with (x·y/dim + 1)³.

    Attributes:
        between_moments: the estimate that leaves out k(xᵢ, yᵢ). Where row i of both samples is of
            one moment they are no independent draws, and only this one is unbiased: of a sample
            against itself it is exactly 0. It may fall below 0 where the two hardly differ.
        kid: the estimate that takes in k(xᵢ, yᵢ), for samples drawn apart, as KID does.
        standard_error: of `between_moments`, from leaving out one block of consecutive rows after
            another; None if there are fewer than 3 rows.
        count: rows in each sample.
    """

    between_moments: float
    kid: float
    standard_error: float | None
    count: int


def polynomial_mmd(x: ArrayLike, y: ArrayLike) -> Discrepancy:
    """Squared maximum mean discrepancy of two samples, without bias, in O(n²·dim).

    Neighbouring rows of a video are alike, so the standard error is from blocks of them: leaving
    out single rows would take them for independent, and be too small.

    Args:
        x, y: shape (n, dim) both; row i of one belongs to row i of the other, in order of time.

    Sources: Bińkowski et al. 2018, arXiv:1801.01401 (KID); Gretton et al. 2012, JMLR 13:723
    (equation 4, without k(xᵢ, yᵢ)); Künsch 1989, doi:10.1214/aos/1176347265 (the block jackknife).

    Raises:
        NotEnoughSamples: if there are fewer than 2 rows.
        ValueError: if the shapes differ, or a value is NaN or infinite.
    """
    a, b = as_vectors(x, None), as_vectors(y, None)
    if a.shape != b.shape:
        raise ValueError(f"samples of shapes {a.shape} and {b.shape}: rows must come in pairs")
    n = len(a)
    if n < 2:
        raise NotEnoughSamples(f"a discrepancy needs at least 2 vectors; there are {n}")
    within_a, within_b = _kernel(a, a), _kernel(b, b)
    # Numpy computes a product with itself in another order, which shows in the last bits.
    across = within_a if np.array_equal(a, b) else _kernel(a, b)
    h = within_a + within_b - across - across.T
    np.fill_diagonal(h, 0.0)
    total, pairs = float(h.sum()), n * (n - 1)
    same_moment = float(np.trace(across))
    all_across = float(across.sum())
    # The sum over i ≠ j of what `h` holds, with the mean over all n² in place of that across.
    within = total + 2.0 * (all_across - same_moment)
    kid = within / pairs - 2.0 * all_across / n**2
    return Discrepancy(total / pairs, kid, _standard_error(h) if n > 2 else None, n)


def _standard_error(h: Floats) -> float:
    n = len(h)
    total, by_row = h.sum(), h.sum(axis=1)
    estimates = []
    for block in np.array_split(np.arange(n), min(_BLOCKS, n)):
        left = n - len(block)
        inside = h[np.ix_(block, block)].sum()
        estimates.append((total - 2.0 * by_row[block].sum() + inside) / (left * (left - 1)))
    values = np.array(estimates)
    spread = ((values - values.mean()) ** 2).mean() * (len(values) - 1)
    return float(np.sqrt(spread))


def _kernel(a: Floats, b: Floats) -> Floats:
    k: Floats = (a @ b.T / a.shape[1] + 1.0) ** 3
    return k
