"""Distances: all distances of one kind, as the two scores that are made of them."""

from __future__ import annotations

from typing import Any, Self

from streamdeid.metrics.matcher import Matcher
from streamdeid.score import Score
from streamdeid.stats import RunningHistogram, RunningMoments, State, StateReader
from streamdeid.stats.batch import Floats

# Both distances of unit vectors end at 2. dlib's vectors are about 1.4 long, and two faces of
# theirs are seldom more than 1.2 apart. Quantiles are right to one bin, 0.001.
_LOW, _HIGH, _BINS = 0.0, 2.0, 2000

QUANTILES = {"q05": 0.05, "q50": 0.5, "q95": 0.95}


class Distances:
    """Mean, spread, quantiles of distances, and how many are at the threshold or below."""

    def __init__(self, matcher: Matcher) -> None:
        self._matcher = matcher
        self._moments = RunningMoments()
        self._histogram = RunningHistogram(_LOW, _HIGH, _BINS)
        self._verified = 0

    @property
    def count(self) -> int:
        return self._moments.count

    def update(self, distances: Floats) -> None:
        """Add distances, shape (n,), none missing."""
        self._moments.update(distances)
        self._histogram.update(distances)
        self._verified += int((distances <= self._matcher.threshold).sum())

    def merge(self, other: Self) -> None:
        self._moments.merge(other._moments)
        self._histogram.merge(other._histogram)
        self._verified += other._verified

    def distance_score(self, name: str, missing: str) -> Score:
        """Mean, standard deviation, extremes and quantiles; `missing` says why there are none."""
        unit, count = self._matcher.distance, self.count
        if count == 0:
            return Score(name, None, unit, 0, reason=missing, details=self._impostor_level())
        moments = self._moments
        details = {"min": moments.min, "max": moments.max, **self._impostor_level()}
        details |= {key: self._histogram.quantile(q) for key, q in QUANTILES.items()}
        if count == 1:
            reason = "too few frames for a standard deviation: 1, and it needs 2"
            return Score(name, moments.mean, unit, 1, reason=reason, details=details)
        return Score(name, moments.mean, unit, count, std=moments.std(), details=details)

    def verified_score(self, name: str, missing: str) -> Score:
        """The share of frames in which the faces count as one person's."""
        details = {"threshold": self._matcher.threshold, "verified": self._verified}
        if self.count == 0:
            return Score(name, None, "rate", 0, reason=missing, details=details)
        return Score(name, self._verified / self.count, "rate", self.count, details=details)

    def to_state(self) -> State:
        return {
            "moments": self._moments.to_state(),
            "histogram": self._histogram.to_state(),
            "verified": self._verified,
        }

    @classmethod
    def from_state(cls, state: State, matcher: Matcher) -> Self:
        """Raises: ValueError if a value is missing or makes no sense."""
        read = StateReader(state, cls.__name__)
        distances = cls(matcher)
        distances._moments = RunningMoments.from_state(read.child("moments"))
        distances._histogram.merge(RunningHistogram.from_state(read.child("histogram")))
        distances._verified = read.integer("verified", minimum=0)
        if distances._histogram.count != distances.count or distances._verified > distances.count:
            raise ValueError(f"state of {cls.__name__}: the counts of its parts contradict another")
        return distances

    def _impostor_level(self) -> dict[str, Any]:
        level = self._matcher.impostor_distance
        return {} if level is None else {"impostor_level": list(level)}
