"""LongestRun: the longest unbroken run of something seen frame by frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from streamdeid.stats.batch import as_values
from streamdeid.stats.state import State, StateReader


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive frames, both ends included; times in seconds."""

    start: int
    end: int
    start_s: float
    end_s: float

    @property
    def length(self) -> int:
        """Frames in it."""
        return self.end - self.start + 1

    def to_state(self) -> State:
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Raises: ValueError if a value is missing or makes no sense."""
        read = StateReader(state, cls.__name__)
        start = read.integer("start")
        end = read.integer("end", minimum=start)
        return cls(start, end, read.number("start_s"), read.number("end_s"))


class LongestRun:
    """The longest run of consecutive frames among those reported to it.

    Besides the longest it keeps the first run and the last one: these are the ones that may go on
    beyond a cut. So pieces of a stream merge to what one pass gives *in order of time*. In another
    order the count still holds, but runs across the cuts are not joined.

    >>> run = LongestRun()
    >>> for frame in (3, 4, 8, 9, 10):
    ...     run.update(frame, frame / 25)
    >>> run.longest
    Run(start=8, end=10, start_s=0.32, end_s=0.4)
    """

    def __init__(self) -> None:
        self.count = 0
        self._first: Run | None = None
        self._last: Run | None = None
        self._longest: Run | None = None

    @property
    def longest(self) -> Run | None:
        """The longest run, the earliest of several; None if nothing was reported."""
        return self._longest

    def update(self, index: ArrayLike, time_s: ArrayLike) -> None:
        """Report one frame, or several as (n,) and (n,), in order and later than all before."""
        indices, times = np.atleast_1d(index).tolist(), as_values(time_s).tolist()
        for frame, seconds in zip(indices, times, strict=True):
            run = Run(int(frame), int(frame), seconds, seconds)
            self._append(run, run, run)
        self.count += len(indices)

    def merge(self, other: Self) -> None:
        """Add all that `other` has seen, which comes *later in time*; `other` stays as it was."""
        self._append(other._first, other._last, other._longest)
        self.count += other.count

    def to_state(self) -> State:
        runs = {"first": self._first, "last": self._last, "longest": self._longest}
        states = {name: run.to_state() if run else None for name, run in runs.items()}
        return {"count": self.count, **states}

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Raises: ValueError if a value is missing or makes no sense."""
        read = StateReader(state, cls.__name__)
        longest = cls()
        longest.count = read.integer("count", minimum=0)
        if longest.count:
            longest._first = Run.from_state(read.child("first"))
            longest._last = Run.from_state(read.child("last"))
            longest._longest = Run.from_state(read.child("longest"))
        return longest

    def _append(self, first: Run | None, last: Run | None, longest: Run | None) -> None:
        if first is None or last is None or longest is None:
            return
        if self._first is None or self._last is None or self._longest is None:
            self._first, self._last, self._longest = first, last, longest
            return
        candidates = [self._longest, longest]
        if first.start == self._last.end + 1:
            joined = Run(self._last.start, first.end, self._last.start_s, first.end_s)
            candidates.insert(1, joined)
            if self._first == self._last:
                self._first = joined
            if first == last:
                last = joined
        self._last = last
        self._longest = max(candidates, key=lambda run: run.length)
