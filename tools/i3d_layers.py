"""The layers of I3D, the inflated Inception network, in the names of DeepMind's own code.

Everything that reads weights or writes a graph goes by this plan. All convolutions pad as
TensorFlow's SAME does; each but the last is followed by batch normalisation without scale
(epsilon 1e-3) and a ReLU. A Mixed layer is four branches side by side, joined on the channels:

    Branch_0    1x1x1
    Branch_1    1x1x1 → 3x3x3
    Branch_2    1x1x1 → 3x3x3
    Branch_3    3x3x3 max pool → 1x1x1

Source: Carreira and Zisserman 2017, arXiv:1705.07750; i3d.py of deepmind/kinetics-i3d.
"""

from __future__ import annotations

from typing import Final

SIZE: Final = 224
FEATURES: Final = 1024
CLASSES: Final = 400
EPSILON: Final = 1e-3

STEM: Final = "Conv3d_1a_7x7"
LOGITS: Final = "Logits/Conv3d_0c_1x1"

# Output channels of Branch_0 | both convolutions of Branch_1 | both of Branch_2 | Branch_3.
MIXED: Final[dict[str, tuple[int, int, int, int, int, int]]] = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}
BRANCHES: Final = (
    "Branch_0/Conv3d_0a_1x1",
    "Branch_1/Conv3d_0a_1x1",
    "Branch_1/Conv3d_0b_3x3",
    "Branch_2/Conv3d_0a_1x1",
    "Branch_2/Conv3d_0b_3x3",
    "Branch_3/Conv3d_0b_1x1",
)

KernelShape = tuple[int, int, int, int, int]
"""Frames, rows, columns, input channels, output channels: as TensorFlow stores kernels."""


def kernel_shapes() -> dict[str, KernelShape]:
    """The 58 convolutions from first to last."""
    shapes: dict[str, KernelShape] = {
        STEM: (7, 7, 7, 3, 64),
        "Conv3d_2b_1x1": (1, 1, 1, 64, 64),
        "Conv3d_2c_3x3": (3, 3, 3, 64, 192),
    }
    channels = 192
    for name, (a, b, c, d, e, f) in MIXED.items():
        inputs = (channels, channels, b, channels, d, channels)
        for branch, before, after in zip(BRANCHES, inputs, (a, b, c, d, e, f), strict=True):
            taps = 3 if branch.endswith("3x3") else 1
            shapes[f"{name}/{branch}"] = (taps, taps, taps, before, after)
        channels = a + c + e + f
    shapes[LOGITS] = (1, 1, 1, FEATURES, CLASSES)
    return shapes
