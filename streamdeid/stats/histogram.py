"""RunningHistogram: quantiles of a stream of numbers, to the width of a bin."""

from __future__ import annotations

import math
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from streamdeid.errors import NotEnoughSamples
from streamdeid.stats.batch import as_values
from streamdeid.stats.state import State, StateReader


class RunningHistogram:
    """Counts in `bins` equal bins from `low` to `high`, and quantiles from them.

    A quantile is within one bin width, (high - low) / bins, of the one computed from all values by
    linear interpolation (numpy's default), as long as the values about it lie in low..high. Values
    outside are counted, not lost: quantiles that fall there interpolate up to the true extremes,
    which are exact.

    >>> histogram = RunningHistogram(low=0.0, high=1.0, bins=100)
    >>> histogram.update([0.1, 0.2, 0.3])
    >>> round(histogram.quantile(0.5), 2), histogram.quantile(1.0)
    (0.21, 0.3)
    """

    def __init__(self, low: float, high: float, bins: int) -> None:
        if not (math.isfinite(low) and math.isfinite(high) and low < high and bins >= 1):
            raise ValueError(f"no histogram from {low} to {high} in {bins} bins")
        self.low = float(low)
        self.high = float(high)
        self.bins = bins
        # One bin more at each end, for what lies below `low` and above `high`.
        self._counts: NDArray[np.int64] = np.zeros(bins + 2, dtype=np.int64)
        self._min = math.inf
        self._max = -math.inf

    @property
    def count(self) -> int:
        return int(self._counts.sum())

    @property
    def below(self) -> int:
        """Values smaller than `low`."""
        return int(self._counts[0])

    @property
    def above(self) -> int:
        """Values larger than `high`; `high` itself belongs to the last bin."""
        return int(self._counts[-1])

    @property
    def counts(self) -> NDArray[np.int64]:
        """Shape (bins,): what lies between `low` and `high`."""
        return self._counts[1:-1].copy()

    def update(self, values: ArrayLike) -> None:
        """Add one number or a sequence of shape (n,); n may be 0.

        Raises:
            ValueError: if a value is NaN or infinite.
        """
        x = as_values(values)
        if len(x) == 0:
            return
        place = np.floor((x - self.low) / (self.high - self.low) * self.bins)
        place = np.clip(place, -1, self.bins - 1)  # before the cast: 1e300 fits no integer
        place[x > self.high] = self.bins
        np.add.at(self._counts, place.astype(np.int64) + 1, 1)
        self._min = min(self._min, float(x.min()))
        self._max = max(self._max, float(x.max()))

    def merge(self, other: Self) -> None:
        """Add all that `other` has seen; `other` stays as it was."""
        here, there = (self.low, self.high, self.bins), (other.low, other.high, other.bins)
        if here != there:
            raise ValueError(f"cannot merge histograms (low, high, bins) {here} and {there}")
        self._counts = self._counts + other._counts
        self._min = min(self._min, other._min)
        self._max = max(self._max, other._max)

    def quantile(self, q: float) -> float:
        """The value below which a share `q` (0..1) of all values lies, within one bin width.

        Raises:
            NotEnoughSamples: if there is no value.
        """
        if not 0.0 <= q <= 1.0:
            raise ValueError(f"a quantile is asked for by a share from 0 to 1, not {q}")
        count = self.count
        if count == 0:
            raise NotEnoughSamples("a quantile needs at least 1 value; there are 0")
        rank = q * (count - 1)
        before = math.floor(rank)
        lower = self._ranked(before)
        upper = self._ranked(min(before + 1, count - 1))
        return lower + (upper - lower) * (rank - before)

    def to_state(self) -> State:
        seen = bool(self.count)
        return {
            "low": self.low,
            "high": self.high,
            "bins": self.bins,
            "counts": self._counts.copy(),
            "min": self._min if seen else None,
            "max": self._max if seen else None,
        }

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Raises: ValueError if a value is missing or makes no sense."""
        read = StateReader(state, cls.__name__)
        bins = read.integer("bins", minimum=1)
        histogram = cls(read.number("low"), read.number("high"), bins)
        histogram._counts = read.integers("counts", (bins + 2,))
        if (histogram._counts < 0).any():
            raise ValueError(f"state of {cls.__name__}: counts holds a negative count")
        if histogram.count:
            histogram._min = read.number("min")
            histogram._max = read.number("max", minimum=histogram._min)
        return histogram

    def _ranked(self, rank: int) -> float:
        """About the value with `rank` smaller ones (0 ≤ rank < count): surely in the same bin.

        Interpolating between two such values, rather than along the cumulative counts, keeps the
        error below one bin width where neighbouring values lie many empty bins apart.
        """
        if rank == 0:
            return self._min
        if rank == self.count - 1:
            return self._max
        reached = np.cumsum(self._counts)
        place = int(np.searchsorted(reached, rank, side="right"))
        inside = int(self._counts[place])
        share = (rank - (int(reached[place]) - inside) + 0.5) / inside
        left, right = self._edge(place), self._edge(place + 1)
        return min(max(left + (right - left) * share, self._min), self._max)

    def _edge(self, place: int) -> float:
        if place == 0:
            return self._min
        if place == self.bins + 2:
            return self._max
        return self.low + (self.high - self.low) * ((place - 1) / self.bins)
