"""LandmarkModel: a region of an image → the 478 landmarks of the face in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamdeid.frame import Image
from streamdeid.inference.session import Session
from streamdeid.observations import Box, Face
from streamdeid.stages.sampling import sample, square_crop

CROP_SIZE = 256
# How much wider than the landmarks the next crop is: MediaPipe's face_landmarker graph.
_MARGIN = 1.5
_LEFT_EYE, _RIGHT_EYE = 33, 263  # outer corners, left and right as seen
_MESH = 468  # the landmarks after these are the irises


@dataclass(frozen=True, slots=True)
class Region:
    """A turned square of an image in which to look for a face.

    Attributes:
        center: x, y in pixels.
        side: pixels.
        angle: radians by which the face is turned, clockwise as seen.
    """

    center: tuple[float, float]
    side: float
    angle: float = 0.0


class LandmarkModel:
    """Finds the landmarks of the one face in a region, as MediaPipe's Face Landmarker does.

    Args:
        session: the model `landmarks` of the manifest, or one of the same input and outputs.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def find(self, image: Image, region: Region) -> Face:
        """The face in `region`, however little the model believes in it: see `Face.presence`."""
        grid = square_crop(region.center, region.side, region.angle, CROP_SIZE)
        crop = sample(image, grid, CROP_SIZE)
        points, presence = self._session.run(image=crop[None])
        return Face(
            landmarks=(landmarks := _to_image(points[0], grid)),
            box=_box(landmarks[:_MESH]),
            presence=float(presence[0]),
        )


def region_of(face: Face) -> Region:
    """Where to look for `face` in the next frame: the upright square around it, with a margin."""
    points = face.landmarks[:, :2].astype(np.float64)
    dx, dy = points[_RIGHT_EYE] - points[_LEFT_EYE]
    angle = float(np.arctan2(dy, dx))
    c, s = np.cos(angle), np.sin(angle)
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    upright = (points - middle) @ np.array([[c, -s], [s, c]])
    low, high = upright.min(axis=0), upright.max(axis=0)
    x, y = (low + high) / 2
    center = (float(middle[0] + c * x - s * y), float(middle[1] + s * x + c * y))
    return Region(center, float((high - low).max()) * _MARGIN, angle)


def _to_image(points: NDArray[np.float32], grid: NDArray[np.float64]) -> NDArray[np.float32]:
    """Landmarks in pixels of the crop → in pixels of the image; depth keeps the same scale.

    MediaPipe's depth of a turned face depends on the aspect ratio of the picture; this does not.
    """
    xy = points[:, :2] @ grid[:, :2].T + grid[:, 2]
    z = points[:, 2:] * np.hypot(grid[0, 0], grid[1, 0])
    return np.concatenate([xy, z], axis=1).astype(np.float32)


def _box(points: NDArray[np.float32]) -> Box:
    left, top = points[:, :2].min(axis=0)
    right, bottom = points[:, :2].max(axis=0)
    return Box(float(left), float(top), float(right), float(bottom))
