"""Reservoir: a random sample of a stream, the same one however the stream was cut."""

from __future__ import annotations

import heapq
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from streamdeid.stats.batch import Floats
from streamdeid.stats.state import State, StateReader

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


class Reservoir:
    """`size` rows drawn from a stream without replacement, each item equally likely.

    An item's key is a 64-bit hash of `seed` and its id, and the items with the smallest keys stay
    (bottom-k sampling). So the sample depends on the ids alone: not on order, shards or merges.
    Ids must be unique over the whole stream, as the index of a frame is.

    Sources: Cohen and Kaplan 2007, doi:10.1145/1281100.1281133 (bottom-k);
    Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195 (the hash: SplitMix64).

    >>> reservoir = Reservoir(size=2, dim=1, seed=8)
    >>> reservoir.update([0, 1, 2, 3], [[0.0], [10.0], [20.0], [30.0]])
    >>> reservoir.count, reservoir.ids.tolist(), reservoir.rows.tolist()
    (4, [1, 3], [[10.0], [30.0]])
    """

    def __init__(self, size: int, dim: int, seed: int) -> None:
        if size < 1 or dim < 1:
            raise ValueError(f"no reservoir of {size} rows of length {dim}: both must be 1 or more")
        self.size = size
        self.dim = dim
        self.seed = seed
        self.count = 0
        self._rows: dict[int, NDArray[np.floating[Any]]] = {}
        self._heap: list[tuple[int, int]] = []  # (-key, id): the first is the next one to go

    def wants(self, item: int) -> bool:
        """Whether the item with this id would enter if it were offered now.

        What is not wanted now never will be: the entry only gets narrower. So work on items that
        are not wanted can be spared without changing the sample.
        """
        return len(self._heap) < self.size or -self._key(item) > self._heap[0][0]

    def update(self, ids: ArrayLike, rows: ArrayLike) -> None:
        """Offer items: ids of shape (n,) and rows (n, dim), or one id and one row; n may be 0.

        NaN stands for a missing value and is kept as it is.

        Raises:
            ValueError: if shapes are others, or an id is in the sample already.
        """
        items = np.asarray(ids).reshape(-1)
        x = np.asarray(rows, dtype=np.float64)
        if x.size == 0 or x.ndim == 1:
            x = x.reshape(-1, self.dim) if x.size % self.dim == 0 else x
        if x.shape != (len(items), self.dim):
            raise ValueError(
                f"expected rows of shape ({len(items)}, {self.dim}), one for each id, "
                f"got shape {x.shape}"
            )
        for item, row in zip(items.tolist(), x, strict=True):
            self._offer(int(item), row)
        self.count += len(items)

    def merge(self, other: Self) -> None:
        """Add all that `other` was offered; `other` stays as it was."""
        here, there = (self.size, self.dim, self.seed), (other.size, other.dim, other.seed)
        if here != there:
            raise ValueError(f"cannot merge reservoirs (size, dim, seed) {here} and {there}")
        for item, row in other._rows.items():
            self._offer(item, row.astype(np.float64))
        self.count += other.count

    @property
    def ids(self) -> NDArray[np.int64]:
        """Shape (n,), n ≤ size, ascending."""
        return np.array(sorted(self._rows), dtype=np.int64)

    @property
    def rows(self) -> Floats:
        """Shape (n, dim), in order of id."""
        rows = [self._rows[item] for item in sorted(self._rows)]
        return np.array(rows, dtype=np.float64).reshape(-1, self.dim)

    def to_state(self) -> State:
        return {
            "size": self.size,
            "dim": self.dim,
            "seed": self.seed,
            "count": self.count,
            "ids": self.ids,
            "rows": self.rows,
        }

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Raises: ValueError if a value is missing or makes no sense."""
        read = StateReader(state, cls.__name__)
        size, dim = read.integer("size", minimum=1), read.integer("dim", minimum=1)
        reservoir = cls(size, dim, read.integer("seed"))
        ids = read.integers("ids", (None,))
        count = read.integer("count", minimum=0)
        if len(ids) != min(count, size):
            raise ValueError(
                f"state of {cls.__name__}: ids has {len(ids)} items; {count} were offered and "
                f"there is room for {size}"
            )
        reservoir.update(ids, read.floats("rows", (len(ids), dim), missing_allowed=True))
        reservoir.count = count
        return reservoir

    def _offer(self, item: int, row: Floats) -> None:
        if item in self._rows:
            raise ValueError(f"item {item} is in the sample already: ids must be unique")
        if not self.wants(item):
            return
        self._rows[item] = _narrowed(row)
        # In before out: another thread may ask what is wanted, and must not see room in between.
        heapq.heappush(self._heap, (-self._key(item), item))
        if len(self._heap) > self.size:
            _, evicted = heapq.heappop(self._heap)
            del self._rows[evicted]

    def _key(self, item: int) -> int:
        """64 bits; different items of one seed always get different keys."""
        return _mixed(_mixed(self.seed) + (item + 1) * _GOLDEN)


def _narrowed(x: Floats) -> NDArray[np.floating[Any]]:
    """A copy of `x`, as float32 where nothing is lost by that.

    What a network gives is float32: it takes half the memory, and is the same numbers.
    """
    with np.errstate(over="ignore"):
        narrow = x.astype(np.float32)
    return narrow if np.array_equal(narrow, x, equal_nan=True) else x.copy()


def _mixed(number: int) -> int:
    """The finalizer of SplitMix64: a bijection of 64-bit numbers that scatters neighbours."""
    z = number & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)
