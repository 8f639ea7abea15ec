"""IdentityDistance: how far the person has gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from streamdeid.metrics.batched import Batched
from streamdeid.metrics.comparison import FaceComparison
from streamdeid.metrics.matcher import Matcher
from streamdeid.metrics.metric import Cell
from streamdeid.metrics.references import ROLES, References
from streamdeid.observations import IdentityReading
from streamdeid.pair import Pair
from streamdeid.score import Score
from streamdeid.stats import State, StateReader
from streamdeid.stats.batch import Floats

__all__ = ["LOW_DETAIL", "IdentityDistance", "References"]

LOW_DETAIL = 0.25
"""Crops with less than this share of the original's detail are blurs rather than faces."""

CLOSE = 1.1
"""Two people within this multiple of the threshold are too alike for a verdict on who is seen."""

NO_FACE = {
    "original": "no face was found in the original video",
    "deidentified": "no face was found in the de-identified video",
    "both": "no face was found in either video",
}


class IdentityDistance(Batched[IdentityReading]):
    """Distances of all faces to the source, to the target and between the sides.

    `identity.…` compares faces that were found, each at its own landmarks. `identity_paired.…`
    reads the de-identified video at the original's landmarks, whether or not a face is found there:
    what somebody can do who knows the geometry of the original.

    The RMS distance is over all pairs of an original and a de-identified frame, and exact:
    E|a-b|² = |E a - E b|² + tr cov a + tr cov b, with population (ddof 0) covariances.

    Merging joins runs of verified frames across the cut if `other` came later in time; all other
    scores are the same in any order.

    Args:
        references: the source and the target person.
        distance: "euclidean" or "cosine", as the embedder wants it.
        threshold: faces at this distance or nearer count as one person's.
        impostor_distance: range of distances between strangers, set beside each distance.
    """

    name: ClassVar[str] = "identity"
    live: ClassVar[bool] = True

    def __init__(
        self,
        references: References,
        distance: str,
        threshold: float,
        impostor_distance: tuple[float, float] | None = None,
    ) -> None:
        super().__init__()
        self._references = references
        self._matcher = Matcher(distance, threshold, impostor_distance)
        self._own, self._paired = self._comparisons()
        self._flat_crops = 0
        self._crops = 0
        self._low_detail = 0
        self._dim = references.dim

    @property
    def settings(self) -> State:
        """What states must have in common to be merged."""
        return {
            "distance": self._matcher.distance,
            "threshold": self._matcher.threshold,
            "source": self._references.fingerprint("source"),
            "target": self._references.fingerprint("target"),
        }

    @property
    def column_names(self) -> tuple[str, ...]:
        return (*self._own.stems, *(f"paired.{stem}" for stem in self._paired.stems))

    def columns(self, item: IdentityReading) -> Mapping[str, Cell]:
        own, paired = self._faces([item])
        distances = dict(self._own.distances(own))
        for stem, values in self._paired.distances(paired).items():
            distances[f"paired.{stem}"] = values
        return {k: None if np.isnan(v[0]) else float(v[0]) for k, v in distances.items()}

    def update(self, item: IdentityReading) -> None:
        """Raises: ValueError if an embedding is no proper vector: the model is broken."""
        for embedding in (item.own.original, item.own.deidentified, item.paired):
            if embedding is not None:
                if self._dim is None:
                    self._dim = len(embedding)
                self._matcher.check(embedding, self._dim)
        self._wait(item)

    def merge(self, other: Self) -> None:
        if self.settings != other.settings:
            raise ValueError(f"cannot merge identity of {self.settings} and {other.settings}")
        self.settle()
        settled = other.settled()
        self._own.merge(settled._own)
        self._paired.merge(settled._paired)
        self._flat_crops += settled._flat_crops
        self._crops += settled._crops
        self._low_detail += settled._low_detail

    def result(self) -> list[Score]:
        settled = self.settled()
        return [
            *settled._own.scores(NO_FACE, details=settled._own_details()),
            *settled._paired.scores(settled._why_no_crop(), details=settled._paired_details()),
        ]

    def to_state(self) -> State:
        settled = self.settled()
        return {
            "settings": self.settings,
            "own": settled._own.to_state(),
            "paired": settled._paired.to_state(),
            "flat_crops": settled._flat_crops,
            "crops": settled._crops,
            "low_detail": settled._low_detail,
        }

    def load_state(self, state: State) -> None:
        read = StateReader(state, type(self).__name__)
        stored = StateReader(read.child("settings"), type(self).__name__)
        for key, value in self.settings.items():
            stored.expect(key, value)
        counts = [read.integer(key, minimum=0) for key in ("flat_crops", "crops", "low_detail")]
        own, paired = self._comparisons()
        own.load_state(read.child("own"))
        paired.load_state(read.child("paired"))
        self._own, self._paired = own, paired
        self._waiting = []
        self._flat_crops, self._crops, self._low_detail = counts

    def _take(self, readings: list[IdentityReading]) -> None:
        own, paired = self._faces(readings)
        index = np.array([reading.index for reading in readings], dtype=np.int64)
        time_s = np.array([float(reading.time) for reading in readings])
        self._own.update(index, time_s, own)
        self._paired.update(index, time_s, paired)
        for reading in readings:
            self._flat_crops += reading.paired_flat
            if reading.paired is not None:
                self._crops += 1
                detail = reading.paired_detail
                self._low_detail += detail is not None and detail < LOW_DETAIL

    def _comparisons(self) -> tuple[FaceComparison, FaceComparison]:
        own = FaceComparison("identity", self._matcher, self._references)
        one_side = ("deidentified",)  # the original at its own landmarks is in `own` already
        return own, FaceComparison("identity_paired", self._matcher, self._references, one_side)

    def _faces(self, readings: Sequence[IdentityReading]) -> tuple[Pair[Floats], Pair[Floats]]:
        original = self._matcher.vectors([reading.own.original for reading in readings])
        deidentified = self._matcher.vectors([reading.own.deidentified for reading in readings])
        paired = self._matcher.vectors([reading.paired for reading in readings])
        return Pair(original, deidentified), Pair(original, paired)

    def _why_no_crop(self) -> Mapping[str, str]:
        nowhere = f"{NO_FACE['original']}, so there is no place to look at"
        why = "the de-identified video was not read at the original's landmarks"
        if self._flat_crops:
            why = "all crops at the original's landmarks are of one colour"
        elif not self._paired.faces.original:
            why = nowhere
        return {"original": NO_FACE["original"], "deidentified": why, "both": nowhere}

    def _own_details(self) -> dict[str, Any]:
        """Whether the references can be told apart at all, by this embedder at this threshold."""
        source, target = (self._matcher.vectors([self._references.of(role)]) for role in ROLES)
        apart = float(self._matcher.distances(source, target)[0])
        if np.isnan(apart):
            return {}
        details: dict[str, Any] = {"source_to_target": apart}
        if apart <= CLOSE * self._matcher.threshold:
            details["caution"] = (
                f"the source and the target are themselves {apart:.2f} apart, near the threshold "
                f"of {self._matcher.threshold:g}: the embedder hardly tells these two people apart"
            )
        return details

    def _paired_details(self) -> dict[str, Any]:
        details: dict[str, Any] = {"flat_crops": self._flat_crops, "low_detail_rate": None}
        if self._crops:
            rate = details["low_detail_rate"] = self._low_detail / self._crops
            if rate > 0.5:
                details["caution"] = (
                    f"{rate:.0%} of these crops keep little detail and lie off the face manifold, "
                    "where distances mean little and a blurred face may match a stranger's: "
                    f"compare with the impostor level{self._level_in_words()}"
                )
        return details

    def _level_in_words(self) -> str:
        level = self._matcher.impostor_distance
        return "" if level is None else f", {level[0]:g} to {level[1]:g}"
