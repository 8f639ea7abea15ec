"""Session: one connection to a live stream, decoded into pictures."""

from __future__ import annotations

import struct
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

import av
from av.container import InputContainer
from av.format import Flags
from av.video.stream import VideoStream

from streamdeid.frame import Image
from streamdeid.sources.clock import MICRO, StreamClock, now_us
from streamdeid.sources.decoding import GUESSED_RATE
from streamdeid.sources.exchange import Exchange, room_for
from streamdeid.sources.upright import Uprighter
from streamdeid.sources.uri import redact

CLEAN = "ended the connection."

WAITED_S = 0.005
LONGEST_CATCHING_UP_S = 1.0
"""A packet that had to be waited for so long was not saved up before, nor is one after 1 s."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A decoded frame: its time stamp in microseconds, on no particular clock."""

    image: Image
    index: int
    pts_us: int
    corrupt: bool


class Session:
    """The pictures of one connection, and a clock for their time stamps.

    Formats without time stamps (MJPEG of a camera, raw H.264) get them: the moment of arrival if
    the sender is `paced`, else as many frame distances as there were frames. When those arrived
    that FFmpeg saved up while it opened the stream, nobody knows; they are skipped.

    Attributes:
        clock: learns from every packet, and is settled when a picture is given.
        end: why no more pictures came, as the end of a sentence; complete after the last.
    """

    def __init__(
        self,
        container: InputContainer,
        stream: VideoStream,
        uprighter: Uprighter,
        exchange: Exchange,
        read_timeout_s: float,
        patience_s: float,
        paced: bool,
    ) -> None:
        """Begin with the next packet.

        Args:
            read_timeout_s, patience_s: without a packet, and without a picture, until it ends.
            paced: whether the sender gives frames when they are made, and not when they fit.
        """
        self.clock = StreamClock(follow=exchange.when_behind != "wait")
        self.end = CLEAN
        # Of all streams: PyAV's search for the next packet of one has no end while others come.
        self._packets_of = container.demux()
        self._stream_index = stream.index
        self._tick_us = (stream.time_base or Fraction(1, 90_000)) * MICRO
        self._paced = paced
        # FFmpeg makes up the times of a format that has none, of 25 frames a second.
        self._untimed = bool(container.format.flags & cast("Any", Flags.no_timestamps).value)
        self._step_us = MICRO / (stream.guessed_rate or GUESSED_RATE)
        self._decoded = 0
        self._began = self._picture_at = time.monotonic()
        self._patience_s = patience_s
        self._caught_up = False
        self._uprighter = uprighter
        self._exchange = exchange
        self._read_timeout_s = read_timeout_s
        self._waiting: deque[tuple[int, int, bool]] = deque()  # index, pts, corrupt: image to come

    def pictures(self) -> Iterator[Picture]:
        """Pictures in order of presentation, until the connection ends."""
        held: list[Picture] = []  # until the clock can tell their times
        for packet in self._packets():
            if held and self._begins_anew(packet):
                self.clock.settle()
                yield from held
                held.clear()
            self._learn(packet)
            try:
                decoded = packet.decode()
            except av.error.FFmpegError:
                continue  # as ffmpeg does: go on with the next packet
            for frame in decoded:
                held += self._made(frame)
            if held and not self.clock.settled and len(held) >= room_for(held[0].image.nbytes):
                self.clock.settle()
            if held and self.clock.settled:
                yield from held
                held.clear()
                self._picture_at = time.monotonic()  # whoever takes them may have let us wait
        self.clock.settle()
        yield from held
        self._exchange.skip("unreadable", len(self._waiting))

    def _packets(self) -> Iterator[av.Packet[VideoStream]]:
        try:
            asked = time.monotonic()
            while not self._exchange.stopped.is_set():
                packet = next(self._packets_of, None)
                waited_s = time.monotonic() - asked
                # RTSP gives half a packet after the time is out, and waits as long once more; and
                # sound may go on for long after the pictures have stopped.
                if waited_s >= self._read_timeout_s:
                    self.end = self._silence()
                    return
                if packet is None:
                    return
                if packet.stream_index != self._stream_index:
                    continue
                if asked - self._picture_at >= self._patience_s:
                    self.end = f"sent nothing that can be decoded for {self._patience_s:.0f} s."
                    return
                self._caught_up |= (
                    waited_s > WAITED_S or asked - self._began > LONGEST_CATCHING_UP_S
                )
                yield cast("av.Packet[VideoStream]", packet)
                asked = time.monotonic()
        except (av.error.ExitError, TimeoutError):
            self.end = self._silence()
        # IndexError: PyAV, when a transport stream is so damaged that its streams are renumbered.
        except (av.error.FFmpegError, OSError, IndexError) as error:
            # Not the error's own text: it holds the URL with its password.
            self.end = f"broke off: {redact(getattr(error, 'strerror', None) or 'damaged data')}."

    def _silence(self) -> str:
        return f"sent nothing for {self._read_timeout_s:g} s."

    def _begins_anew(self, packet: av.Packet[VideoStream]) -> bool:
        pts = None if self._untimed else packet.pts
        return pts is not None and self.clock.begins_anew(self._micro(pts), now_us())

    def _learn(self, packet: av.Packet[VideoStream]) -> None:
        if self._untimed or packet.pts is None:
            return
        sent_us = None
        if packet.has_sidedata("prft"):
            report = bytes(cast("Any", packet.get_sidedata("prft")))
            sent_us = struct.unpack_from("<q", report)[0]
        self.clock.observe(self._micro(packet.pts), now_us(), sent_us)

    def _pts_us(self, frame: av.VideoFrame) -> int | None:
        if not self._untimed:
            return None if frame.pts is None else self._micro(frame.pts)
        if self._paced and not self._caught_up:
            return None
        pts_us = now_us() if self._paced else round(self._decoded * self._step_us)
        self._decoded += 1
        self.clock.observe(pts_us, now_us(), None)
        return pts_us

    def _micro(self, pts: int) -> int:
        return int(pts * self._tick_us)

    def _made(self, frame: av.VideoFrame) -> list[Picture]:
        """The pictures that are ready now: deinterlacing gives an image late."""
        index = self._exchange.saw()
        pts_us = self._pts_us(frame)
        if pts_us is None:
            self._exchange.skip("untimed")
            return []
        self._waiting.append((index, pts_us, frame.is_corrupt))
        images: list[Image] = []
        try:
            for image in self._uprighter.take(frame):
                images.append(image)  # those before an error count
        except av.error.FFmpegError:  # a pixel format that swscale or a filter can't take
            self._uprighter.forget()
            self._exchange.skip("unreadable", len(self._waiting) - len(images))
            while len(self._waiting) > len(images):
                self._waiting.pop()
        return [Picture(image, *self._waiting.popleft()) for image in images]
