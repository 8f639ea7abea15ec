"""LivePairs: whatever two streams do, every frame of both is accounted for."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamdeid.errors import PairingError
from streamdeid.frame import Frame, FramePair, Image, StreamInfo
from streamdeid.sources.arrays import ArraySource
from streamdeid.sources.clock import MICRO
from streamdeid.sources.exchange import Exchange, LiveFrame
from streamdeid.sources.health import WhenBehind
from streamdeid.sources.live import LiveSource
from streamdeid.sources.live_pairing import LivePairs
from streamdeid.sources.live_side import STEP_BACK
from streamdeid.sources.source import Source

HOLD_S = 0.5
START_US = 1_700_000_000 * MICRO
IMAGE = np.zeros((2, 2, 3), np.uint8)


class Scripted(LiveSource):
    """A live source whose frames come when a test says so."""

    def __init__(self, reports_from: int | None = None, ahead_us: int = 0) -> None:
        """`reports_from`: the frame from which on the sender tells its clock, `ahead_us`."""
        self._kind = "rtsp"
        self._exchange = Exchange("drop-oldest")
        self._exchange.introduce(StreamInfo("rtsp://camera", "h264", "yuv420p", 2, 2, live=True))
        self._reports_from, self._ahead_us = reports_from, ahead_us
        self.now_us = START_US

    def come(self, step_ms: int, gap: bool = False, image: Image = IMAGE) -> None:
        """One frame, so long after the one before."""
        self.now_us += step_ms * 1000
        index = self._exchange.saw()
        frame = Frame(image, index, self.now_us, Fraction(1, MICRO), after_gap=gap)
        told = self._reports_from is not None and index >= self._reports_from
        self._exchange.put(LiveFrame(frame, self.now_us + self._ahead_us if told else None))

    def close(self) -> None:
        """There is no thread to wait for."""
        self.stop()

    def end(self) -> None:
        """No more frames will come."""
        self._exchange.finish(None)


def check(pairs: LivePairs) -> None:
    for _, health in pairs.health().items():
        assert health.used == pairs.paired
        assert health.seen == health.used + sum(health.skipped.values()) + health.waiting
        assert min(health.waiting, *health.skipped.values(), 0) == 0


def given_now(pairs: LivePairs, most: int) -> list[FramePair]:
    """The pairs that are there already, without waiting for more."""
    pairs._advance()
    return [next(pairs) for _ in range(min(len(pairs._ready), most))]


def joined(a: Source, b: Source, **settings: Any) -> LivePairs:
    return LivePairs(a, b, hold_s=HOLD_S, **settings)


STEP = st.tuples(
    st.sampled_from("aaaabbbbtx"),  # whose frame comes; or pairs are taken; or a gap before one
    st.one_of(st.sampled_from([33, 33, 34, 40]), st.integers(0, 1200)),
)
REPORTS = st.none() | st.integers(0, 10)


@pytest.mark.parametrize("when_behind", ["drop-oldest", "drop-newest", "wait"])
@given(
    steps=st.lists(STEP, max_size=80),
    reports=st.tuples(REPORTS, REPORTS),
    ahead_ms=st.integers(-1000, 1000),
    offset_ms=st.integers(-100, 100),
    ends=st.booleans(),
)
def test_counts_of_two_streams_add_up_and_pairs_are_in_order(
    when_behind: WhenBehind,
    steps: list[tuple[str, int]],
    reports: tuple[int | None, int | None],
    ahead_ms: int,
    offset_ms: int,
    ends: bool,
) -> None:
    a, b = Scripted(reports[0]), Scripted(reports[1], ahead_ms * 1000)
    offset = Fraction(offset_ms, 1000)
    given_pairs: list[FramePair] = []
    with joined(a, b, offset=offset, when_behind=when_behind, report_wait_s=0.0) as pairs:
        for k, (what, step_ms) in enumerate(steps):
            if what in "ab":
                (a if what == "a" else b).come(step_ms)
            elif what == "x":
                (a if k % 2 else b).come(step_ms, gap=True)
            else:
                given_pairs += given_now(pairs, step_ms % 5)
                for side in pairs._live:
                    waiting = [*(live.frame for live in side.early), *(f for _, f in side.held)]
                    if when_behind != "wait" and len(waiting) > 2:
                        assert waiting[-1].time - waiting[0].time <= HOLD_S + abs(offset)
            check(pairs)
        if ends:
            a.end()
            b.end()
            try:
                given_pairs += list(pairs)
            except PairingError:
                assert given_pairs == []
        check(pairs)
    check(pairs)
    assert pairs.paired == len(given_pairs)
    for _, health in pairs.health().items():
        assert health.waiting == 0
    for one, other in pairwise(given_pairs):
        assert one.original.index < other.original.index
        assert one.deidentified.index < other.deidentified.index
        assert other.original.elapsed > one.original.elapsed - STEP_BACK


@given(steps=st.lists(STEP, max_size=60), live_first=st.booleans(), taken=st.integers(0, 30))
def test_counts_of_a_stream_and_a_file_add_up(
    steps: list[tuple[str, int]], live_first: bool, taken: int
) -> None:
    live, file = Scripted(), ArraySource([IMAGE] * 20, frame_rate=30)
    with joined(*((live, file) if live_first else (file, live))) as pairs:
        for what, step_ms in steps:
            if what != "t":
                live.come(step_ms)
            else:
                given_now(pairs, taken)
            check(pairs)
    check(pairs)
    for _, health in pairs.health().items():
        assert health.waiting == 0


def test_what_comes_at_once_and_may_wait_finds_all_its_partners_in_a_file() -> None:
    live = Scripted()
    for _ in range(40):  # 1.6 s: three times as long as a frame waits for its partner
        live.come(40)
    live.end()
    file = ArraySource([IMAGE] * 40, frame_rate=25)
    with joined(live, file, when_behind="wait") as pairs:
        assert len(list(pairs)) == 40


def test_a_stream_of_few_frames_finds_partners_although_two_are_further_apart_than_is_held() -> (
    None
):
    live = Scripted()
    for _ in range(5):
        live.come(1000)
    live.end()
    with joined(live, ArraySource([IMAGE] * 5, frame_rate=1), when_behind="wait") as pairs:
        assert len(list(pairs)) == 5


def test_a_frame_whose_partner_was_no_longer_waited_for_is_late() -> None:
    a, b = Scripted(0), Scripted(0)
    with joined(a, b) as pairs:
        for side in (a, b):
            side.come(33)
            side.come(33)
        assert len(given_now(pairs, 99)) == 1
        for _ in range(28):
            a.come(33)
        assert given_now(pairs, 99) == []
        for _ in range(28):
            b.come(33)
        found = given_now(pairs, 99)
        health = pairs.health()
    # 0.5 s are 15 steps, and so 16 of the 29 frames that A has left; the others went alone.
    assert health.original.skipped["unpaired"] == 13
    assert health.deidentified.skipped["late"] == 13
    assert [pair.original.index for pair in found] == list(range(14, 29))
    assert all(pair.original.index == pair.deidentified.index for pair in found)


def test_senders_whose_clocks_do_not_meet_are_aligned_by_arrival() -> None:
    a, b = Scripted(0), Scripted(0, ahead_us=3600 * MICRO)
    with joined(a, b) as pairs:
        for _ in range(10):
            a.come(33)
            b.come(33)
        found = given_now(pairs, 99)
        assert pairs.alignment().clock == "arrival"
    assert [pair.deidentified.index for pair in found] == list(range(9))
    assert any("3600.0 s apart" in note for note in pairs.notes)


def test_senders_whose_clocks_part_later_are_aligned_by_arrival_from_then_on() -> None:
    a, b = Scripted(0, ahead_us=200_000), Scripted(0, ahead_us=200_000)
    found: list[FramePair] = []
    with joined(a, b) as pairs:
        for k in range(40):
            if k == 20:
                assert pairs.alignment().clock == "sender"
                b._ahead_us = 3600 * MICRO
            a.come(33)
            b.come(33)
            found += given_now(pairs, 99)
        assert pairs.alignment().clock == "arrival"
    assert len(found) >= 37
    assert all(pair.original.index == pair.deidentified.index for pair in found)
    # The time told does not jump when the clock is changed.
    for pair in found:
        assert pair.original.elapsed == pair.original.index * Fraction(33, 1000)


def test_frames_before_the_clock_is_chosen_take_little_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streamdeid.sources.live_side.MOST_EARLY_BYTES", 5 * IMAGE.nbytes)
    a, b = Scripted(), Scripted()
    with joined(a, b) as pairs:
        for _ in range(12):
            a.come(33)
            b.come(33)
        assert given_now(pairs, 99) == []
        for _, health in pairs.health().items():
            assert (health.waiting, health.skipped["unaligned"]) == (5, 7)


def test_time_begins_with_the_first_frame_that_was_held() -> None:
    # The last report says 5 ms less than the one by which the first frame's time is known.
    a, b = Scripted(0, ahead_us=7000), Scripted(2)
    with joined(a, b) as pairs:
        a.come(33)
        a._ahead_us = 2000
        for _ in range(3):
            a.come(33)
            b.come(33)
        assert given_now(pairs, 99)[0].original.elapsed == 0


def test_a_senders_clock_that_is_set_back_is_followed() -> None:
    a, b = Scripted(0), Scripted(0)
    with joined(a, b) as pairs:
        for k in range(40):
            if k == 20:
                a._ahead_us = b._ahead_us = -60 * MICRO
            a.come(33)
            b.come(33)
            given_now(pairs, 99)
        assert pairs.alignment().clock == "sender"
        assert pairs.paired >= 35


def test_the_offset_of_two_streams_is_found_in_their_pictures_before_any_pair_is_given() -> None:
    rng = np.random.default_rng(5)
    places = np.cumsum(rng.normal(0, 2, (500, 2)), axis=0) % 48

    def picture(number: int, *, covered: bool) -> Image:
        y, x = np.mgrid[:64, :64]
        row, column = places[number]
        image = (40 + 160 * np.exp(-((y - row) ** 2 + (x - column) ** 2) / 90)).astype(np.uint8)
        if covered:
            image[20:36, 20:36] = 90
        return np.repeat(image[:, :, None], 3, axis=2)

    late = 12  # frames of 40 ms
    a, b = Scripted(), Scripted()
    with joined(a, b, offset="auto", report_wait_s=0.0) as pairs:
        given_pairs: list[FramePair] = []
        for number in range(late, 400):
            a.come(40, image=picture(number, covered=False))
            b.come(40, image=picture(number - late, covered=True))
            given_pairs += given_now(pairs, 5)
            check(pairs)
        assert pairs.found is not None
        assert float(pairs.found.offset) == pytest.approx(late * 0.04, abs=0.005)
        assert pairs.found.confidence > 0.5
        assert pairs.notes == [pairs.found.note]
        assert len(given_pairs) > 40
        # The first number of both is that of the frame they began with.
        assert {p.deidentified.index - p.original.index for p in given_pairs} == {late}
        for _, health in pairs.health().items():
            assert health.skipped["unaligned"] >= 12 / 0.04


def test_streams_that_end_before_their_pictures_told_an_offset_are_not_joined_by_a_guess() -> None:
    a, b = Scripted(), Scripted()
    with joined(a, b, offset="auto", report_wait_s=0.0) as pairs:
        for _ in range(20):
            a.come(40)
            b.come(40)
        a.end()
        b.end()
        with pytest.raises(PairingError):
            list(pairs)
        check(pairs)
        assert pairs.found is not None
        assert pairs.found.confidence == 0


def test_the_offset_of_a_file_and_a_stream_is_not_looked_for() -> None:
    with pytest.raises(PairingError, match="two files or two live streams"):
        joined(Scripted(), ArraySource([IMAGE] * 20, frame_rate=30), offset="auto")
