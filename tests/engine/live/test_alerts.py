"""Alert: what is understood, and when it is raised and over."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from streamdeid.engine.live.alerts import EXAMPLE, Alert, Watchman
from streamdeid.errors import SettingsError
from streamdeid.score import Score


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (EXAMPLE, EXAMPLE),
        ("a.b<0.5 over 2m", "a.b < 0.5 over 120s"),
        ("a != 1 over 1.5 s", "a != 1 over 1.5s"),
    ],
)
def test_an_alert_is_a_condition_over_a_time(text: str, shown: str) -> None:
    assert str(Alert.parse(text)) == shown


@pytest.mark.parametrize(
    "text",
    ["", "a > 1", "a > 1 over", "a > 1 over 0s", "a > 1 over 2h", "a > 1 over 1e3s", "over 3s",
     "a over 3s", "a > nan over 3s", "a > 1 over 0.5s", "a > 1 over 61m"],
)  # fmt: skip
def test_what_is_no_alert_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        Alert.parse(text)


def told(values: Sequence[float | None], over_s: float = 3) -> list[tuple[int, bool]]:
    """When the alert `a > 1` was raised (True) and over (False), at one value a second."""
    watchman = Watchman(Alert.parse(f"a > 1 over {over_s:g}s"))
    edges = []
    for second, value in enumerate(values):
        score = Score("a", value, "rate", 9, reason=None if value is not None else "no face")
        if watchman.judge([Score("b", 5.0, "rate", 1), score], second) is not None:
            edges.append((second, watchman.raised))
    return edges


def test_it_is_raised_once_while_the_condition_holds() -> None:
    assert told([0, 2, 2, 2, 2, 2, 2]) == [(1, True)]


def test_a_score_that_swings_about_the_limit_raises_one_alert() -> None:
    assert told([2, 0, 2, 0, 0, 2, 0]) == [(0, True)]


def test_it_is_over_when_the_condition_has_not_held_for_its_span_and_may_be_raised_again() -> None:
    assert told([2, 0, 0, 0, 0, 0, 2, 0]) == [(0, True), (4, False), (6, True)]


def test_what_has_no_value_neither_raises_nor_ends_an_alert() -> None:
    assert told([None, None, 2, 0, 0, None, 0, 0, 0, 0]) == [(2, True), (9, False)]
