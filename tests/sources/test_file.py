"""FileSource: which frames come, when they are shown, and what is refused."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from streamdeid.errors import SourceError
from streamdeid.frame import Image
from streamdeid.sources.file import FileSource
from streamdeid.sources.source import open_source
from streamdeid.sources.upright import Uprighter
from tests.videos import number_of, numbered_image, numbered_images, write_audio, write_video

CONTAINERS: list[tuple[str, dict[str, Any]]] = [
    ("h264.mp4", {}),
    ("sound.mp4", {"audio": True}),
    ("cover.mp4", {"cover": True}),
    ("hevc-10-bit.mov", {"pixel_format": "yuv420p10le"}),
    ("vp9.webm", {"codec": "libvpx-vp9"}),
    ("vp9.mkv", {"codec": "libvpx-vp9"}),
    ("gray.mkv", {"codec": "ffv1", "pixel_format": "gray"}),
    ("b-frames.avi", {"codec": "mpeg4", "options": {"bf": "2"}}),
    ("h264-b-frames.avi", {}),
    ("mjpeg.avi", {"codec": "mjpeg", "pixel_format": "yuvj420p"}),
    ("animation.gif", {"codec": "gif", "pixel_format": "rgb8"}),
    ("h264.ts", {}),
    ("mpeg2.mpg", {"codec": "mpeg2video"}),
    ("h264.flv", {}),
    ("wmv2.wmv", {"codec": "wmv2", "container_format": "asf"}),
    ("raw.h264", {"container_format": "h264"}),
    ("fields.mp4", {"interlaced": True}),
    ("fields.ts", {"interlaced": True, "codec": "mpeg2video"}),
]


def test_no_decoded_frame_is_left_to_the_garbage_collector(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", numbered_images(5))

    def decoded() -> set[int]:
        return {id(thing) for thing in gc.get_objects() if isinstance(thing, av.VideoFrame)}

    gc.collect()
    gc.disable()
    try:
        before = decoded()  # pictures of other tests may be views of theirs
        with FileSource(path) as source:
            assert len(list(source)) == 5
        del source
        left = decoded() - before
    finally:
        gc.enable()
    assert left == set()


@pytest.mark.parametrize(("name", "how"), CONTAINERS, ids=[name for name, _ in CONTAINERS])
def test_every_container_gives_every_frame_in_order_and_in_time(
    tmp_path: Path, name: str, how: dict[str, Any]
) -> None:
    path = write_video(tmp_path / name, numbered_images(40), **how)
    with FileSource(path) as source:
        frames = list(source)
    assert [number_of(frame.image) for frame in frames] == list(range(40))
    assert [frame.index for frame in frames] == list(range(40))
    times = [frame.time - frames[0].time for frame in frames]
    assert times == [Fraction(k, 25) for k in range(40)]
    assert not any(frame.corrupt for frame in frames)
    assert source.info.frame_rate == 25
    assert (source.info.width, source.info.height) == (96, 64)
    if name != "raw.h264":  # which has no time stamps at all, and says so
        assert source.notes == []


@pytest.mark.parametrize("name", ["vfr.mp4", "vfr.mkv"])
def test_variable_frame_rate_and_a_late_start_keep_their_times(tmp_path: Path, name: str) -> None:
    pts = [700, 733, 766, 1400, 1410, 1475, 3000, 3033]
    path = write_video(tmp_path / name, numbered_images(8), pts=pts, time_base=Fraction(1, 1000))
    with FileSource(path) as source:
        assert [frame.time * 1000 for frame in source] == pts
        assert source.notes == []


@pytest.mark.parametrize(
    "name", ["-x.mp4", "a b.mp4", "ä ö 電影.mp4", "a:b.mp4", "%d.mp4", "a#b?c.mp4", "'\".mp4"]
)
def test_any_name_is_only_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write_video(tmp_path / "plain.mp4", numbered_images(2)).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    with open_source(name) as source:
        assert len(list(source)) == 2
        assert source.info.uri == name
    with open_source((tmp_path / name).as_uri()) as source:
        assert len(list(source)) == 2


def test_images_are_read_only_and_contiguous_whatever_the_width(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "x.mkv", numbered_images(2, 97, 65), codec="ffv1", pixel_format="yuv444p"
    )
    with FileSource(path) as source:
        for frame in source:
            assert frame.image.shape == (65, 97, 3)
            assert frame.image.flags.c_contiguous
            with pytest.raises(ValueError, match="read-only"):
                frame.image[0] = 0


def test_frames_outlive_the_file(tmp_path: Path) -> None:
    path = write_video(tmp_path / "x.mp4", numbered_images(30))
    with FileSource(path) as source:
        frames = list(source)
    assert [number_of(frame.image) for frame in frames] == list(range(30))


def test_iterating_again_goes_on_and_skimming_counts_the_rest(tmp_path: Path) -> None:
    for how in ({}, {"interlaced": True}):
        path = write_video(tmp_path / "x.mp4", numbered_images(20), **how)
        with FileSource(path) as source:
            first = [next(iter(source)).index for _ in range(7)]
            assert first == list(range(7))
            assert list(source.skim()) == [False] * 13
            assert list(source) == []
        with FileSource(path) as source:
            assert len(list(source.skim())) == 20


def test_after_closing_there_are_no_frames_and_closing_twice_is_fine(tmp_path: Path) -> None:
    source = FileSource(write_video(tmp_path / "x.mp4", numbered_images(20)))
    next(iter(source))
    source.close()
    source.close()
    assert list(source) == []
    assert list(source.skim()) == []


def test_closing_from_another_thread_ends_the_reading(tmp_path: Path) -> None:
    path = write_video(tmp_path / "x.mp4", numbered_images(300))
    for pause_s in (0.0, 0.002, 0.01):
        source = FileSource(path)
        reader = threading.Thread(target=lambda s=source: sum(1 for _ in s))
        reader.start()
        threading.Event().wait(pause_s)
        source.close()
        reader.join(5)
        assert not reader.is_alive()


def test_a_video_that_changes_its_size_is_scaled_to_its_first_frame(tmp_path: Path) -> None:
    small = write_video(tmp_path / "a.ts", numbered_images(10), options={"bf": "0"}).read_bytes()
    large = write_video(
        tmp_path / "b.ts",
        (numbered_image(n, 192, 128) for n in range(10, 20)),
        options={"bf": "0"},
    ).read_bytes()
    (tmp_path / "both.ts").write_bytes(small + large)
    with FileSource(tmp_path / "both.ts") as source:
        frames = list(source)
    assert {frame.image.shape for frame in frames} == {(64, 96, 3)}
    assert [number_of(frame.image) for frame in frames] == list(range(20))
    assert all(a.time < b.time for a, b in pairwise(frames))
    assert any("changes its picture size: 10 frames" in note for note in source.notes)


def _bad_files(folder: Path) -> Iterator[tuple[str, Path, str]]:
    video = write_video(folder / "good.mp4", numbered_images(30)).read_bytes()
    yield "missing", folder / "nowhere.mp4", "no file"
    yield "folder", folder, "is a folder"
    yield "empty", _file(folder / "empty.mp4", b""), "is empty"
    yield "noise", _file(folder / "n.mp4", np.random.default_rng(1).bytes(5000)), "not a video"
    yield "text", _file(folder / "notes.txt", b"Dear diary,\n" * 50), "is a text"
    yield "index cut off", _file(folder / "cut.mp4", video[: len(video) // 2]), "moov atom"
    yield "sound only", write_audio(folder / "sound.m4a"), "only audio"
    yield "sound and cover", write_audio(folder / "c.mp4", cover=True), "a cover picture"
    yield "no frames", _file(folder / "none.gif", b"GIF89a\x10\x00\x10\x00\x00\x00\x00;"), "GIF|gif"
    yield "null", Path("a\0b"), "cannot be read"
    picture = write_video(folder / "x.png", numbered_images(1), codec="png", pixel_format="rgb24")
    yield "picture", picture, "is a picture"
    playlist = b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:9/x.ts\n"
    yield "playlist", _file(folder / "list.m3u8", playlist), "is a playlist"
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe")
        yield "pipe", folder / "pipe", "is a pipe"


def _file(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_what_cannot_be_read_is_refused_with_one_sentence_that_names_it(tmp_path: Path) -> None:
    for kind, path, says in _bad_files(tmp_path):
        with pytest.raises(SourceError, match=says) as caught:
            FileSource(path)
        text = str(caught.value)
        assert path.name in text or repr(str(path)) in text, kind
        assert text.endswith("."), kind
        assert text.rstrip(".").count(". ") == 0, kind
        assert "\n" not in text, kind


def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "x.mp4", numbered_images(2))
    path.chmod(0)
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    if root:  # who may read everything, and so becomes somebody else for a moment
        tmp_path.chmod(0o755)
        os.seteuid(65534)
    try:
        with pytest.raises(SourceError, match=r"may not be read|cannot be read"):
            FileSource(path)
    finally:
        if root:
            os.seteuid(0)


def test_an_image_that_comes_before_an_error_keeps_its_time(tmp_path: Path) -> None:
    class Breaks(Uprighter):
        """Holds one image back, gives it with the fifth frame, and then cannot take that."""

        def __init__(self) -> None:
            super().__init__(None)
            self.taken = 0
            self.late: list[Image] = []

        def take(self, frame: Any) -> Iterator[Image]:
            self.taken += 1
            yield from self.rest()
            if self.taken == 5:
                raise av.error.InvalidDataError(22, "broken")
            self.late = list(super().take(frame))

        def rest(self) -> Iterator[Image]:
            out, self.late = self.late, []
            yield from out

    path = write_video(tmp_path / "a.mp4", numbered_images(10))
    with FileSource(path) as whole:
        times = {number_of(frame.image): frame.time for frame in whole}
    with FileSource(path) as source:
        source._uprighter = Breaks()
        next(source)
        found = {number_of(frame.image): frame.time for frame in source}
        assert any("1 frames that cannot be converted" in note for note in source.notes)
    assert len(found) == 8
    assert found.items() <= times.items()
