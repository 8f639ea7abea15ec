"""StreamClock: when a live frame was sent and when it arrived, on clocks that two streams share."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import sqrt
from statistics import median_low

MICRO = 1_000_000

PANE_US = MICRO
PANES = 15
"""An offset comes from the last 15 s, one value a second: three sender reports at their usual 5 s
distance, so that one wrong report is outvoted."""

FALL = 10
RISE = 1000
"""Arrival time is moved by a tenth of the time passed at most when a shorter delay shows that it
was late, and by a thousandth when delays grow: a camera's clock drifts by far less, and a network
that is slow for a minute moves no picture."""

QUIET = 3
QUIET_US = 300_000
"""Packets in a row, and for how long, that lower the smallest delay no more: what was saved up has
been read. Three packets alone, where some are lost, left the first second a frame late in one
connection of 25."""

LONGEST_SETTLING_US = MICRO

RESTART_US = MICRO
LEAP_US = 3 * MICRO
"""Time stamps that go back by more than 1 s, or ahead by 3 s more than the clock, begin anew."""

FORGETTING = 1 / 256
"""Weight of the newest deviation in the mean of their squares."""

SHORTEST_DRIFT_US = 10 * MICRO

_ANCHOR_US = time.time_ns() // 1000 - time.monotonic_ns() // 1000


def now_us() -> int:
    """Microseconds since 1970 by a clock that runs on evenly, whoever sets the machine's time."""
    return _ANCHOR_US + time.monotonic_ns() // 1000


@dataclass(frozen=True, slots=True)
class Fit:
    """How well a stream's time stamps lie on a clock.

    Attributes:
        residual_s: root of the mean squared deviation of what was measured, lately: for arrival
            that is the jitter of the network, for sender reports their own inaccuracy.
        drift_ppm: how much faster than the stream's time stamps the clock runs, in millionths,
            since the connection began; None before 10 s.
    """

    residual_s: float
    drift_ppm: float | None


class Line:
    """The offset between a stream's time stamps and a clock, from samples with errors.

    Attributes:
        offset_us: clock minus time stamp; None before the first sample.
    """

    def __init__(self, typical: Callable[[Iterable[int]], int]) -> None:
        """`typical`: min where errors are delays, median where they may be anything."""
        self.offset_us: int | None = None
        self._typical = typical
        self._panes: deque[tuple[int, int]] = deque(maxlen=PANES)
        self._square = 0.0
        self._first: tuple[int, int] | None = None  # time stamp, offset
        self._last_us = 0

    def add(self, pts_us: int, clock_us: int) -> None:
        """Learn that `pts_us` was at `clock_us`, or so."""
        value, pane = clock_us - pts_us, pts_us // PANE_US
        if self._panes and pane <= self._panes[-1][0]:
            pane, other = self._panes.pop()
            self._panes.append((pane, self._typical((other, value))))
        else:
            self._panes.append((pane, value))
        self.offset_us = self._typical(offset for _, offset in self._panes)
        self._square += ((value - self.offset_us) ** 2 - self._square) * FORGETTING
        self._last_us = pts_us

    def begin(self) -> None:
        """Count drift from here."""
        if self.offset_us is not None:
            self._first = self._last_us, self.offset_us

    def fit(self) -> Fit:
        """How well the samples lie on the line."""
        drift = None
        if self._first is not None and self.offset_us is not None:
            since, offset = self._first
            if self._last_us - since >= SHORTEST_DRIFT_US:
                drift = (self.offset_us - offset) / (self._last_us - since) * MICRO
        return Fit(sqrt(self._square) / MICRO, drift)


