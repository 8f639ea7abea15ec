"""Alignment, against least squares, dlib's chips and face_recognition's embeddings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamdeid.engine.models import Models
from streamdeid.frame import Image
from streamdeid.observations import Box, Face
from streamdeid.stages.alignment import ArcFaceAlignment, DlibAlignment, dlib_chip, similarity
from tests.stages.record_references import enlarge

COORDINATES = st.floats(-500, 500)
POINTS = st.lists(st.tuples(COORDINATES, COORDINATES), min_size=5, max_size=5)


@given(POINTS, POINTS)
def test_a_similarity_is_the_least_squares_solution(
    source_points: list[tuple[float, float]], target_points: list[tuple[float, float]]
) -> None:
    source, target = np.array(source_points), np.array(target_points)
    if np.ptp(source, axis=0).max() < 1:
        return  # all on one place: there is no one answer
    # [x -y 1 0; y x 0 1] (a, b, c, d) = (x', y')
    x, y = source.T
    one, zero = np.ones(5), np.zeros(5)
    rows = np.vstack([np.column_stack([x, -y, one, zero]), np.column_stack([y, x, zero, one])])
    (a, b, c, d), *_ = np.linalg.lstsq(rows, target.T.reshape(-1), rcond=None)
    np.testing.assert_allclose(
        similarity(source, target), [[a, -b, c], [b, a, d]], rtol=1e-9, atol=1e-7
    )


@given(st.floats(0.1, 10), st.floats(-np.pi, np.pi), COORDINATES, COORDINATES)
def test_a_similarity_finds_the_turn_scale_and_shift_that_were_made(
    scale: float, angle: float, x: float, y: float
) -> None:
    source = np.array([(0.0, 0), (10, 0), (3, 7)])
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    made = np.array([[c, -s, x], [s, c, y]])
    target = source @ made[:, :2].T + made[:, 2]
    np.testing.assert_allclose(similarity(source, target), made, atol=1e-9)


def test_chips_are_dlibs(carphone: list[Image], references: dict[str, Any]) -> None:
    recorded = zip(
        references["chip_frames"],
        references["chip_scales"],
        references["chip_points"],
        references["chips"],
        strict=True,
    )
    differing = 0
    for index, scale, points, expected in recorded:
        chip = dlib_chip(enlarge(carphone[index], scale), points)
        difference = np.abs(chip[:, ::2, ::3] - expected.transpose(2, 0, 1))
        assert difference.max() <= 1, (index, scale)
        differing += int(np.count_nonzero(difference))
    # dlib's float64 and our float32 may fall on two sides of a whole number: 0.013 % do.
    assert differing <= 5e-4 * references["chips"].size


def test_a_chip_beside_the_image_is_black(carphone: list[Image]) -> None:
    points = np.array([(90, 60), (80, 60), (60, 60), (70, 60), (75, 75)])
    assert dlib_chip(carphone[0], points).any()
    for move in [(-900, 0), (900, 0), (0, -900), (0, 900), (-900, -900)]:
        for scale in (1, 20):
            assert not dlib_chip(carphone[0], (points + move) * scale).any()


def test_a_face_of_no_size_gives_a_black_chip(carphone: list[Image]) -> None:
    assert not dlib_chip(carphone[0], np.full((5, 2), 70)).any()


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (5, 7)])
def test_chips_of_tiny_images_have_the_usual_shape(shape: tuple[int, int]) -> None:
    image = np.full((*shape, 3), 200, np.uint8)
    points = np.array([(90, 60), (80, 60), (60, 60), (70, 60), (75, 75)])
    for scale in (0.01, 1, 20):
        chip = dlib_chip(image, np.rint(points * scale))
        assert chip.shape == (3, 150, 150)
        assert chip.dtype == np.float32


def test_arcface_chips_show_each_landmark_at_its_place() -> None:
    # A picture whose red and green are its own coordinates tells where a chip was read.
    y, x = np.mgrid[:256, :256]
    image = np.stack([x, y, 0 * x], axis=-1).astype(np.uint8)
    alignment = ArcFaceAlignment()
    template = np.array(
        [
            (38.2946, 51.6963),
            (73.5318, 51.5014),
            (56.0252, 71.7366),
            (41.5493, 92.3655),
            (70.7299, 92.2041),
        ]
    )
    turned = (template - 56) @ np.array([[1.2, 0.5], [-0.5, 1.2]]) + (120, 130)
    landmarks = np.zeros((478, 3), np.float32)
    landmarks[[468, 473, 4, 61, 291], :2] = turned
    points = alignment.points(image, Face(landmarks, Box(0, 0, 1, 1), 1.0))
    chip = alignment.chip(image, points)
    assert chip.shape == (3, 112, 112)
    for (u, v), expected in zip(template, turned, strict=True):
        column, row = int(u), int(v)
        corners = chip[:2, row : row + 2, column : column + 2]
        du, dv = u - column, v - row
        weights = np.array([[(1 - du) * (1 - dv), du * (1 - dv)], [(1 - du) * dv, du * dv]])
        np.testing.assert_allclose((corners * weights).sum(axis=(1, 2)), expected, atol=1e-3)


def test_embeddings_lie_where_face_recognitions_lie(
    carphone: list[Image],
    references: dict[str, Any],
    models: Models,
    find_face: Callable[[Image], Face],
) -> None:
    embedder = models.embedder()
    alignment = models.alignment(embedder)
    assert isinstance(alignment, DlibAlignment)
    chips = []
    for index in references["embedding_frames"]:
        image = carphone[index]
        chips.append(alignment.chip(image, alignment.points(image, find_face(image))))
    ours, theirs = embedder.embed(chips), references["embeddings"]

    def to_first(embeddings: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.asarray(np.linalg.norm(embeddings[1:] - embeddings[0], axis=1))

    # Seen: 0.266 and 0.267. The landmarks differ by fractions of a pixel, because dlib's detector
    # puts its box elsewhere; on the same chip the vectors are the same.
    assert abs(to_first(ours).mean() - to_first(theirs).mean()) < 0.01
    to_their_first = np.linalg.norm(ours[1:] - theirs[0], axis=1)
    assert abs(to_their_first.mean() - to_first(theirs).mean()) < 0.01
    assert np.corrcoef(to_first(ours), to_first(theirs))[0, 1] > 0.98
    assert np.linalg.norm(ours - theirs, axis=1).mean() < 0.06
