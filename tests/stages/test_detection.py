"""Detectors: they find the face where it is, in pictures of all shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as PillowImage

from streamdeid.frame import Image
from streamdeid.inference.session import Session
from streamdeid.observations import Box, Face
from streamdeid.stages.detection import (
    BlazeFace,
    CenterFace,
    Detection,
    Detector,
    FirstThatFinds,
)
from streamdeid.stages.landmarks import Region, region_of
from tests.stages.conftest import on_canvas
from tests.stages.record_references import enlarge

TINY = [(1, 1), (1, 2), (2, 3), (5, 7), (1, 300), (300, 1)]


def moved(box: Box, left: float, top: float, scale: float = 1) -> Box:
    """`box` of a picture as it lies in one enlarged by `scale` and pasted at (left, top)."""
    edges = [(edge + 0.5) * scale - 0.5 for edge in (box.left, box.top, box.right, box.bottom)]
    return Box(edges[0] + left, edges[1] + top, edges[2] + left, edges[3] + top)


def apart(a: Box, b: Box) -> float:
    """The largest distance between two like edges, over the width of `b`."""
    edges = (a.left - b.left, a.top - b.top, a.right - b.right, a.bottom - b.bottom)
    return max(map(abs, edges)) / b.width


class Answers:
    """A session that gives what it was told to give, and keeps what it was given."""

    def __init__(self, *outputs: NDArray[np.float32]) -> None:
        self._outputs = outputs
        self.given: dict[str, NDArray[Any]] = {}

    def run(self, **inputs: NDArray[Any]) -> tuple[NDArray[np.float32], ...]:
        self.given = inputs
        return self._outputs


class Sees:
    """A detector that sees the given faces, and counts its looks."""

    def __init__(self, *found: Detection) -> None:
        self._found = found
        self.looks = 0

    def detect(self, image: Image) -> list[Detection]:  # noqa: ARG002
        self.looks += 1
        return list(self._found)


def test_both_see_the_one_face_of_every_frame(
    carphone: list[Image],
    blazeface: BlazeFace,
    centerface: CenterFace,
    find_face: Callable[[Image], Face],
) -> None:
    for image in carphone[::12]:
        face = find_face(image)
        for detector in (blazeface, centerface):
            (detection,) = cast("Detector", detector).detect(image)
            assert detection.score > 0.5
            assert detection.box.iou(face.box) > 0.5


def test_blazeface_gives_the_region_that_the_mesh_will_give(
    carphone: list[Image], blazeface: BlazeFace, find_face: Callable[[Image], Face]
) -> None:
    for image in carphone[::24]:
        (detection,) = blazeface.detect(image)
        region = region_of(find_face(image))
        away = np.subtract(detection.region.center, region.center)
        assert np.hypot(*away) < 0.15 * region.side
        assert detection.region.side == pytest.approx(region.side, rel=0.25)
        assert detection.region.angle == pytest.approx(region.angle, abs=np.deg2rad(8))


def test_the_region_turns_with_the_head(carphone: list[Image], blazeface: BlazeFace) -> None:
    large = PillowImage.fromarray(enlarge(carphone[0], 2))
    angles = []
    for turn_deg in (-20, 0, 20):
        turned = large.rotate(-turn_deg, PillowImage.Resampling.BILINEAR)  # clockwise as seen
        (detection,) = blazeface.detect(np.asarray(turned))
        angles.append(np.rad2deg(detection.region.angle))
    assert angles[1] - angles[0] == pytest.approx(20, abs=5)
    assert angles[2] - angles[1] == pytest.approx(20, abs=5)


@pytest.mark.parametrize(("width", "height"), [(176, 144), (320, 80), (80, 320), (176, 120)])
def test_blazeface_sees_a_picture_with_black_bars_to_the_square(
    carphone: list[Image], blazeface: BlazeFace, width: int, height: int
) -> None:
    image = on_canvas(
        carphone[0][35 : 35 + min(height, 109), 50 : 50 + min(width, 126)], width, height
    )
    side = max(width, height)
    left, top = (side - width) // 2, (side - height) // 2
    square = np.zeros((side, side, 3), np.uint8)
    square[top : top + height, left : left + width] = image
    (detection,), (expected,) = blazeface.detect(image), blazeface.detect(square)
    # The outermost pixels are black in one and blended with black in the other.
    assert apart(moved(detection.box, left, top), expected.box) < 0.02
    assert detection.region.side == pytest.approx(expected.region.side, rel=0.02)
    assert detection.region.angle == pytest.approx(expected.region.angle, abs=0.02)


@pytest.mark.parametrize("name", ["blazeface", "centerface"])
def test_two_faces_are_found_each_at_its_place(
    carphone: list[Image], name: str, request: pytest.FixtureRequest
) -> None:
    detector: Detector = request.getfixturevalue(name)
    images = carphone[0], carphone[60]
    found = detector.detect(np.concatenate(images, axis=1))
    assert [found[0].score, found[1].score] == sorted((d.score for d in found), reverse=True)
    left, right = sorted(found, key=lambda detection: detection.box.left)
    (first,), (second,) = (detector.detect(image) for image in images)
    assert left.box.iou(first.box) > 0.7
    assert right.box.iou(moved(second.box, 176, 0)) > 0.7


@pytest.mark.parametrize("name", ["blazeface", "centerface"])
@pytest.mark.parametrize("shape", TINY)
def test_nothing_is_found_in_tiny_pictures(
    name: str, shape: tuple[int, int], request: pytest.FixtureRequest
) -> None:
    detector: Detector = request.getfixturevalue(name)
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    assert detector.detect(noise) == []


@pytest.mark.parametrize(
    ("width", "height", "scale", "left", "top"),
    [
        (1280, 720, 2, 200, 100),
        (1920, 1080, 3, 900, 300),
        (1279, 719, 2, 340, 202),
        (641, 479, 2, 101, 77),
        (177, 145, 1, 1, 1),
        (640, 160, 1, 311, 7),
    ],
)
def test_centerface_finds_a_face_where_it_was_pasted(
    carphone: list[Image],
    centerface: CenterFace,
    width: int,
    height: int,
    scale: int,
    left: int,
    top: int,
) -> None:
    (alone,) = centerface.detect(carphone[0])
    canvas = on_canvas(enlarge(carphone[0], scale), width, height, left, top)
    (detection,) = centerface.detect(canvas)
    # Its cells are 4 pixels of a face that is 48 wide.
    assert apart(detection.box, moved(alone.box, left, top, scale)) < 0.06


def test_centerface_sees_a_block_of_pixels_as_one(
    carphone: list[Image], centerface: CenterFace
) -> None:
    # 1152 = 2 * 576, cut in halves: the network gets exactly the picture of half the size.
    small = on_canvas(carphone[0], 576, 416, 160, 96)
    (expected,) = centerface.detect(small)
    (detection,) = centerface.detect(enlarge(small, 2))
    assert apart(detection.box, moved(expected.box, 0, 0, 2)) < 1e-6
    assert detection.score == expected.score


@pytest.mark.parametrize(("width", "height", "factor"), [(1299, 730, 3), (700, 1280, 2)])
def test_centerface_is_given_the_means_of_blocks_with_black_beside_them(
    width: int, height: int, factor: int
) -> None:
    nothing = np.zeros((1, 2, 1, 1), np.float32)
    session = Answers(nothing, nothing, nothing, nothing)
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    assert CenterFace(cast("Session", session)).detect(image) == []
    (given,) = session.given["image"]
    rows, columns = height // factor, width // factor
    for row, column in [(0, 0), (rows - 1, columns - 1), (7, 11), (100, 200)]:
        block = image[factor * row : factor * (row + 1), factor * column : factor * (column + 1)]
        expected = np.floor(block.mean(axis=(0, 1)) + 0.5)
        np.testing.assert_array_equal(given[row, column], expected)
    assert given.shape[0] % 32 == given.shape[1] % 32 == 0
    assert not given[rows:].any()
    assert not given[:, columns:].any()


def test_blazeface_averages_overlapping_boxes_by_their_scores() -> None:
    boxes, scores = np.zeros((1, 896, 16), np.float32), np.zeros((1, 896), np.float32)
    # Centre x, y, width, height, right and left eye: two of one face, one of another, one unsure.
    boxes[0, 0, :8] = 40, 40, 20, 20, 35, 35, 45, 35
    boxes[0, 1, :8] = 44, 40, 20, 20, 39, 35, 49, 35
    boxes[0, 2, :8] = 90, 90, 20, 20, 90, 85, 90, 95
    boxes[0, 3, :8] = 10, 100, 20, 20, 5, 95, 15, 95
    scores[0, :4] = 0.9, 0.6, 0.7, 0.49
    detector = BlazeFace(cast("Session", Answers(boxes, scores)))
    first, second = detector.detect(np.zeros((128, 128, 3), np.uint8))
    assert first.score == pytest.approx(0.9)
    assert first.box.center == pytest.approx((41.6, 40))
    assert first.region.center == pytest.approx((41.6, 40))
    assert first.region.side == pytest.approx(30)
    assert first.region.angle == 0
    assert second.box.center == pytest.approx((90, 90))
    assert second.region.angle == pytest.approx(np.pi / 2)


def test_the_second_detector_is_asked_only_if_the_first_finds_nothing(
    carphone: list[Image],
) -> None:
    face = Detection(Box(0, 0, 9, 9), 0.9, Region((4.5, 4.5), 13))
    blind, sharp = Sees(), Sees(face)
    assert FirstThatFinds([blind, sharp]).detect(carphone[0]) == [face]
    assert (blind.looks, sharp.looks) == (1, 1)
    assert FirstThatFinds([sharp, blind]).detect(carphone[0]) == [face]
    assert (blind.looks, sharp.looks) == (1, 2)
    assert FirstThatFinds([blind, blind]).detect(carphone[0]) == []
