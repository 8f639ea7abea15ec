"""interruptible: FFmpeg's waits in this thread end when an event is set."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import av.container.core

LEAP_S: Final = 1e9


@contextmanager
def interruptible(stopped: threading.Event) -> Iterator[None]:
    """Let FFmpeg's waits in this thread fail once `stopped` is set, within about 0.1 s.

    FFmpeg asks PyAV about every 0.1 s whether a wait has lasted too long, and PyAV asks the clock.
    For a thread that is stopped that clock leaps ahead. PyAV has no other way to end a wait from
    outside, and one that outlives the interpreter is worse than slow: PyAV's answer then makes
    the process crash as it ends (4 of 72 programs did).
    """
    me = threading.get_ident()
    _stopped[me] = stopped
    try:
        yield
    finally:
        del _stopped[me]


class _Clock:
    """The module `time`, as far as PyAV's containers use it."""

    def __init__(self) -> None:
        self._ahead_s = 0.0

    def monotonic(self) -> float:
        """Seconds; for a thread that is stopped, more than any timeout later at every call."""
        now = time.monotonic()
        stopped = _stopped.get(threading.get_ident())
        if stopped is not None and stopped.is_set():
            self._ahead_s += LEAP_S
            now += self._ahead_s
        return now


_stopped: dict[int, threading.Event] = {}
vars(av.container.core)["time"] = _Clock()
