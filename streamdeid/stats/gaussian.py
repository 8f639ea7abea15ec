"""RunningGaussian: the Gaussian of a stream of vectors, of two of them and of two million."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from streamdeid.errors import NotEnoughSamples
from streamdeid.stats.batch import Floats, as_vectors, centred
from streamdeid.stats.covariance import RunningCovariance
from streamdeid.stats.frechet import Gaussian, factor_of
from streamdeid.stats.state import State, StateReader


class RunningGaussian:
    """Mean and covariance of a stream of vectors, exact for any count, in 8·dim² bytes.

    Up to `dim` vectors are kept as they are, in one block that is there from the first: their
    covariance is singular, and their centred rows are its factor. From one more on, their
    covariance is the smaller thing, and they are added to it. Which of the two it is depends on the
    count only, so pieces merge to what one pass gives.

    >>> rows = RunningGaussian(dim=2)
    >>> rows.update([[1.0, 2.0], [3.0, 2.0]])
    >>> rows.count, rows.gaussian().mean.tolist()
    (2, [2.0, 2.0])
    """

    def __init__(self, dim: int) -> None:
        if dim < 1:
            raise ValueError(f"dim is {dim}, and must be at least 1")
        self.dim = dim
        # Of which `kept` are used. Written to, so that all the memory is taken now, not row by row.
        self._rows: Floats = np.full((dim, dim), 0.0)
        self._kept = 0
        self._covariance: RunningCovariance | None = None  # takes the place of the rows

    @property
    def count(self) -> int:
        """Vectors seen."""
        return self._kept if self._covariance is None else self._covariance.count

    def update(self, vectors: ArrayLike) -> None:
        """Add `vectors`, shape (n, dim) or (dim,); n may be 0.

        Beyond `dim` vectors, one by one costs ten times what 32 at once cost.

        Raises:
            ValueError: if the shape is another one, or a value is NaN or infinite.
        """
        x = as_vectors(vectors, self.dim)
        if self.count + len(x) > self.dim:
            self._folded().update(x)
        elif len(x) > 0:
            self._keep(x)

    def merge(self, other: Self) -> None:
        """Add all that `other` has seen; `other` stays as it was."""
        if other.dim != self.dim:
            raise ValueError(f"cannot merge Gaussians of dim {self.dim} and {other.dim}")
        rows, covariance = other._kept_rows(), other._covariance
        self.update(rows)
        if covariance is not None:
            self._folded().merge(covariance)

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
        if self._covariance is not None:
            return Gaussian(self._covariance.mean, factor_of(self._covariance.covariance(ddof)))
        mean, rest = centred(self._sorted_rows())
        return Gaussian(mean, rest / np.sqrt(self.count - ddof))

    def to_state(self) -> State:
        return {
            "dim": self.dim,
            "count": self.count,
            "rows": self._sorted_rows(),
            "covariance": None if self._covariance is None else self._covariance.to_state(),
        }

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Raises: ValueError if a value is missing or makes no sense."""
        read = StateReader(state, cls.__name__)
        running = cls(read.integer("dim", minimum=1))
        rows = read.floats("rows", (None, running.dim))
        stored = read.child_or_none("covariance")
        covariance = None if stored is None else RunningCovariance.from_state(stored)
        count = read.integer("count", minimum=0)
        in_covariance = 0 if covariance is None else covariance.count
        few = (count, 0) if count <= running.dim else (0, count)
        if (len(rows), in_covariance) != few or (covariance and covariance.dim != running.dim):
            raise ValueError(
                f"state of {cls.__name__}: count is {count}, with {len(rows)} rows and a "
                f"covariance of {in_covariance}"
            )
        if covariance is not None and in_covariance:
            running._take_over(covariance)
        running.update(rows)
        return running

    def _keep(self, x: Floats) -> None:
        self._rows[self._kept : self._kept + len(x)] = x
        self._kept += len(x)

    def _kept_rows(self) -> Floats:
        return self._rows[: self._kept]

    def _folded(self) -> RunningCovariance:
        """The covariance; the kept rows are added to it, which takes their place."""
        if self._covariance is not None:
            return self._covariance
        covariance = RunningCovariance(self.dim)
        covariance.update(self._kept_rows())
        self._take_over(covariance)
        return covariance

    def _take_over(self, covariance: RunningCovariance) -> None:
        self._covariance = covariance
        self._rows, self._kept = np.zeros((0, self.dim)), 0

    def _sorted_rows(self) -> Floats:
        """Shape (n, dim), in an order that does not tell in which they came."""
        rows = self._kept_rows()
        return rows[np.lexsort(rows.T[::-1])] if len(rows) else rows
