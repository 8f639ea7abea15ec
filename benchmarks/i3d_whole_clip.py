"""I3D as others run it, over the whole clip at once: what the stream is measured against."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from i3d_layers import BRANCHES, FEATURES, MIXED, SIZE, STEM
from numpy.typing import NDArray
from onnx_graph import GraphWriter, serialised, tensor

Folded = Mapping[str, tuple[NDArray[np.float32], NDArray[np.float32]]]
"""By layer: kernel (out, in, frames, rows, columns) and bias (out,)."""

Triple = tuple[int, int, int]

FIRST_POOL: Final[tuple[Triple, Triple]] = ((1, 3, 3), (1, 2, 2))
# Window and stride of the max pool before a layer.
POOLS: Final[dict[str, tuple[Triple, Triple]]] = {
    "Mixed_3b": ((1, 3, 3), (1, 2, 2)),
    "Mixed_4b": ((3, 3, 3), (2, 2, 2)),
    "Mixed_5b": ((2, 2, 2), (2, 2, 2)),
}


def conv3d_graph(layers: Folded) -> bytes:
    """ONNX: features (1, 1024, F, 1, 1) of frames (1, 3, T, 224, 224), T a multiple of 8.

    Three-dimensional convolutions with explicit SAME padding, as exports from PyTorch have them.
    """
    graph = GraphWriter()

    def unit(x: str, name: str, stride: int = 1) -> str:
        kernel, bias = layers[name]
        taps = (kernel.shape[2],) * 3
        y = graph.node(
            "Conv",
            x,
            graph.constant(kernel),
            graph.constant(bias),
            kernel_shape=taps,
            strides=[stride] * 3,
            pads=same(taps, (stride,) * 3),
        )
        return graph.node("Relu", y)

    def pool(x: str, taps: Triple, strides: Triple) -> str:
        return graph.node(
            "MaxPool", x, kernel_shape=taps, strides=strides, pads=same(taps, strides)
        )

    x = pool(unit("frames", STEM, 2), *FIRST_POOL)
    x = unit(unit(x, "Conv3d_2b_1x1"), "Conv3d_2c_3x3")
    for name in MIXED:
        if name in POOLS:
            x = pool(x, *POOLS[name])
        b0, b1a, b1b, b2a, b2b, b3 = (f"{name}/{branch}" for branch in BRANCHES)
        largest = pool(x, (3, 3, 3), (1, 1, 1))
        parts = [unit(x, b0), unit(unit(x, b1a), b1b), unit(unit(x, b2a), b2b), unit(largest, b3)]
        x = graph.node("Concat", *parts, axis=1)
    graph.node("AveragePool", x, kernel_shape=[2, 7, 7], strides=[1, 1, 1], output="features")
    model = graph.model(
        [tensor("frames", [1, 3, "T", SIZE, SIZE])],
        [tensor("features", [1, FEATURES, "F", 1, 1])],
        "whole_clip_i3d",
    )
    return serialised(model)


def same(taps: tuple[int, ...], strides: tuple[int, ...]) -> list[int]:
    """Padding as TensorFlow's SAME where the stride divides the size: before, then behind."""
    totals = [tap - stride for tap, stride in zip(taps, strides, strict=True)]
    return [total // 2 for total in totals] + [total - total // 2 for total in totals]


def keras_model(layers: Folded) -> Any:
    """Keras: features (1, F, 1, 1, 1024) of frames (1, T, 224, 224, 3).

    Batch normalisation is folded here too, which makes it quicker than keras-kinetics-i3d is.
    """
    from tensorflow import keras

    def unit(x: Any, name: str, stride: int = 1) -> Any:
        kernel, bias = layers[name]
        layer = keras.layers.Conv3D(
            len(bias), kernel.shape[2:], strides=stride, padding="same", activation="relu"
        )
        y = layer(x)
        layer.set_weights([kernel.transpose(2, 3, 4, 1, 0), bias])
        return y

    def pool(x: Any, taps: Triple, strides: Triple) -> Any:
        return keras.layers.MaxPooling3D(taps, strides, padding="same")(x)

    frames = keras.Input((None, SIZE, SIZE, 3))
    x = pool(unit(frames, STEM, 2), *FIRST_POOL)
    x = unit(unit(x, "Conv3d_2b_1x1"), "Conv3d_2c_3x3")
    for name in MIXED:
        if name in POOLS:
            x = pool(x, *POOLS[name])
        b0, b1a, b1b, b2a, b2b, b3 = (f"{name}/{branch}" for branch in BRANCHES)
        largest = pool(x, (3, 3, 3), (1, 1, 1))
        x = keras.layers.concatenate(
            [unit(x, b0), unit(unit(x, b1a), b1b), unit(unit(x, b2a), b2b), unit(largest, b3)]
        )
    return keras.Model(frames, keras.layers.AveragePooling3D((2, 7, 7), 1)(x))
