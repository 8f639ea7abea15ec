"""Panes: a window says what a fresh metric says of the same observations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamdeid.engine.branch import Branch
from streamdeid.engine.lanes import Lanes
from streamdeid.engine.windows import MOST_PANES, Panes, pane_length
from streamdeid.metrics import IdentityDistance, References
from streamdeid.observations import IdentityReading
from streamdeid.pair import Pair
from streamdeid.score import Score

RNG = np.random.default_rng(8)
SOURCE = RNG.normal(size=8).astype(np.float32)


def fresh() -> IdentityDistance:
    return IdentityDistance(References(source=SOURCE), "euclidean", 2.0)


def reading(index: int) -> IdentityReading:
    noise = np.random.default_rng(index).normal(size=(3, 8)).astype(np.float32)
    near = [SOURCE + 0.7 * one for one in noise]
    own = Pair(near[0], near[1] if index % 3 else None)
    return IdentityReading(index, Fraction(index, 25), own, near[2])


def assert_alike(have: Sequence[Score], want: Sequence[Score]) -> None:
    assert [score.name for score in have] == [score.name for score in want]
    for one, other in zip(have, want, strict=True):
        assert (one.count, one.reason) == (other.count, other.reason)
        assert one.value == (None if other.value is None else pytest.approx(other.value, rel=1e-9))
        assert one.std == (None if other.std is None else pytest.approx(other.std, rel=1e-9))


@given(st.lists(st.integers(0, 40), min_size=1, max_size=8), st.integers(1, 6), st.integers(1, 6))
def test_a_window_is_a_fresh_metric_over_the_same_observations(
    sizes: list[int], kept: int, asked: int
) -> None:
    panes = Panes([fresh()], kept)
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
    for pane in cut[-min(kept, asked) :]:
        for one in pane:
            whole.update(one)
    [window] = panes.window(asked)
    assert_alike(window.result(), whole.result())
    [again] = panes.window(asked)  # asking has changed nothing
    assert_alike(again.result(), whole.result())


class PassOn:
    name = "pass on"
    delay: int | None = 0
    stride = 1

    def push(self, item: IdentityReading) -> Iterable[IdentityReading]:
        return [item]

    def flush(self) -> Iterable[IdentityReading]:
        return ()

    def reset(self) -> None: ...


def test_all_branches_turn_their_panes_after_the_same_pair_and_totals_go_on() -> None:
    leaf = Branch(PassOn(), [fresh()])
    root = Branch(PassOn(), [fresh()], [leaf])
    for branch in root.walk():
        branch.keep_panes(2)
    with Lanes(root) as lanes:
        for index in range(100):
            if index in (30, 60):
                lanes.mark(Branch.turn_pane)
            lanes.push(reading(index))
        lanes.finish()
    newest, window, total = fresh(), fresh(), fresh()
    for index in range(100):
        total.update(reading(index))
        if index >= 30:
            window.update(reading(index))
        if index >= 60:
            newest.update(reading(index))
    for branch in (root, leaf):
        assert_alike(branch.window(1)[0].result(), newest.result())
        assert_alike(branch.window(2)[0].result(), window.result())
        assert_alike(branch.window(99)[0].result(), window.result())
        assert branch.scores() == total.result()


class Heavy(IdentityDistance):
    live = False


def test_metrics_that_hold_up_a_run_have_no_window() -> None:
    heavy = Heavy(References(source=SOURCE), "euclidean", 2.0)
    panes = Panes([heavy, fresh()], 3)
    panes.update(reading(0))
    assert [type(metric) for metric in panes.window(3)] == [IdentityDistance]


@pytest.mark.parametrize(
    ("spans", "pane"),
    [([60], 5), ([10], 1), ([60, 10], 1), ([60, 1], 0.5), ([3600], 30), ([3600, 2], 30)],
)
def test_panes_are_short_enough_to_be_exact_and_few_enough_to_be_held(
    spans: list[float], pane: float
) -> None:
    assert pane_length(spans) == pane
    assert max(spans) / pane_length(spans) <= MOST_PANES
