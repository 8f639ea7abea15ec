"""Sampled: identity from N frame pairs, drawn at random in one pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from fractions import Fraction
from typing import ClassVar, Self

import numpy as np

from streamdeid.metrics.identity import IdentityDistance
from streamdeid.metrics.metric import Cell
from streamdeid.observations import Embedding, IdentityReading
from streamdeid.pair import Pair
from streamdeid.score import Score
from streamdeid.stats import Reservoir, State, StateReader
from streamdeid.stats.batch import Floats

_PLAIN = 3  # values of a row before the vectors: time, flat crop, detail


class Sampled:
    """What `metric` says of `size` frame pairs, drawn among those with a face on at least one side.

    The draw depends on `seed` and the index of the pairs only, so the same pairs are drawn however
    the work was split. It is made while frames come: memory holds `size` rows of three vectors.

    Args:
        metric: a fresh one; it is copied and fed when a result is asked for.
        size: frame pairs to draw.
        seed: of the draw.
    """

    name: ClassVar[str] = "identity"
    live: ClassVar[bool] = True

    def __init__(self, metric: IdentityDistance, size: int, seed: int) -> None:
        if size < 1:
            raise ValueError(f"{size} frames cannot be drawn: it must be 1 or more")
        self._metric = metric
        self._size = size
        self._seed = seed
        self._readings = 0
        self._drawn: Reservoir | None = None  # until the length of embeddings is known
        self._scores: tuple[tuple[int, bool], list[Score]] | None = None

    def wants(self, index: int) -> bool:
        """Whether the pair of this index would be drawn now, if it has a face.

        One that is not wanted now never will be: it need not be embedded, and its reading may as
        well come without embeddings. May be asked from any thread.
        """
        return self._drawn is None or self._drawn.wants(index)

    @property
    def column_names(self) -> tuple[str, ...]:
        return self._metric.column_names

    def columns(self, item: IdentityReading) -> Mapping[str, Cell]:
        return self._metric.columns(item)

    def update(self, item: IdentityReading) -> None:
        self._readings += 1
        embeddings = (item.own.original, item.own.deidentified, item.paired)
        dim = next((len(e) for e in embeddings if e is not None), None)
        if dim is None:
            return
        if self._drawn is None:
            self._drawn = Reservoir(self._size, _PLAIN + 3 * dim, self._seed)
        if self._drawn.wants(item.index):
            self._drawn.update(item.index, _to_row(item, embeddings, dim))

    def merge(self, other: Self) -> None:
        if self._settings() != other._settings():
            raise ValueError(f"cannot merge draws of {self._settings()} and {other._settings()}")
        self._readings += other._readings
        if other._drawn is None:
            return
        if self._drawn is None:
            self._drawn = Reservoir(self._size, other._drawn.dim, self._seed)
        self._drawn.merge(other._drawn)

    def result(self) -> list[Score]:
        # A live display asks often, and frames are drawn ever more rarely.
        drawn = (self._drawn.count if self._drawn else 0, self._readings > 0)
        if self._scores is None or self._scores[0] != drawn:
            self._scores = drawn, self._result()
        return list(self._scores[1])

    def to_state(self) -> State:
        return {
            **self._settings(),
            "readings": self._readings,
            "drawn": None if self._drawn is None else self._drawn.to_state(),
        }

    def load_state(self, state: State) -> None:
        read = StateReader(state, type(self).__name__)
        stored = StateReader(read.child("settings"), type(self).__name__)
        for key, value in self._metric.settings.items():
            stored.expect(key, value)
        read.expect("size", self._size)
        read.expect("seed", self._seed)
        readings, drawn = read.integer("readings", minimum=0), read.child_or_none("drawn")
        self._drawn = None if drawn is None else Reservoir.from_state(drawn)
        self._readings = readings
        self._scores = None

    def _settings(self) -> State:
        return {"settings": self._metric.settings, "size": self._size, "seed": self._seed}

    def _result(self) -> list[Score]:
        metric = deepcopy(self._metric)
        drawn = [] if self._drawn is None else _to_readings(self._drawn)
        for reading in drawn:
            metric.update(reading)
        if self._readings and not drawn:
            # One pair without faces stands for all of them, so that reasons are the right ones.
            metric.update(IdentityReading(0, Fraction(0), Pair(None, None)))
        return [self._among_drawn(score, len(drawn)) for score in metric.result()]

    def _among_drawn(self, score: Score, drawn: int) -> Score:
        details = {**score.details, "drawn": drawn, "seed": self._seed}
        if "longest_run" in score.name:
            reason = "a run of consecutive frames needs all frames (--frames draws some of them)"
            run = dict.fromkeys(("start_s", "end_s", "seconds"))
            details = {**details, **run}
            return replace(score, value=None, count=0, reason=reason, details=details)
        if score.value is None and drawn and score.reason and "image was given" not in score.reason:
            return replace(score, reason=f"{score.reason}, among the {drawn} frames drawn")
        return replace(score, details=details)


def _to_row(item: IdentityReading, embeddings: Sequence[Embedding | None], dim: int) -> Floats:
    row = np.full(_PLAIN + 3 * dim, np.nan)
    detail = np.nan if item.paired_detail is None else item.paired_detail
    row[:_PLAIN] = float(item.time), item.paired_flat, detail
    for vector, embedding in zip(row[_PLAIN:].reshape(3, dim), embeddings, strict=True):
        if embedding is not None:
            vector[:] = embedding
    return row


def _to_readings(drawn: Reservoir) -> list[IdentityReading]:
    return [_to_reading(int(index), row) for index, row in zip(drawn.ids, drawn.rows, strict=True)]


def _to_reading(index: int, row: Floats) -> IdentityReading:
    time_s, flat, detail = row[:_PLAIN].tolist()
    vectors = row[_PLAIN:].astype(np.float32).reshape(3, -1)
    original, deidentified, paired = (None if np.isnan(v).any() else v for v in vectors)
    return IdentityReading(
        index,
        Fraction(time_s),
        Pair(original, deidentified),
        paired,
        paired_flat=bool(flat),
        paired_detail=None if np.isnan(detail) else detail,
    )
