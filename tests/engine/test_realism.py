"""Realism and quality through the whole engine, on real faces and on hardly anything."""

from __future__ import annotations

import numpy as np
import pytest

from streamdeid import Settings, evaluate
from streamdeid.frame import Image
from streamdeid.sources.arrays import ArraySource

LOOKS = Settings(metrics=("quality", "realism", "fvd", "fsmetric"), provider="cpu")
DISTANCES = ("realism.fid_i3d", "realism.fvd", "realism.fid_fsmetric")


def source(images: list[Image]) -> ArraySource:
    return ArraySource(images, frame_rate=25)


def test_a_video_against_itself_is_as_real_as_it_is(carphone: list[Image]) -> None:
    images = carphone + carphone[::-1][:12]  # 32 frames: three rows of features, two clips
    settings = Settings(metrics=("quality", "realism", "fvd"), provider="cpu")
    report = evaluate(source(images), source(images), settings)
    for name, rows in (("realism.fid_i3d", 3), ("realism.fvd", 2)):
        assert report[name].value == pytest.approx(0, abs=1e-6)
        assert report[name].count == rows
        assert "may be noise" in str(report[name].details["warning"])
    assert report["realism.mmd_i3d"].value == pytest.approx(0, abs=1e-9)
    for region in ("face", "frame", "background"):
        assert report[f"quality.ssim.{region}"].value == 1
        assert "identical" in str(report[f"quality.psnr.{region}"].reason)


def test_a_covered_face_is_less_real_and_the_background_is_left_alone(
    carphone: list[Image],
) -> None:
    def covered(image: Image) -> Image:
        height, width = image.shape[:2]
        changed = image.copy()
        changed[height // 3 : height // 2, width // 3 : width // 2] = 0
        return changed

    settings = Settings(metrics=("quality", "realism"), quality_every=4, provider="cpu")
    images = carphone + carphone[::-1][:12]
    report = evaluate(source(images), source([covered(i) for i in images]), settings)
    assert (report["realism.fid_i3d"].value or 0) > 1
    assert (report["quality.ssim.face"].value or 1) < 0.95
    assert report["quality.ssim.background"].value == 1
    assert report["quality.ssim.frame"].count == len(images) // 4
    assert "realism.fvd" not in report


def test_too_few_frames_give_reasons_with_the_number_that_is_needed(
    carphone: list[Image],
) -> None:
    report = evaluate(source(carphone), source(carphone), LOOKS)  # 20 frames: one row
    for name, needed in (("realism.fid_i3d", "24 frames"), ("realism.fvd", "32 frames")):
        assert report[name].value is None
        assert needed in str(report[name].reason)


def test_a_video_without_a_face_has_a_frame_but_no_face_to_judge() -> None:
    black = [np.zeros((200, 200, 3), np.uint8)] * 20
    report = evaluate(source(black), source(black), LOOKS)
    assert report.complete
    assert report["quality.ssim.frame"].value == 1
    assert report["quality.ssim.face"].value is None
    for name in DISTANCES:
        assert report[name].value is None
        assert "frames with a face" in str(report[name].reason)
