"""Sampling, against scipy and against convolutions written out."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from scipy.signal import convolve2d

from streamdeid.frame import Image
from streamdeid.stages.sampling import Affine, Planes, halve, sample, square_crop

Border = Literal["edge", "black"]
BORDERS: tuple[Border, ...] = ("edge", "black")

SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))

# Coordinates are float32: at 100 pixels they are good to 4e-6, and one pixel changes the value by
# up to 255.
TOLERANCE = 255 * 2e-5


def noise(height: int, width: int, seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def points_of(grid: Affine, size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    v, u = np.mgrid[:size, :size].astype(np.float64)
    (a, b, c), (d, e, f) = grid
    return a * u + b * v + c, d * u + e * v + f


def reference(image: Image, grid: Affine, size: int, border: Border) -> Planes:
    """The same with scipy, in float64."""
    x, y = points_of(grid, size)
    height, width = image.shape[:2]
    planes = np.stack(
        [
            map_coordinates(image[..., c].astype(np.float64), [y, x], order=1, mode="nearest")
            for c in range(3)
        ]
    )
    if border == "black":
        planes[:, (x < 0) | (y < 0) | (x >= width - 1) | (y >= height - 1)] = 0
    return planes.astype(np.float32)


@given(
    SIZES,
    st.floats(-60, 60),
    st.floats(-60, 60),
    st.floats(0.05, 8),
    st.floats(-np.pi, np.pi),
    st.integers(1, 70),
)
def test_sampling_is_bilinear_wherever_the_grid_lies(
    shape: tuple[int, int], x: float, y: float, step: float, angle: float, size: int
) -> None:
    image = noise(*shape)
    grid = square_crop((x, y), step * size, angle, size)
    crop = sample(image, grid, size, "edge")
    # A grid that spans hundreds of pixels has coordinates with fewer digits left for fractions.
    far = max(float(np.abs(np.stack(points_of(grid, size))).max()), 100)
    np.testing.assert_allclose(
        crop, reference(image, grid, size, "edge"), atol=TOLERANCE * far / 100
    )


@given(SIZES, st.integers(-50, 50), st.integers(-50, 50), st.sampled_from([1, 2, 3, 0.5, 0.25]))
def test_points_that_lack_a_neighbour_are_black(
    shape: tuple[int, int], x: int, y: int, step: float
) -> None:
    # Coordinates that float32 holds exactly: at the very border a rounding decides.
    image = noise(*shape)
    grid = np.array([[step, 0, x], [0, step, y]])
    np.testing.assert_allclose(
        sample(image, grid, 20, "black"), reference(image, grid, 20, "black"), atol=TOLERANCE
    )


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (2, 2), (5, 7)])
def test_tiny_images_are_sampled_like_large_ones(shape: tuple[int, int], border: Border) -> None:
    image = noise(*shape)
    for step in (0.3, 1, 2.5):
        grid = np.array([[step, 0, -2.0], [0, step, -2.0]])
        np.testing.assert_allclose(
            sample(image, grid, 33, border), reference(image, grid, 33, border), atol=TOLERANCE
        )


def test_whole_coordinates_give_the_pixels_themselves() -> None:
    image = noise(50, 60)
    grid = np.array([[1.0, 0, 7], [0, 1, 5]])
    crop = sample(image, grid, 40)
    np.testing.assert_array_equal(crop, image[5:45, 7:47].transpose(2, 0, 1))


@pytest.mark.parametrize("border", BORDERS)
def test_views_are_sampled_like_copies(border: Border) -> None:
    image = noise(60, 80)
    grid = square_crop((15.3, 14.8), 50, 0.3, 64)
    for view in (image[::2, ::2], image[:, ::-1], image[..., ::-1], image.swapaxes(0, 1)):
        assert not view.flags.c_contiguous
        np.testing.assert_array_equal(
            sample(view, grid, 64, border), sample(view.copy(), grid, 64, border)
        )


def test_the_last_pixels_of_a_frame_of_more_than_16_megapixels_are_their_own() -> None:
    # Counting pixels in float32 would give their neighbours.
    image = np.zeros((4200, 4200, 3), np.uint8)
    image[-8:, -8:] = noise(8, 8)
    grid = np.array([[1.0, 0, 4192], [0, 1, 4192]])
    np.testing.assert_array_equal(sample(image, grid, 8), image[-8:, -8:].transpose(2, 0, 1))


def test_a_square_crop_spans_its_side_and_turns_clockwise() -> None:
    grid = square_crop((100, 50), 40, 0, 80)
    np.testing.assert_allclose(grid @ (0, 0, 1), (80, 30))
    np.testing.assert_allclose(grid @ (40, 40, 1), (100, 50))
    quarter = square_crop((100, 50), 40, np.pi / 2, 80)
    # What lies to the right in the crop lies below in the image.
    np.testing.assert_allclose(quarter @ (80, 40, 1), (100, 70))


@pytest.mark.parametrize("shape", [(5, 5), (6, 9), (7, 5), (40, 61), (41, 60)])
def test_halving_is_a_binomial_convolution_rounded_down(shape: tuple[int, int]) -> None:
    image = noise(*shape, seed=1)
    taps = np.array([1, 4, 6, 4, 1])
    kernel = np.outer(taps, taps)
    rows, columns = ((n - 3) // 2 for n in shape)
    expected = np.stack(
        [
            convolve2d(image[..., c].astype(int), kernel, mode="valid")[::2, ::2] // 256
            for c in range(3)
        ],
        axis=-1,
    )[:rows, :columns]
    small = halve(image)
    assert small.dtype == np.uint8
    np.testing.assert_array_equal(small, expected)


def test_halving_keeps_white_white() -> None:
    assert (halve(np.full((21, 30, 3), 255, np.uint8)) == 255).all()
