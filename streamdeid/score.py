"""Score: a number with its unit, count and spread or, if there is none, the reason."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Score:
    """One named figure of a report.

    Attributes:
        name: dotted, a contract with whoever reads reports: "identity.distance_to_source.original".
        value: the figure; None where there is none, and then `reason` says why.
        unit: "euclidean", "rate", "s", ...
        count: how many observations are in it.
        std: their sample standard deviation (ddof 1), where the score is a mean.
        reason: why there is no value, or what limits it; None if nothing does.
        details: what else the score has: "min", "max", "q05", "q50", "q95", "threshold", ...
            JSON values only.

    Raises:
        ValueError: if value or std is not finite, or value is None without a reason.
    """

    name: str
    value: float | None
    unit: str
    count: int
    std: float | None = None
    reason: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number in (self.value, self.std):
            if number is not None and not math.isfinite(number):
                raise ValueError(f"score {self.name}: {number} is not a finite number")
        if self.value is None and not self.reason:
            raise ValueError(f"score {self.name} has neither a value nor a reason")

    def to_record(self) -> dict[str, Any]:
        """The score as the report holds it, without its name."""
        return {
            "value": self.value,
            "std": self.std,
            "count": self.count,
            "unit": self.unit,
            "reason": self.reason,
            **self.details,
        }
