"""UnitAgreement: how the action units of two faces go together, of one kind of values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from streamdeid.errors import NotEnoughSamples
from streamdeid.metrics.batched import Batched
from streamdeid.observations import ACTION_UNITS, ExpressionReading
from streamdeid.pair import SIDES
from streamdeid.stats import RunningComoments, RunningLags, State, StateReader
from streamdeid.stats.batch import Floats

COLUMNS = len(ACTION_UNITS)

LAG_REACH_S = 0.5
"""The largest shift of the two faces against each other that is looked for, in seconds."""

_LAG_STEPS = 30  # LAG_REACH_S of 60 frame pairs a second

_PRESENCE = ("both", "original", "deidentified")


class UnitAgreement(Batched[ExpressionReading]):
    """Co-moments of the 17 intensities of both sides, who shows which unit, and who is late.

    Attributes:
        readings: frame pairs.
        with_units: of them, those in which that side has action units.
        both: of them, those in which both have.
        fault: the first fault of the source that was met; None: it had none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.readings = 0
        self.both = 0
        self.with_units = dict.fromkeys(SIDES, 0)
        self.fault: str | None = None
        self._comoments = RunningComoments(COLUMNS)
        self._lags = RunningLags(COLUMNS, _LAG_STEPS)
        self._told = 0  # pairs in which both sides say which units they show
        self._shown = {who: np.zeros(COLUMNS, np.int64) for who in _PRESENCE}
        # What a step of one frame pair takes: from those that follow one another.
        self._first: _Moment | None = None
        self._last: _Moment | None = None
        self._steps, self._step_s = 0, 0.0

    def update(self, reading: ExpressionReading) -> None:
        """Add a frame pair."""
        self._wait(reading)

    def _take(self, readings: list[ExpressionReading]) -> None:
        for reading in readings:
            self._count(reading)
            self._step_to(_Moment(reading.index, float(reading.time)))
        known = [r for r in readings if r.units.original and r.units.deidentified]
        index = [reading.index for reading in known]
        x, y = (_intensities(known, side) for side in SIDES)
        self._comoments.update(x, y)
        self._lags.update(index, x, y)

    def merge(self, other: Self) -> None:
        """Add all that `other` has seen, which came later; both have settled."""
        self.readings += other.readings
        self.both += other.both
        self.with_units = {side: n + other.with_units[side] for side, n in self.with_units.items()}
        self.fault = self.fault or other.fault
        self._told += other._told
        self._shown = {who: counts + other._shown[who] for who, counts in self._shown.items()}
        self._comoments.merge(other._comoments)
        self._lags.merge(other._lags)
        if other._first is not None:
            self._step_to(other._first)
            self._last = other._last
        self._steps += other._steps
        self._step_s += other._step_s

    @property
    def moves(self) -> dict[str, NDArray[np.bool_]]:
        """By side, which units ever changed, shape (17,); needs 2 pairs with units on both."""
        c = self._comoments
        return {"original": c.variance_x(0) > 0, "deidentified": c.variance_y(0) > 0}

    def measures(self) -> dict[str, Floats]:
        """By name, (17,): "pcc", "rmse", "ccc", "mae", "f1"; NaN where there is no figure."""
        c = self._comoments
        nothing = np.full(COLUMNS, np.nan)
        pcc, ccc = (c.pearson(), c.ccc()) if c.count > 1 else (nothing, nothing)
        rmse, mae = (c.rmse(), c.mae()) if c.count else (nothing, nothing)
        return {"pcc": pcc, "rmse": rmse, "ccc": ccc, "mae": mae, "f1": self._f1()}

    @property
    def tells_presence(self) -> bool:
        """Whether the source says which units are there at all."""
        return self._told > 0

    def lag_correlations(self, chosen: Sequence[int]) -> tuple[Floats, Floats]:
        """Lags within reach (s), and the mean correlation of the `chosen` columns at each.

        Raises:
            NotEnoughSamples: the time between frame pairs is unknown, or no unit moves.
        """
        if not self._steps:
            raise NotEnoughSamples("a lag needs at least 2 frame pairs")
        correlations = self._lags.pearson()[:, chosen]
        moving = ~np.isnan(correlations).all(axis=0)
        if not moving.any():
            raise NotEnoughSamples("no action unit moves on both sides")
        lags = self._lags.lags.astype(np.float64) * (self._step_s / self._steps)
        # A few pairs at the ends of a short video correlate as they like.
        enough = 2 * self._lags.pairs >= self._lags.count
        within = enough & (np.abs(lags) <= LAG_REACH_S + 1e-9)
        known = within & ~np.isnan(correlations[:, moving]).any(axis=1)
        return lags[known], correlations[np.ix_(known, moving)].mean(axis=1)

    def to_state(self) -> State:
        return {
            "readings": self.readings,
            "both": self.both,
            **{f"with_units_{side}": count for side, count in self.with_units.items()},
            "fault": self.fault,
            "told": self._told,
            **{f"shown_{who}": counts.copy() for who, counts in self._shown.items()},
            "comoments": self._comoments.to_state(),
            "lags": self._lags.to_state(),
            "steps": self._steps,
            "step_s": self._step_s,
            "first": None if self._first is None else self._first.to_state(),
            "last": None if self._last is None else self._last.to_state(),
        }

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Raises: ValueError if a value is missing or makes no sense."""
        read = StateReader(state, cls.__name__)
        agreement = cls()
        for name in ("readings", "both"):
            setattr(agreement, name, read.integer(name, minimum=0))
        agreement.with_units = {s: read.integer(f"with_units_{s}", minimum=0) for s in SIDES}
        agreement.fault = read.text_or_none("fault")
        agreement._told = read.integer("told", minimum=0)
        agreement._shown = {who: read.integers(f"shown_{who}", (COLUMNS,)) for who in _PRESENCE}
        agreement._comoments = RunningComoments.from_state(read.child("comoments"))
        agreement._lags = RunningLags.from_state(read.child("lags"))
        agreement._steps = read.integer("steps", minimum=0)
        agreement._step_s = read.number("step_s", minimum=0)
        ends = (read.child_or_none(end) for end in ("first", "last"))
        agreement._first, agreement._last = (_Moment.from_state(end) for end in ends)
        return agreement

    def _count(self, reading: ExpressionReading) -> None:
        self.readings += 1
        self.fault = self.fault or reading.fault
        units = dict(reading.units.items())
        for side, seen in units.items():
            self.with_units[side] += seen is not None
        original, deidentified = reading.units.original, reading.units.deidentified
        if original is None or deidentified is None:
            return
        self.both += 1
        a, b = original.present, deidentified.present
        if a is not None and b is not None:
            self._told += 1
            for who, shown in zip(_PRESENCE, (a & b, a & ~b, b & ~a), strict=True):
                self._shown[who] += shown

    def _step_to(self, moment: _Moment) -> None:
        if self._last is not None:
            steps, seconds = moment.index - self._last.index, moment.time_s - self._last.time_s
            # What is further apart was interrupted, or belongs to another recording.
            if steps > 0 and 0 < seconds <= LAG_REACH_S:
                self._steps += steps
                self._step_s += seconds
        self._first = self._first or moment
        self._last = moment

    def _f1(self) -> Floats:
        """2 both / (2 both + one side only): Dice's coefficient of who shows a unit when."""
        twice = 2.0 * self._shown["both"]
        whole = twice + self._shown["original"] + self._shown["deidentified"]
        f1 = np.full(COLUMNS, np.nan)
        np.divide(twice, whole, out=f1, where=whole > 0)
        return f1


@dataclass(frozen=True, slots=True)
class _Moment:
    index: int
    time_s: float

    def to_state(self) -> State:
        return {"index": self.index, "time_s": self.time_s}

    @classmethod
    def from_state(cls, state: State | None) -> Self | None:
        if state is None:
            return None
        read = StateReader(state, "UnitAgreement, moment")
        return cls(read.integer("index"), read.number("time_s"))


def _intensities(readings: Sequence[ExpressionReading], side: str) -> Floats:
    """Shape (n, 17), of readings in which that side has units."""
    rows = [getattr(reading.units, side).intensity for reading in readings]
    return np.array(rows, np.float64).reshape(-1, COLUMNS)
