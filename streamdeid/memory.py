"""Memory of this process: what the C library is told of it, and how much it was at most."""

from __future__ import annotations

import ctypes
import platform
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

# Of glibc's malloc.h: the option's number, and its value.
_TRIM_THRESHOLD: Final = (-1, 32 * 2**20)
_MMAP_THRESHOLD: Final = (-3, 16 * 2**20)
_ARENA_MAX: Final = (-8, 1)

_STATUS: Final = Path("/proc/self/status")


@cache
def share_one_heap() -> bool:
    """Let all threads take memory from one heap, which keeps up to 32 MiB that are not in use.

    By itself glibc gives each thread a heap of its own, in which what one thread lets go is of no
    use to the others. And a frame or crop whose memory comes fresh from the system costs a fault
    for each of its pages (about 4 µs in a virtual machine), more than what is done with it: an
    evaluation at 640x480 that trims its heap at every turn has 5,000 faults a frame pair, this one
    fewer than 400, and a whole evaluation took a quarter less time.
    Concerns the whole process.

    Returns:
        Whether there was a glibc to tell.
    """
    libc = _glibc()
    options = (_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX)
    return libc is not None and all(libc.mallopt(*option) for option in options)


def give_back() -> None:
    """Give the heap's unused pages back, where the C library is glibc; takes some milliseconds.

    Every connection takes and frees buffers of many sizes, among which a heap frays: 800 videos of
    1280x720, opened and closed one after the other, left 26 MiB, and 0.6 MiB with this after each.
    """
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


def peak_rss_mb() -> float | None:
    """The most memory (MiB) that this process has held; None where the system does not tell.

    Linux's getrusage counts what the program held that started this one, until it became this one:
    begun by a large process, a small one never seems smaller. What /proc says is its own, but while
    memory grows it is up to some hundred KiB more than what /proc remembers once memory shrinks.
    """
    if sys.platform == "win32":
        return None
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
    with suppress(OSError):
        for line in _STATUS.read_bytes().splitlines():
            if line.startswith(b"VmHWM:"):
                return min(int(line.split()[1]) / 2**10, peak)
    return peak


@cache
def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
