"""StreamClock: time stamps become times, whatever networks and reports do."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pytest

from streamdeid.sources.clock import MICRO, StreamClock

START_US = 1_700_000_000 * MICRO
STEP_US = 33_333


def times_of(
    arrivals: Iterable[int],
    pts: Callable[[int], int] = lambda k: k * STEP_US,
    sent: Callable[[int], int | None] = lambda _: None,
) -> tuple[StreamClock, list[int]]:
    """Arrival times as the clock tells them, of packets that hold a frame each."""
    clock, held, told = StreamClock(), [], []
    for k, arrival_us in enumerate(arrivals):
        clock.observe(pts(k), arrival_us, sent(k))
        held.append(pts(k))
        if clock.settled:
            told += [clock.arrival_us(stamp) for stamp in held]
            held.clear()
    return clock, told


def even(count: int) -> list[int]:
    return [START_US + k * STEP_US for k in range(count)]


def test_jitter_moves_no_frame_against_another() -> None:
    late = np.random.default_rng(1).exponential(15_000, 3000).astype(int)
    arrivals = [moment + int(delay) for moment, delay in zip(even(3000), late, strict=True)]
    _, told = times_of(arrivals)
    # 15 ms of jitter on average become 0.7 ms at most, once a few frames have come.
    assert np.abs(np.array(told) - even(3000))[100:].max() < 1000
    assert np.diff(told).min() > 0.9 * STEP_US


def test_what_was_saved_up_before_reading_began_gets_its_own_times() -> None:
    opened = START_US + 30 * STEP_US
    arrivals = [max(moment, opened + 200 * k) for k, moment in enumerate(even(200))]
    _, told = times_of(arrivals)
    assert np.abs(np.array(told) - even(200)).max() < 1000


def test_a_delay_that_lasts_for_the_first_frames_only_is_not_believed() -> None:
    late = [moment + STEP_US * (k < 10) for k, moment in enumerate(even(200))]
    _, told = times_of(late)
    assert told == even(200)


def test_a_network_that_is_slow_for_a_while_moves_time_by_little() -> None:
    arrivals = [t + 300_000 * (600 <= k < 1500) for k, t in enumerate(even(3000))]
    _, told = times_of(arrivals)
    # 30 s, half of them remembered as before, at a thousandth.
    assert np.abs(np.array(told) - even(3000)).max() < 31_000
    assert abs(told[-1] - even(3000)[-1]) < 1000


def test_a_clock_that_drifts_is_followed_and_its_drift_told() -> None:
    arrivals = [START_US + round(k * STEP_US * (1 + 100e-6)) for k in range(30 * 300)]
    clock, told = times_of(arrivals)
    assert np.abs(np.array(told) - arrivals).max() < 2000  # of 30 ms in 5 minutes
    fit = clock.fit(sender=False)
    assert fit is not None
    assert fit.drift_ppm == pytest.approx(100, abs=7)
    assert fit.residual_s < 0.002


def test_drift_is_not_told_of_a_few_seconds() -> None:
    clock, _ = times_of(even(100))
    fit = clock.fit(sender=False)
    assert fit is not None
    assert fit.drift_ppm is None


def test_time_stamps_may_begin_anew() -> None:
    clock, told = times_of(even(400), pts=lambda k: (k % 200) * STEP_US)
    assert clock.restarts == 1
    assert np.abs(np.array(told) - even(400)).max() < 1000
    clock, told = times_of(even(400), pts=lambda k: k * STEP_US + 10**9 * (k >= 200))
    assert clock.restarts == 1
    assert np.abs(np.array(told) - even(400)).max() < 1000


def test_frames_out_of_order_as_b_frames_are_do_not_disturb() -> None:
    order = [0, *(k + (2 if k % 3 == 1 else -1) for k in range(1, 301))]
    clock = StreamClock()
    for k, moment in zip(order, even(301), strict=True):
        clock.observe(k * STEP_US, moment, None)
    assert clock.restarts == 0
    told = [clock.arrival_us(k * STEP_US) for k in range(300)]
    assert np.ptp(np.array(told) - even(300)) < 1000


def test_the_senders_time_is_that_of_its_reports() -> None:
    clock, _ = times_of(even(100), sent=lambda k: 500 + k * STEP_US if k >= 40 else None)
    assert clock.sent_us(99 * STEP_US) == 500 + 99 * STEP_US
    assert clock.sent_us(3 * STEP_US) == 500 + 3 * STEP_US
    assert StreamClock().sent_us(0) is None
    assert StreamClock().fit(sender=True) is None


def test_the_first_packet_after_a_report_is_not_believed() -> None:
    clock = StreamClock()
    clock.observe(0, START_US, 33_333)
    assert clock.sent_us(0) is None
    clock.observe(STEP_US, START_US + STEP_US, STEP_US)
    assert clock.sent_us(0) == 0


def test_one_wrong_report_is_outvoted() -> None:
    # FFmpeg tells a time that is 13 hours off from when 32 bits of 90 kHz overflow to the next
    # report, 5 s later.
    wrong = 2**32 * MICRO // 90_000

    def sent(k: int) -> int:
        return k * STEP_US - (wrong if 900 <= k < 1050 else 0)

    clock = StreamClock()
    for k, moment in enumerate(even(2000)):
        clock.observe(k * STEP_US, moment, sent(k))
        assert clock.sent_us(k * STEP_US) == (k * STEP_US if k else None)


def test_a_reader_that_is_held_up_keeps_the_time_stamps_distances() -> None:
    clock = StreamClock(follow=False)
    for k in range(300):
        clock.observe(k * STEP_US, START_US + k * STEP_US * (1 if k < 30 else 3), None)
    told = [clock.arrival_us(k * STEP_US) for k in range(300)]
    assert set(np.diff(told)) == {STEP_US}
