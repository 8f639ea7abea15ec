"""What a frame shows: turned, mirrored, with square pixels, without fields, in its colours."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from av.video.reformatter import Colorspace
from numpy.typing import NDArray

from streamdeid.errors import SourceError
from streamdeid.frame import Frame
from streamdeid.sources.file import FileSource
from tests.videos import numbered_image, numbered_images, write_video

ONE, LAST = 1 << 16, 1 << 30

# What the matrix does to a picture, as numpy says it. The matrix maps (x, y), y downwards, to
# (a·x + c·y, b·x + d·y): ISO/IEC 14496-12, 8.5.2.
TURNS = {
    "upright": ((ONE, 0, 0, ONE), lambda image: image, 0),
    "counter-clockwise": ((0, -ONE, ONE, 0), lambda image: np.rot90(image), 90),
    "upside down": ((-ONE, 0, 0, -ONE), lambda image: np.rot90(image, 2), 180),
    "clockwise": ((0, ONE, -ONE, 0), lambda image: np.rot90(image, 3), 270),
    "mirrored": ((-ONE, 0, 0, ONE), lambda image: image[:, ::-1], 0),
    "flipped": ((ONE, 0, 0, -ONE), lambda image: image[::-1], 0),
    "transposed": ((0, ONE, ONE, 0), lambda image: image.swapaxes(0, 1), 0),
    "other diagonal": ((0, -ONE, -ONE, 0), lambda image: np.rot90(image, 2).swapaxes(0, 1), 0),
}


def _read(path: Path) -> tuple[list[Frame], FileSource]:
    with FileSource(path) as source:
        return list(source), source


def _difference(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    return float(np.abs(a.astype(int) - b).mean())


@pytest.mark.parametrize("name", TURNS)
def test_the_display_matrix_is_applied(tmp_path: Path, name: str) -> None:
    (a, b, c, d), turn, rotation = TURNS[name]
    plain, _ = _read(write_video(tmp_path / "plain.mp4", numbered_images(3)))
    turned, source = _read(
        write_video(
            tmp_path / "turned.mp4",
            numbered_images(3),
            display_matrix=(a, b, 0, c, d, 0, 0, 0, LAST),
        )
    )
    for before, after in zip(plain, turned, strict=True):
        expected = turn(before.image)
        assert after.image.shape == expected.shape
        # Chroma is spread over two pixels, and a turned picture pairs them the other way round.
        assert _difference(after.image, expected) < 2
    assert (source.info.height, source.info.width) == turn(plain[0].image).shape[:2]
    assert source.info.rotation_deg == rotation


def test_rgb_that_is_stored_upside_down_is_read_upright(tmp_path: Path) -> None:
    """Nothing need be converted, so the filters hand on what they got, rows from last to first."""
    (a, b, c, d), turn, _ = TURNS["flipped"]
    (frame,), _ = _read(
        write_video(
            tmp_path / "x.mov",
            numbered_images(1),
            codec="png",
            pixel_format="rgb24",
            display_matrix=(a, b, 0, c, d, 0, 0, 0, LAST),
        )
    )
    (expected,) = numbered_images(1)
    np.testing.assert_array_equal(frame.image, turn(expected))


def test_colours_that_ffmpeg_cannot_convert_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    write_video(path, numbered_images(3), options={"x264-params": "colormatrix=YCgCo"})
    with pytest.raises(SourceError, match=r"x\.mp4 .*cannot convert to RGB.*yuv420p.*space 8"):
        FileSource(path)


@pytest.mark.parametrize(
    ("aspect", "size"),
    [
        (Fraction(2), (192, 64)),
        (Fraction(1, 2), (96, 128)),
        (Fraction(16, 11), (140, 64)),
        (Fraction(641, 640), (96, 64)),  # rounding, not anamorphic
        (Fraction(100), (96, 64)),  # nonsense
    ],
)
def test_pixels_are_made_square_by_growing(
    tmp_path: Path, aspect: Fraction, size: tuple[int, int]
) -> None:
    frames, source = _read(write_video(tmp_path / "x.mp4", numbered_images(2), pixel_aspect=aspect))
    assert (source.info.width, source.info.height) == size
    assert {frame.image.shape for frame in frames} == {(size[1], size[0], 3)}


def test_a_turned_anamorphic_video_grows_in_its_own_direction(tmp_path: Path) -> None:
    (a, b, c, d), _, _ = TURNS["clockwise"]
    _, source = _read(
        write_video(
            tmp_path / "x.mp4",
            numbered_images(2),
            pixel_aspect=Fraction(2),
            display_matrix=(a, b, 0, c, d, 0, 0, 0, LAST),
        )
    )
    assert (source.info.width, source.info.height) == (64, 192)


def test_interlaced_frames_lose_their_combs_and_keep_their_number_and_times(
    tmp_path: Path,
) -> None:
    def bar(at: int) -> NDArray[np.uint8]:
        image = np.full((64, 96, 3), 40, np.uint8)
        image[:, at : at + 16] = 220
        return image

    def fields(number: int) -> NDArray[np.uint8]:
        image = bar(4 * number)
        image[1::2] = bar(4 * number + 8)[1::2]  # the lower field is taken later
        return image

    def combs(image: NDArray[np.uint8]) -> float:
        lines = image[8:-8].astype(int).mean(axis=2)
        return float(np.abs(lines[1:-1] * 2 - lines[:-2] - lines[2:]).mean())

    pictures = [fields(number) for number in range(16)]
    frames, _ = _read(
        write_video(
            tmp_path / "x.ts",
            pictures,
            codec="mpeg2video",
            interlaced=True,
            options={"qscale": "2", "b": "4M"},
        )
    )
    assert [frame.index for frame in frames] == list(range(16))
    assert [frame.time - frames[0].time for frame in frames] == [Fraction(k, 25) for k in range(16)]
    for picture, frame in list(zip(pictures, frames, strict=True))[2:-2]:
        assert combs(frame.image) < combs(picture) / 5


# ITU-R BT.601 and BT.709: the luma weights of red and blue.
WEIGHTS = {Colorspace.ITU601: (0.299, 0.114), Colorspace.ITU709: (0.2126, 0.0722)}


def _rgb(y: float, cb: float, cr: float, matrix: Colorspace, full: bool) -> list[float]:
    red, blue = WEIGHTS[matrix]
    luma = y / 255 if full else (y - 16) / 219
    u, v = ((c - 128) / (255 if full else 224) for c in (cb, cr))
    r, b = luma + 2 * (1 - red) * v, luma + 2 * (1 - blue) * u
    return [255 * x for x in (r, (luma - red * r - blue * b) / (1 - red - blue), b)]


@pytest.mark.parametrize("full", [False, True, None])
@pytest.mark.parametrize("matrix", [Colorspace.ITU601, Colorspace.ITU709, None])
def test_colours_follow_matrix_and_range_and_untagged_is_bt601_limited(
    tmp_path: Path, matrix: Colorspace | None, full: bool | None
) -> None:
    yuv = (120, 100, 160)
    path = write_video(
        tmp_path / "x.mkv",
        (numbered_image(n) for n in range(2)),
        codec="ffv1",
        matrix=matrix,
        full_range=full,
        raw_yuv=yuv,
    )
    frames, _ = _read(path)
    expected = _rgb(*yuv, matrix or Colorspace.ITU601, bool(full))
    # 3 levels: the fast path of swscale (and so the ffmpeg command) is off by up to 2.1 in green.
    assert np.abs(frames[0].image - np.array(expected)).max() < 3


@pytest.mark.parametrize("pixel_format", ["gray", "yuv422p", "yuv444p", "yuv420p10le", "bgr0"])
def test_pixel_formats_show_the_same_picture(tmp_path: Path, pixel_format: str) -> None:
    picture = numbered_image(5)
    if pixel_format == "gray":
        picture = np.repeat(picture[..., :1], 3, axis=2)
    frames, source = _read(
        write_video(tmp_path / "x.mkv", [picture], codec="ffv1", pixel_format=pixel_format)
    )
    assert source.info.pixel_format == pixel_format
    assert _difference(frames[0].image, picture) < 2.5


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_jpegs_with_exif_are_turned_as_it_says(
    tmp_path: Path, orientation: int, turns: int
) -> None:
    shown = np.zeros((64, 96, 3), np.uint8)
    shown[:32, :48] = 255
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    data = io.BytesIO()
    PIL.Image.fromarray(shown).save(data, "jpeg", exif=exif)
    (tmp_path / "a.mjpeg").write_bytes(data.getvalue() * 3)
    with FileSource(tmp_path / "a.mjpeg") as source:
        image = next(source).image
    assert np.abs(image.astype(int) - np.rot90(shown, turns)).mean() < 3
