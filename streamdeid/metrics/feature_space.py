"""FeatureSpace: what the features are between which a distance is measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from streamdeid.observations import MotionFeatures
from streamdeid.pair import Pair
from streamdeid.stats import State
from streamdeid.stats.batch import Floats


@dataclass(frozen=True, slots=True)
class FeatureSpace:
    """What the features are: no distance means anything without it, so each record says it.

    Attributes:
        which: the vector of `MotionFeatures` that is taken.
        dim: its length.
        layer: where in the network it comes from.
        input_range: what the network was fed: "-1..1".
        crop: how faces were cut out.
        length: frames that the first row needs.
        stride: frames that each further row needs.
    """

    which: Literal["features", "logits"]
    dim: int
    layer: str
    input_range: str
    crop: str
    length: int = 16
    stride: int = 8

    def frames_for(self, rows: int) -> int:
        """Frames with a face that so many rows need, if they follow one another."""
        return self.length + (rows - 1) * self.stride

    def vector(self, item: MotionFeatures) -> Floats:
        """Shape (dim,), float64.

        Raises:
            ValueError: if it has another shape, or is not finite: the model is broken.
        """
        vector = np.asarray(getattr(item, self.which), np.float64)
        if vector.shape != (self.dim,) or not np.isfinite(vector).all():
            raise ValueError(
                f"{self.which} of shape {vector.shape} are no {self.dim} finite numbers: "
                "the model is broken"
            )
        return vector

    def rows(self, items: Sequence[Pair[MotionFeatures]]) -> Pair[Floats]:
        """Of n pairs, shape (n, dim) each."""

        def stacked(side: Sequence[MotionFeatures]) -> Floats:
            return np.array([self.vector(item) for item in side]).reshape(-1, self.dim)

        return Pair(
            stacked([item.original for item in items]),
            stacked([item.deidentified for item in items]),
        )

    def why_too_few(self, what: str, rows: int, needed: int = 2) -> str:
        """Why `rows` rows do not give `what`, with the number of frames that it needs."""
        return (
            f"{what} needs at least {needed} rows of features, of {self.frames_for(needed)} frames "
            f"with a face; there {'is 1' if rows == 1 else f'are {rows}'}"
        )

    def to_record(self) -> dict[str, Any]:
        """What stands in each score's details."""
        return {key: getattr(self, key) for key in ("dim", "layer", "input_range", "crop")}

    def to_state(self) -> State:
        return asdict(self)
