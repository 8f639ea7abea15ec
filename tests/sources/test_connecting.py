"""Live URLs other than RTSP: what they may open, and what becomes of it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import av
import pytest

from streamdeid.errors import SourceError
from streamdeid.sources.connecting import is_live, kind_of
from streamdeid.sources.live import LiveSource
from tests.sources.conftest import number_of, picture

FRAMES = 40


def _record(path: Path, kind: str) -> Path:
    with av.open(str(path), "w", format=kind) as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        stream.thread_count = 1
        stream.options = {"preset": "ultrafast", "tune": "zerolatency"}
        for number in range(FRAMES):
            image = picture(number, 160, 120)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """The URL of a web server that serves `tmp_path`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path)))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("uri", "kind", "live"),
    [
        ("RTSP://camera/1", "rtsp", True),
        ("https://host/a.m3u8", "https", True),
        ("-", "pipe", True),
        ("pipe:0", "pipe", True),
        ("v4l2:/dev/video0", "v4l2", True),
        ("./-", "file", False),
        ("a:b.mp4", "file", False),
        ("file:///a.mp4", "file", False),
        ("ftp://host/a.mp4", "ftp", False),
        ("concat:a|b", "file", False),
    ],
)
def test_what_is_live_is_told_by_its_name(uri: str, kind: str, live: bool) -> None:
    assert kind_of(uri) == kind
    assert is_live(uri) == live


def test_what_is_not_live_is_refused() -> None:
    with pytest.raises(SourceError, match="ftp://host/a is no stream") as caught:
        LiveSource("ftp://me:s3cret@host/a")
    assert "s3cret" not in str(caught.value)


def test_a_recording_on_a_web_server_is_read_whole_and_ends(web: str, tmp_path: Path) -> None:
    _record(tmp_path / "a.mp4", "mp4")
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


def test_a_remote_playlist_reaches_no_file_of_this_machine(web: str, tmp_path: Path) -> None:
    secret = _record(tmp_path / "secret.ts", "mpegts")
    beginning, end = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.3,\n", "\n#EXT-X-ENDLIST\n"
    terms = {"open_timeout_s": 1.0, "read_timeout_s": 0.5, "give_up_after_s": 0.5}
    playlist = tmp_path / "list.m3u8"
    playlist.write_text(f"{beginning}file:{secret}{end}", encoding="utf-8")
    with LiveSource(f"{web}/list.m3u8", **terms) as source, pytest.raises(SourceError):
        next(source)
    # The same playlist is read if it names what may be opened.
    playlist.write_text(f"{beginning}{web}/secret.ts{end}", encoding="utf-8")
    with LiveSource(f"{web}/list.m3u8", **terms) as source:
        assert number_of(next(source)) == 0


def test_a_pipe_is_read_to_its_end_however_slowly(tmp_path: Path) -> None:
    data = _record(tmp_path / "a.ts", "mpegts").read_bytes()
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(data)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        with LiveSource(f"pipe:{reading}", read_timeout_s=3.0) as source:
            assert source.info.live
            frames = []
            for frame in source:
                frames.append(frame)
                time.sleep(0.005)
        assert source.health().skipped == {}
    finally:
        thread.join()
        os.close(reading)
    assert [number_of(frame) for frame in frames] == list(range(FRAMES))
    assert source.notes == []


def test_a_pipe_that_says_nothing_is_given_up_in_time() -> None:
    reading, writing = os.pipe()
    try:
        began = time.monotonic()
        with LiveSource(f"pipe:{reading}", read_timeout_s=0.3) as source:
            with pytest.raises(SourceError, match=f"pipe:{reading}"):
                next(source)
            assert time.monotonic() - began < 1.5
    finally:
        os.close(reading)
        os.close(writing)


def test_a_device_that_is_not_there_is_given_up() -> None:
    words = pytest.raises(SourceError, match="cannot be opened: No such file or directory")
    with LiveSource("v4l2:/dev/no-such-video", give_up_after_s=0.3) as source, words:
        next(source)
