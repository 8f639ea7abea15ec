"""QualityMeter: frame pairs → how like they are in the face, outside of it, and altogether."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Final

import numpy as np

from streamdeid.observations import Box, Likeness, QualityReading, Sighting
from streamdeid.pair import Pair
from streamdeid.stages.resizing import resized
from streamdeid.stages.similarity import RADIUS, Maps, Plane, halved, luma, similarity

MARGIN: Final = 0.25
"""The background begins this share of a face's width and height outside its box."""

# Wang, Simoncelli and Bovik 2003, doi:10.1109/ACSSC.2003.1292216: from the finest scale on.
_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_WINDOW = 2 * RADIUS + 1

SHORTEST_SIDE: Final = _WINDOW << (len(_WEIGHTS) - 1)
"""Pixels of a picture that has a window at the coarsest scale of MS-SSIM: 176."""


class QualityMeter:
    """Compares the luma of both pictures by SSIM, MS-SSIM and squared error, in three regions.

    All regions are means over maps of the whole picture. A window counts where its middle lies:

    - frame: everywhere.
    - face: in the box around the landmarks of the original's face.
    - background: outside the boxes of both faces, grown by `MARGIN` on each side and by the radius
      of a window, so that none of them sees the face. At the coarser scales of MS-SSIM windows
      are wider than that: these compare the original with a de-identified picture in which the
      grown boxes were filled from the original. So a video in which nothing but the grown boxes
      was changed has a background of exactly 1.

    A de-identified picture of another size is first brought to the original's (see `resized`).

    A pair of 640x480 takes 14 ms of CPU: 6 for the finest scale, 4 for the coarser ones and the
    rest, and 4 for the coarser ones once more without the faces. That is a third of what the models
    take, and neighbouring pairs are alike: so there is `every`.

    Args:
        every: measure one pair of so many. The others give empty readings.
    """

    name = "quality"
    delay: int | None = 0
    stride = 1

    def __init__(self, every: int = 1) -> None:
        if every < 1:
            raise ValueError(f"one of every {every} pairs cannot be measured: it must be 1 or more")
        self._every = every
        self._index = 0

    def push(self, item: Pair[Sighting]) -> Iterable[QualityReading]:
        index, self._index = self._index, self._index + 1
        original, deidentified = (seen.frame.image for _, seen in item.items())
        height, width = original.shape[:2]
        regions: Mapping[str, Likeness] = {}
        if index % self._every == 0:
            x, y = luma(original), resized(luma(deidentified), height, width)
            regions = _compare(x, y, item.map(_box_in(width, height)))
        yield QualityReading(
            regions,
            shorter_side=min(height, width),
            resized=original.shape != deidentified.shape,
        )

    def flush(self) -> Iterable[QualityReading]:
        return ()

    def reset(self) -> None:
        """Nothing to forget: every frame pair stands for itself."""


def _compare(x: Plane, y: Plane, faces: Pair[Box | None]) -> dict[str, Likeness]:
    """The regions that there are, by name."""
    height, width = x.shape
    difference = x - y
    squared = difference * difference
    scales = [similarity(x, y)] if min(x.shape) >= _WINDOW else []
    coarser = _coarser_scales(x, y)
    everywhere = Box(0, 0, width - 1, height - 1)
    found = {"frame": _Region(everywhere).likeness(squared, scales + coarser)}
    if faces.original is not None:
        found["face"] = _Region(faces.original).likeness(squared, scales + coarser)
    around = [_grown(box) for _, box in faces.items() if box is not None]
    if around:
        if coarser:
            alike = y.copy()
            for box in around:
                place = _pixels(box, x.shape)
                alike[place] = x[place]
            coarser = _coarser_scales(x, alike)
        # At the finest scale no window that counts sees a box: there is no need to do it again.
        found["background"] = _Region(everywhere, around).likeness(squared, scales + coarser)
    return {name: likeness for name, likeness in found.items() if likeness is not None}


def _coarser_scales(x: Plane, y: Plane) -> list[Maps]:
    """The scales of MS-SSIM after the first; none if the picture is too small for the last."""
    if min(x.shape) < SHORTEST_SIDE:
        return []
    scales = []
    for _ in _WEIGHTS[1:]:
        x, y = halved(x), halved(y)
        scales.append(similarity(x, y))
    return scales


@dataclass(frozen=True, slots=True)
class _Region:
    """The pixels whose centres lie in `box` and in none of `without`."""

    box: Box
    without: Sequence[Box] = ()

    def likeness(self, squared: Plane, scales: Sequence[Maps]) -> Likeness | None:
        """Means of squared differences, and of the maps of each scale from the finest on.

        None if the region has no pixel.
        """
        mse = self._mean(squared)
        if mse is None:
            return None
        ssim = [self._mean(maps.ssim, scale, RADIUS) for scale, maps in enumerate(scales)]
        if len(scales) < len(_WEIGHTS):
            return Likeness(ssim[0] if ssim else None, None, mse)
        structure = [self._mean(maps.structure, s, RADIUS) for s, maps in enumerate(scales)]
        return Likeness(ssim[0], _product([*structure[:-1], ssim[-1]]), mse)

    def _mean(self, values: Plane, scale: int = 0, margin: int = 0) -> float | None:
        """None if no pixel is in the region. `values` lacks `margin` pixels on each side."""
        if self.without:
            values, counted = values.copy(), np.ones(values.shape, bool)
            for box in self.without:
                place = _pixels(box, values.shape, scale, margin)
                values[place], counted[place] = 0, False
            count = int(np.count_nonzero(counted))
        else:
            values = values[_pixels(self.box, values.shape, scale, margin)]
            count = values.size
        return float(values.sum(dtype=np.float64)) / count if count else None


def _product(factors: Sequence[float | None]) -> float | None:
    """MS-SSIM out of its factors; one below 0 counts as 0, because it has no real power."""
    result = 1.0
    for factor, weight in zip(factors, _WEIGHTS, strict=True):
        if factor is None:
            return None
        result *= max(factor, 0.0) ** weight
    return result


def _pixels(
    box: Box, shape: tuple[int, ...], scale: int = 0, margin: int = 0
) -> tuple[slice, slice]:
    """The pixels of a plane whose centres lie in `box`, which is in pixels of scale 0."""

    def within(low: float, high: float, length: int) -> slice:
        pixel = 2**scale
        first = ceil((low + 0.5) / pixel - 0.5) - margin
        last = floor((high + 0.5) / pixel - 0.5) - margin
        start = min(max(first, 0), length)
        return slice(start, max(min(last + 1, length), start))

    return within(box.top, box.bottom, shape[0]), within(box.left, box.right, shape[1])


def _grown(box: Box) -> Box:
    across, down = MARGIN * box.width + RADIUS, MARGIN * box.height + RADIUS
    return Box(box.left - across, box.top - down, box.right + across, box.bottom + down)


def _box_in(width: int, height: int) -> Callable[[Sighting], Box | None]:
    """The face's box in pixels of a picture of this size."""

    def box_in(seen: Sighting) -> Box | None:
        if seen.face is None:
            return None
        rows, columns = seen.frame.image.shape[:2]
        if (rows, columns) == (height, width):
            return seen.face.box
        across, down = width / columns, height / rows
        box = seen.face.box
        return Box(
            (box.left + 0.5) * across - 0.5,
            (box.top + 0.5) * down - 0.5,
            (box.right + 0.5) * across - 0.5,
            (box.bottom + 0.5) * down - 0.5,
        )

    return box_in
