"""Make small videos for tests, with PyAV and numpy only.

Images are (height, width, 3) uint8 RGB. A numbered image can be told from all others after any
codec, so that a test can say which frame it got.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.codec.context import Flags
from av.filter import Graph
from av.stream import Disposition
from av.video.reformatter import Colorspace
from numpy.typing import NDArray

Image = NDArray[np.uint8]

BITS = 10
"""Numbers of numbered images are below 2**BITS."""


REPEATABLE = {"x264-params": "no-mbtree=1"}
"""Of pictures as small as these x264's macroblock tree reads what nobody wrote: every second to
thirtieth file was another one, and a file that was cut in the wrong place made a test fail."""


def numbered_image(number: int, width: int = 96, height: int = 64) -> Image:
    """A gradient that drifts with the number, above which the number stands in black and white."""
    y, x = np.mgrid[:height, :width]
    image = np.stack(
        [
            96 + 64 * np.sin((x + 3 * number) / 17),
            96 + 64 * np.sin((y - 2 * number) / 13),
            96 + 64 * np.sin((x + y + number) / 23),
        ],
        axis=-1,
    ).astype(np.uint8)
    edges = np.linspace(0, width, BITS + 1).astype(int)
    for bit, (left, right) in enumerate(pairwise(edges)):
        image[: height // 4, left:right] = 255 if number >> bit & 1 else 0
    return image


def number_of(image: Image) -> int:
    """The number of a numbered image, also after scaling and compression."""
    height, width, _ = image.shape
    centers = ((np.arange(BITS) + 0.5) * width / BITS).astype(int)
    return int(sum(1 << bit for bit, x in enumerate(centers) if image[height // 8, x].mean() > 128))


def numbered_images(count: int, width: int = 96, height: int = 64) -> Iterator[Image]:
    """Images 0..count-1."""
    return (numbered_image(number, width, height) for number in range(count))


def write_video(
    path: Path,
    images: Iterable[Image],
    *,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    frame_rate: Fraction | int = 25,
    pts: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    pixel_aspect: Fraction | None = None,
    display_matrix: Sequence[int] | None = None,
    interlaced: bool = False,
    matrix: Colorspace | None = None,
    full_range: bool | None = None,
    raw_yuv: tuple[int, int, int] | None = None,
    audio: bool = False,
    cover: bool = False,
    options: dict[str, str] | None = None,
    container_format: str | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Encode images into a file; its name decides the container.

    Args:
        pts: a time stamp for each image in units of `time_base`; None for a constant rate.
        display_matrix: nine numbers in 16.16 and 2.30 fixed point, as MP4 stores them.
        interlaced: encode as fields and flag the frames, top field first.
        matrix, full_range: tag the stream so; None leaves it untagged. Nothing is converted.
        raw_yuv: fill the planes with these instead of the images; for 8-bit planar YUV.
        audio: add a silent track of the same length.
        cover: add an attached picture, pure green.
        options, container_options: of the encoder and the muxer.
    """
    rate = Fraction(frame_rate)
    base = time_base or 1 / rate
    with av.open(
        str(path), "w", format=container_format, container_options=container_options or {}
    ) as container:
        stream: Any = None
        sound = container.add_stream("aac", rate=8000) if audio else None
        picture = _cover(container) if cover else None
        filters: Graph | None = None
        count = 0
        for number, image in enumerate(images):
            if stream is None:
                height, width, _ = image.shape
                own = REPEATABLE if codec == "libx264" else {}
                stream = container.add_stream(codec, rate=rate, options=own | (options or {}))
                stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
                stream.codec_context.time_base = base
                if pixel_aspect is not None:
                    stream.codec_context.sample_aspect_ratio = pixel_aspect
                if display_matrix is not None:
                    stream.set_display_matrix(display_matrix)
                if interlaced:
                    stream.codec_context.flags |= Flags.interlaced_dct | Flags.interlaced_me
                    filters = _field_flags(width, height, pixel_format, base)
                if matrix is not None:
                    stream.codec_context.colorspace = 1 if matrix == Colorspace.ITU709 else 6
                if full_range is not None:
                    stream.codec_context.color_range = 2 if full_range else 1
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24").reformat(
                format=pixel_format
            )
            if raw_yuv is not None:
                for plane, value in zip(frame.planes, raw_yuv, strict=True):
                    plane.update(bytes([value]) * plane.buffer_size)
            if matrix is not None:
                frame.colorspace = 1 if matrix == Colorspace.ITU709 else 6
            if full_range is not None:
                frame.color_range = 2 if full_range else 1
            frame.pts = number if pts is None else pts[number]
            frame.time_base = base
            if filters is not None:
                filters.vpush(frame)
                frame = filters.vpull()
            container.mux(stream.encode(frame))
            count += 1
        if stream is not None:
            container.mux(stream.encode(None))
        if picture is not None:
            container.mux(picture)
        if sound is not None:
            _silence(container, sound, float(count / rate))
    return path


def write_for_server(path: Path, images: Iterable[Image]) -> Path:
    """H.264 as the RTSP server wants it: every frame for itself, in one slice, behind a delimiter.

    In Annex B form, 30 frames a second.
    """
    options = {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "threads": "1",
        "x264-params": "aud=1:keyint=1:sliced-threads=0",
    }
    return write_video(path, images, frame_rate=30, options=options, container_format="h264")


def write_audio(path: Path, seconds: float = 1.0, *, cover: bool = False) -> Path:
    """A file with a silent audio track and no video."""
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=8000)
        picture = _cover(container) if cover else None
        if picture is not None:
            container.mux(picture)
        _silence(container, sound, seconds)
    return path


def flip_bits(data: bytes, count: int, seed: int, *, start: int = 0) -> bytes:
    """Flip `count` random bits after byte `start`."""
    damaged = np.frombuffer(data, np.uint8).copy()
    random = np.random.default_rng(seed)
    places = random.integers(start, len(damaged), count)
    damaged[places] ^= (1 << random.integers(0, 8, count)).astype(np.uint8)
    return damaged.tobytes()


def _field_flags(width: int, height: int, pixel_format: str, time_base: Fraction) -> Graph:
    graph = Graph()
    source = graph.add_buffer(
        width=width, height=height, format=av.VideoFormat(pixel_format), time_base=time_base
    )
    graph.link_nodes(
        source, graph.add("setparams", "field_mode=tff"), graph.add("buffersink")
    ).configure()
    return graph


def _cover(container: Any) -> list[Any]:
    """An attached picture's packets."""
    stream = container.add_stream("mjpeg")
    stream.width = stream.height = 32
    stream.pix_fmt = "yuvj420p"
    stream.disposition = Disposition.attached_pic
    green = np.zeros((32, 32, 3), np.uint8)
    green[..., 1] = 255
    frame = av.VideoFrame.from_ndarray(green, "rgb24").reformat(format="yuvj420p")
    frame.pts = 0
    return [*stream.encode(frame), *stream.encode(None)]


def _silence(container: Any, stream: Any, seconds: float) -> None:
    for start in range(0, int(seconds * 8000), 1024):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        frame.pts = start
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
