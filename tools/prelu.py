"""PReLU as ONNX Runtime computes it fast: by convolutions that stay in its blocked tensor layout.

ONNX Runtime has no PReLU for that layout and reorders the tensor before and after each one. But a
depthwise 1x1 convolution is fast there, and may end in a ReLU or add another tensor on the way:

    prelu(x) = a x + relu((1 - a) x)     where the slope a <= 1
    -prelu(x) = -x + relu((1 - a) x)     where a > 1

It cannot subtract. So channels with a > 1 go on with the opposite sign, and the weights around them
take it back. Where they meet a maximum that would be wrong; there it takes one step more.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper
from onnx_graph import constants, replace_constants

Signs = NDArray[np.float32]
"""Shape (channels,): 1 or -1, what each channel of a tensor is multiplied by."""


def rewrite_prelu(graph: onnx.GraphProto) -> None:
    """Replace every PReLU of a graph of convolutions, additions and max pooling.

    Raises:
        ValueError: a channel of opposite sign would reach another operator, or an output.
    """
    _Rewriting(graph).run()


class _Rewriting:
    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._values = constants(graph)
        self._users: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self._users.setdefault(name, []).append(node)
        self._given = {output.name for output in graph.output}
        self._signs: dict[str, Signs] = {}  # of tensors that have others than 1
        self._nodes: list[onnx.NodeProto] = []

    def run(self) -> None:
        for node in self._graph.node:
            if node.op_type == "PRelu":
                self._write(node)
            else:
                self._take_signs_back(node)
                self._nodes.append(node)
        if self._given & self._signs.keys():
            raise ValueError("channels of opposite signs reach an output of the graph")
        del self._graph.node[:]
        self._graph.node.extend(self._nodes)
        replace_constants(self._graph, self._values)

    def _write(self, prelu: onnx.NodeProto) -> None:
        x, output = prelu.input[0], prelu.output[0]
        slope = self._values[prelu.input[1]].ravel().astype(np.float32)
        sign = self._signs.get(x, np.ones_like(slope))
        steep = slope > 1
        users = {user.op_type for user in self._users.get(output, [])}
        if users <= {"Conv", "Add"} and output not in self._given:
            lifted = self._add("Relu", self._scaled(x, (1 - slope) * sign))
            straight = self._scaled(x, np.where(steep, -1, slope) * sign)
            self._set_signs(output, np.where(steep, np.float32(-1), np.float32(1)))
        else:
            lifted = self._scaled(self._add("Relu", self._scaled(x, sign)), 1 - slope)
            straight = self._scaled(x, slope * sign)
        self._nodes.append(helper.make_node("Add", [straight, lifted], [output]))

    def _take_signs_back(self, node: onnx.NodeProto) -> None:
        signed = [name for name in node.input if name in self._signs]
        if not signed:
            return
        if node.op_type == "Conv" and signed == [node.input[0]]:
            self._scale_inputs(node, self._signs[signed[0]])
        elif node.op_type == "Add" and len(signed) == 1:
            (other,) = (name for name in node.input if name != signed[0])
            self._scale_outputs(other, self._signs[signed[0]])
            self._set_signs(node.output[0], self._signs[signed[0]])
        else:
            raise ValueError(f"channels of opposite signs reach a {node.op_type}")

    def _set_signs(self, name: str, signs: Signs) -> None:
        if (signs != 1).any():
            self._signs[name] = signs

    def _scale_inputs(self, conv: onnx.NodeProto, signs: Signs) -> None:
        weights = self._values[conv.input[1]]
        depthwise = weights.shape[1] == 1
        shape = (-1, 1, 1, 1) if depthwise else (1, -1, 1, 1)
        self._replace(conv, 1, weights * signs.reshape(shape))

    def _scale_outputs(self, name: str, signs: Signs) -> None:
        conv = next((node for node in self._nodes if name in node.output), None)
        if conv is None or conv.op_type != "Conv" or len(self._users[name]) != 1:
            raise ValueError(f"channels of opposite signs are added to {name}: no convolution")
        self._replace(conv, 1, self._values[conv.input[1]] * signs.reshape(-1, 1, 1, 1))
        if len(conv.input) > 2:
            self._replace(conv, 2, self._values[conv.input[2]] * signs)

    def _replace(self, conv: onnx.NodeProto, position: int, values: NDArray[np.float32]) -> None:
        name = f"{conv.output[0]}_{position}_signed"  # others may share the old values
        self._values[name] = values
        conv.input[position] = name

    def _scaled(self, x: str, factors: NDArray[np.float32]) -> str:
        """`x` with each channel multiplied by its factor."""
        by = f"factors_{len(self._nodes)}"
        self._values[by] = factors.astype(np.float32).reshape(-1, 1, 1, 1)
        return self._add("Conv", x, by, group=factors.size, kernel_shape=[1, 1])

    def _add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        name = f"prelu_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name
