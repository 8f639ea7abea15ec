"""Exchange: what the thread that reads a live stream shares with the one that takes its frames."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, replace

from streamdeid.frame import Frame, StreamInfo
from streamdeid.sources.clock import StreamClock
from streamdeid.sources.health import Health, WhenBehind

MOST_WAITING = 60
"""Frames that may wait: 2 s at 30 a second."""

MOST_BYTES = 128 * 2**20
"""Of pictures that may wait: 20 of 1920x1080."""

RATE_FRAMES = 100
STALE_S = 2.0
"""Without a frame for so long, the rate is 0."""


@dataclass(frozen=True, slots=True, eq=False)
class LiveFrame:
    """A frame on the clock of arrival, and when it was sent by the sender's clock, if it tells.

    Attributes:
        frame: `pts` in microseconds since 1970.
        sent_us: microseconds since 1970; None before the first sender report of a connection.
    """

    frame: Frame
    sent_us: int | None


class Gaps:
    """Remembers interruptions until a frame from after them is given, whatever is dropped."""

    def __init__(self) -> None:
        self._first: deque[int] = deque()  # indices of the first frames after an interruption

    def learn(self, frame: Frame) -> None:
        """Take notice of a frame that may be the first after an interruption."""
        if frame.after_gap:
            self._first.append(frame.index)

    def mark(self, frame: Frame) -> Frame:
        """The frame to be given, with its `after_gap` true if it is the first since one."""
        gap = False
        while self._first and self._first[0] <= frame.index:
            self._first.popleft()
            gap = True
        return frame if gap == frame.after_gap else replace(frame, after_gap=gap)


def room_for(bytes_each: int) -> int:
    """How many frames may wait."""
    return max(min(MOST_WAITING, MOST_BYTES // max(bytes_each, 1)), 2)


class Exchange:
    """Frames on their way from the reading thread, and the counts of all of them.

    Attributes:
        when_behind: the policy when there is no more room.
        clock: of the current connection.
        notes: sentences for the report.
        stopped: set when no more frames are wanted.
        gave_up: no frame came for so long that the stream was given up.
        trouble: why the last connection failed or ended; None: none did yet.
    """

    def __init__(self, when_behind: WhenBehind) -> None:
        self.when_behind = when_behind
        self.clock: StreamClock | None = None
        self.notes: list[str] = []
        self.gave_up = False
        self.trouble: str | None = None
        self.stopped = threading.Event()
        self._changed = threading.Condition()
        self._listener: threading.Event | None = None
        self._waiting: deque[LiveFrame] = deque()
        self._gaps = Gaps()
        self._info: StreamInfo | None = None
        self._most = MOST_WAITING
        self._seen = self._used = self._reconnects = 0
        self._skipped: Counter[str] = Counter()
        self._times: deque[float] = deque(maxlen=RATE_FRAMES)
        self._connected = False
        self._finished = False
        self._error: BaseException | None = None

    # The reading thread calls these.

    def connected(self, connected: bool) -> None:
        """Say whether there is a connection; the first frame of each is told by `arrived`."""
        with self._changed:
            self._connected = connected

    def reconnected(self) -> None:
        """Count a connection after the first that gave a frame."""
        with self._changed:
            self._reconnects += 1

    def introduce(self, info: StreamInfo) -> None:
        """Tell what the stream is; once, before the first frame."""
        with self._changed:
            self._info = info
            self._most = room_for(info.width * info.height * 3)
            self._changed.notify_all()

    def saw(self) -> int:
        """Count a decoded frame, and give its index; `put` or `skip` must follow."""
        with self._changed:
            self._seen += 1
            self._times.append(time.monotonic())
            return self._seen - 1

    def skip(self, reason: str, count: int = 1) -> None:
        """Give up frames that were seen and not put."""
        with self._changed:
            self._skipped[reason] += count

    def put(self, frame: LiveFrame) -> None:
        """Let a frame wait; if there is no room, do as the policy says."""
        with self._changed:
            self._gaps.learn(frame.frame)
            if self.when_behind == "wait":
                self._changed.wait_for(
                    lambda: self.stopped.is_set() or len(self._waiting) < self._most
                )
            if self.stopped.is_set():
                self._skipped["ended"] += 1
                return
            if len(self._waiting) >= self._most:
                self._skipped["behind"] += 1
                if self.when_behind == "drop-newest":
                    return
                self._waiting.popleft()
            self._waiting.append(frame)
            self._tell()

    def finish(self, error: BaseException | None) -> None:
        """Say that no more frames will come, and why if it is an error."""
        with self._changed:
            self._connected = False
            self._finished = True
            self._error = error
            # Frames that an error overtook on their way.
            lost = self._seen - self._used - self._skipped.total() - len(self._waiting)
            self._skipped["unreadable"] += lost
            self._tell()

    # The taking thread calls these.

    def listen(self, listener: threading.Event) -> None:
        """Set `listener` whenever there is something new."""
        with self._changed:
            self._listener = listener
            listener.set()

    def take(self, timeout_s: float | None) -> LiveFrame | None:
        """The next frame; None if none came in time, or if there are no more.

        Raises:
            SourceError: there never was a frame, and it was given up.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._over(), timeout_s)
            if not self._waiting:
                self._raise_error()
                return None
            live = self._waiting.popleft()
            self._used += 1
            self._changed.notify_all()
            return replace(live, frame=self._gaps.mark(live.frame))

    def info(self, timeout_s: float | None) -> StreamInfo | None:
        """What the stream is, once that is known; None if not in time, or never.

        Raises:
            SourceError: as `take`.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._info is not None or self._over(), timeout_s)
            if self._info is None:
                self._raise_error()
            return self._info

    def ended(self) -> bool:
        """Whether there are no more frames to take."""
        with self._changed:
            return not self._waiting and self._over()

    def stop(self) -> None:
        """Want no more frames; may be called from any thread, and twice."""
        self.stopped.set()
        with self._changed:
            self._skipped["ended"] += len(self._waiting)
            self._waiting.clear()
            self._tell()

    def health(self) -> Health:
        """How the stream is doing."""
        with self._changed:
            now = time.monotonic()
            age = now - self._times[-1] if self._times else None
            span = self._times[-1] - self._times[0] if self._times else 0.0
            fresh = age is not None and age < STALE_S and span > 0
            return Health(
                connected=self._connected,
                seen=self._seen,
                used=self._used,
                skipped=dict(+self._skipped),
                waiting=self._seen - self._used - self._skipped.total(),
                reconnects=self._reconnects,
                last_frame_age_s=age,
                fps_in=(len(self._times) - 1) / span if fresh else 0.0,
            )

    def _over(self) -> bool:
        return self._finished or self.stopped.is_set()

    def _tell(self) -> None:
        self._changed.notify_all()
        if self._listener is not None:
            self._listener.set()

    def _raise_error(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error
