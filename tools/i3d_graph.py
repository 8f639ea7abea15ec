"""I3D as a continual graph: it takes a video in chunks and gives the features of the whole video.

Every operation that looks along time keeps the frames that it will need again in a state, which
goes out of one call and into the next:

    buffer     = state, zeros if first, the new frames, zeros if last
    next state = what of the buffer later outputs still need

The zeros are TensorFlow's SAME padding of the whole video, so that chunks of any length, 0
included, give what one call with all frames gives, and each frame is computed once. A state has 0
frames before the first call; how long it is afterwards follows from the frames seen.

Tensors are (frames, channels, rows, columns), so that all convolutions are two-dimensional: those
are the ones for which ONNX Runtime has blocked kernels, and they take tensors of 0 frames, which
Conv3D does not. The three frames that a 3x3x3 kernel sees are not stacked but go through
Winograd's F(4, 3) along time: 6 products for 4 frames instead of 12. Kernels are transformed in
the graph, which ONNX Runtime does once, as it loads: the file holds the plain ones.

Source: Lavin and Gray 2016, arXiv:1509.09308, for F(4, 3); Hedegaard and Iosifidis 2022,
    arXiv:2106.00050, for continual 3D convolutions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import onnx
from i3d_layers import BRANCHES, CLASSES, FEATURES, LOGITS, MIXED, SIZE, STEM
from numpy.typing import NDArray
from onnx_graph import GraphWriter, tensor

Folded = Mapping[str, tuple[NDArray[np.float32], NDArray[np.float32]]]
"""By layer: kernel (out, in, frames, rows, columns) and bias (out,)."""

STATE: Final = "state_"
NEXT: Final = "next_"

_END: Final = 2**62

# Y = AT · [(G · g) ⊙ (BT · d)] for 6 frames d, 3 taps g and 4 outputs Y.
_BT: Final = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
_G: Final = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
_AT: Final = (
    (1, 1, 1, 1, 1, 0),
    (0, 1, -1, 2, -2, 0),
    (0, 1, 1, 4, 4, 0),
    (0, 1, -1, 8, -8, 1),
)


@dataclass
class _Writer:
    """The graph so far; `x` is always the name of a tensor (frames, channels, side, side)."""

    layers: Folded
    graph: GraphWriter = field(default_factory=GraphWriter)
    states: list[tuple[str, int, int]] = field(default_factory=list)

    def whole(self, *values: int) -> str:
        return self.graph.constant(values, np.int64)

    def slice(self, x: str, start: int, end: int | str, step: int = 1, *, axis: int = 0) -> str:
        """Frames `start` to `end`, as Python counts; the end may be computed in the graph."""
        stop = self.whole(end) if isinstance(end, int) else end
        return self.graph.node(
            "Slice", x, self.whole(start), stop, self.whole(axis), self.whole(step)
        )

    def concat(self, *parts: str, axis: int = 0) -> str:
        return self.graph.node("Concat", *parts, axis=axis)

    def length(self, x: str) -> str:
        """Number of frames, shape (1,)."""
        return self.graph.node("Shape", x, start=0, end=1)

    def zeros(self, frames: str, channels: int, side: int) -> str:
        return self.graph.node(
            "ConstantOfShape", self.concat(frames, self.whole(channels, side, side))
        )

    def taps(self, buffer: str, count: int, stride: int = 1) -> list[str]:
        """For each tap of a kernel `count` frames long, the frames that it sees."""
        return [
            self.slice(buffer, tap, tap + 1 - count if tap + 1 < count else _END, stride)
            for tap in range(count)
        ]

    def buffered(
        self,
        x: str,
        name: str,
        channels: int,
        side: int,
        taps: int,
        stride: int,
        pads: tuple[int, int],
    ) -> str:
        """`x` behind what was kept of earlier calls, and that what is needed later is kept.

        Args:
            taps, stride: of the operation along time that reads the buffer.
            pads: frames of zeros before the video's first frame and behind its last.
        """
        state = f"{STATE}{name}"
        self.states.append((name, channels, side))

        def padding(flag: str, count: int) -> list[str]:
            if count == 0:
                return []
            return [self.zeros(self.graph.node("Mul", flag, self.whole(count)), channels, side)]

        buffer = self.concat(state, *padding("first", pads[0]), x, *padding("last", pads[1]))
        if stride == 1:
            self.graph.node(
                "Slice", buffer, self.whole(1 - taps), self.whole(_END), output=f"{NEXT}{name}"
            )
            return buffer
        # Outputs there are: (length - taps) // stride + 1, and none of a short buffer.
        reach = self.graph.node("Sub", self.length(buffer), self.whole(taps - stride))
        reach = self.graph.node("Max", reach, self.whole(0))
        used = self.graph.node("Div", reach, self.whole(stride))
        used = self.graph.node("Mul", used, self.whole(stride))
        self.graph.node("Slice", buffer, used, self.whole(_END), output=f"{NEXT}{name}")
        return buffer

    def pointwise(self, x: str, layer: str, *, relu: bool = True) -> str:
        """A convolution of 1x1x1."""
        kernel, bias = self.layers[layer]
        y = self.graph.node(
            "Conv",
            x,
            self.graph.constant(kernel[:, :, 0]),
            self.graph.constant(bias),
            kernel_shape=[1, 1],
        )
        return self.graph.node("Relu", y) if relu else y

    def stem(self, x: str) -> str:
        """The convolution of 7x7x7 with stride 2: of 7 frames' 21 channels at once, in two parts.

        ONNX Runtime's blocked kernels (8 channels with AVX2, 16 with AVX-512) take whole blocks, or
        fewer channels than one. 21 are neither: as one convolution, or as 15 and 6, the stem falls
        back to a general matrix product and takes twice as long. 16 and 5 fit both.
        """
        kernel, bias = self.layers[STEM]
        buffer = self.buffered(x, STEM, 3, SIZE, taps=7, stride=2, pads=(2, 3))
        *five, sixth, seventh = self.taps(buffer, 7, 2)
        parts = (
            self.concat(*five, self.slice(sixth, 0, 1, axis=1), axis=1),
            self.concat(self.slice(sixth, 1, 3, axis=1), seventh, axis=1),
        )
        stacked = kernel.transpose(0, 2, 1, 3, 4).reshape(64, 21, 7, 7)
        options: dict[str, Any] = {"kernel_shape": [7, 7], "strides": [2, 2], "pads": [2, 2, 3, 3]}
        weights = [self.graph.constant(part) for part in (stacked[:, :16], stacked[:, 16:])]
        early = self.graph.node("Conv", parts[0], weights[0], self.graph.constant(bias), **options)
        late = self.graph.node("Conv", parts[1], weights[1], **options)
        return self.graph.node("Relu", self.graph.node("Add", early, late))

    def cubic(self, x: str, layer: str, side: int) -> str:
        """A convolution of 3x3x3 with stride 1, by Winograd's F(4, 3) along time."""
        kernel, bias = self.layers[layer]
        outputs, inputs = kernel.shape[:2]
        name = layer.replace("/", "_")
        buffer = self.buffered(x, name, inputs, side, taps=3, stride=1, pads=(1, 1))
        count = self.graph.node("Sub", self.length(buffer), self.whole(2))
        count = self.graph.node("Max", count, self.whole(0))
        fours = self.graph.node("Div", self.graph.node("Add", count, self.whole(3)), self.whole(4))
        fours = self.graph.node("Mul", fours, self.whole(4))
        fill = self.graph.node("Sub", fours, count)
        buffer = self.concat(buffer, self.zeros(fill, inputs, side))

        frames = [self.slice(buffer, at, at - 5 if at < 5 else _END, 4) for at in range(6)]
        mixed = self.graph.node("Reshape", self.concat(*frames), self.whole(6, -1))
        mixed = self.graph.node("MatMul", self.graph.constant(_BT), mixed)
        # Not cut by Split, which before ONNX Runtime 1.32 refuses what has no frames.
        rows = [self.slice(mixed, at, at + 1) for at in range(6)]
        shape = self.whole(-1, inputs, side, side)
        taps = kernel.transpose(2, 0, 1, 3, 4).reshape(3, -1)
        kernels = self.graph.node("MatMul", self.graph.constant(_G), self.graph.constant(taps))
        products = [
            self.graph.node(
                "Conv",
                self.graph.node("Reshape", row, shape),
                self.graph.node("Reshape", weights, self.whole(outputs, inputs, 3, 3)),
                # Column 1 of AT is all ones: a bias there reaches each output once.
                *([self.graph.constant(bias)] if at == 1 else []),
                kernel_shape=[3, 3],
                pads=[1] * 4,
            )
            for at, (row, weights) in enumerate(
                zip(rows, self.graph.split(kernels, 6), strict=True)
            )
        ]
        y = self.graph.node("Reshape", self.concat(*products), self.whole(6, -1))
        y = self.graph.node("MatMul", self.graph.constant(_AT), y)
        y = self.graph.node("Reshape", y, self.whole(4, -1, outputs * side * side))
        y = self.graph.node("Transpose", y, perm=[1, 0, 2])
        y = self.graph.node("Reshape", y, self.whole(-1, outputs, side, side))
        return self.graph.node("Relu", self.slice(y, 0, count))

    def pooled(self, x: str, taps: int, stride: int, pads: tuple[int, int]) -> str:
        """Largest of `taps` x `taps` neighbours in each frame; `pads` before and behind."""
        return self.graph.node(
            "MaxPool",
            x,
            kernel_shape=[taps] * 2,
            strides=[stride] * 2,
            pads=[pads[0]] * 2 + [pads[1]] * 2,
        )

    def pooled_along_time(self, buffer: str, taps: int, stride: int) -> str:
        """Largest of `taps` frames; padding them with zeros is fair, as nothing is below 0."""
        return self.graph.node("Max", *self.taps(buffer, taps, stride))

    def mixed(self, x: str, name: str, channels: int, side: int) -> str:
        """Four branches; all that wait for a frame to come are the same one frame late."""
        first, *_, last = BRANCHES
        layer = {branch: f"{name}/{branch}" for branch in BRANCHES}
        branches = []
        for reduce, expand in (BRANCHES[1:3], BRANCHES[3:5]):
            y = self.pointwise(x, layer[reduce])
            branches.append(self.cubic(y, layer[expand], side))
        buffer = self.buffered(x, name, channels, side, taps=3, stride=1, pads=(1, 1))
        direct = self.pointwise(self.slice(buffer, 1, -1), layer[first])
        largest = self.pooled(self.pooled_along_time(buffer, 3, 1), 3, 1, (1, 1))
        return self.concat(direct, *branches, self.pointwise(largest, layer[last]), axis=1)


