"""Record what independent runtimes make of the inputs in tests/inference/pictures.py.

TensorFlow's interpreter and dlib are too heavy for every run of the tests, so their figures lie in
tests/data/model_references.npz, with those of the CenterFace file as shipped. To record them again:

    pip install "streamdeid[cpu,export,demo]" dlib-bin
    python tools/record_references.py

Keys of the file:
    blazeface_scores (n, 896); blazeface_best (n, 8), the anchors of the highest scores, and
        blazeface_boxes (n, 8, 16), their boxes: TensorFlow, for each of the detector's pictures.
    landmarks (n, 478, 3); presence (n,): TensorFlow, for each of the landmark model's pictures.
    blendshapes (n, 52): TensorFlow, for each of these landmarks.
    embeddings (n, 128): dlib, for each chip.
    centerface_heatmap, _scale, _offset, _landmarks: the shipped file, for its one picture.
    five_frames (n,); five_boxes (n, 4); five_points (n, 5, 2): dlib's predictor, on frames of the
        carphone clip in boxes of dlib's detector, moved, and over the border. Whole numbers.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import export_blazeface
import export_blendshapes
import numpy as np
import tflite
from export_centerface import OUTPUTS, shipped_session
from numpy.typing import NDArray
from registry import packaged_file

from streamdeid.inference.manifest import Manifest

ROOT = Path(__file__).parents[1]
FILE = ROOT / "tests" / "data" / "model_references.npz"
BEST = 8


def main() -> None:
    pictures = _test_pictures()
    records: dict[str, Any] = {
        **_blazeface(pictures),
        **_landmarks(pictures),
        **_embeddings(pictures),
        **_centerface(pictures),
        **_five_points(pictures),
    }
    FILE.parent.mkdir(exist_ok=True)
    np.savez_compressed(FILE, **records)
    sys.stdout.write(f"{FILE.name}: {FILE.stat().st_size} bytes\n")


def _test_pictures() -> ModuleType:
    """The module that the tests take their inputs from."""
    path = ROOT / "tests" / "inference" / "pictures.py"
    spec = importlib.util.spec_from_file_location("pictures", path)
    if spec is None or spec.loader is None:
        sys.exit(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _source(name: str) -> bytes:
    return packaged_file(Manifest.load().spec(name).origin)


def _blazeface(pictures: ModuleType) -> dict[str, NDArray[Any]]:
    content = _source("blazeface")
    scores, best, boxes = [], [], []
    for image in pictures.detector_pictures():
        unit = image[None].astype(np.float32) / np.float32(export_blazeface.HALF_RANGE) - 1
        found = tflite.interpreted(content, unit)
        score = 1 / (1 + np.exp(-np.clip(found["classificators"][0, :, 0], -100, 100)))
        order = np.argsort(-score, kind="stable")[:BEST]
        scores.append(score)
        best.append(order)
        boxes.append((found["regressors"] + export_blazeface.anchor_offsets())[0, order])
    return {
        "blazeface_scores": np.array(scores, np.float32),
        "blazeface_best": np.array(best),
        "blazeface_boxes": np.array(boxes, np.float32),
    }


def _landmarks(pictures: ModuleType) -> dict[str, NDArray[Any]]:
    content = _source("landmarks")
    meshes, presence = [], []
    for image in pictures.landmark_pictures():
        found = tflite.interpreted(content, image[None].astype(np.float32) / np.float32(255))
        meshes.append(found["Identity"].reshape(-1, 3))
        presence.append(1 / (1 + np.exp(-found["Identity_1"].ravel()[0])))
    return {
        "landmarks": np.array(meshes, np.float32),
        "presence": np.array(presence, np.float32),
        "blendshapes": _blendshapes(meshes),
    }


def _blendshapes(meshes: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    content = _source("blendshapes")
    chosen = [mesh[None, export_blendshapes.SUBSET, :2] for mesh in meshes]
    outputs = [next(iter(tflite.interpreted(content, points).values())) for points in chosen]
    return np.array(outputs, np.float32)


def _embeddings(pictures: ModuleType) -> dict[str, NDArray[Any]]:
    import dlib

    network = _dlib_model(dlib.face_recognition_model_v1, _source("dlib_resnet"))
    embeddings = [network.compute_face_descriptor(chip) for chip in pictures.chips()]
    return {"embeddings": np.array(embeddings, np.float32)}


def _centerface(pictures: ModuleType) -> dict[str, NDArray[Any]]:
    run = shipped_session(_source("centerface"))
    outputs = run(pictures.centerface_picture())
    return {
        f"centerface_{name}": values
        for (name, _), values in zip(OUTPUTS.values(), outputs, strict=True)
    }


def _five_points(pictures: ModuleType) -> dict[str, NDArray[Any]]:
    import dlib

    predictor = _dlib_model(dlib.shape_predictor, _source("dlib_landmarks5"))
    frames = pictures.carphone()
    numbers, boxes, points = [], [], []
    for index, box in _boxes(frames):
        parts = predictor(frames[index], dlib.rectangle(*box)).parts()
        numbers.append(index)
        boxes.append(box)
        points.append([(point.x, point.y) for point in parts])
    return {
        "five_frames": np.array(numbers, np.int16),
        "five_boxes": np.array(boxes, np.int16),
        "five_points": np.array(points, np.int16),
    }


def _boxes(frames: list[NDArray[np.uint8]]) -> Iterator[tuple[int, list[int]]]:
    """dlib's box in every tenth frame, then the same moved a little, and far over the border."""
    import dlib

    rng = np.random.default_rng(0)
    detector = dlib.get_frontal_face_detector()
    for index in range(0, len(frames), 10):
        found = detector(frames[index], 1)
        if not found:
            continue
        box = np.array([found[0].left(), found[0].top(), found[0].right(), found[0].bottom()])
        yield index, box.tolist()
        yield index, (box + rng.integers(-8, 9, 4)).tolist()
        yield index, (box + np.tile(rng.integers(-70, 71, 2), 2)).tolist()


def _dlib_model(load: Any, content: bytes) -> Any:
    with tempfile.NamedTemporaryFile(suffix=".dat") as file:
        Path(file.name).write_bytes(content)
        return load(file.name)


if __name__ == "__main__":
    main()
