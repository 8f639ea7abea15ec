"""estimate_offset: how much later one video starts than the other, from what moves in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamdeid.frame import Image
from streamdeid.sources.source import Source

Floats: TypeAlias = NDArray[np.float64]

CELLS = 16
"""A thumbnail has so many cells a side, whatever the shape of the frame."""

SAMPLES = 8
"""Pixels a side that make up a cell."""

GRID_S = 0.005
"""Step of the common time axis; the peak is refined below it by a parabola."""

SHORTEST_COMMON_S = 1.0
"""Seconds that the two must have in common at a shift for it to be considered."""

STILL = 0.3
"""Change of brightness from one frame to the next, RMS of 0..255, below which nothing moves."""

LOUDEST = 4.0
"""Changes are cut off at this multiple of their RMS, so that a single cut does not decide."""

FAR_S = 0.3
"""A shift more than so far from the best one is a rival of it."""

CONVINCING = 0.3
"""Correlation that suffices; videos that have nothing to do with each other reach 0.08."""

SURE = 0.25
"""Below this confidence no shift is assumed."""

LIMIT_S = 2.0
"""The largest shift that is looked for, in either direction."""

PROBE_S = 12.0
"""How much of each video is looked at."""


@dataclass(frozen=True, slots=True)
class OffsetEstimate:
    """What the pictures say about the shift between two videos.

    Attributes:
        offset: seconds that the de-identified video is late, as `pair_frames` takes it; 0 when
            the confidence is below `SURE`, since no shift is the better guess then.
        confidence: 0..1: (1 - rival / best) · min(1, best / 0.3), where best is the correlation
            at the shift found, and rival the highest one more than 0.3 s away from it. 0 if
            nothing moves, or there is too little to compare.
        note: one sentence for people.
    """

    offset: Fraction
    confidence: float
    note: str


def estimate_offset(
    original: Callable[[], Source],
    deidentified: Callable[[], Source],
    *,
    limit_s: float = LIMIT_S,
    probe_s: float = PROBE_S,
) -> OffsetEstimate:
    """Find a constant shift between two videos from the pictures themselves.

    Reads the beginning of both videos, so whoever evaluates them then reads it a second time.
    Of each frame a thumbnail of 16 x 16 brightnesses is kept, stretched to the same shape. What is
    compared is how these change with time, cell by cell, so that a constant difference
    (a covered or another face, another size, other colours) doesn't count. The changes are put on
    one time axis by the frames' time stamps and correlated at every shift, by FFT.

    The shift is rounded to a multiple of the frame distance when both sides share one and it is
    near, and to milliseconds otherwise. It is good to half a frame when something moves outside
    of the face or the face's cover moves with it.

    Args:
        original, deidentified: open the source; it is read from its first frame and closed.
        limit_s: largest shift to look for, seconds in either direction.
        probe_s: seconds to read of each.

    Raises:
        SourceError: a video cannot be opened.
    """
    return compare(_watch(original, probe_s), _watch(deidentified, probe_s), limit_s=limit_s)


def compare(a: Beginning, b: Beginning, *, limit_s: float = LIMIT_S) -> OffsetEstimate:
    """Find the shift between two videos whose beginnings were watched; see `estimate_offset`.

    Args:
        a, b: of the original and of the de-identified video, counted from the same moment.
    """
    length_s = min(a.length_s, b.length_s)
    window_s = max(a.distance_s, b.distance_s)
    if length_s - window_s < SHORTEST_COMMON_S:
        return _unknown(f"there are only {length_s:.1f} s to compare")
    changes_a, changes_b = a.changes(window_s), b.changes(window_s)
    for name, changes in (("original", changes_a), ("de-identified", changes_b)):
        if np.sqrt((changes**2).mean()) < STILL:
            return _unknown(f"nothing moves at the beginning of the {name} video")
    shifts, correlation = _correlate(changes_a, changes_b, limit_s)
    best = int(correlation.argmax())
    peak = float(correlation[best])
    rivals = correlation[np.abs(shifts - shifts[best]) > FAR_S]
    rival = max(float(rivals.max(initial=0.0)), 0.0)
    if peak <= 0:
        return _unknown("the two videos do not move alike at any shift")
    confidence = round(max(1 - rival / peak, 0.0) * min(1.0, peak / CONVINCING), 3)
    if confidence < SURE:
        return _unknown(
            f"no shift up to {limit_s:g} s stands out (correlation {peak:.2f} at best, "
            f"{rival:.2f} elsewhere)",
            confidence,
        )
    offset = _rounded(_refined(shifts, correlation, best), a, b)
    found = "starts together with the original"
    if offset:
        found = f"is {abs(float(offset)):.3f} s {'late' if offset > 0 else 'early'}"
    note = f"By what moves in the pictures, the de-identified video {found}."
    return OffsetEstimate(offset, confidence, note)


def _unknown(why: str, confidence: float = 0.0) -> OffsetEstimate:
    note = f"The pictures do not tell how the videos are shifted, so no shift is assumed: {why}."
    return OffsetEstimate(Fraction(0), confidence, note)


class Beginning:
    """The beginning of a video as thumbnails, 2 KB a frame.

    Args:
        frame_rate: as the container claims it; None: it does not.

    Attributes:
        times: seconds since the moment that time is counted from, increasing.
    """

    def __init__(self, frame_rate: Fraction | None) -> None:
        self.times: list[Fraction] = []
        self.frame_rate = frame_rate
        self._thumbnails: list[Floats] = []

    def add(self, time: Fraction, image: Image) -> None:
        """Look at a frame; one that is not later than the last is passed over."""
        if not self.times or time > self.times[-1]:
            self.times.append(time)
            self._thumbnails.append(_thumbnail(image))

    @property
    def length_s(self) -> float:
        """Seconds up to the last frame; 0 if there is none."""
        return float(self.times[-1]) if self.times else 0.0

    @property
    def distance_s(self) -> float:
        """Median seconds between frames; 0 if there is only one."""
        return (
            float(np.median(np.diff(np.array(self.times, float)))) if len(self.times) > 1 else 0.0
        )

    def changes(self, window_s: float) -> Floats:
        """Change of brightness over `window_s`, every GRID_S; shape (steps, CELLS²).

        Between frames brightness is interpolated, which is the same on both sides whatever their
        frame rates.
        """
        times = np.array(self.times, float)
        grid = np.arange(0.0, max(times[-1] - window_s, 0.0), GRID_S)
        change = self._at(times, grid + window_s) - self._at(times, grid)
        loudest = LOUDEST * np.sqrt((change**2).mean()) if change.size else 0.0
        return np.clip(change, -loudest, loudest)

    def _at(self, times: Floats, moments: Floats) -> Floats:
        before = np.clip(np.searchsorted(times, moments, side="right") - 1, 0, len(times) - 2)
        share = (moments - times[before]) / (times[before + 1] - times[before])
        thumbnails = np.array(self._thumbnails)
        earlier, later = thumbnails[before], thumbnails[before + 1]
        return earlier + share[:, None] * (later - earlier)


def _watch(opener: Callable[[], Source], probe_s: float) -> Beginning:
    with opener() as source:
        beginning = Beginning(source.info.frame_rate)
        start: Fraction | None = None
        for frame in source:
            start = frame.time if start is None else start
            if frame.time - start > probe_s:
                break
            beginning.add(frame.time - start, frame.image)
        return beginning


def _thumbnail(image: Image) -> Floats:
    """Mean brightness of CELLS x CELLS cells, from SAMPLES x SAMPLES pixels each."""
    height, width, _ = image.shape
    places = (np.arange(CELLS * SAMPLES) + 0.5) / (CELLS * SAMPLES)
    rows, columns = (places * height).astype(int), (places * width).astype(int)
    # Two takes and two sums of whole rows: 0.1 ms; an index in both axes and one mean: 2.7 ms.
    samples = image.take(rows, axis=0).take(columns, axis=1)
    strips = samples.reshape(CELLS, SAMPLES, -1).sum(axis=1, dtype=np.uint32)
    sums = strips.reshape(CELLS, CELLS, SAMPLES, 3).sum(axis=2)
    brightness: Floats = sums @ np.array([0.299, 0.587, 0.114])  # BT.601 luma
    return brightness.ravel() / SAMPLES**2


def _correlate(a: Floats, b: Floats, limit_s: float) -> tuple[Floats, Floats]:
    """Correlation of `a` at t with `b` at t + shift, for all shifts.

    Args:
        a, b: shape (steps, CELLS²).

    Returns:
        Shifts in seconds and correlations -1..1 over what both have in common at a shift; shifts
        at which that is less than SHORTEST_COMMON_S are left out.
    """
    size = 1 << (len(a) + len(b)).bit_length()
    spectrum = np.zeros(size // 2 + 1, complex)
    for row in range(0, a.shape[1], CELLS):  # a few cells at a time: the transforms are large
        cells = slice(row, row + CELLS)
        spectrum += np.einsum(
            "fc,fc->f",
            np.fft.rfft(a[:, cells], size, axis=0).conj(),
            np.fft.rfft(b[:, cells], size, axis=0),
        )
    products = np.fft.irfft(spectrum, size)
    most = round(limit_s / GRID_S)
    steps = np.arange(-most, most + 1)
    first, last = np.maximum(0, -steps), np.minimum(len(a), len(b) - steps)
    enough = last - first >= round(SHORTEST_COMMON_S / GRID_S)
    steps, first, last = steps[enough], first[enough], last[enough]
    energy_a = np.concatenate([[0.0], np.cumsum((a**2).sum(axis=1))])
    energy_b = np.concatenate([[0.0], np.cumsum((b**2).sum(axis=1))])
    energy = (energy_a[last] - energy_a[first]) * (energy_b[last + steps] - energy_b[first + steps])
    correlation: Floats = products[steps] / np.sqrt(np.maximum(energy, 1e-9))
    return (steps * GRID_S).astype(np.float64), correlation


def _refined(shifts: Floats, correlation: Floats, best: int) -> float:
    """The top of the parabola through the best shift and its neighbours."""
    if not 0 < best < len(shifts) - 1:
        return float(shifts[best])
    before, top, after = correlation[best - 1 : best + 2]
    bend = before - 2 * top + after
    return float(shifts[best] + (0.5 * (before - after) / bend if bend < 0 else 0.0) * GRID_S)


def _rounded(shift: float, a: Beginning, b: Beginning) -> Fraction:
    """Whole frames if both sides have the same constant frame rate and it is near; else ms."""
    distance = _constant_distance(a)
    other = _constant_distance(b)
    if distance and other and abs(distance / other - 1) < Fraction(1, 200):
        frames = round(shift / distance)
        if abs(shift - frames * distance) < distance / 4:
            return frames * distance
    return Fraction(round(shift * 1000), 1000)


def _constant_distance(watched: Beginning) -> Fraction | None:
    """Seconds between frames if that is constant; the claimed rate if that is what is seen."""
    mean = watched.times[-1] / (len(watched.times) - 1)
    if abs(float(mean) - watched.distance_s) > max(0.001, 0.02 * watched.distance_s):
        return None
    rate = watched.frame_rate
    return 1 / rate if rate and abs(mean * rate - 1) < Fraction(1, 100) else mean
