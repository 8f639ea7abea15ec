"""I3D over a whole video at once, in PyTorch: what the continual graph is held against.

It shares nothing with that graph but the weights as they are stored: three-dimensional convolutions
padded explicitly, batch normalisation as a step of its own, no folding. Each layer's input is
dropped as soon as it has been used: 1000 frames take about 4 GB.
"""

from __future__ import annotations

import numpy as np
import torch
from i3d_layers import BRANCHES, EPSILON, LOGITS, MIXED, STEM
from i3d_weights import Layer, Layers
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

# What lies before a Mixed layer: window and stride of a max pool.
POOLS = {
    "Mixed_3b": ((1, 3, 3), (1, 2, 2)),
    "Mixed_4b": ((3, 3, 3), (2, 2, 2)),
    "Mixed_5b": ((2, 2, 2), (2, 2, 2)),
}


def whole_clip(
    layers: Layers, frames: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Features (F, 1024) and logits (F, 400) of one clip.

    Args:
        frames: shape (T, 3, 224, 224), in -1..1; T >= 16.
    """
    with torch.inference_mode():
        x = torch.from_numpy(np.ascontiguousarray(frames.transpose(1, 0, 2, 3)))[None]
        x = _unit(x, layers[STEM], stride=2)
        x = _max_pool(x, (1, 3, 3), (1, 2, 2))
        for name in ("Conv3d_2b_1x1", "Conv3d_2c_3x3"):
            x = _unit(x, layers[name])
        for name in MIXED:
            if name in POOLS:
                x = _max_pool(x, *POOLS[name])
            x = _mixed(x, [layers[f"{name}/{branch}"] for branch in BRANCHES])
        x = functional.avg_pool3d(x, (2, 7, 7), (1, 1, 1))
        logits = _unit(x, layers[LOGITS], activate=False)
        return x[0, :, :, 0, 0].T.numpy(), logits[0, :, :, 0, 0].T.numpy()


def _unit(x: Tensor, layer: Layer, stride: int = 1, *, activate: bool = True) -> Tensor:
    kernel = torch.from_numpy(np.ascontiguousarray(layer.kernel.transpose(4, 3, 0, 1, 2))).float()
    taps = kernel.shape[2]
    x = functional.conv3d(
        _padded(x, (taps,) * 3, (stride,) * 3), kernel, _vector(layer.bias), stride
    )
    if layer.mean is not None:
        parts = (layer.mean, layer.variance, layer.scale, layer.shift)
        x = functional.batch_norm(x, *(_vector(part) for part in parts), eps=EPSILON)
    return functional.relu_(x) if activate else x


def _mixed(x: Tensor, layers: list[Layer]) -> Tensor:
    direct, reduce_1, expand_1, reduce_2, expand_2, pooled = layers
    return torch.cat(
        [
            _unit(x, direct),
            _unit(_unit(x, reduce_1), expand_1),
            _unit(_unit(x, reduce_2), expand_2),
            _unit(_max_pool(x, (3, 3, 3), (1, 1, 1)), pooled),
        ],
        dim=1,
    )


def _max_pool(x: Tensor, window: tuple[int, ...], strides: tuple[int, ...]) -> Tensor:
    return functional.max_pool3d(_padded(x, window, strides, float("-inf")), window, strides)


def _padded(
    x: Tensor, window: tuple[int, ...], strides: tuple[int, ...], value: float = 0.0
) -> Tensor:
    """As TensorFlow's SAME pads: the odd one goes behind."""
    pads: list[int] = []
    for size, taps, stride in zip(x.shape[2:], window, strides, strict=True):
        total = max((-(-size // stride) - 1) * stride + taps - size, 0)
        pads = [total // 2, total - total // 2, *pads]
    return functional.pad(x, pads, value=value) if any(pads) else x


def _vector(values: NDArray[np.float64] | None) -> Tensor | None:
    return None if values is None else torch.from_numpy(values).float()
