"""RunningCovariance: mean and covariance of a stream of vectors."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from streamdeid.errors import NotEnoughSamples
from streamdeid.stats.batch import Floats, as_vectors, centred
from streamdeid.stats.state import State, StateReader


class RunningCovariance:
    """Mean and covariance of a stream of vectors, in one pass and O(dim²) memory.

    Keeps sums of centred products, never of raw ones: raw sums lose their digits
    when the mean is large beside the spread (Chan, Golub and LeVeque 1983,
    doi:10.1080/00031305.1983.10483115).

    >>> morning, evening = RunningCovariance(dim=2), RunningCovariance(dim=2)
    >>> morning.update([[1.0, 2.0], [3.0, 5.0]])
    >>> evening.update([[8.0, 5.0]])
    >>> morning.merge(evening)
    >>> morning.count, morning.mean.tolist()
    (3, [4.0, 4.0])
    """

    def __init__(self, dim: int) -> None:
        if dim < 1:
            raise ValueError(f"dim is {dim}, and must be at least 1")
        self.dim = dim
        self.count = 0
        self._mean: Floats = np.zeros(dim)
        self._scatter: Floats = np.zeros((dim, dim))

    def update(self, vectors: ArrayLike) -> None:
        """Add `vectors`, shape (n, dim) or (dim,); n may be 0.

        Raises:
            ValueError: if the shape is another one, or a value is NaN or infinite.
        """
        x = as_vectors(vectors, self.dim)
        if len(x) > 0:
            mean, rest = centred(x)
            self._absorb(len(x), mean, rest)

    def merge(self, other: Self) -> None:
        """Add all that `other` has seen; `other` stays as it was."""
        if other.dim != self.dim:
            raise ValueError(f"cannot merge covariances of dim {self.dim} and {other.dim}")
        if other.count > 0:
            self._scatter += other._scatter
            self._absorb(other.count, other._mean, np.zeros((0, self.dim)))

    @property
    def mean(self) -> Floats:
        """Shape (dim,). Raises: NotEnoughSamples if there is no vector."""
        self._require(1, "a mean")
        return self._mean.copy()

    def covariance(self, ddof: int = 1) -> Floats:
        """Shape (dim, dim), symmetric; sums of products over count - ddof.

        Raises:
            NotEnoughSamples: if there are not more than `ddof` vectors.
        """
        self._require(ddof + 1, f"a covariance with ddof {ddof}")
        return self._scatter / (self.count - ddof)

    def total_variance(self, ddof: int = 1) -> float:
        """Trace of the covariance: mean squared distance to the mean, for ddof 0.

        Raises:
            NotEnoughSamples: if there are not more than `ddof` vectors.
        """
        self._require(ddof + 1, f"a total variance with ddof {ddof}")
        return float(np.trace(self._scatter)) / (self.count - ddof)

    def to_state(self) -> State:
        return {
            "dim": self.dim,
            "count": self.count,
            "mean": self._mean.copy(),
            "scatter": self._scatter.copy(),
        }

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Raises: ValueError if a value is missing or makes no sense."""
        read = StateReader(state, cls.__name__)
        running = cls(read.integer("dim", minimum=1))
        running.count = read.integer("count", minimum=0)
        running._mean = read.floats("mean", (running.dim,))
        running._scatter = read.floats("scatter", (running.dim, running.dim))
        return running

    def _absorb(self, count: int, mean: Floats, rest: Floats) -> None:
        """Add `count` vectors of that mean, of which `rest` is what the scatter still lacks."""
        total = self.count + count
        delta = mean - self._mean
        # How far the means lie apart counts as one more row: one product of (dim, dim) for all.
        rows = np.vstack([rest, delta * np.sqrt(self.count / total * count)])
        self._scatter += rows.T @ rows
        self._mean = self._mean + delta * (count / total)
        self.count = total

    def _require(self, needed: int, what: str) -> None:
        if self.count < needed:
            raise NotEnoughSamples(
                f"{what} needs at least {needed} vectors; there are {self.count}"
            )
