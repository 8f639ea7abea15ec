"""Reports and scores for tests, by hand and by Hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from streamdeid.report.report import Report
from streamdeid.score import Score

FINITE = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
KEYS = TEXT.filter(lambda key: key not in {"value", "std", "count", "unit", "reason"})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | FINITE | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
RECORDS = st.dictionaries(KEYS, JSON, max_size=3)
NUMBERS = st.integers(0, 10**6)
SPREADS = st.none() | FINITE

FIGURES = st.builds(
    Score, TEXT, FINITE, TEXT, NUMBERS, std=SPREADS, reason=st.none() | TEXT, details=RECORDS
)
GAPS = st.builds(Score, TEXT, st.none(), TEXT, NUMBERS, reason=TEXT.filter(bool), details=RECORDS)
REPORTS = st.builds(
    Report,
    complete=st.booleans(),
    scores=st.lists(FIGURES | GAPS, max_size=4, unique_by=lambda score: score.name).map(tuple),
    streams=RECORDS,
    coverage=RECORDS,
    models=st.lists(RECORDS, max_size=2).map(tuple),
    settings=RECORDS,
    performance=RECORDS,
    notes=st.lists(TEXT, max_size=2).map(tuple),
)


def a_report(**changes: Any) -> Report:
    """A small report; two of them compare equal."""
    told: dict[str, Any] = {
        "complete": True,
        "created": "2030-01-31T12:00:00Z",
        "scores": (
            Score("identity.distance_between_sides", 0.7, "euclidean", 40, std=0.05),
            Score(
                "identity.distance_to_source.original",
                None,
                "euclidean",
                0,
                reason="no source image was given",
            ),
        ),
    }
    return Report(**told | changes)
