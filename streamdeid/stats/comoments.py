"""RunningComoments: how two streams of numbers go together, column by column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from streamdeid.errors import NotEnoughSamples
from streamdeid.stats.batch import Floats, as_values, as_vectors, centred
from streamdeid.stats.state import State, StateReader

_SUMS = ("mean_x", "mean_y", "scatter_x", "scatter_y", "coscatter", "squared", "absolute")


class RunningComoments:
    """Means, variances, covariance and errors of paired numbers (x, y), for `columns` at once.

    All results have shape (columns,), one figure for each column. The errors |x-y| and (x-y)² have
    sums of their own: an RMSE taken from variances and means would lose half of its digits where
    the two streams nearly agree.

    Source of the merge: Chan, Golub and LeVeque 1983, doi:10.1080/00031305.1983.10483115.

    >>> together = RunningComoments()
    >>> together.update([1.0, 2.0, 3.0], [2.0, 4.0, 6.0])
    >>> together.pearson().tolist(), together.mae().tolist()
    ([1.0], [2.0])
    """

    def __init__(self, columns: int = 1) -> None:
        if columns < 1:
            raise ValueError(f"columns is {columns}, and must be at least 1")
        self.columns = columns
        self.count = 0
        self._sums: dict[str, Floats] = {name: np.zeros(columns) for name in _SUMS}

    def update(self, x: ArrayLike, y: ArrayLike) -> None:
        """Add pairs: shape (n, columns) each, or (n,) where there is one column; n may be 0.

        Raises:
            ValueError: if shapes are others, or a value is NaN or infinite.
        """
        xs, ys = self._as_columns(x), self._as_columns(y)
        if len(xs) != len(ys):
            raise ValueError(f"x has {len(xs)} rows and y has {len(ys)}: they must come in pairs")
        if len(xs) == 0:
            return
        (mean_x, rest_x), (mean_y, rest_y) = centred(xs), centred(ys)
        difference = xs - ys
        batch = {
            "mean_x": mean_x,
            "mean_y": mean_y,
            "scatter_x": (rest_x * rest_x).sum(axis=0),
            "scatter_y": (rest_y * rest_y).sum(axis=0),
            "coscatter": (rest_x * rest_y).sum(axis=0),
            "squared": (difference * difference).sum(axis=0),
            "absolute": np.abs(difference).sum(axis=0),
        }
        self._absorb(len(xs), batch)

    def merge(self, other: Self) -> None:
        """Add all that `other` has seen; `other` stays as it was."""
        if other.columns != self.columns:
            raise ValueError(f"cannot merge {self.columns} columns and {other.columns}")
        self._absorb(other.count, other._sums)

    @property
    def mean_x(self) -> Floats:
        """Raises: NotEnoughSamples if there is no pair."""
        self._require(1, "a mean")
        return self._sums["mean_x"].copy()

    @property
    def mean_y(self) -> Floats:
        """Raises: NotEnoughSamples if there is no pair."""
        self._require(1, "a mean")
        return self._sums["mean_y"].copy()

    def variance_x(self, ddof: int = 1) -> Floats:
        """Raises: NotEnoughSamples if there are not more than `ddof` pairs."""
        return self._over(self._sums["scatter_x"], ddof, "a variance")

    def variance_y(self, ddof: int = 1) -> Floats:
        """Raises: NotEnoughSamples if there are not more than `ddof` pairs."""
        return self._over(self._sums["scatter_y"], ddof, "a variance")

    def covariance(self, ddof: int = 1) -> Floats:
        """Raises: NotEnoughSamples if there are not more than `ddof` pairs."""
        return self._over(self._sums["coscatter"], ddof, "a covariance")

    def pearson(self) -> Floats:
        """Correlation, -1..1; NaN in a column in which x or y never changes.

        Raises:
            NotEnoughSamples: if there are fewer than 2 pairs.
        """
        self._require(2, "a correlation")
        x, y = self._sums["scatter_x"], self._sums["scatter_y"]
        # Not over sqrt(x)·sqrt(y), which is a digit short of x where x is y: equal streams give 1.
        return np.clip(_ratio(self._sums["coscatter"], x) * np.sqrt(_ratio(x, y)), -1.0, 1.0)

    def ccc(self) -> Floats:
        """Concordance correlation, -1..1; NaN in a column in which x and y are one constant.

        2 cov / (var x + var y + (mean x - mean y)²), with ddof 0 as in its source.

        Source: Lin 1989, doi:10.2307/2532051.

        Raises:
            NotEnoughSamples: if there are fewer than 2 pairs.
        """
        self._require(2, "a concordance")
        sums = self._sums
        shift = sums["mean_x"] - sums["mean_y"]
        whole = sums["scatter_x"] + sums["scatter_y"] + self.count * shift * shift
        return np.clip(_ratio(2.0 * sums["coscatter"], whole), -1.0, 1.0)

    def rmse(self) -> Floats:
        """Root mean square of x - y. Raises: NotEnoughSamples if there is no pair."""
        return np.sqrt(self._over(self._sums["squared"], 0, "an error"))

    def mae(self) -> Floats:
        """Mean of |x - y|. Raises: NotEnoughSamples if there is no pair."""
        return self._over(self._sums["absolute"], 0, "an error")

    def to_state(self) -> State:
        sums = {name: values.copy() for name, values in self._sums.items()}
        return {"columns": self.columns, "count": self.count, **sums}

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Raises: ValueError if a value is missing or makes no sense."""
        read = StateReader(state, cls.__name__)
        running = cls(read.integer("columns", minimum=1))
        running.count = read.integer("count", minimum=0)
        running._sums = {name: read.floats(name, (running.columns,)) for name in _SUMS}
        return running

    def _as_columns(self, values: ArrayLike) -> Floats:
        if self.columns == 1 and np.ndim(values) < 2:
            return as_values(values)[:, np.newaxis]
        return as_vectors(values, self.columns)

    def _absorb(self, count: int, batch: dict[str, Floats]) -> None:
        if count == 0:
            return
        total = self.count + count
        share, weight = count / total, self.count / total * count
        sums = self._sums
        self._sums = {
            **merged_sums(sums, batch, share, weight),
            "squared": sums["squared"] + batch["squared"],
            "absolute": sums["absolute"] + batch["absolute"],
        }
        self.count = total

    def _over(self, values: Floats, ddof: int, what: str) -> Floats:
        self._require(ddof + 1, what)
        return values / (self.count - ddof)

    def _require(self, needed: int, what: str) -> None:
        if self.count < needed:
            raise NotEnoughSamples(f"{what} needs at least {needed} pairs; there are {self.count}")


def merged_sums(
    mine: Mapping[str, Floats],
    other: Mapping[str, Floats],
    share: float | Floats,
    weight: float | Floats,
) -> dict[str, Floats]:
    """Means and centred sums of two samples together: Chan, Golub and LeVeque's formula.

    Args:
        mine, other: "mean_x", "mean_y", "scatter_x", "scatter_y", "coscatter".
        share: of the pairs that are the other's.
        weight: the product of both counts over their sum.
    """
    delta_x, delta_y = other["mean_x"] - mine["mean_x"], other["mean_y"] - mine["mean_y"]
    return {
        "mean_x": mine["mean_x"] + delta_x * share,
        "mean_y": mine["mean_y"] + delta_y * share,
        "scatter_x": mine["scatter_x"] + other["scatter_x"] + delta_x * delta_x * weight,
        "scatter_y": mine["scatter_y"] + other["scatter_y"] + delta_y * delta_y * weight,
        "coscatter": mine["coscatter"] + other["coscatter"] + delta_x * delta_y * weight,
    }


def _ratio(above: Floats, below: Floats) -> Floats:
    ratio = np.full(above.shape, np.nan)
    np.divide(above, below, out=ratio, where=below > 0)
    return ratio
