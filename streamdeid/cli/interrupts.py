"""Ctrl-C and SIGTERM: the first asks for an end, the second is one."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from streamdeid.cli.main import ExitCode

SHOW_CURSOR = b"\x1b[?25h"  # a live display hides it


@contextmanager
def stop_on_signals(*, quiet: bool) -> Iterator[threading.Event]:
    """An event that the first SIGINT or SIGTERM sets; a second one ends the process at once.

    A signal that was ignored at the start (by `nohup`, or for a job in the background of a script)
    stays ignored.

    Signals come to the main thread only: called from another one, nothing sets the event.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        # A handler interrupts whatever runs, so it writes to the descriptor: no buffers, no locks.
        if stop.is_set():
            if sys.stderr.isatty():
                _tell(SHOW_CURSOR)
            os._exit(ExitCode.INTERRUPTED)
        stop.set()
        if not quiet:
            _tell(b"\nstreamdeid: stopping; the report will hold what was seen so far.\n")

    numbers = (signal.SIGINT, signal.SIGTERM)
    heeded = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, handle) for number in heeded}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tell(text: bytes) -> None:
    """Write to standard error, if its reader is there and takes it: the run ends all the same."""
    with suppress(OSError, ValueError):
        if sys.platform == "win32" or select.select([], [2], [], 0)[1]:
            os.write(2, text)
