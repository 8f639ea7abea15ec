"""One plane in another size, for pictures that are to be compared pixel by pixel."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]


def resized(plane: Plane, height: int, width: int) -> Plane:
    """`plane` in `height` × `width` pixels.

    Bilinear between pixels where it grows; where it shrinks, over a triangle as wide as two pixels
    of the result, so that no detail turns into a pattern. It is what Pillow calls BILINEAR.
    """
    if plane.shape == (height, width):
        return plane
    return _stretched(_stretched(plane, height).T, width).T


def _stretched(plane: Plane, rows: int) -> Plane:
    if len(plane) == rows:
        return plane
    places, weights = _taps(len(plane), rows)
    result = np.zeros((rows, plane.shape[1]), np.float32)
    for place, weight in zip(places, weights, strict=True):
        result += plane[place] * weight[:, np.newaxis]
    return result


@lru_cache(maxsize=8)
def _taps(length: int, rows: int) -> tuple[NDArray[np.intp], Plane]:
    """For each row of the result the rows it is made of, and how much of each: (taps, rows)."""
    step = length / rows
    reach = max(step, 1.0)
    center = (np.arange(rows) + 0.5) * step - 0.5
    places = np.ceil(center - reach) + np.arange(int(2 * reach) + 1)[:, np.newaxis]
    weights = np.maximum(1 - np.abs(places - center) / reach, 0)
    weights[(places < 0) | (places >= length)] = 0
    weights /= weights.sum(axis=0)
    return np.clip(places, 0, length - 1).astype(np.intp), weights.astype(np.float32)
