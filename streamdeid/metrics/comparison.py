"""FaceComparison: what all faces of two videos say about who is seen, for one way of cropping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from streamdeid.metrics.distances import Distances
from streamdeid.metrics.matcher import Matcher
from streamdeid.metrics.references import ROLES, References
from streamdeid.pair import SIDES, Pair
from streamdeid.score import Score
from streamdeid.stats import LongestRun, RunningSpread, State, StateReader
from streamdeid.stats.batch import Floats

BETWEEN = "distance_between_sides"

NOTHING_SEEN = "no frame pair was analysed"


class FaceComparison:
    """Distances of faces to the references, frame by frame to each other, and all to all.

    Args:
        prefix: of the names of scores, "identity" or "identity_paired".
        matcher: how two faces are compared.
        references: the people to compare with.
        sides: whose distances to the references are told.
    """

    def __init__(
        self, prefix: str, matcher: Matcher, references: References, sides: Sequence[str] = SIDES
    ) -> None:
        self._prefix = prefix
        self._matcher = matcher
        self._sides = tuple(sides)
        # One vector each: NaN where there is none, which makes all distances to it NaN.
        self._references = {role: matcher.vectors([references.of(role)])[0] for role in ROLES}
        self._pairs = 0
        self._exposed = {"source": 0, BETWEEN: 0}
        self._distances = {stem: Distances(matcher) for stem in self.stems}
        self._runs = {side: LongestRun() for side in self._sides}
        self._spreads = {side: RunningSpread() for side in SIDES}

    @property
    def stems(self) -> tuple[str, ...]:
        """Names of the distances of a frame pair: "distance_to_source.original", ..."""
        to_references = (f"distance_to_{role}.{side}" for role in ROLES for side in self._sides)
        return (*to_references, BETWEEN)

    @property
    def faces(self) -> Pair[int]:
        """How many faces were seen on each side."""
        return Pair(self._spreads["original"].count, self._spreads["deidentified"].count)

    def distances(self, faces: Pair[Floats]) -> Mapping[str, Floats]:
        """Of n frame pairs, each (n,), NaN where a face or the reference is missing.

        Args:
            faces: shape (n, dim), of `Matcher.vectors`.
        """
        sides, distances = dict(faces.items()), {}
        for role, reference in self._references.items():
            for side in self._sides:
                distances[f"distance_to_{role}.{side}"] = self._matcher.distances(
                    sides[side], reference
                )
        distances[BETWEEN] = self._matcher.distances(faces.original, faces.deidentified)
        return distances

    def update(self, index: NDArray[np.int64], time_s: Floats, faces: Pair[Floats]) -> None:
        """Add n frame pairs, in order of time: index and time (n,), faces (n, dim)."""
        distances = self.distances(faces)
        for stem, values in distances.items():
            self._distances[stem].update(values[~np.isnan(values)])
        for side, run in self._runs.items():
            verified = distances[f"distance_to_source.{side}"] <= self._matcher.threshold
            run.update(index[verified], time_s[verified])
        seen = ~np.isnan(faces.original[:, 0])
        for what, stem in (("source", "distance_to_source.deidentified"), (BETWEEN, BETWEEN)):
            recognised = distances[stem] <= self._matcher.threshold
            self._exposed[what] += int(np.count_nonzero(recognised & seen))
        for side, vectors in faces.items():
            self._spreads[side].update(vectors[~np.isnan(vectors[:, 0])])
        self._pairs += len(index)

    def merge(self, other: Self) -> None:
        """Add what `other` has seen, later in time."""
        for stem, distances in other._distances.items():
            self._distances[stem].merge(distances)
        for side, run in other._runs.items():
            self._runs[side].merge(run)
        for side, spread in other._spreads.items():
            self._spreads[side].merge(spread)
        for what, count in other._exposed.items():
            self._exposed[what] += count
        self._pairs += other._pairs

    def scores(self, no_face: Mapping[str, str], details: Mapping[str, Any]) -> list[Score]:
        """All scores, in the order of the report.

        Args:
            no_face: what to say when no face was seen of the side, or of "both".
            details: what to add to the details of each score.
        """
        scores = [
            *(self._distance_scores(no_face)),
            *(self._run_score(side, no_face) for side in self._sides),
            self._exposed_score("source", "exposed_as_source.deidentified", no_face),
            *(self._between_scores(no_face)),
            self._exposed_score(BETWEEN, "exposed_between_sides", no_face),
        ]
        return [
            replace(s, name=f"{self._prefix}.{s.name}", details={**s.details, **details})
            for s in scores
        ]

    def to_state(self) -> State:
        return {
            "pairs": self._pairs,
            "exposed_as_source": self._exposed["source"],
            "exposed_between_sides": self._exposed[BETWEEN],
            "distances": {_key(k): v.to_state() for k, v in self._distances.items()},
            "runs": {side: run.to_state() for side, run in self._runs.items()},
            "spreads": {side: spread.to_state() for side, spread in self._spreads.items()},
        }

    def load_state(self, state: State) -> None:
        """Raises: ValueError if a value is missing or makes no sense; then nothing has changed."""
        read = StateReader(state, f"{type(self).__name__} {self._prefix}")
        pairs = read.integer("pairs", minimum=0)
        exposed = {
            "source": read.integer("exposed_as_source", minimum=0),
            BETWEEN: read.integer("exposed_between_sides", minimum=0),
        }
        distances = StateReader(read.child("distances"), "distances")
        runs = StateReader(read.child("runs"), "runs")
        spreads = StateReader(read.child("spreads"), "spreads")
        loaded = (
            {s: Distances.from_state(distances.child(_key(s)), self._matcher) for s in self.stems},
            {side: LongestRun.from_state(runs.child(side)) for side in self._sides},
            {side: RunningSpread.from_state(spreads.child(side)) for side in SIDES},
        )
        self._pairs, self._exposed = pairs, exposed
        self._distances, self._runs, self._spreads = loaded

    def _distance_scores(self, no_face: Mapping[str, str]) -> list[Score]:
        kinds = [(role, side) for role in ROLES for side in self._sides]
        missing = {kind: self._why_missing(*kind, no_face) for kind in kinds}
        of = {(role, side): self._distances[f"distance_to_{role}.{side}"] for role, side in kinds}
        return [
            *(of[k].distance_score("distance_to_{}.{}".format(*k), missing[k]) for k in kinds),
            *(of[k].verified_score("verified_as_{}.{}".format(*k), missing[k]) for k in kinds),
        ]

    def _exposed_score(self, what: str, name: str, no_face: Mapping[str, str]) -> Score:
        """The share of the *original's* faces that are recognised in the de-identified video.

        Unlike a verification rate it has a value where the de-identified video shows no face: then
        nobody is recognised.
        """
        count, exposed = self.faces.original, self._exposed[what]
        details = {"threshold": self._matcher.threshold, "exposed": exposed}
        if what == "source" and np.isnan(self._references["source"]).any():
            reason = self._why_missing("source", "deidentified", no_face)
            return Score(name, None, "rate", 0, reason=reason, details=details)
        if count == 0:
            reason = no_face["original"] if self._pairs else NOTHING_SEEN
            return Score(name, None, "rate", 0, reason=reason, details=details)
        return Score(name, exposed / count, "rate", count, details=details)

    def _run_score(self, side: str, no_face: Mapping[str, str]) -> Score:
        name, unit = f"longest_run_as_source.{side}", "frames"
        count, run = self._distances[f"distance_to_source.{side}"].count, self._runs[side].longest
        details = {
            "start_s": run.start_s if run else None,
            "end_s": run.end_s if run else None,
            "seconds": run.end_s - run.start_s if run else 0.0,
        }
        if count == 0:
            reason = self._why_missing("source", side, no_face)
            return Score(name, None, unit, 0, reason=reason, details=details)
        return Score(name, float(run.length if run else 0), unit, count, details=details)

    def _between_scores(self, no_face: Mapping[str, str]) -> list[Score]:
        missing = self._why_none_between(no_face)
        between = self._distances[BETWEEN]
        return [
            between.distance_score(BETWEEN, missing),
            between.verified_score("verified_between_sides", missing),
            self._rms_score(missing),
        ]

    def _rms_score(self, missing: str) -> Score:
        name, unit = "rms_distance_all_pairs", "euclidean"
        here, there = (self._spreads[side] for side in SIDES)
        details: dict[str, Any] = {f"frames_{k}": v.count for k, v in self._spreads.items()}
        if self._matcher.distance == "cosine":
            details["vectors"] = "of length 1: the square is twice the mean cosine distance"
        elif self._matcher.impostor_distance is not None:
            details["impostor_level"] = list(self._matcher.impostor_distance)
        pairs = here.count * there.count
        if pairs == 0:
            return Score(name, None, unit, 0, reason=missing, details=details)
        return Score(name, here.rms_distance(there), unit, pairs, details=details)

    def _why_missing(self, role: str, side: str, no_face: Mapping[str, str]) -> str:
        if np.isnan(self._references[role]).any():
            return f"no {role} reference image was given (--{role}-image)"
        if not self._pairs:
            return NOTHING_SEEN
        return no_face[side]

    def _why_none_between(self, no_face: Mapping[str, str]) -> str:
        if not self._pairs:
            return NOTHING_SEEN
        faceless = [side for side in SIDES if not self._spreads[side].count]
        if not faceless:
            return "no frame pair has a face on both sides"
        return no_face["both" if len(faceless) == 2 else faceless[0]]


def _key(stem: str) -> str:
    return stem.replace(".", "_")  # keys of states are plain words
