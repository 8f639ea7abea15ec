"""Graphs are tidied to the same bytes, whatever names and order a converter gave them."""

from __future__ import annotations

import random

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper
from onnx_graph import GraphWriter, serialised, tensor, tidied


def converted(seed: int) -> onnx.GraphProto:
    """y = relu(x + a) * b, with a part that nobody needs, names and order drawn by `seed`."""
    draw = random.Random(seed)  # noqa: S311  order, not secrets
    names = {word: f"{word}_{draw.randrange(10**9)}" for word in ("a", "b", "unused", "sum", "up")}
    nodes = [
        helper.make_node("Add", ["x", names["a"]], [names["sum"]], name=str(draw.random())),
        helper.make_node("Relu", [names["sum"]], [names["up"]], name=str(draw.random())),
        helper.make_node("Mul", [names["up"], names["b"]], ["y"], name=str(draw.random())),
        helper.make_node("Neg", [names["unused"]], [f"{names['unused']}_too"]),
    ]
    values = [
        numpy_helper.from_array(np.full(3, value, np.float32), names[word])
        for word, value in (("a", -1), ("b", 5), ("unused", 9))
    ]
    draw.shuffle(nodes)
    draw.shuffle(values)
    return helper.make_graph(nodes, "g", [tensor("x", [3])], [tensor("y", [3])], values)


def test_the_same_graph_is_the_same_bytes() -> None:
    assert len({serialised(tidied(converted(seed))) for seed in range(8)}) == 1


def test_what_nobody_needs_is_dropped() -> None:
    graph = tidied(converted(0)).graph
    assert [node.op_type for node in graph.node] == ["Add", "Relu", "Mul"]
    assert len(graph.initializer) == 2


def test_a_tidied_graph_computes_the_same() -> None:
    session = onnxruntime.InferenceSession(serialised(tidied(converted(3))))
    (y,) = session.run(None, {"x": np.array([0, 1, 3], np.float32)})
    assert y.tolist() == [0, 0, 10]


def test_equal_constants_are_stored_once() -> None:
    writer = GraphWriter()
    first = writer.constant([1.0, 2.0])
    assert writer.constant(np.array([1, 2])) == first
    assert writer.constant([1, 2], np.int64) != first
    assert writer.constant([[1.0, 2.0]]) != first


def test_a_written_graph_computes_what_was_written() -> None:
    writer = GraphWriter()
    doubled = writer.node("Mul", "x", writer.constant(2))
    writer.node("Add", doubled, writer.constant([1.0, 10.0]), output="y")
    model = writer.model([tensor("x", ["N", 2])], [tensor("y", ["N", 2])], "line")
    session = onnxruntime.InferenceSession(serialised(model))
    (y,) = session.run(None, {"x": np.array([[1, 2], [3, 4]], np.float32)})
    assert y.tolist() == [[3, 14], [7, 18]]
