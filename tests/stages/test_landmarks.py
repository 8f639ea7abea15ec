"""Landmarks, against MediaPipe and against themselves in a turned picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from streamdeid.frame import Image
from streamdeid.observations import Face
from streamdeid.stages.detection import BlazeFace
from streamdeid.stages.landmarks import LandmarkModel, Region, region_of
from tests.stages.conftest import on_canvas
from tests.stages.record_references import enlarge


def test_landmarks_are_those_of_mediapipe_on_single_images(
    carphone: list[Image],
    references: dict[str, Any],
    blazeface: BlazeFace,
    landmarks: LandmarkModel,
) -> None:
    recorded = zip(
        references["mesh_frames"],
        references["mesh_scales"],
        references["meshes"],
        strict=True,
    )
    for index, scale, expected in recorded:
        image = enlarge(carphone[index], scale)
        (detection,) = blazeface.detect(image)
        face = landmarks.find(image, detection.region)
        assert face.landmarks.shape == (478, 3)
        assert face.landmarks.dtype == np.float32
        x, y, _ = np.abs(face.landmarks - expected).T
        # The faces are 45 and 145 pixels wide. The largest median seen is 0.05 pixels, the largest
        # difference 0.14.
        assert np.median(np.hypot(x, y)) < 0.1
        assert np.hypot(x, y).max() < 0.25
        # MediaPipe measures depth along the crop's upper edge in units of the picture's width and
        # height: in a picture that is not square a turned face gets deeper.
        height, width = image.shape[:2]
        angle = detection.region.angle
        deeper = np.hypot(np.cos(angle), np.sin(angle) * width / height)
        depth = face.landmarks[:, 2] * deeper
        np.testing.assert_allclose(depth, expected[:, 2], atol=0.005 * face.box.width)


def test_landmarks_turn_with_the_picture(
    carphone: list[Image], landmarks: LandmarkModel, find_face: Callable[[Image], Face]
) -> None:
    region = region_of(find_face(carphone[0]))
    (x, y), height = region.center, carphone[0].shape[0]
    upright = landmarks.find(carphone[0], region)
    turned = landmarks.find(
        np.rot90(carphone[0], -1),
        Region((height - 1 - y, x), region.side, region.angle + np.pi / 2),
    )
    back = np.column_stack([turned.landmarks[:, 1], height - 1 - turned.landmarks[:, 0]])
    # The same pixels are read, up to the rounding of coordinates.
    np.testing.assert_allclose(back, upright.landmarks[:, :2], atol=0.01)
    np.testing.assert_allclose(turned.landmarks[:, 2], upright.landmarks[:, 2], atol=0.01)
    assert np.sin(region_of(turned).angle - region_of(upright).angle) == pytest.approx(1, abs=1e-4)


def test_the_next_region_is_upright_around_the_face_and_half_as_wide_again(
    carphone: list[Image], find_face: Callable[[Image], Face]
) -> None:
    face = find_face(carphone[0])
    region = region_of(face)
    dx, dy = (face.landmarks[263] - face.landmarks[33])[:2]
    assert region.angle == pytest.approx(np.arctan2(dy, dx))
    c, s = np.cos(region.angle), np.sin(region.angle)
    inside = (face.landmarks[:, :2] - region.center) @ np.array([[c, -s], [s, c]])
    # The face is centred in the turned square, and its longer side is two thirds of it.
    np.testing.assert_allclose(inside.max(axis=0) + inside.min(axis=0), 0, atol=1e-3)
    assert np.ptp(inside, axis=0).max() * 1.5 == pytest.approx(region.side, rel=1e-4)


def test_the_box_is_around_the_mesh_without_the_irises(
    carphone: list[Image], find_face: Callable[[Image], Face]
) -> None:
    face = find_face(carphone[0])
    mesh = face.landmarks[:468, :2]
    assert (face.box.left, face.box.top) == tuple(mesh.min(axis=0).tolist())
    assert (face.box.right, face.box.bottom) == tuple(mesh.max(axis=0).tolist())


def test_presence_tells_a_face_from_noise_and_from_nothing(
    carphone: list[Image], landmarks: LandmarkModel, find_face: Callable[[Image], Face]
) -> None:
    region = region_of(find_face(carphone[0]))
    noise = np.random.default_rng(0).integers(0, 256, carphone[0].shape, np.uint8)
    assert landmarks.find(carphone[0], region).presence > 0.99
    assert landmarks.find(noise, region).presence < 0.01
    assert landmarks.find(np.zeros_like(noise), region).presence < 0.01


def test_a_face_over_the_edge_of_the_picture_is_found(
    carphone: list[Image], landmarks: LandmarkModel, find_face: Callable[[Image], Face]
) -> None:
    whole = find_face(carphone[0])
    cut = int(whole.box.left + whole.box.width / 5)
    region = region_of(whole)
    x, y = region.center
    face = landmarks.find(
        np.ascontiguousarray(carphone[0][:, cut:]), Region((x - cut, y), region.side, region.angle)
    )
    assert face.presence > 0.5
    moved = face.landmarks[:, :2] + (cut, 0) - whole.landmarks[:, :2]
    assert np.median(np.hypot(*moved.T)) < 0.1 * whole.box.width


def test_where_the_face_is_in_the_picture_does_not_matter(
    carphone: list[Image], landmarks: LandmarkModel, find_face: Callable[[Image], Face]
) -> None:
    face = find_face(carphone[0])
    region = region_of(face)
    left, top = 301, 77
    canvas = on_canvas(carphone[0], 640, 360, left, top)
    x, y = region.center
    moved = landmarks.find(canvas, Region((x + left, y + top), region.side, region.angle))
    same = landmarks.find(carphone[0], region)
    np.testing.assert_allclose(
        moved.landmarks - (left, top, 0), same.landmarks, atol=0.02 * same.box.width
    )