def continual_i3d(layers: Folded) -> onnx.ModelProto:
    """The graph of I3D with these weights.

    Inputs: `frames` (T, 3, 224, 224) float32, RGB in -1..1, T >= 0; `first` and `last` (1,)
    int64, 1 in the first and last call for a video and else 0; the states, which begin with 0
    frames.

    Outputs: `features` (F, 1024), a row for every 8 frames: two neighbouring rows of the last
    layer, averaged over all pixels; `logits` (F, 400) of each; the next states, named alike.

    The frames of a whole video are to be a multiple of 8: TensorFlow pads other lengths otherwise.
    """
    writer = _Writer(layers)
    x = writer.pooled(writer.stem("frames"), 3, 2, (0, 1))
    x = writer.pointwise(x, "Conv3d_2b_1x1")
    x = writer.pooled(writer.cubic(x, "Conv3d_2c_3x3", 56), 3, 2, (0, 1))
    channels, side = 192, 28
    for name, (a, _, b, _, c, d) in MIXED.items():
        if name == "Mixed_4b":
            x = writer.pooled(x, 3, 2, (0, 1))
            side = 14
            buffer = writer.buffered(x, "MaxPool3d_4a_3x3", channels, side, 3, 2, (0, 1))
            x = writer.pooled_along_time(buffer, 3, 2)
        elif name == "Mixed_5b":
            x = writer.pooled(x, 2, 2, (0, 0))
            side = 7
            buffer = writer.buffered(x, "MaxPool3d_5a_2x2", channels, side, 2, 2, (0, 0))
            x = writer.pooled_along_time(buffer, 2, 2)
        x = writer.mixed(x, name, channels, side)
        channels = a + b + c + d
    graph = writer.graph
    x = graph.node("ReduceMean", x, writer.whole(2, 3), keepdims=1)
    buffer = writer.buffered(x, "AvgPool", channels, 1, 2, 1, (0, 0))
    total = graph.node("Add", *writer.taps(buffer, 2))
    means = graph.node("Mul", total, graph.constant(0.5))
    graph.node("Reshape", means, writer.whole(-1, FEATURES), output="features")
    logits = writer.pointwise(means, LOGITS, relu=False)
    graph.node("Reshape", logits, writer.whole(-1, CLASSES), output="logits")

    inputs = [tensor("frames", ["T", 3, SIZE, SIZE])]
    inputs += [tensor(flag, [1], np.int64) for flag in ("first", "last")]
    outputs = [tensor("features", ["F", FEATURES]), tensor("logits", ["F", CLASSES])]
    for name, width, height in writer.states:
        inputs.append(tensor(f"{STATE}{name}", [f"before_{name}", width, height, height]))
        outputs.append(tensor(f"{NEXT}{name}", [f"after_{name}", width, height, height]))
    return graph.model(inputs, outputs, "i3d")
