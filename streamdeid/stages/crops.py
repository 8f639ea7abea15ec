"""FaceCrops: the same square around the face, cut out of both videos, for I3D."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from streamdeid.frame import Image
from streamdeid.observations import FaceCrop, Sighting
from streamdeid.pair import Pair
from streamdeid.stages.sampling import Affine, Planes, halve, sample

_SIZE: Final = 224


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle in shares of a frame's width and height, so that it fits frames of any size.

    In the frame that it was found in it is a square of pixels.
    """

    left: float
    top: float
    width: float
    height: float

    @classmethod
    def square(cls, center: tuple[float, float], side: float, image: Image) -> Window:
        """From pixels of `image`, where the middle of the first one is (0, 0)."""
        rows, columns = image.shape[:2]
        left, top = (at + 0.5 - side / 2 for at in center)
        return cls(left / columns, top / rows, side / columns, side / rows)

    def towards(self, other: Window, share: float) -> Window:
        """The window that lies `share` of the way from this one to the other."""

        def between(a: float, b: float) -> float:
            return a + share * (b - a)

        return Window(
            between(self.left, other.left),
            between(self.top, other.top),
            between(self.width, other.width),
            between(self.height, other.height),
        )

    def pixels(self, image: Image) -> tuple[float, float, float, float]:
        """Left, top, right and bottom edge in pixels, where the frame's own edges are at 0."""
        rows, columns = image.shape[:2]
        return (
            self.left * columns,
            self.top * rows,
            (self.left + self.width) * columns,
            (self.top + self.height) * rows,
        )


class Cropping(Protocol):
    """How the window moves with the face, and how a crop is cut out of it."""

    def follow(self, item: Pair[Sighting]) -> Window | None:
        """What to cut out of this pair; None: there is no face to show."""
        ...

    def cut(self, image: Image, window: Window) -> Planes:
        """The crop, shape (3, 224, 224), 0..255."""
        ...

    def reset(self) -> None:
        """The next pair has nothing to do with the last."""
        ...


class SteadyCropping:
    """A window that glides with the original's face, and waits for it.

    A window that jumped with every landmark would add motion to both videos that neither has. So
    it goes an eighth of the way to the face with each frame. Where the original has no face, the
    de-identified video's leads; where neither has one, the window stays for `hold` frames. A
    turned or covered head is back by then. If not, anything may be in there: there is no crop until
    a face is seen again, and the window begins on that.

    Where the window shows more than two pixels in one, the frame is halved first, more than once
    if need be: bilinear sampling reads four neighbours, and would turn the detail between them into
    flicker. Beyond the frame its edge pixels go on: black would draw a line that no video has.

    Args:
        margin: side of the window over the longer side of the landmarks' box.
        hold: frames without a face on either side for which the window stays.
    """

    # Behind a face in steady motion the window is 7 frames late, and the margin leaves it room.
    _SHARE = 1 / 8

    def __init__(self, margin: float = 1.5, hold: int = 25) -> None:
        self._margin = margin
        self._hold = hold
        self._window: Window | None = None
        self._unseen = 0

    def follow(self, item: Pair[Sighting]) -> Window | None:
        target = self._around_face(item.original) or self._around_face(item.deidentified)
        if target is None:
            self._unseen += 1
            if self._unseen > self._hold:
                self._window = None
        else:
            self._unseen = 0
            self._window = self._window.towards(target, self._SHARE) if self._window else target
        return self._window

    def cut(self, image: Image, window: Window) -> Planes:
        left, top, right, bottom = window.pixels(image)
        return _cut_halved(image, _grid(left, top, right - left, bottom - top))

    def reset(self) -> None:
        self._window = None
        self._unseen = 0

    def _around_face(self, seen: Sighting) -> Window | None:
        if seen.face is None:
            return None
        box = seen.face.box
        side = self._margin * max(box.width, box.height)
        return Window.square(box.center, side, seen.frame.image)


