"""Reader: one live stream, read for as long as it gives frames, across interruptions."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from streamdeid.errors import SourceError
from streamdeid.frame import Frame, StreamInfo
from streamdeid.sources.clock import MICRO
from streamdeid.sources.connecting import Refused, Transport, connect, kind_of
from streamdeid.sources.exchange import Exchange, LiveFrame
from streamdeid.sources.session import Picture, Session
from streamdeid.sources.upright import Uprighter
from streamdeid.sources.uri import redact

FIRST_PAUSE_S: Final = 0.25
LONGEST_PAUSE_S: Final = 2.0
"""Between attempts to connect: doubled each time, and shortened by up to a half at random, so that
many clients do not come back at once."""

STEADY_S: Final = 1.0
"""A connection that gave frames for so long lets the pauses begin anew."""

TICK: Final = Fraction(1, MICRO)


@dataclass(frozen=True, slots=True)
class Terms:
    """How a stream is read.

    Attributes:
        uri: with the password, so it is never shown.
        transport: of RTSP.
        open_timeout_s, read_timeout_s: for a connection, and for the next packet.
        give_up_after_s: without a frame; None: never.
    """

    uri: str
    transport: Transport
    open_timeout_s: float
    read_timeout_s: float
    give_up_after_s: float | None


class Reader:
    """Reads a stream into an `Exchange`; `run` is what its thread does.

    A clean end of the data is an interruption like any other, unless it is that of a pipe, or of
    a recording that is served over HTTP and so has a length: those are read to their end, and
    reading waits for whoever takes the frames.
    """

    def __init__(self, terms: Terms, exchange: Exchange) -> None:
        self._terms = terms
        self._exchange = exchange
        self._name = redact(terms.uri)
        self._ends = kind_of(terms.uri) == "pipe"
        self._uprighter: Uprighter | None = None
        self._frame_at: float | None = None  # of the last frame
        self._given_us = -(2**63)  # arrival of the last frame that was put
        self._stretch: tuple[int, int] | None = None  # connection, restart of the last frame
        self._connections = self._interruptions = 0
        self._silent_s = 0.0

    def run(self) -> None:
        """Read until the stream ends, is given up, or is no longer wanted."""
        error: BaseException | None = None
        try:
            error = self._read_on()
        except BaseException as problem:  # noqa: BLE001  it is raised where frames are taken
            error = problem
        self._tell()
        self._exchange.finish(error)

    def _read_on(self) -> SourceError | None:
        """Connect and read, again and again; gives why there was never a frame."""
        began = time.monotonic()
        pause_s = FIRST_PAUSE_S
        while not self._exchange.stopped.is_set():
            opened = time.monotonic()
            try:
                why = self._read_once(self._left_s(began))
            except SourceError as error:
                if isinstance(error, Refused) and self._frame_at is None:
                    return error
                why = str(error)
            self._exchange.connected(False)
            if self._exchange.stopped.is_set():
                break
            if self._ends:
                return None if self._frame_at else SourceError(why)
            left_s = self._left_s(began)
            if left_s <= 0:
                return self._give_up(why)
            if self._frame_at is not None and self._frame_at - opened > STEADY_S:
                pause_s = FIRST_PAUSE_S
            self._exchange.stopped.wait(min(pause_s * random.uniform(0.5, 1), left_s))  # noqa: S311
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        return None

    def _left_s(self, began: float) -> float:
        """Until the stream is given up."""
        patience = self._terms.give_up_after_s
        if patience is None:
            return float("inf")
        return (self._frame_at or began) + patience - time.monotonic()

    def _give_up(self, why: str) -> SourceError | None:
        waited = f"{self._terms.give_up_after_s:g} s"
        if self._frame_at is None:
            return SourceError(f"{why} It was given up after {waited}.")
        self._exchange.notes.append(f"{why} It gave no frame for {waited} and was given up.")
        return None

    def _read_once(self, left_s: float) -> str:
        """Read one connection to its end; gives why it ended.

        Raises:
            SourceError: there was no connection.
        """
        container, stream = connect(
            self._terms.uri,
            transport=self._terms.transport,
            open_timeout_s=max(min(self._terms.open_timeout_s, left_s), 0.1),
            read_timeout_s=self._terms.read_timeout_s,
        )
        # Whoever closes while a read goes on makes FFmpeg crash, so this thread alone does.
        try:
            self._exchange.connected(True)
            self._connections += 1
            if container.duration and container.duration > 0 and self._frame_at is None:
                self._ends = True
                self._exchange.when_behind = "wait"
            if self._uprighter is None:
                self._uprighter = Uprighter(stream.sample_aspect_ratio)
            self._uprighter.forget()
            session = Session(
                container, stream, self._uprighter, self._exchange, self._terms.read_timeout_s
            )
            self._exchange.clock = session.clock
            for picture in session.pictures():
                if self._frame_at is None:
                    self._introduce(picture, container, stream)
                self._put(picture, session)
            return f"{self._name} {session.end}"
        finally:
            with suppress(av.error.FFmpegError):
                container.close()

    def _put(self, picture: Picture, session: Session) -> None:
        clock = session.clock
        arrival_us = clock.arrival_us(picture.pts_us)
        now = time.monotonic()
        stretch = self._connections, clock.restarts
        gap = self._stretch is not None and stretch != self._stretch
        if gap and self._frame_at is not None:
            self._interruptions += 1
            self._silent_s += now - self._frame_at
            self._exchange.reconnected()
        self._frame_at, self._stretch = now, stretch
        if arrival_us <= self._given_us:
            self._exchange.skip("untimed")
            return
        self._given_us = arrival_us
        frame = Frame(picture.image, picture.index, arrival_us, TICK, gap, picture.corrupt)
        self._exchange.put(LiveFrame(frame, clock.sent_us(picture.pts_us)))

    def _introduce(self, picture: Picture, container: InputContainer, stream: VideoStream) -> None:
        height, width, _ = picture.image.shape
        length = container.duration if self._ends and container.duration else 0
        self._exchange.introduce(
            StreamInfo(
                uri=self._name,
                codec=stream.codec_context.name,
                pixel_format=stream.codec_context.pix_fmt or "",
                width=width,
                height=height,
                frame_rate=stream.average_rate or stream.guessed_rate or None,
                duration=Fraction(length, av.time_base) or None,
                rotation_deg=self._uprighter.rotation_deg if self._uprighter else 0,
                live=length <= 0,
            )
        )

    def _tell(self) -> None:
        """Leave the notes that only the end can write."""
        if self._interruptions:
            self._exchange.notes.append(
                f"{self._name} was interrupted {self._interruptions} times, "
                f"for {self._silent_s:.1f} s in all."
            )
        if self._uprighter is not None and self._uprighter.resized:
            self._exchange.notes.append(
                f"{self._name} changed its picture size: {self._uprighter.resized} frames were "
                "scaled to that of the first."
            )
