"""LiveSource: against a real RTSP server over loopback."""

from __future__ import annotations

import gc
import os
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from streamdeid.errors import SourceError
from streamdeid.frame import Frame
from streamdeid.sources.exchange import MOST_WAITING
from streamdeid.sources.health import Health, WhenBehind
from streamdeid.sources.live import LiveSource
from streamdeid.sources.source import open_source
from tests.sources.conftest import NewServer, RtspServer, apart, number_of, side_by_side, wait_for

READ_TIMEOUT_S = 0.6


@contextmanager
def watching(url: str, **settings: Any) -> Iterator[LiveSource]:
    """A source with short timeouts; its counts must add up in the end."""
    terms = {"read_timeout_s": READ_TIMEOUT_S, "open_timeout_s": 1.0, "give_up_after_s": 10.0}
    with LiveSource(url, **(terms | settings)) as source:
        yield source
    wait_for(lambda: not source._thread.is_alive(), 3)
    health = source.health()
    assert health.waiting == 0
    assert health.seen == health.used + sum(health.skipped.values())
    assert not health.connected


def taken(source: LiveSource, count: int, within_s: float = 5.0) -> list[Frame]:
    """The next frames; fails if they don't come in time."""
    frames: list[Frame] = []
    until = time.monotonic() + within_s
    while len(frames) < count:
        live = source.take(max(until - time.monotonic(), 0))
        assert live is not None, f"{len(frames)} of {count} frames within {within_s} s"
        frames.append(live.frame)
    return frames


def after_gap(source: LiveSource, within_s: float) -> Frame:
    """The first frame after an interruption; fails if it does not come in time."""
    until = time.monotonic() + within_s
    while True:
        live = source.take(max(until - time.monotonic(), 0))
        assert live is not None, f"no frame after a gap within {within_s} s"
        if live.frame.after_gap:
            return live.frame


def test_frames_come_in_order_with_the_times_of_their_pictures(camera: RtspServer) -> None:
    def check(transport: str) -> None:
        with watching(camera.url("/a"), transport=transport) as source:
            frames = taken(source, 30)
            info = source.info
            health = source.health()
        assert (info.width, info.height, info.codec, info.live) == (160, 120, "h264", True)
        assert info.frame_rate == 30
        assert info.uri == camera.url("/a")
        assert health.connected
        assert 20 < health.fps_in < 45  # what was saved up before it was opened comes faster
        assert health.last_frame_age_s is not None
        assert health.last_frame_age_s < 0.5
        first = frames[0]
        for frame in frames[1:]:
            steps = apart(number_of(frame), number_of(first))
            # Half a frame: whose picture it is must be beyond doubt. Measured: 0.1 ms.
            assert float(frame.time - first.time) == pytest.approx(steps / 30, abs=1 / 60)
            assert not frame.after_gap
            assert not frame.corrupt
        assert abs(float(first.time) - time.time()) < 5

    side_by_side(check, "tcp", "udp")


def test_lost_packets_lose_frames_and_nothing_else(camera: RtspServer) -> None:
    def check(transport: str) -> None:
        with watching(camera.url("/lossy"), transport=transport) as source:
            frames = taken(source, 50, within_s=8)
        indices = [frame.index for frame in frames]
        assert indices == sorted(set(indices))
        times = [frame.time for frame in frames]
        assert times == sorted(set(times))
        sound = [frame for frame in frames if not frame.corrupt]
        assert len(sound) >= 30
        first = sound[0]
        offs = [
            float(frame.time - first.time) * 30 - apart(number_of(frame), number_of(first))
            for frame in sound
        ]
        wrong = [off for off in offs if abs(off - median(offs)) > 0.5]
        # Where the end of one frame and the beginning of the next are lost, FFmpeg takes them for
        # one frame, with the first one's time stamp.
        assert len(wrong) <= len(sound) / 5

    side_by_side(check, "tcp", "udp")


def test_a_stream_may_be_there_later_and_go_and_come_back_in_another_size(
    new_server: NewServer, small_pictures: Path
) -> None:
    server = new_server()
    with watching(server.url("/a")) as source:
        assert not source.ready(0.5)
        server.start()
        before = taken(source, 20)[-1]
        server.kill()
        wait_for(lambda: not source.health().connected, 1)
        server.start({"/a": {"file": small_pictures, "fps": 30}})
        began = time.monotonic()
        first = after_gap(source, 5)
        print(f"frames again after {time.monotonic() - began:.2f} s")
        # Time goes on: how long the pictures were gone can be told from their numbers.
        steps = apart(number_of(first), number_of(before)) / 30
        assert float(first.time - before.time) == pytest.approx(steps, abs=0.05)
        assert not any(frame.after_gap for frame in taken(source, 5))
        assert first.image.shape == (120, 160, 3)
        assert source.health().reconnects == 1
    assert any("interrupted 1 times" in note for note in source.notes)
    assert any("scaled to that of the first" in note for note in source.notes)


