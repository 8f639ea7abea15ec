"""PReLU rewritten as convolutions gives the same numbers, whatever the slopes."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnx_graph import finished, tensor
from prelu import rewrite_prelu

CHANNELS = 8
Floats = NDArray[np.float32]
slopes = st.lists(
    st.floats(-4, 20, width=32), min_size=CHANNELS, max_size=CHANNELS, unique=True
).map(lambda values: np.array(values, np.float32).reshape(-1, 1, 1))


def two_blocks(first: Floats, second: Floats, third: Floats) -> onnx.GraphProto:
    """Convolutions, one of them depthwise, past which a PReLU's output is added, and a maximum."""
    rng = np.random.default_rng(0)
    values = {
        "into": rng.normal(0, 0.5, (CHANNELS, 3, 3, 3)),
        "bias": rng.normal(0, 0.5, CHANNELS),
        "each": rng.normal(0, 0.5, (CHANNELS, 1, 3, 3)),
        "across": rng.normal(0, 0.5, (CHANNELS, CHANNELS, 1, 1)),
    }
    kept = {name: value.astype(np.float32) for name, value in values.items()}
    kept |= {"first": first, "second": second, "third": third}
    nodes = [
        helper.make_node("Conv", ["x", "into", "bias"], ["a"], pads=[1] * 4),
        helper.make_node("PRelu", ["a", "first"], ["b"]),
        helper.make_node("Conv", ["b", "each", "bias"], ["c"], pads=[1] * 4, group=CHANNELS),
        helper.make_node("Conv", ["c", "across", "bias"], ["d"]),
        helper.make_node("Add", ["b", "d"], ["e"]),
        helper.make_node("PRelu", ["e", "second"], ["f"]),
        helper.make_node("Conv", ["f", "across", "bias"], ["g"]),
        helper.make_node("Add", ["g", "f"], ["h"]),
        helper.make_node("PRelu", ["h", "third"], ["i"]),
        helper.make_node("MaxPool", ["i"], ["j"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["j", "across"], ["y"]),
    ]
    constants = [numpy_helper.from_array(value, name) for name, value in kept.items()]
    y = tensor("y", [1, CHANNELS, 3, 3])
    return helper.make_graph(nodes, "g", [tensor("x", [1, 3, 6, 6])], [y], constants)


def computed(graph: onnx.GraphProto, output: str = "y") -> Floats:
    session = onnxruntime.InferenceSession(finished(graph).SerializeToString())
    x = np.random.default_rng(1).normal(0, 2, (1, 3, 6, 6)).astype(np.float32)
    y: Floats = session.run([output], {"x": x})[0]
    return y


@given(slopes, slopes, slopes)
def test_the_same_numbers_without_a_prelu(first: Floats, second: Floats, third: Floats) -> None:
    graph = two_blocks(first, second, third)
    expected = computed(graph)
    rewrite_prelu(graph)
    assert {node.op_type for node in graph.node} == {"Conv", "Relu", "Add", "MaxPool"}
    np.testing.assert_allclose(computed(graph), expected, atol=1e-5 * np.abs(expected).max())


def test_an_output_of_the_graph_has_its_own_signs() -> None:
    graph = two_blocks(*np.full((3, CHANNELS, 1, 1), 2, np.float32))
    graph.output.append(tensor("f", [1, CHANNELS, 6, 6]))
    expected = computed(graph, "f")
    rewrite_prelu(graph)
    np.testing.assert_allclose(computed(graph, "f"), expected, atol=1e-5 * np.abs(expected).max())
    graph = two_blocks(*np.full((3, CHANNELS, 1, 1), 2, np.float32))
    graph.output.append(tensor("e", [1, CHANNELS, 6, 6]))
    with pytest.raises(ValueError, match="reach an output"):
        rewrite_prelu(graph)


def test_channels_of_opposite_sign_reach_no_other_operator() -> None:
    graph = two_blocks(*np.full((3, CHANNELS, 1, 1), 2, np.float32))
    (last,) = (node for node in graph.node if node.output[0] == "i")
    last.op_type = "Relu"  # of a sum that has the signs of what was added
    del last.input[1]
    with pytest.raises(ValueError, match="opposite signs reach a Relu"):
        rewrite_prelu(graph)
