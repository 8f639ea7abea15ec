"""RunningMoments: count, mean, variance and extremes of a stream of numbers."""

from __future__ import annotations

import math
from typing import Self

from numpy.typing import ArrayLike

from streamdeid.errors import NotEnoughSamples
from streamdeid.stats.batch import as_values, centred
from streamdeid.stats.state import State, StateReader


class RunningMoments:
    """Count, mean, variance, minimum and maximum of a stream of numbers, in one pass.

    Source of the merge: Chan, Golub and LeVeque 1983, doi:10.1080/00031305.1983.10483115.

    >>> moments = RunningMoments()
    >>> moments.update([1.0, 2.0, 6.0])
    >>> moments.count, moments.mean, moments.variance(ddof=1), moments.max
    (3, 3.0, 7.0, 6.0)
    """

    def __init__(self) -> None:
        self.count = 0
        self._mean = 0.0
        self._scatter = 0.0  # sum of squared differences to the mean
        self._min = math.inf
        self._max = -math.inf

    def update(self, values: ArrayLike) -> None:
        """Add one number or a sequence of shape (n,); n may be 0.

        Raises:
            ValueError: if a value is NaN or infinite.
        """
        x = as_values(values)
        if len(x) > 0:
            mean, rest = centred(x)
            self._absorb(len(x), float(mean), float(rest @ rest), float(x.min()), float(x.max()))

    def merge(self, other: Self) -> None:
        """Add all that `other` has seen; `other` stays as it was."""
        self._absorb(other.count, other._mean, other._scatter, other._min, other._max)

    @property
    def mean(self) -> float:
        """Raises: NotEnoughSamples if there is no value."""
        self._require(1, "a mean")
        return self._mean

    @property
    def min(self) -> float:
        """Raises: NotEnoughSamples if there is no value."""
        self._require(1, "a minimum")
        return self._min

    @property
    def max(self) -> float:
        """Raises: NotEnoughSamples if there is no value."""
        self._require(1, "a maximum")
        return self._max

    def variance(self, ddof: int = 1) -> float:
        """Squared differences to the mean over count - ddof.

        Raises:
            NotEnoughSamples: if there are not more than `ddof` values.
        """
        self._require(ddof + 1, f"a variance with ddof {ddof}")
        return self._scatter / (self.count - ddof)

    def std(self, ddof: int = 1) -> float:
        """Square root of `variance`, which see."""
        self._require(ddof + 1, f"a standard deviation with ddof {ddof}")
        return math.sqrt(self.variance(ddof))

    def to_state(self) -> State:
        return {
            "count": self.count,
            "mean": self._mean,
            "scatter": self._scatter,
            "min": self._min if self.count else None,
            "max": self._max if self.count else None,
        }

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Raises: ValueError if a value is missing or makes no sense."""
        read = StateReader(state, cls.__name__)
        moments = cls()
        moments.count = read.integer("count", minimum=0)
        moments._mean = read.number("mean")
        moments._scatter = read.number("scatter", minimum=0.0)
        for key in ("min", "max"):
            read.number_or_none(key)  # None, if there is no value, and never missing
        if moments.count:
            moments._min = read.number("min")
            moments._max = read.number("max", minimum=moments._min)
        return moments

    def _absorb(
        self, count: int, mean: float, scatter: float, smallest: float, largest: float
    ) -> None:
        if count == 0:
            return
        total = self.count + count
        delta = mean - self._mean
        self._scatter += scatter + delta * delta * (self.count / total * count)
        self._mean += delta * (count / total)
        self.count = total
        self._min = min(self._min, smallest)
        self._max = max(self._max, largest)

    def _require(self, needed: int, what: str) -> None:
        if self.count < needed:
            raise NotEnoughSamples(f"{what} needs at least {needed} values; there are {self.count}")
