"""RunningSpread: where a cloud of vectors lies and how wide it is, in O(dim) memory."""

from __future__ import annotations

import math
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from streamdeid.errors import NotEnoughSamples
from streamdeid.stats.batch import Floats, as_vectors, centred
from streamdeid.stats.state import State, StateReader


class RunningSpread:
    """Mean and total variance (the trace of the covariance) of a stream of vectors.

    It is to `RunningCovariance` what a radius is to an ellipsoid: all that distances between whole
    clouds need, in 8·dim bytes instead of 8·dim². A rolling window keeps dozens of these.
    The first vector says how long vectors are.

    >>> spread = RunningSpread()
    >>> spread.update([[0.0, 0.0], [2.0, 4.0]])
    >>> spread.mean.tolist(), spread.total_variance(ddof=0)
    ([1.0, 2.0], 5.0)
    """

    def __init__(self) -> None:
        self.count = 0
        self._mean: Floats = np.zeros(0)
        self._scatter = 0.0  # sum of squared distances to the mean

    def update(self, vectors: ArrayLike) -> None:
        """Add `vectors`, shape (n, dim) or (dim,); n may be 0.

        Raises:
            ValueError: if the shape is another one, or a value is NaN or infinite.
        """
        if np.size(vectors) == 0:
            return
        x = as_vectors(vectors, self._mean.size or None)
        mean, rest = centred(x)
        self._absorb(len(x), mean, float(np.vdot(rest, rest)))

    def merge(self, other: Self) -> None:
        """Add all that `other` has seen; `other` stays as it was."""
        if self.count and other.count:
            self._require_like(other, "cannot merge")
        self._absorb(other.count, other._mean, other._scatter)

    @property
    def mean(self) -> Floats:
        """Shape (dim,). Raises: NotEnoughSamples if there is no vector."""
        self._require(1, "a mean")
        return self._mean.copy()

    def total_variance(self, ddof: int = 1) -> float:
        """Squared distances to the mean over count - ddof.

        Raises:
            NotEnoughSamples: if there are not more than `ddof` vectors.
        """
        self._require(ddof + 1, f"a total variance with ddof {ddof}")
        return self._scatter / (self.count - ddof)

    def rms_distance(self, other: RunningSpread) -> float:
        """Root mean square Euclidean distance over *all* pairs of one vector here and one there.

        E|a-b|² = |E a - E b|² + tr cov a + tr cov b for independent draws of a and b, with
        population (ddof 0) covariances: the n·m distances themselves are never formed.

        Raises:
            NotEnoughSamples: if either has no vector.
            ValueError: if the vectors of the two have different lengths.
        """
        mean, other_mean = self.mean, other.mean
        self._require_like(other, "no distance between")
        between = mean - other_mean
        within = self.total_variance(ddof=0) + other.total_variance(ddof=0)
        return math.sqrt(float(between @ between) + within)

    def to_state(self) -> State:
        return {"count": self.count, "mean": self._mean.copy(), "scatter": self._scatter}

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Raises: ValueError if a value is missing or makes no sense."""
        read = StateReader(state, cls.__name__)
        spread = cls()
        spread.count = read.integer("count", minimum=0)
        spread._mean = read.floats("mean", (None,))
        spread._scatter = read.number("scatter", minimum=0.0)
        return spread

    def _absorb(self, count: int, mean: Floats, scatter: float) -> None:
        if count == 0:
            return
        if self.count == 0:
            self.count, self._mean, self._scatter = count, mean.copy(), scatter
            return
        total = self.count + count
        delta = mean - self._mean
        self._scatter += scatter + float(delta @ delta) * (self.count / total * count)
        self._mean = self._mean + delta * (count / total)
        self.count = total

    def _require_like(self, other: RunningSpread, refusal: str) -> None:
        if self._mean.size != other._mean.size:
            sizes = f"{self._mean.size} and {other._mean.size}"
            raise ValueError(f"{refusal} vectors of lengths {sizes}")

    def _require(self, needed: int, what: str) -> None:
        if self.count < needed:
            raise NotEnoughSamples(
                f"{what} needs at least {needed} vectors; there are {self.count}"
            )
