"""Live sources other than RTSP: the web, pipes, datagrams and devices."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from streamdeid.errors import SourceError
from streamdeid.sources.live import LiveSource
from tests.sources.conftest import apart, number_of, picture, wait_for
from tests.sources.web import CAMERA_FPS, FRAMES, record, served


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """The URL of a web server that serves `tmp_path`."""
    with served(tmp_path) as url:
        yield url


@contextmanager
def piped(data: bytes, pause_s: float = 0.0) -> Iterator[str]:
    """The name of a pipe into which data is written, with a pause half-way."""
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(data[: len(data) // 2])
            pipe.flush()
            time.sleep(pause_s)
            pipe.write(data[len(data) // 2 :])

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield f"pipe:{reading}"
    finally:
        thread.join()
        os.close(reading)


def test_a_recording_on_a_web_server_is_read_whole_and_ends(web: str, tmp_path: Path) -> None:
    record(tmp_path / "a.mp4", "mp4")
    with LiveSource(f"{web}/a.mp4", give_up_after_s=5) as source:
        assert not source.info.live
        assert source.info.duration == pytest.approx(FRAMES / 30, abs=0.1)
        frames = []
        for frame in source:
            frames.append(frame)
            time.sleep(0.002)
        assert source.ended
    assert [number_of(frame) for frame in frames] == list(range(FRAMES))
    steps = {frame.pts - before.pts for before, frame in pairwise(frames)}
    assert steps <= {33333, 33334}
    assert source.notes == []
    assert source.health().reconnects == 0


def test_a_recording_that_breaks_off_says_so(web: str, tmp_path: Path) -> None:
    record(tmp_path / "a.mkv", "matroska")
    with LiveSource(f"{web}/cut/a.mkv", give_up_after_s=5) as source:
        assert 10 < len(list(source)) < FRAMES
    assert len(source.notes) == 1
    assert "The rest is missing." in source.notes[0]


def test_a_camera_that_sends_mjpeg_has_the_times_of_arrival_and_is_taken_back(web: str) -> None:
    with LiveSource(f"{web}/camera?10", read_timeout_s=2.0, give_up_after_s=5) as source:
        frames = [next(source) for _ in range(13)]
        assert source.info.live
        health = source.health()
    assert health.reconnects == 1
    assert set(health.skipped) == {"untimed"}  # those that came while it was opened
    assert sum(frame.after_gap for frame in frames) == 1
    first = frames[0]
    for frame in frames[1:]:
        shown_s = apart(number_of(frame), number_of(first)) / CAMERA_FPS
        # Arrival is as even as this machine is: at worst 30 ms off under load. FFmpeg, which
        # believes in 25 frames a second, whatever comes, would be 60 ms off with each frame.
        assert float(frame.time - first.time) == pytest.approx(shown_s, abs=1 / CAMERA_FPS)


def test_who_lets_the_sender_wait_uses_up_nobodys_patience(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamdeid.sources.exchange.MOST_WAITING", 2)
    frames, patience_s = 8, 0.5
    with served(tmp_path) as web:
        url = f"{web}/camera?{frames}"
        source = LiveSource(url, when_behind="wait", give_up_after_s=patience_s)
        while source.health().seen < frames:
            wait_for(lambda: source.health().waiting == 3, 2)  # two, and one that has no room
            next(source)
            wait_for(lambda: source.health().waiting == 3, 2)
        time.sleep(patience_s + 0.2)
    # The server is gone, and has its time to come back from when the last frame found room.
    began = time.monotonic()
    assert len(list(source)) == 3
    assert time.monotonic() - began >= patience_s
    source.close()
    assert source.health().reconnects == 0


@pytest.mark.parametrize("kind", ["mpegts", "h264", "matroska"])
def test_a_pipe_is_read_to_its_end_however_slowly(tmp_path: Path, kind: str) -> None:
    data = record(tmp_path / "a", kind).read_bytes()
    with piped(data) as name, LiveSource(name, read_timeout_s=3.0) as source:
        # This Matroska file says how long it is; one that is being made can't.
        assert source.info.live == (kind != "matroska")
        frames = []
        for frame in source:
            frames.append(frame)
            time.sleep(0.005)
        assert source.health().skipped == {}
    assert [number_of(frame) for frame in frames] == list(range(FRAMES))
    for before, frame in pairwise(frames):
        assert float(frame.time - before.time) == pytest.approx(1 / 30, abs=0.001)
    assert source.notes == []


def test_two_recordings_in_one_pipe_follow_each_other(tmp_path: Path) -> None:
    data = record(tmp_path / "a.ts", "mpegts").read_bytes()
    with piped(data + data) as name, LiveSource(name) as source:
        frames = list(source)
    assert [number_of(frame) for frame in frames] == 2 * list(range(FRAMES))
    assert [frame.after_gap for frame in frames] == [k == FRAMES for k in range(2 * FRAMES)]
    for before, frame in pairwise(frames):
        assert float(frame.time - before.time) == pytest.approx(1 / 30, abs=0.001)
    assert source.health().reconnects == 0
    assert source.notes == []


def test_a_pipe_may_pause_for_longer_than_a_network_may(tmp_path: Path) -> None:
    data = record(tmp_path / "a.ts", "mpegts").read_bytes()
    with piped(data, pause_s=0.8) as name, LiveSource(name, read_timeout_s=0.2) as source:
        assert len(list(source)) == FRAMES
    assert source.notes == []


def test_a_pipe_that_says_nothing_is_given_up_in_time() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading), os.fdopen(writing):
        began = time.monotonic()
        with LiveSource(f"pipe:{reading}", give_up_after_s=0.3) as source:
            with pytest.raises(SourceError, match=f"pipe:{reading}"):
                next(source)
            assert time.monotonic() - began < 1.5


def test_a_silent_pipe_does_not_hold_up_closing() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading), os.fdopen(writing):
        source = LiveSource(f"pipe:{reading}", give_up_after_s=None)
        time.sleep(0.05)
        source.close()
        wait_for(lambda: not source._thread.is_alive(), 1)
        assert list(source) == []


def test_standard_input_is_a_pipe(tmp_path: Path, python_environment: dict[str, str]) -> None:
    code = (
        "from streamdeid.sources.source import open_source\n"
        "with open_source('-') as source: print(len(list(source)))"
    )
    with record(tmp_path / "a.ts", "mpegts").open("rb") as file:
        run = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            stdin=file,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            env=python_environment,
        )
    assert (run.stdout, run.stderr) == (f"{FRAMES}\n", "")


@contextmanager
def sent(url: str) -> Iterator[None]:
    """Datagrams that hold a transport stream of test pictures, 30 a second."""
    done = threading.Event()

    def send() -> None:
        with av.open(url, "w", format="mpegts") as container:
            stream = container.add_stream("libx264", rate=30)
            stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
            stream.thread_count = 1
            stream.options = {"preset": "ultrafast", "tune": "zerolatency", "g": "5"}
            number = 0
            while not done.wait(1 / 30):
                frame = av.VideoFrame.from_ndarray(picture(number, 160, 120), format="rgb24")
                container.mux(stream.encode(frame))
                number += 1

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_datagrams_are_read_and_their_end_is_noticed() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"udp://127.0.0.1:{probe.getsockname()[1]}"
    with LiveSource(url, read_timeout_s=0.4, give_up_after_s=0.5) as source:
        with sent(f"{url}?pkt_size=1316"):
            frames = [frame for frame, _ in zip(source, range(30), strict=False)]
        began = time.monotonic()
        for _ in source:
            pass
        assert time.monotonic() - began < 2.5
    assert "sent nothing" in source.notes[0] or "did not answer" in source.notes[0]
    first = frames[0]
    for frame in frames[1:]:
        shown_s = apart(number_of(frame), number_of(first)) / 30
        assert float(frame.time - first.time) == pytest.approx(shown_s, abs=1 / 60)


@contextmanager
def sound_going_on(tmp_path: Path) -> Iterator[str]:
    """The URL of a sender whose pictures stop after a second, and whose sound does not."""
    path = tmp_path / "a.ts"
    with av.open(str(path), "w", format="mpegts") as container:
        video = container.add_stream("libx264", rate=30)
        video.width, video.height, video.pix_fmt = 160, 120, "yuv420p"
        video.thread_count = 1
        video.options = {"preset": "ultrafast", "tune": "zerolatency"}
        audio = container.add_stream("mp2", rate=48_000, layout="mono")
        for number in range(FRAMES):
            image = picture(number, 160, 120)
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        for number in range(500):
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 1152), np.int16), "s16", "mono")
            sound.sample_rate, sound.pts = 48_000, number * 1152
            container.mux(audio.encode(sound))
    data = path.read_bytes()

    def send() -> None:
        with suppress(OSError), listening.accept()[0] as connection:
            for k in range(0, len(data), 1316):
                connection.sendall(data[k : k + 1316])
                if done.wait(0.02):
                    return

    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(5)
        thread = threading.Thread(target=send)
        thread.start()
        try:
            yield f"tcp://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            done.set()
            thread.join()


def test_pictures_that_stop_are_noticed_although_the_sound_goes_on(tmp_path: Path) -> None:
    with (
        sound_going_on(tmp_path) as url,
        LiveSource(url, read_timeout_s=0.5, give_up_after_s=1.0) as source,
    ):
        frames = list(source)
        assert (source.health().last_frame_age_s or 9) < 2
    assert len(frames) > FRAMES / 2


def test_a_device_that_is_not_there_is_given_up() -> None:
    words = pytest.raises(SourceError, match="cannot be opened: No such file or directory")
    with LiveSource("v4l2:/dev/no-such-video", give_up_after_s=0.3) as source, words:
        next(source)
