"""Alert: a condition on the scores of the last seconds, told once when it begins to hold."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from streamdeid.condition import Condition
from streamdeid.errors import SettingsError
from streamdeid.score import Score

EXAMPLE: Final = "identity.verified_as_source.deidentified > 0.02 over 10s"
LONGEST_S: Final = 3600.0

_OVER: Final = re.compile(
    r"(?P<condition>.+?)\s+over\s+(?P<number>[0-9]{1,6}(?:\.[0-9]{1,6})?)\s*(?P<unit>[sm]?)\s*"
)


@dataclass(frozen=True, slots=True)
class Alert:
    """A condition, and the span of time that it is asked of.

    >>> str(Alert.parse("sharpness < 0.5 over 1m"))
    'sharpness < 0.5 over 60s'
    """

    condition: Condition
    over_s: float

    @classmethod
    def parse(cls, text: str) -> Alert:
        """The alert that `text` spells: a condition, the word over, and seconds or minutes.

        Raises:
            SettingsError: it spells none.
        """
        match = _OVER.fullmatch(text)
        if match is None:
            raise SettingsError(
                f"the alert {text!r} is not NAME COMPARISON NUMBER over TIME, a time in "
                f"seconds or minutes, as in {EXAMPLE!r}."
            )
        over_s = float(match["number"]) * (60 if match["unit"] == "m" else 1)
        if not 1 <= over_s <= LONGEST_S:
            raise SettingsError(
                f"the alert {text!r} looks at {over_s:g} s: it must be 1 s to {LONGEST_S:g} s."
            )
        return cls(Condition.parse(match["condition"]), over_s)

    def __str__(self) -> str:
        return f"{self.condition} over {self.over_s:g}s"


class Watchman:
    """Tells the edges of an alert.

    It is raised when the condition begins to hold, and not again before it is over: that is, before
    it has not held for as long as the alert looks back. So a score that swings about the limit
    raises one alert. A score without a value raises none, and does not end one either: where no
    face is seen, nobody was recognised, and nobody can say that the danger is over.
    """

    def __init__(self, alert: Alert) -> None:
        self.alert = alert
        self.raised = False
        self._calm_since: float | None = None

    def judge(self, scores: Iterable[Score], now_s: float) -> Score | None:
        """The score that begins to raise the alert, or that ends it; None if nothing changes.

        Args:
            scores: of the span that the alert looks back at.
            now_s: on any clock.
        """
        score = next((s for s in scores if s.name == self.alert.condition.name), None)
        if score is None or score.value is None:
            self._calm_since = None
            return None
        if self.alert.condition.holds(score):
            self._calm_since = None
            begins, self.raised = not self.raised, True
            return score if begins else None
        self._calm_since = now_s if self._calm_since is None else self._calm_since
        if self.raised and now_s - self._calm_since >= self.alert.over_s:
            self.raised = False
            return score
        return None
