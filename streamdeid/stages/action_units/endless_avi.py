"""EndlessAvi: pictures as uncompressed AVI that never has to end, for a reader behind a pipe."""

from __future__ import annotations

import struct
from typing import Final

import numpy as np

from streamdeid.frame import Image

RATE: Final = 30
"""Frames a second, as the header says. OpenFace makes time stamps of it, and nothing else."""

# A frame header, its size, and "to the end of the file", as FFmpeg's own muxer writes it when it
# cannot seek back.
_CHUNK: Final = struct.Struct("<4sI")
_UNTIL_THE_END: Final = 0
_FRAMES_UNKNOWN: Final = 0


class EndlessAvi:
    """Pictures of one size, one after the other, without loss: 24 bits a pixel, blue first.

    The sizes of the file and of its list of frames are left at 0, which FFmpeg's reader takes for
    "until the data ends" when it cannot seek: 10,000 frames of 640x480 (8.6 GiB) through a pipe
    came out of the VideoCapture of OpenCV 4.6, 4.14 and 5.0 complete, in order, and each before the
    next was sent.
    Rows go from top to bottom, which a negative height says: with rows from the bottom, the
    format's old way, OpenCV 5.0 overwrites its own memory and crashes.
    The format's other channel orders would save the swap of red and blue (0.2 of some 0.7 ms for a
    picture of 640x480), but only FFmpeg knows them.

    Args:
        height, width: of every picture, in pixels, at least 1.

    Attributes:
        header: bytes to be sent before the first picture.
    """

    def __init__(self, height: int, width: int) -> None:
        stride = (3 * width + 3) // 4 * 4  # rows begin at multiples of four bytes
        self.header = _header(height, width, stride * height)
        self._chunk = np.zeros(_CHUNK.size + stride * height, np.uint8)
        _CHUNK.pack_into(self._chunk.data, 0, b"00db", stride * height)
        self._pixels = np.ndarray(
            (height, width, 3), np.uint8, self._chunk.data, _CHUNK.size, (stride, 3, 1)
        )

    def frame(self, image: Image) -> memoryview:
        """The bytes of one picture; they are overwritten by the next call.

        Args:
            image: shape (height, width, 3), RGB.
        """
        # Plane by plane, because numpy takes six times as long for `image[..., ::-1]`.
        for place, channel in enumerate((2, 1, 0)):
            self._pixels[..., place] = image[..., channel]
        return self._chunk.data


def _header(height: int, width: int, picture: int) -> bytes:
    """RIFF up to the first frame. Layout: the AVI RIFF file reference of DirectShow."""
    main = struct.pack(
        "<14I", 1_000_000 // RATE, 0, 0, 0, _FRAMES_UNKNOWN, 0, 1, picture, width, height, *[0] * 4
    )
    stream = struct.pack(
        "<4s4sIHHIIIIIIII", b"vids", b"DIB ", *[0] * 4, 1, RATE, 0, 0, picture, 0, 0
    )
    rectangle = struct.pack("<4H", 0, 0, min(width, 0xFFFF), min(height, 0xFFFF))
    bitmap = struct.pack("<IiiHHIIiiII", 40, width, -height, 1, 24, 0, picture, 0, 0, 0, 0)
    streams = b"strl" + _riff(b"strh", stream + rectangle) + _riff(b"strf", bitmap)
    lists = b"hdrl" + _riff(b"avih", main) + _riff(b"LIST", streams)
    beginning = _CHUNK.pack(b"RIFF", _UNTIL_THE_END) + b"AVI " + _riff(b"LIST", lists)
    return beginning + _CHUNK.pack(b"LIST", _UNTIL_THE_END) + b"movi"


def _riff(name: bytes, data: bytes) -> bytes:
    return _CHUNK.pack(name, len(data)) + data
