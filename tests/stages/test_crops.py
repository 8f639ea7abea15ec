"""Crops for I3D: one window for both videos, that glides, waits, and says when it was lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from streamdeid.frame import Image
from streamdeid.observations import Box, Face, FaceCrop, Sighting
from streamdeid.pair import Pair
from streamdeid.stages.crops import FaceCrops, FsmetricCropping, SteadyCropping, Window
from tests.stages.conftest import as_frame

SIZE = 224

Place = tuple[float, float, float] | None
"""Centre x, y and side of a face, in pixels; None: nobody is seen."""


def sighting(image: Image, place: Place) -> Sighting:
    face = None
    if place is not None:
        x, y, side = place
        box = Box(x - side / 2, y - side / 2, x + side / 2, y + side / 2)
        face = Face(np.zeros((478, 3), np.float32), box, 1.0)
    return Sighting(as_frame(image), face)


def picture(rows: int, columns: int) -> Image:
    """Each pixel tells its place: 0 in the middle of the frame's left edge would be -0.5."""
    image = np.zeros((rows, columns, 3), np.uint8)
    image[..., 0] = np.linspace(0, 255, columns)
    image[..., 1] = np.linspace(0, 255, rows)[:, None]
    return image


def push(stage: FaceCrops, image: Image, a: Place, b: Place = None) -> list[Pair[FaceCrop]]:
    return list(stage.push(Pair(sighting(image, a), sighting(image, b))))


FACE = (100.0, 80.0, 60.0)
IMAGE = picture(200, 240)


def test_crops_are_planes_of_224_pixels_for_both_sides() -> None:
    (pair,) = push(FaceCrops(), IMAGE, FACE, FACE)
    for _, crop in pair.items():
        assert crop.planes.shape == (3, SIZE, SIZE)
        assert crop.planes.dtype == np.float32
        assert crop.planes.flags.c_contiguous
        assert (crop.index, crop.after_gap, crop.held) == (0, False, False)
    np.testing.assert_array_equal(pair.original.planes, pair.deidentified.planes)


def test_the_window_has_a_margin_around_the_originals_face() -> None:
    (pair,) = push(FaceCrops(SteadyCropping(margin=1.5)), IMAGE, FACE, (150, 150, 20))
    red, green, _ = pair.original.planes
    # Half of 1.5 * 60 pixels to either side; the outermost samples lie half a step further in.
    inset = 90 / SIZE / 2
    for values, pixels, low, high in ((red[0], 239, 55, 145), (green[:, 0], 199, 35, 125)):
        first, last = values[[0, -1]] * pixels / 255
        assert first == pytest.approx(low + inset, abs=0.8)
        assert last == pytest.approx(high - inset, abs=0.8)


def test_where_the_original_has_no_face_the_other_one_leads() -> None:
    (led,) = push(FaceCrops(), IMAGE, None, FACE)
    (own,) = push(FaceCrops(), IMAGE, FACE)
    np.testing.assert_array_equal(led.original.planes, own.original.planes)
    assert not led.original.held


def test_a_deidentified_video_of_another_size_shows_the_same() -> None:
    image = np.random.default_rng(0).integers(0, 256, (50, 60, 3)).astype(np.uint8)
    image = image.repeat(4, axis=0).repeat(4, axis=1)
    larger = image.repeat(2, axis=0).repeat(2, axis=1)
    pair = Pair(sighting(image, FACE), sighting(larger, None))
    (crops,) = FaceCrops().push(pair)
    # Pixels twice as large blend over twice the width; away from edges nothing differs.
    difference = np.abs(crops.original.planes - crops.deidentified.planes)
    assert np.median(difference) < 1e-3
    assert difference.mean() < 7, "a pixel beside would be 20"


def test_a_jumping_face_moves_the_window_little() -> None:
    cropping = SteadyCropping()
    lefts = []
    for at in range(40):
        jump = 4 if at % 2 else -4
        window = cropping.follow(
            Pair(sighting(IMAGE, (100.0 + jump, 80, 60)), sighting(IMAGE, None))
        )
        assert window is not None
        lefts.append(window.left * 240)
    assert np.ptp(lefts[20:]) < 1.1


