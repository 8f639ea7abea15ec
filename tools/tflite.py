"""TensorFlow Lite models: made ONNX graphs by tf2onnx, and run by TensorFlow's interpreter."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import onnx
from numpy.typing import NDArray

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def converted(content: bytes, optimizers: Collection[str] | None = None) -> onnx.GraphProto:
    """The model's graph as tf2onnx gives it: inputs and outputs laid out as TensorFlow has them.

    Args:
        optimizers: tf2onnx's, by their names, to be applied; None: all.
    """
    import tf2onnx
    import tf2onnx.optimizer
    from onnx_graph import OPSET

    with tempfile.TemporaryDirectory(prefix="streamdeid-tflite-") as folder:
        path = Path(folder, "model.tflite")
        path.write_bytes(content)
        every = tf2onnx.optimizer._get_optimizers()
        chosen = {name: every[name] for name in every if optimizers is None or name in optimizers}
        with patch.object(tf2onnx.optimizer, "_get_optimizers", return_value=chosen):
            model, _ = tf2onnx.convert.from_tflite(str(path), opset=OPSET)
    graph: onnx.GraphProto = model.graph
    del graph.value_info[:]
    return graph


def planar_input(graph: onnx.GraphProto, name: str) -> str:
    """Take the Transpose from NHWC off the input, now planar; gives the name of what it fed.

    Raises:
        ValueError: the input does not go straight into one such Transpose.
    """
    users = [node for node in graph.node if graph.input[0].name in node.input]
    if len(users) != 1 or users[0].op_type != "Transpose":
        raise ValueError(f"expected one Transpose behind the input, not {len(users)} nodes")
    output = users[0].output[0]
    graph.node.remove(users[0])
    graph.input[0].name = name
    return str(output)


def interpreted(content: bytes, image: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    """Outputs by name of TensorFlow's own interpreter; `image` is (1, height, width, 3)."""
    import tensorflow as tf

    with warnings.catch_warnings():
        # It announces its move to a package of its own.
        warnings.simplefilter("ignore", UserWarning)
        interpreter = tf.lite.Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    interpreter.invoke()
    return {
        output["name"]: interpreter.get_tensor(output["index"])
        for output in interpreter.get_output_details()
    }


def pictures(size: int) -> Iterator[NDArray[np.float32]]:
    """Pictures with something at every border: noise, ramps, and flat black and white; 0..255."""
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 255, size, dtype=np.float32)
    across, down = np.meshgrid(ramp, ramp)
    yield from rng.uniform(0, 255, (4, size, size, 3)).astype(np.float32)
    yield np.stack([across, down, across[:, ::-1]], axis=2)
    yield np.zeros((size, size, 3), np.float32)
    yield np.full((size, size, 3), 255, np.float32)
