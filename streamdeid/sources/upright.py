"""Uprighter: decoder frames become upright, progressive RGB images with square pixels."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np
from av.filter import Graph
from av.sidedata.sidedata import SideDataContainer

from streamdeid.frame import Image

STRANGEST_ASPECT = 8
"""A pixel more than so many times wider than high, or the reverse, is a wrong tag: ignored."""

SQUARE_ENOUGH = Fraction(1, 100)
"""Pixels this near to square are left alone: encoders round, and scaling costs ten times more."""

_FILTERS = {
    # (swaps the axes, mirrors x, mirrors y), of the display matrix → what FFmpeg calls it
    (False, False, False): "",
    (False, True, False): "hflip",
    (False, False, True): "vflip",
    (False, True, True): "hflip,vflip",
    (True, False, False): "transpose=cclock_flip",
    (True, True, False): "transpose=clock",
    (True, False, True): "transpose=cclock",
    (True, True, True): "transpose=clock_flip",
}

_TURNS = {90: "transpose=cclock", 180: "hflip,vflip", 270: "transpose=clock"}


class Uprighter:
    """Turn decoder frames into the images that a viewer would see.

    - Rotation and mirroring by the display matrix are applied; angles other than multiples of 90
      degrees are not.
    - Frames flagged as interlaced are deinterlaced with FFmpeg's bwdif, one image a frame. From
      the first such frame on, images come one frame late.
    - Anamorphic pixels are made square in the same pass that makes RGB. The shorter side grows,
      so that no detail is lost.
    - All images have the size of the first; a video that changes its size is scaled to that.
    - Colours are those of FFmpeg's own rgb24 output: by the matrix and range that the frame is
      tagged with; untagged YUV is taken for BT.601, limited range, whatever its size. More than 8
      bits are rounded to 8; HDR is not tone-mapped; transparency is dropped.

    All of it is one graph of FFmpeg's filters. Turning and deinterlacing work on YUV, before RGB is
    made: turning 1280x720 takes 0.2 ms there, and 7 ms as a numpy copy of the RGB image. And the
    graph fills the memory of images that nobody holds any more: images whose memory is taken and
    given back one by one, 2.6 MiB each at 1280x720, fray the heap, which grows for many minutes.

    Attributes:
        rotation_deg: counter-clockwise rotation of the first frame: 0, 90, 180, 270; 0 of one that
            is mirrored.
        resized: images that were scaled because the video had changed its size.
    """

    def __init__(self, pixel_aspect: Fraction | None) -> None:
        """`pixel_aspect`: width of a pixel over its height; None if unknown."""
        self.rotation_deg = 0
        self.resized = 0
        aspect = pixel_aspect or Fraction(1)
        believed = Fraction(1, STRANGEST_ASPECT) <= aspect <= STRANGEST_ASPECT
        self._aspect = aspect if believed and abs(aspect - 1) > SQUARE_ENOUGH else Fraction(1)
        self._size: tuple[int, int] | None = None
        self._layout: tuple[object, ...] | None = None
        self._interlaced = False
        self._resizing = False
        self._graph: Graph | None = None

    def take(self, frame: av.VideoFrame) -> Iterator[Image]:
        """The images that are ready now that `frame` is known: one, or none if one is late."""
        self._interlaced |= frame.interlaced_frame
        layout = (
            frame.width,
            frame.height,
            frame.format.name,
            frame.colorspace,
            frame.color_range,
            frame.rotation,  # the display matrix itself takes longer to read
            self._interlaced,
        )
        if layout != self._layout or self._graph is None:
            yield from self.rest()
            turn = _turn(frame)
            self._size = self._size or self._square(frame, turn)
            if self._layout is None and turn in _TURNS.values():
                self.rotation_deg = round(frame.rotation / 90) * 90 % 360
            self._resizing = self._square(frame, turn) != self._size
            self._graph = _graph(frame, turn, self._size, deinterlace=self._interlaced)
            self._layout = layout
        self._graph.vpush(frame)
        yield from self._pulled(self._graph)

    def rest(self) -> Iterator[Image]:
        """The image that deinterlacing still holds back, if any."""
        if self._graph is not None:
            graph, self._graph = self._graph, None
            graph.vpush(None)
            yield from self._pulled(graph)

    def forget(self) -> None:
        """Drop what is held back and begin anew with the next frame, after an error."""
        self._graph = self._layout = None

    def _pulled(self, graph: Graph) -> Iterator[Image]:
        while True:
            try:
                frame = graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            self.resized += self._resizing
            yield _image(frame)

    def _square(self, frame: av.VideoFrame, turn: str) -> tuple[int, int]:
        """Width and height of the frame when it is upright, with square pixels."""
        width, height, aspect = frame.width, frame.height, self._aspect
        if "transpose" in turn:
            width, height, aspect = height, width, 1 / aspect
        if aspect >= 1:
            return round(width * aspect), height
        return width, round(height / aspect)


def _image(rgb: av.VideoFrame) -> Image:
    plane = rgb.planes[0]
    # A view, not a copy: the array keeps FFmpeg's buffer alive. Saves 0.3 ms at 640x480.
    rows = np.frombuffer(cast("Any", plane), np.uint8).reshape(-1, plane.line_size)
    flat = np.ascontiguousarray(rows[: rgb.height, : rgb.width * 3])
    image = flat.reshape(rgb.height, rgb.width, 3)
    image.flags.writeable = False
    return image


def _turn(frame: av.VideoFrame) -> str:
    """FFmpeg's filters that show the frame upright; "" if it is."""
    # Not frame.side_data: the frame keeps that, and it the frame, until the garbage collector
    # comes by. Of 60 videos of 1280x720, opened one after the other, 75 MiB were left.
    try:
        matrix = cast("Any", SideDataContainer)(frame).get("DISPLAYMATRIX")
    except ValueError:
        # PyAV cannot read beside a kind that it does not know, such as a JPEG's EXIF.
        return _TURNS.get(round(frame.rotation / 90) * 90 % 360, "")
    if matrix is None:
        return ""
    # Nine int32: (x', y') = (a·x + c·y, b·x + d·y), with y growing downwards.
    a, b, _, c, d = struct.unpack_from("=5i", bytes(cast("Any", matrix)))
    if b == c == 0 and a and d:
        return _FILTERS[False, a < 0, d < 0]
    if a == d == 0 and b and c:
        return _FILTERS[True, c < 0, b < 0]
    return ""


def _graph(frame: av.VideoFrame, turn: str, size: tuple[int, int], *, deinterlace: bool) -> Graph:
    """FFmpeg's filters from frames such as this one to RGB of that width and height."""
    texts = ["bwdif=mode=send_frame:deint=interlaced"] if deinterlace else []
    texts += turn.split(",") if turn else []
    # Bicubic: 9 ms instead of 5 at 1396x720.
    texts += ["scale={}:{}:flags=bilinear".format(*size), "format=rgb24"]
    if frame.format.name == "rgb24":
        texts.append("copy")  # what passes through may be upside down, its rows from last to first
    graph = Graph()
    graph.threads = 1
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
    )
    nodes = [source]
    for text in texts:
        name, _, arguments = text.partition("=")
        nodes.append(graph.add(name, arguments or None))
    nodes.append(graph.add("buffersink"))
    graph.link_nodes(*nodes).configure()
    return graph
