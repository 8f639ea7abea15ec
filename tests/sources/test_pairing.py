"""pair_frames: which frames of two videos belong together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamdeid.errors import PairingError
from streamdeid.pair import Pair
from streamdeid.sources.arrays import ArraySource
from streamdeid.sources.joining import pair_frames
from streamdeid.sources.pairing import ROUNDING, FramePairs

MILLI = Fraction(1, 1000)
Matches = list[tuple[int, int]]


def _at(times_ms: Sequence[int]) -> ArraySource:
    return ArraySource(
        np.zeros((len(times_ms), 1, 1, 3), np.uint8), pts=list(times_ms), time_base=MILLI
    )


def _every(count: int, rate: Fraction | int) -> ArraySource:
    return ArraySource(np.zeros((count, 1, 1, 3), np.uint8), frame_rate=rate)


def _matches(pairs: FramePairs) -> Matches:
    return [(pair.original.index, pair.deidentified.index) for pair in pairs]


@st.composite
def times(draw: st.DrawFn) -> list[int]:
    """Milliseconds of a variable frame rate, two frames at the same moment now and then."""
    steps = draw(st.lists(st.one_of(st.sampled_from([33, 33, 34, 40]), st.integers(0, 300))))
    start = draw(st.integers(-500, 500))
    return [start + int(t) for t in np.cumsum([0, *steps])]


offsets = st.integers(-300, 300).map(lambda ms: ms * MILLI)
tolerances = st.integers(0, 200).map(lambda ms: ms * MILLI)


@given(times(), times(), offsets, st.one_of(st.none(), tolerances))
def test_pairs_are_in_order_within_tolerance_and_every_frame_counts_once(
    a: list[int], b: list[int], offset: Fraction, tolerance: Fraction | None
) -> None:
    pairs = pair_frames(_at(a), _at(b), offset=offset, tolerance=tolerance)
    found = []
    try:
        for pair in pairs:
            apart = (a[pair.original.index] - a[0]) - (b[pair.deidentified.index] - b[0])
            assert abs(apart * MILLI + offset) <= pairs.tolerance
            assert pairs.time(pair) == (a[pair.original.index] - a[0]) * MILLI
            assert pair.original.elapsed == pairs.time(pair)
            assert pair.deidentified.elapsed == (b[pair.deidentified.index] - b[0]) * MILLI
            found.append((pair.original.index, pair.deidentified.index))
    except PairingError:
        assert found == []
    assert all(p < q and r < s for (p, r), (q, s) in pairwise(found))
    assert pairs.paired == len(found)
    assert pairs.read == Pair(len(a), len(b))
    assert pairs.unpaired == Pair(len(a) - len(found), len(b) - len(found))


@given(times(), st.integers(-5000, 5000))
def test_identical_times_pair_fully_wherever_each_side_starts(a: list[int], start: int) -> None:
    pairs = pair_frames(_at(a), _at([t + start for t in a]))
    assert _matches(pairs) == [(k, k) for k in range(len(a))]
    assert pairs.unpaired == Pair(0, 0)


@given(times(), times(), tolerances)
def test_the_rule_is_the_one_that_is_written_down(
    a: list[int], b: list[int], tolerance: Fraction
) -> None:
    pairs = pair_frames(_at(a), _at(b), tolerance=tolerance)
    expected = _by_the_rule(
        [t - a[0] for t in a], [t - b[0] for t in b], tolerance / MILLI, ROUNDING / MILLI
    )
    assert expected  # the first frames are both at 0
    assert _matches(pairs) == expected


def _by_the_rule(a: list[int], b: list[int], tolerance: Fraction, margin: Fraction) -> Matches:
    """The rule of FramePairs over whole lists."""
    if not a or not b:
        return []
    gap = abs(a[0] - b[0])

    def shifted(i: int, j: int) -> Matches:
        return [(p + i, q + j) for p, q in _by_the_rule(a[i:], b[j:], tolerance, margin)]

    never = float("inf")
    next_a = abs(a[1] - b[0]) if len(a) > 1 else never
    next_b = abs(a[0] - b[1]) if len(b) > 1 else never
    both_next = abs(a[1] - b[1]) if len(a) > 1 and len(b) > 1 else never
    if gap > tolerance:
        return shifted(1, 0) if a[0] <= b[0] else shifted(0, 1)
    if next_a + margin < gap and both_next >= next_a:
        return shifted(1, 0)
    if next_b + margin < gap and both_next >= next_b:
        return shifted(0, 1)
    return [(0, 0), *shifted(1, 1)]


RATES = [Fraction(30000, 1001), *(Fraction(n) for n in (10, 15, 24, 25, 30, 50, 60))]


@pytest.mark.parametrize("slow", RATES)
@pytest.mark.parametrize("fast", RATES)
def test_at_constant_rates_as_many_pair_as_can_and_no_other_pairing_is_nearer(
    fast: Fraction, slow: Fraction
) -> None:
    if fast < slow:
        fast, slow = slow, fast
    counts = round(2 * fast), round(2 * slow)
    pairs = pair_frames(_every(counts[0], fast), _every(counts[1], slow))
    found = _matches(pairs)
    a = [k / fast for k in range(counts[0])]
    b = [k / slow for k in range(counts[1])]
    most, least = _best_matching(a, b, 1 / slow / 2 + ROUNDING)
    assert len(found) == most
    total = sum((abs(a[i] - b[j]) for i, j in found), Fraction(0))
    assert total <= least + ROUNDING * len(found)


def _best_matching(
    a: Sequence[Fraction], b: Sequence[Fraction], tolerance: Fraction
) -> tuple[int, Fraction]:
    """Most pairs in order that are within tolerance, and the least sum of their gaps."""
    row = [(0, Fraction(0))] * (len(b) + 1)
    for x in a:
        new = [row[0]]
        for j, y in enumerate(b):
            choices = [row[j + 1], new[j]]
            if abs(x - y) <= tolerance:
                choices.append((row[j][0] - 1, row[j][1] + abs(x - y)))
            new.append(min(choices))
        row = new
    return -row[-1][0], row[-1][1]


@pytest.mark.parametrize("jitter", [-2, -1, 0, 1, 2])
def test_rounding_to_milliseconds_loses_no_pair_even_half_a_frame_off(jitter: int) -> None:
    exact = _every(100, Fraction(30000, 1001))
    rounded = _at([round(k * 1001 / 30) for k in range(100)])
    half = Fraction(1001, 60000) + jitter * Fraction(1, 5000)
    pairs = pair_frames(exact, rounded, offset=half)
    assert len(_matches(pairs)) >= 99


def test_offset_is_how_late_the_deidentified_video_is() -> None:
    # Its frame k + 3 shows what the original shows in frame k.
    late = _matches(pair_frames(_every(10, 10), _every(10, 10), offset=Fraction(3, 10)))
    assert late == [(k, k + 3) for k in range(7)]
    early = _matches(pair_frames(_every(10, 10), _every(10, 10), offset=Fraction(-3, 10)))
    assert early == [(k + 3, k) for k in range(7)]


def test_tolerance_follows_a_rate_that_changes_and_not_what_is_claimed() -> None:
    a = [*range(0, 1000, 20), *range(1000, 9000, 200)]
    pairs = pair_frames(_at(a), _at([t + (90 if t > 3000 else 0) for t in a]))
    assert len(_matches(pairs)) == len(a)
    assert pairs.tolerance == Fraction(1, 10) + ROUNDING


class Counting(ArraySource):
    """Counts the frames that are alive at once."""

    def __init__(self, count: int, rate: int) -> None:
        self.images: list[Any] = []
        self.most = 0
        super().__init__(self._make(count), frame_rate=rate)

    def _make(self, count: int) -> Iterator[Any]:
        import gc
        import weakref

        alive: list[Any] = []
        for _ in range(count):
            image = np.zeros((1, 1, 3), np.uint8)
            alive.append(weakref.ref(image))
            self.most = max(self.most, sum(ref() is not None for ref in alive))
            yield image
            del image
            gc.collect(0)


@pytest.mark.parametrize(("a", "b"), [((40, 30), (40, 30)), ((200, 60), (5, 30))])
def test_few_frames_are_held_whatever_the_lengths(a: tuple[int, int], b: tuple[int, int]) -> None:
    sides = Counting(*a), Counting(*b)
    for _ in pair_frames(*sides):
        pass
    assert max(side.most for side in sides) <= 4  # two held, one given out, one in the making


def test_what_remains_of_one_side_is_counted_with_its_corrupt_frames() -> None:
    images = np.zeros((50, 1, 1, 3), np.uint8)
    long = ArraySource(images, frame_rate=25, corrupt=[2, 30, 49])
    pairs = pair_frames(_every(10, 25), long)
    assert len(list(pairs)) == 10
    assert pairs.unpaired == Pair(0, 40)
    assert pairs.corrupt == Pair(0, 3)


def test_nothing_to_pair_is_an_error_that_names_the_gap_and_the_cure() -> None:
    pairs = pair_frames(_every(5, 25), _every(5, 25), offset=Fraction(10))
    with pytest.raises(PairingError, match=r"9\.840 s away.*original frame 0 .*pass --offset"):
        list(pairs)
    assert list(pairs) == []
    assert pairs.unpaired == Pair(5, 5)


def test_stop_ends_the_iteration_even_while_the_rest_is_counted() -> None:
    pairs = pair_frames(_every(3, 25), _endless())
    assert len([next(pairs) for _ in range(3)]) == 3
    import threading

    timer = threading.Timer(0.05, pairs.stop)
    timer.start()
    assert list(pairs) == []
    timer.join()


def _endless() -> ArraySource:
    def images() -> Iterator[Any]:
        while True:
            yield np.zeros((1, 1, 3), np.uint8)

    return ArraySource(images(), frame_rate=25)


def test_closing_closes_both_sources() -> None:
    a, b = _every(5, 25), _every(5, 25)
    with pair_frames(a, b) as pairs:
        next(pairs)
    assert list(a) == list(b) == list(pairs) == []
