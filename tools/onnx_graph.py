"""ONNX graphs: written node by node, tidied, and serialised to the same bytes every time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, DTypeLike, NDArray
from onnx import helper, numpy_helper

OPSET = 18
IR_VERSION = 9  # read by every ONNX Runtime from 1.16 on

Dimension = int | str


class GraphWriter:
    """Collects nodes and constants in the order in which they are written, and names them."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._known: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def constant(self, values: ArrayLike, dtype: DTypeLike = np.float32) -> str:
        """The name of a constant; equal constants share one."""
        array = np.array(values, dtype, order="C")
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = f"constant_{len(self._known)}"
            self._constants.append(numpy_helper.from_array(array, self._known[key]))
        return self._known[key]

    def node(
        self, operator: str, *inputs: str, output: str | None = None, **attributes: Any
    ) -> str:
        """Append a node with one output and give the name of that output."""
        name = output or f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def split(self, x: str, parts: int) -> list[str]:
        """Append a node that cuts `x` into equal parts along its first axis; give their names."""
        names = [f"split_{len(self._nodes)}_{part}" for part in range(parts)]
        self._nodes.append(
            helper.make_node("Split", [x], names, name=names[0], axis=0, num_outputs=parts)
        )
        return names

    def model(
        self,
        inputs: Sequence[onnx.ValueInfoProto],
        outputs: Sequence[onnx.ValueInfoProto],
        name: str,
    ) -> onnx.ModelProto:
        """The finished and checked model."""
        graph = helper.make_graph(self._nodes, name, inputs, outputs, self._constants)
        return finished(graph)


def tensor(
    name: str, shape: Sequence[Dimension], dtype: DTypeLike = np.float32
) -> onnx.ValueInfoProto:
    """The declaration of an input or output; a dimension that is a word is free."""
    return helper.make_tensor_value_info(
        name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape
    )


def constants(graph: onnx.GraphProto) -> dict[str, NDArray[Any]]:
    """The graph's constants by name."""
    return {value.name: numpy_helper.to_array(value) for value in graph.initializer}


def replace_constants(graph: onnx.GraphProto, values: dict[str, NDArray[Any]]) -> None:
    """Let `values` be the graph's constants, and the only ones."""
    del graph.initializer[:]
    graph.initializer.extend(
        numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in values.items()
    )


def tidied(graph: onnx.GraphProto) -> onnx.ModelProto:
    """The same graph without unused parts, its tensors named and ordered by their first use.

    Converters name tensors by counters and sets that differ from run to run; these names do not.
    Inputs and outputs of the graph keep theirs.
    """
    nodes = _needed_nodes(graph)
    values = constants(graph)
    names = {value.name: value.name for value in (*graph.input, *graph.output)}
    ordered: dict[str, NDArray[Any]] = {}
    for node in nodes:
        for name in (*node.input, *node.output):
            if name and name not in names:
                kind = "constant" if name in values else "tensor"
                names[name] = f"{kind}_{len(names)}"
            if name in values:
                ordered[names[name]] = values[name]
    renamed = [
        helper.make_node(
            node.op_type,
            [names.get(name, "") for name in node.input],
            [names.get(name, "") for name in node.output],
            name=f"{node.op_type.lower()}_{position}",
            **{
                attribute.name: helper.get_attribute_value(attribute)
                for attribute in sorted(node.attribute, key=lambda attribute: attribute.name)
            },
        )
        for position, node in enumerate(nodes)
    ]
    tidy = helper.make_graph(renamed, graph.name, list(graph.input), list(graph.output))
    replace_constants(tidy, ordered)
    return finished(tidy)


def _needed_nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes that the outputs depend on, each after those that feed it, depth first."""
    maker = {name: node for node in graph.node for name in node.output}
    ordered: list[onnx.NodeProto] = []
    done: set[str] = set()
    waiting = [output.name for output in reversed(graph.output)]
    while waiting:
        node = maker.get(waiting[-1])
        if node is None or node.output[0] in done:
            waiting.pop()
            continue
        missing = [
            name for name in node.input if name in maker and maker[name].output[0] not in done
        ]
        if missing:
            waiting.extend(reversed(missing))
        else:
            ordered.append(node)
            done.add(node.output[0])
    return ordered


def finished(graph: onnx.GraphProto) -> onnx.ModelProto:
    """A checked model that says nothing of when and by what it was made."""
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="streamdeid",
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def serialised(model: onnx.ModelProto) -> bytes:
    """The bytes of the model's file."""
    return bytes(model.SerializeToString(deterministic=True))
