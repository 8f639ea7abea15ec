"""Panes: a window says what a fresh metric says of the same observations."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamdeid.engine.branch import Branch
from streamdeid.engine.lanes import Lanes, Mark
from streamdeid.engine.windows import PANES, Panes, merged
from streamdeid.metrics import IdentityDistance, References
from streamdeid.observations import IdentityReading
from streamdeid.score import Score
from tests.engine.plain import SOURCE, Heavy, PassOn, fresh, reading


def assert_alike(have: Sequence[Score], want: Sequence[Score]) -> None:
    assert [score.name for score in have] == [score.name for score in want]
    for one, other in zip(have, want, strict=True):
        assert (one.count, one.reason) == (other.count, other.reason)
        assert one.value == (None if other.value is None else pytest.approx(other.value, rel=1e-9))
        assert one.std == (None if other.std is None else pytest.approx(other.std, rel=1e-9))


@settings(max_examples=25)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=2 * PANES))
def test_a_window_is_a_fresh_metric_over_the_same_observations(sizes: list[int]) -> None:
    panes = Panes([fresh()])
    cut: list[list[IdentityReading]] = []
    index = 0
    for number, size in enumerate(sizes):
        if number:
            panes.turn()
        cut.append([reading(index + n) for n in range(size)])
        index += size
        for one in cut[-1]:
            panes.update(one)
    whole = fresh()
    for pane in cut[-PANES:]:
        for one in pane:
            whole.update(one)
    [window] = merged(panes.snapshot())
    assert_alike(window.result(), whole.result())
    [again] = merged(panes.snapshot())  # asking has changed nothing
    assert_alike(again.result(), whole.result())


def test_all_branches_turn_their_panes_after_the_same_pair_and_totals_go_on() -> None:
    leaf = Branch(PassOn(), [fresh()])
    root = Branch(PassOn(), [fresh()], [leaf])
    for branch in root.walk():
        branch.keep_panes(2)
    every = 3, 7  # pairs in a pane of each span
    with Lanes(root) as lanes:
        for index in range(100):
            for span, pairs in enumerate(every):
                if index and index % pairs == 0:
                    lanes.push(Mark(partial(Branch.turn_pane, span=span)))
            lanes.push(reading(index))
        lanes.finish()
    total, windows = fresh(), [fresh(), fresh()]
    for index in range(100):
        total.update(reading(index))
        for window, pairs in zip(windows, every, strict=True):
            if index >= (99 // pairs - PANES + 1) * pairs:
                window.update(reading(index))
    for branch in (root, leaf):
        for span, window in enumerate(windows):
            assert_alike(branch.window(span)[0].result(), window.result())
        assert branch.scores() == total.result()


def test_metrics_that_hold_up_a_run_have_no_window() -> None:
    heavy = Heavy(References(source=SOURCE), "euclidean", 2.0)
    panes = Panes([heavy, fresh()])
    panes.update(reading(0))
    assert [type(metric) for metric in merged(panes.snapshot())] == [IdentityDistance]
