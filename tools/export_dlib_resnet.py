"""Build dlib_resnet.onnx: dlib's face embedding network, 128 numbers a face.

The weights are found in the .dat by the tags of the three layer types that have any. Batch
normalisation is already an affine layer there; it is folded into the convolution before it, in
float64. So is the input's normalisation, which is exact, as the first convolution pads nothing.

Parity: dlib itself on the same chips, to 1e-5; 3e-7 was found, and 2e-6 on plain white. That needs
the package dlib or dlib-bin.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import exporter
import numpy as np
from dlib_stream import DlibStream
from numpy.typing import NDArray
from onnx_graph import GraphWriter, serialised, tensor

from streamdeid.inference.manifest import ModelSpec
from streamdeid.inference.session import Session

SIZE = 150
DIM = 128
MEAN = (122.782, 117.001, 104.298)
STD = 256.0

CONVOLUTIONS = 29
# Output channels of each residual block; True where it halves width and height.
BLOCKS = (
    *[(32, False)] * 3,
    (64, True),
    *[(64, False)] * 3,
    (128, True),
    *[(128, False)] * 2,
    (256, True),
    *[(256, False)] * 2,
    (256, True),
)


@dataclass(frozen=True)
class Convolution:
    """Kernel (out, in, rows, columns), bias (out,), stride and padding of one layer."""

    kernel: NDArray[np.float64]
    bias: NDArray[np.float64]
    stride: int
    padding: int


def read_network(content: bytes) -> tuple[list[Convolution], NDArray[np.float32]]:
    """The convolutions from first to last, and the final matrix, shape (256, 128).

    Raises:
        ValueError: the file does not hold this network.
    """
    layers = list(_layers(content))
    matrix = layers.pop()
    if len(layers) != 2 * CONVOLUTIONS or not isinstance(matrix, np.ndarray):
        raise ValueError(f"expected {CONVOLUTIONS} convolutions and a matrix")
    folded = []
    for convolution, affine in zip(layers[::2], layers[1::2], strict=True):
        if not isinstance(convolution, Convolution) or not isinstance(affine, tuple):
            raise ValueError("expected an affine layer behind each convolution")
        gamma, beta = affine
        kernel = convolution.kernel * gamma[:, None, None, None]
        bias = convolution.bias * gamma + beta
        folded.append(Convolution(kernel, bias, convolution.stride, convolution.padding))
    return folded, matrix


Affine = tuple[NDArray[np.float64], NDArray[np.float64]]
Layer = Convolution | Affine | NDArray[np.float32]


def _layers(content: bytes) -> Iterator[Layer]:
    """The layers that have weights, in the order of the file."""
    readers: dict[bytes, Callable[[DlibStream], Layer]] = {
        b"\x01\x05con_4": _convolution,
        b"\x01\x07affine_": _affine,
        b"\x01\x04fc_2": _matrix,
    }
    position = 0
    while True:
        found = [(at, tag) for tag in readers if (at := content.find(tag, position)) >= 0]
        if not found:
            return
        at, tag = min(found)
        stream = DlibStream(content, at)
        stream.text()
        yield readers[tag](stream)
        position = stream.position


def _convolution(stream: DlibStream) -> Convolution:
    weights = stream.tensor().ravel().astype(np.float64)
    filters, rows, columns, stride_y, stride_x, pad_y, pad_x = (stream.integer() for _ in range(7))
    if stride_y != stride_x or pad_y != pad_x:
        raise ValueError("expected the same stride and padding both ways")
    split = weights.size - filters
    kernel = weights[:split].reshape(filters, -1, rows, columns)
    return Convolution(kernel, weights[split:], stride_y, pad_y)


def _affine(stream: DlibStream) -> Affine:
    weights = stream.tensor().ravel().astype(np.float64)
    half = weights.size // 2
    return weights[:half], weights[half:]


def _matrix(stream: DlibStream) -> NDArray[np.float32]:
    outputs, inputs = stream.integer(), stream.integer()
    return stream.tensor().reshape(inputs, outputs)


def build(content: bytes) -> bytes:
    """The ONNX file from the .dat."""
    convolutions, matrix = read_network(content)
    convolutions[0] = _normalising(convolutions[0])
    layers = iter(convolutions)
    graph = GraphWriter()

    x = graph.node("Relu", _convolve(graph, "chips", next(layers)))
    x = graph.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2])
    side, channels = 35, 32
    for wanted_channels, halves in BLOCKS:
        y = graph.node("Relu", _convolve(graph, x, next(layers)))
        y = _convolve(graph, y, next(layers))
        if halves:
            # dlib adds tensors of unequal size by filling up with zeros: the shortcut has fewer
            # channels, and pooling it leaves a row and a column more where the side is odd.
            convolved, pooled = (side - 3) // 2 + 1, (side - 2) // 2 + 1
            x = graph.node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
            x = _fill_up(graph, x, wanted_channels - channels, 0)
            y = _fill_up(graph, y, 0, pooled - convolved)
            side, channels = pooled, wanted_channels
        x = graph.node("Relu", graph.node("Add", x, y))
    x = graph.node("Flatten", graph.node("GlobalAveragePool", x))
    graph.node("MatMul", x, graph.constant(matrix), output="embedding")
    model = graph.model(
        [tensor("chips", ["N", 3, SIZE, SIZE])], [tensor("embedding", ["N", DIM])], "dlib_resnet"
    )
    return serialised(model)


def _normalising(first: Convolution) -> Convolution:
    """The same convolution of pixels 0..255 instead of (pixel - mean) / 256."""
    if first.padding:
        raise ValueError("padding zeros are not black: the mean cannot be folded")
    mean = np.reshape(MEAN, (1, 3, 1, 1))
    bias = first.bias - (first.kernel * mean).sum(axis=(1, 2, 3)) / STD
    return Convolution(first.kernel / STD, bias, first.stride, first.padding)


def _convolve(graph: GraphWriter, x: str, layer: Convolution) -> str:
    return graph.node(
        "Conv",
        x,
        graph.constant(layer.kernel),
        graph.constant(layer.bias),
        kernel_shape=list(layer.kernel.shape[2:]),
        strides=[layer.stride] * 2,
        pads=[layer.padding] * 4,
    )


def _fill_up(graph: GraphWriter, x: str, channels: int, rows: int) -> str:
    """Zeros behind the last channel, the last row and the last column."""
    if not channels and not rows:
        return x
    pads = [0, 0, 0, 0, 0, channels, rows, rows]
    return graph.node("Pad", x, graph.constant(pads, np.int64))


def parity(content: bytes, spec: ModelSpec) -> bool:
    """Against dlib's own network on chips of noise, ramps and flat colours."""
    import tempfile

    try:
        import dlib
    except ImportError:
        sys.exit("the parity check runs dlib: pip install dlib-bin")
    rng = np.random.default_rng(0)
    chips = rng.integers(0, 256, (6, SIZE, SIZE, 3)).astype(np.uint8)
    ramp = np.linspace(0, 255, SIZE).astype(np.uint8)
    chips[1] = ramp[None, :, None]
    chips[2] = ramp[:, None, None]
    chips[3] = 0
    chips[4] = 255
    chips[5] = chips[0] // 8 + 100
    with tempfile.NamedTemporaryFile(suffix=".dat") as file:
        Path(file.name).write_bytes(content)
        network = dlib.face_recognition_model_v1(file.name)
    expected = np.array([network.compute_face_descriptor(chip) for chip in chips])
    planar = np.ascontiguousarray(chips.transpose(0, 3, 1, 2), np.float32)
    (found,) = Session(spec).run(chips=planar)
    worst = exporter.difference(found, expected)
    print(f"dlib_resnet against dlib {dlib.__version__}: {worst:.1e} on {len(chips)} chips")
    return worst < 1e-5


if __name__ == "__main__":
    exporter.main("dlib_resnet", build, parity, __doc__)
