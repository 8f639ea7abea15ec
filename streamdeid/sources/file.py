"""FileSource: frames from a video file, of any container and codec that FFmpeg reads."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Generator, Iterator

import av

from streamdeid.closing import Closing
from streamdeid.errors import SourceError
from streamdeid.frame import Frame, Image, StreamInfo
from streamdeid.sources.decoding import Decoder
from streamdeid.sources.opening import open_video
from streamdeid.sources.upright import Uprighter
from streamdeid.sources.uri import local_path


class FileSource(Closing):
    """The frames of a video file, in order of presentation, upright and with square pixels.

    The first frame is decoded when the file is opened, so that `info` tells what the frames are
    and a file that gives none is refused at once. Frames carry the container's time stamps; what
    becomes of missing and impossible ones is told by `TimestampRepair`, and what becomes of
    rotation, interlacing, anamorphic pixels and colours by `Uprighter`. Cover art is not taken
    for the video; of several videos FFmpeg's choice is read. Only files are opened: a playlist
    can't reach the network.

    Damage is not an error: frames that the decoder had to mend are `corrupt`, packets that it
    refuses are left out, iteration ends where the data does, and `notes` says so. A GIF, a
    transport stream or a raw stream does not say how long it is, so that it can be cut unnoticed.

    Closing from another thread waits for the frame that is being decoded.

    Raises:
        SourceError: the file cannot be read, holds no video, or gives no frame.
    """

    def __init__(self, uri: str | os.PathLike[str]) -> None:
        path = local_path(uri)
        self.notes: list[str] = []
        self._name = str(path)
        self._lock = threading.Lock()
        self._closed = False
        self._container, stream = open_video(path)
        try:
            self._decoder = Decoder(self._container, stream)
            self._uprighter = Uprighter(stream.sample_aspect_ratio)
            self._waiting: deque[tuple[int, bool]] = deque()  # pts and corrupt of images to come
            self._given = self._lost = 0
            self._decoded = self._decode()
            self._frames = self._make_frames()
            self._first = next(self._frames, None)
            if self._first is None and self._lost:
                raise SourceError(
                    f"{self._name} holds frames that FFmpeg cannot convert to RGB (pixel format "
                    f"{stream.codec_context.pix_fmt}, color space "
                    f"{int(stream.codec_context.colorspace)} of H.273); convert it to BT.709."
                )
            if self._first is None:
                raise SourceError(
                    f"{self._name} opens as a video, but not one frame of it can be decoded; "
                    "copy or record it again."
                )
            height, width, _ = self._first.image.shape
            self.info = StreamInfo(
                uri=self._name,
                codec=stream.codec_context.name,
                pixel_format=stream.codec_context.pix_fmt or "",
                width=width,
                height=height,
                frame_rate=self._decoder.frame_rate,
                duration=self._decoder.duration,
                frames=stream.frames or None,
                rotation_deg=self._uprighter.rotation_deg,
            )
        except BaseException:
            self._container.close()
            raise

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        with self._lock:
            if self._closed:
                raise StopIteration
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
                if self._closed:
                    return
                if self._first is not None:
                    corrupt, self._first = self._first.corrupt, None
                elif self._waiting:
                    corrupt = self._waiting.popleft()[1]
                else:
                    decoded = next(self._decoded, None)
                    if decoded is None:
                        return
                    corrupt = decoded[2]
            yield corrupt

    def close(self) -> None:
        """Let go of the file; may be called twice, and before the end."""
        self._closed = True  # before the lock, which a busy reader would hardly ever let go
        with self._lock:
            self._first = None
            self._waiting.clear()
            self._frames.close()
            self._decoded.close()
            self._container.close()

    def _decode(self) -> Generator[tuple[av.VideoFrame, int, bool], None, None]:
        yield from self._decoder.frames()
        self.notes += [f"{self._name} {sentence}" for sentence in self._decoder.damage()]
        if self._lost:
            self.notes.append(
                f"{self._name} has {self._lost} frames that cannot be converted to RGB; "
                "they are left out."
            )
        if self._uprighter.resized:
            self.notes.append(
                f"{self._name} changes its picture size: {self._uprighter.resized} frames were "
                f"scaled to {self.info.width}x{self.info.height}."
            )

    def _make_frames(self) -> Generator[Frame, None, None]:
        for picture, pts, corrupt in self._decoded:
            # Deinterlacing gives an image late, but as many as it takes.
            self._waiting.append((pts, corrupt))
            for image in self._made(self._uprighter.take(picture)):
                yield self._frame(image)
        for image in self._made(self._uprighter.rest()):
            if self._waiting:
                yield self._frame(image)

    def _made(self, images: Iterator[Image]) -> list[Image]:
        """The images that can be made; if one can't, what still waits for another is lost."""
        made: list[Image] = []
        try:
            for image in images:
                made.append(image)  # those before an error count
        except av.error.FFmpegError:  # a pixel format that swscale or a filter can't take
            self._uprighter.forget()
            while len(self._waiting) > len(made):
                self._waiting.pop()
                self._lost += 1
        return made

    def _frame(self, image: Image) -> Frame:
        pts, corrupt = self._waiting.popleft()
        self._given += 1
        return Frame(image, self._given - 1, pts, self._decoder.time_base, corrupt=corrupt)
