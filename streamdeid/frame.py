"""What travels from the sources: Frame, FramePair, StreamInfo."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamdeid.pair import Pair

Image: TypeAlias = NDArray[np.uint8]
"""(height, width, 3) uint8 RGB."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded picture, upright and with square pixels, and when it is shown.

    Attributes:
        image: shape (height, width, 3), uint8 RGB, full range, read-only.
        index: frames decoded before this one.
        pts: presentation time stamp, in units of `time_base`; need not start at 0.
        time_base: seconds.
        after_gap: a live stream was interrupted just before this frame.
        corrupt: the decoder met damaged data in this frame and concealed it.
        start: seconds: the `time` of its video's first frame, once the videos are joined.
    """

    image: Image
    index: int
    pts: int
    time_base: Fraction
    after_gap: bool = False
    corrupt: bool = False
    start: Fraction = Fraction(0)

    @property
    def time(self) -> Fraction:
        """Presentation time in seconds: pts × time base."""
        return self.pts * self.time_base

    @property
    def elapsed(self) -> Fraction:
        """Seconds since the first frame of its video, whether that found a partner or not."""
        return self.time - self.start


FramePair: TypeAlias = Pair[Frame]


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """What a video says of itself before it is read.

    Attributes:
        uri: path or URL, without user name and password.
        codec, pixel_format: FFmpeg's names; "" where there is none.
        width, height: of the upright frame with square pixels.
        frame_rate: average frames a second; None if unknown.
        duration: seconds; None if unknown.
        frames: number of frames as the container claims it; None if it does not.
        rotation_deg: 0, 90, 180 or 270: turned counter-clockwise by this to show it upright.
        live: frames arrive when they are made, and there is no end to wait for.
    """

    uri: str
    codec: str
    pixel_format: str
    width: int
    height: int
    frame_rate: Fraction | None = None
    duration: Fraction | None = None
    frames: int | None = None
    rotation_deg: int = 0
    live: bool = False
