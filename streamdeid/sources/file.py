"""FileSource: frames from a video file, of any container and codec that FFmpeg reads."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Generator, Iterator
from fractions import Fraction
from types import TracebackType
from typing import Self

import av

from streamdeid.errors import SourceError
from streamdeid.frame import Frame, Image, StreamInfo
from streamdeid.sources.opening import open_video
from streamdeid.sources.timestamps import TimestampRepair
from streamdeid.sources.upright import Uprighter
from streamdeid.sources.uri import local_path

MOST_PIXELS = 2**27
"""Pictures beyond this (16384 x 8192) come from damaged headers, and would only fill memory."""

MISSING_SHARE = 0.05
"""A video shorter by more than this share than its container claims, and 2 frames, was cut off."""

GUESSED_RATE = 25
"""Frames a second of a stream that tells neither rate nor times; FFmpeg's own guess."""


class FileSource:
    """The frames of a video file, in order of presentation, upright and with square pixels.

    The first frame is decoded when the file is opened, so that `info` tells what the frames are
    and a file that gives none is refused at once. Frames carry the container's time stamps; what
    becomes of missing and impossible ones is told by `TimestampRepair`, and what becomes of
    rotation, interlacing, anamorphic pixels and colours by `Uprighter`. Cover art is not taken
    for the video; of several videos FFmpeg's choice is read. Only files are opened: a playlist
    can't reach the network.

    Damage is not an error: frames that the decoder had to mend are `corrupt`, packets that it
    refuses are left out, iteration ends where the data does, and `notes` says so.

    Decoding takes no threads of its own: FFmpeg's frame threads cost 20 % more CPU time, which
    the analysis needs. Closing from another thread waits for the frame that is being decoded.

    Raises:
        SourceError: the file cannot be read, holds no video, or gives no frame.
    """

    def __init__(self, uri: str | os.PathLike[str]) -> None:
        path = local_path(uri)
        self._name = str(path)
        self.notes: list[str] = []
        self._lock = threading.Lock()
        self._waiting: deque[tuple[int, bool]] = deque()
        self._decoded = self._given = self._refused = 0
        self._broke_off = False
        self._container, self._stream = open_video(path)
        try:
            self._stream.thread_type = "NONE"
            self._stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
            self._rate = self._stream.average_rate or self._stream.guessed_rate
            self._time_base = self._stream.time_base or Fraction(1, 90000)
            self._repair = TimestampRepair[av.VideoFrame](
                step=round(1 / ((self._rate or GUESSED_RATE) * self._time_base))
            )
            self._uprighter = Uprighter(self._stream.sample_aspect_ratio)
            self._stamped = self._stamp()
            self._frames = self._make_frames()
            self._first = next(self._frames, None)
            if self._first is None:
                raise SourceError(
                    f"{self._name} opens as a video, but not one frame of it can be decoded; "
                    "copy or record it again."
                )
            self.info = self._describe(self._first.image)
        except BaseException:
            self._container.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        with self._lock:
            if self._first is not None:
                first, self._first = self._first, None
                return first
            return next(self._frames)

    def skim(self) -> Iterator[bool]:
        """Read on without making pictures: for each remaining frame, whether it is corrupt.

        Saves making RGB, about a third of the time.
        """
        while True:
            with self._lock:
                if self._first is not None:
                    corrupt, self._first = self._first.corrupt, None
                elif self._waiting:
                    corrupt = self._waiting.popleft()[1]
                else:
                    stamped = next(self._stamped, None)
                    if stamped is None:
                        return
                    corrupt = stamped[2]
            yield corrupt

    def close(self) -> None:
        """Let go of the file; may be called twice, and before the end."""
        with self._lock:
            self._first = None
            self._waiting.clear()
            self._frames.close()
            self._stamped.close()
            self._container.close()

    def _make_frames(self) -> Generator[Frame, None, None]:
        for picture, pts, corrupt in self._stamped:
            # Deinterlacing gives pictures one frame late, but as many as it takes.
            self._waiting.append((pts, corrupt))
            for image in self._uprighter.take(picture):
                yield self._frame(image)
        for image in self._uprighter.rest():
            if self._waiting:
                yield self._frame(image)

    def _frame(self, image: Image) -> Frame:
        pts, corrupt = self._waiting.popleft()
        self._given += 1
        return Frame(image, self._given - 1, pts, self._time_base, corrupt=corrupt)

    def _stamp(self) -> Generator[tuple[av.VideoFrame, int, bool], None, None]:
        for picture in self._decode():
            self._decoded += 1
            # AVI and its like stamp packets in decoding order only; what the decoder passes on
            # with the frame is then its presentation time, as no frame threads are used.
            pts = picture.dts if picture.pts is None else picture.pts
            yield from self._repair.take(picture, pts, picture.is_corrupt)
        yield from self._repair.rest()
        self._note_damage()

    def _decode(self) -> Generator[av.VideoFrame, None, None]:
        try:
            for packet in self._container.demux(self._stream):
                try:
                    pictures = packet.decode()
                except av.error.FFmpegError:
                    self._refused += 1  # as ffmpeg does: go on with the next packet
                    continue
                yield from pictures
        except av.error.FFmpegError:
            self._broke_off = True
            try:
                yield from self._stream.codec_context.decode(None)
            except av.error.FFmpegError:
                self._refused += 1

    def _note_damage(self) -> None:
        claimed = self._claimed_frames()
        about = f" of about {claimed}" if claimed else ""
        missing = (claimed or 0) - self._decoded - self._refused
        if self._broke_off or missing > max(2, MISSING_SHARE * (claimed or 0)):
            self.notes.append(
                f"{self._name} ends in damaged data: {self._decoded} frames decoded{about}."
            )
        if self._refused:
            self.notes.append(
                f"{self._name} has damaged data: {self._refused} packets could not be decoded."
            )
        if self._repair.repaired:
            self.notes.append(
                f"{self._name} has missing or impossible time stamps: "
                f"{self._repair.repaired} frames were given times from their neighbours."
            )
        if self._uprighter.resized:
            self.notes.append(
                f"{self._name} changes its picture size: {self._uprighter.resized} frames were "
                f"scaled to {self.info.width}x{self.info.height}."
            )

    def _claimed_frames(self) -> int | None:
        """Frames that the video stream itself claims to have; None if it does not say."""
        if self._stream.frames > 0:
            return self._stream.frames
        if self._stream.duration and self._rate:
            return round(self._stream.duration * self._time_base * self._rate)
        return None

    def _describe(self, image: Image) -> StreamInfo:
        duration = None
        if self._stream.duration:
            duration = self._stream.duration * self._time_base
        elif self._container.duration:
            duration = Fraction(self._container.duration, 1_000_000)
        height, width, _ = image.shape
        return StreamInfo(
            uri=self._name,
            codec=self._stream.codec_context.name,
            pixel_format=self._stream.codec_context.pix_fmt or "",
            width=width,
            height=height,
            frame_rate=self._rate,
            duration=duration,
            frames=self._stream.frames or None,
            rotation_deg=self._uprighter.rotation_deg,
        )