class Delay:
    """When frames arrived, without the jitter of the network.

    The smallest delay of late is taken for the delay of every frame, so that jitter does not move
    frames against each other; only its changes are followed, slowly. Frames that were saved up
    before reading began arrive all at once, so frames that come before the delay has `settled`
    are best mapped when it has.
    """

    def __init__(self) -> None:
        self.settled = False
        self.line = Line(min)
        self._newest_us: int | None = None
        self._first_us: int | None = None  # arrival of the first packet
        self._quiet = 0
        self._lowered_us: int | None = None  # arrival of the last packet that lowered the delay
        self._used: tuple[int, int] | None = None  # time stamp of the frame before, its offset

    def observe(self, pts_us: int, arrival_us: int) -> None:
        """Learn when a packet arrived."""
        before = self.line.offset_us
        self.line.add(pts_us, arrival_us)
        if not self.settled:
            step = 0 if self._newest_us is None else max(pts_us - self._newest_us, 0)
            lower = before is None or before - (self.line.offset_us or 0) > step // 4
            self._quiet = 0 if lower else self._quiet + 1
            if lower or self._lowered_us is None:
                self._lowered_us = arrival_us
            self._first_us = self._first_us or arrival_us
            self._newest_us = max(self._newest_us or pts_us, pts_us)
            quiet = self._quiet >= QUIET and arrival_us - self._lowered_us >= QUIET_US
            if quiet or arrival_us - self._first_us > LONGEST_SETTLING_US:
                self.settle()

    def settle(self) -> None:
        """Believe the smallest delay so far."""
        self.settled = True
        self.line.begin()

    def at(self, pts_us: int) -> int:
        """When a frame arrived; frames come in order of presentation.

        Between two of them time moves on by nine tenths of their distance at least.
        """
        target = self.line.offset_us or 0
        before, offset = self._used or (pts_us, target)
        if pts_us >= before:
            step = pts_us - before
            offset += min(max(target - offset, -step // FALL), step // RISE)
            self._used = pts_us, offset
        return pts_us + offset


class StreamClock:
    """Maps the time stamps of one connection to two clocks, in microseconds since 1970.

    The sender's clock, as RTCP sender reports tell it, is exact to about a millisecond from the
    first report on, whatever the network does, and as good as that machine's clock is. Arrival at
    this machine is there for every stream, and as good as the network is even; see `Delay`.

    Attributes:
        restarts: how often the time stamps began anew within the connection.
    """

    def __init__(self, follow: bool = True) -> None:
        """`follow`: False if arrival tells nothing once settled, since reading is held up."""
        self.restarts = 0
        self._follow = follow
        self._sender, self._delay = Line(median_low), Delay()
        self._newest_us: int | None = None
        self._heard = False

    @property
    def settled(self) -> bool:
        """Whether enough is known to map frames."""
        return self._delay.settled

    def observe(self, pts_us: int, arrival_us: int, sent_us: int | None) -> None:
        """Learn from a packet; `sent_us` as reports tell, None before the first."""
        if self.begins_anew(pts_us, arrival_us):
            self.restarts += 1
            self._sender, self._delay = Line(median_low), Delay()
            self._newest_us, self._heard = None, False
        self._newest_us = pts_us if self._newest_us is None else max(self._newest_us, pts_us)
        if self._follow or not self.settled:
            self._delay.observe(pts_us, arrival_us)
        if sent_us is not None and self._heard:
            first = self._sender.offset_us is None
            self._sender.add(pts_us, sent_us)
            if first:
                self._sender.begin()
        # FFmpeg puts the first report's time to the frame before the one that it is of.
        self._heard |= sent_us is not None

    def begins_anew(self, pts_us: int, arrival_us: int) -> bool:
        """Whether a packet's time stamp cannot follow those before it."""
        if self._newest_us is None:
            return False
        if pts_us < self._newest_us - RESTART_US:
            return True
        offset = self._delay.line.offset_us
        early = offset is not None and arrival_us - pts_us < offset - LEAP_US
        return early and self._follow and self.settled

    def settle(self) -> None:
        """Map frames by what is known."""
        self._delay.settle()

    def arrival_us(self, pts_us: int) -> int:
        """When a frame arrived, without jitter; frames come in order of presentation."""
        return self._delay.at(pts_us)

    def sent_us(self, pts_us: int) -> int | None:
        """When a frame was sent by the sender's clock; None before the first report."""
        offset = self._sender.offset_us
        return None if offset is None else pts_us + offset

    def fit(self, sender: bool) -> Fit | None:
        """How well the time stamps lie on one of the two clocks; None if it is not known."""
        line = self._sender if sender else self._delay.line
        return None if line.offset_us is None else line.fit()