def test_the_window_arrives_where_the_face_stays() -> None:
    cropping = SteadyCropping(margin=1)
    for place in [(60, 80, 40), *[(160, 100, 80)] * 60]:
        window = cropping.follow(Pair(sighting(IMAGE, place), sighting(IMAGE, None)))
    assert window is not None
    assert window.pixels(IMAGE) == pytest.approx((120.5, 60.5, 200.5, 140.5), abs=0.1)


# Frames with a face, without any, and so on; which are cropped with a hold of 3; which of those
# come after a gap; and how many are held and skipped.
LOSSES: Sequence[tuple[str, str, int, int, int]] = (
    ("ffffff", "cccccc", 0, 0, 0),
    ("ff...f", "cchhhc", 0, 3, 0),
    ("ff....f", "cchhh-g", 1, 3, 1),
    ("..ff", "--cc", 0, 0, 2),
    ("f......f.....f", "chhh---ghhh--g", 2, 6, 5),
    (".....", "-----", 0, 0, 5),
)


@pytest.mark.parametrize(("seen", "cropped", "gaps", "held", "skipped"), LOSSES)
def test_a_lost_face_is_held_then_skipped_then_a_gap(
    seen: str, cropped: str, gaps: int, held: int, skipped: int
) -> None:
    stage = FaceCrops(SteadyCropping(hold=3))
    found = ""
    for at, letter in enumerate(seen):
        pairs = push(stage, IMAGE, FACE if letter == "f" else None)
        found += "-" if not pairs else "".join(letter_of(p.original) for p in pairs)
        assert all(crop.index == at for pair in pairs for _, crop in pair.items())
    assert found == cropped
    assert (stage.gaps, stage.held, stage.skipped) == (gaps, held, skipped)
    assert stage.cut + stage.skipped == len(seen)


def letter_of(crop: FaceCrop) -> str:
    return "g" if crop.after_gap else "h" if crop.held else "c"


def test_after_a_gap_the_window_begins_at_the_face() -> None:
    stage = FaceCrops(SteadyCropping(hold=0))
    for place in (FACE, None, (180.0, 120.0, 30.0)):
        pairs = push(stage, IMAGE, place)
    (fresh,) = push(FaceCrops(), IMAGE, (180.0, 120.0, 30.0))
    np.testing.assert_array_equal(pairs[0].original.planes, fresh.original.planes)


def test_a_reset_forgets_the_window_but_counts_on() -> None:
    stage = FaceCrops()
    push(stage, IMAGE, FACE)
    stage.reset()
    assert push(stage, IMAGE, None) == []
    (pair,) = push(stage, IMAGE, (180.0, 120.0, 30.0))
    assert (pair.original.index, pair.original.after_gap) == (2, False)
    assert stage.skipped == 1


@pytest.mark.parametrize("side", [100, 223, 300, 447, 448, 449, 900, 1800])
def test_slow_waves_stay_in_their_place_however_large_the_face(side: int) -> None:
    rows, columns = 1100, 1400

    def wave(at: NDArray[Any]) -> NDArray[Any]:
        return 128 + 100 * np.sin(2 * np.pi * at / 160)

    image = np.zeros((rows, columns, 3), np.uint8)
    image[..., 0] = np.rint(wave(np.arange(columns)))
    image[..., 1] = np.rint(wave(np.arange(rows)))[:, None]
    crop = SteadyCropping().cut(image, Window.square((640.0, 560.0), side, image))
    step = side / SIZE
    offsets = step * (np.arange(SIZE) + 0.5) - side / 2
    for plane, center, length in ((crop[0], 640, columns), (crop[1].T, 560, rows)):
        places = center + offsets
        inside = (places > 20) & (places < length - 20)
        # One pixel aside would be 4 levels, with three halvings 28. Each of them rounds down.
        error = plane[:, inside] - wave(places[inside])
        assert np.abs(error).max() < (3 if step < 4 else 6)
        beyond = plane[:, places < 0]
        assert np.abs(beyond - wave(np.zeros(1))).max(initial=0) < 25, "the frame's edge goes on"


