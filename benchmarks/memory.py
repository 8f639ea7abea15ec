"""Memory: what a whole evaluation holds at most, over the length of the video.

    python benchmarks/memory.py                                   # all metrics, to 10,000 pairs
    python benchmarks/memory.py --metrics identity,expression --pairs 300 3000 30000

One process evaluates one long file, and notes its peak at each length on the way. The clip is
640x480, and no frame of it is without a face.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from long_clips import make_clips, one_run

from streamdeid import Settings
from streamdeid.settings import METRICS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, nargs="+", default=[300, 1_000, 3_000, 10_000])
    parser.add_argument("--metrics", default=",".join(METRICS))
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        settings = Settings(metrics=options.metrics.split(","), provider="cpu")
        for row in one_run(*map(Path, options.run), options.pairs, settings):
            print(json.dumps(row))
        return

    with tempfile.TemporaryDirectory() as folder:
        clips = make_clips(Path(folder), 640, 480, "blur")
        command = [sys.executable, __file__, "--metrics", options.metrics, "--run"]
        command += [*map(str, clips), "--pairs", *map(str, options.pairs)]
        rows = [json.loads(line) for line in subprocess.check_output(command).splitlines()]
    print(f"metrics: {options.metrics}")
    for row in rows:
        print(f"{row['pairs']:7,} pairs: peak RSS {row['peak_rss_mb']:.1f} MiB")
    end = rows[-1]
    print(
        f"{end['pairs_per_s']:.1f} pairs/s; all scores at the end took {end['scores_s']:.2f} s; "
        f"a face in {end['found']} frames of the two sides"
    )


if __name__ == "__main__":
    main()
