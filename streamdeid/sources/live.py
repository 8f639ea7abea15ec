"""LiveSource: frames from a camera, a stream or a pipe, while they come."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator

from streamdeid.closing import Closing
from streamdeid.errors import SourceError
from streamdeid.frame import Frame, StreamInfo
from streamdeid.sources.clock import Fit
from streamdeid.sources.connecting import Transport, is_live, kind_of
from streamdeid.sources.exchange import Exchange, LiveFrame
from streamdeid.sources.health import Health, WhenBehind
from streamdeid.sources.reading import Reader, Terms
from streamdeid.sources.uri import redact_url

LONGEST_CLOSE_S = 1.0
"""How long closing waits for the reading thread before it leaves it to end by itself."""


class LiveSource(Closing):
    """The frames of a live stream, in order of presentation, upright and with square pixels.

    A thread of its own connects, decodes and closes, from the moment this object is made, and
    never waits for whoever takes the frames (unless told to): servers drop sessions that are not
    read. Frames wait in a bounded queue; what has no room is dropped and counted. An interruption
    is not an error: the stream is opened again, after pauses that grow to 2 s, and the first
    frame that is given after it says `after_gap`. Pictures of another size are then scaled to the
    first's.

    Frames carry the time of their arrival, freed from the network's jitter, in microseconds since
    1970, so that it goes on across interruptions; `take` also gives the sender's time.

    Nothing that FFmpeg does can keep a program from ending: every connection and every read has a
    timeout, and ends within 0.1 s when the source is closed, forgotten, or the program ends.
    Whoever takes frames waits for the queue and never for FFmpeg, closing waits 1 s at most, and
    the thread is a daemon, so that even a name server that does not answer, the one thing without
    a timeout, is left behind when the program ends.

    A recording served over HTTP has a length; it ends where it ends, is never dropped from, and
    `info.live` is False. HLS that is live comes a segment at a time, all frames at once, so
    `read_timeout_s` must be longer than a segment, and times are those of the segments.
    """

    def __init__(
        self,
        uri: str,
        *,
        transport: Transport = "tcp",
        open_timeout_s: float = 5.0,
        read_timeout_s: float = 5.0,
        give_up_after_s: float | None = 60.0,
        when_behind: WhenBehind | None = None,
    ) -> None:
        """Start reading.

        Args:
            uri: of RTSP, HTTP, RTMP, UDP, TCP; "-" or "pipe:0"; a device as "v4l2:/dev/video0".
            transport: what RTSP sends pictures by.
            open_timeout_s: for one attempt to connect.
            read_timeout_s: without data, until the connection is taken for dead.
            give_up_after_s: without a frame, until iteration ends; None: never.
            when_behind: when frames come faster than they are taken: drop the oldest or the
                newest of those that wait, or let the sender wait; None: drop the oldest, but
                let a pipe wait.

        Raises:
            SourceError: it is no URL of a live stream.
        """
        if not is_live(uri):
            raise SourceError(
                f"{redact_url(uri)} is no stream that can be read live; give an rtsp, http, rtmp, "
                'udp or tcp URL, a device such as v4l2:/dev/video0, or "-" for standard input.'
            )
        self._kind = kind_of(uri)
        default: WhenBehind = "wait" if self._kind == "pipe" else "drop-oldest"
        self._exchange = Exchange(when_behind or default)
        terms = Terms(uri, transport, open_timeout_s, read_timeout_s, give_up_after_s)
        self._thread = threading.Thread(
            target=Reader(terms, self._exchange).run, name="live-reader", daemon=True
        )
        # The thread does not know this object, so that forgetting it ends the thread.
        self._end = weakref.finalize(self, _end, self._exchange, self._thread)
        self._thread.start()

    @property
    def info(self) -> StreamInfo:
        """What the stream is; waits for its first frame.

        Raises:
            SourceError: there was none, and it was given up.
        """
        info = self._exchange.info(None)
        if info is None:
            raise SourceError("The stream was closed before its first frame came.")
        return info

    @property
    def notes(self) -> list[str]:
        """Sentences about what was wrong but survivable; complete once iteration has ended."""
        return self._exchange.notes

    @property
    def may_report(self) -> bool:
        """Whether the sender may yet tell its clock: RTSP does, after some seconds."""
        return self._kind in ("rtsp", "rtsps")

    @property
    def ended(self) -> bool:
        """Whether there will be no more frames."""
        return self._exchange.ended()

    @property
    def gave_up(self) -> bool:
        """Whether it ended because no frame came for `give_up_after_s`."""
        return self._exchange.gave_up

    @property
    def trouble(self) -> str | None:
        """Why the last connection failed or ended, a sentence; None: none did yet."""
        return self._exchange.trouble

    def ready(self, timeout_s: float) -> bool:
        """Whether the first frame has come; waits for it so long.

        Raises:
            SourceError: there was none, and it was given up.
        """
        return self._exchange.info(timeout_s) is not None

    def health(self) -> Health:
        """How the stream is doing; may be asked from any thread."""
        return self._exchange.health()

    def fit(self, sender: bool) -> Fit | None:
        """How well the current connection's time stamps lie on the sender's clock, or arrival's."""
        clock = self._exchange.clock
        return None if clock is None else clock.fit(sender)

    def listen(self, listener: threading.Event) -> None:
        """Have `listener` set whenever a frame comes, and at the end."""
        self._exchange.listen(listener)

    def take(self, timeout_s: float | None) -> LiveFrame | None:
        """The next frame; None if it does not come in time, or has `ended`.

        Raises:
            SourceError: there was never a frame, and it was given up.
        """
        return self._exchange.take(timeout_s)

    def stop(self) -> None:
        """End the iteration, and any wait for a frame; may be called from any thread."""
        self._exchange.stop()

    def close(self) -> None:
        """Stop reading and wait for the connection to close, 1 s at most; may be called twice."""
        self._end()

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        live = self._exchange.take(None)
        if live is None:
            raise StopIteration
        return live.frame

    def skim(self) -> Iterator[bool]:
        """Read on: for each remaining frame, whether it is corrupt; endless while it is live."""
        for frame in self:
            yield frame.corrupt


def _end(exchange: Exchange, thread: threading.Thread) -> None:
    """Stop reading, and wait for the thread, unless it is the thread that forgot its source."""
    exchange.stop()
    if thread is not threading.current_thread():
        thread.join(LONGEST_CLOSE_S)
