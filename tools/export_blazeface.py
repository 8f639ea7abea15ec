"""Build blazeface.onnx: MediaPipe's short-range face detector, its boxes decoded in the graph.

The .tflite gives box offsets from 896 anchors and logits. Anchors are constants, so they are added
here: who runs the model gets boxes in pixels of the input image, and probabilities.

Parity: TensorFlow's own interpreter on the .tflite, to 1e-5 of the largest value.
"""

from __future__ import annotations

import exporter
import numpy as np
import tflite
from numpy.typing import NDArray
from onnx import helper
from onnx_graph import constants, replace_constants, serialised, tensor, tidied

from streamdeid.inference.manifest import ModelSpec
from streamdeid.inference.session import Session

SIZE = 128
ANCHORS = 896
HALF_RANGE = 127.5  # 0..255 becomes -1..1
VALUES = 16  # centre, size, six key points
LARGEST_LOGIT = 100.0  # MediaPipe clips there before its sigmoid


def anchor_centres() -> NDArray[np.float32]:
    """Shape (896, 2): x, y of each anchor in pixels, in the order of the network's outputs.

    Two anchors at each cell of the 16x16 map, six at each of the 8x8 one, row by row.
    Source: MediaPipe, face_detection_short_range.pbtxt (strides 8, 16, 16, 16, offset 0.5).
    """
    centres = []
    for cells, each in ((16, 2), (8, 6)):
        steps = (np.arange(cells) + 0.5) * (SIZE / cells)
        y, x = np.meshgrid(steps, steps, indexing="ij")
        centres.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), each, axis=0))
    return np.concatenate(centres).astype(np.float32)


def anchor_offsets() -> NDArray[np.float32]:
    """Shape (1, 896, 16): what the network's regressions lack to be pixels; 0 for the sizes."""
    centres = anchor_centres()
    no_size = np.zeros_like(centres)
    return np.concatenate([centres, no_size, *([centres] * 6)], axis=1)[None]


def build(content: bytes) -> bytes:
    """The ONNX file from the .tflite."""
    graph = tflite.converted(content)
    pixels = tflite.planar_input(graph, "image")
    values = constants(graph)
    values |= {
        "half": np.array(HALF_RANGE, np.float32),
        "one": np.array(1.0, np.float32),
        "anchors": anchor_offsets(),
        "lowest": np.array(-LARGEST_LOGIT, np.float32),
        "highest": np.array(LARGEST_LOGIT, np.float32),
        "flat": np.array([1, ANCHORS], np.int64),
    }
    replace_constants(graph, values)
    # The first convolution pads with zeros after x / 127.5 - 1, so that the offset cannot be folded
    # into its bias: at the border the padding would count as black instead of gray.
    graph.node.extend(
        [
            helper.make_node("Div", ["image", "half"], ["unit"]),
            helper.make_node("Sub", ["unit", "one"], [pixels]),
            helper.make_node("Add", ["regressors", "anchors"], ["boxes"]),
            helper.make_node("Reshape", ["classificators", "flat"], ["logits"]),
            helper.make_node("Clip", ["logits", "lowest", "highest"], ["clipped"]),
            helper.make_node("Sigmoid", ["clipped"], ["scores"]),
        ]
    )
    del graph.input[:], graph.output[:]
    graph.input.append(tensor("image", [1, 3, SIZE, SIZE]))
    graph.output.append(tensor("boxes", [1, ANCHORS, VALUES]))
    graph.output.append(tensor("scores", [1, ANCHORS]))
    graph.name = "blazeface"
    return serialised(tidied(graph))


def parity(content: bytes, spec: ModelSpec) -> bool:
    """Against TensorFlow's interpreter, on noise and on ramps."""
    session = Session(spec)
    worst_box = worst_score = 0.0
    for image in tflite.pictures(SIZE):
        reference = tflite.interpreted(content, image[None] / np.float32(HALF_RANGE) - 1)
        boxes, scores = session.run(image=np.ascontiguousarray(image.transpose(2, 0, 1))[None])
        expected = reference["regressors"] + anchor_offsets()
        logits = np.clip(reference["classificators"][..., 0], -LARGEST_LOGIT, LARGEST_LOGIT)
        worst_box = max(worst_box, exporter.difference(boxes, expected))
        worst_score = max(worst_score, exporter.difference(scores, 1 / (1 + np.exp(-logits))))
    print(f"blazeface against TFLite: boxes {worst_box:.1e}, scores {worst_score:.1e}")
    return worst_box < 1e-5 and worst_score < 1e-5


if __name__ == "__main__":
    exporter.main("blazeface", build, parity, __doc__)
