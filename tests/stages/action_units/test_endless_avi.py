"""What goes into the pipe comes out of FFmpeg's reader, pixel by pixel and frame by frame."""

from __future__ import annotations

import os
import threading

import av
import numpy as np
import pytest

from streamdeid.stages.action_units.endless_avi import EndlessAvi


def through_a_pipe(data: bytes) -> list[np.ndarray]:
    """The pictures that FFmpeg reads from a pipe into which `data` is written."""
    source, target = os.pipe()

    def write() -> None:
        with os.fdopen(target, "wb") as file:
            file.write(data)

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(source, "rb") as file, av.open(file, format="avi") as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    writer.join()
    return pictures


@pytest.mark.parametrize(("height", "width"), [(48, 64), (37, 63), (1, 1), (30, 41), (2, 1920)])
def test_pictures_of_any_size_come_out_as_they_went_in(height: int, width: int) -> None:
    random = np.random.default_rng(height)
    images = random.integers(0, 256, (7, height, width, 3), np.uint8)
    avi = EndlessAvi(height, width)
    data = avi.header + b"".join(bytes(avi.frame(image)) for image in images)
    np.testing.assert_array_equal(through_a_pipe(data), images)


def test_the_header_says_no_length() -> None:
    header = EndlessAvi(4, 4).header
    assert header[:8] == b"RIFF" + bytes(4)
    assert header[-12:] == b"LIST" + bytes(4) + b"movi"


def test_the_buffer_of_a_picture_is_used_again() -> None:
    avi = EndlessAvi(8, 8)
    first = avi.frame(np.zeros((8, 8, 3), np.uint8))
    second = avi.frame(np.full((8, 8, 3), 255, np.uint8))
    assert first.obj is second.obj
    assert bytes(first)[8:] == b"\xff" * 192