class FsmetricCropping:
    """The window of fsmetric: the original's face region, without margin, renewed every 10 frames.

    fsmetric's detector is OpenCV's Haar cascade, and it cuts both videos at the pixels that this
    finds in the original. Followed here: the ten frames, which video leads, whole pixels, a window
    that keeps within the frame, OpenCV's bilinear `resize` with its borders and its rounding (but
    for its weights in fixed point: one value in eight is off by 1), and that the window is never
    given up once a face was seen.

    What cannot be followed is the cascade itself. The window lies where the cascade's does in the
    median over three videos, in relation to the landmarks; that one's side varies by 3 to 10 %
    from frame to frame. Frames before the first face are skipped, and the first face counts at
    once, not at the next tenth frame. Where the videos' sizes differ, the window is scaled.
    """

    _EVERY = 10
    # In units of the landmark box's longer side; measured on 95 frames with the cascade's
    # frontalface_default at scaleFactor 1.3, minNeighbors 5.
    _SIDE = 1.055
    _UP = 0.07

    def __init__(self) -> None:
        self._window: Window | None = None
        self._count = 0

    def follow(self, item: Pair[Sighting]) -> Window | None:
        due = self._window is None or self._count % self._EVERY == 0
        self._count += 1
        face = item.original.face
        if due and face is not None:
            image = item.original.frame.image
            longer = max(face.box.width, face.box.height)
            x, y = face.box.center
            side = max(min(round(self._SIDE * longer), *image.shape[:2]), 1)
            place = Window.square((x, y - self._UP * longer), side, image).pixels(image)
            limits = (image.shape[1] - side, image.shape[0] - side)
            left, top = (
                min(max(round(at), 0), limit) for at, limit in zip(place, limits, strict=False)
            )
            center = (left + (side - 1) / 2, top + (side - 1) / 2)
            self._window = Window.square(center, side, image)
        return self._window

    def cut(self, image: Image, window: Window) -> Planes:
        left, top, right, bottom = (round(at) for at in window.pixels(image))
        part = image[top : max(bottom, top + 1), left : max(right, left + 1)]
        rows, columns = part.shape[:2]
        crop: Planes = np.rint(sample(part, _grid(0, 0, columns, rows), _SIZE))
        return crop

    def reset(self) -> None:
        self._window = None
        self._count = 0


class FaceCrops:
    """Cuts the same window out of both videos, 224 × 224 pixels each.

    I3D takes crops for equal steps in time. A pair without a crop is therefore not passed over in
    silence: it is counted, and the next crop says that it comes after a gap.

    Args:
        cropping: how the window moves and is cut.

    Attributes:
        cut: pairs of crops so far.
        held: of them, those in which no face was seen on either side.
        skipped: pairs that gave no crop, because no face had been seen for too long, or yet.
        gaps: times that skipped pairs lay between two crops.
    """

    name = "face_crops"
    delay: int | None = None
    stride = 1

    def __init__(self, cropping: Cropping | None = None, first_index: int = 0) -> None:
        self._cropping = cropping or SteadyCropping()
        self._index = first_index  # of the first frame pair
        self._last: int | None = None  # index of the last pair that gave a crop
        self.cut = self.held = self.skipped = self.gaps = 0

    def push(self, item: Pair[Sighting]) -> Iterable[Pair[FaceCrop]]:
        """Give the crops of one pair, or nothing."""
        index, self._index = self._index, self._index + 1
        window = self._cropping.follow(item)
        if window is None:
            self.skipped += 1
            return
        after_gap = self._last is not None and self._last != index - 1
        held = all(seen.face is None for _, seen in item.items())
        self._last = index
        self.cut += 1
        self.held += held
        self.gaps += after_gap
        yield item.map(
            lambda seen: FaceCrop(
                self._cropping.cut(seen.frame.image, window), index, after_gap, held
            )
        )

    def flush(self) -> Iterable[Pair[FaceCrop]]:
        return ()

    def reset(self) -> None:
        """Forget the window; pairs are counted on."""
        self._cropping.reset()
        self._last = None


def _grid(left: float, top: float, width: float, height: float) -> Affine:
    """Crop pixels → image pixels, edges on edges; the image's own edges are at 0."""
    x, y = width / _SIZE, height / _SIZE
    return np.array([[x, 0.0, left + (x - 1) / 2], [0.0, y, top + (y - 1) / 2]])


def _cut_halved(image: Image, grid: Affine) -> Planes:
    """`sample`, from the image halved as long as a step of the grid is two pixels or more."""
    step = min(grid[0, 0], grid[1, 1])
    levels = max(int(np.floor(np.log2(step))), 0)
    if levels == 0:
        return sample(image, grid, _SIZE)
    # Only what is needed is halved; it may reach beyond the frame. Each halving takes 2 pixels off
    # on every side, and sampling 1 more.
    grow = 4 << levels
    first = np.floor(grid[:, 2]).astype(int) - grow
    last = np.ceil(grid @ (_SIZE - 1, _SIZE - 1, 1)).astype(int) + grow
    rows, columns = image.shape[:2]
    x = np.clip(np.arange(first[0], last[0] + 1), 0, columns - 1)
    y = np.clip(np.arange(first[1], last[1] + 1), 0, rows - 1)
    part: Image = image[y[:, None], x]
    grid = grid.copy()
    grid[:, 2] -= first
    for _ in range(levels):
        part = halve(part)
        grid[:, 2] -= 2
        grid /= 2
    return sample(part, grid, _SIZE)
