"""What becomes of frame pairs that come faster than they are analysed."""

from __future__ import annotations

from typing import Final

from streamdeid.engine.read_ahead import Crowding
from streamdeid.settings import Settings
from streamdeid.sources.health import WhenBehind
from streamdeid.sources.live_pairing import LivePairs
from streamdeid.sources.pairing import FramePairs

IN_BLOCKS: Final = frozenset({"realism", "fvd", "fsmetric"})
"""Metrics of frames that follow each other at equal steps. All others take any pairs."""


def crowding_of(
    settings: Settings, pairs: FramePairs, when_behind: WhenBehind = "drop-oldest"
) -> Crowding:
    """How these pairs are to be left out: evenly, or in between blocks; files wait."""
    if when_behind == "wait" or not isinstance(pairs, LivePairs):
        return "wait"
    return "blocks" if IN_BLOCKS.intersection(settings.metrics) else when_behind
