"""LivePairs: two videos joined by time while at least one of them is being made."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

from streamdeid.errors import PairingError
from streamdeid.frame import Frame, FramePair
from streamdeid.pair import SIDES, Pair
from streamdeid.sources.clock import MICRO, Fit
from streamdeid.sources.exchange import room_for
from streamdeid.sources.health import Health, WhenBehind
from streamdeid.sources.live import LiveSource
from streamdeid.sources.live_side import ClockKind, LiveSide
from streamdeid.sources.offset_probe import OffsetProbe
from streamdeid.sources.pairing import FramePairs, Side
from streamdeid.sources.source import Source

LOOK_AGAIN_S = 0.2


@dataclass(frozen=True, slots=True)
class Alignment:
    """How two videos were aligned, and how well.

    Attributes:
        clock: what times were counted by; None until that is decided.
        fits: how well each side's time stamps lie on that clock; None for a file.
        gap_s: mean distance in time of partners, after the offset; None before the first pair.
    """

    clock: ClockKind | None
    fits: Pair[Fit | None]
    gap_s: float | None


class LivePairs(FramePairs):
    """The frame pairs of two live streams, or of a live one and a file, while they come.

    It is iterated as `FramePairs` is, and finds partners by the same rule; what differs:

    - Two live streams are aligned by a clock that they share: that of their RTCP sender reports
      if both send them, else that of their arrival here. Reports come seconds after the first
      frame, so RTSP streams are waited for `report_wait_s` before arrival is taken; until then
      frames are held, and the oldest dropped as "unaligned". After an interruption the sender's
      time is told from arrival by the delay known from before, until a report says it anew.
      Senders' clocks that are further apart than frames are held are of no use: arrival is taken,
      and a note says so. A live stream and a file are each counted from their own first frame.
    - A frame waits for its partner by `hold_s`, on top of the offset, and memory is bounded
      whatever happens; then it is "unpaired", and its partner, should it yet come, "late".
    - When pairs come faster than they are taken, whole pairs are dropped: "behind".
    - It ends when one of the two has ended for good.

    A pair of two live streams counts its time from the first frame of the original that was
    held when the clock was chosen.
    """

    def __init__(
        self,
        original: Source,
        deidentified: Source,
        *,
        offset: Fraction | Literal["auto"] = Fraction(0),
        tolerance: Fraction | None = None,
        hold_s: float = 2.0,
        report_wait_s: float = 8.0,
        when_behind: WhenBehind = "drop-oldest",
    ) -> None:
        """Join two sources that nobody has iterated; one of them is a `LiveSource`.

        Args:
            offset, tolerance: as for `FramePairs`; "auto" finds the offset in the pictures of the
                first 12 s that both streams give, which are looked at and dropped as "unaligned".
            hold_s: how much later than its partner a frame may arrive.
            report_wait_s: how long to wait for sender reports, once both give frames.
            when_behind: which pairs to drop, or to let both sources wait.

        Raises:
            PairingError: the offset is to be found, but one of the two is no live stream.
        """
        known = Fraction(0) if offset == "auto" else offset
        super().__init__(original, deidentified, offset=known, tolerance=tolerance)
        self._hold = abs(known) + Fraction(hold_s)
        self._sides = Pair(
            _side(original, Fraction(0), self._hold),
            _side(deidentified, known, self._hold),
        )
        self._live = [side for _, side in self._sides.items() if isinstance(side, LiveSide)]
        self._kind: ClockKind | None = None
        self._report_wait_s = report_wait_s
        self._both_since: float | None = None
        self._when_behind = when_behind
        self._ready: deque[tuple[Fraction, FramePair]] = deque()  # distance in time, pair
        self._behind = 0
        self._left = 0  # frames of a file that waited when it was closed
        self._gap = Fraction(0)
        self._news = threading.Event()
        for side in self._live:
            side.source.listen(self._news)
        self._probe = OffsetProbe(self._sides) if offset == "auto" else None
        if len(self._live) == 1:
            if offset == "auto":
                raise PairingError(
                    "--offset auto compares two files or two live streams; of a file and a stream "
                    "give the seconds."
                )
            self._choose("first frame")

    @property
    def read(self) -> Pair[int]:
        """Frames seen so far: paired, unpaired, and those that wait."""
        return self.health().map(lambda health: health.seen)

    @property
    def unpaired(self) -> Pair[int]:
        """Frames so far that were skipped, for whatever reason."""
        return self.health().map(lambda health: sum(health.skipped.values()))

    def health(self) -> Pair[Health]:
        """How both sides are doing, counted by frames that were given in pairs."""
        return self._sides.map(self._health)

    def alignment(self) -> Alignment:
        """How the two sides were aligned."""
        sender = self._kind == "sender"
        return Alignment(
            self._kind,
            self._sides.map(
                lambda side: side.source.fit(sender) if isinstance(side, LiveSide) else None
            ),
            float(self._gap) / self.paired if self.paired else None,
        )

    def stop(self) -> None:
        """End the iteration; may be called from any thread."""
        super().stop()
        self._news.set()

    def close(self) -> None:
        """Close both sources; for the thread that reads. What still waits has "ended"."""
        super().close()
        for _, side in self._sides.items():
            waiting = len(side.held) + len(self._ready)
            side.held.clear()
            if isinstance(side, LiveSide):
                side.skipped["ended"] += waiting + len(side.early)
                side.early.clear()
            else:
                self._left = waiting
        self._ready.clear()

    def __next__(self) -> FramePair:
        while not (self._stopped or self._ended):
            self._news.clear()
            self._advance()
            if self._ready:
                return self._give()
            if any(_is_gone(side) for _, side in self._sides.items()):
                self._end()
            else:
                self._news.wait(LOOK_AGAIN_S)
        raise StopIteration

    def _advance(self) -> None:
        """Take all frames that have come, and find their partners.

        From both sides in turn: of a whole second that had piled up on one side, the beginning
        would be dropped before its partners were looked at.
        """
        more = True
        while more and not self._stopped:
            received = self._sides.map(self._receive)
            more = received.original or received.deidentified
            if self._kind is None:
                self._look_for_a_clock()
            elif self._kind == "sender" and not self._senders_agree():
                self._note_disagreement()
                self._choose("arrival")
            self._match()

    def _receive(self, side: Side) -> bool:
        """Take a side's next frame, if it has come; whether one of a live stream has."""
        if not isinstance(side, LiveSide):
            side.look_ahead()
            return False
        # Who has not read on never hears the sender's report.
        hearing = self._kind is None and side.source.may_report
        return side.receive(wait=self._when_behind == "wait" and not hearing)

    def _look_for_a_clock(self) -> None:
        if not all(side.early for side in self._live):
            return
        self._both_since = self._both_since or time.monotonic()
        if all(side.delay_us is not None for side in self._live):
            if self._senders_agree():
                self._choose("sender")
            else:
                self._note_disagreement()
                self._choose("arrival")
        elif (
            not all(side.source.may_report for side in self._live)
            or time.monotonic() - self._both_since >= self._report_wait_s
            or any(side.source.ended for side in self._live)
        ):
            self._choose("arrival")

    def _senders_agree(self) -> bool:
        """Whether frames of the same sender's time arrive while they wait for each other."""
        delays = [side.delay_us or 0 for side in self._live]
        return max(delays) - min(delays) <= self._hold * MICRO

    def _note_disagreement(self) -> None:
        a, b = (side.delay_us or 0 for side in self._live)
        self.notes.append(
            f"The clocks of the two streams' senders are {abs(a - b) / MICRO:.1f} s apart, so "
            "frames are aligned by their arrival."
        )

    def _choose(self, kind: ClockKind) -> None:
        """Count time by `kind` from now on; a change of clock does not change the time told."""
        first = self._kind is None
        self._kind = kind
        if self._probe is not None:
            self._probe = OffsetProbe(self._sides)
        if kind == "first frame":
            self._live[0].align(kind, None)
            return
        original, other = self._live
        if first:
            start_us = original.moment_us(original.early[0], kind)
        else:
            start_us = original.start_us - original.shift_us
        original.align(kind, start_us)
        other.align(kind, start_us)

    def _look_at_pictures(self, probe: OffsetProbe) -> None:
        """Find the offset, before anything is paired."""
        for name, side in zip(SIDES, self._live, strict=True):
            while side.held:
                probe.add(name, *side.held[0])
                side.drop("unaligned")
        if probe.ready or any(side.source.ended for side in self._live):
            self._probe, self.found = None, probe.estimate()
            self.notes.append(self.found.note)
            self._hold += abs(self.found.offset)
            for side, offset in zip(self._live, (Fraction(0), self.found.offset), strict=True):
                side.shift(offset, self._hold)

    def _match(self) -> None:
        if self._probe is not None and self._kind is not None:
            self._look_at_pictures(self._probe)
        while self._when_behind != "wait" or not self._ready:
            a, b = self._sides.original, self._sides.deidentified
            if not (_may_match(a) and _may_match(b)):
                return
            lonely = self._lonely(a, b)
            if lonely is None:
                gap = abs(a.lead(0, b, 0))
                self._ready.append((gap, Pair(a.held.popleft()[1], b.held.popleft()[1])))
                self._make_room()
            else:
                other = b if lonely is a else a
                late = isinstance(other, LiveSide) and other.gave_up(lonely.held[0][0])
                if late and isinstance(lonely, LiveSide):
                    lonely.drop("late")
                else:
                    lonely.drop()

    def _make_room(self) -> None:
        if len(self._ready) > room_for(self.bytes_each) and self._when_behind != "wait":
            self._behind += 1
            if self._when_behind == "drop-oldest":
                self._ready.popleft()
            else:
                self._ready.pop()

    def _give(self) -> FramePair:
        gap, pair = self._ready.popleft()
        self._gap += gap
        self.paired += 1
        a, b = self._sides.original, self._sides.deidentified
        return Pair(_marked(a, pair.original), _marked(b, pair.deidentified))

    def _end(self) -> None:
        """One side is gone for good: what the other holds finds no partner any more."""
        self._ended = True
        for _, side in self._sides.items():
            while side.held:
                side.drop()
        if self.paired == 0:
            if self._nearest is None and all(side.read for _, side in self._sides.items()):
                raise PairingError("The two streams were never there at the same time.")
            raise PairingError(self._why_not())

    def _health(self, side: Side) -> Health:
        if not isinstance(side, LiveSide):
            # Another thread may be counting: what is part of the sum first, the sum last.
            used = self.paired
            skipped = Counter(unpaired=side.unpaired, behind=self._behind, ended=self._left)
            seen = side.read
            waiting = seen - used - skipped.total()
            return Health(True, seen, used, dict(+skipped), waiting, 0, None, 0.0)
        used, own = self.paired, side.skipped + Counter({"behind": self._behind})
        health = side.source.health()
        skipped = own + Counter(health.skipped)
        waiting = health.seen - used - skipped.total()
        return replace(health, used=used, skipped=dict(skipped), waiting=waiting)


def _side(source: Source, offset: Fraction, hold: Fraction) -> Side:
    if isinstance(source, LiveSource) and source.info.live:
        return LiveSide(source, offset, hold)
    return Side(source, offset)


def _may_match(side: Side) -> bool:
    """Whether the first frame held and the one after it are known, or there is none after it."""
    ended = not isinstance(side, LiveSide) or side.source.ended
    return len(side.held) > 1 or (ended and len(side.held) == 1)


def _is_gone(side: Side) -> bool:
    if isinstance(side, LiveSide):
        return side.source.ended and not (side.held or side.early)
    side.look_ahead()  # what was held may just have been dropped
    return not side.held


def _marked(side: Side, frame: Frame) -> Frame:
    return side.gaps.mark(frame) if isinstance(side, LiveSide) else frame
