"""Reader: one live stream, read for as long as it gives frames, across interruptions."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

import av
from av.video.stream import VideoStream

from streamdeid.errors import SourceError
from streamdeid.frame import Frame, StreamInfo
from streamdeid.memory import give_back
from streamdeid.sources.clock import MICRO
from streamdeid.sources.connecting import Refused, Transport, connect, kind_of
from streamdeid.sources.decoding import MISSING_SHARE
from streamdeid.sources.exchange import Exchange, LiveFrame
from streamdeid.sources.interrupting import interruptible
from streamdeid.sources.session import CLEAN, Picture, Session
from streamdeid.sources.upright import Uprighter
from streamdeid.sources.uri import redact, redact_url

FIRST_PAUSE_S: Final = 0.25
LONGEST_PAUSE_S: Final = 2.0
"""Between attempts to connect: doubled each time, and shortened by up to a half at random, so that
many clients do not come back at once."""

STEADY_S: Final = 1.0
"""A connection that gave frames for so long lets the pauses begin anew."""

UNDECODABLE: Final = 6
"""Times the read timeout: packets of which no picture can be made for so long end a connection. A
new one gets a new decoder, and a sender that begins anew; a key frame may be 10 s away."""

TICK: Final = Fraction(1, MICRO)


@dataclass(frozen=True, slots=True)
class Terms:
    """How a stream is read.

    Attributes:
        uri: with the password, so it is never shown, not even by `repr`.
        transport: of RTSP.
        open_timeout_s, read_timeout_s: for a connection, and for the next packet.
        give_up_after_s: without a frame; None: never.
    """

    uri: str = field(repr=False)
    transport: Transport
    open_timeout_s: float
    read_timeout_s: float
    give_up_after_s: float | None


class Reader:
    """Reads a stream into an `Exchange`; `run` is what its thread does.

    A clean end of the data is an interruption like any other, unless it is that of a pipe, or of
    a recording that is served over HTTP and so has a length: those are read to their end, and
    reading waits for whoever takes the frames. A pipe that is silent is waited for until it is
    given up, since there is no second connection to it.
    """

    def __init__(self, terms: Terms, exchange: Exchange) -> None:
        self._terms = terms
        self._exchange = exchange
        self._name = redact_url(terms.uri)
        self._kind = kind_of(terms.uri)
        self._ends = self._kind == "pipe"
        self._cut = False  # what ends did so before its end
        self._uprighter: Uprighter | None = None
        self._frame_at: float | None = None  # of the last frame
        self._given_us = -(2**63)  # arrival of the last frame that was put
        self._step_us = self._shift_us = 0  # distance of the last two frames; added to arrival
        self._stretch = (0, 0)  # connection, restart of time stamps, of the last frame
        self._gap = False  # the next frame that is put is the first after one
        self._connections = self._interruptions = 0
        self._silent_s = 0.0

    def run(self) -> None:
        """Read until the stream ends, is given up, or is no longer wanted."""
        error: BaseException | None = None
        try:
            with interruptible(self._exchange.stopped):
                error = self._read_on()
        except av.error.FFmpegError as problem:  # whose text may hold the URL with its password
            error = SourceError(f"{self._name} cannot be read: {redact(problem.strerror or '')}.")
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
            self._exchange.trouble = why
            if self._ends:
                return self._end(why)
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

    def _end(self, why: str) -> SourceError | None:
        if self._frame_at is None:
            return SourceError(why)
        if self._cut:
            self._exchange.notes.append(f"{why} The rest is missing.")
        return None

    def _give_up(self, why: str) -> SourceError | None:
        self._exchange.gave_up = True
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
        pipe = self._kind == "pipe"
        read_timeout_s = left_s if pipe else self._terms.read_timeout_s
        container, stream = connect(
            self._terms.uri,
            transport=self._terms.transport,
            open_timeout_s=max(min(self._terms.open_timeout_s, left_s), 0.1),
            read_timeout_s=read_timeout_s,
            stopped=self._exchange.stopped,
        )
        # Whoever closes while a read goes on makes FFmpeg crash, so this thread alone does.
        try:
            self._exchange.connected(True)
            self._connections += 1
            length_us = container.duration or 0  # FFmpeg counts it in microseconds
            if self._kind in ("http", "https") and length_us > 0 and self._frame_at is None:
                self._ends = True
                self._exchange.when_behind = "wait"
            if self._uprighter is None:
                self._uprighter = Uprighter(stream.sample_aspect_ratio)
            self._uprighter.forget()
            session = Session(
                container,
                stream,
                self._uprighter,
                self._exchange,
                read_timeout_s,
                min(UNDECODABLE * read_timeout_s, left_s),
                paced=not self._ends,
            )
            self._exchange.clock = session.clock
            first_us: int | None = None
            for picture in session.pictures():
                if self._frame_at is None:
                    self._introduce(picture, stream, length_us if self._ends else 0)
                first_us = picture.pts_us if first_us is None else first_us
                self._put(picture, session)
            covered_us = 0 if first_us is None else picture.pts_us - first_us
            self._cut = session.end != CLEAN or covered_us < (1 - MISSING_SHARE) * length_us - MICRO
            return f"{self._name} {session.end}"
        finally:
            with suppress(av.error.FFmpegError):
                container.close()
            give_back()

    def _put(self, picture: Picture, session: Session) -> None:
        clock = session.clock
        arrival_us = clock.arrival_us(picture.pts_us) + self._shift_us
        now = time.monotonic()
        stretch = self._connections, clock.restarts
        if self._frame_at is not None and stretch != self._stretch:
            self._gap = True
            if stretch[0] != self._stretch[0]:
                self._interruptions += 1
                self._silent_s += now - self._frame_at
                self._exchange.reconnected()
        self._frame_at, self._stretch = now, stretch
        if self._gap and self._ends and arrival_us <= self._given_us:
            # Read faster than it was recorded: time goes on where the recording before ended.
            shift_us = self._given_us + self._step_us - arrival_us
            self._shift_us, arrival_us = self._shift_us + shift_us, arrival_us + shift_us
        if arrival_us <= self._given_us:
            self._exchange.skip("untimed")
            return
        self._step_us, self._given_us = arrival_us - self._given_us, arrival_us
        frame = Frame(picture.image, picture.index, arrival_us, TICK, self._gap, picture.corrupt)
        self._gap = False
        self._exchange.put(LiveFrame(frame, clock.sent_us(picture.pts_us)))
        self._frame_at = time.monotonic()  # whoever takes frames may have let it wait

    def _introduce(self, picture: Picture, stream: VideoStream, length_us: int) -> None:
        height, width, _ = picture.image.shape
        self._exchange.introduce(
            StreamInfo(
                uri=self._name,
                codec=stream.codec_context.name,
                pixel_format=stream.codec_context.pix_fmt or "",
                width=width,
                height=height,
                frame_rate=stream.average_rate or stream.guessed_rate or None,
                duration=Fraction(length_us, MICRO) or None,
                rotation_deg=self._uprighter.rotation_deg if self._uprighter else 0,
                live=length_us <= 0,
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
