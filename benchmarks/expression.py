"""Expression: what the stand-ins for action units cost beside identity alone.

    python benchmarks/expression.py                  # 600 pairs of 640x480, three rounds
    python benchmarks/expression.py --pairs 1200 --rounds 5

The two are run in turn, each in a process of its own; the best round of each counts. CPU time a
frame pair matters: the pace depends on what else the machine does.
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

KINDS = {"identity": "identity", "identity and expression": "identity,expression"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--run", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        metrics, *clips = options.run
        settings = Settings(metrics=metrics.split(","), au_source="blendshapes", provider="cpu")
        (row,) = one_run(Path(clips[0]), Path(clips[1]), [options.pairs], settings)
        print(json.dumps(row))
        return

    best = {kind: float("inf") for kind in KINDS}
    with tempfile.TemporaryDirectory() as folder:
        clips = make_clips(Path(folder), 640, 480, "blur")
        for _ in range(options.rounds):
            for kind, metrics in KINDS.items():
                command = [sys.executable, __file__, "--pairs", str(options.pairs), "--run"]
                out = subprocess.check_output([*command, metrics, *map(str, clips)], text=True)
                row = json.loads(out)
                best[kind] = min(best[kind], row["cpu_ms_per_pair"])
                print(
                    f"{kind}: {row['cpu_ms_per_pair']:.1f} CPU ms a pair, "
                    f"{row['pairs_per_s']:.1f} pairs/s, {row['peak_rss_mb']:.0f} MiB",
                    flush=True,
                )
    alone, with_expression = best.values()
    print(f"expression adds {with_expression / alone - 1:.1%} of CPU time to identity alone")


if __name__ == "__main__":
    main()
