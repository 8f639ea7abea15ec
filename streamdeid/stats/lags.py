"""RunningLags: how two series of numbers go together when one of them comes later."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from streamdeid.errors import NotEnoughSamples
from streamdeid.stats.batch import Floats, as_vectors
from streamdeid.stats.comoments import merged_sums
from streamdeid.stats.state import State, StateReader

_SUMS = ("mean_x", "mean_y", "scatter_x", "scatter_y", "coscatter")


class RunningLags:
    """The correlation of x at step t with y at step t + lag, for each lag from -reach to reach.

    A ring of the last `reach` steps meets each new one, so every pair of steps within reach is in
    the sums of its lag once, and no more is kept. The first and the last `reach` steps are part of
    the state, so that two pieces merge to what one pass gives.

    Steps are numbered, and may be left out: nothing is known of them. A step that is numbered as if
    it came earlier begins another recording, and forms no pair with what was before.

    Args:
        columns: series of each side.
        reach: the largest lag, in steps.

    Attributes:
        count: steps seen.

    >>> lags = RunningLags(columns=1, reach=2)
    >>> lags.update([0, 1, 2, 3], [[0.0], [1.0], [0.0], [2.0]], [[7.0], [0.0], [1.0], [0.0]])
    >>> lags.lags.tolist(), lags.pearson()[3].tolist()  # y is x, one step later
    ([-2, -1, 0, 1, 2], [1.0])
    """

    def __init__(self, columns: int, reach: int) -> None:
        if columns < 1 or reach < 1:
            raise ValueError(f"columns is {columns} and reach {reach}: both must be at least 1")
        self.columns = columns
        self.reach = reach
        self.count = 0
        self._pairs = np.zeros(2 * reach + 1, np.int64)
        self._sums = {name: np.zeros((2 * reach + 1, columns)) for name in _SUMS}
        # Of the latest recording, the steps from `start` on and those up to `end`, which was not
        # seen yet: (2, reach, columns), NaN where nothing is known.
        self._start: int | None = None
        self._end = 0
        self._head = self._unknown(reach)
        self._tail = self._unknown(reach)

    def update(self, index: ArrayLike, x: ArrayLike, y: ArrayLike) -> None:
        """Add n steps.

        Args:
            index: the number of each step, shape (n,).
            x, y: shape (n, columns).

        Raises:
            ValueError: shapes are others, or a value is NaN or infinite.
        """
        steps = np.asarray(index, np.int64).reshape(-1)
        rows = np.array([as_vectors(side, self.columns) for side in (x, y)])
        if rows.shape[1] != len(steps):
            raise ValueError(f"{len(steps)} steps have {rows.shape[1]} rows")
        self.count += len(steps)
        apart = np.diff(steps)
        breaks = np.flatnonzero((apart <= 0) | (apart > self.reach)) + 1
        for part in np.split(np.arange(len(steps)), breaks):
            if len(part):
                first, last = int(steps[part[0]]), int(steps[part[-1]])
                dense = self._unknown(last + 1 - first)
                dense[:, steps[part] - first] = rows[:, part]
                self._extend(first, dense)

    def merge(self, other: Self) -> None:
        """Add all that `other` has seen, which came later; `other` stays as it was."""
        if (other.columns, other.reach) != (self.columns, self.reach):
            raise ValueError(
                f"cannot merge lags of {self.columns} columns up to {self.reach} and of "
                f"{other.columns} up to {other.reach}"
            )
        if other._start is None:
            return
        length = other._end - other._start
        self._extend(other._start, other._head[:, :length], within=False)
        self._absorb(other._pairs, other._sums)
        self.count += other.count
        if length > self.reach:
            self._tail, self._end = other._tail.copy(), other._end

    @property
    def lags(self) -> NDArray[np.int64]:
        """The lags in steps, shape (2 reach + 1,): -reach ... reach."""
        return np.arange(-self.reach, self.reach + 1)

    @property
    def pairs(self) -> NDArray[np.int64]:
        """Pairs of steps at each lag, shape (2 reach + 1,)."""
        return self._pairs.copy()

    def pearson(self) -> Floats:
        """Correlation at each lag, shape (2 reach + 1, columns), -1..1.

        NaN where there are fewer than 2 pairs, or one of the two never changes.

        Raises:
            NotEnoughSamples: there are fewer than 2 steps.
        """
        if self.count < 2:
            raise NotEnoughSamples(f"a lag needs at least 2 steps; there are {self.count}")
        x, y = self._sums["scatter_x"], self._sums["scatter_y"]
        moves = (x > 0) & (y > 0)
        slope, ratio = np.full(x.shape, np.nan), np.zeros(x.shape)
        np.divide(self._sums["coscatter"], x, out=slope, where=moves)
        np.divide(x, y, out=ratio, where=moves)
        correlation: Floats = np.clip(slope * np.sqrt(ratio), -1.0, 1.0)
        return correlation

    def to_state(self) -> State:
        return {
            "columns": self.columns,
            "reach": self.reach,
            "count": self.count,
            "start": self._start,
            "end": self._end,
            "pairs": self._pairs.copy(),
            **{name: values.copy() for name, values in self._sums.items()},
            "head": self._head.copy(),
            "tail": self._tail.copy(),
        }

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Raises: ValueError if a value is missing or makes no sense."""
        read = StateReader(state, cls.__name__)
        running = cls(read.integer("columns", minimum=1), read.integer("reach", minimum=1))
        running.count = read.integer("count", minimum=0)
        start = read.number_or_none("start")
        running._start = None if start is None else read.integer("start")
        running._end = read.integer("end", minimum=running._start)
        lags, ring = 2 * running.reach + 1, (2, running.reach, running.columns)
        running._pairs = read.integers("pairs", (lags,))
        running._sums = {name: read.floats(name, (lags, running.columns)) for name in _SUMS}
        running._head = read.floats("head", ring, missing_allowed=True)
        running._tail = read.floats("tail", ring, missing_allowed=True)
        return running

    def _unknown(self, steps: int) -> Floats:
        return np.full((2, steps, self.columns), np.nan)

    def _extend(self, first: int, rows: Floats, *, within: bool = True) -> None:
        """Add the steps from `first` on: (2, n, columns), NaN at those that are left out.

        Args:
            within: add the pairs that they form with each other, too.
        """
        gap = first - self._end
        if self._start is None or gap < 0:
            self._start, self._head, gap = first, self._unknown(self.reach), self.reach
        gap = min(gap, self.reach)
        before = np.concatenate([self._tail[:, gap:], self._unknown(gap)], axis=1)
        self._absorb(*_meetings(before, rows, within=within))
        there = self._head[:, first - self._start :]
        there[:, : len(rows[0])] = rows[:, : len(there[0])]
        self._tail = np.concatenate([before, rows], axis=1)[:, -self.reach :]
        self._end = first + len(rows[0])

    def _absorb(self, pairs: NDArray[np.int64], sums: dict[str, Floats]) -> None:
        total = self._pairs + pairs
        share = (pairs / np.maximum(total, 1))[:, np.newaxis]
        weight = self._pairs[:, np.newaxis] * share
        self._sums = merged_sums(self._sums, sums, share, weight)
        self._pairs = total


