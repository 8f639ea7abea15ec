"""Condition: a limit on one score, as a user writes it."""

from __future__ import annotations

import difflib
import math
import operator
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from streamdeid.errors import SettingsError
from streamdeid.score import Score

COMPARISONS: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
EXAMPLE: Final = "identity.verified_as_source.deidentified > 0.05"
GRAMMAR: Final = re.compile(r"\s*(?P<name>[\w.]+)\s*(?P<comparison>[<>=!]+)\s*(?P<limit>\S+)\s*")


@dataclass(frozen=True, slots=True)
class Condition:
    """A score's name, a comparison and a number.

    >>> condition = Condition.parse("sharpness >= 0.5")
    >>> condition.holds(Score("sharpness", 0.5, "rate", 8))
    True
    >>> str(condition)
    'sharpness >= 0.5'
    """

    name: str
    comparison: str
    limit: float

    @classmethod
    def parse(cls, text: str) -> Condition:
        """The condition that `text` spells: NAME, one of < <= > >= == !=, NUMBER.

        Raises:
            SettingsError: it spells none.
        """
        match = GRAMMAR.fullmatch(text)
        if match is None or match["comparison"] not in COMPARISONS:
            raise SettingsError(
                f"the condition {text!r} is not NAME COMPARISON NUMBER with one of "
                f"{' '.join(COMPARISONS)}, as in {EXAMPLE!r}."
            )
        try:
            limit = float(match["limit"])
        except ValueError:
            limit = math.nan
        if not math.isfinite(limit):
            raise SettingsError(
                f"the condition {text!r} compares with {match['limit']!r}, which is no number; "
                f"rates go from 0 to 1, as in {EXAMPLE!r}."
            )
        return cls(match["name"], match["comparison"], limit)

    def check_name(self, known: Collection[str]) -> None:
        """Find a misspelt name before hours are spent on it.

        Raises:
            SettingsError: `name` is not among `known`; the sentence suggests the nearest.
        """
        if self.name not in known:
            near = difflib.get_close_matches(self.name, known, n=3, cutoff=0.4)
            there = (
                f"the nearest are {', '.join(near)}" if near else f"there are {', '.join(known)}"
            )
            raise SettingsError(f"the condition '{self}' names no score; {there}.")

    def holds(self, score: Score) -> bool:
        """Whether `score` meets the condition.

        A score without a value meets every condition: what is unknown must not pass for safe.
        """
        if score.value is None:
            return True
        return COMPARISONS[self.comparison](score.value, self.limit)

    def __str__(self) -> str:
        return f"{self.name} {self.comparison} {self.limit:.12g}"
