"""Soak: a real RTSP pair for as long as you like; memory, descriptors and threads must not grow.

    python benchmarks/soak.py --minutes 20

Serves the demo's clip and its pixelated twin from GStreamer on loopback (see the tests' RTSP
server), watches them in a process of its own as a user would, and looks at that process from
outside every five seconds. Prints a table for the README; the exit code is 1 if a promise is
broken.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av
import numpy as np

from streamdeid.cli.demo import demo_clip
from streamdeid.engine.covering import CoveredSource
from streamdeid.frame import Frame
from streamdeid.pair import SIDES
from streamdeid.sources.file import FileSource

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.sources.conftest import RtspServer

LOOK_EVERY_S = 5.0
SETTLED_S = 120.0
FLAT_MIB = 10.0


@dataclass(frozen=True)
class Look:
    """The process at one moment, as Linux tells of it."""

    second: float
    rss_mib: float
    descriptors: int
    threads: int


def look(pid: int, began: float) -> Look:
    status = Path(f"/proc/{pid}/status").read_text()
    rss, threads = (
        int(re.findall(rf"^{name}:\s+(\d+)", status, re.MULTILINE)[0])
        for name in ("VmRSS", "Threads")
    )
    descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return Look(time.monotonic() - began, rss / 1024, descriptors, threads)


def encode(frames: Iterable[Frame], path: Path) -> Path:
    """H.264 as the server wants it: every frame for itself, behind a delimiter."""
    with av.open(str(path), "w", format="h264") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.pix_fmt, stream.thread_count = "yuv420p", 1
        stream.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "x264-params": "aud=1:keyint=1:sliced-threads=0",
        }
        for frame in frames:
            height, width = (side // 2 * 2 for side in frame.image.shape[:2])
            if not stream.codec_context.is_open:
                stream.width, stream.height = width, height
            image = np.ascontiguousarray(frame.image[:height, :width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


def soak(minutes: float, fps: int, metrics: str, folder: Path) -> tuple[list[Look], list[Any]]:
    """What was seen from outside, and the lines that were written."""
    clip = demo_clip()
    with FileSource(clip) as original, CoveredSource(str(clip)) as covered:
        files = encode(original, folder / "a.h264"), encode(covered, folder / "b.h264")
    server = RtspServer({f"/{p.stem}": {"file": p, "fps": fps} for p in files})
    server.start()
    lines = folder / "lines.jsonl"
    words = ["watch", server.url("/a"), server.url("/b"), "--metrics", metrics, "-q"]
    words += ["-o", str(lines), "--every", "5s", "--duration", f"{minutes}m"]
    words += ["--checkpoint", str(folder / "soak.state"), "--http", "0"]
    words += ["--alert", "identity.distance_between_sides < 0.1 over 10s"]
    looks = []
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "streamdeid", *words])
    try:
        while process.poll() is None:
            time.sleep(LOOK_EVERY_S)
            if process.poll() is None and lines.exists() and lines.stat().st_size:
                looks.append(look(process.pid, began))
        assert process.returncode == 0, process.returncode
    finally:
        process.kill()
        process.wait()
        server.kill()
    return looks[:-1], [json.loads(line) for line in lines.read_text().splitlines()]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, default=20.0)
    arguments.add_argument("--fps", type=int, default=10, help="of both streams")
    arguments.add_argument("--metrics", default="identity,expression")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        looks, lines = soak(given.minutes, given.fps, given.metrics, Path(folder))
    settled = [one for one in looks if one.second >= SETTLED_S]
    if not settled:
        sys.exit(f"it ended before {SETTLED_S:g} s: give more --minutes.")
    last = lines[-1]
    accounted = all(
        line[side]["frames"]
        == line[side]["used"] + sum(line[side]["skipped"].values()) + line[side]["waiting"]
        for line in lines
        for side in SIDES
    )
    half = len(settled) // 2 or 1
    early, late = (
        sum(one.rss_mib for one in part) / len(part) for part in (settled[:half], settled[-half:])
    )
    spread = max(one.rss_mib for one in settled) - settled[0].rss_mib
    steady = len({(one.descriptors, one.threads) for one in settled}) == 1
    print(f"\n{datetime.now(UTC):%Y-%m-%d}: {given.minutes:g} minutes of two streams of "
          f"{given.fps} frames a second, {given.metrics}\n")  # fmt: skip
    print("| minute | RSS (MiB) | descriptors | threads |")
    print("|---|---|---|---|")
    step = max(len(looks) // 10, 1)
    for one in looks[::step]:
        print(f"| {one.second / 60:.1f} | {one.rss_mib:.0f} | {one.descriptors} | {one.threads} |")
    print(f"\nfrom minute 2 on: {early:.1f} → {late:.1f} MiB on average, at most {spread:+.1f}")
    for side in SIDES:
        print(f"{side}: {last[side]['frames']} frames = {last[side]['used']} used + "
              f"{last[side]['skipped']}")  # fmt: skip
    print(f"every frame accounted for in {len(lines)} lines: {'yes' if accounted else 'NO'}")
    print(f"descriptors and threads constant: {'yes' if steady else 'NO'}")
    if not (accounted and steady and spread <= FLAT_MIB):
        sys.exit(1)


if __name__ == "__main__":
    main()
