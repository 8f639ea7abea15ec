"""Images laid out and normalised as a model wants them, and its vectors at unit length."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamdeid.inference.manifest import InputSpec


def prepare(spec: InputSpec, images: NDArray[np.float32]) -> NDArray[Any]:
    """`images` as the model's input `spec` describes it, C-contiguous.

    Args:
        spec: layout, colour order, type, and the normalisation if it is left to the caller.
        images: shape (n, 3, height, width), planar RGB, 0..255.

    Returns:
        The same images; the very same array where the model takes it as it is.

    Raises:
        ValueError: the input is no image batch that can be made from this one.
    """
    if spec.layout not in ("NCHW", "NHWC") or images.ndim != 4:
        raise ValueError(f"input {spec.name} ({spec.layout}) cannot be made from {images.shape}")
    if spec.colour == "BGR":
        images = images[:, ::-1]
    if spec.normalised_by == "caller":
        mean, std = (np.reshape(value, (3, 1, 1)) for value in (spec.mean, spec.std))
        images = ((images - mean) / std).astype(np.float32)
    if spec.layout == "NHWC":
        images = images.transpose(0, 2, 3, 1)
    if spec.dtype == "uint8":
        images = np.rint(images)
    return np.ascontiguousarray(images, np.dtype(spec.dtype))


def unit_length(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same directions with length 1, shape (n, dim); a null vector stays one."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1), np.float32)
