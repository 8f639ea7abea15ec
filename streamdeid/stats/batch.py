"""What every statistic asks of the numbers given to it: float64, finite, of the right shape."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float64]


def as_values(values: ArrayLike) -> Floats:
    """A number or a sequence of numbers as float64 of shape (n,).

    Raises:
        ValueError: if there are more dimensions, or a value is NaN or infinite: whoever has missing
            values must decide about them before they are averaged.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim > 1:
        raise ValueError(f"expected numbers of shape (n,), got shape {x.shape}")
    return _finite(x.reshape(-1))


def as_vectors(vectors: ArrayLike, dim: int | None) -> Floats:
    """One vector (dim,) or several (n, dim) as float64 of shape (n, dim); `dim` None: any length.

    Raises:
        ValueError: if the shape is another one, or a value is NaN or infinite.
    """
    x = np.asarray(vectors, dtype=np.float64)
    if x.ndim == 1 and (x.size > 0 or dim == 0):
        x = x[np.newaxis]
    elif x.size == 0 and x.ndim <= 2 and dim is not None:
        x = x.reshape(0, dim)
    if x.ndim != 2 or (dim is not None and x.shape[1] != dim):
        expected = "dim" if dim is None else dim
        raise ValueError(f"expected vectors of shape (n, {expected}), got shape {x.shape}")
    return _finite(x)


def centred(x: NDArray[np.float64]) -> tuple[Any, Floats]:
    """Mean over the first axis (n ≥ 1), and `x` without it.

    The mean is taken of the differences to the first row. So equal rows have *exactly* their own
    value as mean and exactly zero spread (a plain sum of ten 0.1 has not), and a mean that is large
    beside the spread costs no digits.
    """
    shifted = x - x[0]
    shift = shifted.mean(axis=0)
    return x[0] + shift, shifted - shift


def _finite(x: Floats) -> Floats:
    if not np.isfinite(x).all():
        bad = int(x.size - np.isfinite(x).sum())
        raise ValueError(f"{bad} of {x.size} values are NaN or infinite; leave missing ones out")
    return x
