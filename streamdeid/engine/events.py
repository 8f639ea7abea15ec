"""What a run tells while it goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from streamdeid.score import Score


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come.

    Attributes:
        pairs: frame pairs analysed so far.
        time_s: seconds of the original video that they cover.
        duration_s: seconds that there are; None if nobody knows.
        wall_s: seconds since the run began.
        scores: the scores as they stand now; empty until the first are there.
        message: a sentence worth a line of its own ("the two videos are 0.480 s apart"), or "".
    """

    pairs: int
    time_s: float
    duration_s: float | None
    wall_s: float
    scores: tuple[Score, ...] = ()
    message: str = ""

    @property
    def pairs_per_s(self) -> float:
        """Frame pairs a second so far; 0 before the first."""
        return self.pairs / self.wall_s if self.wall_s > 0 else 0.0

    @property
    def left_s(self) -> float | None:
        """Seconds of wall time left, at the pace so far; None if nobody knows."""
        if self.duration_s is None or self.time_s <= 0:
            return None
        return max(self.duration_s - self.time_s, 0.0) * self.wall_s / self.time_s


OnProgress: TypeAlias = Callable[[Progress], None]
