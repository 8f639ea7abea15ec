"""ProxyAgreement: how well the stand-ins for action units follow OpenFace, on this very video."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Final, Self

import numpy as np

from streamdeid.metrics.batched import Batched
from streamdeid.metrics.metric import Cell
from streamdeid.observations import ACTION_UNITS, AuOrigin, ExpressionReading
from streamdeid.pair import SIDES
from streamdeid.score import Score
from streamdeid.stats import RunningComoments, State, StateReader
from streamdeid.stats.batch import Floats

_SIDE_NAMES: Final = {"original": "the original", "deidentified": "the de-identified video"}


class ProxyAgreement(Batched[ExpressionReading]):
    """The correlation of each stand-in with the intensity that OpenFace gives, for each side.

    It says how far the figures of the stand-ins may be trusted here. `mean` is over the units that
    change, without the weak ones.

    Args:
        openface, proxy: where the two come from.
    """

    name: ClassVar[str] = "expression_agreement"
    live: ClassVar[bool] = True
    column_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, openface: AuOrigin, proxy: AuOrigin) -> None:
        super().__init__()
        self._openface = openface
        self._proxy = proxy
        self._comoments = {side: RunningComoments(len(ACTION_UNITS)) for side in SIDES}

    def columns(self, item: ExpressionReading) -> Mapping[str, Cell]:  # noqa: ARG002
        return {}

    def update(self, item: ExpressionReading) -> None:
        """Add a frame pair; one without stand-ins beside its units is passed over."""
        if item.proxies is None:
            return
        self._wait(item)

    def merge(self, other: Self) -> None:
        if self._settings() != other._settings():
            raise ValueError(f"cannot merge {self._settings()} and {other._settings()}")
        self.settle()
        for side, theirs in other.settled()._comoments.items():
            self._comoments[side].merge(theirs)

    def result(self) -> list[Score]:
        return list(self.settled()._scores())

    def to_state(self) -> State:
        settled = self.settled()
        return {
            **self._settings(),
            **{side: comoments.to_state() for side, comoments in settled._comoments.items()},
        }

    def load_state(self, state: State) -> None:
        read = StateReader(state, type(self).__name__)
        for key, value in self._settings().items():
            read.expect(key, value)
        self._comoments = {s: RunningComoments.from_state(read.child(s)) for s in SIDES}
        self._waiting = []

    def _settings(self) -> dict[str, str]:
        return {"openface": self._openface.source, "proxy": self._proxy.source}

    def _take(self, readings: list[ExpressionReading]) -> None:
        for side, comoments in self._comoments.items():
            known: list[tuple[Floats, Floats]] = []
            for reading in readings:
                units, proxies = (getattr(pair, side) for pair in (reading.units, reading.proxies))
                if units is not None and proxies is not None:
                    known.append((units.intensity, proxies.intensity))
            if known:
                x, y = zip(*known, strict=True)
                comoments.update(np.array(x), np.array(y))

    def _scores(self) -> Iterator[Score]:
        weak = [unit for unit, word in self._proxy.reliability.items() if word == "weak"]
        found = {side: self._correlations(side) for side in SIDES}
        for column, unit in enumerate(ACTION_UNITS):
            reliability = self._proxy.reliability.get(unit)
            known = {} if reliability is None else {"reliability": reliability}
            for side, values in found.items():
                value = float(values[column])
                yield self._score(f"au{unit:02}", side, value, "it never changes", known)
        for side, values in found.items():
            counted = [
                (unit, value)
                for unit, value in zip(ACTION_UNITS, values.tolist(), strict=True)
                if unit not in weak and not np.isnan(value)
            ]
            mean = float(np.mean([value for _, value in counted])) if counted else np.nan
            details = {"action_units": [unit for unit, _ in counted]}
            yield self._score("mean", side, mean, "no action unit changes", details)

    def _correlations(self, side: str) -> Floats:
        comoments = self._comoments[side]
        if comoments.count < 2:
            return np.full(len(ACTION_UNITS), np.nan)
        return comoments.pearson()

    def _score(
        self, what: str, side: str, value: float, why_nan: str, details: Mapping[str, object]
    ) -> Score:
        name = f"{self.name}.{what}.pcc.{side}"
        count = self._comoments[side].count
        if not np.isnan(value):
            return Score(name, value, "correlation", count, details=details)
        reason = why_nan
        if count < 2:
            reason = (
                f"a correlation needs at least 2 frames of {_SIDE_NAMES[side]} in which both "
                f"{self._openface.source} and {self._proxy.source} give action units; "
                f"there {'is 1' if count == 1 else 'are none'}"
            )
        return Score(name, None, "correlation", 0, reason=reason, details=details)