def test_a_frozen_server_is_noticed_in_time_and_taken_back(new_server: NewServer) -> None:
    server = new_server()
    server.start()
    tcp, udp = watching(server.url("/a")), watching(server.url("/b"), transport="udp")
    with tcp as one, udp as other:
        for source in (one, other):
            taken(source, 10)
        server.freeze()
        for source in (one, other):
            # FFmpeg's own error comes after twice the timeout.
            noticed_s = wait_for(lambda s=source: not s.health().connected, READ_TIMEOUT_S + 0.5)
            print(f"noticed after {noticed_s:.2f} s, with a read timeout of {READ_TIMEOUT_S} s")
        time.sleep(0.3)
        server.thaw()
        for source in (one, other):
            assert after_gap(source, 5).index >= 10


def test_a_slow_moment_shorter_than_the_timeout_is_no_interruption(new_server: NewServer) -> None:
    server = new_server()
    server.start()
    with watching(server.url("/a"), read_timeout_s=3.0) as source:
        before = taken(source, 20)[-1]
        server.freeze()
        time.sleep(0.5)
        server.thaw()
        frames = taken(source, 30)
        health = source.health()
    assert health.reconnects == 0
    assert not any(frame.after_gap for frame in frames)
    for frame in frames:  # those that came late still have the time of their pictures
        steps = apart(number_of(frame), number_of(before))
        assert float(frame.time - before.time) == pytest.approx(steps / 30, abs=1 / 60)


@pytest.mark.parametrize(
    ("path", "login", "words"),
    [("/a", "me:wr0ng", "user name and password"), ("/nothing", "me:s3cret", "check the path")],
)
def test_what_cannot_be_opened_says_so_at_once_and_without_its_password(
    new_server: NewServer, path: str, login: str, words: str
) -> None:
    server = new_server(login="me:s3cret")
    server.start()
    began = time.monotonic()
    with watching(server.url(path, login)) as source, pytest.raises(SourceError) as caught:
        source.info  # noqa: B018
    assert time.monotonic() - began < 1
    shown = f"{caught.value!r} {caught.value.__cause__} {caught.value.__context__} {source.notes}"
    assert words in shown
    assert "wr0ng" not in shown
    assert "s3cret" not in shown
    assert list(source) == []


def test_with_the_right_password_frames_come_and_it_is_shown_nowhere(
    new_server: NewServer,
) -> None:
    server = new_server(login="me:s3cret")
    server.start()
    with watching(server.url("/a", "me:s3cret"), give_up_after_s=0.5) as source:
        taken(source, 3)
        assert not source.gave_up
        server.kill()
        for _ in source:
            pass
    assert source.gave_up
    shown = f"{source.info} {source.notes}"
    assert "gave no frame for 0.5 s and was given up" in shown
    assert "s3cret" not in shown


def test_what_is_never_there_is_given_up() -> None:
    url = "rtsp://me:s3cret@127.0.0.1:9/a"
    with watching(url, give_up_after_s=0.6) as source:
        with pytest.raises(SourceError, match=r"nothing listens.* up after 0\.6 s") as caught:
            next(source)
        assert "s3cret" not in str(caught.value)
        assert source.ended


