"""Console: rich's, on streams that take any name of a file, and that may lose their reader."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn

from rich.console import Console


class Terminal(Console):
    """Writes to standard output, or to standard error; colours no words of its own accord."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False)

    def on_broken_pipe(self) -> NoReturn:
        """As Python has it; rich would exit with 1, which has a meaning here."""
        raise BrokenPipeError


def accept_all_characters() -> None:
    """Show "?" for what a stream's encoding lacks, in place of failing after hours of work.

    A stream that was closed before the start (`>&-`) goes nowhere.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  for good
            setattr(sys, name, nowhere)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


def forget_standard_output() -> None:
    """Whoever read it has gone: nothing more is to be written there, not even when Python ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
