"""Console: rich's, on streams that take any name of a file, and that may lose their reader."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any, NoReturn, cast

from rich.console import Console


class Terminal(Console):
    """Writes to standard output, or to standard error; colours no words of its own accord.

    What goes to standard error tells how a run goes: where that cannot be written, because its
    reader has gone or the disk is full, the run goes on without.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        file = cast("IO[str]", _StandardError()) if stderr else None
        super().__init__(file=file, stderr=stderr, highlight=False)

    def on_broken_pipe(self) -> NoReturn:
        """As Python has it; rich would exit with 1, which has a meaning here."""
        raise BrokenPipeError


class _StandardError:
    """`sys.stderr`, whose errors are nobody's."""

    def write(self, text: str) -> int:
        with _forgetting_standard_error():
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with _forgetting_standard_error():
            sys.stderr.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr, name)


@contextmanager
def _forgetting_standard_error() -> Iterator[None]:
    """Goes on after an error; what is written after a reader has gone goes nowhere."""
    try:
        yield
    except BrokenPipeError:
        _lead_nowhere(sys.stderr)
    except (OSError, ValueError):  # the disk is full, or it was closed
        return


def accept_all_characters() -> None:
    """Show "?" for what a stream's encoding lacks, in place of failing after hours of work.

    A stream that was closed before the start (`>&-`) goes nowhere.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, _nowhere())
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


def forget_standard_output() -> None:
    """Whoever read it has gone: nothing more is to be written there, not even when Python ends."""
    _lead_nowhere(sys.stdout)


def forget_standard_error() -> None:
    """Whoever should read it is asleep, and a thread waits in the middle of writing to it.

    That thread holds the stream's lock, for which Python waits when it ends: since 3.13 for good.
    """
    sys.stderr = _nowhere()


def _nowhere() -> IO[str]:
    return Path(os.devnull).open("w", encoding="utf-8")  # for good


def _lead_nowhere(stream: IO[str]) -> None:
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
