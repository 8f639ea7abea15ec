"""OpenFace's pipe: what it costs us beside OpenFace itself, in CPU time and in memory.

    python benchmarks/openface_pipe.py                    # 640x480; 1,000 and 10,000 frame pairs
    python benchmarks/openface_pipe.py --pairs 2000 --size 1280x720
    python benchmarks/openface_pipe.py --openface build/bin/FeatureExtraction --pairs 300

The time is CPU time of this process and its threads, divided by frames (two for each pair): the
channels swapped, the picture written into the pipe, the rows read and parsed, online and at the
end. In place of OpenFace runs a program that reads the pictures and writes rows, and computes
nothing, unless one is given. Its own CPU time is the second figure; so is the peak memory of each
row's process, which is its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

from streamdeid.frame import Frame
from streamdeid.memory import peak_rss_mb
from streamdeid.observations import Sighting
from streamdeid.pair import Pair
from streamdeid.stages.action_units.endless_avi import EndlessAvi
from streamdeid.stages.action_units.openface import OpenFaceSource
from streamdeid.stages.action_units.program import OpenFaceProgram, find_program

# Knows -no2Dfp, so that it is taken for version 1, which flushes each row.
READER = """#!{python} -SE
import sys
path = sys.argv[sys.argv.index("-of") + 1]
units = [f"AU{{n:02}}" for n in (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)]
names = ["frame", "timestamp", "confidence", "success"]
names += [unit + "_r" for unit in units] + [unit + "_c" for unit in units]
rest = ", 0.0333333, 0.983333, 1" + ", 0.410933" * 17 + ", 0" * 17 + "\\n"
with open("/dev/stdin", "rb", buffering=0) as video, open(path, "w", buffering=1) as rows:
    rows.write(", ".join(names) + "\\n")
    picture, frame = memoryview(bytearray({picture})), 0
    video.read({header})
    while True:
        filled = 0
        while filled < {picture} and (more := video.readinto(picture[filled:])):
            filled += more
        if filled < {picture}:
            break
        frame += 1
        rows.write(str(frame) + rest)
"""


def measure(program: str, pairs: int, width: int, height: int) -> dict[str, Any]:
    """One run, in this process."""
    found = find_program(program, {})
    assert isinstance(found, OpenFaceProgram)
    images = np.random.default_rng(0).integers(0, 256, (2, 8, height, width, 3), np.uint8)
    began, cpu = perf_counter(), process_time()
    readings = 0
    with OpenFaceSource(found) as source:
        for index in range(pairs):
            frames = Pair(
                *(Frame(side[index % 8], index, index, Fraction(1, 25)) for side in images)
            )
            readings += sum(1 for _ in source.push(frames.map(lambda frame: Sighting(frame, None))))
        readings += sum(1 for _ in source.flush())
        assert source.fault is None, source.fault
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "pairs": pairs,
        "readings": readings,
        "ours_ms": (process_time() - cpu) / (2 * pairs) * 1000,
        "theirs_ms": (children.ru_utime + children.ru_stime) / (2 * pairs) * 1000,
        "wall_s": perf_counter() - began,
        "peak_rss_mb": peak_rss_mb(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--openface", help="a real FeatureExtraction, or a script that acts as one")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    if arguments.here:
        print(json.dumps(measure(arguments.openface, arguments.pairs[0], width, height)))
        return
    with tempfile.TemporaryDirectory() as folder:
        reader = Path(folder, "FeatureExtraction")
        avi = EndlessAvi(height, width)
        picture = len(avi.frame(np.zeros((height, width, 3), np.uint8)))
        code = READER.format(python=sys.executable, header=len(avi.header), picture=picture)
        reader.write_text(code + "# -no2Dfp\n")
        reader.chmod(0o755)
        program = arguments.openface or str(reader)
        print(f"{arguments.size}, two videos; per frame, of {Path(program).name}")
        print("  pairs   ours (CPU)   theirs (CPU)   wall a pair   peak memory")
        for pairs in arguments.pairs:
            command = [sys.executable, __file__, "--here", "--pairs", str(pairs)]
            command += ["--size", arguments.size, "--openface", program]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            row = json.loads(said)
            print(
                f"{pairs:7,}  {row['ours_ms']:8.2f} ms  {row['theirs_ms']:10.2f} ms  "
                f"{row['wall_s'] / pairs * 1000:9.2f} ms  {row['peak_rss_mb']:8.0f} MiB"
            )


if __name__ == "__main__":
    main()
