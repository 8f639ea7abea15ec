"""Damaged files: what decodes is given, in order of time, and nothing but SourceError is raised."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from streamdeid.errors import SourceError
from streamdeid.frame import Frame
from streamdeid.sources.file import FileSource
from tests.videos import flip_bits, number_of, numbered_images, write_video

KINDS: list[tuple[str, dict[str, Any]]] = [
    ("h264.mp4", {"container_options": {"movflags": "faststart"}}),
    ("mpeg4.mov", {"codec": "mpeg4"}),
    ("vp9.mkv", {"codec": "libvpx-vp9"}),
    ("vp9.webm", {"codec": "libvpx-vp9"}),
    ("mpeg4.avi", {"codec": "mpeg4", "options": {"bf": "2"}}),
    ("mjpeg.avi", {"codec": "mjpeg", "pixel_format": "yuvj420p"}),
    ("animation.gif", {"codec": "gif", "pixel_format": "rgb8"}),
    ("h264.ts", {}),
    ("fields.ts", {"codec": "mpeg2video", "interlaced": True}),
]
COUNT = 30

REORDERED = 8
"""Frames that H.264's and MPEG-4's encoders may send out of order here."""


def _read(path: Path, data: bytes) -> tuple[list[Frame], list[str]] | None:
    """What the file gives, or None if it is refused; raises whatever else happens."""
    path.write_bytes(data)
    try:
        with FileSource(path) as source:
            frames = list(source)
    except SourceError:
        return None
    assert frames
    assert all(a.time <= b.time for a, b in pairwise(frames))
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert len({frame.image.shape for frame in frames}) == 1
    return frames, source.notes


@pytest.mark.timeout(30)
@pytest.mark.parametrize(("name", "how"), KINDS, ids=[name for name, _ in KINDS])
def test_a_file_cut_anywhere_gives_its_beginning_or_is_refused(
    tmp_path: Path, name: str, how: dict[str, Any]
) -> None:
    whole = write_video(tmp_path / name, numbered_images(COUNT), **how).read_bytes()
    counts = [0]
    for cut in range(1, 41):
        got = _read(tmp_path / f"cut-{name}", whole[: len(whole) * cut // 40])
        if got is not None:
            frames, notes = got
            counts.append(len(frames))
            # Near the cut, B-frames are missing and the very last picture may be cut itself.
            sound = max(len(frames) - REORDERED, 0)
            assert [number_of(frame.image) for frame in frames[:sound]] == list(range(sound))
            says_its_length = not name.endswith((".gif", ".ts"))
            if says_its_length and len(frames) < COUNT - 3:
                assert any("ends in damaged data" in note for note in notes)
    assert counts == sorted(counts)
    assert counts[-1] == COUNT


@pytest.mark.timeout(30)
@pytest.mark.parametrize("flips", [1, 10, 100])
@pytest.mark.parametrize(("name", "how"), KINDS, ids=[name for name, _ in KINDS])
def test_flipped_bits_are_survived(
    tmp_path: Path, name: str, how: dict[str, Any], flips: int
) -> None:
    whole = write_video(tmp_path / name, numbered_images(COUNT), **how).read_bytes()
    for seed in range(25):
        _read(tmp_path / f"bad-{name}", flip_bits(whole, flips, seed))


@pytest.mark.timeout(30)
def test_damage_within_the_pictures_is_flagged_and_later_frames_still_come(tmp_path: Path) -> None:
    whole = write_video(
        tmp_path / "x.ts", numbered_images(100), options={"g": "20", "b": "2M"}
    ).read_bytes()
    start = len(whole) // 3
    damaged = flip_bits(whole[: start + 2000], 60, seed=3, start=start) + whole[start + 2000 :]
    got = _read(tmp_path / "bad.ts", damaged)
    assert got is not None
    frames, notes = got
    assert any(frame.corrupt for frame in frames) or notes
    assert [number_of(frame.image) for frame in frames[-20:]] == list(range(80, 100))
    assert not any(frame.corrupt for frame in frames[-20:])
