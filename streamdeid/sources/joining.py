"""pair_frames: two videos joined by time, be they files or streams."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

from streamdeid.errors import PairingError
from streamdeid.sources.health import WhenBehind
from streamdeid.sources.live_pairing import LivePairs
from streamdeid.sources.pairing import FramePairs
from streamdeid.sources.source import Source


def pair_frames(
    original: Source,
    deidentified: Source,
    *,
    offset: Fraction | Literal["auto"] = Fraction(0),
    tolerance: Fraction | None = None,
    when_behind: WhenBehind = "drop-oldest",
) -> FramePairs:
    """Join two videos by time; live ones as `LivePairs` does.

    Args:
        original, deidentified: sources that nobody has iterated yet.
        offset: seconds that the de-identified video is late: its frame at t + offset belongs to
            the original's at t; "auto", of two live streams: to be found in their pictures.
        tolerance: seconds that partners may be apart at most; None for half a frame of the
            slower side, as observed, and a millisecond for rounding.
        when_behind: which pairs of live ones to drop, or to let both sources wait; files wait.

    Raises:
        PairingError: an offset is to be found, but one of the two is no live stream; or, at the end
            of the iteration, not one pair was found.
    """
    if original.info.live or deidentified.info.live:
        return LivePairs(
            original, deidentified, offset=offset, tolerance=tolerance, when_behind=when_behind
        )
    if offset == "auto":
        raise PairingError("Of two files the offset is estimated before they are joined.")
    return FramePairs(original, deidentified, offset=offset, tolerance=tolerance)
