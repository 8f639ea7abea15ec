"""KernelDiscrepancy: realism from a sample of features, without bias and with an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Self

import numpy as np

from streamdeid.metrics.feature_space import FeatureSpace
from streamdeid.metrics.metric import Cell
from streamdeid.observations import MotionFeatures
from streamdeid.pair import Pair
from streamdeid.score import Score
from streamdeid.stats import Reservoir, State, StateReader, polynomial_mmd

_KERNEL: Final = "(x·y/dim + 1)³"


class KernelDiscrepancy:
    """Squared maximum mean discrepancy with KID's polynomial kernel, of `size` rows drawn.

    Unlike a Fréchet distance it has no bias, so that few rows are enough and figures of different n
    can be compared; it falls below 0 by chance where the two hardly differ. The value leaves out
    the kernel of the two rows of one moment, which are no independent draws; `kid` takes it in, as
    published figures do (see `streamdeid.stats.Discrepancy`).

    Rows are drawn without replacement by `seed` and by the frame they begin at.

    Args:
        figure: "mmd_i3d", ...
        space: what the features are.
        size: rows to draw; they take 16·size·dim bytes.
        seed: of the draw.

    Source: Bińkowski et al. 2018, arXiv:1801.01401 (KID).
    """

    name: ClassVar[str] = "realism"
    live: ClassVar[bool] = False
    column_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, figure: str, space: FeatureSpace, size: int, seed: int) -> None:
        self._figure = figure
        self._space = space
        self._drawn = Reservoir(size, 2 * space.dim, seed)
        self._score: tuple[int, Score] | None = None

    def columns(self, item: Pair[MotionFeatures]) -> Mapping[str, Cell]:  # noqa: ARG002
        return {}

    def update(self, item: Pair[MotionFeatures]) -> None:
        """Raises: ValueError if the features are no proper vectors: the model is broken."""
        rows = item.map(self._space.vector)
        self._drawn.update(item.original.first, np.concatenate([rows.original, rows.deidentified]))

    def merge(self, other: Self) -> None:
        if self._settings() != other._settings():
            raise ValueError(f"cannot merge realism of {self._settings()} and {other._settings()}")
        self._drawn.merge(other._drawn)
        self._score = None

    def result(self) -> list[Score]:
        # A live display asks often, and a sample of 1000 rows takes a quarter of a second.
        if self._score is None or self._score[0] != self._drawn.count:
            self._score = self._drawn.count, self._result()
        return [self._score[1]]

    def to_state(self) -> State:
        return {"settings": self._settings(), "drawn": self._drawn.to_state()}

    def load_state(self, state: State) -> None:
        read = StateReader(state, type(self).__name__)
        stored = StateReader(read.child("settings"), type(self).__name__)
        for key, value in self._settings().items():
            stored.expect(key, value)
        drawn = Reservoir.from_state(read.child("drawn"))
        if (drawn.size, drawn.dim, drawn.seed) != self._of_draw():
            raise ValueError(f"state of {type(self).__name__}: its sample is of another draw")
        if not np.isfinite(drawn.rows).all():
            raise ValueError(f"state of {type(self).__name__}: its sample is not finite")
        self._drawn, self._score = drawn, None

    def _of_draw(self) -> tuple[int, int, int]:
        return self._drawn.size, self._drawn.dim, self._drawn.seed

    def _settings(self) -> dict[str, Any]:
        size, _, seed = self._of_draw()
        return {"figure": self._figure, "size": size, "seed": seed, **self._space.to_state()}

    def _result(self) -> Score:
        name, unit, n = f"realism.{self._figure}", "squared discrepancy", self._drawn.count
        drawn = len(self._drawn.ids)
        details: dict[str, Any] = {
            "n": n,
            "drawn": drawn,
            "seed": self._drawn.seed,
            "kernel": _KERNEL,
            "standard_error": None,
            "kid": None,
            **self._space.to_record(),
        }
        if drawn < 2:
            reason = self._space.why_too_few("a kernel discrepancy", drawn)
            return Score(name, None, unit, 0, reason=reason, details=details)
        original, deidentified = np.hsplit(self._drawn.rows, 2)
        found = polynomial_mmd(original, deidentified)
        details |= {"standard_error": found.standard_error, "kid": found.kid}
        return Score(name, found.between_moments, unit, drawn, details=details)
