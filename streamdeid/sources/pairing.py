"""FramePairs: two videos joined by time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from statistics import median_low

from streamdeid.closing import Closing
from streamdeid.errors import PairingError
from streamdeid.frame import Frame, FramePair
from streamdeid.pair import Pair
from streamdeid.sources.offset import OffsetEstimate
from streamdeid.sources.source import Source

ROUNDING = Fraction(1, 1000)
"""Seconds: Matroska and others round times to milliseconds, so less is no difference."""

REMEMBERED = 15
"""Frame distances whose median is the frame distance of a side, so that it follows a VFR video."""

CLAIM_WEIGHT = 7
"""Distances that the container's frame rate stands for at the beginning."""

GUESSED_DISTANCE = Fraction(1, 25)
"""Seconds between frames of a side that has but one frame and claims no rate."""


class FramePairs(Closing):
    """The frame pairs of two videos, in order of time; can be iterated once.

    Each side's time counts from its own first frame, and the de-identified side's is moved by the
    offset. Every frame is in one pair at most, and partners are within the tolerance. The nearest
    partner wins: of the frames that are left, the first of one side and the first of the other
    make a pair, unless the frame after one of them is nearer by more than `ROUNDING` and has no
    partner that is nearer still. What finds no partner is counted and dropped. Two frames a side
    are held, however long the videos are.

    When one side has ended, the rest of the other is read without making pictures, and counted.

    Attributes:
        paired: pairs given so far.
        notes: sentences about how the two were joined.
        found: what the pictures said of the offset, where two live streams were asked; else None.
    """

    def __init__(
        self,
        original: Source,
        deidentified: Source,
        *,
        offset: Fraction = Fraction(0),
        tolerance: Fraction | None = None,
    ) -> None:
        self.paired = 0
        self.notes: list[str] = []
        self.found: OffsetEstimate | None = None
        self._sides = Pair(Side(original, Fraction(0)), Side(deidentified, offset))
        self._given_tolerance = tolerance
        self._stopped = False
        self._ended = False
        self._nearest: tuple[Fraction, Fraction, Frame] | None = None  # gap, tolerance, original's

    @property
    def read(self) -> Pair[int]:
        """Frames read so far: paired, unpaired, and at most two that still look for a partner."""
        return self._sides.map(lambda side: side.read)

    @property
    def unpaired(self) -> Pair[int]:
        """Frames so far that found no partner."""
        return self._sides.map(lambda side: side.unpaired)

    @property
    def corrupt(self) -> Pair[int]:
        """Frames read so far that hold concealed damage."""
        return self._sides.map(lambda side: side.corrupt)

    @property
    def tolerance(self) -> Fraction:
        """Seconds that partners may be apart now; follows the frame distances of a VFR video."""
        if self._given_tolerance is not None:
            return self._given_tolerance
        distances = self._sides.map(lambda side: side.distance())
        return max(distances.original, distances.deidentified) / 2 + ROUNDING

    @property
    def bytes_each(self) -> int:
        """Size of one pair's pictures, as the sources tell their widths and heights."""
        infos = (side.source.info for _, side in self._sides.items())
        return sum(info.width * info.height * 3 for info in infos)

    def time(self, pair: FramePair) -> Fraction:
        """Seconds of the original since its first frame, when this pair is shown."""
        return pair.original.elapsed

    def stop(self) -> None:
        """End the iteration before the next frame is read; may be called from any thread."""
        self._stopped = True

    def close(self) -> None:
        """Close both sources; for the thread that reads."""
        self._stopped = True
        try:
            self._sides.original.source.close()
        finally:
            self._sides.deidentified.source.close()

    def __iter__(self) -> Iterator[FramePair]:
        return self

    def __next__(self) -> FramePair:
        a, b = self._sides.original, self._sides.deidentified
        while not (self._stopped or self._ended):
            a.look_ahead()
            b.look_ahead()
            if not (a.held and b.held):
                self._count_the_rest()
                break
            lonely = self._lonely(a, b)
            if lonely is None:
                self.paired += 1
                return Pair(a.held.popleft()[1], b.held.popleft()[1])
            lonely.drop()
        raise StopIteration

    def _lonely(self, a: Side, b: Side) -> Side | None:
        """The side whose first frame finds no partner; None if the two first frames are a pair."""
        gap = abs(a.lead(0, b, 0))
        tolerance = self.tolerance
        if self.paired == 0 and (self._nearest is None or gap < self._nearest[0]):
            self._nearest = gap, tolerance, a.held[0][1]
        if gap > tolerance:
            return b if a.lead(0, b, 0) > 0 else a
        for side, other in ((a, b), (b, a)):
            if len(side.held) > 1:
                nearer = abs(side.lead(1, other, 0))
                taken = len(other.held) > 1 and abs(side.lead(1, other, 1)) < nearer
                if nearer + ROUNDING < gap and not taken:
                    return side
        return None

    def _count_the_rest(self) -> None:
        for _, side in self._sides.items():
            while side.held:
                side.drop()
            for corrupt in side.source.skim():
                side.count(corrupt)
                side.unpaired += 1
                if self._stopped:
                    return
        self._ended = True
        if self.paired == 0:
            raise PairingError(self._why_not())

    def _why_not(self) -> str:
        if self._nearest is None:
            empty = next(name for name, side in self._sides.items() if side.read == 0)
            return f"The {empty} video gave no frames, so that there is nothing to pair."
        gap, tolerance, frame = self._nearest
        return (
            f"No de-identified frame is within {float(tolerance):.3f} s of any original frame; "
            f"the nearest is {float(gap):.3f} s away, from original frame {frame.index} at "
            f"{float(frame.time - self._sides.original.start):.3f} s. If the videos start at "
            "different moments, pass --offset."
        )