def test_fine_detail_of_a_large_face_turns_gray_and_not_into_a_pattern() -> None:
    checkers = np.indices((1000, 1000)).sum(axis=0) % 2 * 255
    image = np.ascontiguousarray(np.repeat(checkers[..., None], 3, axis=2)).astype(np.uint8)
    for side in (500, 660, 890):
        crop = SteadyCropping().cut(image, Window.square((500.3, 500.1), side, image))
        assert crop.std() < 2, side
        assert crop.mean() == pytest.approx(127, abs=3)


@settings(max_examples=25)
@given(
    st.tuples(st.integers(3, 60), st.integers(3, 60)),
    st.floats(-100, 100),
    st.floats(-100, 100),
    st.floats(1, 2000),
)
def test_a_window_may_lie_anywhere(shape: tuple[int, int], x: float, y: float, side: float) -> None:
    image = np.full((*shape, 3), 77, np.uint8)
    crop = SteadyCropping().cut(image, Window.square((x, y), side, image))
    np.testing.assert_allclose(crop, 77, atol=1e-3)


def followed(places: Sequence[Place]) -> list[Window | None]:
    cropping = FsmetricCropping()
    return [
        cropping.follow(Pair(sighting(IMAGE, place), sighting(IMAGE, FACE))) for place in places
    ]


def test_fsmetrics_window_is_renewed_every_ten_frames() -> None:
    found = followed([(100.0 + at, 90.0, 50.0) for at in range(25)])
    assert len({window for window in found if window}) == 3
    assert found[0] == found[9] != found[10] == found[19] != found[20]


def test_fsmetrics_window_comes_from_the_original_alone_and_is_never_given_up() -> None:
    found = followed([None] * 3 + [FACE] * 2 + [None] * 50)
    assert found[:3] == [None] * 3
    assert len(set(found[3:])) == 1
    assert found[-1] is not None


def test_fsmetrics_window_is_of_whole_pixels_within_the_frame() -> None:
    for place in (FACE, (5.0, 5.0, 60.0), (230.0, 190.0, 60.0), (100.0, 100.0, 900.0)):
        (window,) = followed([place])
        assert window is not None
        left, top, right, bottom = window.pixels(IMAGE)
        assert (left, top, right, bottom) == pytest.approx(
            [round(edge) for edge in (left, top, right, bottom)]
        )
        assert right - left == pytest.approx(bottom - top)
        assert min(left, top) > -1e-9
        assert right < 240 + 1e-9
        assert bottom < 200 + 1e-9


def opencv_resize(part: Image) -> NDArray[np.float64]:
    """What OpenCV's INTER_LINEAR is documented to do, in float64, with scipy."""
    rows, columns = part.shape[:2]
    y, x = (
        grid * step + step / 2 - 0.5
        for grid, step in zip(
            np.mgrid[:SIZE, :SIZE].astype(float), (rows / SIZE, columns / SIZE), strict=True
        )
    )
    planes = (part[..., c].astype(float) for c in range(3))
    return np.stack([map_coordinates(p, [y, x], order=1, mode="nearest") for p in planes])


@pytest.mark.parametrize("side", [40, 63, 150])
def test_fsmetrics_crop_is_opencvs_resize_of_the_window(side: int) -> None:
    image = np.random.default_rng(1).integers(0, 256, (200, 240, 3)).astype(np.uint8)

    place = Window.square((20 + (side - 1) / 2, 30 + (side - 1) / 2), side, image)
    crop = FsmetricCropping().cut(image, place)
    np.testing.assert_array_equal(crop, np.rint(crop))
    expected = opencv_resize(image[30 : 30 + side, 20 : 20 + side])
    assert np.abs(crop - expected).max() <= 0.5 + 1e-2
