"""`streamdeid` and `python -m streamdeid`: a door so small that Ctrl-C finds it open at once."""

from __future__ import annotations

import os

INTERRUPTED = 130


def run() -> None:
    """Read the command line and do what it says; Ctrl-C while modules load ends in silence."""
    # OpenBLAS waits for its threads by spinning. Where other work holds the cores, as that of
    # ONNX Runtime does here, one Fréchet distance took 24 to 37 s with its default threads and
    # 1 s with one. It reads this once, when numpy is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        from streamdeid.cli.main import main

        main(prog_name="streamdeid")
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None


if __name__ == "__main__":
    run()