class Side:
    """One video: the frames that look for a partner, and what was counted.

    Attributes:
        held: frames that look for a partner, each with its time on the common axis.
        start: seconds: where the video's time begins.
        read, unpaired, corrupt: frames.
    """

    def __init__(self, source: Source, offset: Fraction) -> None:
        self.source = source
        self.held: deque[tuple[Fraction, Frame]] = deque()
        self.start = Fraction(0)
        self.read = self.unpaired = self.corrupt = 0
        self._frames = iter(source)
        self._offset = offset
        self._newest: Fraction | None = None
        self._distances: deque[Fraction] = deque(maxlen=REMEMBERED)
        self._median: Fraction | None = None

    def look_ahead(self) -> None:
        """Hold the next two frames, if there are as many."""
        while len(self.held) < 2:
            frame = next(self._frames, None)
            if frame is None:
                return
            if self.read == 0:
                self.start = frame.time
            self.count(frame.corrupt)
            frame = replace(frame, start=self.start)
            time = frame.elapsed - self._offset
            self._remember(time)
            self.held.append((time, frame))

    def count(self, corrupt: bool) -> None:
        self.read += 1
        self.corrupt += corrupt

    def drop(self) -> None:
        self.held.popleft()
        self.unpaired += 1

    def lead(self, place: int, other: Side, there: int) -> Fraction:
        """Seconds that one held frame is later than one of the other side."""
        return self.held[place][0] - other.held[there][0]

    def distance(self) -> Fraction:
        """Seconds between frames: the median of the last distances.

        The frame rate that the container claims counts at the beginning, if the first distance
        agrees within a factor of two: claims are averages over a VFR video, or made up.
        """
        if self._distances:
            self._median = self._median or median_low(self._distances)
            return self._median
        rate = self.source.info.frame_rate
        return 1 / rate if rate else GUESSED_DISTANCE

    def _remember(self, time: Fraction) -> None:
        if self._newest is not None and time > self._newest:
            distance = time - self._newest
            rate = self.source.info.frame_rate
            if not self._distances and rate and distance / 2 <= 1 / rate <= distance * 2:
                self._distances.extend([1 / rate] * CLAIM_WEIGHT)
            # Sorting fractions takes 50 µs, and one that replaces its like changes nothing.
            if len(self._distances) < REMEMBERED or self._distances[0] != distance:
                self._median = None
            self._distances.append(distance)
        self._newest = time
