"""Structural similarity of two pictures, place by place: what SSIM and MS-SSIM are means of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamdeid.frame import Image

Plane: TypeAlias = NDArray[np.float32]
"""Shape (height, width): luma, 0..255, not rounded; or one figure for each place."""

RADIUS: Final = 5
"""Pixels from the middle of a window to its edge: the window has 11 × 11."""

# Wang et al. 2004: a Gaussian of sigma 1.5 in 11 x 11 pixels, K1 = 0.01, K2 = 0.03, L = 255.
_C1 = (0.01 * 255) ** 2
_C2 = (0.03 * 255) ** 2
# Windows see luma less this, so that squares keep two bits more in float32.
_MIDDLE = 128.0
# A window is a matrix product with a band; of so many rows or columns at once, because the corners
# of a band are zeros, and wider ones have more of them. For 4 planes of 640x480, both ways, on one
# thread: 4.0 ms at 32 (16: 4.7, 64: 5.0, 128: 8.1), slices in numpy 7.3, scipy's correlate1d 20.
_BLOCK = 32
# Rows of a strip, whose planes stay in the cache of a core, and columns of one product. With these
# no product has more than 2^18 multiplications, from which on OpenBLAS shares the work between
# threads: on cores that are busy with models that makes 97 ms of CPU out of 11.
_ROWS = 64
_COLUMNS = 128
_BT601 = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Maps:
    """What each window says that lies within the picture, shape (height - 10, width - 10).

    Attributes:
        ssim: similarity of luminance, contrast and structure, -1..1.
        structure: the part of it that is of contrast and structure.
    """

    ssim: Plane
    structure: Plane


def luma(image: Image) -> Plane:
    """ITU-R BT.601 luma of full-range RGB: 0.299 R + 0.587 G + 0.114 B, 0..255, not rounded."""
    y: Plane = image.astype(np.float32) @ _BT601
    return y


def similarity(x: Plane, y: Plane) -> Maps:
    """Compare two pictures of the same size, 11 × 11 pixels or more, window by window.

    Source: Wang, Bovik, Sheikh and Simoncelli 2004, doi:10.1109/TIP.2003.819861. Variances are of
    weights that add up to 1, as there. The means of `ssim` equal scikit-image's
    `structural_similarity(x, y, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
    data_range=255)`, which leaves out the same margin.
    """
    height, width = x.shape
    rows, columns = height - 2 * RADIUS, width - 2 * RADIUS
    maps = Maps(np.empty((rows, columns), np.float32), np.empty((rows, columns), np.float32))
    for start in range(0, rows, _ROWS):
        strip = slice(start, min(start + _ROWS, rows))
        seen = slice(start, strip.stop + 2 * RADIUS)
        _compare(x[seen], y[seen], maps.ssim[strip], maps.structure[strip])
    return maps


def _compare(x: Plane, y: Plane, ssim: Plane, structure: Plane) -> None:
    """Fill in the two maps of a strip.

    Out of the sum s and the difference d of the pictures: 4·cov = var s - var d and
    2·(var x + var y) = var s + var d, and so for the means. Where the pictures are equal, d is 0
    and the maps are *exactly* 1; and they are the same to the last bit from either side.
    """
    planes = np.empty((4, *x.shape), np.float32)
    s, d, s_squared, d_squared = planes
    np.add(x, y, out=s)
    s -= np.float32(2 * _MIDDLE)
    np.subtract(x, y, out=d)
    # As with the middle of s: what is the same everywhere says nothing of a variance, but as a
    # square it takes digits from it, how many hangs on the order in which the library adds.
    level = np.float32(np.rint(d.mean()))
    d -= level
    np.multiply(s, s, out=s_squared)
    np.multiply(d, d, out=d_squared)
    s, d, var_s, var_d = _blurred(planes)
    s2, d2 = s * s, d * d
    var_s -= s2
    var_d -= d2
    np.maximum(var_d, 0, out=var_d)  # it is below 0 by a rounding where the difference is constant
    _ratio(var_s, var_d, 2 * _C2, structure)
    s += np.float32(2 * _MIDDLE)
    d += level
    np.multiply(s, s, out=s2)
    np.multiply(d, d, out=d2)
    _ratio(s2, d2, 2 * _C1, ssim)
    ssim *= structure


def halved(plane: Plane) -> Plane:
    """The means of 2 × 2 pixels; an odd last row or column is left out."""
    height, width = plane.shape
    rows = plane[0 : height - 1 : 2] + plane[1::2]
    half: Plane = rows[:, 0 : width - 1 : 2] + rows[:, 1::2]
    half *= np.float32(0.25)
    return half


def _ratio(s: Plane, d: Plane, constant: float, out: Plane) -> None:
    """(s - d + constant) / (s + d + constant); `s` and `d` are used up."""
    s += np.float32(constant)
    np.subtract(s, d, out=out)
    s += d
    out /= s


def _blurred(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Planes (n, height, width) through the window: (n, height - 10, width - 10)."""
    count, height, width = planes.shape
    rows, columns = height - 2 * RADIUS, width - 2 * RADIUS
    down = np.empty((count, rows, width), np.float32)
    for top in range(0, rows, _BLOCK):
        size = min(_BLOCK, rows - top)
        reach = size + 2 * RADIUS
        band = _BAND[:size, :reach]
        for left in range(0, width, _COLUMNS):
            part = slice(left, left + _COLUMNS)
            np.matmul(band, planes[:, top : top + reach, part], out=down[:, top : top + size, part])
    across = np.empty((count, rows, columns), np.float32)
    for left in range(0, columns, _BLOCK):
        size = min(_BLOCK, columns - left)
        reach = size + 2 * RADIUS
        band = _BAND_T[:reach, :size]
        np.matmul(down[:, :, left : left + reach], band, out=across[:, :, left : left + size])
    return across


def _band() -> Plane:
    window = np.exp(-(np.arange(-RADIUS, RADIUS + 1) ** 2) / (2 * 1.5**2))
    window /= window.sum()
    band = np.zeros((_BLOCK, _BLOCK + 2 * RADIUS), np.float32)
    for row in range(_BLOCK):
        band[row, row : row + len(window)] = window
    return band


_BAND = _band()
_BAND_T = np.ascontiguousarray(_BAND.T)
