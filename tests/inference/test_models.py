"""The shipped models give what independent runtimes give.

The figures are recorded: TensorFlow's interpreter, dlib, and ONNX Runtime with CenterFace as it was
shipped, by tools/record_references.py. Tolerances are float32 sums in another order, ten times what
was found; where ONNX Runtime uses other kernels on other processors, they differ as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from streamdeid.inference.manifest import Manifest
from streamdeid.inference.session import Session
from tests.inference import pictures

References = Mapping[str, NDArray[Any]]


def test_blazeface_finds_what_tensorflow_finds(manifest: Manifest, references: References) -> None:
    session = Session(manifest.spec("blazeface"))
    for at, image in enumerate(pictures.detector_pictures()):
        boxes, scores = session.run(image=pictures.planar([image]))
        np.testing.assert_allclose(scores[0], references["blazeface_scores"][at], atol=1e-5)
        best = references["blazeface_best"][at]
        np.testing.assert_allclose(boxes[0, best], references["blazeface_boxes"][at], atol=2e-3)


def test_blazeface_boxes_hold_the_face(manifest: Manifest) -> None:
    session = Session(manifest.spec("blazeface"))
    boxes, scores = session.run(image=pictures.planar(pictures.detector_pictures()[:1]))
    x, y, width, height = boxes[0, scores[0].argmax(), :4]
    assert scores.max() > 0.9
    assert x == pytest.approx(70, abs=8)
    assert y == pytest.approx(70, abs=8)
    assert width == pytest.approx(height, rel=0.1)
    right_eye, left_eye = boxes[0, scores[0].argmax(), 4:8].reshape(2, 2)
    assert right_eye[0] < left_eye[0], "the subject's right eye is on the left of the picture"


def test_landmarks_lie_where_tensorflow_finds_them(
    manifest: Manifest, references: References
) -> None:
    images = pictures.planar(pictures.landmark_pictures())
    landmarks, presence = Session(manifest.spec("landmarks")).run(image=images)
    np.testing.assert_allclose(landmarks, references["landmarks"], atol=5e-3)
    np.testing.assert_allclose(presence, references["presence"], atol=1e-4)
    assert (presence[:3] > 0.9).all(), "these are faces"
    assert (presence[3:] < 0.1).all(), "these are none"


def test_blendshapes_are_those_of_tensorflow(manifest: Manifest, references: References) -> None:
    session = Session(manifest.spec("blendshapes"))
    for mesh, expected in zip(references["landmarks"], references["blendshapes"], strict=True):
        (found,) = session.run(landmarks=mesh[None])
        np.testing.assert_allclose(found[0], expected, atol=1e-5)


def test_a_batch_gives_what_its_images_give_alone(manifest: Manifest) -> None:
    for name, images in (
        ("landmarks", pictures.landmark_pictures()),
        ("dlib_resnet", pictures.chips()),
    ):
        session = Session(manifest.spec(name))
        batch = pictures.planar(images)
        together = session.run(**{session.spec.input.name: batch})[0]
        for at in range(len(images)):
            alone = session.run(**{session.spec.input.name: batch[at : at + 1]})[0]
            np.testing.assert_allclose(together[at], alone[0], atol=1e-3 if at < 3 else 1e-2)


def test_embeddings_are_those_of_dlib(manifest: Manifest, references: References) -> None:
    (embeddings,) = Session(manifest.spec("dlib_resnet")).run(
        chips=pictures.planar(pictures.chips())
    )
    np.testing.assert_allclose(embeddings, references["embeddings"], atol=1e-5)


def test_centerface_gives_what_the_shipped_file_gives(
    manifest: Manifest, references: References
) -> None:
    session = Session(manifest.spec("centerface"))
    outputs = session.run(image=pictures.centerface_picture()[None])
    for spec, found in zip(session.spec.outputs, outputs, strict=True):
        np.testing.assert_allclose(found, references[f"centerface_{spec.name}"], atol=2e-4)
    assert outputs[0].max() > 0.5, "there is a face in it"


def test_centerface_takes_any_size_in_steps_of_32(manifest: Manifest) -> None:
    session = Session(manifest.spec("centerface"))
    for height, width in ((32, 32), (64, 160), (288, 96)):
        heatmap, scale, offset, landmarks = session.run(
            image=np.zeros((1, height, width, 3), np.uint8)
        )
        assert heatmap.shape == (1, 1, height // 4, width // 4)
        assert scale.shape == offset.shape == (1, 2, height // 4, width // 4)
        assert landmarks.shape == (1, 10, height // 4, width // 4)


def test_five_points_are_those_of_dlib_to_the_pixel(
    manifest: Manifest, references: References
) -> None:
    session = Session(manifest.spec("dlib_landmarks5"))
    frames = pictures.carphone()
    records = zip(
        references["five_frames"],
        references["five_boxes"],
        references["five_points"],
        strict=True,
    )
    for frame, box, points in records:
        rounded, exact = session.run(image=frames[frame], box=box.astype(np.int64))
        np.testing.assert_array_equal(rounded, points)
        np.testing.assert_allclose(rounded, exact, atol=0.5001)


def test_pixels_outside_of_the_frame_count_as_black_for_the_five_points(
    manifest: Manifest,
) -> None:
    session = Session(manifest.spec("dlib_landmarks5"))
    frame = pictures.carphone()[0]
    box = np.array([-12, 90, 60, 162])
    padded = np.pad(frame, ((100, 100), (100, 100), (0, 0)))
    _, here = session.run(image=frame, box=box)
    _, there = session.run(image=padded, box=box + 100)
    np.testing.assert_allclose(here + 100, there, atol=1e-3)
