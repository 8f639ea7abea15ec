"""Detectors: image → the faces in it, each with the region where its landmarks are to be sought."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streamdeid.frame import Image
from streamdeid.inference.insightface import InsightFaceDetector
from streamdeid.inference.session import Session
from streamdeid.observations import Box
from streamdeid.stages.landmarks import Region
from streamdeid.stages.sampling import sample


@dataclass(frozen=True, slots=True)
class Detection:
    """A face that a detector found.

    Attributes:
        box: as the detector frames a face.
        score: the detector's own, 0..1.
        region: where to look for its landmarks.
        refinements: how often the landmarks should be sought again in the region they give,
            because `region` is only roughly where they are.
    """

    box: Box
    score: float
    region: Region
    refinements: int = 0


class Detector(Protocol):
    """Finds faces in one image, without memory of others."""

    def detect(self, image: Image) -> list[Detection]:
        """All faces in `image`, the surest first."""
        ...


class BlazeFace:
    """MediaPipe's short-range detector: 0.7 ms, for faces larger than about a tenth of the frame.

    Args:
        session: the model `blazeface` of the manifest.
        threshold: detections with a lower score do not count; MediaPipe's default.

    Source: Bazarevsky et al. 2019, arXiv:1907.05047; overlapping boxes are averaged, weighted by
        score, as MediaPipe does.
    """

    SIZE = 128

    def __init__(self, session: Session, threshold: float = 0.5) -> None:
        self._session = session
        self._threshold = threshold

    def detect(self, image: Image) -> list[Detection]:
        height, width = image.shape[:2]
        step = max(height, width) / self.SIZE
        shift = np.array([(width - max(height, width)) / 2, (height - max(height, width)) / 2])
        grid = np.array([[step, 0, shift[0]], [0, step, shift[1]]])
        boxes, scores = self._session.run(image=sample(image, grid, self.SIZE, "black")[None])
        sure = scores[0] >= self._threshold
        blended = _blend(boxes[0][sure].astype(np.float64), scores[0][sure].astype(np.float64))
        found = []
        for values, score in blended:
            x, y = values[:2] * step + shift
            w, h = values[2:4] * step
            (x0, y0), (x1, y1) = values[4:6], values[6:8]  # the eyes, left and right as seen
            region = Region(
                (float(x), float(y)), 1.5 * float(max(w, h)), float(np.arctan2(y1 - y0, x1 - x0))
            )
            box = Box(float(x - w / 2), float(y - h / 2), float(x + w / 2), float(y + h / 2))
            found.append(Detection(box, score, region))
        return found


class CenterFace:
    """Finds small and turned faces too: 30 ms at 640 × 480.

    Larger frames are shrunk by a whole factor to at most 640 pixels a side; smaller ones are used
    as they are.

    Args:
        session: the model `centerface` of the manifest.
        threshold: detections with a lower score do not count.

    Source: Xu et al. 2020, arXiv:1911.03599.
    """

    LONGEST = 640
    STRIDE = 4

    def __init__(self, session: Session, threshold: float = 0.5) -> None:
        self._session = session
        self._threshold = threshold

    def detect(self, image: Image) -> list[Detection]:
        factor = -(-max(image.shape[:2]) // self.LONGEST)
        if min(image.shape[:2]) < factor:
            return []  # a stripe, of which nothing is left
        padded = _pad_to_multiple(_shrink(image, factor), 32)
        heat, scale, offset, _ = self._session.run(image=padded[None])
        rows, columns = np.nonzero(heat[0, 0] > self._threshold)
        scores = heat[0, 0, rows, columns].astype(np.float64)
        size = np.exp(scale[0, :, rows, columns].astype(np.float64)) * self.STRIDE  # (n, 2): h, w
        y = (rows + offset[0, 0, rows, columns] + 0.5) * self.STRIDE
        x = (columns + offset[0, 1, rows, columns] + 0.5) * self.STRIDE
        corners = np.column_stack(
            [x - size[:, 1] / 2, y - size[:, 0] / 2, x + size[:, 1] / 2, y + size[:, 0] / 2]
        )
        # A pixel of the small image stands for `factor` pixels, centre on centre.
        corners = (corners + 0.5) * factor - 0.5
        found = []
        for index in _suppress(corners, scores):
            box = Box(*(float(value) for value in corners[index]))
            region = Region(box.center, 1.4 * max(box.width, box.height))
            found.append(Detection(box, float(scores[index]), region, refinements=2))
        return found


class BroughtDetector:
    """A detector that the user brings: SCRFD and its kin, whose boxes are those of CenterFace.

    Both were trained on the boxes of WIDER FACE, from forehead to chin.

    Args:
        model: from insightface's model zoo.
    """

    def __init__(self, model: InsightFaceDetector) -> None:
        self._model = model

    def detect(self, image: Image) -> list[Detection]:
        boxes, scores, keypoints = self._model.detect(image)
        found = []
        for index, score in enumerate(scores):
            box = Box(*(float(value) for value in boxes[index]))
            angle = 0.0
            if keypoints is not None:
                dx, dy = keypoints[index, 1] - keypoints[index, 0]  # the eyes
                angle = float(np.arctan2(dy, dx))
            region = Region(box.center, 1.4 * max(box.width, box.height), angle)
            found.append(Detection(box, float(score), region, refinements=2))
        return found


class FirstThatFinds:
    """Asks several detectors in turn, until one finds a face: the quick one before the thorough."""

    def __init__(self, detectors: Sequence[Detector]) -> None:
        self._detectors = tuple(detectors)

    def detect(self, image: Image) -> list[Detection]:
        for detector in self._detectors:
            if found := detector.detect(image):
                return found
        return []


def _blend(
    boxes: NDArray[np.float64], scores: NDArray[np.float64], overlap: float = 0.3
) -> list[tuple[NDArray[np.float64], float]]:
    """Groups of overlapping boxes (cx, cy, w, h, ...), each averaged by score; the surest first."""
    groups = []
    left = np.argsort(-scores, kind="stable")
    while left.size:
        first = boxes[left[0]]
        same = _iou(_corners(first[None]), _corners(boxes[left]))[0] > overlap
        same[0] = True
        members = left[same]
        weights = scores[members]
        groups.append((weights @ boxes[members] / weights.sum(), float(scores[left[0]])))
        left = left[~same]
    return groups


def _suppress(
    corners: NDArray[np.float64], scores: NDArray[np.float64], overlap: float = 0.3
) -> list[int]:
    """Indices of the boxes that are no weaker double of another; the surest first."""
    kept = []
    left = np.argsort(-scores, kind="stable")
    while left.size:
        kept.append(int(left[0]))
        left = left[1:][_iou(corners[left[:1]], corners[left[1:]])[0] <= overlap]
    return kept


def _corners(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack([boxes[:, :2] - boxes[:, 2:4] / 2, boxes[:, :2] + boxes[:, 2:4] / 2])


def _iou(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of boxes (left, top, right, bottom): (n, 4), (m, 4) → (n, m)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = [np.clip(c[:, 2:] - c[:, :2], 0, None).prod(axis=1) for c in (a, b)]
    union = areas[0][:, None] + areas[1][None] - shared
    overlap: NDArray[np.float64] = np.divide(
        shared, union, out=np.zeros_like(shared), where=union > 0
    )
    return overlap


def _shrink(image: Image, factor: int) -> Image:
    """The mean of each `factor` × `factor` block; what is left over at the edges is dropped."""
    if factor == 1:
        return image
    height, width = (n // factor for n in image.shape[:2])
    # Whole rows are added up, then columns: 6 ms for 1920 × 1080, where a mean over axes takes 68.
    rows = np.zeros((height, width * factor, 3), np.uint32)
    for y in range(factor):
        rows += image[y : height * factor : factor, : width * factor]
    blocks = np.zeros((height, width, 3), np.uint32)
    for x in range(factor):
        blocks += rows[:, x::factor]
    return ((blocks + factor**2 // 2) // factor**2).astype(np.uint8)


def _pad_to_multiple(image: Image, of: int) -> Image:
    """Black rows and columns at the end, until both sides are multiples of `of`."""
    below, right = (-n % of for n in image.shape[:2])
    return np.pad(image, ((0, below), (0, right), (0, 0))) if below or right else image
