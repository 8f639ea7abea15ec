"""Build landmarks.onnx: MediaPipe's 478 face landmarks, made quick for ONNX Runtime.

Each PReLU is rewritten as convolutions (prelu.py), which takes a face from 11.4 to 2.5 ms. The
output that says whether the tongue is out is dropped.

Parity: TensorFlow's own interpreter on the .tflite, to 1e-5 of the largest value.
"""

from __future__ import annotations

import exporter
import numpy as np
import onnx
import tflite
from numpy.typing import NDArray
from onnx import helper
from onnx_graph import constants, replace_constants, serialised, tensor, tidied
from prelu import rewrite_prelu

from streamdeid.inference.manifest import ModelSpec
from streamdeid.inference.session import Session

SIZE = 256
LANDMARKS = 478


def build(content: bytes) -> bytes:
    """The ONNX file from the .tflite."""
    graph = tflite.converted(content)
    pixels = tflite.planar_input(graph, "image")
    _scale_first_convolution(graph, pixels)
    rewrite_prelu(graph)
    # Outputs of the .tflite: landmarks, the logit of presence, and a score of the tongue.
    raw_landmarks, raw_presence = (output.name for output in list(graph.output)[:2])
    values = constants(graph)
    values["points"] = np.array([-1, LANDMARKS, 3], np.int64)
    values["flat"] = np.array([-1], np.int64)
    replace_constants(graph, values)
    graph.node.extend(
        [
            helper.make_node("Reshape", [_unshaped(graph, raw_landmarks), "points"], ["landmarks"]),
            helper.make_node("Reshape", [_unshaped(graph, raw_presence), "flat"], ["logit"]),
            helper.make_node("Sigmoid", ["logit"], ["presence"]),
        ]
    )
    del graph.input[:], graph.output[:]
    graph.input.append(tensor("image", ["N", 3, SIZE, SIZE]))
    graph.output.append(tensor("landmarks", ["N", LANDMARKS, 3]))
    graph.output.append(tensor("presence", ["N"]))
    graph.name = "landmarks"
    return serialised(tidied(graph))


def _scale_first_convolution(graph: onnx.GraphProto, pixels: str) -> None:
    """Let the network take 0..255 instead of 0..1; exact, as it pads with 0, which is 0 in both."""
    (first,) = (node for node in graph.node if pixels in node.input)
    if first.op_type != "Conv":
        raise ValueError(f"expected a convolution at the input, not {first.op_type}")
    first.input[0] = "image"
    values = constants(graph)
    values["first_kernel"] = (values[first.input[1]].astype(np.float64) / 255).astype(np.float32)
    first.input[1] = "first_kernel"
    replace_constants(graph, values)


def _unshaped(graph: onnx.GraphProto, output: str) -> str:
    """What goes into the Reshape that makes `output`."""
    (node,) = (node for node in graph.node if output in node.output)
    if node.op_type != "Reshape":
        raise ValueError(f"expected a Reshape before {output}, not {node.op_type}")
    return str(node.input[0])


def parity(content: bytes, spec: ModelSpec) -> bool:
    """Against TensorFlow's interpreter, on noise and on ramps."""
    session = Session(spec)
    worst_point = worst_presence = 0.0
    for image in tflite.pictures(SIZE):
        reference = tflite.interpreted(content, image[None] / np.float32(255))
        points, presence = session.run(image=np.ascontiguousarray(image.transpose(2, 0, 1))[None])
        expected = _by_size(reference, LANDMARKS * 3).reshape(1, LANDMARKS, 3)
        logit = reference["Identity_1"].ravel()
        worst_point = max(worst_point, exporter.difference(points, expected))
        worst_presence = max(
            worst_presence, exporter.difference(presence, 1 / (1 + np.exp(-logit)))
        )
    print(f"landmarks against TFLite: {worst_point:.1e}, presence {worst_presence:.1e}")
    return worst_point < 1e-5 and worst_presence < 1e-5


def _by_size(outputs: dict[str, NDArray[np.float32]], size: int) -> NDArray[np.float32]:
    (found,) = (values for values in outputs.values() if values.size == size)
    return found


if __name__ == "__main__":
    exporter.main("landmarks", build, parity, __doc__)
