"""TimestampRepair: every frame gets a time, and time never runs backwards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

MOST_HELD = 16
"""Frames that may wait for a neighbour with a sound time stamp."""

DOUBTFUL_STEPS = 3
"""A jump of more than this many frame distances must be confirmed by the next frame."""


class TimestampRepair(Generic[T]):
    """Give time stamps to frames that have none, or impossible ones, and count them.

    - A frame without a stamp is placed between its stamped neighbours, evenly when there are
      several; before the first stamped frame and after the last, at the last sound distance.
    - A stamp not after its predecessor's counts as missing, and the frame as corrupt.
    - A jump ahead that the next frame does not confirm was one wrong stamp: missing and corrupt.
    - When no sound stamp comes for `MOST_HELD` frames, time goes on at the last sound distance.
      If stamps stay behind it (two recordings in one file), they are shifted from then on.

    Stamps given out never decrease. They repeat only where the time base is too coarse to hold
    all frames between two sound stamps.

    Attributes:
        missing: frames that came without a stamp.
        wrong: frames whose stamp was not believed.
    """

    def __init__(self, step: int) -> None:
        """`step`: distance between frames, in units of the time base, until one is seen."""
        self.missing = self.wrong = 0
        self._step = max(step, 1)
        self._last: int | None = None
        self._shift = 0
        self._held: list[tuple[T, bool]] = []
        self._doubt: tuple[int, int] | None = None  # place in _held, the stamp not yet believed
        self._gave_up = False

    def take(
        self, item: T, pts: int | None, corrupt: bool = False
    ) -> Iterator[tuple[T, int, bool]]:
        """Take the next frame; give those whose time is now known, as (item, pts, corrupt)."""
        pts = self._shifted(pts)
        sound = pts is not None and (self._last is None or pts > self._last)
        self.missing += pts is None
        self.wrong += pts is not None and not sound
        if sound and self._doubt is not None:
            place, far = self._doubt
            self._doubt = None
            if pts is not None and pts > far:
                yield from self._release(place + 1, far)
            else:
                self._held[place] = (self._held[place][0], True)
                self.wrong += 1
        self._held.append((item, corrupt or (pts is not None and not sound)))
        if pts is not None and sound:
            if self._last is not None and pts - self._last > DOUBTFUL_STEPS * self._step:
                self._doubt = (len(self._held) - 1, pts)
            else:
                yield from self._release(len(self._held), pts)
        if len(self._held) >= MOST_HELD:
            self._doubt = None
            self._gave_up = True
            yield from self._go_on()

    def rest(self) -> Iterator[tuple[T, int, bool]]:
        """Give what is held back; nothing contradicts a last jump, so it is believed."""
        if self._doubt is not None:
            place, far = self._doubt
            self._doubt = None
            yield from self._release(place + 1, far)
        yield from self._go_on()

    def _shifted(self, pts: int | None) -> int | None:
        if pts is None or self._last is None:
            return pts
        if self._gave_up and pts + self._shift <= self._last:
            self._shift = self._last + self._step - pts
        self._gave_up = False
        # Back in the old time: the shift was for a stretch of wrong stamps, and that is over.
        if self._last < pts <= pts + self._shift:
            self._shift = 0
        return pts + self._shift

    def _release(self, count: int, pts: int) -> Iterator[tuple[T, int, bool]]:
        """Give the first `count` held frames, the last of them at `pts`."""
        out, self._held = self._held[:count], self._held[count:]
        if self._last is None:
            stamps = [pts - self._step * back for back in range(count - 1, -1, -1)]
        else:
            whole = pts - self._last
            stamps = [self._last + whole * (k + 1) // count for k in range(count)]
            if count == 1 and whole > 0:
                self._step = whole
        self._last = pts
        for (item, corrupt), stamp in zip(out, stamps, strict=True):
            yield item, stamp, corrupt

    def _go_on(self) -> Iterator[tuple[T, int, bool]]:
        """Give all held frames at the last sound distance."""
        out, self._held = self._held, []
        for item, corrupt in out:
            self._last = 0 if self._last is None else self._last + self._step
            yield item, self._last, corrupt
