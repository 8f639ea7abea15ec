"""Real frames, real models, and what other libraries make of them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from streamdeid.engine.models import Models
from streamdeid.frame import Frame, Image
from streamdeid.observations import Face
from streamdeid.settings import Settings
from streamdeid.stages.detection import BlazeFace, CenterFace
from streamdeid.stages.landmarks import LandmarkModel, region_of
from tests.stages import record_references


@pytest.fixture(scope="session")
def carphone() -> list[Image]:
    """The 120 frames of the carphone clip, 176 × 144: a man in a car, one face in each."""
    return record_references.carphone()


@pytest.fixture(scope="session")
def references() -> dict[str, Any]:
    """See `record_references`."""
    with np.load(record_references.FILE) as file:
        return dict(file)


@pytest.fixture(scope="session")
def models() -> Models:
    return Models(Settings(provider="cpu"))


@pytest.fixture(scope="session")
def blazeface(models: Models) -> BlazeFace:
    quick, _ = models.detectors()
    assert isinstance(quick, BlazeFace)
    return quick


@pytest.fixture(scope="session")
def centerface(models: Models) -> CenterFace:
    _, thorough = models.detectors()
    assert isinstance(thorough, CenterFace)
    return thorough


@pytest.fixture(scope="session")
def landmarks(models: Models) -> LandmarkModel:
    return models.landmarks()


@pytest.fixture(scope="session")
def find_face(blazeface: BlazeFace, landmarks: LandmarkModel) -> Callable[[Image], Face]:
    """The face of a picture that has one."""

    def find(image: Image) -> Face:
        face = landmarks.find(image, blazeface.detect(image)[0].region)
        return landmarks.find(image, region_of(face))

    return find


def as_frame(image: Image, index: int = 0) -> Frame:
    """A frame of a video of 25 frames a second."""
    return Frame(image, index, index, Fraction(1, 25))


def on_canvas(image: Image, width: int, height: int, left: int = 0, top: int = 0) -> Image:
    """A gray picture with `image` pasted into it."""
    canvas = np.full((height, width, 3), 110, np.uint8)
    canvas[top : top + image.shape[0], left : left + image.shape[1]] = image
    return canvas


def pixelate(image: Image, left: int, top: int, right: int, bottom: int, block: int) -> Image:
    """A copy in which blocks of the rectangle have the colour of their mean."""
    covered = image.copy()
    for y in range(top, bottom, block):
        for x in range(left, right, block):
            part = covered[y : min(y + block, bottom), x : min(x + block, right)]
            part[:] = part.mean(axis=(0, 1))
    return covered
