"""TimestampRepair: every frame gets a time, and time never runs backwards."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from streamdeid.sources.timestamps import MOST_HELD, TimestampRepair

Stamps = list[int | None]


def _repair(stamps: Stamps, step: int = 10) -> tuple[list[int], list[int], TimestampRepair[int]]:
    """Stamps given out, the places marked as corrupt, and the repair itself."""
    repair = TimestampRepair[int](step)
    out = [row for place, pts in enumerate(stamps) for row in repair.take(place, pts)]
    out += repair.rest()
    assert [place for place, _, _ in out] == list(range(len(stamps)))
    return [pts for _, pts, _ in out], [place for place, _, bad in out if bad], repair


@given(st.lists(st.integers(-1000, 1000), unique=True).map(sorted))
def test_increasing_stamps_are_kept(stamps: list[int]) -> None:
    given_out, corrupt, repair = _repair(list(stamps))
    assert given_out == stamps
    assert corrupt == []
    assert (repair.missing, repair.wrong) == (0, 0)


@given(st.lists(st.one_of(st.none(), st.integers(-(2**62), 2**62), st.integers(0, 50))))
def test_whatever_comes_every_frame_gets_a_time_and_time_never_runs_backwards(
    stamps: Stamps,
) -> None:
    given_out, _, repair = _repair(stamps)
    assert all(a <= b for a, b in pairwise(given_out))
    assert repair.missing == sum(pts is None for pts in stamps)


@given(st.lists(st.one_of(st.none(), st.integers(0, 500)), max_size=60))
def test_no_more_than_a_few_frames_are_held(stamps: Stamps) -> None:
    repair = TimestampRepair[int](10)
    held = 0
    for place, pts in enumerate(stamps):
        held += 1 - len(list(repair.take(place, pts)))
        assert 0 <= held < MOST_HELD


def test_missing_stamps_lie_evenly_between_their_neighbours() -> None:
    assert _repair([0, 10, None, 30])[0] == [0, 10, 20, 30]
    assert _repair([0, 10, None, None, None, 50])[0] == [0, 10, 20, 30, 40, 50]
    assert _repair([0, 10, None, 15])[0] == [0, 10, 12, 15]


def test_missing_stamps_at_the_ends_go_on_at_the_last_distance() -> None:
    assert _repair([None, None, 100, 125])[0] == [80, 90, 100, 125]
    assert _repair([0, 25, None, None])[0] == [0, 25, 50, 75]


def test_a_stream_without_stamps_runs_at_the_claimed_rate() -> None:
    assert _repair([None] * 40, step=3)[0] == [3 * k for k in range(40)]


def test_a_stamp_that_is_not_later_is_corrupt_and_placed_between() -> None:
    assert _repair([0, 10, 5, 30])[:2] == ([0, 10, 20, 30], [2])
    assert _repair([0, 10, 10, 30])[:2] == ([0, 10, 20, 30], [2])


def test_a_jump_that_the_next_frame_takes_back_is_one_wrong_stamp() -> None:
    assert _repair([0, 10, 9020, 30, 40])[:2] == ([0, 10, 20, 30, 40], [2])


def test_a_jump_that_the_next_frame_confirms_is_a_pause() -> None:
    assert _repair([0, 10, 9020, 9030])[:2] == ([0, 10, 9020, 9030], [])
    assert _repair([0, 10, 9020])[:2] == ([0, 10, 9020], [])


def test_two_recordings_in_one_file_run_on_at_the_same_pace() -> None:
    once: Stamps = [10 * k for k in range(100)]
    given_out, corrupt, _ = _repair(once + once)
    assert given_out == [10 * k for k in range(200)]
    assert len(corrupt) <= MOST_HELD


def test_a_stretch_of_stamps_that_are_too_early_does_not_move_what_follows() -> None:
    stamps: Stamps = [10 * k for k in range(200)]
    wrong = [pts - 700 if 100 <= k < 150 else pts for k, pts in enumerate(stamps)]
    assert _repair(wrong)[0] == stamps
