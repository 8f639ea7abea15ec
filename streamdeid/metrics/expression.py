"""ExpressionAgreement: how much of the expression is left, action unit by action unit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, Self

import numpy as np

from streamdeid.errors import NotEnoughSamples
from streamdeid.metrics.metric import Cell
from streamdeid.metrics.unit_agreement import LAG_REACH_S, UnitAgreement
from streamdeid.observations import ACTION_UNITS, AuOrigin, AuValues, ExpressionReading
from streamdeid.pair import SIDES
from streamdeid.score import Score
from streamdeid.stats import State, StateReader
from streamdeid.stats.batch import Floats

MEASURES: Final = ("pcc", "rmse", "ccc", "mae", "f1")
_OF_TWO: Final = {"pcc": "a correlation", "ccc": "a concordance"}
_UNITLESS: Final = {"pcc": "correlation", "ccc": "concordance", "f1": "F1"}

_FAINT: Final = 0.3  # a mean correlation below which a lag is that of chance


class ExpressionAgreement:
    """How the 17 action units of the de-identified face follow those of the original's.

    For each unit the correlation (PCC), root mean squared and mean absolute error (RMSE, MAE) and
    concordance (CCC) over all frame pairs in which both sides have units, and the agreement on who
    shows it when (F1), where the source tells that. `mean` is over the units that have a value,
    without those whose reliability is "weak". `lag_s` is the shift of the de-identified video that
    lets the units correlate best: above 0 its face comes late.

    Online and post-processed values are kept apart: the report is of one of them, and says which.

    Args:
        origin: where the units come from.
        prefix: of the names of scores.

    Source: Bursic et al. 2020 (PCC and RMSE of OpenFace's intensities); Lin 1989,
        doi:10.2307/2532051 (CCC).
    """

    name: ClassVar[str] = "expression"
    live: ClassVar[bool] = True

    def __init__(self, origin: AuOrigin, prefix: str = "expression") -> None:
        self._origin = origin
        self._prefix = prefix
        self._seen: dict[AuValues, UnitAgreement] = {}

    @property
    def column_names(self) -> tuple[str, ...]:
        """The intensities that are there while the run goes on; their names say which they are.

        None where all values come at the end: rows do not wait for them.
        """
        on_the_way = self._origin.values[0]
        if on_the_way == "post-processed":
            return ()
        return tuple(f"{side}.au{unit:02}.{on_the_way}" for side in SIDES for unit in ACTION_UNITS)

    def columns(self, item: ExpressionReading) -> Mapping[str, Cell]:
        if item.values != self._origin.values[0] or not self.column_names:
            return {}
        intensities = [
            [None] * len(ACTION_UNITS) if units is None else units.intensity.tolist()
            for _, units in item.units.items()
        ]
        cells = [cell for side in intensities for cell in side]
        return dict(zip(self.column_names, cells, strict=True))

    def update(self, item: ExpressionReading) -> None:
        """Add a frame pair; one of another origin is passed over."""
        if item.values in self._origin.values:
            self._seen.setdefault(item.values, UnitAgreement()).update(item)

    def merge(self, other: Self) -> None:
        if self._settings() != other._settings():
            raise ValueError(f"cannot merge {self._settings()} and {other._settings()}")
        for values, theirs in other._settled().items():
            mine = self._seen.setdefault(values, UnitAgreement())
            mine.settle()
            mine.merge(theirs)

    def result(self) -> list[Score]:
        settled = self._settled()
        values = next((v for v in reversed(self._origin.values) if v in settled), None)
        seen = UnitAgreement() if values is None else settled[values]
        details = {"source": self._origin.source, "values": values}
        return [
            Score(
                f"{self._prefix}.{score.name}",
                score.value,
                score.unit,
                score.count,
                reason=score.reason,
                details={**details, **score.details},
            )
            for score in self._scores(seen)
        ]

    def to_state(self) -> State:
        settled = self._settled()
        kinds = {v: settled[v].to_state() if v in settled else None for v in self._origin.values}
        return {**self._settings(), **{_key(values): state for values, state in kinds.items()}}

    def load_state(self, state: State) -> None:
        read = StateReader(state, type(self).__name__)
        for key, value in self._settings().items():
            read.expect(key, value)
        children = {values: read.child_or_none(_key(values)) for values in self._origin.values}
        self._seen = {
            values: UnitAgreement.from_state(child)
            for values, child in children.items()
            if child is not None
        }

    def _settings(self) -> dict[str, str]:
        values = ", ".join(self._origin.values)
        return {"source": self._origin.source, "values": values, "prefix": self._prefix}

    def _settled(self) -> dict[AuValues, UnitAgreement]:
        """What was seen, with what waits; this metric stays as it was."""
        return {values: agreement.settled() for values, agreement in self._seen.items()}

    def _scores(self, seen: UnitAgreement) -> Iterator[Score]:
        measures = seen.measures()
        for column, unit in enumerate(ACTION_UNITS):
            for measure in MEASURES:
                yield self._unit_score(seen, column, unit, measure, measures[measure][column])
        for measure in MEASURES:
            yield self._mean_score(seen, measure, measures[measure])
        yield self._coverage_score(seen)
        yield self._lag_score(seen)

    def _unit_score(
        self, seen: UnitAgreement, column: int, unit: int, measure: str, value: float
    ) -> Score:
        name = f"au{unit:02}.{measure}"
        reliability = self._origin.reliability.get(unit)
        details = {} if reliability is None else {"reliability": reliability}
        if not np.isnan(value):
            return Score(
                name,
                float(value),
                self._unit(measure),
                seen.both,
                reason=seen.fault,
                details=details,
            )
        reason = self._why_missing(seen, measure) or _why_nan(seen, column, measure)
        return Score(name, None, self._unit(measure), 0, reason=reason, details=details)

    def _mean_score(self, seen: UnitAgreement, measure: str, values: Floats) -> Score:
        name, unit = f"mean.{measure}", self._unit(measure)
        counted = [column for column in self._reliable if not np.isnan(values[column])]
        why = "no action unit changes on both sides"
        if measure == "f1":
            why = "no action unit is shown on either side"
        elif measure in ("rmse", "mae") and not self._origin.one_unit:
            counted, why = [], "each action unit has a unit of its own"
        details = {"action_units": [ACTION_UNITS[column] for column in counted]}
        if not counted:
            reason = self._why_missing(seen, measure) or why
            return Score(name, None, unit, 0, reason=reason, details=details)
        mean = float(values[counted].mean())
        return Score(name, mean, unit, seen.both, reason=seen.fault, details=details)

    def _coverage_score(self, seen: UnitAgreement) -> Score:
        details = {f"with_units_{side}": count for side, count in seen.with_units.items()}
        if not seen.readings:
            reason = "no frame pair was analysed"
            return Score("coverage", None, "rate", 0, reason=reason, details=details)
        share = seen.both / seen.readings
        return Score("coverage", share, "rate", seen.readings, reason=seen.fault, details=details)

    def _lag_score(self, seen: UnitAgreement) -> Score:
        details: dict[str, Any] = {"reach_s": LAG_REACH_S, "pcc": None, "pcc_without_shift": None}
        if missing := self._why_missing(seen, "pcc"):
            return Score("lag_s", None, "s", 0, reason=missing, details=details)
        try:
            lags, correlations = seen.lag_correlations(self._reliable)
        except NotEnoughSamples as error:
            return Score("lag_s", None, "s", 0, reason=str(error), details=details)
        # Of equals the smallest shift.
        best = min(range(len(lags)), key=lambda at: (-correlations[at], abs(lags[at])))
        at_zero = correlations[np.flatnonzero(lags == 0)]
        details["pcc"] = float(correlations[best])
        details["pcc_without_shift"] = float(at_zero[0]) if len(at_zero) else None
        faint = (
            f"even at this shift the action units correlate at {correlations[best]:.2f} only, "
            "so it may be chance"
        )
        return Score(
            "lag_s",
            float(lags[best]),
            "s",
            seen.both,
            reason=seen.fault or (faint if correlations[best] < _FAINT else None),
            details=details,
        )

    @property
    def _reliable(self) -> Sequence[int]:
        """Columns of the units that are part of the means."""
        weak = {unit for unit, word in self._origin.reliability.items() if word == "weak"}
        return [column for column, unit in enumerate(ACTION_UNITS) if unit not in weak]

    def _unit(self, measure: str) -> str:
        return _UNITLESS.get(measure, self._origin.unit)

    def _why_missing(self, seen: UnitAgreement, measure: str) -> str | None:
        """Why no unit has this measure; None if it may have."""
        if not seen.readings:
            return "no frame pair was analysed"
        if not seen.both:
            if seen.fault:
                return seen.fault
            empty = [side for side, count in seen.with_units.items() if not count]
            names = {"original": "the original", "deidentified": "the de-identified video"}
            who = " nor in ".join(names[side] for side in empty)
            if not empty:
                return "no frame pair has action units on both sides"
            return f"no face with action units was seen in {who}"
        if seen.both < 2 and measure in _OF_TWO:
            return f"{_OF_TWO[measure]} needs at least 2 frame pairs with action units; there is 1"
        if measure == "f1" and not seen.tells_presence:
            return f"{self._origin.source} does not tell presence"
        return None


def _why_nan(seen: UnitAgreement, column: int, measure: str) -> str:
    if measure == "f1":
        return "it is shown on neither side"
    still = [side for side, moves in seen.moves.items() if not moves[column]]
    names = {"original": "in the original", "deidentified": "in the de-identified video"}
    if len(still) == 2:
        return "it never changes in either video"
    return f"it never changes {names[still[0]]}"


def _key(values: AuValues) -> str:
    return values.replace("-", "_")  # keys of states are plain words
