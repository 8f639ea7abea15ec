"""Identity: frame pairs a second and peak memory over the length of the video.

    python benchmarks/identity.py         # 640x480 and 1280x720; 300, 3,000 and 30,000 pairs
    python benchmarks/identity.py --pairs 300 --size 640x480

The clip has a face in every frame of both sides: the dearest case, three embeddings a pair. The
other side is the clip with its face blurred, but so little that the detectors still see it; or
pixelated (`--method`).

Each size is a process of its own, which notes its peak memory on the way. Speed is also given as a
share of the models' own limit, measured just before and after: the landmark model twice and the
embedder three times a pair, on two threads, and nothing else. If face_recognition is installed, it
does the same job (find, align, embed both sides) on a sample.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from time import perf_counter

import numpy as np
from long_clips import make_clips, one_run

from streamdeid import Settings
from streamdeid.inference.manifest import Manifest
from streamdeid.inference.session import Session
from streamdeid.sources.file import FileSource


def models_limit(pairs: int = 150) -> float:
    """Pairs a second that the models alone allow: two threads, one shared session each."""
    manifest = Manifest.load()
    landmarks, embedder = (Session(manifest.spec(n)) for n in ("landmarks", "dlib_resnet"))
    crop = np.random.default_rng(0).random((1, 3, 256, 256), np.float32) * 255
    chips = np.random.default_rng(1).random((2, 3, 150, 150), np.float32) * 255

    def side(number: int) -> None:
        for index in range(pairs):
            landmarks.run(image=crop)
            # Three embeddings a pair, shared fairly: one and two, two and one, in turn.
            embedder.run(chips=chips[: 1 + (index + number) % 2])

    threads = [threading.Thread(target=side, args=(n,)) for n in (0, 1)]
    side(0)
    begin = perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return pairs / (perf_counter() - begin)


def face_recognition_rate(original: Path, deidentified: Path, pairs: int = 20) -> float | None:
    """Pairs a second of face_recognition, which finds and embeds both sides; None without it."""
    if importlib.util.find_spec("face_recognition") is None:
        return None
    import face_recognition  # type: ignore[import-not-found,unused-ignore]

    with FileSource(original) as a, FileSource(deidentified) as b:
        begin = perf_counter()
        for _, frames in zip(range(pairs), zip(a, b, strict=False), strict=False):
            for frame in frames:
                boxes = face_recognition.face_locations(frame.image)
                face_recognition.face_encodings(frame.image, boxes)
        return pairs / (perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, nargs="+", default=[300, 3_000, 30_000])
    parser.add_argument("--size", nargs="+", default=["640x480", "1280x720"])
    parser.add_argument("--method", default="blur", choices=["blur", "pixelate"])
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        settings = Settings(metrics=("identity",), provider="cpu")
        for row in one_run(*map(Path, options.run), options.pairs, settings):
            print(json.dumps(row))
        return

    print(f"the other side: {options.method}")
    with tempfile.TemporaryDirectory() as folder:
        for size in options.size:
            clips = make_clips(Path(folder), *map(int, size.split("x")), options.method)
            before = models_limit()
            command = [sys.executable, __file__, "--run", *map(str, clips), "--pairs"]
            out = subprocess.check_output([*command, *map(str, options.pairs)], text=True)
            rows = [json.loads(line) for line in out.splitlines()]
            limit = (before + models_limit()) / 2
            for row in rows:
                print(f"{size}, {row['pairs']:6,} pairs: peak RSS {row['peak_rss_mb']:.1f} MiB")
            print(
                f"{size}: {rows[-1]['pairs_per_s']:.1f} pairs/s, "
                f"{rows[-1]['pairs_per_s'] / limit:.0%} of the models' own {limit:.1f}; "
                f"a face in {rows[-1]['found']} frames of the two sides"
            )
            if (rate := face_recognition_rate(*clips)) is not None:
                print(f"{size}: face_recognition {rate:.2f} pairs/s, on 20 pairs", flush=True)


if __name__ == "__main__":
    main()
