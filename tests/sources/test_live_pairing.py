"""LivePairs: which frames of two live streams, or of a stream and a file, belong together."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import pytest

from streamdeid.errors import PairingError
from streamdeid.frame import FramePair
from streamdeid.pair import Pair
from streamdeid.sources.arrays import ArraySource
from streamdeid.sources.health import WhenBehind
from streamdeid.sources.joining import pair_frames
from streamdeid.sources.live import LiveSource
from streamdeid.sources.live_pairing import LivePairs
from tests.sources.conftest import NewServer, RtspServer, apart, number_of, side_by_side

TERMS = {"read_timeout_s": 0.6, "open_timeout_s": 1.0, "give_up_after_s": 10.0}


@contextmanager
def joined(a: LiveSource, b: LiveSource, **settings: Any) -> Iterator[LivePairs]:
    """Pairs of two sources, whose counts must add up in the end."""
    with ExitStack() as stack:
        stack.enter_context(a)
        stack.enter_context(b)
        pairs = stack.enter_context(LivePairs(a, b, **settings))
        yield pairs
    for source in (a, b):
        source._thread.join(3)
    for _, health in pairs.health().items():
        assert health.waiting == 0
        assert health.seen == health.used + sum(health.skipped.values())
        assert health.used == pairs.paired


def some(pairs: LivePairs, count: int, within_s: float = 12.0) -> list[FramePair]:
    """The next pairs; fails if they take too long."""
    began = time.monotonic()
    found = []
    for pair in pairs:
        found.append(pair)
        assert time.monotonic() - began < within_s, f"{len(found)} pairs in {within_s} s"
        if len(found) == count:
            return found
    raise AssertionError(f"the pairs ended after {len(found)}")


def off_by(pair: FramePair) -> int:
    """How many pictures the de-identified side is ahead."""
    return apart(number_of(pair.deidentified), number_of(pair.original))


def test_streams_joined_apart_are_paired_to_the_frame_by_their_senders_clock(
    camera: RtspServer,
) -> None:
    side_by_side(partial(_join_apart, camera), "tcp", "udp")


def _join_apart(camera: RtspServer, transport: Any) -> None:
    a = LiveSource(camera.url("/a"), transport=transport, **TERMS)
    time.sleep(1.3)
    b = LiveSource(camera.url("/b"), transport=transport, **TERMS)
    with joined(a, b) as pairs:
        assert pairs.alignment().clock is None
        found = some(pairs, 60)
        alignment = pairs.alignment()
        # Only at the edge of what was held until the clock was chosen.
        assert all(health.skipped.get("late", 0) <= 3 for _, health in pairs.health().items())
    assert [off_by(pair) for pair in found] == [0] * 60
    assert alignment.clock == "sender"
    assert alignment.gap_s is not None
    assert alignment.gap_s < 0.005
    for _, fit in alignment.fits.items():
        assert fit is not None
        assert fit.residual_s < 0.005
    print(f"mean gap {alignment.gap_s * 1e3:.3f} ms, {alignment.fits}")
    times = [pairs.time(pair) for pair in found]
    assert times == sorted(times)
    assert 0 <= times[0] < 10
    for pair in found:
        assert float(pair.original.elapsed - pair.deidentified.elapsed) == pytest.approx(
            0, abs=0.02
        )


def test_without_reports_in_time_arrival_aligns_them(camera: RtspServer) -> None:
    a = LiveSource(camera.url("/a"), **TERMS)
    time.sleep(0.4)
    b = LiveSource(camera.url("/b"), **TERMS)
    with joined(a, b, report_wait_s=0.0) as pairs:
        found = some(pairs, 30, within_s=4)
        alignment = pairs.alignment()
    assert alignment.clock == "arrival"
    assert max(abs(off_by(pair)) for pair in found) <= 1
    print(f"exact: {sum(off_by(pair) == 0 for pair in found)} of 30, gap {alignment.gap_s}")
    assert sum(off_by(pair) == 0 for pair in found) >= 27


def test_a_late_side_is_paired_by_the_offset(camera: RtspServer) -> None:
    a, b = (LiveSource(camera.url(path), **TERMS) for path in ("/a", "/late"))
    with joined(a, b, offset=Fraction(3, 2), report_wait_s=0.0) as pairs:
        found = some(pairs, 20, within_s=6)
    assert max(abs(off_by(pair)) for pair in found) <= 1
    for pair in found:
        ahead = pair.deidentified.elapsed - pair.original.elapsed
        assert float(ahead) == pytest.approx(1.5, abs=0.02)


def test_every_second_frame_of_the_faster_side_finds_a_partner(camera: RtspServer) -> None:
    a, b = (LiveSource(camera.url(path), **TERMS) for path in ("/a", "/half"))
    with joined(a, b, report_wait_s=0.0) as pairs:
        found = some(pairs, 20, within_s=6)
        health = pairs.health()
    assert max(abs(off_by(pair)) for pair in found) <= 1
    steps = np.diff([pair.original.index for pair in found])
    assert np.median(steps) == 2
    assert health.original.skipped["unpaired"] >= 17
    assert health.deidentified.skipped.get("unpaired", 0) < 5


def test_lost_packets_put_no_frame_to_the_wrong_partner_for_long(camera: RtspServer) -> None:
    a = LiveSource(camera.url("/a"), transport="udp", **TERMS)
    b = LiveSource(camera.url("/lossy"), transport="udp", **TERMS)
    with joined(a, b, report_wait_s=0.0) as pairs:
        found = some(pairs, 45, within_s=6)
        assert pairs.health().original.skipped.get("unpaired", 0) > 0
    sound = [pair for pair in found if not pair.deidentified.corrupt]
    # FFmpeg itself gives some frames their predecessor's time stamp: see test_live.
    assert sum(off_by(pair) == 0 for pair in sound) >= 0.75 * len(sound)
    assert max(abs(off_by(pair)) for pair in sound) <= 3


def test_after_an_interruption_of_one_side_the_same_frames_meet(
    new_server: NewServer, camera: RtspServer
) -> None:
    def check(clock: str) -> None:
        server = new_server()
        server.start()
        a, b = LiveSource(camera.url("/a"), **TERMS), LiveSource(server.url("/b"), **TERMS)
        with joined(a, b, report_wait_s=8.0 if clock == "sender" else 0.0) as pairs:
            before = some(pairs, 20)
            server.kill()
            server.start()
            began = time.monotonic()
            after: list[FramePair] = []
            for pair in pairs:
                if after or pair.deidentified.after_gap:
                    after.append(pair)
                if len(after) == 1:
                    print(f"pairs again after {time.monotonic() - began:.2f} s")
                    assert time.monotonic() - began < 5
                if len(after) == 12:
                    break
            assert pairs.alignment().clock == clock
            health = pairs.health()
        assert max(abs(off_by(pair)) for pair in before + after) <= 1
        assert [pair.deidentified.after_gap for pair in after] == [True] + [False] * 11
        assert not any(pair.original.after_gap for pair in after)
        assert health.deidentified.reconnects == 1
        # Time goes on: as long as the pictures say.
        gone = apart(number_of(after[0].original), number_of(before[-1].original)) / 30
        passed = after[0].original.elapsed - before[-1].original.elapsed
        assert float(passed) == pytest.approx(gone, abs=0.05)

    side_by_side(check, "sender", "arrival")


def test_when_one_side_is_gone_for_good_it_ends_with_a_note(
    new_server: NewServer, camera: RtspServer
) -> None:
    server = new_server()
    server.start()
    a = LiveSource(camera.url("/a"), **TERMS)
    b = LiveSource(server.url("/b"), **(TERMS | {"give_up_after_s": 0.8}))
    with joined(a, b, report_wait_s=0.0) as pairs:
        some(pairs, 10)
        server.kill()
        began = time.monotonic()
        for _ in pairs:
            pass
        assert time.monotonic() - began < 2
    assert any("gave no frame for 0.8 s and was given up" in note for note in b.notes)
    assert b.gave_up
    assert not a.gave_up


def test_who_is_slow_loses_whole_pairs(camera: RtspServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamdeid.sources.exchange.MOST_WAITING", 8)

    def check(when_behind: WhenBehind) -> None:
        sources = (
            LiveSource(camera.url(path), when_behind=when_behind, **TERMS) for path in ("/a", "/b")
        )
        with joined(*sources, report_wait_s=0.0, when_behind=when_behind) as pairs:
            found = []
            for pair in pairs:
                found.append(pair)
                time.sleep(0.15)  # more than four frames come meanwhile
                if len(found) == 10:
                    break
            health = pairs.health()
            lag_s = time.time() - float(found[-1].original.time)
        for _, side in health.items():
            assert side.skipped["behind"] >= 10
            assert side.skipped.get("unpaired", 0) <= 20
            assert side.seen == side.used + sum(side.skipped.values()) + side.waiting
        assert max(abs(off_by(pair)) for pair in found) <= 1
        # Eight pairs wait: as many frames ago if the oldest go, and 0.15 s each if the newest do.
        assert lag_s < (1 if when_behind == "drop-oldest" else 3)

    side_by_side(check, "drop-oldest", "drop-newest")


def _counting(frame_rate: int) -> ArraySource:
    images = (np.zeros((120, 160, 3), np.uint8) for _ in range(40))
    return ArraySource(images, frame_rate=frame_rate)


def test_a_stream_and_a_file_are_counted_from_their_first_frames_until_the_file_ends(
    camera: RtspServer,
) -> None:
    def check(live_first: bool) -> None:
        live, file = LiveSource(camera.url("/a"), **TERMS), _counting(30)
        with pair_frames(*((live, file) if live_first else (file, live))) as pairs:
            assert isinstance(pairs, LivePairs)
            assert pairs.alignment().clock == "first frame"
            found = list(pairs)
        assert len(found) == pytest.approx(40, abs=2)
        for pair in found:
            assert float(pair.original.elapsed - pair.deidentified.elapsed) == pytest.approx(
                0, abs=0.02
            )
        health = pairs.health()
        side = health.deidentified if live_first else health.original
        assert (side.seen, side.used) == (40, len(found))
        for _, side in health.items():
            assert side.seen == side.used + sum(side.skipped.values())

    side_by_side(check, True, False)


def test_streams_that_never_meet_are_an_error(new_server: NewServer, camera: RtspServer) -> None:
    server = new_server()
    server.start()
    a = LiveSource(camera.url("/a"), **TERMS)
    b = LiveSource(server.url("/b"), **(TERMS | {"give_up_after_s": 0.5}))
    with joined(a, b, offset=Fraction(1, 2), hold_s=0.0, tolerance=Fraction(0)) as pairs:
        server.kill()
        with pytest.raises(PairingError):
            list(pairs)
    assert pairs.paired == 0


def test_stop_ends_it_while_it_waits_for_a_report(camera: RtspServer) -> None:
    a, b = (LiveSource(camera.url(path), **TERMS) for path in ("/a", "/b"))
    with joined(a, b, report_wait_s=60.0) as pairs:
        timer = threading.Timer(0.1, pairs.stop)
        timer.start()
        began = time.monotonic()
        for _ in pairs:
            pass
        assert time.monotonic() - began < 3
        timer.join()
        assert pairs.read.original >= 0
    assert pairs.unpaired.map(lambda count: count > 0) == Pair(True, True)
