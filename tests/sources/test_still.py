"""read_picture: what becomes of a reference picture's pixels, and what is refused."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from streamdeid.errors import ReferenceImageError
from streamdeid.sources.still import read_picture


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_16_bits_of_gray_are_scaled_to_8(tmp_path: Path, name: str) -> None:
    gray = np.array([[0, 128, 129, 257, 32896, 65407, 65535]], np.uint16)
    PillowImage.fromarray(gray).save(tmp_path / name)
    image = read_picture(tmp_path / name)
    assert image.dtype == np.uint8
    assert image.shape == (1, 7, 3)
    assert image[0, :, 0].tolist() == np.round(gray[0] / 257).astype(int).tolist()
    assert (image == image[..., :1]).all()


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_pixels_of_an_unknown_range_are_refused(tmp_path: Path, kind: type) -> None:
    PillowImage.fromarray(np.zeros((4, 4), kind)).save(tmp_path / "a.tif")
    with pytest.raises(ReferenceImageError, match="convert it to 8 bits"):
        read_picture(tmp_path / "a.tif")


def test_transparency_is_shown_on_white(tmp_path: Path) -> None:
    PillowImage.new("RGBA", (2, 2), (0, 0, 0, 0)).save(tmp_path / "a.png")
    assert (read_picture(tmp_path / "a.png") == 255).all()


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(ReferenceImageError, match="is not a file"):
            read_picture(path)


@pytest.mark.parametrize("name", ["missing.png", "x" * 5000, "a\0b"])
def test_a_name_that_cannot_be_opened_is_one_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(ReferenceImageError, match=r"cannot be read: [^.]*\.$"):
        read_picture(tmp_path / name)


@pytest.mark.parametrize("side", [9_100, 9_600, 14_000])  # below Pillow's limits, between, above
def test_a_picture_of_too_many_pixels_is_refused_without_a_warning(
    tmp_path: Path, side: int
) -> None:
    PillowImage.new("1", (side, side)).save(tmp_path / "a.png")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with pytest.raises(ReferenceImageError, match=r"80 megapixels; give a smaller picture\.$"):
            read_picture(tmp_path / "a.png")
    assert told == []


def test_a_file_cut_off_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    PillowImage.fromarray(rng.integers(0, 255, (64, 64, 3), np.uint8)).save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "b.png").write_text("no picture")
    for name in ("a.png", "b.png"):
        with pytest.raises(ReferenceImageError, match=r"[^.]\.$"):
            read_picture(tmp_path / name)
