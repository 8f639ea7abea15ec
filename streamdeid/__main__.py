"""`streamdeid` and `python -m streamdeid`: a door so small that Ctrl-C finds it open at once."""

from __future__ import annotations

INTERRUPTED = 130


def run() -> None:
    """Read the command line and do what it says; Ctrl-C while modules load ends in silence."""
    try:
        from streamdeid.cli.main import main

        main(prog_name="streamdeid")
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None


if __name__ == "__main__":
    run()