def _known(rows: Floats) -> NDArray[np.bool_]:
    """Where something is known of rows (..., columns)."""
    known: NDArray[np.bool_] = ~np.isnan(rows[..., 0])
    return known


def _meetings(
    before: Floats, rows: Floats, *, within: bool
) -> tuple[NDArray[np.int64], dict[str, Floats]]:
    """How many pairs `rows` (2, n, columns) form at each lag, and their sums.

    Args:
        before: the `reach` steps before them, (2, reach, columns).
        within: count the pairs that they form with each other, too.
    """
    reach, steps = len(before[0]), len(rows[0])
    series = np.concatenate([before, rows], axis=1)
    # past[:, step, lag]: what was `lag` steps before a step.
    past = sliding_window_view(series, reach + 1, axis=1)[..., ::-1].transpose(0, 1, 3, 2)
    now = np.broadcast_to(rows[:, :, np.newaxis], past.shape)
    # At lags -reach ... -1 it is y that came sooner; at 0 ... reach it is x.
    x = np.concatenate([now[0, :, :0:-1], past[0]], axis=1)
    y = np.concatenate([past[1, :, :0:-1], now[1]], axis=1)
    known = _known(x) & _known(y)
    if not within:
        known &= np.abs(np.arange(-reach, reach + 1)) > np.arange(steps)[:, np.newaxis]
    pairs = np.count_nonzero(known, axis=0)
    sums: dict[str, Floats] = {}
    rest: dict[str, Floats] = {}
    for name, values in (("x", x), ("y", y)):
        # The differences to one row: a series that never changes has exactly no scatter.
        origin = values[known][:1].sum(axis=0)
        shifted = np.where(known[..., np.newaxis], values - origin, 0.0)
        shift = shifted.sum(axis=0) / np.maximum(pairs, 1)[:, np.newaxis]
        rest[name] = np.where(known[..., np.newaxis], shifted - shift, 0.0)
        sums[f"mean_{name}"] = np.where(pairs[:, np.newaxis] > 0, origin + shift, 0.0)
        sums[f"scatter_{name}"] = (rest[name] ** 2).sum(axis=0)
    sums["coscatter"] = (rest["x"] * rest["y"]).sum(axis=0)
    return pairs, sums
