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
from av.video.reformatter import Interpolation, VideoReformatter

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

    Turning and deinterlacing work on YUV, before RGB is made: turning 1280x720 takes 0.2 ms
    there, and 7 ms as a numpy copy of the RGB image.

    Attributes:
        rotation_deg: counter-clockwise rotation of the first frame: 0, 90, 180, 270.
        resized: images that were scaled because the video had changed its size.
    """

    def __init__(self, pixel_aspect: Fraction | None) -> None:
        """`pixel_aspect`: width of a pixel over its height; None if unknown."""
        self.rotation_deg = 0
        self.resized = 0
        aspect = pixel_aspect or Fraction(1)
        believed = Fraction(1, STRANGEST_ASPECT) <= aspect <= STRANGEST_ASPECT
        self._aspect = aspect if believed and abs(aspect - 1) > SQUARE_ENOUGH else Fraction(1)
        self._reformatter = VideoReformatter()
        self._size: tuple[int, int] | None = None
        self._layout: tuple[int, int, str, int, bool] | None = None
        self._turn = ""
        self._interlaced = False
        self._graph: Graph | None = None

    def take(self, frame: av.VideoFrame) -> Iterator[Image]:
        """The images that are ready now that `frame` is known: one, or none if one is late."""
        self._interlaced |= frame.interlaced_frame
        # Not the display matrix itself, which takes longer to read.
        layout = (frame.width, frame.height, frame.format.name, frame.rotation, self._interlaced)
        if layout != self._layout:
            yield from self.rest()
            self._turn = _turn(frame)
            if self._layout is None and self._turn:
                self.rotation_deg = round(frame.rotation / 90) * 90 % 360
            self._graph = _graph(frame, self._turn, self._interlaced)
            self._layout = layout
        if self._graph is None:
            yield self._image(frame)
        else:
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
            yield self._image(frame)

    def _image(self, frame: av.VideoFrame) -> Image:
        size = self._square(frame.width, frame.height)
        self._size = self._size or size
        self.resized += size != self._size
        width, height = self._size
        rgb = self._reformatter.reformat(
            frame,
            width,
            height,
            "rgb24",
            interpolation=Interpolation.BILINEAR,  # bicubic: 9 ms instead of 5 at 1396x720
            threads=1,
        )
        plane = rgb.planes[0]
        # A view, not a copy: the array keeps FFmpeg's buffer alive. Saves 0.3 ms at 640x480.
        rows = np.frombuffer(cast("Any", plane), np.uint8).reshape(-1, plane.line_size)
        image = np.ascontiguousarray(rows[:height, : width * 3]).reshape(height, width, 3)
        image.flags.writeable = False
        return image

    def _square(self, width: int, height: int) -> tuple[int, int]:
        """Width and height with square pixels, of an upright frame."""
        swapped = "transpose" in self._turn
        aspect = 1 / self._aspect if swapped else self._aspect
        if aspect >= 1:
            return round(width * aspect), height
        return width, round(height / aspect)


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


def _graph(frame: av.VideoFrame, turn: str, interlaced: bool) -> Graph | None:
    """FFmpeg's filters for frames such as this one; None if none are needed."""
    texts = ["bwdif=mode=send_frame:deint=interlaced"] if interlaced else []
    texts += turn.split(",") if turn else []
    if not texts:
        return None
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
