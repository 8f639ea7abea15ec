"""FaceChips: the faces of a frame pair → the chips that an embedder wants."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from streamdeid.cores import CORES
from streamdeid.observations import Chips, Sighting
from streamdeid.pair import Pair
from streamdeid.stages.alignment import Alignment, Points
from streamdeid.stages.sampling import Planes

# Of the inner two thirds of the chip, where the face is. A painted box comes out of a video codec
# with a deviation of 1 to 2 grey levels, a face with 20 and more.
_FLAT = 4.0


def every_pair(_index: int) -> bool:
    """Whether a frame pair is wanted where all are."""
    return True


class FaceChips:
    """Cuts each side's face out of its frame, and the de-identified side again at the original's.

    The second is what an attacker can do who knows where the face was: it needs no face to be
    found in the de-identified video.

    Args:
        alignment: shared by both sides; it has no memory.
        wants: whether chips are to be cut of a frame pair of that index at all.
        first_index: of the first frame pair.
    """

    name = "face_chips"
    delay: int | None = 0
    stride = 1

    def __init__(
        self,
        alignment: Alignment,
        wants: Callable[[int], bool] = every_pair,
        first_index: int = 0,
    ) -> None:
        self._alignment = alignment
        self._wants = wants
        self._index = first_index

    def push(self, item: Pair[Sighting]) -> Iterable[Chips]:
        index, self._index = self._index, self._index + 1
        if self._wants(index):
            yield self._cut(index, item)
        else:
            yield Chips(index, item.original.frame.elapsed, Pair(None, None))

    def flush(self) -> Iterable[Chips]:
        return ()

    def reset(self) -> None:
        """Nothing to forget: every frame pair stands for itself."""

    def _cut(self, index: int, item: Pair[Sighting]) -> Chips:
        time = item.original.frame.elapsed
        (points, original), (_, deidentified) = CORES.both(
            lambda: self._aligned(item.original), lambda: self._aligned(item.deidentified)
        )
        own = Pair(original, deidentified)
        if points is None or original is None:
            return Chips(index, time, own)
        points = _to_frame(points, item.original, item.deidentified)
        paired = self._chip(item.deidentified, points)
        if paired is None:
            return Chips(index, time, own, paired_flat=True)
        detail = relative_detail(paired, original)
        return Chips(index, time, own, paired, paired_detail=detail)

    def _aligned(self, sighting: Sighting) -> tuple[Points | None, Planes | None]:
        """The points of the face that was found, and the chip that they cut."""
        if sighting.face is None:
            return None, None
        points = self._alignment.points(sighting.frame.image, sighting.face)
        return points, self._chip(sighting, points)

    def _chip(self, sighting: Sighting, points: Points) -> Planes | None:
        """The chip that `points` cut out of a frame; None if it is flat."""
        chip = self._alignment.chip(sighting.frame.image, points)
        return None if is_flat(chip) else chip


def is_flat(chip: Planes) -> bool:
    """Whether the inner part of a chip is one colour, in which no embedder can see a face."""
    return float(_inner(chip).std(axis=(1, 2)).max()) < _FLAT


def relative_detail(chip: Planes, reference: Planes) -> float:
    """Typical gradient of `chip` over that of `reference`, in their inner parts: 0 and above.

    1 where the two are equally rich in detail, near 0 where `chip` is a blur or a mosaic: the
    median, because a mosaic has hard edges but is flat nearly everywhere.
    """
    typical = _typical_gradient(_inner(reference))
    return _typical_gradient(_inner(chip)) / typical if typical > 0 else 0.0


def _inner(chip: Planes) -> Planes:
    sixth = chip.shape[1] // 6
    return chip[:, sixth:-sixth, sixth:-sixth]


def _typical_gradient(planes: Planes) -> float:
    luma = planes.mean(axis=0)
    across, down = np.diff(luma, axis=1)[1:], np.diff(luma, axis=0)[:, 1:]
    return float(np.median(np.hypot(across, down)))


def _to_frame(points: Points, seen: Sighting, other: Sighting) -> Points:
    """Points of one side in pixels of the other, whose frame may have another size."""
    height, width = seen.frame.image.shape[:2]
    rows, columns = other.frame.image.shape[:2]
    scaled: Points = (points + 0.5) * (columns / width, rows / height) - 0.5
    return scaled
