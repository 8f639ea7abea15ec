"""The longest run is that of a plain loop over all frames, and survives being cut."""

from __future__ import annotations

from itertools import groupby

from hypothesis import given, settings
from hypothesis import strategies as st

from streamdeid.stats import LongestRun


@given(seen=st.lists(st.booleans(), max_size=60), cut=st.integers(0, 60))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_it_is_that_of_a_plain_loop(seen: list[bool], cut: int) -> None:
    before, after = LongestRun(), LongestRun()
    for index, hit in enumerate(seen):
        if hit:
            (before if index < cut else after).update(index, index / 25)
    before.merge(after)

    runs = [list(group) for hit, group in groupby(range(len(seen)), seen.__getitem__) if hit]
    longest = max(runs, key=len, default=None)  # the earliest of the longest
    have = before.longest
    if longest is None:
        assert have is None
    else:
        assert have is not None
        assert (have.start, have.end, have.length) == (longest[0], longest[-1], len(longest))
        assert (have.start_s, have.end_s) == (longest[0] / 25, longest[-1] / 25)


def test_a_run_may_span_several_cuts() -> None:
    whole = LongestRun()
    for start in range(0, 12, 3):
        piece = LongestRun()
        piece.update([start, start + 1, start + 2], [0.0, 1.0, 2.0])
        whole.merge(piece)
    assert whole.longest is not None
    assert whole.longest.length == 12


def test_of_several_longest_runs_the_earliest_counts() -> None:
    early, late = LongestRun(), LongestRun()
    early.update([0, 4], [0.0, 4.0])
    late.update([5, 7, 8], [5.0, 7.0, 8.0])
    early.merge(late)  # 4-5, joined at the cut, and 7-8 are two long each
    assert early.longest is not None
    assert early.longest.start == 4


def test_in_another_order_runs_are_not_joined_but_frames_still_count() -> None:
    early, late = LongestRun(), LongestRun()
    early.update([0, 1], [0.0, 0.1])
    late.update([2, 3, 4], [0.2, 0.3, 0.4])
    late.merge(early)
    assert late.count == 5
    assert late.longest is not None
    assert late.longest.length == 3
