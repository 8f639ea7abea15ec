"""What users call a video, and what is shown of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamdeid.errors import SourceError
from streamdeid.sources.source import open_source
from streamdeid.sources.uri import local_path, redact, redact_url, scheme_of


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://user:secret@camera:554/1", "rtsp://camera:554/1"),
        ("rtsp://user@camera/1", "rtsp://camera/1"),
        ("rtsp://user:se@cr@et@camera/1", "rtsp://camera/1"),
        ("rtsp://user:se/cret@camera/1", "rtsp://camera/1"),
        ("RTSPS://user:secret@[::1]:554/1", "RTSPS://[::1]:554/1"),
        (
            "http://camera/video?user=a&pwd=secret&fps=5",
            "http://camera/video?user=***&pwd=***&fps=5",
        ),
        ("cannot open 'http://u:secret@h/x'", "cannot open 'http://h/x'"),
        ("rtsp://camera:554/stream@1", "rtsp://camera:554/stream@1"),
        ("a@b.mp4", "a@b.mp4"),
        ("srt://h:9000?mode=caller&passphrase=secret", "srt://h:9000?mode=caller&passphrase=***"),
        (
            "http://h/a?X-Amz-Signature=s&x=1&api_key=s",
            "http://h/a?X-Amz-Signature=***&x=1&api_key=***",
        ),
        (
            "http://h/a?AWSAccessKeyId=s&sessionid=s#t=9",
            "http://h/a?AWSAccessKeyId=***&sessionid=***#t=9",
        ),
        (
            "http://h/a?client_secret=s&OAuth=s&credential=s",
            "http://h/a?client_secret=***&OAuth=***&credential=***",
        ),
        ("rtsp:/user:secret@host/1", "rtsp:/host/1"),
        ("There is no file HTTP:/user:se/cret@host/1", "There is no file HTTP:/host/1"),
        ("ab:/me@home/x.mp4", "ab:/me@home/x.mp4"),
        ("C:/me@home/x.mp4", "C:/me@home/x.mp4"),
    ],
)
def test_what_is_shown_of_a_url_holds_no_secret(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://user:se cret@camera:554/1", "rtsp://camera:554/1"),
        ("rtsp://user:se cr/et@camera/1", "rtsp://camera/1"),
        (" rtsp://user:\tse@cr et@camera/1", "rtsp://camera/1"),
        ("rtsp:/user:se cret@camera/1", "rtsp:/camera/1"),
        ("http://camera/1?password=se cret&fps=5", "http://camera/1?password=***&fps=5"),
        ("rtsp://camera:554/stream@1", "rtsp://camera:554/stream@1"),
        ("my video@home.mp4", "my video@home.mp4"),
    ],
)
def test_blanks_in_a_password_betray_nothing(url: str, shown: str) -> None:
    assert redact_url(url) == shown


NAMES = st.from_regex(r"[A-Za-z0-9._-]+", fullmatch=True)
PASSWORDS = st.from_regex(r"[!-~]+", fullmatch=True).filter(
    lambda password: not re.match(r"\d+([/?#]|$)", password)
)


@given(NAMES, PASSWORDS)
def test_no_password_survives(user: str, password: str) -> None:
    assert redact(f"rtsp://{user}:{password}@camera/1") == "rtsp://camera/1"


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("x.mp4", "x.mp4"),
        ("-x.mp4", "-x.mp4"),
        ("file:///a/b%20c.mp4", "/a/b c.mp4"),
        ("file://localhost/a/ä.mp4", "/a/ä.mp4"),
        ("FILE:///a/b#c?d.mp4", "/a/b#c?d.mp4"),
        ("a:b.mp4", "a:b.mp4"),
    ],
)
def test_a_file_is_named_by_path_or_url(uri: str, path: str) -> None:
    assert scheme_of(uri) == "file"
    assert local_path(uri) == Path(path)


def test_a_file_of_another_machine_is_refused() -> None:
    with pytest.raises(SourceError, match="another machine"):
        local_path("file://server/share/x.mp4")


def test_a_stream_that_cannot_be_read_is_refused_without_its_password() -> None:
    with pytest.raises(SourceError, match="record it to a file") as caught:
        open_source("ftp://user:secret@host/1")
    assert "secret" not in str(caught.value)
    assert "ftp://host/1" in str(caught.value)
    with pytest.raises(SourceError, match="ftp:/host/1 is a ftp stream"):
        open_source(Path("ftp://user:secret@host/1"))
