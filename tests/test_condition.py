"""A condition is read as it is written, and what is unknown does not pass."""

from __future__ import annotations

import operator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamdeid.condition import COMPARISONS, Condition
from streamdeid.errors import SettingsError
from streamdeid.score import Score

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


def score(value: float | None) -> Score:
    return Score("a.b", value, "rate", 1, reason="no data" if value is None else None)


@given(st.sampled_from(sorted(COMPARISONS)), NUMBERS, NUMBERS)
def test_a_condition_means_what_python_means(sign: str, value: float, limit: float) -> None:
    signs = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge", "==": "eq", "!=": "ne"}
    condition = Condition.parse(f"a.b {sign} {limit!r}")
    assert condition == Condition("a.b", sign, limit)
    assert condition.holds(score(value)) == getattr(operator, signs[sign])(value, limit)


@pytest.mark.parametrize("text", ["a.b>0.05", " a.b  > 0.05 ", "a.b >5e-2", "a.b> +.05"])
def test_blanks_do_not_matter(text: str) -> None:
    assert Condition.parse(text) == Condition("a.b", ">", 0.05)
    assert str(Condition.parse(text)) == "a.b > 0.05"


@pytest.mark.parametrize(
    "text", ["", "a.b", "a.b >", "> 1", "a.b => 1", "a.b = 1", "a.b > 1 or c > 2", "a.b >> 1"]
)
def test_what_is_no_condition_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(SettingsError, match=r"NAME COMPARISON NUMBER .* as in 'identity\."):
        Condition.parse(text)


@pytest.mark.parametrize("number", ["much", "nan", "inf", "5%", "0,05"])
def test_what_is_no_number_is_refused(number: str) -> None:
    with pytest.raises(SettingsError, match="which is no number; rates go from 0 to 1"):
        Condition.parse(f"a.b > {number}")


@pytest.mark.parametrize("sign", sorted(COMPARISONS))
def test_a_score_without_a_value_meets_every_condition(sign: str) -> None:
    assert Condition("a.b", sign, 0.0).holds(score(None))


def test_a_misspelt_name_is_answered_with_the_nearest() -> None:
    known = ["identity.distance_between_sides", "identity.rms_distance_all_pairs"]
    Condition.parse(f"{known[0]} < 1").check_name(known)
    with pytest.raises(SettingsError, match=r"the nearest are identity\.distance_between_sides,"):
        Condition.parse("identity.distance_betwen_sides < 1").check_name(known)


def test_a_name_that_is_near_to_nothing_is_answered_with_all() -> None:
    with pytest.raises(SettingsError, match=r"names no score; there are a\.b, c\.d\."):
        Condition.parse("xyz < 1").check_name(["a.b", "c.d"])
