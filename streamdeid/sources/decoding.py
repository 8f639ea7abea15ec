"""Decoder: the packets of a video stream become decoder frames with sound time stamps."""

from __future__ import annotations

import re
from collections.abc import Generator
from fractions import Fraction

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from streamdeid.sources.timestamps import MOST_HELD, TimestampRepair

MOST_PIXELS = 2**26
"""Pictures beyond this (8192 x 8192) come from damaged headers, and would only fill memory."""

MISSING_SHARE = 0.05
"""A video that lacks more than this share, and 3 frames, of what it claims to have was cut off."""

GUESSED_RATE = 25
"""Frames a second of a stream that tells neither rate nor times; FFmpeg's own guess."""


# Digits only, and not many: Fraction("1e999999999") would compute for good.
_TAG = re.compile(r"(\d{1,9}):(\d{1,9}):(\d{1,9}(?:\.\d{1,12})?)", re.ASCII)


class Decoder:
    """Decode one stream of an open container, and remember what was wrong with it.

    It decodes in the caller's thread: FFmpeg's frame threads cost 20 % more CPU time, which the
    analysis needs.

    Attributes:
        frame_rate: average frames a second, as the container has it; None if unknown.
        time_base: seconds; the unit of time stamps.
        duration: seconds that the stream claims to last; None if it does not say.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        stream.thread_type = "NONE"
        stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
        self.frame_rate = stream.average_rate or stream.guessed_rate
        self.time_base = stream.time_base or Fraction(1, 90_000)
        self.duration = _duration(container, stream)
        self._container = container
        self._stream = stream
        self._step = max(round(1 / ((self.frame_rate or GUESSED_RATE) * self.time_base)), 1)
        self._repair = TimestampRepair[av.VideoFrame](self._step)
        self._span: tuple[int, int] | None = None
        self._decoded = self._refused = 0
        self._refused_last = 0  # of those, the ones after which nothing more was decoded
        self._broke_off = False

    def frames(self) -> Generator[tuple[av.VideoFrame, int, bool], None, None]:
        """Frames in order of presentation, as (frame, pts, corrupt); to be called once."""
        for frame, pts, corrupt in self._stamped():
            self._span = (pts if self._span is None else self._span[0], pts)
            yield frame, pts, corrupt

    def damage(self) -> list[str]:
        """What was wrong, as ends of sentences that begin with the file's name."""
        sentences = []
        claimed = self._stream.frames
        if self._broke_off or self._ended_early():
            of = f" of about {claimed}" if claimed else ""
            if not claimed and self.duration:
                of = f", {float(self._seen()):.1f} s of {float(self.duration):.1f} s"
            sentences.append(f"ends in damaged data: {self._decoded} frames decoded{of}.")
        if self._refused:
            sentences.append(f"has damaged data: {self._refused} packets could not be decoded.")
        # The last few frames of an AVI with B-frames have no stamps, and nothing is wrong.
        if self._repair.wrong or self._repair.missing > MOST_HELD:
            sentences.append(
                f"has frames with missing ({self._repair.missing}) or impossible "
                f"({self._repair.wrong}) time stamps; they got times from their neighbours."
            )
        return sentences

    def _stamped(self) -> Generator[tuple[av.VideoFrame, int, bool], None, None]:
        avi = self._container.format.name == "avi"
        for frame in self._pictures():
            self._decoded += 1
            # AVI knows no presentation times: what it has is the order of the packets, and that
            # is the order of pictures if read where they leave the decoder (without threads).
            pts = frame.dts if avi or frame.pts is None else frame.pts
            yield from self._repair.take(frame, pts, frame.is_corrupt)
        yield from self._repair.rest()

    def _pictures(self) -> Generator[av.VideoFrame, None, None]:
        try:
            for packet in self._container.demux(self._stream):
                try:
                    frames = packet.decode()
                except av.error.FFmpegError:
                    self._refused += 1  # as ffmpeg does: go on with the next packet
                    self._refused_last += 1
                    continue
                if packet.size:  # the last one is empty, and asks for what was held back
                    self._refused_last = 0
                yield from frames
        # IndexError: PyAV, when a transport stream is so damaged that its streams are renumbered.
        except (av.error.FFmpegError, IndexError):
            self._broke_off = True
            try:
                yield from self._stream.codec_context.decode(None)
            except av.error.FFmpegError:
                self._refused += 1

    def _ended_early(self) -> bool:
        claimed = self._stream.frames
        if claimed:
            in_between = self._refused - self._refused_last
            return claimed - self._decoded - in_between > max(3, MISSING_SHARE * claimed)
        if self.duration is None:
            return False
        missing = self.duration - self._seen()
        return missing > 3 * self._step * self.time_base and missing > MISSING_SHARE * self.duration

    def _seen(self) -> Fraction:
        """Seconds to the end of the last frame, from the first or from 0.

        The longer of the two: Matroska's duration counts from 0, others' from the first frame.
        """
        first, last = self._span or (0, -self._step)
        return (max(last - first, last) + self._step) * self.time_base


def _duration(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """What the video stream itself claims, never how long the sound lasts."""
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    tag = stream.metadata.get("DURATION", "")  # Matroska: "00:01:02.345000000"
    if match := _TAG.fullmatch(tag):
        hours, minutes, seconds = (Fraction(part) for part in match.groups())
        return hours * 3600 + minutes * 60 + seconds or None
    if container.duration and len(container.streams) == 1:
        return Fraction(container.duration, av.time_base)
    return None
