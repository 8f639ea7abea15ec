"""give_back: what FFmpeg has let go becomes free memory of the system again."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Callable
from functools import cache


def give_back() -> None:
    """Give the heap's unused pages back, where the C library is glibc; takes some milliseconds.

    Every connection takes and frees buffers of many sizes, among which a heap frays: 800 videos of
    1280x720, opened and closed one after the other, left 26 MiB, and 0.6 MiB with this after each.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    return ctypes.CDLL(None).malloc_trim if platform.libc_ver()[0] == "glibc" else None
