"""OffsetProbe: the shift between two live streams, from what moves in them."""

from __future__ import annotations

from fractions import Fraction

from streamdeid.frame import Frame
from streamdeid.pair import Pair
from streamdeid.sources.offset import PROBE_S, Beginning, OffsetEstimate, compare
from streamdeid.sources.pairing import Side


class OffsetProbe:
    """Looks at the frames of both sides until there is enough to compare.

    Both are counted from the first moment that both have frames of, on the axis on which they are
    paired: so what is found is the shift that is left on it.

    Args:
        sides: the two streams; nothing is taken from them.
    """

    def __init__(self, sides: Pair[Side]) -> None:
        rates = sides.map(lambda side: side.source.info.frame_rate)
        self._beginnings = {name: Beginning(rate) for name, rate in rates.items()}
        self._first: dict[str, Fraction] = {}

    def add(self, side: str, moment: Fraction, frame: Frame) -> None:
        """Look at the next frame of a side, "original" or "deidentified"."""
        self._first.setdefault(side, moment)
        start = max(self._first.values())
        if len(self._first) == len(self._beginnings) and moment >= start:
            self._beginnings[side].add(moment - start, frame.image)

    @property
    def ready(self) -> bool:
        """Whether enough was seen of both."""
        return all(seen.length_s >= PROBE_S for seen in self._beginnings.values())

    def estimate(self) -> OffsetEstimate:
        """What the pictures say, of as much as was seen."""
        return compare(*self._beginnings.values())
