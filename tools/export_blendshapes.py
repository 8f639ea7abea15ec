"""Build blendshapes.onnx: MediaPipe's 52 blendshapes of the 478 landmarks of a face.

The network takes 146 of the landmarks, without their depth; which ones is part of the file here,
so that it is fed with what the landmark model gives.

Parity: TensorFlow's own interpreter on the .tflite, to 1e-5.
"""

from __future__ import annotations

import exporter
import numpy as np
import onnx
import tflite
from numpy.typing import NDArray
from onnx import helper
from onnx_graph import constants, replace_constants, serialised, tensor, tidied

from streamdeid.inference.manifest import ModelSpec
from streamdeid.inference.session import Session

# Where tf2onnx 1.17 moves transposes it forgets the axes of means, and it moves them in another
# order in every run. ONNX Runtime does as well with them where they are.
OPTIMIZERS = ("fold_constants", "remove_identity", "remove_back_to_back")
LANDMARKS = 478
BLENDSHAPES = 52

# MediaPipe's face_blendshapes_graph.cc, kLandmarksSubsetIdxs: the landmarks that the network takes.
# fmt: off
SUBSET = (
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66,
    67, 70, 78, 80, 81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144,
    145, 146, 148, 149, 150, 152, 153, 154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173,
    176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251, 263, 267, 269, 270, 276, 282, 283, 284,
    285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318, 321, 323, 324, 332,
    334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382, 384, 385, 386,
    387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472, 473,
    474, 475, 476, 477,
)
# fmt: on


def build(content: bytes) -> bytes:
    """The ONNX file from the .tflite."""
    graph = tflite.converted(content, OPTIMIZERS)
    (points,), (raw,) = ([value.name for value in ends] for ends in (graph.input, graph.output))
    values = constants(graph)
    values["subset"] = np.array(SUBSET, np.int64)
    values["first"], values["third"] = np.array([0], np.int64), np.array([2], np.int64)
    values["depth_axis"] = np.array([2], np.int64)
    values["rows"] = np.array([1, BLENDSHAPES], np.int64)
    replace_constants(graph, values)
    chosen = [
        helper.make_node("Gather", ["landmarks", "subset"], ["chosen"], axis=1),
        helper.make_node("Slice", ["chosen", "first", "third", "depth_axis"], [points]),
    ]
    rows = helper.make_node("Reshape", [raw, "rows"], ["blendshapes"])
    nodes: list[onnx.NodeProto] = [*chosen, *graph.node, rows]
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend(nodes)
    graph.input.append(tensor("landmarks", [1, LANDMARKS, 3]))
    graph.output.append(tensor("blendshapes", [1, BLENDSHAPES]))
    graph.name = "blendshapes"
    return serialised(tidied(graph))


def parity(content: bytes, spec: ModelSpec) -> bool:
    """Against TensorFlow's interpreter, on points that form a face, and on some that form none."""
    session = Session(spec)
    worst = 0.0
    for landmarks in point_sets():
        (reference,) = tflite.interpreted(content, landmarks[None, SUBSET, :2]).values()
        (found,) = session.run(landmarks=landmarks[None])
        worst = max(worst, exporter.difference(found[0], reference))
    print(f"blendshapes against TFLite: {worst:.1e}")
    return worst < 1e-5


def point_sets() -> list[NDArray[np.float32]]:
    """Landmarks (478, 3) in pixels: noise in several sizes and places."""
    rng = np.random.default_rng(0)
    spreads = ((30, 100), (80, 300), (200, 900), (1, 0))
    return [
        (rng.normal(0, spread, (LANDMARKS, 3)) + middle).astype(np.float32)
        for spread, middle in spreads
    ]


if __name__ == "__main__":
    exporter.main("blendshapes", build, parity, __doc__)
