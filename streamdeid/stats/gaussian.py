"""RunningGaussian: the Gaussian of a stream of vectors, of two of them and of two million."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from streamdeid.errors import NotEnoughSamples
from streamdeid.stats.batch import Floats, as_vectors, centred, narrowed
from streamdeid.stats.covariance import RunningCovariance
from streamdeid.stats.frechet import Gaussian, factor_of
from streamdeid.stats.state import State, StateReader


class RunningGaussian:
    """Mean and covariance of a stream of vectors, exact for any count, in 8·dim² bytes.

    Up to `dim` vectors are kept as they are, in one block of memory that is there from the first:
    their covariance is singular, and their centred rows are its factor. From one more on, their
    covariance is the smaller thing, and they are added to it. Which of the two it is depends on the
    count only, so pieces merge to what one pass gives.

    >>> rows = RunningGaussian(dim=2)
    >>> rows.update([[1.0, 2.0], [3.0, 2.0]])
    >>> rows.count, rows.gaussian().mean.tolist()
    (2, [2.0, 2.0])
    """

    def __init__(self, dim: int) -> None:
        self._covariance = RunningCovariance(dim)  # holds nothing while there are rows
        self._rows: NDArray[np.floating[Any]] | None = None  # (dim, dim), of which `kept` are used
        self._kept = 0
        self.dim = dim

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Of the block, what is used: the rest is no memory until it is written to."""
        twin = type(self)(self.dim)
        twin._covariance, twin._kept = deepcopy(self._covariance, memo), self._kept
        if self._rows is not None:
            twin._rows = np.empty_like(self._rows)
            twin._rows[: self._kept] = self._rows[: self._kept]
        return twin

    @property
    def count(self) -> int:
        """Vectors seen."""
        return self._kept + self._covariance.count

    def update(self, vectors: ArrayLike) -> None:
        """Add `vectors`, shape (n, dim) or (dim,); n may be 0.

        Beyond `dim` vectors, one by one costs ten times what 32 at once cost.

        Raises:
            ValueError: if the shape is another one, or a value is NaN or infinite.
        """
        x = as_vectors(vectors, self.dim)
        if self.count + len(x) > self.dim:
            self._fold()
            self._covariance.update(x)
        elif len(x) > 0:
            self._keep(x)

    def merge(self, other: Self) -> None:
        """Add all that `other` has seen; `other` stays as it was."""
        if other.dim != self.dim:
            raise ValueError(f"cannot merge Gaussians of dim {self.dim} and {other.dim}")
        self.update(other._kept_rows())
        if other._covariance.count:
            self._fold()
            self._covariance.merge(other._covariance)

    def gaussian(self, ddof: int = 1) -> Gaussian:
        """The mean and a factor of the covariance, whose sums of products are over count - ddof.

        Raises:
            NotEnoughSamples: if there are not more than `ddof` vectors, or none.
        """
        needed = max(ddof, 0) + 1
        if self.count < needed:
            raise NotEnoughSamples(
                f"a covariance with ddof {ddof} needs at least {needed} vectors; "
                f"there are {self.count}"
            )
        if self._covariance.count:
            return Gaussian(self._covariance.mean, factor_of(self._covariance.covariance(ddof)))
        mean, rest = centred(self._sorted_rows())
        return Gaussian(mean, rest / np.sqrt(self.count - ddof))

    def to_state(self) -> State:
        return {
            "dim": self.dim,
            "count": self.count,
            "rows": self._sorted_rows(),
            "covariance": self._covariance.to_state() if self._covariance.count else None,
        }

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Raises: ValueError if a value is missing or makes no sense."""
        read = StateReader(state, cls.__name__)
        running = cls(read.integer("dim", minimum=1))
        rows = read.floats("rows", (None, running.dim))
        covariance = read.child_or_none("covariance")
        if covariance is not None:
            running._covariance = RunningCovariance.from_state(covariance)
        count = read.integer("count", minimum=0)
        seen = (len(rows), running._covariance.count)
        few = (count, 0) if count <= running.dim else (0, count)
        if seen != few or running._covariance.dim != running.dim:
            raise ValueError(
                f"state of {cls.__name__}: count is {count}, with {seen[0]} rows and a covariance "
                f"of {seen[1]}"
            )
        running.update(rows)
        return running

    def _keep(self, x: Floats) -> None:
        if self._rows is None:
            self._rows = np.empty((self.dim, self.dim), np.float32)
        if self._rows.dtype == np.float32 and narrowed(x).dtype != np.float32:
            kept, self._rows = self._kept_rows(), np.empty((self.dim, self.dim))
            self._rows[: len(kept)] = kept
        self._rows[self._kept : self._kept + len(x)] = x
        self._kept += len(x)

    def _kept_rows(self) -> Floats:
        if self._rows is None:
            return np.zeros((0, self.dim))
        return self._rows[: self._kept].astype(np.float64)

    def _fold(self) -> None:
        """Add the kept rows to the covariance, which takes their place."""
        self._covariance.update(self._kept_rows())
        self._rows, self._kept = None, 0

    def _sorted_rows(self) -> Floats:
        """Shape (n, dim), in an order that does not tell in which they came."""
        rows = self._kept_rows()
        return rows[np.lexsort(rows.T[::-1])] if len(rows) > 1 else rows
