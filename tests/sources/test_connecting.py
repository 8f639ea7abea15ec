"""What a live URL is, and what it may open."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from streamdeid.errors import SourceError
from streamdeid.sources.connecting import is_live, kind_of
from streamdeid.sources.live import LiveSource
from tests.sources.conftest import number_of
from tests.sources.web import record, served

TERMS: dict[str, Any] = {"open_timeout_s": 1.0, "read_timeout_s": 0.5, "give_up_after_s": 0.3}


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """The URL of a web server that serves `tmp_path`."""
    with served(tmp_path) as url:
        yield url


@pytest.mark.parametrize(
    ("uri", "kind", "live"),
    [
        ("RTSP://camera/1", "rtsp", True),
        ("https://host/a.m3u8", "https", True),
        ("-", "pipe", True),
        ("pipe:0", "pipe", True),
        ("pipe:", "pipe", True),
        ("pipe:x", "pipe", False),
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


HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.3,\n{}\n#EXT-X-ENDLIST\n"
CONCAT = "ffconcat version 1.0\nfile '{}'\n"
DASH = """<?xml version="1.0"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT1.3S"
 profiles="urn:mpeg:dash:profile:isoff-main:2011"><Period><AdaptationSet mimeType="video/mp2t">
<Representation id="1" bandwidth="1000"><BaseURL>{}</BaseURL></Representation></AdaptationSet>
</Period></MPD>
"""

SDP = """v=0
o=- 0 0 IN IP4 127.0.0.1
s=a
c=IN IP4 127.0.0.1
t=0 0
m=video 23456 RTP/AVP 96
a=rtpmap:96 H264/90000
"""

WAYS = (
    "file:{}",
    "file://{}",
    "{}",
    "concat:{}",
    "subfile,,start,0,end,0,,:{}",
    "crypto+file:{}",
    "cache:file:{}",
    "async:{}",
)


@pytest.mark.parametrize(
    ("name", "playlist"), [("list.m3u8", HLS), ("list.ffconcat", CONCAT), ("list.mpd", DASH)]
)
def test_a_remote_playlist_reaches_no_file_of_this_machine(
    web: str, tmp_path: Path, name: str, playlist: str
) -> None:
    # Not in the folder that is served, so that no path can be meant for a part of the URL.
    secret = record(tmp_path.parent / "secret.ts", "mpegts")
    with ExitStack() as stack:
        sources = []
        for number, way in enumerate(WAYS):
            path = tmp_path / f"{number}-{name}"
            path.write_text(playlist.format(way.format(secret)), encoding="utf-8")
            source = LiveSource(f"{web}/{path.name}", **TERMS)
            sources.append(stack.enter_context(source))
        for source in sources:
            with pytest.raises(SourceError):
                next(source)


def test_a_remote_playlist_may_name_what_is_remote(web: str, tmp_path: Path) -> None:
    record(tmp_path / "part.ts", "mpegts")
    for place in (f"{web}/part.ts", "part.ts"):
        (tmp_path / "list.m3u8").write_text(HLS.format(place), encoding="utf-8")
        with LiveSource(f"{web}/list.m3u8", **TERMS) as source:
            assert number_of(next(source)) == 0


def test_what_is_remote_opens_no_protocol_that_was_not_asked_for(web: str, tmp_path: Path) -> None:
    # By itself FFmpeg would listen to the port that a session description names.
    (tmp_path / "a.sdp").write_text(SDP, encoding="utf-8")
    words = pytest.raises(SourceError, match="sends nothing that FFmpeg knows as a video")
    with LiveSource(f"{web}/a.sdp", **TERMS) as source, words:
        next(source)


@pytest.mark.parametrize("playlist", [HLS, CONCAT])
@pytest.mark.parametrize("place", ["{path}", "file:{path}", "part.ts", "{web}/part.ts"])
def test_a_playlist_in_a_pipe_reaches_no_file_and_no_network(
    web: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, playlist: str, place: str
) -> None:
    path = record(tmp_path / "part.ts", "mpegts")
    monkeypatch.chdir(tmp_path)
    reading, writing = os.pipe()
    with os.fdopen(reading), os.fdopen(writing, "w") as pipe:
        pipe.write(playlist.format(place.format(path=path, web=web)))
        pipe.close()
        with LiveSource(f"pipe:{reading}", **TERMS) as source, pytest.raises(SourceError):
            next(source)


def test_a_redirection_is_followed_to_where_it_may_lead(web: str, tmp_path: Path) -> None:
    secret = record(tmp_path / "a.ts", "mpegts")
    with LiveSource(f"{web}/goto?{web}/a.ts", **TERMS) as source:
        assert number_of(next(source)) == 0
    for place in (f"file://{secret}", f"file:{secret}", f"ftp://me:s3cret@127.0.0.1{secret}"):
        with LiveSource(f"{web}/goto?{place}", **TERMS) as source:
            with pytest.raises(SourceError) as caught:
                next(source)
            assert "s3cret" not in str(caught.value)
