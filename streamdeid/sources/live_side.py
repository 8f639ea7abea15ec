"""LiveSide: the frames of a live stream that look for a partner."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import replace
from fractions import Fraction
from typing import Literal, TypeAlias

from streamdeid.frame import Frame
from streamdeid.sources.clock import MICRO
from streamdeid.sources.exchange import Gaps, LiveFrame
from streamdeid.sources.live import LiveSource
from streamdeid.sources.pairing import Side

ClockKind: TypeAlias = Literal["sender", "arrival", "first frame"]
"""What the times of two sides are counted by: the senders' clocks, when frames arrived here, or
each side's own first frame."""

MOST_HELD_BYTES = 512 * 2**20
"""Of one side's pictures that look for a partner: 2.7 s of 1920x1080 at 30 a second."""

MOST_EARLY_BYTES = 128 * 2**20
"""Of one side's pictures before the clock is chosen; those that go then are not missed."""

STEP_BACK = Fraction(1)
"""Seconds; a sender's clock that goes back by more was set, and is followed."""


class LiveSide(Side):
    """A live stream: the frames that look for a partner, on the clock that was chosen.

    Attributes:
        early: frames from before the choice.
        delay_us: the sender's time minus that of arrival, as last told; None before a report.
        start_us: where on the chosen clock time begins.
        shift_us: chosen clock minus arrival, when it was last known.
        skipped: frames by reason.
        gaps: interruptions that no given frame has told yet.
    """

    def __init__(self, source: LiveSource, offset: Fraction, hold: Fraction) -> None:
        super().__init__(source, offset)
        self.source: LiveSource = source
        self.early: deque[LiveFrame] = deque()
        self.delay_us: int | None = None
        self.start_us = self.shift_us = 0
        # All reasons from the start: a dictionary that grows cannot be read meanwhile.
        self.skipped = Counter({"unaligned": 0, "unpaired": 0, "late": 0, "ended": 0})
        self.gaps = Gaps()
        self._kind: ClockKind | None = None
        self._hold = hold
        self._given_up: Fraction | None = None  # newest frame that waited for long enough

    def receive(self, wait: bool) -> bool:
        """Take a frame, if one has come; if it may `wait`, only if there is room for it."""
        live = None if wait and self._full() else self.source.take(0)
        if live is None:
            return False
        self.count(live.frame.corrupt)
        self.gaps.learn(live.frame)
        if live.sent_us is not None:
            self.delay_us = live.sent_us - live.frame.pts
        if self._kind is None:
            self.early.append(live)
            while self._too_many(live.frame, self.early[0].frame):
                self.early.popleft()
                self.skipped["unaligned"] += 1
        else:
            self._hold_frame(live)
        return True

    def align(self, kind: ClockKind, start_us: int | None) -> None:
        """Count time by a clock from here on; None: from the first frame."""
        self._kind = kind
        self._begin_anew()
        if start_us is not None:
            self.start_us, self.start = start_us, Fraction(start_us, MICRO)
        while self.early:
            self._hold_frame(self.early.popleft())

    def shift(self, offset: Fraction, hold: Fraction) -> None:
        """Move this side on the common axis, and hold its frames for so long from now on."""
        self._offset, self._hold = offset, hold
        self._begin_anew()

    def moment_us(self, live: LiveFrame, kind: ClockKind) -> int:
        """When a frame was, by a clock."""
        if kind != "sender":
            return live.frame.pts
        return live.sent_us if live.sent_us is not None else live.frame.pts + (self.delay_us or 0)

    def drop(self, reason: str = "unpaired") -> None:
        """Drop the frame that has looked for a partner for longest."""
        super().drop()
        self.skipped[reason] += 1

    def gave_up(self, moment: Fraction) -> bool:
        """Whether a partner from then would have been dropped already, having waited in vain."""
        return self._given_up is not None and moment <= self._given_up

    def _full(self) -> bool:
        """Whether another frame, as far from the newest as they usually are, would be too many."""
        frames = [live.frame for live in self.early] or [frame for _, frame in self.held]
        if not frames:
            return False
        return self._are_too_many(len(frames) + 1, frames[-1], frames[0], self.distance())

    def _too_many(self, newest: Frame, oldest: Frame) -> bool:
        count = len(self.early) + len(self.held)
        return self._are_too_many(count, newest, oldest, Fraction(0))

    def _are_too_many(self, count: int, newest: Frame, oldest: Frame, later: Fraction) -> bool:
        """Whether so many cannot be held, if the last of them is `later` than `newest`.

        Two are never too many: a partner is chosen when the frame after it is known, too, however
        few there are a second.
        """
        most = MOST_EARLY_BYTES if self._kind is None else MOST_HELD_BYTES
        span = newest.time + later - oldest.time
        return count > 2 and (span > self._hold or count * newest.image.nbytes > most)

    def _begin_anew(self) -> None:
        """Forget frames on another clock, which nothing can be compared with any more."""
        while self.held:
            self.drop()
        self._newest = self._given_up = None

    def _hold_frame(self, live: LiveFrame) -> None:
        pts = self.moment_us(live, self._kind or "arrival")
        self.shift_us = pts - live.frame.pts
        if self._kind == "first frame" and self.start_us == 0:
            self.start_us, self.start = pts, Fraction(pts, MICRO)
        frame = replace(live.frame, pts=pts, start=self.start)
        moment = frame.elapsed - self._offset
        if self._newest is not None and moment <= self._newest:
            if moment > self._newest - STEP_BACK:
                self.skipped["late"] += 1
                return
            self._begin_anew()
        self._remember(moment)
        self.held.append((moment, frame))
        while self._too_many(frame, self.held[0][1]):
            self._given_up = self.held[0][0]
            self.drop()
