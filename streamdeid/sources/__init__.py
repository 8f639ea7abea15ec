"""Room 1: bytes become frames, and two videos become pairs. The only home of av."""

from streamdeid.sources.arrays import ArraySource
from streamdeid.sources.file import FileSource
from streamdeid.sources.health import Health, WhenBehind
from streamdeid.sources.joining import pair_frames
from streamdeid.sources.live import LiveSource
from streamdeid.sources.live_pairing import Alignment, LivePairs
from streamdeid.sources.offset import OffsetEstimate, estimate_offset
from streamdeid.sources.pairing import FramePairs
from streamdeid.sources.source import Source, open_source
from streamdeid.sources.uri import redact

__all__ = [
    "Alignment",
    "ArraySource",
    "FileSource",
    "FramePairs",
    "Health",
    "LivePairs",
    "LiveSource",
    "OffsetEstimate",
    "Source",
    "WhenBehind",
    "estimate_offset",
    "open_source",
    "pair_frames",
    "redact",
]
