"""Room 1: bytes become frames, and two videos become pairs. The only home of av."""

from streamdeid.sources.arrays import ArraySource
from streamdeid.sources.file import FileSource
from streamdeid.sources.offset import OffsetEstimate, estimate_offset
from streamdeid.sources.pairing import FramePairs, pair_frames
from streamdeid.sources.source import Source, open_source
from streamdeid.sources.uri import redact

__all__ = [
    "ArraySource",
    "FileSource",
    "FramePairs",
    "OffsetEstimate",
    "Source",
    "estimate_offset",
    "open_source",
    "pair_frames",
    "redact",
]