def test_who_is_slow_gets_the_newest_or_oldest_and_the_rest_is_counted(
    camera: RtspServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamdeid.sources.exchange.MOST_WAITING", 10)

    def check(when_behind: WhenBehind) -> None:
        with watching(camera.url("/a"), when_behind=when_behind) as source:
            first = taken(source, 1)[0]
            seen = wait_for(lambda: source.health().seen >= 40, 4)
            assert seen < 3, "nobody took frames, and yet the stream was read"
            health = source.health()
            assert health.skipped["behind"] >= 25
            assert health.waiting <= 11
            second = taken(source, 1)[0]
            expected = first.index + 1 if when_behind == "drop-newest" else health.seen - 10
            assert second.index == pytest.approx(expected, abs=3)
            assert health.reconnects == 0

    side_by_side(check, "drop-oldest", "drop-newest")


def test_a_sender_that_may_wait_loses_no_frame(camera: RtspServer) -> None:
    with watching(camera.url("/a"), when_behind="wait", read_timeout_s=3.0) as source:
        frames = []
        for _ in range(20):
            frames += taken(source, 1)
            time.sleep(0.04)
    assert [frame.index for frame in frames] == list(range(frames[0].index, frames[0].index + 20))
    assert set(source.health().skipped) <= {"untimed", "ended"}


def _open_things() -> tuple[int, int]:
    return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def test_ten_reconnects_in_a_row_leave_nothing_behind(
    new_server: NewServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamdeid.sources.reading.LONGEST_PAUSE_S", 0.1)
    server = new_server()
    server.start()
    with watching(server.url("/a")) as source:
        taken(source, 3)
        held, waits, resident = [], [], []
        for _ in range(10):
            server.kill()
            server.start()
            began = time.monotonic()
            after_gap(source, 5)
            waits.append(time.monotonic() - began)
            gc.collect()
            held.append(_open_things())
            resident.append(_resident_mb())
        assert source.health().reconnects == 10
    print(f"frames again after {max(waits):.2f} s at most; resident {resident} MiB")
    assert len(set(held[2:])) == 1, held
    assert resident[-1] - resident[2] < 8, resident


def test_forgetting_or_closing_ends_the_thread_even_while_the_server_is_frozen(
    new_server: NewServer,
) -> None:
    server = new_server()
    server.start()
    source = LiveSource(server.url("/a"), read_timeout_s=60.0)
    thread = source._thread
    taken(source, 3)
    server.freeze()
    began = time.monotonic()
    source.close()
    assert time.monotonic() - began < 1.3
    assert not thread.is_alive(), "FFmpeg's read was not interrupted"
    assert list(source) == []
    server.thaw()
    forgotten = LiveSource(server.url("/a"))
    thread = forgotten._thread
    taken(forgotten, 3)
    del forgotten
    gc.collect()
    wait_for(lambda: not thread.is_alive(), 2)


def _datagram_sockets() -> int:
    """How many this process has."""
    lines = Path("/proc/net/udp").read_text(encoding="ascii").splitlines()[1:]
    names = {f"socket:[{line.split()[9]}]" for line in lines}
    count = 0
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            count += str(entry.readlink()) in names
    return count


@pytest.mark.parametrize(("terms", "expected"), [({}, 0), ({"transport": "udp"}, 2)])
def test_pictures_come_by_tcp_unless_udp_is_asked_for(
    camera: RtspServer, terms: dict[str, str], expected: int
) -> None:
    with watching(camera.url("/a"), **terms) as source:
        taken(source, 1)
        assert _datagram_sockets() == expected  # one for pictures, one for reports


def test_attempts_to_connect_come_ever_more_rarely_and_at_random() -> None:
    random.seed(8)
    parts = [random.uniform(0.5, 1) for _ in range(2)]  # noqa: S311
    random.seed(8)
    moments: list[float] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def refuse() -> None:
            with suppress(OSError):
                while True:
                    server.accept()[0].close()
                    moments.append(time.monotonic())

        thread = threading.Thread(target=refuse)
        thread.start()
        url = f"rtsp://127.0.0.1:{server.getsockname()[1]}/a"
        with watching(url, give_up_after_s=0.9) as source, pytest.raises(SourceError):
            next(source)
        server.shutdown(socket.SHUT_RDWR)  # ends accept
        thread.join()
    pauses = [later - earlier for earlier, later in pairwise(moments)]
    assert len(pauses) >= 2
    for pause, part, most in zip(pauses[:2], parts, (0.25, 0.5), strict=True):
        assert part * most - 0.01 < pause < part * most + 0.2


def test_open_source_opens_a_stream(camera: RtspServer) -> None:
    source = open_source(camera.url("/a"))
    with source:
        assert source.info.live
        assert next(iter(source)).image.shape == (120, 160, 3)


def test_counts_add_up_whenever_they_are_read(camera: RtspServer) -> None:
    looks: list[Health] = []
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.002):
            looks.append(source.health())

    with watching(camera.url("/a")) as source:
        looker = threading.Thread(target=look)
        looker.start()
        taken(source, 15)
        done.set()
        looker.join()
    assert len(looks) > 20
    for health in looks:
        assert 0 <= health.waiting <= MOST_WAITING
        assert health.seen == health.used + sum(health.skipped.values()) + health.waiting
