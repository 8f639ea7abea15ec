"""The reservoir draws fairly, always the same, and can say beforehand what it will not want."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from streamdeid.stats import Reservoir


def drawn(size: int, seed: int, n: int) -> list[int]:
    reservoir = Reservoir(size, dim=1, seed=seed)
    reservoir.update(np.arange(n), np.zeros((n, 1)))
    return reservoir.ids.tolist()


def test_every_item_is_equally_likely() -> None:
    """Chi-squared over 3000 seeds: 10 of 40 items each; p below 1e-4 would be a biased draw."""
    times = np.zeros(40)
    for seed in range(3000):
        times[drawn(10, seed, 40)] += 1
    expected = 3000 * 10 / 40
    # Draws without replacement vary less than a multinomial: scale by (n - 1)/(n - k).
    statistic = ((times - expected) ** 2 / expected).sum() * 39 / 30
    assert 1e-4 < scipy_stats.chi2.sf(statistic, df=39) < 1 - 1e-4


def test_neighbours_are_drawn_independently() -> None:
    together = sum({3, 4} <= set(drawn(10, seed, 40)) for seed in range(3000))
    # 10/40 · 9/39 = 0.0577 of the draws; 3000 of them spread by 13.
    assert abs(together - 173) < 4 * 13


def test_the_draw_is_the_same_on_every_machine() -> None:
    """Recorded once. If this changes, published samples can no longer be drawn again."""
    assert drawn(5, seed=0, n=1000) == [254, 366, 410, 503, 821]


@given(
    order=st.permutations(range(30)),
    size=st.integers(1, 12),
    seed=st.integers(-(2**63), 2**64),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_what_is_not_wanted_can_be_spared(order: list[int], size: int, seed: int) -> None:
    everything, spared = Reservoir(size, 1, seed), Reservoir(size, 1, seed)
    offered = 0
    for item in order:
        everything.update(item, [float(item)])
        if spared.wants(item):
            spared.update(item, [float(item)])
            offered += 1
    assert spared.ids.tolist() == everything.ids.tolist()
    assert spared.rows.tolist() == everything.rows.tolist()
    assert everything.rows[:, 0].tolist() == everything.ids.tolist()
    assert size <= offered <= 30


def test_work_spared_grows_with_the_stream() -> None:
    """k (1 + ln(n/k)) items are ever wanted: 100 of 100 000 cost about 790 embeddings."""
    reservoir, offered = Reservoir(100, 1, seed=1), 0
    for item in range(100_000):
        if reservoir.wants(item):
            reservoir.update(item, [0.0])
            offered += 1
    assert offered == pytest.approx(100 * (1 + np.log(1000)), rel=0.15)


def test_missing_values_are_kept_as_they_are() -> None:
    reservoir = Reservoir(3, dim=2, seed=1)
    reservoir.update([4, 2], [[np.nan, 4.0], [2.0, np.nan]])
    np.testing.assert_array_equal(reservoir.rows, [[2.0, np.nan], [np.nan, 4.0]])
    again = Reservoir.from_state(reservoir.to_state())
    np.testing.assert_array_equal(again.rows, reservoir.rows)


def test_rows_given_are_copied() -> None:
    row = np.ones((1, 2))
    reservoir = Reservoir(3, dim=2, seed=1)
    reservoir.update([0], row)
    row += 1
    assert reservoir.rows.tolist() == [[1.0, 1.0]]


def test_an_id_offered_twice_is_refused() -> None:
    reservoir = Reservoir(3, dim=1, seed=1)
    reservoir.update([5], [[0.0]])
    with pytest.raises(ValueError, match="item 5 is in the sample already"):
        reservoir.update([5], [[0.0]])
    shard = Reservoir(3, dim=1, seed=1)
    shard.update([5], [[1.0]])
    with pytest.raises(ValueError, match="ids must be unique"):
        reservoir.merge(shard)


@pytest.mark.parametrize("rows", [[[0.0, 1.0, 2.0]], [0.0, 1.0, 2.0], [[0.0, 1.0]] * 3])
def test_rows_of_another_shape_are_refused(rows: list[object]) -> None:
    with pytest.raises(ValueError, match="one for each id"):
        Reservoir(3, dim=2, seed=1).update([0, 1], rows)
