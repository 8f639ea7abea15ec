"""Landmarks → the upright square crop ("chip") that an embedder wants."""

from __future__ import annotations

from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamdeid.frame import Image
from streamdeid.inference.session import Session
from streamdeid.observations import Face
from streamdeid.stages.sampling import Affine, Planes, halve, sample

Points: TypeAlias = NDArray[np.float64]
"""Shape (n, 2): x, y in pixels of the image."""

_DLIB_SIZE = 150
_DLIB_PADDING = 0.25
# dlib's mean face in the unit square, order of its 5-point predictor: the subject's left outer and
# inner eye corner, right outer and inner eye corner, base of the nose
# (face_landmark_detection: get_face_chip_details for 5 parts).
_DLIB_MEAN_FACE = np.array(
    [
        (0.8595674595992, 0.2134981538014),
        (0.6460604764104, 0.2289674387677),
        (0.1205750620789, 0.2137274526848),
        (0.3340850613712, 0.2290642403242),
        (0.4901123135679, 0.6277975316475),
    ]
)
_DLIB_CHIP_POINTS = (_DLIB_MEAN_FACE + _DLIB_PADDING) / (1 + 2 * _DLIB_PADDING) * _DLIB_SIZE


def similarity(source: Points, target: Points) -> Affine:
    """The turn, scale and shift that carries `source` to `target` with least squares.

    Without reflection, in closed form: points as complex numbers, target = a · source + b.

    Args:
        source, target: shape (n, 2), n >= 2.

    Returns:
        Shape (2, 3).

    Source: Umeyama 1991, doi:10.1109/34.88573, in two dimensions.
    """
    z, w = source @ [1, 1j], target @ [1, 1j]
    mean_z, mean_w = z.mean(), w.mean()
    z, w = z - mean_z, w - mean_w
    a = (z.conj() @ w) / (z.conj() @ z).real
    b = mean_w - a * mean_z
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def dlib_chip(image: Image, points: Points) -> Planes:
    """The 150 × 150 chip that dlib's face recognition network was trained on.

    Two things are not as one would write them. The chip's outermost pixel *centres* lie on the
    edges of the region, so the scale is (150 s - 1) / 149; the natural half-pixel warp moves
    embeddings by 0.065. And a face larger than the chip is halved first, from a sub-image whose
    corner decides which pixels are kept.

    Args:
        points: shape (5, 2), whole pixels, dlib's order.

    Returns:
        Whole numbers 0..255, shape (3, 150, 150); black where the face is off the image or less
        than a pixel wide.

    Source: dlib, `get_face_chip_details` and `extract_image_chips`; equal to
        `dlib.get_face_chip(image, shape, size=150, padding=0.25)` but for one value in some
        thousands, which is off by 1.
    """
    to_image = similarity(_DLIB_CHIP_POINTS, np.asarray(points, np.float64))
    turn = to_image[:, :2]
    scale = float(np.hypot(turn[0, 0], turn[1, 0]))
    center = turn @ (_DLIB_SIZE / 2, _DLIB_SIZE / 2) + to_image[:, 2]
    span = _DLIB_SIZE * scale - 1
    if span <= 0:  # all points on one pixel
        return np.zeros((3, _DLIB_SIZE, _DLIB_SIZE), np.float32)
    turn = turn / scale * (span / (_DLIB_SIZE - 1))
    middle = (_DLIB_SIZE - 1) / 2
    grid = np.column_stack([turn, center - turn @ (middle, middle)])

    levels = _dlib_levels(span)
    # dlib cuts a sub-image before it halves: the parity of its corner matters.
    grow = 2.0
    for _ in range(levels):
        grow = grow * 2 + 2
    last = _DLIB_SIZE - 1
    corners = grid @ np.array([[0, last, 0, last], [0, 0, last, last], [1, 1, 1, 1]])
    height, width = image.shape[:2]
    left, top = np.floor(np.maximum(corners.min(axis=1) - grow, 0) + 0.5).astype(int)
    limit = (width - 1, height - 1)
    right, bottom = np.floor(np.minimum(corners.max(axis=1) + grow, limit) + 0.5).astype(int)
    part = image[top : bottom + 1, left : right + 1]
    grid[:, 2] -= (left, top)
    for _ in range(levels):
        if min(part.shape[:2]) < 5:
            return np.zeros((3, _DLIB_SIZE, _DLIB_SIZE), np.float32)
        part = halve(part)
        grid = grid / 2
        grid[:, 2] -= (1.25, 0.75)
    if part.size == 0:
        return np.zeros((3, _DLIB_SIZE, _DLIB_SIZE), np.float32)
    # dlib adds up in double: a whole number there must not fall one short in float32.
    chip: Planes = np.floor(sample(part, grid, _DLIB_SIZE, border="black") + 1e-4)
    return chip


def _dlib_levels(span: float) -> int:
    """How often dlib halves the image before it cuts a chip whose region is `span` wide."""
    levels = 0
    span /= 2
    while (span + 1) ** 2 > _DLIB_SIZE**2:
        levels += 1
        span /= 2
    return levels


class Alignment(Protocol):
    """How a face becomes the chip of one kind of embedder, in two steps.

    The points of one video's face can cut a chip out of the other video, too.
    """

    def points(self, image: Image, face: Face) -> Points:
        """The points that the chip is cut by, in pixels of `image`."""
        ...

    def chip(self, image: Image, points: Points) -> Planes:
        """The upright square crop around `points`."""
        ...


class DlibAlignment:
    """dlib's: its own predictor finds five points, and they cut the chip.

    Args:
        predictor: the model `dlib_landmarks5` of the manifest.
    """

    # dlib's predictor was trained on boxes of dlib's detector. Where that box lies in relation to
    # the landmarks', in units of the longer side: measured over the frames where both find a face.
    _DOWN = 0.005
    _SIDE = 0.8645

    def __init__(self, predictor: Session) -> None:
        self._predictor = predictor

    def points(self, image: Image, face: Face) -> Points:
        x, y = face.box.center
        longer = max(face.box.width, face.box.height)
        half = self._SIDE * longer / 2
        y += self._DOWN * longer
        box = np.rint([x - half, y - half, x + half, y + half]).astype(np.int64)
        rounded, _ = self._predictor.run(image=image, box=box)
        return rounded.astype(np.float64)

    def chip(self, image: Image, points: Points) -> Planes:
        return dlib_chip(image, np.rint(points))


class ArcFaceAlignment:
    """That of ArcFace and its kin: eyes, nose tip and mouth corners on fixed places of 112 × 112.

    Source: insightface, `face_align.arcface_dst`.
    """

    _SIZE = 112
    _TEMPLATE = np.array(
        [
            (38.2946, 51.6963),
            (73.5318, 51.5014),
            (56.0252, 71.7366),
            (41.5493, 92.3655),
            (70.7299, 92.2041),
        ]
    )
    # Irises, nose tip, mouth corners of the face mesh; left before right as seen.
    _LANDMARKS = (468, 473, 4, 61, 291)

    def points(self, image: Image, face: Face) -> Points:  # noqa: ARG002  the mesh has them already
        return face.landmarks[self._LANDMARKS, :2].astype(np.float64)

    def chip(self, image: Image, points: Points) -> Planes:
        # Fitted to the template, not from it: where a face does not fit, the two are no inverses.
        to_chip = similarity(points, self._TEMPLATE)
        turn = np.linalg.inv(to_chip[:, :2])
        grid = np.column_stack([turn, -turn @ to_chip[:, 2]])
        return sample(image, grid, self._SIZE, border="black")
